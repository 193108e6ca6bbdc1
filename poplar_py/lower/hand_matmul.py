"""Matrix products on a graph made by hand: what poplin.py lists, in Poplar's order of arguments.

Matrices are (m, k) and (k, n), grouped ones (groups, m, k) and (groups, k, n). Grouped products are planned and made as
convolutions of groups: rows of the left matrix are places, what is summed are channels. Errors: ShapeError where operands
do not fit, TypeMismatch, InvalidOption, and GraphMemoryAllocationError where no plan fits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..dtypes import dtype
from ..errors import ShapeError, TypeMismatch
from ..graph import Graph, Tensor
from ..program import Sequence as Program
from . import conv as products
from . import conv_operands as operands
from .conv_params import ConvParams
from .conv_plan import ConvPlan
from .conv_problem import FORWARD
from .lowering import Lowering
from .partition import Plan, plan_matmul, read_matmul_options

Options = Mapping[str, Any] | None


def _names(output_type: Any, name: str) -> tuple[Any, str]:
    """Poplar's two forms: with the output's type before the name, or without."""
    if isinstance(output_type, str) and not name and output_type not in ("float", "half", "FLOAT", "HALF"):
        return None, output_type
    return (None if output_type in (None, "") else dtype(output_type)), name


def mat_mul(
    graph: Graph, a: Tensor, b: Tensor, program: Program, output_type: Any = None, name: str = "",
    options: Options = None, cache: Any = None,
) -> Tensor:  # fmt: skip
    """a (m, k) . b (k, n) -> (m, n), planned over the tiles; b from `create_mat_mul_input_rhs` is never moved.

    options: `available_memory_proportion` (0.6), `partials_type` ("float" or "half"), `fully_connected_pass`.
    """
    output_type, name = _names(output_type, name)
    at = Lowering(graph, program, read_matmul_options(options))
    return at.matmul(a, b, name or "mat_mul", out_dtype=output_type)


def mat_mul_with_output(
    graph: Graph, a: Tensor, b: Tensor, out: Tensor, program: Program, name: str = "", options: Options = None,
    cache: Any = None,
) -> None:  # fmt: skip
    """a (m, k) . b (k, n) into a given tensor (m, n)."""
    name = name or "mat_mul"
    made = mat_mul(graph, a, b, program, out.dtype, name, options)
    _expect_result(name, made, out)
    Lowering(graph, program).copy(made, out, f"{name}/output")


def mat_mul_acc(
    graph: Graph, c: Tensor, scale: float, a: Tensor, b: Tensor, program: Program, name: str = "",
    options: Options = None, cache: Any = None,
) -> Tensor:  # fmt: skip
    """c += scale * a . b, in place; returns c."""
    at, name = Lowering(graph, program, read_matmul_options(options)), name or "mat_mul_acc"
    product = at.matmul(a, b, name, out_dtype=c.dtype)
    _expect_result(name, product, c)
    return at.elementwise("ScaledAddInPlace", c, name, b=product, constants={"k": float(scale)})


def create_mat_mul_input_lhs(
    graph: Graph, element_type: Any, a_shape: Sequence[int], b_shape: Sequence[int], name: str = "lhs",
    options: Options = None, cache: Any = None,
) -> Tensor:  # fmt: skip
    """A left operand (m, k) for a product with a (k, n) right one, mapped linearly by rows."""
    _check(a_shape, b_shape, name)
    read_matmul_options(options)
    return Lowering(graph, Program()).variable(element_type, tuple(a_shape), name)


def create_mat_mul_input_rhs(
    graph: Graph, element_type: Any, a_shape: Sequence[int], b_shape: Sequence[int], name: str = "rhs",
    options: Options = None, cache: Any = None,
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
    graph: Graph, a_shape: Sequence[int], b_shape: Sequence[int], element_type: Any, options: Options = None
) -> Plan:
    """The plan of a product of operands that both come from elsewhere."""
    _check(a_shape, b_shape, "mat_mul_plan")
    at = Lowering(graph, Program())
    return plan_matmul(
        at.target, a_shape[0], a_shape[1], b_shape[1], element_type, num_tiles=len(at.tiles), options=options,
        library=at.library,
    )  # fmt: skip


# grouped ---------------------------------------------------------------------------------------------------------------


def mat_mul_grouped(
    graph: Graph, a: Tensor, b: Tensor, program: Program, output_type: Any = None, name: str = "",
    options: Options = None, cache: Any = None,
) -> Tensor:  # fmt: skip
    """a (groups, m, k) . b (groups, k, n) -> (groups, m, n), a product for every group."""
    output_type, name = _names(output_type, name)
    name = name or "mat_mul_grouped"
    params = _grouped_params(a.shape, b.shape, a.dtype, output_type, name)
    if a.dtype != b.dtype:
        raise TypeMismatch(f"{name}: {a.name} is {a.dtype}, {b.name} is {b.dtype}; cast one")
    at = Lowering(graph, program, read_matmul_options(options))
    weights = b.dim_shuffle((0, 2, 1)).reshape(params.weights_shape)
    flat = operands.flat_weights(weights)
    out = products.convolve(at, _as_channels(a), flat, params, name, out_dtype=params.output_type)
    return out.reshape(a.shape[0], b.shape[2], a.shape[1]).dim_shuffle((0, 2, 1))


def mat_mul_grouped_with_output(
    graph: Graph, a: Tensor, b: Tensor, out: Tensor, program: Program, name: str = "", options: Options = None,
    cache: Any = None,
) -> None:  # fmt: skip
    """`mat_mul_grouped` into a given tensor (groups, m, n)."""
    name = name or "mat_mul_grouped"
    made = mat_mul_grouped(graph, a, b, program, out.dtype, name, options)
    _expect_result(name, made, out)
    Lowering(graph, program).copy(made, out, f"{name}/output")


def mat_mul_grouped_acc(
    graph: Graph, c: Tensor, scale: float, a: Tensor, b: Tensor, program: Program, name: str = "",
    options: Options = None, cache: Any = None,
) -> Tensor:  # fmt: skip
    """c += scale * a . b for every group, in place; returns c."""
    name = name or "mat_mul_grouped_acc"
    product = mat_mul_grouped(graph, a, b, program, c.dtype, name, options)
    _expect_result(name, product, c)
    at = Lowering(graph, program)
    return at.elementwise("ScaledAddInPlace", c, name, b=product, constants={"k": float(scale)})


def create_mat_mul_grouped_input_lhs(
    graph: Graph, element_type: Any, a_shape: Sequence[int], b_shape: Sequence[int], name: str = "lhs",
    options: Options = None, cache: Any = None,
) -> Tensor:  # fmt: skip
    """A left operand (groups, m, k) stored as `mat_mul_grouped` with a (groups, k, n) right one reads it."""
    params = _grouped_params(a_shape, b_shape, element_type, None, name)
    at = Lowering(graph, Program(), read_matmul_options(options))
    x = operands.create_input(at, params, name)
    groups, m, k = (int(n) for n in a_shape)
    return x.reshape(groups, k, m).dim_shuffle((0, 2, 1))


def create_mat_mul_grouped_input_rhs(
    graph: Graph, element_type: Any, a_shape: Sequence[int], b_shape: Sequence[int], name: str = "rhs",
    options: Options = None, cache: Any = None,
) -> Tensor:  # fmt: skip
    """A right operand (groups, k, n) stored where `mat_mul_grouped` with a (groups, m, k) left one reads it."""
    params = _grouped_params(a_shape, b_shape, element_type, None, name)
    at = Lowering(graph, Program(), read_matmul_options(options))
    weights = operands.grouped_weights(operands.create_weights(at, params, name), params)
    groups, k, n = (int(n) for n in b_shape)
    return weights.reshape(groups, n, k).dim_shuffle((0, 2, 1))


def transpose_grouped_matrix(a: Tensor) -> Tensor:
    """(groups, m, n) seen as (groups, n, m)."""
    if a.ndim != 3:
        raise ShapeError(f"transpose_grouped_matrix: {a.name} is {list(a.shape)}; it takes (groups, m, n)")
    return a.dim_shuffle((0, 2, 1))


def mat_mul_grouped_plan(
    graph: Graph, a_shape: Sequence[int], b_shape: Sequence[int], element_type: Any, options: Options = None
) -> ConvPlan:
    """The plan of grouped products."""
    params = _grouped_params(a_shape, b_shape, element_type, None, "mat_mul_grouped_plan")
    at = Lowering(graph, Program(), read_matmul_options(options))
    return operands.plan_of(at, params, FORWARD)


def _grouped_params(a_shape: Any, b_shape: Any, element_type: Any, output_type: Any, name: str) -> ConvParams:
    a, b = tuple(int(n) for n in a_shape), tuple(int(n) for n in b_shape)
    if len(a) != 3 or len(b) != 3 or a[0] != b[0] or a[2] != b[1] or a[0] < 1:
        raise ShapeError(
            f"{name}: shapes {list(a)} and {list(b)} cannot be multiplied; it takes (groups, m, k) and (groups, k, n)"
        )
    return ConvParams(element_type, output_type or element_type, 1, (a[1],), (1,), a[2], b[2], a[0])


def _as_channels(a: Tensor) -> Tensor:
    return a.dim_shuffle((0, 2, 1)).reshape(1, a.shape[0] * a.shape[2], a.shape[1])


def _expect_result(name: str, made: Tensor, out: Tensor) -> None:
    if made.shape != out.shape:
        raise ShapeError(f"{name}: the product is {list(made.shape)}, {out.name} is {list(out.shape)}")


def _check(a_shape: Sequence[int], b_shape: Sequence[int], name: str) -> None:
    if len(a_shape) != 2 or len(b_shape) != 2 or a_shape[1] != b_shape[0]:
        raise ShapeError(f"{name}: shapes {list(a_shape)} and {list(b_shape)} cannot be multiplied; (m, k) and (k, n)")
