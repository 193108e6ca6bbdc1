"""Elementwise operations, reductions and casts on a graph made by hand, by the names of PopLibs' popops.

Every function appends to `program` and returns the result tensor (in-place ones their first operand). Where a tensor
is expected a plain number may stand. Tensors broadcast as in numpy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .dtypes import BOOL, dtype
from .errors import ShapeError, TypeMismatch
from .graph import Graph, Tensor
from .lower import Lowering
from .lower import expression as expr  # noqa: F401 (public: popops.expr)
from .lower.expression import common_shape, map_expression, result_like
from .program import Sequence as Program


def _unary(codelet: str, op: str, result_bool: bool = False) -> Callable[..., Tensor]:
    def function(graph: Graph, a: Tensor, program: Program, name: str = "") -> Tensor:
        at = Lowering(graph, program)
        name = name or op
        out = result_like(at, [a], a.shape, BOOL if result_bool else None, name)
        return at.elementwise(codelet, out, name, x=a)

    return _named(function, op, f"Elementwise {op} of `a`, in a new tensor (codelet {codelet}).")


def _unary_in_place(codelet: str, op: str) -> Callable[..., Tensor]:
    def function(graph: Graph, a: Tensor, program: Program, name: str = "") -> Tensor:
        return Lowering(graph, program).elementwise(codelet + "InPlace", a, name or op)

    return _named(function, f"{op}_in_place", f"Elementwise {op} of `a`, written over it (codelet {codelet}InPlace).")


def _binary(codelet: str, op: str, result_bool: bool = False) -> Callable[..., Tensor]:
    def function(graph: Graph, a: Any, b: Any, program: Program, name: str = "") -> Tensor:
        at = Lowering(graph, program)
        name = name or op
        a, b = _operands(at, a, b, name)
        out = result_like(at, [a, b], common_shape([a, b], name), BOOL if result_bool else None, name)
        return at.elementwise(codelet, out, name, a=a, b=b)

    return _named(function, op, f"Elementwise {op} of `a` and `b`, in a new tensor (codelet {codelet}).")


def _binary_in_place(codelet: str, op: str) -> Callable[..., Tensor]:
    def function(graph: Graph, a: Tensor, b: Any, program: Program, name: str = "") -> Tensor:
        at = Lowering(graph, program)
        name = name or op
        a, b = _operands(at, a, b, name)
        if common_shape([a, b], name) != a.shape:
            raise ShapeError(f"{name}: {b.name} {list(b.shape)} does not broadcast into {a.name} {list(a.shape)}")
        return at.elementwise(codelet + "InPlace", a, name, b=b)

    return _named(function, f"{op}_in_place", f"Elementwise {op} of `a` and `b`, written over `a`.")


def _named(function: Callable[..., Tensor], name: str, doc: str) -> Callable[..., Tensor]:
    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    return function


def _operands(at: Lowering, a: Any, b: Any, name: str) -> tuple[Tensor, Tensor]:
    """Both operands as tensors of one type; numbers become constants of the other's."""
    if not isinstance(a, Tensor) and not isinstance(b, Tensor):
        raise TypeMismatch(f"{name}: at least one operand must be a tensor")
    if not isinstance(a, Tensor):
        a = at.constant(b.dtype, np.shape(a), a, f"{name}_constant")
    if not isinstance(b, Tensor):
        b = at.constant(a.dtype, np.shape(b), b, f"{name}_constant")
    if a.dtype != b.dtype:
        raise TypeMismatch(f"{name}: {a.name} is {a.dtype}, {b.name} is {b.dtype}; cast one with popops.cast")
    return a, b


UNARY = {
    "abs": "Abs", "neg": "Neg", "square": "Square", "sqrt": "Sqrt", "rsqrt": "Rsqrt", "inv": "Inverse",
    "floor": "Floor", "ceil": "Ceil", "round": "Round", "trunc": "Trunc", "signum": "Sign", "exp": "Exp", "log": "Log",
    "tanh": "Tanh", "sigmoid": "Sigmoid", "relu": "Relu", "sin": "Sin", "cos": "Cos",
}  # fmt: skip
BINARY = {
    "add": "Add", "sub": "Sub", "mul": "Mul", "div": "Div", "max": "Max", "min": "Min", "pow": "Pow",
    "rem": "Remainder", "bitwise_and": "BitwiseAnd", "bitwise_or": "BitwiseOr", "bitwise_xor": "BitwiseXor",
    "shift_left": "ShiftLeft", "shift_right_sign_extend": "ShiftRight",
}  # fmt: skip
COMPARE = {
    "eq": "Equal", "neq": "NotEqual", "lt": "Less", "lteq": "LessEqual", "gt": "Greater", "gteq": "GreaterEqual",
}  # fmt: skip
LOGIC = {"logical_and": "LogicalAnd", "logical_or": "LogicalOr"}

for _op, _codelet in UNARY.items():
    globals()[_op] = _unary(_codelet, _op)
    globals()[f"{_op}_in_place"] = _unary_in_place(_codelet, _op)
for _op, _codelet in (BINARY | LOGIC).items():
    globals()[_op] = _binary(_codelet, _op, _op in LOGIC)
    globals()[f"{_op}_in_place"] = _binary_in_place(_codelet, _op)
for _op, _codelet in COMPARE.items():
    globals()[_op] = _binary(_codelet, _op, True)
logical_not = _unary("LogicalNot", "logical_not", True)
logical_not_in_place = _unary_in_place("LogicalNot", "logical_not")
is_nan = _unary("IsNan", "is_nan", True)
is_finite = _unary("IsFinite", "is_finite", True)
bitwise_not = _unary("BitwiseNot", "bitwise_not")


def map(graph: Graph, expression: Any, tensors: Sequence[Tensor], program: Program, name: str = "") -> Tensor:
    """Evaluate an expression of `popops.expr` (`expr._1` is the first tensor) as one codelet, in a new tensor."""
    return map_expression(Lowering(graph, program), expression, tensors, name or "map")


def map_in_place(graph: Graph, expression: Any, tensors: Sequence[Tensor], program: Program, name: str = "") -> Tensor:
    """The same, written over the first tensor."""
    return map_expression(Lowering(graph, program), expression, tensors, name or "map", in_place=True)


def select(graph: Graph, a: Any, b: Any, condition: Tensor, program: Program, name: str = "") -> Tensor:
    """a where `condition` (BOOL) holds, else b."""
    at, name = Lowering(graph, program), name or "select"
    a, b = _operands(at, a, b, name)
    out = result_like(at, [a, b], common_shape([a, b, condition], name), None, name)
    return at.elementwise("Select", out, name, a=a, b=b, c=condition)


def clamp(graph: Graph, a: Tensor, low: Any, high: Any, program: Program, name: str = "") -> Tensor:
    """a, not below `low` and not above `high`: numbers or tensors of one element."""
    at, name = Lowering(graph, program), name or "clamp"
    out = result_like(at, [a], a.shape, None, name)
    if isinstance(low, Tensor) or isinstance(high, Tensor):
        _, low = _operands(at, a, low, name)
        _, high = _operands(at, a, high, name)
        return at.elementwise("Clamp", out, name, x=a, low=low, high=high)
    return at.elementwise("ClampBetween", out, name, x=a, constants={"low": low, "high": high})


def scaled_add_to(graph: Graph, a: Tensor, b: Tensor, scale: Any, program: Program, name: str = "") -> Tensor:
    """a += scale * b; `scale` a number or a tensor of one element."""
    at, name = Lowering(graph, program), name or "scaled_add"
    if isinstance(scale, Tensor):
        return at.elementwise("ScaledAddByInPlace", a, name, b=b, k=scale)
    return at.elementwise("ScaledAddInPlace", a, name, b=b, constants={"k": float(scale)})


def scaled_subtract_from(graph: Graph, a: Tensor, b: Tensor, scale: Any, program: Program, name: str = "") -> Tensor:
    """a -= scale * b; `scale` a number or a tensor of one element."""
    at, name = Lowering(graph, program), name or "scaled_subtract"
    if isinstance(scale, Tensor):
        return at.elementwise("ScaledSubtractByInPlace", a, name, b=b, k=scale)
    return at.elementwise("ScaledAddInPlace", a, name, b=b, constants={"k": -float(scale)})


def reduce(
    graph: Graph,
    a: Tensor,
    element_type: Any,
    dims: Sequence[int] | int | None,
    operation: str,
    program: Program,
    name: str = "",
    *,
    scale: float = 1.0,
) -> Tensor:
    """Reduce axes of `a` by "add", "mul", "max", "min", "square_add", "logical_and" or "logical_or"."""
    at = Lowering(graph, program)
    return at.reduce(a, dims, operation.lower(), name or f"reduce_{operation}", dtype(element_type), scale)


def all_true(graph: Graph, a: Tensor, program: Program, name: str = "") -> Tensor:
    """Whether every element of a BOOL tensor is true: usable as a predicate."""
    return Lowering(graph, program).reduce(a, None, "logical_and", name or "all_true")


def cast(graph: Graph, a: Tensor, element_type: Any, program: Program, name: str = "") -> Tensor:
    """a in another element type."""
    at = Lowering(graph, program)
    out = at.variable_like(a, name or "cast", dtype(element_type))
    return at.elementwise("Cast", out, name or "cast", x=a)


def fill(graph: Graph, a: Tensor, program: Program, value: Any, name: str = "") -> None:
    """Write `value` to every element."""
    Lowering(graph, program).fill(a, value, name or "fill")


def zero(graph: Graph, a: Tensor, program: Program, name: str = "") -> None:
    """Write 0 to every element."""
    Lowering(graph, program).fill(a, 0, name or "zero")


def iota(graph: Graph, a: Tensor, start: Any, program: Program, name: str = "") -> None:
    """Write start, start + 1, ... in row-major order."""
    Lowering(graph, program).iota(a, start, name or "iota")


_IN_PLACE = [f"{name}_in_place" for name in (*UNARY, *BINARY, *LOGIC, "logical_not", "map")]
_OTHERS = (
    "expr logical_not is_nan is_finite bitwise_not map select clamp scaled_add_to scaled_subtract_from reduce all_true"
    " cast fill zero iota"
)
__all__ = [*UNARY, *BINARY, *LOGIC, *COMPARE, *_IN_PLACE, *_OTHERS.split()]  # noqa: PLE0604
del _op, _codelet
