"""Losses: one FLOAT that training makes small. Both are means, so they do not grow with the batch."""

from __future__ import annotations

from typing import Any

import numpy as np

from poplar_py.dtypes import FLOAT, INT
from poplar_py.errors import ShapeError, TypeMismatch
from poplar_py.opgraph.op import (
    Op,
    Value,
    describe,
    floats,
    halfs,
    ints,
    like,
    require_floating,
    same_dtype,
    sample,
    scalar,
)

from .softmax import log_of_softmax

LABELLED = (
    sample(floats(5, 7), ints(5, low=0, high=7)),
    sample(floats(1, 10, low=-30, high=30), ints(1, low=0, high=10)),
    sample(halfs(6, 10), ints(6, low=0, high=10)),
)


def check_labels(op: Any) -> None:
    """Raise unless `logits` are (rows, classes) and `labels` one INT a row."""
    require_floating(op, "logits")
    if op.labels.dtype != INT:
        raise TypeMismatch(f"{op}: labels {describe(op.labels)} are class numbers, of type INT")
    if op.logits.ndim != 2 or op.labels.shape != op.logits.shape[:1]:
        raise ShapeError(f"{op}: {describe(op.logits, op.labels)}: it takes (rows, classes) and (rows,)")


def is_one(value: Value) -> bool:
    """Whether a value is the constant 1, as the gradient of a loss is where no loss scale is used."""
    return value.op is not None and value.op.kind == "constant" and bool(np.all(value.op.attributes["value"] == 1))


class SoftmaxCrossEntropy(Op):
    """loss = the mean over rows of -log(softmax(logits)[label])"""

    logits: Value
    labels: Value
    loss = scalar(FLOAT)
    laid_by = ()
    samples = LABELLED

    def infer(self) -> Any:
        check_labels(self)
        return super().infer()

    @property
    def scale(self) -> float:
        """1 / rows."""
        return 1.0 / max(1, self.logits.shape[0])

    def reference(self, logits: Any, labels: Any) -> Any:
        rows = np.arange(len(labels))
        return -(log_of_softmax(logits)[rows, labels] * logits.dtype.type(self.scale)).sum()

    def gradient(self, g: Any, dloss: Value) -> Any:
        seed = None if is_one(dloss) else dloss
        name = f"{self.logits.leaf}-gradient"
        return g.add("softmax_cross_entropy_grad", self.logits, self.labels, seed, name=name), None

    def lower(self, at: Any, logits: Any, labels: Any) -> Any:
        rows = at.variable(FLOAT, labels.shape, f"{self.leaf}/rows", mapping="rows")
        scale = {"scale": self.scale}
        at.rows(type(self).__name__, self.leaf, logits=logits, label=labels, loss=rows, constants=scale)
        return at.reduce(rows, [0], "add", self.leaf)


class SoftmaxCrossEntropyGrad(Op):
    """dlogits = (softmax(logits) - one_hot(labels)) / rows, times dloss where that is given"""

    logits: Value
    labels: Value
    dloss: Value | None = None
    dlogits = like("logits")
    laid_by = ()
    in_place = ("logits",)
    samples = (*(sample(*s.operands, None) for s in LABELLED), sample(*LABELLED[0].operands, floats()))

    def infer(self) -> Any:
        check_labels(self)
        return super().infer()

    def reference(self, logits: Any, labels: Any, dloss: Any) -> Any:
        difference = np.exp(log_of_softmax(logits))
        difference[np.arange(len(labels)), labels] -= 1
        return difference * (logits.dtype.type(1.0 / max(1, len(labels))) * (1 if dloss is None else dloss))

    def lower(self, at: Any, logits: Any, labels: Any, dloss: Any) -> Any:
        result = at.variable(logits.dtype, logits.shape, self.leaf, mapping="rows")
        fields = {"logits": logits, "label": labels, "dlogits": result} | ({} if dloss is None else {"dloss": dloss})
        codelet = type(self).__name__ + ("" if dloss is None else "By")
        at.rows(codelet, self.leaf, constants={"scale": 1.0 / max(1, self.logits.shape[0])}, **fields)
        return result


class MeanSquaredError(Op):
    """loss = the mean over all elements of (x - wanted) squared"""

    x: Value
    wanted: Value
    loss = scalar(FLOAT)
    laid_by = ("x",)
    sums = True
    samples = (
        sample(floats(5, 7), floats(5, 7)),
        sample(floats(1), floats(1)),
        sample(halfs(6, 20), halfs(6, 20)),
    )

    def infer(self) -> Any:
        require_floating(self, "x")
        same_dtype(self, "x", "wanted")
        if self.x.shape != self.wanted.shape:
            raise ShapeError(f"{self}: {describe(self.x, self.wanted)} differ in shape")
        return super().infer()

    def reference(self, x: Any, wanted: Any) -> Any:
        return np.square(x - wanted).sum() * x.dtype.type(1.0 / max(1, self.x.size))

    def gradient(self, g: Any, dloss: Value) -> Any:
        seed = None if is_one(dloss) else dloss
        dx = g.add("mean_squared_error_grad", self.x, self.wanted, seed, name=f"{self.x.leaf}-gradient")
        return dx, g.add("neg", dx, name=f"{self.wanted.leaf}-gradient")

    def lower(self, at: Any, x: Any, wanted: Any) -> Any:
        difference = at.variable_like(x, f"{self.leaf}/difference", FLOAT)
        at.elementwise("Sub", difference, f"{self.leaf}/difference", a=x, b=wanted)
        return at.reduce(difference, None, "square_add", self.leaf, scale=1.0 / max(1, self.x.size))


class MeanSquaredErrorGrad(Op):
    """dx = 2 (x - wanted) / elements, times dloss where that is given"""

    x: Value
    wanted: Value
    dloss: Value | None = None
    dx = like("x")
    in_place = ("x",)
    samples = (
        sample(floats(5, 7), floats(5, 7), None),
        sample(floats(5, 7), floats(5, 7), floats()),
        sample(halfs(6, 20), halfs(6, 20), None),
    )

    def reference(self, x: Any, wanted: Any, dloss: Any) -> Any:
        return (x - wanted) * (x.dtype.type(2.0 / max(1, self.x.size)) * (1 if dloss is None else dloss))

    def lower(self, at: Any, x: Any, wanted: Any, dloss: Any) -> Any:
        dx = at.variable_like(x, self.leaf)
        fields = {"x": x, "wanted": wanted} | ({} if dloss is None else {"dloss": dloss})
        codelet = "SquaredErrorGrad" + ("" if dloss is None else "By")
        return at.elementwise(codelet, dx, self.leaf, constants={"scale": 1.0 / max(1, self.x.size)}, **fields)
