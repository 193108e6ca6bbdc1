"""Matrix products on a graph made by hand, by the names of PopLibs' poplin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .dtypes import dtype
from .errors import ShapeError
from .graph import Graph, Tensor
from .lower import Lowering
from .lower.partition import Plan, plan_matmul, read_matmul_options
from .program import Sequence as Program


def mat_mul(
    graph: Graph,
    a: Tensor,
    b: Tensor,
    program: Program,
    output_type: Any = None,
    name: str = "",
    *,
    options: Mapping[str, Any] | None = None,
) -> Tensor:
    """a (m, k) . b (k, n) -> (m, n), planned over the tiles; b from `create_mat_mul_input_rhs` is never moved.

    options: `available_memory_proportion` (0.6), `partials_type` ("float" or "half").
    """
    at = Lowering(graph, program, read_matmul_options(options))
    return at.matmul(a, b, name or "mat_mul", out_dtype=dtype(output_type) if output_type is not None else None)


def mat_mul_acc(
    graph: Graph, c: Tensor, scale: float, a: Tensor, b: Tensor, program: Program, name: str = "", *,
    options: Mapping[str, Any] | None = None,
) -> Tensor:  # fmt: skip
    """c += scale * a . b"""
    at, name = Lowering(graph, program, read_matmul_options(options)), name or "mat_mul_acc"
    product = at.matmul(a, b, name, out_dtype=c.dtype)
    if product.shape != c.shape:
        raise ShapeError(f"{name}: the product is {list(product.shape)}, {c.name} is {list(c.shape)}")
    return at.elementwise("ScaledAddInPlace", c, name, b=product, constants={"k": float(scale)})


def create_mat_mul_input_lhs(
    graph: Graph, element_type: Any, a_shape: Sequence[int], b_shape: Sequence[int], name: str = "lhs", *,
    options: Mapping[str, Any] | None = None,
) -> Tensor:  # fmt: skip
    """A left operand (m, k) for a product with a (k, n) right one, mapped linearly by rows."""
    _check(a_shape, b_shape, name)
    read_matmul_options(options)
    return Lowering(graph, Program()).variable(element_type, tuple(a_shape), name)


def create_mat_mul_input_rhs(
    graph: Graph, element_type: Any, a_shape: Sequence[int], b_shape: Sequence[int], name: str = "rhs", *,
    options: Mapping[str, Any] | None = None,
) -> Tensor:  # fmt: skip
    """A right operand (k, n) for a product with an (m, k) left one, in blocks that stay on their tiles.

    `mat_mul` with it, with its transpose, and the product that makes its gradient use the same blocks. With the option
    `fully_connected_pass` = "inference_fwd" the plan looks at the forward product only.
    """
    _check(a_shape, b_shape, name)
    read = read_matmul_options(options)
    at = Lowering(graph, Program(), read | {"training": read["fully_connected_pass"] != "inference_fwd"})
    return at.create_weights(element_type, (int(b_shape[0]), int(b_shape[1])), int(a_shape[0]), name)


def mat_mul_plan(
    graph: Graph,
    a_shape: Sequence[int],
    b_shape: Sequence[int],
    element_type: Any,
    options: Mapping[str, Any] | None = None,
) -> Plan:
    """The plan of a product of operands that both come from elsewhere."""
    _check(a_shape, b_shape, "mat_mul_plan")
    at = Lowering(graph, Program())
    return plan_matmul(
        at.target, a_shape[0], a_shape[1], b_shape[1], element_type, num_tiles=len(at.tiles), options=options,
        library=at.library,
    )  # fmt: skip


def report_plan(
    graph: Graph,
    a_shape: Sequence[int],
    b_shape: Sequence[int],
    element_type: Any,
    options: Mapping[str, Any] | None = None,
) -> str:
    """That plan in words: the split, the block of a tile, the estimate by part."""
    return mat_mul_plan(graph, a_shape, b_shape, element_type, options).report()


def _check(a_shape: Sequence[int], b_shape: Sequence[int], name: str) -> None:
    if len(a_shape) != 2 or len(b_shape) != 2 or a_shape[1] != b_shape[0]:
        raise ShapeError(f"{name}: shapes {list(a_shape)} and {list(b_shape)} cannot be multiplied; (m, k) and (k, n)")
