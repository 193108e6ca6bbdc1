"""Layers over values with a field, (batch, channels, *field): pooling, normalisation, padding, upsampling.

As in layers.py, a class is the layer of its name in snake case. Parameters are called as in other frameworks: `gamma`
and `beta` (the scale and shift of a channel), `running_mean` and `running_variance`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from ..dtypes import FLOAT
from ..opgraph.op import Value
from .layers import Builder, Layer
from .located import Located
from .schema import field


def per_axis(located: Located) -> tuple[int, ...]:
    """A whole number for all field axes (read as one entry), or a list with an entry for each."""
    entries = located.value if isinstance(located.value, list) else [located]
    for entry in entries:
        if type(entry.value) is not int or entry.value < 0:
            raise entry.error(f"found {entry.found()}; it takes a whole number, or a list with one for each field axis")
    return tuple(entry.value for entry in entries)


class _Field(Layer):
    """A layer whose input has `axes` field axes (any number from one on where 0)."""

    axes: ClassVar[int] = 0

    def check(self, x: Value) -> None:
        """Raise unless x is (batch, channels, *field)."""
        if x.ndim - 2 != self.axes if self.axes else x.ndim < 3:
            wanted = {1: "length", 2: "height, width", 3: "depth, height, width"}.get(self.axes, "*field")
            raise self.error(f"{self.kind} takes (batch, channels, {wanted}); its input is {list(x.shape)}")

    def spread(self, given: tuple[int, ...] | None, otherwise: tuple[int, ...], what: str, x: Value) -> tuple[int, ...]:
        """An entry for every field axis of x."""
        self.check(x)
        if given is None:
            return otherwise
        axes = x.ndim - 2
        if len(given) not in (1, axes):
            raise self.error(f"{what} has {len(given)} entries; it takes one number, or one for each of {axes} axes")
        return given * (axes // len(given))


@dataclass(frozen=True, kw_only=True)
class _Pool(_Field):
    """Windows of `kernel`, `stride` apart (the kernel's size where not given), with `padding` on both sides; with
    `ceil` the last window may reach past the padding."""

    kernel: tuple[int, ...] = field(read=per_axis)
    stride: tuple[int, ...] | None = field(None, read=per_axis)
    padding: tuple[int, ...] | None = field(None, read=per_axis)
    ceil: bool = field(False)
    op: ClassVar[str] = ""

    def build(self, b: Builder, x: Value) -> Value:
        kernel = self.spread(self.kernel, (), "kernel", x)
        stride = self.spread(self.stride, kernel, "stride", x)
        padding = self.spread(self.padding, (0,) * self.axes, "padding", x)
        upper = list(padding)
        for i, (size, k, s, p) in enumerate(zip(x.shape[2:], kernel, stride, padding, strict=True)):
            steps, left = divmod(size + 2 * p - k, max(s, 1))
            if self.ceil and left and (steps + 1) * s < size + p:  # the last window starts inside
                upper[i] += s - left
        settings = {"kernel": kernel, "stride": stride, "padding_lower": padding, "padding_upper": tuple(upper)}
        return b.g.add(self.op, x, name=b.name(self), **settings, **self.more())

    def more(self) -> dict[str, Any]:
        """Further settings of the op."""
        return {}


@dataclass(frozen=True, kw_only=True)
class _MaxPool(_Pool):
    op = "max_pool"


@dataclass(frozen=True, kw_only=True)
class _AvgPool(_Pool):
    count_include_pad: bool = field(True)
    op = "avg_pool"

    def more(self) -> dict[str, Any]:
        return {"count_include_pad": self.count_include_pad}


@dataclass(frozen=True, kw_only=True)
class _SumPool(_Pool):
    op = "sum_pool"


class MaxPool1d(_MaxPool):
    """The largest of windows of one axis."""

    axes = 1


class MaxPool2d(_MaxPool):
    """The largest of windows of two axes."""

    axes = 2


class MaxPool3d(_MaxPool):
    """The largest of windows of three axes."""

    axes = 3


class AvgPool1d(_AvgPool):
    """The average of windows of one axis."""

    axes = 1


class AvgPool2d(_AvgPool):
    """The average of windows of two axes."""

    axes = 2


class AvgPool3d(_AvgPool):
    """The average of windows of three axes."""

    axes = 3


class SumPool1d(_SumPool):
    """The sum of windows of one axis."""

    axes = 1


class SumPool2d(_SumPool):
    """The sum of windows of two axes."""

    axes = 2


class SumPool3d(_SumPool):
    """The sum of windows of three axes."""

    axes = 3


@dataclass(frozen=True, kw_only=True)
class GlobalSumPool(_Field):
    """The sum of each channel's field: (batch, channels)."""

    def build(self, b: Builder, x: Value) -> Value:
        self.check(x)
        return b.g.add("reduce_sum", x, axes=tuple(range(2, x.ndim)), name=b.name(self))


@dataclass(frozen=True, kw_only=True)
class GlobalAvgPool(_Field):
    """The average of each channel's field: (batch, channels)."""

    def build(self, b: Builder, x: Value) -> Value:
        self.check(x)
        return b.g.add("reduce_mean", x, axes=tuple(range(2, x.ndim)), name=b.name(self))


@dataclass(frozen=True, kw_only=True)
class GlobalMaxPool(_Field):
    """The largest of each channel's field: (batch, channels)."""

    def build(self, b: Builder, x: Value) -> Value:
        self.check(x)
        with b.g.scope(b.name(self)):
            y = b.g.add("max_pool", x, kernel=x.shape[2:])
            return b.g.add("reshape", y, shape=x.shape[:2])


@dataclass(frozen=True, kw_only=True)
class BatchNorm(Layer):
    """Every channel normalised by its mean and variance over the batch; by running averages where nothing is trained.

    A running average moves by the part `momentum` towards the batch's statistics at every step.
    """

    epsilon: float = field(1e-5, above=0.0)
    momentum: float = field(0.1, above=0.0, below=1.0)

    def build(self, b: Builder, x: Value) -> Value:
        if x.ndim < 2:
            raise self.error(f"batch_norm takes (batch, channels, ...); its input is {list(x.shape)}")
        g, channels = b.g, x.shape[1:2]
        with g.scope(b.name(self)):
            gamma = g.add_parameter("gamma", x.dtype, channels, "ones")
            beta = g.add_parameter("beta", x.dtype, channels, "zeros")
            mean = g.add_parameter("running_mean", FLOAT, channels, "zeros", trainable=False)
            variance = g.add_parameter("running_variance", FLOAT, channels, "ones", trainable=False)
            if not b.training:
                return g.add("batch_norm_inference", x, gamma, beta, mean, variance, epsilon=self.epsilon)
            step, rows = b.step_counter(), x.size // channels[0]
            y, now, spread = g.add("batch_norm", x, gamma, beta, mean, variance, step, epsilon=self.epsilon)
            g.add("running_average", mean, now, step, rate=self.momentum, name="running_mean-update")
            unbiased = rows / max(rows - 1, 1)
            g.add(
                "running_average", variance, spread, step, rate=self.momentum, scale=unbiased,
                name="running_variance-update",
            )  # fmt: skip
            return y


@dataclass(frozen=True, kw_only=True)
class GroupNorm(Layer):
    """Groups of channels of each sample normalised by their mean and variance."""

    groups: int = field(at_least=1)
    epsilon: float = field(1e-5, above=0.0)

    def build(self, b: Builder, x: Value) -> Value:
        return _group_norm(self, b, x, self.groups, self.epsilon)


@dataclass(frozen=True, kw_only=True)
class InstanceNorm(Layer):
    """Each channel of each sample normalised by its mean and variance."""

    epsilon: float = field(1e-5, above=0.0)

    def build(self, b: Builder, x: Value) -> Value:
        return _group_norm(self, b, x, x.shape[1] if x.ndim > 1 else 1, self.epsilon)


def _group_norm(layer: Layer, b: Builder, x: Value, groups: int, epsilon: float) -> Value:
    if x.ndim < 2:
        raise layer.error(f"{layer.kind} takes (batch, channels, ...); its input is {list(x.shape)}")
    g, channels = b.g, x.shape[1:2]
    with g.scope(b.name(layer)):
        gamma = g.add_parameter("gamma", x.dtype, channels, "ones")
        beta = g.add_parameter("beta", x.dtype, channels, "zeros")
        return g.add("group_norm", x, gamma, beta, groups=groups, epsilon=epsilon)[0]


@dataclass(frozen=True, kw_only=True)
class LayerNorm(Layer):
    """Rows (the last axis) normalised by their mean and variance."""

    epsilon: float = field(1e-5, above=0.0)

    def build(self, b: Builder, x: Value) -> Value:
        g = b.g
        with g.scope(b.name(self)):
            gamma = g.add_parameter("gamma", x.dtype, x.shape[-1:], "ones")
            beta = g.add_parameter("beta", x.dtype, x.shape[-1:], "zeros")
            return g.add("layer_norm", x, gamma, beta, epsilon=self.epsilon)


@dataclass(frozen=True, kw_only=True)
class Lrn(Layer):
    """y = x / (bias + alpha / size * the sum of the squares of `size` neighbouring channels) ** beta"""

    size: int = field(5, at_least=1)
    alpha: float = field(1e-4, at_least=0.0)
    beta: float = field(0.75)
    bias: float = field(1.0, above=0.0)

    def build(self, b: Builder, x: Value) -> Value:
        settings = {"size": self.size, "alpha": self.alpha, "beta": self.beta, "bias": self.bias}
        return b.g.add("lrn", x, name=b.name(self), **settings)


@dataclass(frozen=True, kw_only=True)
class Pad(_Field):
    """The field with `size` more elements on both sides of every axis: `value`, the edge, or the field reflected."""

    size: tuple[int, ...] = field(read=per_axis)
    mode: str = field("constant", choices=("constant", "edge", "reflect"))
    value: float = field(0.0)

    def build(self, b: Builder, x: Value) -> Value:
        sizes = self.spread(self.size, (), "size", x)
        sizes = (0, 0, *sizes)
        settings = {"lower_sizes": sizes, "upper_sizes": sizes, "mode": self.mode, "value": self.value}
        return b.g.add("pad", x, name=b.name(self), **settings)


@dataclass(frozen=True, kw_only=True)
class Upsample(_Field):
    """Every element of the field repeated `scale` times along every axis."""

    scale: tuple[int, ...] = field(read=per_axis)

    def build(self, b: Builder, x: Value) -> Value:
        return b.g.add("upsample", x, scale=self.spread(self.scale, (), "scale", x), name=b.name(self))
