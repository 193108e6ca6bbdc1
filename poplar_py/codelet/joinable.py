"""Which codelets do to neighbours what they do to each: vertices whose windows continue one another are one loop then.

`compute` must be one loop over the elements of vectors, or over rows and in each over columns of matrices, that names
fields only by the loop's places, takes the places for nothing else, and takes nothing along from turn to turn.
"""

from __future__ import annotations

import ast
from functools import lru_cache
from typing import TYPE_CHECKING

from .codelet import MATRIX, SCALAR, VECTOR

if TYPE_CHECKING:
    from .library import CodeletInfo

_SCOPES = (ast.Lambda, ast.ListComp, ast.GeneratorExp)  # their names are not those of the turn


class _No(Exception):
    """It is not such a codelet."""


@lru_cache(maxsize=4096)
def continued(info: CodeletInfo) -> frozenset[str]:
    """The fields whose windows continue from vertex to vertex where vertices may be joined; the others must be the same.
    Empty where they may not be."""
    try:
        return _Reader(info).read()
    except _No:
        return frozenset()


class _Reader:
    def __init__(self, info: CodeletInfo):
        self.info = info
        self.fields = {n: f for n, f in info.fields.items() if f.direction != "constant"}
        self.places: dict[str, tuple[str, ...]] = {}  # of fields with axes: what each is named by

    def read(self) -> frozenset[str]:
        body = [s for s in self.info.compute.body if not _is_text(s)]
        if any(f.kind == SCALAR and f.direction != "in" for f in self.fields.values()):
            raise _No
        outer, over, axis = self._loop(body)
        if self.fields[over].kind == VECTOR:
            along, body = VECTOR, outer.body
            places: dict[str, tuple[str, ...]] = {VECTOR: (_name(outer),)}
            if any(f.kind == MATRIX for f in self.fields.values()):
                raise _No
        else:
            inner, across, axis_in = self._loop(outer.body)
            if axis != 0 or (self.fields[across].kind, axis_in) not in ((MATRIX, 1), (VECTOR, 0)):
                raise _No
            along, body = MATRIX, inner.body
            places = {MATRIX: (_name(outer), _name(inner)), VECTOR: (_name(inner),)}
            if any(f.kind == VECTOR and f.direction != "in" for f in self.fields.values()):
                raise _No  # rows would be summed in it
        self.places = {n: places[f.kind] for n, f in self.fields.items() if f.kind != SCALAR}
        self.counters = {name for names in places.values() for name in names}
        self.locals = {
            n.id for s in body for n in ast.walk(s) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
        }
        if self.locals & (set(self.info.fields) | self.counters):
            raise _No
        self._block(body, set())
        return frozenset(n for n, f in self.fields.items() if f.kind == along)

    def _loop(self, body: list[ast.stmt]) -> tuple[ast.For, str, int]:
        """The only statement, a loop over an axis of a field: the loop, the field, the axis."""
        if len(body) != 1 or not isinstance(body[0], ast.For) or body[0].orelse:
            raise _No
        call = body[0].iter
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "range"):
            raise _No
        if len(call.args) != 1:
            raise _No
        size, axis = call.args[0], -1
        if isinstance(size, ast.Subscript) and isinstance(size.slice, ast.Constant):
            axis, size = int(size.slice.value), size.value  # type: ignore[arg-type]
        if not (isinstance(size, ast.Attribute) and isinstance(size.value, ast.Name)):
            raise _No
        field = self.fields.get(size.value.id)
        axis = {"size": 0, "rows": 0, "cols": 1}.get(size.attr, axis)
        known = {VECTOR: ("size", "shape"), MATRIX: ("rows", "cols", "shape")}
        if field is None or axis not in (0, 1) or size.attr not in known.get(field.kind, ()):
            raise _No
        return body[0], size.value.id, axis

    def _block(self, body: list[ast.stmt], known: set[str]) -> set[str]:
        """Names that are known after statements, of those that they assign."""
        for statement in body:
            if isinstance(statement, ast.If):
                self._look(statement.test, known)
                known = self._block(statement.body, set(known)) & self._block(statement.orelse, set(known))
            elif isinstance(statement, ast.Assign):
                self._look(statement.value, known)
                for target in statement.targets:
                    known = self._target(target, known)
            elif isinstance(statement, ast.AugAssign):
                self._look(statement.value, known)
                if isinstance(statement.target, ast.Name) and statement.target.id not in known:
                    raise _No
                known = self._target(statement.target, known)
            elif not isinstance(statement, ast.Pass):
                raise _No
        return known

    def _target(self, target: ast.expr, known: set[str]) -> set[str]:
        if isinstance(target, ast.Name):
            return known | {target.id}
        self._look(target, known)
        return known

    def _look(self, node: ast.AST, known: set[str]) -> None:
        """Raise where an expression takes a place, a whole field, or a name that another turn may have left."""
        if isinstance(node, _SCOPES):
            raise _No
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id in self.places:
            index = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
            if tuple(i.id if isinstance(i, ast.Name) else "" for i in index) != self.places[node.value.id]:
                raise _No
            return
        if isinstance(node, ast.Name):
            if node.id in self.counters or node.id in self.places or (node.id in self.locals and node.id not in known):
                raise _No
            return
        for child in ast.iter_child_nodes(node):
            self._look(child, known)


def _is_text(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _name(loop: ast.For) -> str:
    if not isinstance(loop.target, ast.Name):
        raise _No
    return loop.target.id
