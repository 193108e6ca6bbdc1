"""The k largest (or smallest) elements of rows, in order, with their places."""

from __future__ import annotations

from typing import Any

import numpy as np

from poplar_py.dtypes import INT
from poplar_py.errors import ShapeError
from poplar_py.lower.mapping import part_bounds
from poplar_py.opgraph.gradients import gradient_name
from poplar_py.opgraph.op import (
    Op,
    Operand,
    TensorType,
    Value,
    computed,
    describe,
    floats,
    halfs,
    ints,
    sample,
    tensor_type,
)


class Topk(Op):
    """values, indices = the k largest elements along the last axis (the smallest where not `largest`), best first

    Of equals the first come first.
    """

    x: Value
    k: int
    largest: bool = True
    values = computed()
    indices = computed()
    samples = (
        sample(floats(5, 7, distinct=True), k=3),
        sample(floats(2, 3, 9, distinct=True), k=9, largest=False),
        sample(floats(1, 1000, distinct=True), k=5),
        sample(floats(40, distinct=True), k=1),
        sample(halfs(6, 10), k=4),
        sample(ints(5, 60, low=0, high=3), k=6),
    )

    def infer(self) -> Any:
        if not self.x.ndim or not 1 <= self.k <= self.x.shape[-1]:
            size = self.x.shape[-1] if self.x.ndim else 0
            raise ShapeError(f"{self}: k is {self.k}; rows of {describe(self.x)} have {size} elements")
        shape = (*self.x.shape[:-1], self.k)
        return TensorType(self.x.dtype, shape), TensorType(INT, shape)

    def reference(self, x: Any) -> Any:
        best = np.argsort(-x if self.largest else x, axis=-1, kind="stable")[..., : self.k]
        return np.take_along_axis(x, best, axis=-1), best

    def gradient(self, g: Any, dvalues: Value, dindices: Any = None) -> Any:
        size = self.x.shape[-1]
        return g.add("topk_grad", self.outputs[1], dvalues, size=size, name=gradient_name(self.x))

    def lower(self, at: Any, x: Any) -> Any:
        shape = self.outputs[0].shape
        values = at.variable(x.dtype, shape, f"{self.leaf}/values", mapping="rows")
        indices = at.variable(INT, shape, f"{self.leaf}/indices", mapping="rows")
        if not x.size:
            return values, indices
        rows, size = x.size // x.shape[-1], x.shape[-1]
        results = {"values": values.reshape(rows, self.k), "places": indices.reshape(rows, self.k)}
        flat, largest = x.reshape(rows, size), int(self.largest)
        workers = len(at.tiles) * at.target.num_workers
        bounds = part_bounds(size, min(workers // rows, int(np.sqrt(size / self.k)), size // self.k))
        if len(bounds) == 2:
            at.rows("TopK", self.leaf, x=flat, constants={"largest": largest}, **results)
            return values, indices
        parts = len(bounds) - 1
        chosen = at.variable(x.dtype, (rows * parts, self.k), f"{self.leaf}/parts", mapping="rows")
        places = at.variable(INT, (rows * parts, self.k), f"{self.leaf}/places", mapping="rows")
        row, part = (i.reshape(-1) for i in np.indices((rows, parts)))
        at.execute(
            "TopK", f"{self.leaf}/parts", at.tiles_of_elements(chosen[:, 0]), largest=largest, first=bounds[part],
            x=flat.flatten().windows(row * size + bounds[part], np.diff(bounds)[part]), values=chosen, places=places,
        )  # fmt: skip
        fields = {"x": chosen.reshape(rows, parts * self.k), "given": places.reshape(rows, parts * self.k)}
        at.rows("TopKMerge", self.leaf, constants={"largest": largest}, **fields, **results)
        return values, indices


class TopkGrad(Op):
    """dx = zeros of rows of `size`, with dvalues at indices"""

    indices: Value
    dvalues: Value
    size: int
    dx = computed()
    samples = (
        sample(Operand(tensor_type(INT, (5, 1)), 0, 7), floats(5, 1), size=7),
        sample(Operand(tensor_type(INT, (2, 3, 1)), 0, 20), halfs(2, 3, 1), size=20),
    )

    def infer(self) -> TensorType:
        if self.indices.dtype != INT or self.indices.shape != self.dvalues.shape or not self.dvalues.ndim:
            raise ShapeError(f"{self}: {describe(self.indices, self.dvalues)}: it takes INT places and as many values")
        return TensorType(self.dvalues.dtype, (*self.dvalues.shape[:-1], self.size))

    def reference(self, indices: Any, dvalues: Any) -> Any:
        dx = np.zeros(self.outputs[0].shape, dvalues.dtype)
        np.put_along_axis(dx, indices, dvalues, axis=-1)
        return dx

    def lower(self, at: Any, indices: Any, dvalues: Any) -> Any:
        dx = at.variable(dvalues.dtype, self.outputs[0].shape, self.leaf, mapping="rows")
        at.rows("PlaceInRow", self.leaf, places=indices, dvalues=dvalues, dx=dx)
        return dx
