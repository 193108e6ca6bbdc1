"""Reductions over axes: sum, mean, product, largest, smallest. Sums of half are kept in float until they are stored."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from poplar_py.errors import ModelError, ShapeError
from poplar_py.opgraph.gradients import gradient_name
from poplar_py.opgraph.op import (
    Op,
    TensorType,
    Value,
    check_axis,
    computed,
    describe,
    floats,
    halfs,
    ints,
    require_floating,
    sample,
)

SHAPES = (
    sample(floats(7), axes=(0,)),
    sample(floats(4, 33), axes=(0,)),
    sample(floats(4, 33), axes=(1,), keepdims=True),
    sample(floats(3, 4, 5), axes=(0, 2)),
    sample(floats(3, 4), axes=None),
    sample(floats(1, 1), axes=(0,)),
    sample(halfs(6, 20), axes=(1,)),
)
EMPTY = (sample(floats(0, 4), axes=(0,)), sample(floats(0, 4), axes=(1,)))


class _Reduce(Op):
    x: Value
    axes: tuple[int, ...] | None = None  # all where None
    keepdims: bool = False
    out = computed()
    sums = True
    operation: ClassVar[str] = ""
    empty_is_legal: ClassVar[bool] = True

    @property
    def gone(self) -> tuple[int, ...]:
        """The axes reduced, from the front, ascending."""
        axes = range(self.x.ndim) if self.axes is None else self.axes
        return tuple(sorted({check_axis(self, axis, self.x.ndim) for axis in axes}))

    def infer(self) -> TensorType:
        gone, shape = self.gone, self.x.shape
        if not self.empty_is_legal and any(shape[i] == 0 for i in gone):
            raise ShapeError(f"{self}: {describe(self.x)} has nothing to take the {self.operation} of")
        if self.keepdims:
            return TensorType(self.x.dtype, tuple(1 if i in gone else n for i, n in enumerate(shape)))
        return TensorType(self.x.dtype, tuple(n for i, n in enumerate(shape) if i not in gone))

    def spread(self, g: Any, value: Value) -> Value:
        """A value of the output's shape, broadcast to the operand's."""
        if value.shape != self.x.shape:
            kept = tuple(1 if i in self.gone else n for i, n in enumerate(self.x.shape))
            if value.shape != kept:
                value = g.add("reshape", value, shape=kept)
            value = g.add("broadcast_to", value, shape=self.x.shape)
        return value

    def lower(self, at: Any, x: Any) -> Any:
        gone = self.gone
        if not gone:
            return x
        out = at.reduce(x, list(gone), self.operation, self.leaf, scale=self.scale)
        return out.reshape(self.outputs[0].shape)

    @property
    def scale(self) -> float:
        """What the sum is multiplied by."""
        return 1.0


class ReduceSum(_Reduce):
    """out = the sum of x over the axes"""

    operation = "add"
    samples = (*SHAPES, *EMPTY, sample(ints(4, 5), axes=(1,)))

    def reference(self, x: Any) -> Any:
        return x.sum(axis=self.gone, keepdims=self.keepdims, dtype=x.dtype)

    def gradient(self, g: Any, dy: Value) -> Any:
        return self.spread(g, dy)


class ReduceMean(_Reduce):
    """out = the mean of x over the axes"""

    operation = "add"
    empty_is_legal = False
    samples = SHAPES

    def infer(self) -> TensorType:
        require_floating(self, "x")
        return super().infer()

    @property
    def scale(self) -> float:
        return 1.0 / max(1, int(np.prod([self.x.shape[i] for i in self.gone], dtype=np.int64)))

    def reference(self, x: Any) -> Any:
        return x.sum(axis=self.gone, keepdims=self.keepdims) * x.dtype.type(self.scale)

    def gradient(self, g: Any, dy: Value) -> Any:
        count = self.x.size // max(1, self.outputs[0].size)
        exact = count <= 2048  # the whole numbers that half has; the scale it would round
        kind, factor = ("div", count) if exact else ("mul", self.scale)
        return self.spread(g, g.add(kind, dy, g.constant(float(factor), dy.dtype), name=gradient_name(self.x)))


class ReduceProd(_Reduce):
    """out = the product of x over the axes"""

    operation = "mul"
    samples = (
        sample(floats(7, low=0.5), axes=(0,)),
        sample(floats(4, 9, low=0.5), axes=(0,)),
        sample(floats(3, 4, 5, low=0.5), axes=(0, 2), keepdims=True),
        EMPTY[0],
    )

    def reference(self, x: Any) -> Any:
        return x.prod(axis=self.gone, keepdims=self.keepdims, dtype=x.dtype)

    def gradient(self, g: Any, dy: Value) -> Any:
        """dy * out / x, so x without zeros."""
        if self.x.dtype.is_integral:
            raise ModelError(f"{self}: {describe(self.x)} has no gradient")
        return g.add("div", self.spread(g, g.add("mul", dy, self.outputs[0])), self.x, name=gradient_name(self.x))


class _Extreme(_Reduce):
    empty_is_legal = False
    samples = (
        sample(floats(7, distinct=True), axes=(0,)),
        sample(floats(4, 33, distinct=True), axes=(0,)),
        sample(floats(3, 4, 5, distinct=True), axes=(0, 2), keepdims=True),
        sample(halfs(6, 20), axes=(1,)),
        sample(ints(4, 5), axes=(1,)),
        sample(floats(1, 0, 4), axes=(0,)),
    )

    def gradient(self, g: Any, dy: Value) -> Any:
        """dy where x is the extreme; equals share it."""
        place = g.add("equal", self.x, self.spread(g, self.outputs[0]))
        hit = g.add("cast", place, to=dy.dtype)
        kept = tuple(1 if i in self.gone else n for i, n in enumerate(self.x.shape))
        count = g.add("reduce_sum", hit, axes=self.gone, keepdims=True)
        share = g.add("div", g.add("reshape", dy, shape=kept), count)
        return g.add("mul", hit, share, name=gradient_name(self.x))


class ReduceMax(_Extreme):
    """out = the largest of x over the axes"""

    operation = "max"

    def reference(self, x: Any) -> Any:
        return x.max(axis=self.gone, keepdims=self.keepdims)


class ReduceMin(_Extreme):
    """out = the smallest of x over the axes"""

    operation = "min"

    def reference(self, x: Any) -> Any:
        return x.min(axis=self.gone, keepdims=self.keepdims)
