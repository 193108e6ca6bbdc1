"""The same elements in another arrangement: views of tensors, which cost nothing by themselves.

Only `place`, the gradient of a slice, writes: zeros with the operand at regular positions.
"""

from __future__ import annotations

from typing import Any

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
    like,
    sample,
)

from .binary import sum_to


class Identity(Op):
    """y = x"""

    x: Value
    y = like("x")
    view_of = "x"
    samples = (sample(floats(3, 4)), sample(halfs(5)), sample(ints(2)))

    def reference(self, x: Any) -> Any:
        return x

    def gradient(self, g: Any, dy: Value) -> Any:
        return dy

    def lower(self, at: Any, x: Any) -> Any:
        return x


class Reshape(Op):
    """y = x in another shape; one size may be -1"""

    x: Value
    shape: tuple[int, ...]
    y = computed()
    view_of = "x"
    samples = (
        sample(floats(3, 4), shape=(2, 6)),
        sample(floats(3, 4), shape=(-1,)),
        sample(halfs(2, 3, 4), shape=(4, -1)),
        sample(floats(1), shape=()),
        sample(floats(0, 4), shape=(2, 0)),
    )

    def infer(self) -> TensorType:
        shape = tuple(self.shape)
        known = int(np.prod([n for n in shape if n != -1], dtype=np.int64))
        if shape.count(-1) == 1 and known and self.x.size % known == 0:
            shape = tuple(self.x.size // known if n == -1 else n for n in shape)
        if min(shape, default=0) < 0 or int(np.prod(shape, dtype=np.int64)) != self.x.size:
            raise ShapeError(
                f"{self}: {describe(self.x)} has {self.x.size} elements; they do not fit {list(self.shape)}"
            )
        return TensorType(self.x.dtype, shape)

    def reference(self, x: Any) -> Any:
        return x.reshape(self.outputs[0].shape)

    def gradient(self, g: Any, dy: Value) -> Any:
        return g.add("reshape", dy, shape=self.x.shape, name=gradient_name(self.x))

    def lower(self, at: Any, x: Any) -> Any:
        return at.in_order(x, self.leaf).reshape(self.outputs[0].shape)


class Transpose(Op):
    """y = x with its axes in the order `permutation` (reversed where None)"""

    x: Value
    permutation: tuple[int, ...] | None = None
    y = computed()
    view_of = "x"
    samples = (
        sample(floats(3, 4)),
        sample(floats(2, 3, 4), permutation=(1, 2, 0)),
        sample(halfs(3, 1)),
        sample(floats(0, 3)),
    )

    @property
    def order(self) -> tuple[int, ...]:
        """The axes of x in the order of y's."""
        return tuple(range(self.x.ndim))[::-1] if self.permutation is None else tuple(self.permutation)

    def infer(self) -> TensorType:
        if sorted(self.order) != list(range(self.x.ndim)):
            raise ShapeError(f"{self}: {list(self.order)} is not an order of the axes of {describe(self.x)}")
        return TensorType(self.x.dtype, tuple(self.x.shape[i] for i in self.order))

    def reference(self, x: Any) -> Any:
        return x.transpose(self.order)

    def gradient(self, g: Any, dy: Value) -> Any:
        back = tuple(int(i) for i in np.argsort(self.order))
        return g.add("transpose", dy, permutation=back, name=gradient_name(self.x))

    def lower(self, at: Any, x: Any) -> Any:
        return x.transpose(self.order)


class BroadcastTo(Op):
    """y = x repeated to a shape, as numpy broadcasts"""

    x: Value
    shape: tuple[int, ...]
    y = computed()
    view_of = "x"
    samples = (
        sample(floats(4), shape=(3, 4)),
        sample(floats(3, 1), shape=(3, 5)),
        sample(halfs(), shape=(2, 2)),
        sample(floats(1), shape=(0,)),
    )

    def infer(self) -> TensorType:
        try:
            fits = np.broadcast_shapes(self.x.shape, tuple(self.shape)) == tuple(self.shape)
        except ValueError:
            fits = False
        if not fits:
            raise ShapeError(f"{self}: {describe(self.x)} does not broadcast to {list(self.shape)}")
        return TensorType(self.x.dtype, tuple(self.shape))

    def reference(self, x: Any) -> Any:
        return np.broadcast_to(x, self.shape)

    def gradient(self, g: Any, dy: Value) -> Any:
        return sum_to(g, dy, self.x, f"{self.leaf}-gradient")

    def lower(self, at: Any, x: Any) -> Any:
        return x.broadcast_to(self.outputs[0].shape)


class Concat(Op):
    """y = the operands one after another along an axis"""

    xs: tuple[Value, ...]
    axis: int = 0
    y = computed()
    view_of = "xs"
    samples = (
        sample((floats(3, 4), floats(2, 4))),
        sample((floats(3, 4), floats(3, 1), floats(3, 0)), axis=1),
        sample((halfs(5),)),
        sample((floats(2, 3), floats(2, 3)), axis=-1),
    )

    def infer(self) -> TensorType:
        if not self.xs:
            raise ModelError(f"{self}: there is nothing to concatenate")
        first = self.xs[0]
        axis = check_axis(self, self.axis, first.ndim)
        for x in self.xs[1:]:
            alike = x.ndim == first.ndim and all(
                a == b for i, (a, b) in enumerate(zip(x.shape, first.shape, strict=True)) if i != axis
            )
            if x.dtype != first.dtype or not alike:
                raise ShapeError(f"{self}: {describe(first, x)} differ beyond axis {axis}")
        size = sum(x.shape[axis] for x in self.xs)
        return TensorType(first.dtype, tuple(size if i == axis else n for i, n in enumerate(first.shape)))

    def reference(self, xs: Any) -> Any:
        return np.concatenate(xs, axis=self.axis)

    def gradient(self, g: Any, dy: Value) -> Any:
        axis, begin, parts = self.axis % dy.ndim, 0, []
        for i, x in enumerate(self.xs):
            parts.append(cut(g, dy, axis, begin, begin + x.shape[axis], f"{self.leaf}-gradient-{i}"))
            begin += x.shape[axis]
        return (tuple(parts),)

    def lower(self, at: Any, xs: Any) -> Any:
        return at.concat(list(xs), self.axis % self.outputs[0].ndim, self.leaf)


def cut(g: Any, x: Value, axis: int, begin: int, end: int, name: str) -> Value:
    """x[begin:end] along one axis."""
    starts = tuple(begin if i == axis else 0 for i in range(x.ndim))
    ends = tuple(end if i == axis else n for i, n in enumerate(x.shape))
    return g.add("slice", x, begin=starts, end=ends, name=name)


def as_slices(begin: tuple[int, ...], end: tuple[int, ...], step: tuple[int, ...] | None) -> tuple[slice, ...]:
    """Begins, ends and steps (1 where None) as an index."""
    return tuple(slice(b, e, s) for b, e, s in zip(begin, end, step or (1,) * len(begin), strict=True))


class Slice(Op):
    """y = x[begin:end:step], an entry of each for every axis; 0 <= begin <= end <= size and step >= 1"""

    x: Value
    begin: tuple[int, ...]
    end: tuple[int, ...]
    step: tuple[int, ...] | None = None
    y = computed()
    view_of = "x"
    samples = (
        sample(floats(5, 7), begin=(1, 2), end=(4, 7)),
        sample(floats(5, 7), begin=(0, 1), end=(5, 7), step=(2, 3)),
        sample(floats(5), begin=(2,), end=(2,)),
        sample(halfs(4, 4), begin=(0, 3), end=(4, 4)),
    )

    @property
    def slices(self) -> tuple[slice, ...]:
        """As an index."""
        return as_slices(self.begin, self.end, self.step)

    def infer(self) -> TensorType:
        if not len(self.begin) == len(self.end) == len(self.step or self.begin) == self.x.ndim:
            raise ShapeError(f"{self}: {describe(self.x)} needs a begin and an end for each of its {self.x.ndim} axes")
        for i, (s, size) in enumerate(zip(self.slices, self.x.shape, strict=True)):
            if not 0 <= s.start <= s.stop <= size or s.step < 1:
                raise ShapeError(f"{self}: {s.start}:{s.stop}:{s.step} is outside axis {i} of {describe(self.x)}")
        return TensorType(self.x.dtype, tuple(len(range(s.start, s.stop, s.step)) for s in self.slices))

    def reference(self, x: Any) -> Any:
        return x[self.slices]

    def gradient(self, g: Any, dy: Value) -> Any:
        place = {"begin": self.begin, "end": self.end, "step": self.step}
        return g.add("place", dy, shape=self.x.shape, name=gradient_name(self.x), **place)

    def lower(self, at: Any, x: Any) -> Any:
        return at.part(x, self.slices)


class Place(Op):
    """y = zeros of `shape` with y[begin:end:step] = x"""

    x: Value
    shape: tuple[int, ...]
    begin: tuple[int, ...]
    end: tuple[int, ...]
    step: tuple[int, ...] | None = None
    y = computed()
    samples = (
        sample(floats(3, 5), shape=(5, 7), begin=(1, 2), end=(4, 7)),
        sample(floats(3, 2), shape=(5, 7), begin=(0, 1), end=(5, 7), step=(2, 3)),
        sample(floats(0), shape=(5,), begin=(2,), end=(2,)),
        sample(halfs(4, 1), shape=(4, 4), begin=(0, 3), end=(4, 4)),
    )

    @property
    def slices(self) -> tuple[slice, ...]:
        """As an index."""
        return as_slices(self.begin, self.end, self.step)

    def infer(self) -> TensorType:
        hole = tuple(len(range(s.start, s.stop, s.step)) for s in self.slices)
        if hole != self.x.shape or any(s.stop > n for s, n in zip(self.slices, self.shape, strict=True)):
            raise ShapeError(f"{self}: {describe(self.x)} does not fit the place {list(hole)} in {list(self.shape)}")
        return TensorType(self.x.dtype, tuple(self.shape))

    def reference(self, x: Any) -> Any:
        y = np.zeros(self.shape, x.dtype)
        y[self.slices] = x
        return y

    def gradient(self, g: Any, dy: Value) -> Any:
        return g.add("slice", dy, begin=self.begin, end=self.end, step=self.step, name=gradient_name(self.x))

    def lower(self, at: Any, x: Any) -> Any:
        y = at.variable(x.dtype, self.shape, self.leaf)
        at.fill(y, 0, f"{self.leaf}/zeros")
        if x.size:
            at.copy(x, y[self.slices], self.leaf)
        return y
