"""Convolutions and matrix products on a graph made by hand, by the names of PopLibs' poplin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .dtypes import dtype
from .errors import ShapeError, TypeMismatch
from .graph import Graph, Tensor
from .lower import Lowering
from .lower import conv as convolutions
from .lower.conv_options import read_conv_options
from .lower.conv_params import (
    ConvParams,
    InputTransform,
    KernelTransform,
    OutputTransform,
    gradient_params,
    weight_update_params,
)
from .lower.conv_plan import FORWARD, ConvPlan
from .lower.partition import Plan, plan_matmul, read_matmul_options
from .program import Sequence as Program

__all__ = [
    "ConvParams",
    "InputTransform",
    "KernelTransform",
    "OutputTransform",
    "calculate_weight_deltas",
    "convolution",
    "convolution_weight_update",
    "create_input",
    "create_mat_mul_input_lhs",
    "create_mat_mul_input_rhs",
    "create_weights",
    "gradient_params",
    "mat_mul",
    "mat_mul_acc",
    "mat_mul_plan",
    "plan_convolution",
    "report_plan",
    "weight_update_params",
    "weights_transpose_chans_flip_xy",
]


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


def report_plan(graph: Graph, *problem: Any, options: Mapping[str, Any] | None = None) -> str:
    """A plan in words: the split, the piece of a tile, and a table of what it costs by part (cycles and bytes).

    problem: ConvParams of a convolution, or the shapes of both operands and the element type of a matrix product.
    """
    if problem and isinstance(problem[0], ConvParams):
        return plan_convolution(graph, problem[0], options).report()
    if len(problem) == 4:
        problem, options = problem[:3], problem[3]
    return mat_mul_plan(graph, *problem, options).report()  # type: ignore[call-arg]


# convolutions ------------------------------------------------------------------------------------------------------


def convolution(
    graph: Graph, x: Tensor, weights: Tensor, params: ConvParams, transpose_and_flip: bool, program: Program,
    name: str = "", *, options: Mapping[str, Any] | None = None,
) -> Tensor:  # fmt: skip
    """x (batch, channels, *field) convolved with weights (groups, out, in, *kernel) -> (batch, out channels, *field).

    With `transpose_and_flip` the weights are those of the opposite direction, (groups, in, out, *kernel), and are read
    with channels exchanged and the kernel flipped. options: `partials_type`, `available_memory_proportion`, `pass`,
    `plan_constraints` ({"a": 2, ...}: pieces of batch, field0 to field2, groups, a (in blocks), y (out blocks)).
    Raises ShapeError, TypeMismatch, InvalidOption and GraphMemoryAllocationError.
    """
    at, name, read = _convolving(graph, program, params, name or "convolution", options)
    _expect(name, "input", x, params.input_shape, params)
    shape = params.weights_shape
    if transpose_and_flip:
        _expect(name, "weights", weights, (shape[0], shape[2], shape[1], *shape[3:]), params)
        weights = _turned(weights)
    _expect(name, "weights", weights, shape, params)
    return at_convolve(at, x, weights, params, name, read)


def at_convolve(
    at: Lowering, x: Tensor, weights: Tensor, params: ConvParams, name: str, read: Mapping[str, Any]
) -> Tensor:
    """The forward product of checked operands."""
    flat = convolutions.flat_weights(weights)
    return convolutions.convolve(at, x, flat, params, name, kind=FORWARD, out_dtype=params.output_type, options=read)


def create_input(
    graph: Graph, params: ConvParams, name: str = "input", *, options: Mapping[str, Any] | None = None
) -> Tensor:
    """A variable (batch, channels, *field) stored as convolutions read it."""
    at, name, _ = _convolving(graph, Program(), params, name, options)
    return convolutions.create_input(at, params, name)


def create_weights(
    graph: Graph, params: ConvParams, name: str = "weights", *, options: Mapping[str, Any] | None = None
) -> Tensor:
    """Weights (groups, out, in, *kernel) stored where the plan of the convolution reads them."""
    at, name, read = _convolving(graph, Program(), params, name, options)
    return convolutions.grouped_weights(convolutions.create_weights(at, params, name, read), params)


def weights_transpose_chans_flip_xy(
    graph: Graph, source: Tensor, destination: Tensor, program: Program, name: str = ""
) -> None:
    """Copy weights (groups, out, in, *kernel) to those of the opposite direction, (groups, in, out, *kernel), flipped."""
    turned = _turned(source)
    if turned.shape != destination.shape:
        raise ShapeError(
            f"{name or 'weights_transpose_chans_flip_xy'}: {source.name} {list(source.shape)} turned is"
            f" {list(turned.shape)}, {destination.name} is {list(destination.shape)}"
        )
    Lowering(graph, program).copy(turned, destination, name)


def calculate_weight_deltas(
    graph: Graph, z_deltas: Tensor, activations: Tensor, params: ConvParams, program: Program, name: str = "", *,
    options: Mapping[str, Any] | None = None,
) -> Tensor:  # fmt: skip
    """The gradient of the weights, (groups, out, in, *kernel), of a forward convolution with `params`: z_deltas is the
    gradient of its output, activations its input."""
    at, name, read = _convolving(graph, program, params, name or "weight_deltas", options)
    _expect(name, "input", activations, params.input_shape, params)
    _expect(name, "output gradient", z_deltas, params.output_shape, params)
    deltas = convolutions.weights_gradient(at, activations, z_deltas, params, name, options=read)
    return convolutions.grouped_weights(deltas, params)


def convolution_weight_update(
    graph: Graph, z_deltas: Tensor, weights: Tensor, activations: Tensor, params: ConvParams, scale: float,
    program: Program, name: str = "", *, options: Mapping[str, Any] | None = None,
) -> None:  # fmt: skip
    """weights += scale * calculate_weight_deltas(...), in place."""
    name = name or "weight_update"
    deltas = calculate_weight_deltas(graph, z_deltas, activations, params, program, name, options=options)
    at = Lowering(graph, program)
    flat = convolutions.flat_weights(weights), convolutions.flat_weights(deltas)
    at.elementwise("ScaledAddInPlace", flat[0], f"{name}/add", b=flat[1], constants={"k": float(scale)})


def plan_convolution(graph: Graph, params: ConvParams, options: Mapping[str, Any] | None = None) -> ConvPlan:
    """How a convolution is split over the tiles of a graph. The option `pass` = "training_bwd" or "training_wu" asks for
    the product that makes the input's or the weights' gradient."""
    at, _, read = _convolving(graph, Program(), params, "plan", options)
    return convolutions.plan_of(at, params, convolutions.kind_of_pass(read["pass"]), read)


def _convolving(
    graph: Graph, program: Program, params: ConvParams, name: str, options: Mapping[str, Any] | None
) -> tuple[Lowering, str, dict[str, Any]]:
    if not isinstance(params, ConvParams):
        raise TypeMismatch(f"{name}: params is {type(params).__name__}; it takes poplin.ConvParams")
    return Lowering(graph, program), name, read_conv_options(options, f"poplin.{name}")


def _turned(weights: Tensor) -> Tensor:
    turned = weights.dim_shuffle((0, 2, 1, *range(3, weights.ndim)))
    for axis in range(3, weights.ndim):
        turned = turned.reverse(axis)
    return turned


def _expect(name: str, what: str, t: Tensor, shape: tuple[int, ...], params: ConvParams) -> None:
    if t.shape != shape:
        raise ShapeError(f"{name}: the {what} {t.name} is {list(t.shape)}; the parameters say {list(shape)}")
    if t.dtype != params.input_type:
        raise TypeMismatch(f"{name}: the {what} {t.name} is {t.dtype}; the parameters say {params.input_type}")


def _check(a_shape: Sequence[int], b_shape: Sequence[int], name: str) -> None:
    if len(a_shape) != 2 or len(b_shape) != 2 or a_shape[1] != b_shape[0]:
        raise ShapeError(f"{name}: shapes {list(a_shape)} and {list(b_shape)} cannot be multiplied; (m, k) and (k, n)")
