"""Cycles for codelets whose author gave none: counted from the instructions of `compute` (hardware notes, rule R8).

A worker issues a bundle a slot: one main instruction (loads, stores, whole numbers, branches) and one auxiliary (float
arithmetic). Straight code takes max(main, auxiliary) slots. Every loop turn adds 2 main instructions (count and
branch). So a compiled float dot product takes 2 loads + 2 = 4 slots an element, with entry and exit 18 + 4 n, which is
what hardware measured (V19: 6 x 8 x (18 + 4 x 143) = 28,320 against 28,300 cycles).

Loop counts come from `range` of sizes and constants, evaluated on columns. Where a count depends on data (`while`, a
range of an element) ASSUMED_TURNS is taken; `break` is taken not to happen; of the branches of an `if` the dearer is
taken; so the price is on the high side and does not fall as sizes grow. Elements below 4 bytes are stored by reading,
inserting and writing a word: 3 slots.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..dtypes import FLOAT
from ..target import Target
from .codelet import Codelet
from .cost import Sized

if TYPE_CHECKING:
    from .library import CodeletInfo

ENTRY = 14  # entry, vertex state and exit of a compiled worker; with set-up of a loop and one result 18
ASSUMED_TURNS = 16
_LOOP = 2
_MULTIPLY_ACCUMULATE = 4  # slots of an element of a product, as compiled code
_WHOLE_DIVISION = 277  # there is no instruction for it (popops estimators, MIT)
_CALLS = {  # slots of float functions (hardware notes 1.3 and PopLibs' table of unary operations, MIT)
    "exp": 3, "exp2": 3, "log": 6, "log2": 6, "log10": 7, "tanh": 5, "sigmoid": 5, "sqrt": 5, "rsqrt": 4, "sin": 2300,
    "cos": 2300, "tan": 5100, "asin": 102, "acos": 102, "atan": 102, "atan2": 136, "sinh": 12, "cosh": 12, "expm1": 4,
    "log1p": 18, "erf": 41, "pow": 312, "power": 312, "fmod": 47, "hypot": 8, "floor": 1, "ceil": 1, "trunc": 2,
    "round": 1, "rint": 1, "random_bits": 1, "random_uniform": 2, "min": 1, "max": 1, "abs": 1, "float": 1, "int": 1,
    "bool": 1,
}  # fmt: skip


class _Count:
    """Walks `compute` and adds up slots; sizes may be columns."""

    def __init__(self, info: CodeletInfo, arguments: dict[str, Any], once: bool = False):
        self.info = info
        self.arguments = arguments
        self.once = once  # count instructions: every loop one turn, both branches of an if
        self.known: dict[str, Any] = {}
        self.floats: set[str] = {n for n, v in arguments.items() if isinstance(v, (float, np.floating))}
        self.main: Any = 0
        self.auxiliary: Any = 0
        self.depth = 0

    def straight(self) -> Any:
        slots = np.maximum(self.main, self.auxiliary) if not self.once else self.main + self.auxiliary
        self.main = self.auxiliary = 0
        return slots

    def block(self, body: list[ast.stmt], loop: int = 0) -> Any:
        """Slots of statements; `loop` main instructions are issued along with them."""
        outer = self.main, self.auxiliary
        self.main, self.auxiliary = loop, 0
        total: Any = 0
        for statement in body:
            total = total + self.statement(statement)
        total = total + self.straight()
        self.main, self.auxiliary = outer
        return total

    def statement(self, node: ast.stmt) -> Any:
        if isinstance(node, ast.For):
            return self._loop(node.body, self._turns(node))
        if isinstance(node, ast.While):
            self.value(node.test)
            return self._loop(node.body, ASSUMED_TURNS)
        if isinstance(node, ast.If):
            self.value(node.test)
            self.main = self.main + 1
            first, second = self.block(node.body), self.block(node.orelse)
            return first + second if self.once else np.maximum(first, second)
        if isinstance(node, ast.Assign):
            return self._assign(node.targets, node.value)
        if isinstance(node, ast.AugAssign):
            self.value(node.target)
            self._operation(node.op, self._is_float(node.target) or self._is_float(node.value), node.value)
            return self._assign([node.target], node.value, augmented=True)
        if isinstance(node, ast.AnnAssign) and node.value is not None:
            return self._assign([node.target], node.value)
        if isinstance(node, ast.Return) and node.value is not None:
            self.value(node.value)
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            if _called(node.value) == "multiply_accumulate":
                return self._product(node.value)
            self.value(node.value)
        return 0

    def _loop(self, body: list[ast.stmt], turns: Any) -> Any:
        before = self.straight()
        each = self.block(body, loop=_LOOP)
        return before + 2 + (each if self.once else np.maximum(turns, 0) * each)

    def _turns(self, node: ast.For) -> Any:
        name = node.target.id if isinstance(node.target, ast.Name) else ""
        if isinstance(node.iter, ast.Call) and _called(node.iter) == "range":
            bounds = [self.number(a) for a in node.iter.args]
            if any(b is None for b in bounds) or not bounds:
                return ASSUMED_TURNS
            start, stop, step = [(0, bounds[0], 1), (*bounds, 1), tuple(bounds)][min(len(bounds), 3) - 1]
            if np.ndim(step) == 0 and step == 0:
                return ASSUMED_TURNS
            turns = np.maximum(-(-(stop - start) // step), 0)
            self.known[name] = start + step * (turns // 2)  # its middle value prices loops within
            return turns
        if self._is_float(node.iter):
            self.floats.add(name)
        self.main = self.main + 1
        array = self._sized(node.iter)
        return array.size if array is not None else ASSUMED_TURNS

    def _assign(self, targets: list[ast.expr], value: ast.expr, augmented: bool = False) -> Any:
        target = targets[0]
        array = self._sized(target.value) if isinstance(target, ast.Subscript) else None
        if array is not None and _is_slice(target) and not augmented:  # a whole-array statement
            return self._loop([], array.size) + self._element_cost(array) * array.size
        self.value(value)
        for each in targets:
            for part in each.elts if isinstance(each, (ast.Tuple, ast.List)) else [each]:
                self._written(part, value, augmented)
        return 0

    def _written(self, part: ast.expr, value: ast.expr, augmented: bool) -> None:
        if isinstance(part, ast.Subscript):
            array = self._sized(part.value)
            small = array is not None and array.dtype.size < 4
            self.main = self.main + (3 if small else 1)
            self._address(part)
        elif isinstance(part, ast.Name):
            number = None if augmented or part.id in self.known else self.number(value)
            self.known[part.id] = number
            if self._is_float(value):
                self.floats.add(part.id)
            if isinstance(value, ast.Constant):
                self.main = self.main + 1

    def _element_cost(self, array: Sized) -> int:
        return 4 if array.dtype.size < 4 else 2

    def _product(self, node: ast.Call) -> Any:
        arrays = [self._sized(a) for a in node.args[:3]]
        if len(arrays) < 3 or arrays[0] is None or arrays[1] is None:
            return ASSUMED_TURNS**2 * _MULTIPLY_ACCUMULATE
        out, a = arrays[0], arrays[1]
        inner = -(-a.size // np.maximum(out.rows, 1))
        return out.size * inner * _MULTIPLY_ACCUMULATE if not self.once else 40

    # expressions -----------------------------------------------------------------------------------------------

    def value(self, node: ast.expr | None) -> None:
        """Count the instructions of an expression."""
        if node is None or isinstance(node, (ast.Constant, ast.Name, ast.Attribute)):
            if isinstance(node, ast.Name) and isinstance(self.arguments.get(node.id), Sized):
                self.main = self.main + 1
            return
        if isinstance(node, ast.Subscript):
            if not isinstance(node.value, ast.Attribute):
                self.main = self.main + 1
                self._address(node)
            return
        if isinstance(node, ast.Call):
            self._call(node)
            return
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                self.value(child)
        if isinstance(node, ast.BinOp):
            self._operation(node.op, self._is_float(node), node.right)
        elif isinstance(node, ast.Compare):
            operands = [node.left, *node.comparators]
            self._add(len(node.ops), any(self._is_float(o) for o in operands))
        elif isinstance(node, ast.UnaryOp):
            self._add(1, self._is_float(node))
        elif isinstance(node, ast.BoolOp):
            self.main = self.main + len(node.values) - 1
        elif isinstance(node, ast.IfExp):
            self.main = self.main + 1

    def _address(self, node: ast.Subscript) -> None:
        """Indices that are plain names are followed by post-incrementing loads; others are calculated."""
        for index in node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]:
            if not isinstance(index, (ast.Name, ast.Constant, ast.Slice)):
                self.value(index)
                self.main = self.main + 1
        if isinstance(node.value, ast.Subscript):
            self._address(node.value)

    def _add(self, count: int, is_float: bool) -> None:
        if is_float:
            self.auxiliary = self.auxiliary + count
        else:
            self.main = self.main + count

    def _operation(self, op: ast.operator, is_float: bool, right: ast.expr) -> None:
        cost = 1
        if isinstance(op, ast.Div):
            cost, is_float = 3, True
        elif isinstance(op, (ast.FloorDiv, ast.Mod)):
            known = self.number(right)
            power = np.ndim(known) == 0 and isinstance(known, int) and known > 0 and known & (known - 1) == 0
            cost = 47 if is_float else 1 if power else _WHOLE_DIVISION
        elif isinstance(op, ast.Pow):
            cost = 1 if self.number(right) == 2 else _CALLS["pow"]
        self._add(min(cost, 12) if self.once else cost, is_float)

    def _call(self, node: ast.Call) -> None:
        for argument in node.args:
            self.value(argument)
        name = _called(node)
        tree = self.info.file.functions.get(name)
        if tree is not None and self.depth < 8:
            inner = _Count(self.info, dict(self.arguments), self.once)
            inner.depth, inner.floats = self.depth + 1, set(self.floats)
            for parameter, given in zip(tree.args.args, node.args, strict=False):
                sized = self._sized(given)
                inner.arguments.pop(parameter.arg, None)
                if sized is not None and isinstance(given, ast.Name):
                    inner.arguments[parameter.arg] = sized
                inner.known[parameter.arg] = self.number(given)
                if self._is_float(given):
                    inner.floats.add(parameter.arg)
            self.main = self.main + 4 + inner.block(tree.body)
            return
        cost = _CALLS.get(name, 2)
        is_float = name not in ("min", "max", "abs") or any(self._is_float(a) for a in node.args)
        self._add(min(cost, 12) if self.once else cost, is_float)

    def _sized(self, node: ast.expr | None) -> Sized | None:
        while isinstance(node, ast.Subscript):
            inner = self._sized(node.value)
            if inner is None:
                return None
            parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
            taken = sum(not isinstance(p, ast.Slice) for p in parts)
            return Sized(1, inner.cols, inner.dtype) if taken else inner
        found = self.arguments.get(node.id) if isinstance(node, ast.Name) else None
        return found if isinstance(found, Sized) else None

    def _is_float(self, node: ast.expr) -> bool:
        if isinstance(node, ast.Constant):
            return isinstance(node.value, float)
        if isinstance(node, ast.Name):
            sized = self.arguments.get(node.id)
            return sized.dtype.is_floating if isinstance(sized, Sized) else node.id in self.floats
        if isinstance(node, ast.Subscript):
            sized = self._sized(node)
            return sized is not None and sized.dtype.is_floating
        if isinstance(node, ast.Call):
            name = _called(node)
            if name in ("min", "max", "abs"):
                return any(self._is_float(a) for a in node.args)
            return name not in ("int", "len", "bool", "random_bits")
        if isinstance(node, ast.BinOp):
            return isinstance(node.op, ast.Div) or self._is_float(node.left) or self._is_float(node.right)
        if isinstance(node, ast.UnaryOp):
            return not isinstance(node.op, ast.Not) and self._is_float(node.operand)
        return isinstance(node, ast.IfExp) and (self._is_float(node.body) or self._is_float(node.orelse))

    def number(self, node: ast.expr) -> Any:
        """Value of an expression of sizes and constants, a number or a column; None where data decide."""
        if isinstance(node, ast.Constant):
            return node.value if isinstance(node.value, int) else None
        if isinstance(node, ast.Name):
            if node.id in self.known:
                return self.known[node.id]
            found = self.arguments.get(node.id, self.info.file.namespace.get(node.id))
            return found if isinstance(found, (int, np.integer, np.ndarray)) else None
        if isinstance(node, ast.Attribute):
            sized = self._sized(node.value)
            return (
                getattr(sized, node.attr, None) if sized is not None and node.attr in ("size", "rows", "cols") else None
            )
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Attribute) and node.value.attr == "shape":
            sized, axis = self._sized(node.value.value), self.number(node.slice)
            return None if sized is None else (sized.cols if axis in (1, -1) or _is_row(sized) else sized.rows)
        if isinstance(node, ast.Call):
            return self._called_number(node)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            inner = self.number(node.operand)
            return None if inner is None else -inner
        if isinstance(node, ast.BinOp):
            return _arithmetic(node.op, self.number(node.left), self.number(node.right))
        return None

    def _called_number(self, node: ast.Call) -> Any:
        name, values = _called(node), [self.number(a) for a in node.args]
        if name == "len" and len(node.args) == 1:
            sized = self._sized(node.args[0])
            return None if sized is None else sized.cols if _is_row(sized) else sized.rows
        if any(v is None for v in values) or not values:
            return None
        if name == "int":
            return values[0]
        if name in ("min", "max"):
            result = values[0]
            for value in values[1:]:
                result = np.minimum(result, value) if name == "min" else np.maximum(result, value)
            return result
        return None


def _is_row(sized: Sized) -> bool:
    return np.ndim(sized.rows) == 0 and sized.rows == 1


def _is_slice(target: ast.expr) -> bool:
    return isinstance(target, ast.Subscript) and any(isinstance(n, ast.Slice) for n in ast.walk(target.slice))


def _called(node: ast.Call) -> str:
    return node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")


def _arithmetic(op: ast.operator, a: Any, b: Any) -> Any:
    if a is None or b is None:
        return None
    if isinstance(op, ast.Add):
        return a + b
    if isinstance(op, ast.Sub):
        return a - b
    if isinstance(op, ast.Mult):
        return a * b
    if isinstance(op, (ast.FloorDiv, ast.Mod)) and np.all(np.asarray(b) != 0):
        return a // b if isinstance(op, ast.FloorDiv) else a % b
    return None


def derived_slots(info: CodeletInfo) -> Callable[..., Any]:
    """A cycle function made from the instructions of `compute`."""

    def slots(target: Target, **arguments: Any) -> Any:
        total = ENTRY + _Count(info, arguments).block(info.compute.body)
        return np.asarray(total).astype(np.int64)

    return slots


def count_instructions(info: CodeletInfo) -> int:
    """Instructions of a codelet's code on a tile, an estimate: every statement once, both branches of every if."""
    arguments: dict[str, Any] = {
        name: 1 if field.direction == "constant" else Sized(2, 2, field.dtype or FLOAT)
        for name, field in info.fields.items()
    }
    assert issubclass(info.cls, Codelet)
    return int(ENTRY + _Count(info, arguments, once=True).block(info.compute.body))
