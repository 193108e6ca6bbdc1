"""Non-linearities, softmax and losses on a graph made by hand, by the names of PopLibs' popnn."""

from __future__ import annotations

from typing import Any

from .dtypes import FLOAT, INT
from .errors import InvalidOption, ShapeError, did_you_mean
from .graph import Graph, Tensor
from .lower import Lowering
from .program import Sequence as Program

NON_LINEARITIES = {"relu": "Relu", "sigmoid": "Sigmoid", "tanh": "Tanh", "softmax": "Softmax"}
LOSSES = ("cross_entropy", "sum_squared")


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
