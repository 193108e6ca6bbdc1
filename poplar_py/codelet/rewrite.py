"""Rewriting of `compute` for given element types: Python in, Python with every type written out.

The result is the one source both engines run: plain Python on numpy scalars, or compiled. Each operation is done in
the kind that kinds.py gives its operands and cast back to it, so both round and wrap at the same points. Locals get
their kinds by repeating the walk until none changes; the last walk's text is the result.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..dtypes import HALF, DType
from ..errors import CodeletError
from .codelet import MATRIX, SCALAR
from .kinds import Array, Literal, cast, kind_of, settle
from .statements import FunctionWriter

if TYPE_CHECKING:
    from .library import CodeletInfo


@dataclass(frozen=True)
class Rewritten:
    """A rewritten codelet: Python source of its functions, `compute` last; whether it takes a `__blas` argument."""

    text: str
    arguments: tuple[str, ...]
    uses_blas: bool


class Rewriter:
    """The functions of one codelet being rewritten for one choice of element types."""

    def __init__(self, info: CodeletInfo, dtypes: Mapping[str, DType]):
        self.info = info
        self.file = info.file
        self.accumulate_half = info.cls.accumulate is HALF
        self.uses_blas = False
        self.written: dict[tuple, tuple[str, str, Any]] = {}  # helper and argument kinds -> name, text, result kind
        self.active: list[str] = []
        self.count = 0
        self.parameters: dict[str, Any] = {}
        for name, field in info.fields.items():
            kind = kind_of(dtypes[name])
            if field.direction == "constant":
                self.parameters[name] = kind
            else:
                axes = 2 if field.kind == MATRIX else 1
                self.parameters[name] = Array(kind, axes, name, field.direction != "in")

    @property
    def scalars(self) -> set[str]:
        """Fields of one element, which may be named bare."""
        return {f.name for f in self.info.fields.values() if f.kind == SCALAR and f.direction != "constant"}

    def error(self, node: ast.AST, message: str) -> CodeletError:
        line = getattr(node, "lineno", self.info.line)
        return CodeletError(f"{self.file.path}:{line}: codelet {self.info.name}: {message}")

    def run(self) -> Rewritten:
        """Rewrite `compute` and what it calls. Raises CodeletError."""
        tree = self.info.compute
        names = tuple(a.arg for a in (*tree.args.posonlyargs, *tree.args.args))
        writer = FunctionWriter(self, tree, "compute", {n: self.parameters[n] for n in names}, self.scalars)
        text, _ = writer.write()
        parts = [part for _, part, _ in self.written.values()] + [text]
        return Rewritten("\n\n".join(parts) + "\n", names, self.uses_blas)

    def call(
        self, node: ast.Call, name: str, given: list[tuple[str, Any]], by_name: dict[str, tuple[str, Any]]
    ) -> tuple[str, Any]:
        """Source and kind of a call of a function of the file, which is rewritten for these argument kinds."""
        tree = self.file.functions[name]
        if name in self.active:
            raise self.error(node, f"{name} calls itself; tile code has no recursion, write a loop")
        values = self._bind(node, name, tree, given, by_name)
        kinds = {n: settle(kind) for n, (_, kind) in values.items()}
        key = (name, *kinds.values())
        if key not in self.written:
            self.active.append(name)
            new = f"__{name}_{self.count}"
            self.count += 1
            text, result = FunctionWriter(self, tree, new, kinds, set()).write()
            self.active.pop()
            self.written[key] = (new, text, result)
        new, _, result = self.written[key]
        codes = [code if isinstance(kind, Array) else cast(code, kind, kinds[n]) for n, (code, kind) in values.items()]
        return f"{new}({', '.join([*codes, '__blas'])})", result

    def _bind(self, node: ast.Call, name: str, tree: ast.FunctionDef, given: list, by_name: dict) -> dict[str, tuple]:
        arguments = tree.args
        if arguments.vararg or arguments.kwarg or arguments.kwonlyargs:
            raise self.error(tree, f"{name} takes plain arguments only, without * or **")
        names = [a.arg for a in (*arguments.posonlyargs, *arguments.args)]
        values: dict[str, Any] = {}
        for parameter, default in zip(names[len(names) - len(arguments.defaults) :], arguments.defaults, strict=True):
            if not isinstance(default, ast.Constant) or not isinstance(default.value, (int, float)):
                raise self.error(default, f"the default of {name}'s argument '{parameter}' must be a number")
            values[parameter] = ("", Literal(default.value))
        if len(given) > len(names):
            raise self.error(node, f"{name} takes {len(names)} arguments, not {len(given)}")
        values |= dict(zip(names, given, strict=False))
        for keyword, value in by_name.items():
            if keyword not in names:
                raise self.error(node, f"{name} has no argument '{keyword}'")
            values[keyword] = value
        absent = [n for n in names if n not in values]
        if absent:
            raise self.error(node, f"{name} is called without its argument '{absent[0]}'")
        return {n: values[n] for n in names}
