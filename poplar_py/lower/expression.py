"""Expressions over tensors, for `popops.map`: a tree built by Python operators, turned into one codelet.

    from poplar_py.popops import expr
    popops.map(graph, expr.select(expr._1 * 2.0, expr._2, expr._1 > 0), [a, b], program)

`_1`, `_2`, ... stand for the tensors of the call. Tensors of one element are read as scalars.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..dtypes import BOOL, DType
from ..errors import ShapeError, TypeMismatch
from ..graph import Tensor

if TYPE_CHECKING:
    from .lowering import Lowering


class Expression:
    """A piece of an expression: its text, with {n} for operand n, and whether it is a truth value."""

    def __init__(self, text: str, operands: frozenset[int], truth: bool = False):
        self.text = text
        self.operands = operands
        self.truth = truth

    def __repr__(self) -> str:
        return f"<Expression {self.text}>"

    def _join(self, other: Any, pattern: str, truth: bool = False, turned: bool = False) -> Expression:
        other = expression(other)
        left, right = (other, self) if turned else (self, other)
        return Expression(pattern.format(left.text, right.text), left.operands | right.operands, truth)

    def __add__(self, other: Any) -> Expression:
        return self._join(other, "({} + {})")

    def __radd__(self, other: Any) -> Expression:
        return self._join(other, "({} + {})", turned=True)

    def __sub__(self, other: Any) -> Expression:
        return self._join(other, "({} - {})")

    def __rsub__(self, other: Any) -> Expression:
        return self._join(other, "({} - {})", turned=True)

    def __mul__(self, other: Any) -> Expression:
        return self._join(other, "({} * {})")

    def __rmul__(self, other: Any) -> Expression:
        return self._join(other, "({} * {})", turned=True)

    def __truediv__(self, other: Any) -> Expression:
        return self._join(other, "({} / {})")

    def __rtruediv__(self, other: Any) -> Expression:
        return self._join(other, "({} / {})", turned=True)

    def __pow__(self, other: Any) -> Expression:
        return self._join(other, "({} ** {})")

    def __neg__(self) -> Expression:
        return Expression(f"(-{self.text})", self.operands)

    def __lt__(self, other: Any) -> Expression:
        return self._join(other, "({} < {})", True)

    def __le__(self, other: Any) -> Expression:
        return self._join(other, "({} <= {})", True)

    def __gt__(self, other: Any) -> Expression:
        return self._join(other, "({} > {})", True)

    def __ge__(self, other: Any) -> Expression:
        return self._join(other, "({} >= {})", True)

    def __eq__(self, other: Any) -> Expression:  # type: ignore[override]
        return self._join(other, "({} == {})", True)

    def __ne__(self, other: Any) -> Expression:  # type: ignore[override]
        return self._join(other, "({} != {})", True)

    __hash__ = None  # type: ignore[assignment]

    def __and__(self, other: Any) -> Expression:
        return self._join(other, "({} and {})", True)

    def __or__(self, other: Any) -> Expression:
        return self._join(other, "({} or {})", True)

    def __invert__(self) -> Expression:
        return Expression(f"(not {self.text})", self.operands, True)


def expression(value: Any) -> Expression:
    """An expression as it is, or a number as one. Raises TypeMismatch for anything else."""
    if isinstance(value, Expression):
        return value
    if isinstance(value, (bool, int, float, np.number, np.bool_)):
        number = value.item() if isinstance(value, np.generic) else value
        return Expression(repr(number), frozenset(), isinstance(number, bool))
    raise TypeMismatch(f"an expression is made of placeholders and numbers, not {type(value).__name__}")


def _call(pattern: str, *values: Any, truth: bool = False) -> Expression:
    parts = [expression(v) for v in values]
    return Expression(pattern.format(*(p.text for p in parts)), frozenset().union(*(p.operands for p in parts)), truth)


def placeholder(number: int) -> Expression:
    """The number-th tensor of the call, from 1."""
    return Expression(f"{{{number}}}", frozenset([number]))


def exp(x: Any) -> Expression:
    return _call("exp({})", x)


def log(x: Any) -> Expression:
    return _call("log({})", x)


def sqrt(x: Any) -> Expression:
    return _call("sqrt({})", x)


def tanh(x: Any) -> Expression:
    return _call("tanh({})", x)


def sigmoid(x: Any) -> Expression:
    return _call("(1 / (1 + exp(-{})))", x)


def sin(x: Any) -> Expression:
    return _call("sin({})", x)


def cos(x: Any) -> Expression:
    return _call("cos({})", x)


def absolute(x: Any) -> Expression:
    return _call("abs({})", x)


def maximum(a: Any, b: Any) -> Expression:
    return _call("max({}, {})", a, b)


def minimum(a: Any, b: Any) -> Expression:
    return _call("min({}, {})", a, b)


def select(a: Any, b: Any, condition: Any) -> Expression:
    """a where the condition holds, else b (Poplar's order)."""
    return _call("({0} if {2} else {1})", a, b, condition)


def clamp(x: Any, low: Any, high: Any) -> Expression:
    return _call("min(max({}, {}), {})", x, low, high)


_1, _2, _3, _4, _5, _6, _7, _8, _9 = (placeholder(i) for i in range(1, 10))

_TEMPLATE = '''from poplar_py import {words}


class {name}(Codelet):
    """{text}"""

{fields}

    def compute({arguments}):
        for i in range({first}.size):
            {result} = {body}
'''


def map_expression(
    at: Lowering, tree: Any, tensors: Sequence[Tensor], name: str, *, in_place: bool = False, out: Tensor | None = None
) -> Tensor:
    """Run the expression over the broadcast shape of its tensors as one codelet; in place it replaces the first.

    Raises TypeMismatch where a placeholder has no tensor, ShapeError where shapes do not agree.
    """
    tree = expression(tree)
    missing = [n for n in sorted(tree.operands) if n > len(tensors)]
    if missing:
        raise TypeMismatch(f"expression uses _{missing[0]}, but there are {len(tensors)} tensors")
    used = {n: tensors[n - 1] for n in sorted(tree.operands)}
    shape = common_shape(list(used.values()) or list(tensors[:1]), name)
    if in_place and (shape != tensors[0].shape or (tree.truth != (tensors[0].dtype == BOOL))):
        raise ShapeError(f"{name}: the result does not fit in {tensors[0].name} {tensors[0].dtype}")
    scalar = {n for n, t in used.items() if t.size == 1 and int(np.prod(shape)) != 1 and not (in_place and n == 1)}
    codelet = _codelet(at, tree, used, scalar, in_place)
    operands = {f"x{n}": t for n, t in used.items() if not (in_place and n == 1)}
    if in_place:
        return at.elementwise(codelet, tensors[0], name, **operands)
    if out is None:
        out = result_like(at, list(used.values()), shape, BOOL if tree.truth else None, name)
    return at.elementwise(codelet, out, name, **operands)


def _codelet(at: Lowering, tree: Expression, used: dict[int, Tensor], scalar: set[int], in_place: bool) -> str:
    """Name of the codelet that evaluates the tree, made if the graph does not know it."""
    result = "x1[i]" if in_place else "out[i]"
    names = [f"x{n}" for n in used]
    if in_place and 1 not in used:
        names.insert(0, "x1")
    fields = [
        f"    {n} = "
        + ("InOut(VECTOR)" if in_place and n == "x1" else f"Input({'SCALAR' if int(n[1:]) in scalar else 'VECTOR'})")
        for n in names
    ]
    if not in_place:
        fields.append("    out = Output(VECTOR" + (", BOOL)" if tree.truth else ")"))
        names.append("out")
    body = tree.text.format(
        *([""] + [f"x{n}[0]" if n in scalar else f"x{n}[i]" for n in range(1, max(used, default=0) + 1)])
    )
    text = f"{result} = {tree.text}"
    key = zlib.crc32("\n".join([*fields, body]).encode())
    name = f"Map{key:08x}"
    if name not in at.library:
        words = "BOOL, SCALAR, VECTOR, Codelet, InOut, Input, Output"
        source = _TEMPLATE.format(
            words=words, name=name, text=text, fields="\n".join(fields), arguments=", ".join(names),
            first=names[0] if in_place else "out", result=result, body=body,
        )  # fmt: skip
        at.library.add_source(source, name)
    return name


def common_shape(tensors: Sequence[Tensor], name: str) -> tuple[int, ...]:
    """The shape the tensors broadcast to. Raises ShapeError naming them."""
    try:
        return tuple(np.broadcast_shapes(*(t.shape for t in tensors)))
    except ValueError:
        listed = ", ".join(f"{t.name} {list(t.shape)}" for t in tensors)
        raise ShapeError(f"{name}: shapes do not broadcast: {listed}") from None


def result_like(
    at: Lowering, tensors: Sequence[Tensor], shape: tuple[int, ...], element_type: DType | None, name: str
) -> Tensor:
    """A variable for a result: mapped as the first operand of that shape is, else linearly."""
    for t in tensors:
        if t.shape == shape and not t.contains_aliases:
            return at.variable_like(t, name, element_type)
    return at.variable(element_type or tensors[0].dtype, shape, name)
