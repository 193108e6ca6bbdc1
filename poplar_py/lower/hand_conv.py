"""Convolutions on a graph made by hand: what poplin.py lists, in Poplar's order of arguments.

Everywhere `params` are ConvParams, `name` is the path of what is made, and `options` are those of `read_conv_options`.
Errors: ShapeError and TypeMismatch where an operand is not of the parameters, InvalidOption, and
GraphMemoryAllocationError where no plan fits.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..codelet.amp import macs_per_cycle
from ..errors import ShapeError, TypeMismatch
from ..graph import Graph, Tensor
from ..program import Sequence as Program
from . import conv as products
from . import conv_operands as operands
from .conv_gradients import gradient_params, weight_update_params
from .conv_options import read_conv_options
from .conv_params import ConvParams
from .conv_plan import ConvPlan, PlanningCache
from .lowering import Lowering

Options = Mapping[str, Any] | None


def convolution(
    graph: Graph, x: Tensor, weights: Tensor, params: ConvParams, transpose_and_flip: bool, program: Program,
    name: str = "", options: Options = None, cache: PlanningCache | None = None,
) -> Tensor:  # fmt: skip
    """x (batch, channels, *field) convolved with weights (groups, out, in, *kernel) -> (batch, out channels, *field).

    With `transpose_and_flip` the weights are those of the opposite direction, (groups, in, out, *kernel), and are read
    with channels exchanged and the kernel flipped, where they lie.
    """
    at, name, read = _convolving(graph, program, params, name or "convolution", options, cache)
    _expect(name, "input", x, params.input_shape, params)
    shape = params.weights_shape
    shape = (shape[0], shape[2], shape[1], *shape[3:]) if transpose_and_flip else shape
    _expect(name, "weights", weights, shape, params)
    flat = operands.flat_weights(weights)
    return products.convolve(
        at, x, flat, params, name, out_dtype=params.output_type, options=read, turned=bool(transpose_and_flip)
    )


def convolution_with_output(
    graph: Graph, x: Tensor, weights: Tensor, out: Tensor, params: ConvParams, transpose_and_flip: bool,
    program: Program, name: str = "", options: Options = None, cache: PlanningCache | None = None,
) -> None:  # fmt: skip
    """`convolution` into a given tensor (batch, out channels, *field)."""
    name = name or "convolution"
    made = convolution(graph, x, weights, params, transpose_and_flip, program, name, options, cache)
    if out.shape != made.shape or out.dtype != made.dtype:
        raise ShapeError(f"{name}: the output {out.name} is {list(out.shape)}; the parameters say {list(made.shape)}")
    Lowering(graph, program).copy(made, out, f"{name}/output")


def create_input(
    graph: Graph, params: ConvParams, name: str = "input", options: Options = None, cache: PlanningCache | None = None
) -> Tensor:
    """A variable (batch, channels, *field) stored as convolutions read it."""
    at, name, _ = _convolving(graph, Program(), params, name, options, cache)
    return operands.create_input(at, params, name)


def create_weights(
    graph: Graph, params: ConvParams, name: str = "weights", options: Options = None, cache: PlanningCache | None = None
) -> Tensor:
    """Weights (groups, out, in, *kernel) stored where the plan of the convolution reads them."""
    at, name, read = _convolving(graph, Program(), params, name, options, cache)
    return operands.grouped_weights(operands.create_weights(at, params, name, read), params)


def create_conv_output(
    graph: Graph, params: ConvParams, name: str = "output", options: Options = None, cache: PlanningCache | None = None
) -> Tensor:
    """A variable (batch, out channels, *field) stored as the results of convolutions are."""
    at, name, _ = _convolving(graph, Program(), params, name, options, cache)
    return operands.create_output(at, params, name)


def create_biases(graph: Graph, activations: Tensor, name: str = "biases") -> Tensor:
    """One number for every channel of activations (batch, channels, *field)."""
    at = Lowering(graph, Program())
    return at.variable(activations.dtype, (activations.shape[1],), name)


def add_bias(graph: Graph, activations: Tensor, biases: Tensor, program: Program, name: str = "") -> None:
    """activations (batch, channels, *field) += biases (channels), in place."""
    _expect_biases(name or "add_bias", activations, biases)
    at = Lowering(graph, program)
    wide = biases.reshape((1, -1, *(1,) * (activations.ndim - 2)))
    at.elementwise("AddInPlace", activations, name or "add_bias", b=wide)


def convolution_bias_update(
    graph: Graph, z_deltas: Tensor, biases: Tensor, scale: float, program: Program, name: str = ""
) -> None:
    """biases += scale * the sum of z_deltas (batch, channels, *field) over batch and field, in place."""
    name = name or "bias_update"
    _expect_biases(name, z_deltas, biases)
    at = Lowering(graph, program)
    axes = tuple(a for a in range(z_deltas.ndim) if a != 1)
    total = at.reduce(z_deltas, axes, "add", name, biases.dtype)
    at.elementwise("ScaledAddInPlace", biases, f"{name}/add", b=total, constants={"k": float(scale)})


def weights_transpose_chans_flip_xy(
    graph: Graph, source: Tensor, destination: Tensor, program: Program, name: str = ""
) -> None:
    """Copy weights (groups, out, in, *kernel) to those of the opposite direction, (groups, in, out, *kernel), flipped."""
    turned = source.dim_shuffle((0, 2, 1, *range(3, source.ndim)))
    for axis in range(3, source.ndim):
        turned = turned.reverse(axis)
    if turned.shape != destination.shape:
        raise ShapeError(
            f"{name or 'weights_transpose_chans_flip_xy'}: {source.name} {list(source.shape)} turned is"
            f" {list(turned.shape)}, {destination.name} is {list(destination.shape)}"
        )
    Lowering(graph, program).copy(turned, destination, name)


def calculate_weight_deltas(
    graph: Graph, z_deltas: Tensor, activations: Tensor, params: ConvParams, program: Program, name: str = "",
    options: Options = None, cache: PlanningCache | None = None,
) -> Tensor:  # fmt: skip
    """The gradient of the weights, (groups, out, in, *kernel), of a forward convolution with `params`: z_deltas is the
    gradient of its output, activations its input."""
    at, name, read = _convolving(graph, program, params, name or "weight_deltas", options, cache)
    _expect(name, "input", activations, params.input_shape, params)
    _expect(name, "output gradient", z_deltas, params.output_shape, params)
    deltas = products.weights_gradient(at, activations, z_deltas, params, name, options=read)
    return operands.grouped_weights(deltas, params)


def convolution_weight_update(
    graph: Graph, z_deltas: Tensor, weights: Tensor, activations: Tensor, params: ConvParams, scale: float,
    program: Program, name: str = "", options: Options = None, cache: PlanningCache | None = None,
) -> None:  # fmt: skip
    """weights += scale * calculate_weight_deltas(...), in place."""
    name = name or "weight_update"
    _expect(name, "weights", weights, params.weights_shape, params)
    deltas = calculate_weight_deltas(graph, z_deltas, activations, params, program, name, options, cache)
    flat = operands.flat_weights(weights), operands.flat_weights(deltas)
    at = Lowering(graph, program)
    at.elementwise("ScaledAddInPlace", flat[0], f"{name}/add", b=flat[1], constants={"k": float(scale)})


def plan_convolution(
    graph: Graph, params: ConvParams, options: Options = None, cache: PlanningCache | None = None
) -> ConvPlan:
    """How a convolution is split over the tiles of a graph. The option `pass` = "training_bwd" or "training_wu" asks for
    the product that makes the input's or the weights' gradient."""
    at, _, read = _convolving(graph, Program(), params, "plan", options, cache)
    return operands.plan_of(at, params, products.kind_of_pass(read["pass"]), read, params.output_type)


def plan_estimated_costs(
    graph: Graph, params: ConvParams, options: Options = None, cache: PlanningCache | None = None
) -> dict[str, dict[str, int]]:
    """What `plan_convolution` expects, by part and in all: {"compute": {"cycles": ..., "bytes": ...}, ..., "total": ...}."""
    return plan_convolution(graph, params, options, cache).costs()


def fwd_flops(params: ConvParams) -> int:
    """Floating-point operations of the forward product: two for every product with an element that is not padding."""
    return 2 * params.macs


def bwd_flops(params: ConvParams) -> int:
    """Floating-point operations of the input's gradient."""
    return 2 * gradient_params(params).macs


def wu_flops(params: ConvParams) -> int:
    """Floating-point operations of the weights' gradient."""
    return 2 * weight_update_params(params).macs


def perfect_cycle_count(graph: Graph, params: ConvParams) -> float:
    """Tile cycles of the forward product were all product units of all tiles of a graph busy all the time."""
    return params.macs / (macs_per_cycle(graph.target, params.input_type) * len(Lowering(graph, Program()).tiles))


def _convolving(
    graph: Graph, program: Program, params: ConvParams, name: str, options: Options, cache: PlanningCache | None
) -> tuple[Lowering, str, dict[str, Any]]:
    if not isinstance(params, ConvParams):
        raise TypeMismatch(f"{name}: params is {type(params).__name__}; it takes poplin.ConvParams")
    return Lowering(graph, program), name, read_conv_options(options, f"poplin.{name}", params) | {"cache": cache}


def _expect(name: str, what: str, t: Tensor, shape: tuple[int, ...], params: ConvParams) -> None:
    if t.shape != shape:
        raise ShapeError(f"{name}: the {what} {t.name} is {list(t.shape)}; the parameters say {list(shape)}")
    if t.dtype != params.input_type:
        raise TypeMismatch(f"{name}: the {what} {t.name} is {t.dtype}; the parameters say {params.input_type}")


def _expect_biases(name: str, activations: Tensor, biases: Tensor) -> None:
    if activations.ndim < 2 or biases.shape != (activations.shape[1],):
        raise ShapeError(
            f"{name}: the biases {biases.name} are {list(biases.shape)}; {activations.name} {list(activations.shape)} has"
            " a channel on its second axis, and takes a bias for each"
        )
