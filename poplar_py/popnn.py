"""Non-linearities, pooling, norms, softmax and losses on a graph made by hand, by the names of PopLibs' popnn.

Values with a field are (batch, channels, *field), in any layout; results are stored channels-innermost.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .dtypes import FLOAT, INT
from .errors import InvalidOption, ShapeError, did_you_mean
from .graph import Graph, Tensor
from .lower import Lowering, normalise, pooling
from .lower.windows import Taps
from .ops.pool import window_axes
from .program import Sequence as Program

NON_LINEARITIES = {"relu": "Relu", "sigmoid": "Sigmoid", "tanh": "Tanh", "softmax": "Softmax"}
LOSSES = ("cross_entropy", "sum_squared")
POOLINGS = ("max", "avg", "sum")


def _codelet(kind: str) -> str:
    found = NON_LINEARITIES.get(str(kind).lower())
    if found is None:
        known = ", ".join(NON_LINEARITIES)
        raise InvalidOption(f"no non-linearity '{kind}'.{did_you_mean(kind, NON_LINEARITIES)} There are {known}")
    return found


def non_linearity(graph: Graph, kind: str, x: Tensor, program: Program, name: str = "") -> Tensor:
    """y = relu, sigmoid, tanh or (over the last axis) softmax of x."""
    codelet = _codelet(kind)
    at, name = Lowering(graph, program), name or kind
    y = at.variable_like(x, name)
    if codelet == "Softmax":
        at.rows("Softmax", name, x=x, y=y)
        return y
    return at.elementwise(codelet, y, name, x=x)


def non_linearity_in_place(graph: Graph, kind: str, x: Tensor, program: Program, name: str = "") -> Tensor:
    """The same, written over x."""
    codelet = _codelet(kind)
    at, name = Lowering(graph, program), name or kind
    if codelet == "Softmax":
        y = non_linearity(graph, kind, x, program, name)
        at.copy(y, x, f"{name}/copy")
        return x
    return at.elementwise(codelet + "InPlace", x, name)


def non_linearity_input_gradient(
    graph: Graph, kind: str, y: Tensor, dy: Tensor, program: Program, name: str = ""
) -> Tensor:
    """The gradient of x, from the result y of the forward pass and its gradient dy."""
    codelet = _codelet(kind) + "Grad"
    at, name = Lowering(graph, program), name or f"{kind}_gradient"
    if y.shape != dy.shape:
        raise ShapeError(f"{name}: {y.name} {list(y.shape)} and {dy.name} {list(dy.shape)} differ")
    dx = at.variable_like(y, name)
    if codelet == "SoftmaxGrad":
        at.rows(codelet, name, y=y, dy=dy, dx=dx)
        return dx
    return at.elementwise(codelet, dx, name, y=y, dy=dy)


def softmax(graph: Graph, x: Tensor, program: Program, name: str = "") -> Tensor:
    """Softmax over the last axis."""
    return non_linearity(graph, "softmax", x, program, name)


def log_softmax(graph: Graph, x: Tensor, program: Program, name: str = "") -> Tensor:
    """Logarithm of the softmax over the last axis."""
    at, name = Lowering(graph, program), name or "log_softmax"
    y = at.variable_like(x, name)
    at.rows("LogSoftmax", name, x=x, y=y)
    return y


def calc_loss(
    graph: Graph, model_outputs: Tensor, expected: Tensor, loss: Tensor, deltas: Tensor, program: Program,
    kind: str = "cross_entropy", name: str = "", *, scale: float = 1.0,
) -> Program:  # fmt: skip
    """Loss of every row of `model_outputs` (batch, classes) into `loss` (batch) and its gradient into `deltas`.

    "cross_entropy" takes logits and integer labels (batch); "sum_squared" takes wanted values (batch, classes).
    """
    at, name = Lowering(graph, program), name or "loss"
    if kind not in LOSSES:
        raise InvalidOption(f"no loss '{kind}'.{did_you_mean(kind, LOSSES)} There are {', '.join(LOSSES)}")
    constants: dict[str, Any] = {"scale": scale}
    with at.scope(name):
        if kind == "cross_entropy":
            at.rows(
                "SoftmaxCrossEntropy", "value", logits=model_outputs, label=expected, loss=loss, constants=constants
            )
            at.rows(
                "SoftmaxCrossEntropyGrad", "gradient", logits=model_outputs, label=expected, dlogits=deltas,
                constants=constants,
            )  # fmt: skip
        else:
            at.rows("SquaredError", "value", x=model_outputs, wanted=expected, loss=loss, constants=constants)
            at.rows("SquaredErrorGrad", "gradient", x=model_outputs, wanted=expected, dx=deltas, constants=constants)
    return program


def arg_max(graph: Graph, x: Tensor, program: Program, name: str = "") -> Tensor:
    """Place of the largest element of every row, INT."""
    at, name = Lowering(graph, program), name or "arg_max"
    index = at.variable(INT, x.shape[:-1], name, mapping="rows" if x.ndim > 1 else "linear")
    at.rows("ArgMax", name, x=x, index=index)
    return index


def calc_accuracy(graph: Graph, model_outputs: Tensor, expected: Tensor, program: Program, name: str = "") -> Tensor:
    """How many rows have their largest element at the place `expected` says: a FLOAT tensor of one element."""
    at, name = Lowering(graph, program), name or "accuracy"
    with at.scope(name):
        correct = at.variable(FLOAT, model_outputs.shape[:-1], "correct", mapping="rows")
        at.rows("CountCorrect", "compare", x=model_outputs, label=expected, correct=correct)
        return at.reduce(correct, None, "add", "sum")


def _pooling(kind: str, count_include_pad: bool = True) -> str:
    if kind not in POOLINGS:
        raise InvalidOption(f"no pooling '{kind}'.{did_you_mean(kind, POOLINGS)} There are {', '.join(POOLINGS)}")
    return "mean" if kind == "avg" and not count_include_pad else kind


def _axes(name: str, field: tuple[int, ...], kernel: Sequence[int], settings: dict[str, Any]) -> tuple[Taps, ...]:
    known = ("stride", "padding_lower", "padding_upper", "dilation")
    for key in settings:
        if key not in known:
            raise InvalidOption(f"{name}: no setting '{key}'.{did_you_mean(key, known)} There are {', '.join(known)}")
    return window_axes(name, field, kernel, *(settings.get(key) for key in known))


def pool_output_field_shape(field: Sequence[int], kernel: Sequence[int], **settings: Any) -> tuple[int, ...]:
    """The field that pooling gives; settings as for `pool`."""
    return tuple(a.windows for a in _axes("pool", tuple(field), kernel, settings))


def pool(
    graph: Graph, x: Tensor, kind: str, kernel: Sequence[int], program: Program, name: str = "", *,
    count_include_pad: bool = True, **settings: Any,
) -> Tensor:  # fmt: skip
    """The "max", "avg" or "sum" of windows; `stride` (the kernel unless given), `padding_lower`, `padding_upper` and
    `dilation` have an entry for every field axis."""
    at, name = Lowering(graph, program), name or f"{kind}_pool"
    axes = _axes(name, x.shape[2:], kernel, settings)
    return pooling.pool(at, x, axes, _pooling(kind, count_include_pad), name)


def pool_input_gradient(
    graph: Graph, x: Tensor, y: Tensor, dy: Tensor, kind: str, kernel: Sequence[int], program: Program, name: str = "",
    **settings: Any,
) -> Tensor:  # fmt: skip
    """The gradient of x, from x, the pooled y and its gradient dy; of "avg" that counts padding as zeros."""
    at, name = Lowering(graph, program), name or f"{kind}_pool_gradient"
    axes = _axes(name, x.shape[2:], kernel, settings)
    if y.shape != dy.shape or y.shape[2:] != tuple(a.windows for a in axes):
        raise ShapeError(f"{name}: {y.name} {list(y.shape)} and {dy.name} {list(dy.shape)} are not the pooled {x.name}")
    return pooling.pool_gradient(at, dy, axes, _pooling(kind), name, x=x, y=y)


def batch_norm_statistics(graph: Graph, x: Tensor, program: Program, name: str = "") -> tuple[Tensor, Tensor]:
    """Mean and variance (of the population) of every channel, FLOAT."""
    at, name = Lowering(graph, program), name or "batch_norm_statistics"
    return normalise.batch_moments(at, normalise.as_rows(at, x), name)


def batch_normalise(
    graph: Graph, x: Tensor, gamma: Tensor, beta: Tensor, mean: Tensor, variance: Tensor, epsilon: float,
    program: Program, name: str = "",
) -> Tensor:  # fmt: skip
    """(x - mean) / sqrt(variance + epsilon) * gamma + beta, all of them over channels."""
    at, name = Lowering(graph, program), name or "batch_normalise"
    factors = normalise.batch_coefficients(at, mean, variance, gamma, beta, epsilon, name)
    return normalise.scale_and_shift(at, normalise.as_rows(at, x), *factors, name)


def batch_norm_gradients(
    graph: Graph, x: Tensor, gamma: Tensor, mean: Tensor, variance: Tensor, dy: Tensor, epsilon: float,
    program: Program, name: str = "",
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Gradients of x, gamma and beta, from that of the normalised value."""
    at, name = Lowering(graph, program), name or "batch_norm_gradients"
    return normalise.batch_norm_gradient(at, x, gamma, mean, variance, dy, epsilon, name)


def group_norm(
    graph: Graph, x: Tensor, gamma: Tensor, beta: Tensor, groups: int, epsilon: float, program: Program, name: str = ""
) -> tuple[Tensor, Tensor, Tensor]:
    """The normalised value, and the mean and variance (batch, groups) of every group of channels of a sample."""
    if groups < 1 or x.shape[1] % groups:
        raise ShapeError(f"group_norm: {x.name} has {x.shape[1]} channels, which do not make {groups} equal groups")
    at, name = Lowering(graph, program), name or "group_norm"
    return normalise.group_norm(at, x, gamma, beta, groups, epsilon, name)


def group_norm_gradients(
    graph: Graph, x: Tensor, gamma: Tensor, mean: Tensor, variance: Tensor, dy: Tensor, epsilon: float,
    program: Program, name: str = "",
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Gradients of x, gamma and beta; mean and variance are those `group_norm` gave."""
    at, name = Lowering(graph, program), name or "group_norm_gradients"
    return normalise.group_norm_gradient(at, x, gamma, mean, variance, dy, mean.shape[1], epsilon, name)


def instance_norm(
    graph: Graph, x: Tensor, gamma: Tensor, beta: Tensor, epsilon: float, program: Program, name: str = ""
) -> tuple[Tensor, Tensor, Tensor]:
    """Group norm with a group for every channel."""
    return group_norm(graph, x, gamma, beta, x.shape[1], epsilon, program, name or "instance_norm")


def layer_norm(
    graph: Graph, x: Tensor, gamma: Tensor, beta: Tensor, epsilon: float, program: Program, name: str = ""
) -> tuple[Tensor, Tensor, Tensor]:
    """Group norm with one group: over the channels and field of each sample."""
    return group_norm(graph, x, gamma, beta, 1, epsilon, program, name or "layer_norm")
