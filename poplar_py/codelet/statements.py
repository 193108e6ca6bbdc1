"""Statements of tile code: one function rewritten with every type written out."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from .expressions import ExpressionWriter, Value
from .kinds import INDEX, Array, Literal, cast, common, is_integer, settle

if TYPE_CHECKING:
    from .rewrite import Rewriter

_ADVICE = {
    ast.Try: "try; tile code raises nothing, test the values",
    ast.With: "with",
    ast.Raise: "raise; write a flag to an output",
    ast.Assert: "assert; write a flag to an output",
    ast.Delete: "del",
    ast.FunctionDef: "functions inside functions; write it at the top of the file",
    ast.ClassDef: "classes inside functions",
    ast.Import: "imports; write them at the top of the file",
    ast.ImportFrom: "imports; write them at the top of the file",
    ast.Global: "global; pass values as arguments",
    ast.Nonlocal: "nonlocal; pass values as arguments",
    ast.Match: "match; write if",
}
_MAX_WALKS = 12  # kinds only ever grow, through a handful of steps


class FunctionWriter(ExpressionWriter):
    """Rewrites one function for given kinds of its arguments."""

    def __init__(
        self, rewriter: Rewriter, tree: ast.FunctionDef, name: str, parameters: dict[str, Any], scalars: set[str]
    ):
        self.rewriter = rewriter
        self.tree = tree
        self.name = name
        self.parameters = parameters
        self.scalars = {s for s in scalars if s in parameters}
        stored = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
        self.locals = stored - self.scalars
        self.kinds: dict[str, Any] = {}
        self.result: Any = None
        for bad in sorted(n for n in stored | set(parameters) if n.startswith("__")):
            raise self.error(tree, f"'{bad}': names with two underscores in front are ours")
        for local in self.locals:  # a constant or argument that is assigned to
            kind = parameters.get(local)
            if isinstance(kind, Array):
                raise self.error(
                    tree, f"'{local}' is a field; write its elements: {local}[i] = ... or {local}[:] = ..."
                )
            if kind is not None:
                self.kinds[local] = kind

    def write(self) -> tuple[str, Any]:
        """The rewritten source and the kind of the result (None for none). Raises CodeletError."""
        for _ in range(_MAX_WALKS):
            before = dict(self.kinds), self.result
            self.lines: list[str] = []
            self.depth = 1
            self.temporaries = 0
            self.loops = 0
            self.defined: set[str] | None = {n for n in self.locals if n in self.parameters}
            self._widen_parameters()
            self.block(self.tree.body)
            if (self.kinds, self.result) == before:
                break
        if self.result is not None and self.defined is not None:
            raise self.error(self.tree, f"{self.tree.name} may end without `return`ing a value")
        header = f"def {self.name}({', '.join([*self.parameters, '__blas'])}):"
        return "\n".join([header, *(self.lines or ["    pass"])]), self.result

    def _widen_parameters(self) -> None:
        for name in sorted(self.locals):
            kind = self.parameters.get(name)
            if kind is not None and self.kinds[name] != kind:
                self.emit(f"{name} = {cast(name, kind, self.kinds[name])}")

    # text ------------------------------------------------------------------------------------------------------

    def emit(self, line: str) -> None:
        self.lines.append("    " * self.depth + line)

    def temporary(self) -> str:
        self.temporaries += 1
        return f"__t{self.temporaries}"

    def block(self, body: list[ast.stmt]) -> None:
        start = len(self.lines)
        for statement in body:
            self.statement(statement)
        if len(self.lines) == start:
            self.emit("pass")

    def statement(self, node: ast.stmt) -> None:
        method = getattr(self, "do_" + type(node).__name__.lower(), None)
        if method is None:
            raise self.error(node, f"tile code has no {_ADVICE.get(type(node), type(node).__name__)}")
        method(node)

    # assignments -----------------------------------------------------------------------------------------------

    def do_assign(self, node: ast.Assign) -> None:
        if len(node.targets) > 1:
            name, kind = self._hold(node.value)
            for target in node.targets:
                self._store(target, (name, kind), node)
        elif isinstance(node.targets[0], (ast.Tuple, ast.List)):
            self._unpack(node, node.targets[0].elts)
        else:
            self._store(node.targets[0], self._assigned(node.targets[0], node.value), node)

    def do_annassign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self._store(node.target, self._assigned(node.target, node.value), node)

    def do_augassign(self, node: ast.AugAssign) -> None:
        read = ast.copy_location(_as_load(node.target), node.target)
        self._store(node.target, self.binary(node, type(node.op), self.scalar(read), self.scalar(node.value)), node)

    def _assigned(self, target: ast.expr, value: ast.expr) -> Value:
        """The value; a quotient of whole numbers stored in a whole-number element is exact and rounded towards zero."""
        if isinstance(value, ast.BinOp) and isinstance(value.op, ast.Div) and self._whole_element(target):
            left, right = self.scalar(value.left), self.scalar(value.right)
            kinds = [k for _, k in (left, right)]
            whole = all(is_integer(k) or (isinstance(k, Literal) and isinstance(k.value, int)) for k in kinds)
            if whole and not all(isinstance(k, Literal) for k in kinds):
                kind = common(left[1], right[1], arithmetic=True)
                a, b = cast(*left, kind), cast(*right, kind)
                name = "unsigned_div" if kind[0] == "u" else "quotient"
                return self._wrapped(f"__{name}({a}, {b})", kind), kind
        return self.value(value)

    def _whole_element(self, target: ast.expr) -> bool:
        if isinstance(target, ast.Name) and target.id in self.scalars:
            return is_integer(self.parameters[target.id].element)
        return isinstance(target, ast.Subscript) and is_integer(self.value(_as_load(target))[1])

    def _hold(self, value: ast.expr) -> Value:
        code, kind = self.value(value)
        if isinstance(kind, Literal):
            return code, kind
        name = self.temporary()
        self.emit(f"{name} = {code}")
        return name, kind

    def _unpack(self, node: ast.Assign, targets: list[ast.expr]) -> None:
        value = node.value
        if isinstance(value, ast.Attribute) and value.attr == "shape":
            axes = [ast.Subscript(value, ast.Constant(k), ast.Load()) for k in range(len(targets))]
            value = ast.Tuple([ast.copy_location(ast.fix_missing_locations(a), node) for a in axes], ast.Load())
        if not isinstance(value, (ast.Tuple, ast.List)) or len(value.elts) != len(targets):
            raise self.error(node, f"write as many values as names: {', '.join('x' for _ in targets)} = ...")
        for target, held in zip(targets, [self._hold(v) for v in value.elts], strict=True):
            self._store(target, held, node)

    def _store(self, target: ast.expr, value: Value, node: ast.stmt) -> None:
        code, kind = value
        if kind is None:
            raise self.error(node, f"'{ast.unparse(node)}': the right side has no value")
        if isinstance(target, ast.Name):
            self._store_name(target, code, kind)
        elif isinstance(target, ast.Subscript):
            self._store_element(target, code, kind, node)
        else:
            raise self.error(target, f"tile code cannot assign to '{ast.unparse(target)}'")

    def _store_name(self, target: ast.Name, code: str, kind: Any) -> None:
        name = target.id
        if name in self.scalars:
            self._may_write(target, self.parameters[name])
            if isinstance(kind, Array):
                raise self.error(target, f"'{name}' is one element; the right side is an array")
            self.emit(f"{name}[0] = {cast(code, kind, self.parameters[name].element)}")
            return
        known = self.kinds.get(name)
        if isinstance(kind, Array):
            if known is not None and known != kind:
                raise self.error(target, f"'{name}' names different things in different places; use two names")
            self.kinds[name] = kind
            self.emit(f"{name} = {code}")
        else:
            if isinstance(known, Array):
                raise self.error(target, f"'{name}' names an array elsewhere; use two names")
            wanted = settle(kind) if known is None else common(known, settle(kind))
            self.kinds[name] = wanted
            self.emit(f"{name} = {cast(code, kind, wanted)}")
        if self.defined is not None:
            self.defined.add(name)

    def _may_write(self, node: ast.AST, array: Array) -> None:
        if not array.writable:
            raise self.error(
                node, f"field '{array.field}' is an Input and cannot be written; make it an InOut or Output"
            )

    def _store_element(self, target: ast.Subscript, code: str, kind: Any, node: ast.stmt) -> None:
        place, element = self.value(_as_load(target))
        if isinstance(element, Array):
            self._may_write(target, element)
            self._fill(place, element, code, kind, node)
            return
        _, array = self._array(target.value)
        self._may_write(target, array)
        if isinstance(kind, Array):
            raise self.error(node, f"'{ast.unparse(target)}' is one element; the right side is an array")
        self.emit(f"{place} = {cast(code, kind, element)}")

    def _fill(self, place: str, array: Array, code: str, kind: Any, node: ast.stmt) -> None:
        """Whole-array statements: out[:] = 0, out[:] = a, out[i] = row."""
        if isinstance(kind, Array) and kind.ndim != array.ndim:
            raise self.error(node, f"the left side has {array.ndim} axes, the right side {kind.ndim}")
        goal, depth = self.temporary(), self.depth
        self.emit(f"{goal} = {place}")
        source = self.temporary()
        self.emit(f"{source} = {code if isinstance(kind, Array) else cast(code, kind, array.element)}")
        counters = [self.temporary() for _ in range(array.ndim)]
        for axis, counter in enumerate(counters):
            self.emit(f"for {counter} in range({goal}.shape[{axis}]):")
            self.depth += 1
        at = ", ".join(counters)
        right = cast(f"{source}[{at}]", kind.element, array.element) if isinstance(kind, Array) else source
        self.emit(f"{goal}[{at}] = {right}")
        self.depth = depth

    # control ---------------------------------------------------------------------------------------------------

    def do_for(self, node: ast.For) -> None:
        if node.orelse:
            raise self.error(node, "tile code has no `else` of loops")
        if not isinstance(node.target, ast.Name):
            raise self.error(node, "a loop counts one name: `for i in range(...)`")
        self.loops += 1
        call = node.iter
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "range":
            if not 1 <= len(call.args) <= 3 or call.keywords:
                raise self.error(node, "range takes one to three whole numbers")
            bounds = [self.index(a) for a in call.args]
            if bounds[2:] == ["0"]:
                raise self.error(node, "the step of range must not be 0")
            each: Value = ("", INDEX)
            header = f"in range({', '.join(bounds)}):"
        else:
            array, kind = self._iterated(node, call)
            each = (array, kind.element if kind.ndim == 1 else Array(kind.element, 1, kind.field, kind.writable))
            header = f"in range({array}.shape[0]):"
        self._loop_body(node, header, each)

    def _iterated(self, node: ast.For, iterated: ast.expr) -> tuple[str, Array]:
        if isinstance(iterated, ast.Call):
            raise self.error(node, f"tile code loops over range(...) or an array, not {ast.unparse(iterated)}")
        return self._array(iterated)

    def _loop_body(self, node: ast.For, header: str, each: Value) -> None:
        assert isinstance(node.target, ast.Name)
        name, (array, kind) = node.target.id, each
        known = self.kinds.get(name)
        wanted = kind if isinstance(kind, Array) or known is None else common(known, kind)
        self.kinds[name] = wanted
        plain = not array and wanted == INDEX and name not in self.scalars
        counter = name if plain else self.temporary()
        self.emit(f"for {counter} {header}")
        before = self.defined
        self.defined = None if before is None else before | {name}
        self.depth += 1
        if not plain:
            code = f"{array}[{counter}]" if array else counter
            self._store_name(node.target, code, kind)
        self.block(node.body)
        self.depth -= 1
        self.defined = before
        self.loops -= 1

    def do_while(self, node: ast.While) -> None:
        if node.orelse:
            raise self.error(node, "tile code has no `else` of loops")
        self.emit(f"while {self.condition(node.test)}:")
        self.loops += 1
        before = self.defined
        self.defined = None if before is None else set(before)
        self.depth += 1
        self.block(node.body)
        self.depth -= 1
        self.defined = before
        self.loops -= 1

    def do_if(self, node: ast.If) -> None:
        self.emit(f"if {self.condition(node.test)}:")
        before = self.defined
        ends = []
        for part in (node.body, node.orelse):
            self.defined = None if before is None else set(before)
            if part:
                self.depth += 1
                self.block(part)
                self.depth -= 1
            ends.append(self.defined)
            if part is node.body and node.orelse:
                self.emit("else:")
        reached = [e for e in ends if e is not None]
        self.defined = set.intersection(*reached) if reached else None

    def do_break(self, node: ast.Break) -> None:
        self.emit("break")
        self.defined = None

    def do_continue(self, node: ast.Continue) -> None:
        self.emit("continue")
        self.defined = None

    def do_pass(self, node: ast.Pass) -> None:
        self.emit("pass")

    def do_return(self, node: ast.Return) -> None:
        if node.value is not None:
            if self.name == "compute":
                raise self.error(node, "compute returns nothing; write its results to output fields")
            code, kind = self.scalar(node.value)
            wanted = settle(kind) if self.result is None else common(self.result, settle(kind))
            self.result = wanted
            self.emit(f"return {cast(code, kind, wanted)}")
        else:
            self.emit("return")
        self.defined = None

    def do_expr(self, node: ast.Expr) -> None:
        if isinstance(node.value, ast.Constant):
            return  # a docstring
        code, kind = self.value(node.value)
        if kind is not None:
            raise self.error(node, f"'{ast.unparse(node)}' does nothing")
        self.emit(code)


def _as_load(target: ast.expr) -> ast.expr:
    if isinstance(target, ast.Name):
        return ast.copy_location(ast.Name(target.id, ast.Load()), target)
    if isinstance(target, ast.Subscript):
        return ast.copy_location(ast.Subscript(target.value, target.slice, ast.Load()), target)
    return target
