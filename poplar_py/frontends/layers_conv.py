"""Convolution layers over values (batch, channels, *field).

As in layers.py, a class is the layer of its name in snake case. Weights are (filters, channels of a group, *kernel) for
a convolution and (channels, filters of a group, *kernel) for a transposed one, as in other frameworks; the bias has an
entry for every filter.
"""

# ruff: noqa: RUF009 (schema.field is dataclasses.field with limits)
from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from ..opgraph.initialise import INITIALISERS
from ..opgraph.op import Value
from .layers import ACTIVATIONS, Builder
from .layers_field import _Field, per_axis
from .located import Located
from .schema import field

SAME, VALID = "same", "valid"
Padding = tuple[int, ...] | str


def padding_of(located: Located) -> Padding:
    """Elements on both sides: a whole number or one for each axis; or `same` (the field's size divided by the stride,
    rounded up, comes out; what is odd goes to the end) or `valid` (none)."""
    if isinstance(located.value, str):
        if located.value not in (SAME, VALID):
            raise located.error(f"found '{located.value}'; it takes {SAME}, {VALID}, a whole number or a list of them")
        return located.value
    return per_axis(located)


def at_least_one(located: Located) -> tuple[int, ...]:
    """Like `per_axis`, of numbers from 1 on."""
    entries = per_axis(located)
    if min(entries, default=1) < 1:
        raise located.error(f"found {list(entries)}; each is at least 1")
    return entries


@dataclass(frozen=True, kw_only=True)
class _Windows(_Field):
    """Windows of `kernel`, `stride` apart, their taps `dilation` apart; then bias and activation."""

    kernel: tuple[int, ...] = field(read=at_least_one)
    stride: tuple[int, ...] | None = field(None, read=at_least_one)
    padding: Padding = field(VALID, read=padding_of)
    dilation: tuple[int, ...] | None = field(None, read=at_least_one)
    bias: bool = field(True)
    activation: str | None = field(None, choices=ACTIVATIONS)
    initialiser: str = field("he_uniform", choices=tuple(INITIALISERS))

    def convolve(self, b: Builder, x: Value, filters: int, groups: int) -> Value:
        """The convolution of x with new weights, its bias and activation."""
        channels = x.shape[1]
        if channels % groups or filters % groups:
            raise self.error(f"{channels} channels and {filters} filters do not make {groups} equal groups")
        kernel = self.spread(self.kernel, (), "kernel", x)
        with b.g.scope(b.name(self)):
            y = self.product(b, x, (filters, channels, groups), kernel)
            if self.bias:
                bias = b.g.add_parameter("bias", x.dtype, (filters,))
                bias = b.g.add("reshape", bias, shape=(filters, *[1] * (x.ndim - 2)), name="bias-shaped")
                y = b.g.add("add", y, bias, name="add_bias")
            return b.g.add(self.activation, y) if self.activation else y

    def product(self, b: Builder, x: Value, sizes: tuple[int, int, int], kernel: tuple[int, ...]) -> Value:
        """The convolution alone; sizes: filters, channels, groups."""
        filters, channels, groups = sizes
        stride, dilation = self.steps(x)
        lower, upper = self.borders(x, kernel, stride, dilation)
        weights = self.weights(b, x, (filters, channels // groups, *kernel), groups)
        settings: dict[str, Any] = {"groups": groups, "stride": stride, "dilation": dilation}
        y: Value = b.g.add("conv", x, weights, padding_lower=lower, padding_upper=upper, **settings)
        return y

    def weights(self, b: Builder, x: Value, shape: tuple[int, ...], groups: int) -> Value:
        """New weights; every output is made of the channels of one group."""
        taps = math.prod(shape[2:])
        fans = (shape[1] * taps, shape[0] // groups * taps)
        return b.g.add_parameter("weights", x.dtype, shape, self.initialiser, seed=b.seed, fans=fans)

    def steps(self, x: Value) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Stride and dilation along every axis."""
        ones = (1,) * (x.ndim - 2)
        return self.spread(self.stride, ones, "stride", x), self.spread(self.dilation, ones, "dilation", x)

    def borders(self, x: Value, kernel: Any, stride: Any, dilation: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Padding before and after along every axis."""
        if self.padding == VALID:
            return (0,) * len(kernel), (0,) * len(kernel)
        if self.padding == SAME:
            totals = [
                max((-(-n // s) - 1) * s + d * (k - 1) + 1 - n, 0)
                for n, k, s, d in zip(x.shape[2:], kernel, stride, dilation, strict=True)
            ]
            return tuple(t // 2 for t in totals), tuple(t - t // 2 for t in totals)
        padding = self.spread(self.padding, (), "padding", x)  # type: ignore[arg-type]
        return padding, padding


@dataclass(frozen=True, kw_only=True)
class _Conv(_Windows):
    """Windows in `groups` of channels, `filters` of them."""

    filters: int = field(at_least=1)
    groups: int = field(1, at_least=1)

    def build(self, b: Builder, x: Value) -> Value:
        self.check(x)
        return self.convolve(b, x, self.filters, self.groups)


class Conv1d(_Conv):
    """Convolution over one axis."""

    axes = 1


class Conv2d(_Conv):
    """Convolution over two axes."""

    axes = 2


class Conv3d(_Conv):
    """Convolution over three axes."""

    axes = 3


@dataclass(frozen=True, kw_only=True)
class _DepthwiseConv(_Windows):
    """Each channel convolved by itself, with `multiplier` filters of its own."""

    multiplier: int = field(1, at_least=1)

    def build(self, b: Builder, x: Value) -> Value:
        self.check(x)
        return self.convolve(b, x, x.shape[1] * self.multiplier, x.shape[1])


class DepthwiseConv1d(_DepthwiseConv):
    """Each channel convolved by itself over one axis."""

    axes = 1


class DepthwiseConv2d(_DepthwiseConv):
    """Each channel convolved by itself over two axes."""

    axes = 2


@dataclass(frozen=True, kw_only=True)
class _ConvTranspose(_Conv):
    """Every element of the input spread over a window of the output: the gradient of a convolution's input.

    `padding` is what the convolution would have; `same` makes the field `stride` times as large. `output_padding` adds
    elements at the end, which the sizes alone leave open.
    """

    output_padding: tuple[int, ...] | None = field(None, read=per_axis)
    inverse: ClassVar[str] = "conv_input_gradient"

    def product(self, b: Builder, x: Value, sizes: tuple[int, int, int], kernel: tuple[int, ...]) -> Value:
        filters, channels, groups = sizes
        stride, dilation = self.steps(x)
        zeros = (0,) * len(kernel)
        more = self.spread(self.output_padding, zeros, "output_padding", x)
        if any(m >= max(s, d) for m, s, d in zip(more, stride, dilation, strict=True)):
            raise self.error(f"output_padding {list(more)} is below the stride {list(stride)} (or the dilation)")
        reach = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
        if self.padding == SAME:
            totals = [max(r - s, 0) for r, s in zip(reach, stride, strict=True)]
            lower, upper = tuple(t // 2 for t in totals), tuple(t - t // 2 for t in totals)
            more = tuple(max(s - r, 0) for r, s in zip(reach, stride, strict=True))
        else:
            lower = upper = zeros if self.padding == VALID else self.spread(self.padding, (), "padding", x)  # type: ignore[arg-type]
        sides = zip(x.shape[2:], stride, reach, lower, upper, more, strict=True)
        out = tuple((n - 1) * s + r - lo - up + m for n, s, r, lo, up, m in sides)
        if min(out) < 1:
            raise self.error(f"padding {list(lower)} leaves nothing of the field {list(x.shape[2:])}")
        weights = self.weights(b, x, (channels, filters // groups, *kernel), groups)
        settings: dict[str, Any] = {"groups": groups, "stride": stride, "dilation": dilation}
        return b.g.add(
            self.inverse, x, weights, field=out, padding_lower=lower, padding_upper=upper, name=self.kind, **settings
        )

    def weights(self, b: Builder, x: Value, shape: tuple[int, ...], groups: int) -> Value:
        taps = math.prod(shape[2:])
        fans = (shape[0] // groups * taps, shape[1] * taps)
        return b.g.add_parameter("weights", x.dtype, shape, self.initialiser, seed=b.seed, fans=fans)


class Conv1dTranspose(_ConvTranspose):
    """Transposed convolution over one axis."""

    axes = 1


class Conv2dTranspose(_ConvTranspose):
    """Transposed convolution over two axes."""

    axes = 2


class Conv3dTranspose(_ConvTranspose):
    """Transposed convolution over three axes."""

    axes = 3
