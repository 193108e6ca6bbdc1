"""Expressions of tile code: source with every type written out, and the kind of its value."""

from __future__ import annotations

import ast
import builtins
import math
import operator
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import CodeletError, did_you_mean
from . import vocabulary
from .kinds import (
    BOOL,
    F32,
    INDEX,
    NUMPY_NAME,
    WIDTH,
    Array,
    Literal,
    cast,
    common,
    comparable,
    is_integer,
    is_unsigned,
    limits,
    settle,
)  # fmt: skip

if TYPE_CHECKING:
    from .rewrite import Rewriter

_SERIES = {f.__name__ for f in (*vocabulary.SERIES, *vocabulary.LIBRARY)} - {"pow", "atan2", "hypot", "fmod"}
_ROUNDINGS = {"floor", "ceil", "trunc", "rint"}
_OTHER_NAMES = {  # spellings of numpy and math
    "arcsin": "asin", "arccos": "acos", "arctan": "atan", "arctan2": "atan2", "maximum": "max", "minimum": "min",
    "fabs": "abs", "absolute": "abs", "round": "rint", "power": "pow", "mod": "remainder", "fix": "trunc",
    "isnan": "is_nan", "isinf": "is_inf", "isfinite": "is_finite",
}  # fmt: skip
_CASTS = {name: kind for kind, name in NUMPY_NAME.items()} | {"intc": "i32", "bool": BOOL}
_FUNCTIONS = {
    *_SERIES, *_ROUNDINGS, "sqrt", "abs", "min", "max", "pow", "atan2", "hypot", "fmod", "len", "int", "float", "bool",
    "square", "is_nan", "is_inf", "is_finite", "random_bits", "random_uniform",
}  # fmt: skip
_FOLD: dict[type, Any] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod, ast.Pow: operator.pow, ast.LShift: operator.lshift,
    ast.RShift: operator.rshift, ast.BitAnd: operator.and_, ast.BitOr: operator.or_, ast.BitXor: operator.xor,
}  # fmt: skip
_SYMBOL: dict[type, str] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.BitAnd: "&", ast.BitOr: "|", ast.BitXor: "^", ast.LShift: "<<",
    ast.RShift: ">>", ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=",
}  # fmt: skip
_ADVICE = {
    ast.Dict: "dictionaries; use numbers and fields",
    ast.Set: "sets; use numbers and fields",
    ast.List: "lists; use fields and numbers",
    ast.Tuple: "tuples as values; use separate names",
    ast.JoinedStr: "strings",
    ast.Lambda: "lambdas; write a function of the file",
    ast.ListComp: "comprehensions; write a loop",
    ast.SetComp: "comprehensions; write a loop",
    ast.DictComp: "comprehensions; write a loop",
    ast.GeneratorExp: "comprehensions; write a loop",
    ast.NamedExpr: "`:=`; write the assignment on its own line",
    ast.Starred: "`*`; name every argument",
    ast.Await: "await",
    ast.Yield: "yield",
}
Value = tuple[str, Any]


class ExpressionWriter:
    """Writes expressions; `self.kinds` has the kinds of locals, `self.parameters` those of arguments."""

    rewriter: Rewriter
    parameters: dict[str, Any]
    kinds: dict[str, Any]
    scalars: set[str]
    locals: set[str]
    defined: set[str] | None

    def error(self, node: ast.AST, message: str) -> CodeletError:
        return self.rewriter.error(node, message)

    # values ----------------------------------------------------------------------------------------------------

    def value(self, node: ast.expr) -> Value:
        """Source and kind of an expression: a kind word, a Literal or an Array."""
        method = getattr(self, "_" + type(node).__name__.lower(), None)
        if method is None:
            advice = _ADVICE.get(type(node), f"{type(node).__name__} expressions")
            raise self.error(node, f"tile code has no {advice}")
        return method(node)

    def scalar(self, node: ast.expr) -> Value:
        """As `value`, where an array is an error."""
        code, kind = self.value(node)
        if isinstance(kind, Array):
            raise self.error(
                node,
                f"'{ast.unparse(node)}' is an array here; operate on its elements in a loop, as in `out[i] = a[i]`",
            )
        if kind is None:
            raise self.error(node, f"'{ast.unparse(node)}' has no value")
        return code, kind

    def converted(self, node: ast.expr, kind: str) -> str:
        """Source of a scalar expression, cast to a kind."""
        code, have = self.scalar(node)
        return cast(code, have, kind)

    def condition(self, node: ast.expr) -> str:
        return self.converted(node, BOOL)

    def index(self, node: ast.expr) -> str:
        """Source of a whole number that counts or numbers elements."""
        code, kind = self.scalar(node)
        if isinstance(kind, Literal) and isinstance(kind.value, int):
            return repr(int(kind.value))
        if not is_integer(kind):
            raise self.error(node, f"'{ast.unparse(node)}' is no whole number; write int({ast.unparse(node)})")
        return cast(code, kind, INDEX)

    def rounded(self, code: str) -> Value:
        """A float result, rounded to half where the codelet accumulates in half."""
        return (f"__to_half({code})" if self.rewriter.accumulate_half else code), F32

    # leaves ----------------------------------------------------------------------------------------------------

    def _constant(self, node: ast.Constant) -> Value:
        if isinstance(node.value, (bool, int, float)):
            return "", Literal(node.value)
        raise self.error(node, f"tile code has no {type(node.value).__name__} values, only numbers")

    def _name(self, node: ast.Name) -> Value:
        name = node.id
        if name in self.locals:
            if self.defined is not None and name not in self.defined:
                raise self.error(
                    node, f"'{name}' may have no value here; give it one before the branch or loop that sets it"
                )
            if name in self.kinds:
                return name, self.kinds[name]
        if name in self.parameters:
            kind = self.parameters[name]
            if name in self.scalars:
                return f"{name}[0]", kind.element
            return name, kind
        found = self.rewriter.file.namespace.get(name)
        if isinstance(found, (bool, int, float, np.generic)):
            return "", Literal(found.item() if isinstance(found, np.generic) else found)
        if name in self.rewriter.info.fields:
            raise self.error(node, f"field '{name}' is not an argument of compute; add it")
        known = [*self.parameters, *self.locals, *self.rewriter.file.functions, *_FUNCTIONS]
        raise self.error(node, f"tile code knows no '{name}' with a value.{did_you_mean(name, known)}")

    def _attribute(self, node: ast.Attribute) -> Value:
        name = node.attr
        module = self._module(node.value)
        if module is not None:
            found = getattr(module, name, None)
            if isinstance(found, (int, float)):
                return "", Literal(found)
            raise self.error(node, f"'{ast.unparse(node)}' is no number")
        code, kind = self._array(node.value)
        if name in ("size", "rows", "cols", "ndim"):
            if name == "ndim":
                return "", Literal(kind.ndim)
            if name == "size":
                return f"{code}.size", INDEX
            if name == "rows":
                return (f"{code}.shape[0]", INDEX) if kind.ndim == 2 else ("", Literal(1))
            return f"{code}.shape[{kind.ndim - 1}]", INDEX
        raise self.error(node, f"an array has .size .rows .cols .shape[axis], not .{name}")

    def _array(self, node: ast.expr) -> tuple[str, Array]:
        if isinstance(node, ast.Name) and node.id in self.scalars and isinstance(self.parameters[node.id], Array):
            return node.id, self.parameters[node.id]
        code, kind = self.value(node)
        if not isinstance(kind, Array):
            raise self.error(node, f"'{ast.unparse(node)}' is a number, not an array")
        return code, kind

    def _module(self, node: ast.expr) -> Any:
        if isinstance(node, ast.Name) and node.id not in self.locals and node.id not in self.parameters:
            found = self.rewriter.file.namespace.get(node.id)
            if found is math or found is np:
                return found
        return None

    # elements and windows --------------------------------------------------------------------------------------

    def _subscript(self, node: ast.Subscript) -> Value:
        if isinstance(node.value, ast.Attribute) and node.value.attr == "shape":
            return self._shape(node)
        code, kind = self._array(node.value)
        parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        if len(parts) > kind.ndim:
            raise self.error(node, f"'{ast.unparse(node.value)}' has {kind.ndim} axes, not {len(parts)}")
        codes, left = [], kind.ndim
        for part in parts:
            if isinstance(part, ast.Slice):
                pieces = [self.index(p) if p is not None else "" for p in (part.lower, part.upper)]
                pieces += [self.index(part.step)] if part.step is not None else []
                codes.append(":".join(pieces))
            else:
                codes.append(self.index(part))
                left -= 1
        text = f"{code}[{', '.join(codes)}]"
        return text, kind.element if left == 0 else Array(kind.element, left, kind.field, kind.writable)

    def _shape(self, node: ast.Subscript) -> Value:
        assert isinstance(node.value, ast.Attribute)
        code, kind = self._array(node.value.value)
        _, axis = self.value(node.slice)
        if not isinstance(axis, Literal) or axis.value not in range(-kind.ndim, kind.ndim):
            raise self.error(node, f"shape[axis] needs a number below {kind.ndim}")
        return f"{code}.shape[{axis.value % kind.ndim}]", INDEX

    # operations ------------------------------------------------------------------------------------------------

    def _binop(self, node: ast.BinOp) -> Value:
        return self.binary(node, type(node.op), self.scalar(node.left), self.scalar(node.right))

    def binary(self, node: ast.AST, op: type, left: Value, right: Value) -> Value:
        """An arithmetic or bit operation on two scalars."""
        (a, ka), (b, kb) = left, right
        if op is ast.MatMult:
            raise self.error(node, "write multiply_accumulate(out, a, b) for a matrix product")
        if isinstance(ka, Literal) and isinstance(kb, Literal):
            return self._fold(node, op, ka.value, kb.value)
        if op in (ast.LShift, ast.RShift, ast.BitAnd, ast.BitOr, ast.BitXor):
            return self._bits(node, op, left, right)
        kind = common(ka, kb, arithmetic=True)
        if op is ast.Pow:
            return self._power(node, left, right, kind)
        if op is ast.Div:
            kind = F32
        a, b = cast(a, ka, kind), cast(b, kb, kind)
        if op in _SYMBOL:
            code = f"({a} {_SYMBOL[op]} {b})"
            return self.rounded(code) if kind == F32 else (self._wrapped(code, kind), kind)
        if kind == F32:
            if op is ast.Div:
                return self.rounded(f"({a} / {b})")
            return self.rounded(f"__floor({a} / {b})" if op is ast.FloorDiv else f"__f32(__float_modulo({a}, {b}))")
        name = "div" if op is ast.FloorDiv else "mod"
        if isinstance(kb, Literal) and kb.value > 0:
            return self._wrapped(f"({a} {'//' if name == 'div' else '%'} {b})", kind), kind
        return self._wrapped(f"__{'unsigned' if is_unsigned(kind) else 'floor'}_{name}({a}, {b})", kind), kind

    def _wrapped(self, code: str, kind: str) -> str:
        """Compiled code computes in 64 bits: cut to the width of a narrower kind."""
        return f"__{kind}({code})" if kind in WIDTH and WIDTH[kind] < 64 else code

    def _fold(self, node: ast.AST, op: type, a: Any, b: Any) -> Value:
        try:
            value = _FOLD[op](a, b)
        except (ArithmeticError, ValueError, TypeError) as error:
            raise self.error(node, f"{a!r} and {b!r}: {error}") from None
        if isinstance(value, complex):
            raise self.error(node, f"{a!r} ** {b!r} is complex")
        return "", Literal(value)

    def _bits(self, node: ast.AST, op: type, left: Value, right: Value) -> Value:
        (a, ka), (b, kb) = left, right
        shift = op in (ast.LShift, ast.RShift)
        kind = common(ka, kb, arithmetic=shift)
        if kind == F32:
            raise self.error(node, f"'{_SYMBOL[op]}' works on whole numbers and bools; an operand is a float")
        a, b = cast(a, ka, kind), cast(b, kb, kind)
        if not shift:
            return (
                (f"({a} {_SYMBOL[op]} {b})", BOOL)
                if kind == BOOL
                else (self._wrapped(f"({a} {_SYMBOL[op]} {b})", kind), kind)
            )
        if isinstance(kb, Literal) and 0 <= kb.value < WIDTH.get(kind, 64):
            return self._wrapped(f"({a} {_SYMBOL[op]} {b})", kind), kind
        name = "shift_left" if op is ast.LShift else "shift_right_unsigned" if is_unsigned(kind) else "shift_right"
        return self._wrapped(f"__{name}({a}, {b})", kind), kind

    def _power(self, node: ast.AST, left: Value, right: Value, kind: str) -> Value:
        (a, ka), (b, kb) = left, right
        exponent = kb.value if isinstance(kb, Literal) else None
        if kind != F32 and exponent is not None and exponent < 0:
            kind = F32
        if exponent == 2:
            return self._result(f"__square({cast(a, ka, kind)})", kind)
        if kind == F32:
            if exponent == 0.5:
                return self.rounded(f"__sqrt({cast(a, ka, F32)})")
            return self.rounded(f"__f32(__power({cast(a, ka, F32)}, {cast(b, kb, F32)}))")
        one = cast("", Literal(1), kind)
        return self._wrapped(f"__int_power({cast(a, ka, kind)}, {cast(b, kb, INDEX)}, {one})", kind), kind

    def _result(self, code: str, kind: str) -> Value:
        return self.rounded(code) if kind == F32 else (self._wrapped(code, kind), kind)

    def _unaryop(self, node: ast.UnaryOp) -> Value:
        if isinstance(node.op, ast.Not):
            return f"(not {self.condition(node.operand)})", BOOL
        code, kind = self.scalar(node.operand)
        if isinstance(kind, Literal):
            fold = {ast.USub: operator.neg, ast.UAdd: operator.pos, ast.Invert: operator.invert}[type(node.op)]
            return self._fold_one(node, fold, kind.value)
        if isinstance(node.op, ast.Invert):
            if kind == BOOL:
                return f"(not {code})", BOOL
            if kind == F32:
                raise self.error(node, "'~' works on whole numbers and bools, not on floats")
            ones = limits(kind)[1] if is_unsigned(kind) else -1
            return self._wrapped(f"({code} ^ {cast('', Literal(ones), kind)})", kind), kind
        if kind == BOOL:
            code, kind = cast(code, BOOL, "i32"), "i32"
        if isinstance(node.op, ast.UAdd):
            return code, kind
        if kind in (F32, INDEX):
            return f"(-{code})", kind
        return self._wrapped(f"({cast('', Literal(0), kind)} - {code})", kind), kind

    def _fold_one(self, node: ast.AST, fold: Any, value: Any) -> Value:
        try:
            return "", Literal(fold(int(value) if isinstance(value, bool) else value))
        except TypeError as error:
            raise self.error(node, str(error)) from None

    def _compare(self, node: ast.Compare) -> Value:
        terms, left = [], self.scalar(node.left)
        for op, other in zip(node.ops, node.comparators, strict=True):
            if type(op) not in _SYMBOL:
                raise self.error(node, f"tile code has no '{ast.unparse(node)}'; compare with == != < <= > >=")
            right = self.scalar(other)
            terms.append(self._comparison(_SYMBOL[type(op)], left, right))
            left = right
        return (terms[0] if len(terms) == 1 else f"({' and '.join(terms)})"), BOOL

    def _comparison(self, symbol: str, left: Value, right: Value) -> str:
        (a, ka), (b, kb) = left, right
        kind = comparable(ka, kb)
        if kind == BOOL and symbol not in ("==", "!="):
            kind = "i32"
        return f"({cast(a, ka, kind)} {symbol} {cast(b, kb, kind)})"

    def _boolop(self, node: ast.BoolOp) -> Value:
        word = " and " if isinstance(node.op, ast.And) else " or "
        return f"({word.join(self.condition(v) for v in node.values)})", BOOL

    def _ifexp(self, node: ast.IfExp) -> Value:
        test = self.condition(node.test)
        (a, ka), (b, kb) = self.scalar(node.body), self.scalar(node.orelse)
        kind = common(ka, kb)
        return f"({cast(a, ka, kind)} if {test} else {cast(b, kb, kind)})", kind

    # calls -----------------------------------------------------------------------------------------------------

    def _call(self, node: ast.Call) -> Value:
        name = self._callee(node)
        if isinstance(node.func, ast.Name) and name in self.rewriter.file.functions:
            by_name = {k.arg or "": self._argument(k.value) for k in node.keywords}
            return self.rewriter.call(node, name, [self._argument(a) for a in node.args], by_name)
        if name == "multiply_accumulate":
            return self._matmul(node)
        if name == "convolve":
            return self._convolve(node)
        if name in _CASTS and not (isinstance(node.func, ast.Name) and name == "bool"):
            return self.converted(self._arguments(node, name, 1)[0], _CASTS[name]), _CASTS[name]
        name = _OTHER_NAMES.get(name, name)
        if name not in _FUNCTIONS:
            raise self.error(
                node, f"tile code cannot call '{ast.unparse(node.func)}'.{did_you_mean(name, sorted(_FUNCTIONS))}"
            )
        if node.keywords:
            raise self.error(node, f"{name} takes no keyword arguments in tile code")
        return self._known(node, name)

    def _callee(self, node: ast.Call) -> str:
        if isinstance(node.func, ast.Name):
            name = node.func.id
            if name in self.rewriter.file.functions:
                return name
            found = self.rewriter.file.namespace.get(name, getattr(builtins, name, None))
            if callable(found):
                return {"power": "pow"}.get(getattr(found, "__name__", name), getattr(found, "__name__", name))
            raise self.error(
                node,
                f"tile code cannot call '{name}'.{did_you_mean(name, [*self.rewriter.file.functions, *_FUNCTIONS])}",
            )
        if isinstance(node.func, ast.Attribute) and self._module(node.func.value) is not None:
            if node.func.attr == "float64":
                raise self.error(node, "there is no float64 on a tile; use float(x), which is float32")
            return node.func.attr
        raise self.error(
            node, f"tile code cannot call '{ast.unparse(node.func)}'; use functions of the file, math or numpy"
        )

    def _argument(self, node: ast.expr) -> Value:
        if isinstance(node, ast.Starred):
            raise self.error(node, "tile code has no `*`; name every argument")
        return self.value(node)

    def _arguments(self, node: ast.Call, name: str, count: int) -> list[ast.expr]:
        if len(node.args) != count:
            raise self.error(
                node, f"{name} takes {count} argument{'s' * (count > 1)} in tile code, not {len(node.args)}"
            )
        return node.args

    def _known(self, node: ast.Call, name: str) -> Value:
        if name in ("min", "max"):
            return self._extreme(node, name)
        if name == "len":
            return f"{self._array(self._arguments(node, name, 1)[0])[0]}.shape[0]", INDEX
        if name in ("random_bits", "random_uniform"):
            parts = [
                self.converted(a, k)
                for a, k in zip(self._arguments(node, name, 4), ("u32", "u32", "u32", "u64"), strict=True)
            ]
            return f"__{name}({', '.join(parts)})", "u32" if name == "random_bits" else F32
        if name in ("pow", "atan2", "hypot", "fmod"):
            left, right = (self.scalar(a) for a in self._arguments(node, name, 2))
            if name == "pow":
                return self.binary(node, ast.Pow, left, right)
            return self._two(name, left, right)
        code, kind = self.scalar(self._arguments(node, name, 1)[0])
        if isinstance(kind, Literal):
            code, kind = cast(code, kind, settle(kind)), settle(kind)
        return self._one(name, code, kind)

    def _two(self, name: str, left: Value, right: Value) -> Value:
        (a, ka), (b, kb) = left, right
        kind = common(ka, kb, arithmetic=True)
        if name == "fmod" and kind != F32:
            if is_unsigned(kind):
                return self._wrapped(f"__unsigned_mod({cast(a, ka, kind)}, {cast(b, kb, kind)})", kind), kind
            return self._wrapped(f"__remainder({cast(a, ka, kind)}, {cast(b, kb, kind)})", kind), kind
        return self.rounded(f"__f32(__{name}({cast(a, ka, F32)}, {cast(b, kb, F32)}))")

    def _one(self, name: str, code: str, kind: str) -> Value:
        if name in _SERIES:
            return self.rounded(f"__f32(__{name}({cast(code, kind, F32)}))")
        if name == "sqrt":
            return self.rounded(f"__sqrt({cast(code, kind, F32)})")
        if name == "float":
            return cast(code, kind, F32), F32
        if name == "int":
            whole = kind if is_integer(kind) else "i32"
            return cast(code, kind, whole), whole
        if name == "bool":
            return cast(code, kind, BOOL), BOOL
        if name in ("is_nan", "is_inf", "is_finite"):
            return f"__{name}({cast(code, kind, F32)})", BOOL
        if kind == BOOL:
            code, kind = cast(code, BOOL, "i32"), "i32"
        if name == "square":
            return self._result(f"__square({code})", kind)
        if name == "abs":
            if kind == F32:
                return f"abs({code})", F32
            return (code, kind) if is_unsigned(kind) else (self._wrapped(f"__absolute({code})", kind), kind)
        return (f"__{name}({code})", F32) if kind == F32 else (code, kind)

    def _extreme(self, node: ast.Call, name: str) -> Value:
        if len(node.args) < 2:
            raise self.error(node, f"{name} takes two or more numbers in tile code; write a loop over an array")
        values = [self.scalar(a) for a in node.args]
        kind: Any = values[0][1]
        for _, other in values[1:]:
            kind = common(kind, other)
        code = cast(*values[0], kind)
        for value in values[1:]:
            code = f"__{'larger' if name == 'max' else 'smaller'}({code}, {cast(*value, kind)})"
        return code, kind

    def _matmul(self, node: ast.Call) -> Value:
        names = ("out", "a", "b", "transpose_a", "transpose_b", "accumulate")
        given = dict(zip(names, node.args, strict=False)) | {k.arg: k.value for k in node.keywords}
        unknown = [n for n in given if n not in names]
        if unknown or len(node.args) > len(names) or not {"out", "a", "b"} <= set(given):
            raise self.error(node, f"multiply_accumulate takes ({', '.join(names)})")
        arrays = [self._array(given[n]) for n in ("out", "a", "b")]
        if any(kind.ndim != 2 for _, kind in arrays) or len({kind.element for _, kind in arrays}) != 1:
            raise self.error(node, "multiply_accumulate takes three matrices whose elements compute in one type")
        if not arrays[0][1].writable:
            raise self.error(node, f"field '{arrays[0][1].field}' is an Input and cannot be written")
        flags = [
            self.condition(given[n]) if n in given else str(default)
            for n, default in (("transpose_a", False), ("transpose_b", False), ("accumulate", True))
        ]
        if arrays[0][1].element == F32:
            self.rewriter.uses_blas = True
        elif arrays[0][1].element == BOOL:
            raise self.error(node, "multiply_accumulate takes numbers, not bools")
        return f"__matmul({', '.join([c for c, _ in arrays] + flags)}, __blas)", None

    def _convolve(self, node: ast.Call) -> Value:
        if len(node.args) != 5 or node.keywords:
            raise self.error(node, "convolve takes (out, a, b, shape, form)")
        arrays = [self._array(a) for a in node.args[:4]]
        form = ast.unparse(node.args[4])
        if not form.isdigit() or int(form) > 5:
            raise self.error(node, "the form of a convolve is a number from 0 to 5; see poplar_py/codelet/convolve.py")
        if any(kind.ndim != 2 or kind.element != F32 for _, kind in arrays[:3]) or arrays[3][1].element != "i32":
            raise self.error(node, "convolve takes three matrices of floats or halfs and a vector of INT")
        if not arrays[0][1].writable:
            raise self.error(node, f"field '{arrays[0][1].field}' is an Input and cannot be written")
        self.rewriter.uses_blas = True
        return f"__convolve_by({', '.join([c for c, _ in arrays] + [form])}, __blas)", None
