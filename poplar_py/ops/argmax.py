"""Places of the largest elements of rows, and how many stand where a label says."""

from __future__ import annotations

from typing import Any

import numpy as np

from poplar_py.dtypes import INT
from poplar_py.errors import ShapeError
from poplar_py.opgraph.op import Op, Value, describe, floats, halfs, ints, rows_of, sample, scalar

from .loss import LABELLED, check_labels


class Argmax(Op):
    """index = the place of the largest element along the last axis, the first of equals"""

    x: Value
    index = rows_of("x", INT)
    samples = (
        sample(floats(5, 7)),
        sample(floats(2, 3, 4)),
        sample(floats(4)),
        sample(floats(3, 1)),
        sample(halfs(6, 10)),
        sample(ints(5, 6, low=0, high=3)),
        sample(floats(0, 4)),
    )

    def infer(self) -> Any:
        if self.x.ndim and self.x.shape[-1] == 0:
            raise ShapeError(f"{self}: {describe(self.x)} has rows without elements")
        return super().infer()

    def reference(self, x: Any) -> Any:
        return np.argmax(x, axis=-1)

    def gradient(self, g: Any, dy: Any) -> Any:
        return None

    def lower(self, at: Any, x: Any) -> Any:
        index = at.variable(INT, x.shape[:-1], self.leaf, mapping="rows")
        at.rows("ArgMax", self.leaf, x=x, index=index)
        return index


class CountCorrect(Op):
    """correct = the number of rows whose largest element stands at the row's label"""

    logits: Value
    labels: Value
    correct = scalar(INT)
    samples = LABELLED

    def infer(self) -> Any:
        check_labels(self)
        return super().infer()

    def reference(self, logits: Any, labels: Any) -> Any:
        return np.count_nonzero(np.argmax(logits, axis=-1) == labels)

    def gradient(self, g: Any, dy: Any) -> Any:
        return None, None

    def lower(self, at: Any, logits: Any, labels: Any) -> Any:
        hits = at.variable(INT, labels.shape, f"{self.leaf}/rows", mapping="rows")
        at.rows("CountCorrect", self.leaf, x=logits, label=labels, correct=hits)
        return at.reduce(hits, [0], "add", self.leaf)
