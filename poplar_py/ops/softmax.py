"""Softmax and its logarithm along the last axis, one row a vertex, stable under large values."""

from __future__ import annotations

from typing import Any

import numpy as np

from poplar_py.errors import ShapeError
from poplar_py.opgraph.gradients import gradient_name
from poplar_py.opgraph.op import Op, Value, describe, floats, halfs, like, require_floating, same_dtype, sample

ROWS = (
    sample(floats(5, 7)),
    sample(floats(1, 10, low=-30, high=30)),
    sample(floats(3, 1)),
    sample(floats(0, 4)),
    sample(halfs(6, 10)),
    sample(floats(2, 3, 4)),
)
ROW_PAIRS = (
    sample(floats(5, 7, low=0.1, high=0.4), floats(5, 7)),
    sample(floats(3, 1, low=0.1, high=0.4), floats(3, 1)),
    sample(halfs(6, 10, low=0.1, high=0.2), halfs(6, 10)),
)


def log_of_softmax(x: np.ndarray) -> np.ndarray:
    """x - log(sum(exp(x))) along the last axis."""
    shifted = x - x.max(axis=-1, keepdims=True, initial=-np.inf)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


class _Rows(Op):
    laid_by = ()
    x: Value
    y = like("x")
    in_place = ("x",)
    samples = ROWS

    def infer(self) -> Any:
        require_floating(self, "x")
        if not self.x.ndim or self.x.shape[-1] == 0:
            raise ShapeError(f"{self}: {describe(self.x)} has no rows of at least one element")
        return super().infer()

    def gradient(self, g: Any, dy: Value) -> Any:
        return g.add(f"{self.kind}_grad", self.outputs[0], dy, name=gradient_name(self.x))

    def lower(self, at: Any, x: Any) -> Any:
        y = at.variable(x.dtype, x.shape, self.leaf, mapping="rows")
        at.rows(type(self).__name__, self.leaf, x=x, y=y)
        return y


class _RowsGrad(Op):
    laid_by = ()
    y: Value
    dy: Value
    dx = like("y")
    in_place = ("dy", "y")
    samples = ROW_PAIRS

    def infer(self) -> Any:
        same_dtype(self, "y", "dy")
        return super().infer()

    def lower(self, at: Any, y: Any, dy: Any) -> Any:
        dx = at.variable(y.dtype, y.shape, self.leaf, mapping="rows")
        at.rows(type(self).__name__, self.leaf, y=y, dy=dy, dx=dx)
        return dx


class Softmax(_Rows):
    """y = exp(x) / sum(exp(x)) along the last axis"""

    def reference(self, x: Any) -> Any:
        power = np.exp(x - x.max(axis=-1, keepdims=True, initial=-np.inf))
        return power / power.sum(axis=-1, keepdims=True)


class SoftmaxGrad(_RowsGrad):
    """dx = y * (dy - sum(y * dy)), for y = softmax(x)"""

    def reference(self, y: Any, dy: Any) -> Any:
        return y * (dy - (y * dy).sum(axis=-1, keepdims=True))


class LogSoftmax(_Rows):
    """y = x - log(sum(exp(x))) along the last axis"""

    def reference(self, x: Any) -> Any:
        return log_of_softmax(x)


class LogSoftmaxGrad(_RowsGrad):
    """dx = dy - exp(y) * sum(dy), for y = log_softmax(x)"""

    def reference(self, y: Any, dy: Any) -> Any:
        return dy - np.exp(y) * dy.sum(axis=-1, keepdims=True)
