"""Pooling over 1 to 3 field axes: the largest, the sum or the average of windows. Values are (batch, channels, *field).

`kernel`, `stride` (the kernel where None), `padding_lower`, `padding_upper` (zeros where None) and `dilation` (ones
where None) have an entry for every field axis. Every window must meet at least one element.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from poplar_py.errors import ShapeError
from poplar_py.lower.pooling import pool, pool_gradient
from poplar_py.lower.windows import Taps
from poplar_py.opgraph.gradients import gradient_name
from poplar_py.opgraph.op import (
    Op,
    TensorType,
    Value,
    computed,
    describe,
    floats,
    halfs,
    like,
    require_floating,
    same_dtype,
    sample,
)

Axes = tuple[Taps, ...]


def window_axes(
    op: Any, field: tuple[int, ...], kernel: Any, stride: Any, lower: Any, upper: Any, dilation: Any
) -> Axes:
    """The window along every field axis. Raises ShapeError for settings that do not fit `field` or each other."""
    n = len(field)
    if not 1 <= n <= 3:
        raise ShapeError(f"{op}: pooling takes (batch, channels, field of 1 to 3 axes); the field is {list(field)}")
    settings = {
        "kernel": tuple(kernel),
        "stride": tuple(stride or kernel),
        "padding_lower": tuple(lower or (0,) * n),
        "padding_upper": tuple(upper or (0,) * n),
        "dilation": tuple(dilation or (1,) * n),
    }
    for name, given in settings.items():
        least = 0 if name.startswith("padding") else 1
        if len(given) != n or min(given) < least:
            raise ShapeError(
                f"{op}: {name} is {list(given)}; it takes {n} numbers of at least {least}, one for each axis of the"
                f" field {list(field)}"
            )
    axes = []
    for i, (size, k, s, low, high, d) in enumerate(zip(field, *settings.values(), strict=True)):
        reach = (k - 1) * d + 1
        if size + low + high < reach:
            raise ShapeError(
                f"{op}: a window of {reach} does not fit axis {i} of the field, {size} with padding {low}+{high}"
            )
        taps = Taps(size, (size + low + high - reach) // s + 1, k, s, d, low)
        if (taps.counts == 0).any():
            raise ShapeError(f"{op}: some windows on axis {i} of the field ({size}) see only padding ({low}+{high})")
        axes.append(taps)
    return tuple(axes)


def tap_slices(axes: Axes, taps: tuple[int, ...]) -> tuple[Any, Any]:
    """For one tap a field axis: the windows in which it is inside the input, and the places it stands on there."""
    inside, places = [], []
    for a, k in zip(axes, taps, strict=True):
        shift = k * a.dilation - a.padding
        first = max(-(shift // a.stride), 0)
        stop = max(min((a.size - 1 - shift) // a.stride + 1, a.windows), first)
        inside.append(slice(first, stop))
        places.append(slice(first * a.stride + shift, max((stop - 1) * a.stride + shift + 1, 0), a.stride))
        if stop == first:
            places[-1] = slice(0, 0)
    return (..., *inside), (..., *places)


def all_taps(axes: Axes) -> Any:
    """Every tap of a window, row by row."""
    return np.ndindex(*(a.taps for a in axes))


class _Windows(Op):
    laid_by = ()  # cut evenly, by shape
    kernel: tuple[int, ...]
    stride: tuple[int, ...] | None = None
    padding_lower: tuple[int, ...] | None = None
    padding_upper: tuple[int, ...] | None = None
    dilation: tuple[int, ...] | None = None

    @property
    def settings(self) -> dict[str, Any]:
        """What an op and its gradient have in common."""
        return {name: getattr(self, name) for name in _Windows.attribute_fields}

    def axes_of(self, field: tuple[int, ...]) -> Axes:
        """The window along every axis of a field."""
        return window_axes(self, field, *self.settings.values())


class _Pool(_Windows):
    x: Value
    y = computed()
    operation: ClassVar[str] = ""

    @property
    def axes(self) -> Axes:
        """The window along every field axis."""
        return self.axes_of(self.x.shape[2:])

    def infer(self) -> TensorType:
        require_floating(self, "x")
        return TensorType(self.x.dtype, (*self.x.shape[:2], *(a.windows for a in self.axes)))

    def lower(self, at: Any, x: Any) -> Any:
        return pool(at, x, self.axes, self.operation, self.leaf)


GEOMETRIES = (
    ((2, 3, 8, 8), {"kernel": (2, 2)}),
    ((1, 4, 9, 7), {"kernel": (3, 3), "stride": (2, 2), "padding_lower": (1, 1), "padding_upper": (1, 1)}),
    ((2, 5, 6, 11), {"kernel": (3, 2), "stride": (1, 3), "padding_lower": (0, 1), "padding_upper": (2, 0)}),
    ((1, 8, 4, 4), {"kernel": (4, 4)}),
    ((2, 3, 11), {"kernel": (3,), "stride": (2,), "padding_lower": (1,)}),
    ((1, 2, 5, 4, 6), {"kernel": (2, 3, 2), "stride": (2, 1, 2), "padding_lower": (1, 1, 0), "padding_upper": (0, 1, 0)}),
    ((1, 3, 10, 9), {"kernel": (3, 2), "stride": (2, 1), "dilation": (2, 3), "padding_lower": (2, 0)}),
    ((1, 1, 7, 7), {"kernel": (1, 2), "stride": (3, 3)}),
    ((1, 64, 3, 3), {"kernel": (2, 2), "stride": (1, 1)}),
)  # fmt: skip


class MaxPool(_Pool):
    """y = the largest element of every window; its gradient goes to the first of equals"""

    operation = "max"
    samples = (
        *(sample(floats(*shape, distinct=True), **more) for shape, more in GEOMETRIES),
        sample(halfs(2, 6, 6, 6), kernel=(3, 3), stride=(2, 2)),
        sample(floats(0, 3, 4, 4), kernel=(2, 2)),
    )

    def reference(self, x: Any) -> Any:
        y = np.full(self.outputs[0].shape, -np.inf, x.dtype)
        for taps in all_taps(self.axes):
            inside, places = tap_slices(self.axes, taps)
            y[inside] = np.maximum(y[inside], x[places])
        return y

    def gradient(self, g: Any, dy: Value) -> Any:
        return g.add("max_pool_grad", self.x, self.outputs[0], dy, name=gradient_name(self.x), **self.settings)


class SumPool(_Pool):
    """y = the sum of every window"""

    operation = "sum"
    samples = (
        *(sample(floats(*shape), **more) for shape, more in GEOMETRIES),
        sample(halfs(2, 6, 6, 6), kernel=(3, 3), stride=(2, 2)),
    )

    def reference(self, x: Any) -> Any:
        return summed(x, self.axes)

    def gradient(self, g: Any, dy: Value) -> Any:
        return g.add("sum_pool_grad", dy, field=self.x.shape[2:], name=gradient_name(self.x), **self.settings)


class AvgPool(_Pool):
    """y = the average of every window; padding counts as zeros where `count_include_pad`, else not at all"""

    count_include_pad: bool = True
    samples = tuple(
        sample(*s.operands, **s.attributes, **more)
        for s in SumPool.samples
        for more in ({}, {"count_include_pad": False})
        if not more or "padding_lower" in s.attributes
    )

    @property
    def counts(self) -> np.ndarray:
        """Elements inside every window: float32 of the field's axes."""
        counts = np.ones((), np.float32)
        for a in self.axes:
            counts = np.multiply.outer(counts, a.counts.astype(np.float32))
        return counts

    @property
    def evenly(self) -> bool:
        """Whether all windows are divided by their full size."""
        return self.count_include_pad or bool((self.counts == np.prod(self.kernel)).all())

    def reference(self, x: Any) -> Any:
        total = summed(x, self.axes)
        return total * x.dtype.type(1.0 / np.prod(self.kernel)) if self.evenly else total / self.counts.astype(x.dtype)

    def gradient(self, g: Any, dy: Value) -> Any:
        if not self.evenly:
            dy = g.add("div", dy, g.constant(self.counts, dy.dtype), name=f"{self.leaf}-share")
        settings = self.settings | {"field": self.x.shape[2:], "average": self.evenly}
        return g.add("sum_pool_grad", dy, name=gradient_name(self.x), **settings)

    def lower(self, at: Any, x: Any) -> Any:
        return pool(at, x, self.axes, "avg" if self.evenly else "mean", self.leaf)


def summed(x: np.ndarray, axes: Axes) -> np.ndarray:
    """The sum of every window of x."""
    y = np.zeros((*x.shape[:2], *(a.windows for a in axes)), x.dtype)
    for taps in all_taps(axes):
        inside, places = tap_slices(axes, taps)
        y[inside] += x[places]
    return y


def pooled_shape(op: Op, x: tuple[int, ...], axes: Axes, *values: Value) -> None:
    """Raise ShapeError unless the values have the shape that pooling x gives."""
    wanted = (*x[:2], *(a.windows for a in axes))
    for value in values:
        if value.shape != wanted:
            raise ShapeError(f"{op}: {describe(value)} is not of the pooled shape {list(wanted)}")


class MaxPoolGrad(_Windows):
    """dx = the sum of dy over the windows in which x is the first, row by row, that equals the largest, y"""

    x: Value
    y: Value
    dy: Value
    dx = like("x")
    samples = (
        sample(floats(2, 3, 8, 8), floats(2, 3, 4, 4), floats(2, 3, 4, 4), kernel=(2, 2)),
        sample(
            floats(1, 4, 7, 7),
            floats(1, 4, 3, 4),
            floats(1, 4, 3, 4),
            kernel=(3, 3),
            stride=(2, 2),
            padding_upper=(0, 2),
        ),
        sample(halfs(1, 4, 4, 6), halfs(1, 4, 1, 2), halfs(1, 4, 1, 2), kernel=(4, 3)),
    )

    def infer(self) -> Any:
        require_floating(self, "x")
        same_dtype(self, "x", "y", "dy")
        pooled_shape(self, self.x.shape, self.axes_of(self.x.shape[2:]), self.y, self.dy)
        return super().infer()

    def reference(self, x: Any, y: Any, dy: Any) -> Any:
        axes = self.axes_of(x.shape[2:])
        dx, taken = np.zeros_like(x), np.zeros(y.shape, bool)
        for taps in all_taps(axes):
            inside, places = tap_slices(axes, taps)
            hit = (x[places] == y[inside]) & ~taken[inside]
            taken[inside] |= hit
            dx[places] += np.where(hit, dy[inside], 0)
        return dx

    def lower(self, at: Any, x: Any, y: Any, dy: Any) -> Any:
        return pool_gradient(at, dy, self.axes_of(x.shape[2:]), "max", self.leaf, x=x, y=y)


class SumPoolGrad(_Windows):
    """dx = the sum of dy over the windows that see x, a value with `field`; divided by the kernel's size where `average`"""

    dy: Value
    field: tuple[int, ...] = ()
    average: bool = False
    dx = computed()
    samples = (
        sample(floats(2, 3, 4, 4), kernel=(2, 2), field=(8, 8)),
        sample(floats(1, 4, 3, 4), kernel=(3, 3), stride=(2, 2), padding_upper=(0, 2), field=(7, 7), average=True),
        sample(halfs(1, 4, 1, 2), kernel=(4, 3), field=(4, 6), average=True),
        sample(floats(1, 2, 2, 3, 2), kernel=(3, 2, 3), stride=(2, 1, 2), field=(5, 4, 6)),
    )

    def infer(self) -> TensorType:
        require_floating(self, "dy")
        shape = (*self.dy.shape[:2], *self.field)
        pooled_shape(self, shape, self.axes_of(tuple(self.field)), self.dy)
        return TensorType(self.dy.dtype, shape)

    def reference(self, dy: Any) -> Any:
        axes = self.axes_of(tuple(self.field))
        dx = np.zeros(self.outputs[0].shape, dy.dtype)
        for taps in all_taps(axes):
            inside, places = tap_slices(axes, taps)
            dx[places] += dy[inside]
        return dx * dy.dtype.type(1.0 / np.prod(self.kernel)) if self.average else dx

    def lower(self, at: Any, dy: Any) -> Any:
        axes = self.axes_of(tuple(self.field))
        return pool_gradient(at, dy, axes, "avg" if self.average else "sum", self.leaf)
