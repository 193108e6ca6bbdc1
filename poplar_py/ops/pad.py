"""Padding along any axes: with a constant, with the edge repeated, or with the value reflected about its edge."""

from __future__ import annotations

from typing import Any

import numpy as np

from poplar_py.errors import ModelError, ShapeError, did_you_mean
from poplar_py.opgraph.gradients import gradient_name
from poplar_py.opgraph.op import Op, TensorType, Value, computed, floats, halfs, ints, sample

MODES = ("constant", "edge", "reflect")
CASES = (
    ((3, 4), (1, 0), (2, 3)),
    ((2, 3, 5, 4), (0, 0, 2, 1), (0, 0, 1, 3)),
    ((6,), (5,), (0,)),
    ((2, 2, 3), (0, 1, 0), (0, 0, 2)),
)  # fmt: skip


class _Padded(Op):
    lower_sizes: tuple[int, ...]
    upper_sizes: tuple[int, ...]
    mode: str = "constant"

    def check(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The padded shape. Raises ModelError for an unknown mode, ShapeError for sizes that do not fit."""
        if self.mode not in MODES:
            known = ", ".join(MODES)
            raise ModelError(f"{self}: no mode '{self.mode}'.{did_you_mean(self.mode, MODES)} There are {known}")
        sizes = (*self.lower_sizes, *self.upper_sizes)
        if not len(self.lower_sizes) == len(self.upper_sizes) == len(shape) or min(sizes, default=0) < 0:
            raise ShapeError(f"{self}: {len(shape)} axes take that many lower and upper sizes of at least 0")
        for axis, (n, low, high) in enumerate(zip(shape, self.lower_sizes, self.upper_sizes, strict=True)):
            least = {"constant": 0, "edge": min(low + high, 1), "reflect": max(low, high) + (low + high > 0)}[self.mode]
            if n < least:
                raise ShapeError(
                    f"{self}: axis {axis} has {n} elements; padding of {low}+{high} by {self.mode} needs {least}"
                )
        return tuple(n + a + b for n, a, b in zip(shape, self.lower_sizes, self.upper_sizes, strict=True))

    @property
    def middle(self) -> tuple[slice, ...]:
        """Where the value itself stands in the padded one, as an index."""
        padded = self.padded_shape
        return tuple(slice(a, n - b) for n, a, b in zip(padded, self.lower_sizes, self.upper_sizes, strict=True))

    @property
    def padded_shape(self) -> tuple[int, ...]:
        """The shape of the padded value."""
        raise NotImplementedError


class Pad(_Padded):
    """y = x with lower_sizes elements before and upper_sizes after it along every axis"""

    x: Value
    value: float = 0.0  # of mode constant
    y = computed()
    samples = (
        *(sample(floats(*s), lower_sizes=a, upper_sizes=b, mode=mode) for s, a, b in CASES for mode in MODES),
        sample(halfs(3, 4), lower_sizes=(1, 1), upper_sizes=(1, 1), value=0.5),
        sample(ints(3), lower_sizes=(1,), upper_sizes=(2,), value=7),
        sample(floats(0, 2), lower_sizes=(1, 0), upper_sizes=(0, 0)),
        sample(floats(2, 2), lower_sizes=(0, 0), upper_sizes=(0, 0)),
    )

    @property
    def padded_shape(self) -> tuple[int, ...]:
        return self.outputs[0].shape

    def infer(self) -> TensorType:
        return TensorType(self.x.dtype, self.check(self.x.shape))

    def reference(self, x: Any) -> Any:
        widths = list(zip(self.lower_sizes, self.upper_sizes, strict=True))
        more: dict[str, Any] = {"constant_values": x.dtype.type(self.value)} if self.mode == "constant" else {}
        mode: Any = self.mode
        return np.pad(x, widths, mode=mode, **more)

    def gradient(self, g: Any, dy: Value) -> Any:
        if self.mode == "constant":
            begin, end = self.lower_sizes, tuple(a + n for a, n in zip(self.lower_sizes, self.x.shape, strict=True))
            return g.add("slice", dy, begin=begin, end=end, name=gradient_name(self.x))
        sizes = {"lower_sizes": self.lower_sizes, "upper_sizes": self.upper_sizes, "mode": self.mode}
        return g.add("pad_grad", dy, name=gradient_name(self.x), **sizes)

    def lower(self, at: Any, x: Any) -> Any:
        y = stored_field(at, x.dtype, self.padded_shape, self.leaf)
        if self.mode == "constant":
            at.fill(y, self.value, f"{self.leaf}/fill")
            if x.size:
                at.copy(x, y[self.middle], self.leaf)
        else:
            for axis in range(x.ndim):
                x = self._spread(x, axis)
            at.copy(x, y, self.leaf)
        return y

    def _spread(self, x: Any, axis: int) -> Any:
        """x padded along one axis, a view."""
        from poplar_py.graph import concat

        low, high, n = self.lower_sizes[axis], self.upper_sizes[axis], x.shape[axis]
        if self.mode == "edge":
            parts = [x.slice(0, 1, axis).broadcast(low, axis)] if low else []
            parts += [x, *([x.slice(n - 1, n, axis).broadcast(high, axis)] if high else [])]
        else:
            parts = [x.slice(1, low + 1, axis).reverse(axis)] if low else []
            parts += [x, *([x.slice(n - 1 - high, n - 1, axis).reverse(axis)] if high else [])]
        return concat(parts, axis)


class PadGrad(_Padded):
    """dx = the sum of dy over the places that a padding by edge or reflection put an element"""

    dy: Value
    dx = computed()
    samples = tuple(
        sample(
            kind(*(n + p + q for n, p, q in zip(s, a, b, strict=True))), lower_sizes=a, upper_sizes=b, mode=mode
        )
        for s, a, b in CASES
        for mode in ("edge", "reflect")
        for kind in ((floats, halfs) if len(s) == 4 else (floats,))
    )  # fmt: skip

    @property
    def padded_shape(self) -> tuple[int, ...]:
        return self.dy.shape

    def infer(self) -> TensorType:
        sizes = zip(self.dy.shape, self.lower_sizes, self.upper_sizes, strict=True)
        shape = tuple(n - a - b for n, a, b in sizes)
        self.check(shape)
        return TensorType(self.dy.dtype, shape)

    def reference(self, dy: Any) -> Any:
        shape = self.outputs[0].shape
        dx = np.zeros(int(np.prod(shape)), dy.dtype)
        widths = list(zip(self.lower_sizes, self.upper_sizes, strict=True))
        mode: Any = self.mode
        np.add.at(dx, np.pad(np.arange(dx.size).reshape(shape), widths, mode=mode).reshape(-1), dy.reshape(-1))
        return dx.reshape(shape)

    def lower(self, at: Any, dy: Any) -> Any:
        for axis in range(dy.ndim):
            low, high = self.lower_sizes[axis], self.upper_sizes[axis]
            if low or high:
                dy = self._folded(at, dy, axis, low, high)
        return dy

    def _folded(self, at: Any, dy: Any, axis: int, low: int, high: int) -> Any:
        """dy without the padding along one axis, which is added to what it is a copy of."""
        name, n = f"{self.leaf}/axis{axis}", dy.shape[axis] - low - high
        middle = dy.slice(low, low + n, axis)
        dx = stored_field(at, dy.dtype, middle.shape, name)
        at.copy(middle, dx, name)
        for side, size, begin in (("low", low, 0), ("high", high, low + n)):
            if not size:
                continue
            extra = dy.slice(begin, begin + size, axis)
            if self.mode == "edge":
                total = at.reduce(extra, [axis], "add", f"{name}/{side}-sum")
                extra, first = total.expand([axis]), 0 if side == "low" else n - 1
            else:
                extra, first = extra.reverse(axis), 1 if side == "low" else n - 1 - size
            at.elementwise("AddInPlace", dx.slice(first, first + extra.shape[axis], axis), f"{name}/{side}", b=extra)
        return dx


def stored_field(at: Any, dtype: Any, shape: tuple[int, ...], name: str) -> Any:
    """A variable spread linearly; channels-innermost where the shape is (batch, channels, *field)."""
    from poplar_py.lower.windows import field_variable

    return field_variable(at, dtype, shape, name, "linear") if len(shape) > 2 else at.variable(dtype, shape, name)
