"""Convolution over 1 to 3 field axes, grouped or not, and the two products of its gradient.

Values are (batch, channels, *field), weights (out channels, in channels of a group, *kernel). `stride` (ones where
None), `padding_lower`, `padding_upper` (zeros; negative ones cut), `dilation` of the weights and `input_dilation` (ones)
have an entry for every field axis.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from poplar_py.errors import ShapeError
from poplar_py.lower import conv as lowering
from poplar_py.lower.conv_operands import create_input, create_weights
from poplar_py.lower.conv_params import ConvParams, InputTransform, KernelTransform, OutputTransform
from poplar_py.lower.reach import Reach
from poplar_py.opgraph.gradients import gradient_name
from poplar_py.opgraph.op import (
    Op,
    TensorType,
    Value,
    computed,
    describe,
    floats,
    halfs,
    require_floating,
    same_dtype,
    sample,
)


class _Convolution(Op):
    laid_by = ()
    groups: int = 1
    stride: tuple[int, ...] | None = None
    padding_lower: tuple[int, ...] | None = None
    padding_upper: tuple[int, ...] | None = None
    dilation: tuple[int, ...] | None = None
    input_dilation: tuple[int, ...] | None = None

    @property
    def settings(self) -> dict[str, Any]:
        """What a convolution and its gradients have in common."""
        return {name: getattr(self, name) for name in _Convolution.attribute_fields}

    def params_of(self, x: tuple[int, ...], w: tuple[int, ...], element_type: Any) -> ConvParams:
        """The parameters of a convolution of these shapes. Raises ShapeError."""
        groups = self.groups
        if len(x) != len(w) or not 3 <= len(x) <= 5:
            raise ShapeError(
                f"{self}: input {list(x)} and weights {list(w)}; they are (batch, channels, *field) and (out channels, in"
                " channels of a group, *kernel) with 1 to 3 field axes"
            )
        if groups < 1 or x[1] != w[1] * groups or w[0] % groups:
            raise ShapeError(
                f"{self}: {x[1]} channels in and {w[0]} out do not fit weights {list(w)} in {groups} group(s):"
                f" it takes {w[1] * max(groups, 1)} in, and out channels in whole groups"
            )
        axes = len(x) - 2
        lower, upper = self.padding_lower or (0,) * axes, self.padding_upper or (0,) * axes
        for name, given in self.settings.items():
            if name != "groups" and given is not None and len(given) != axes:
                raise ShapeError(f"{self}: {name} is {list(given)}; it takes {axes} numbers, one for each field axis")
        step = self.input_dilation or (1,) * axes
        cut_lower, cut_upper = (
            tuple(-(-max(-n, 0) // d) for n, d in zip(pad, step, strict=True)) for pad in (lower, upper)
        )
        kept_lower, kept_upper = (
            tuple(n + c * d for n, c, d in zip(pad, cuts, step, strict=True))
            for pad, cuts in ((lower, cut_lower), (upper, cut_upper))
        )
        try:
            return ConvParams(
                element_type, x[0], x[2:], w[2:], w[1], w[0] // groups, groups,
                InputTransform(cut_lower, cut_upper, tuple(step), kept_lower, kept_upper),
                KernelTransform(dilation=tuple(self.dilation or ())),
                OutputTransform(stride=tuple(self.stride or ())),
            )  # fmt: skip
        except ShapeError as problem:
            raise ShapeError(f"{self}: {problem}") from None


def meetings(reaches: tuple[Reach, ...]) -> Any:
    """For every tap of the weights: (tap, input places, output places), the places as index tuples of the field axes."""
    for tap in np.ndindex(*(r.taps for r in reaches)):
        pairs = [r.meetings(k) for r, k in zip(reaches, tap, strict=True)]
        if all(len(i) for i, _ in pairs):
            yield tap, np.ix_(*(i for i, _ in pairs)), np.ix_(*(f for _, f in pairs))


def _grouped(a: np.ndarray, groups: int, axis: int) -> np.ndarray:
    return a.reshape(*a.shape[:axis], groups, a.shape[axis] // groups, *a.shape[axis + 1 :])


def convolved(x: np.ndarray, w: np.ndarray, params: ConvParams) -> np.ndarray:
    """The meaning of a convolution: taps summed in order, in x's type. w is (groups, out, in, *kernel)."""
    xs = _grouped(x, params.num_conv_groups, 1)
    field = params.output_field_shape
    y = np.zeros((x.shape[0], params.num_conv_groups, params.output_channels_per_conv_group, *field), x.dtype)
    for tap, i, f in meetings(params.reaches):
        y[(..., *f)] += np.einsum("ngc...,goc->ngo...", xs[(..., *i)], w[(..., *tap)], optimize=True)
    return y.reshape(params.output_shape)


def input_gradient(dy: np.ndarray, w: np.ndarray, params: ConvParams) -> np.ndarray:
    """The gradient of the input: what of dy every input place met, times the weights it met at."""
    dys = _grouped(dy, params.num_conv_groups, 1)
    dx = np.zeros(
        (dy.shape[0], params.num_conv_groups, params.input_channels_per_conv_group, *params.input_field_shape), dy.dtype
    )
    for tap, i, f in meetings(params.reaches):
        dx[(..., *i)] += np.einsum("ngo...,goc->ngc...", dys[(..., *f)], w[(..., *tap)], optimize=True)
    return dx.reshape(params.input_shape)


def weights_gradient(x: np.ndarray, dy: np.ndarray, params: ConvParams) -> np.ndarray:
    """The gradient of the weights (groups, out, in, *kernel)."""
    xs, dys = _grouped(x, params.num_conv_groups, 1), _grouped(dy, params.num_conv_groups, 1)
    dw = np.zeros(params.weights_shape, x.dtype)
    for tap, i, f in meetings(params.reaches):
        a, b = xs[(..., *i)], dys[(..., *f)]
        places = int(np.prod(a.shape[3:]))
        a, b = a.reshape(*a.shape[:3], places), b.reshape(*b.shape[:3], places)
        dw[(..., *tap)] = np.einsum("ngcp,ngop->goc", a, b, optimize=True)
    return dw


GEOMETRIES: tuple[tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]], ...] = (
    ((2, 3, 8, 8), (4, 3, 3, 3), {"padding_lower": (1, 1), "padding_upper": (1, 1)}),
    ((1, 16, 9, 7), (32, 16, 1, 1), {}),
    ((1, 4, 11, 10), (6, 4, 3, 2), {"stride": (2, 3), "padding_lower": (1, 0), "padding_upper": (1, 2)}),
    ((2, 8, 6, 6), (8, 2, 3, 3), {"groups": 4, "padding_lower": (1, 1), "padding_upper": (1, 1)}),
    ((1, 6, 7, 7), (6, 1, 3, 3), {"groups": 6, "stride": (2, 2)}),
    ((2, 3, 12), (5, 3, 4), {"stride": (3,), "dilation": (2,), "padding_lower": (2,)}),
    ((1, 2, 4, 5, 6), (3, 2, 2, 3, 2), {"stride": (1, 2, 1), "padding_upper": (0, 1, 1)}),
    ((1, 3, 9, 9), (2, 3, 3, 3), {"padding_lower": (-1, 2), "padding_upper": (0, -2), "dilation": (1, 2)}),
    ((1, 4, 3, 4), (4, 4, 3, 3), {"input_dilation": (2, 3), "padding_lower": (2, 2), "padding_upper": (2, 1)}),
    ((1, 32, 2, 2), (48, 32, 2, 2), {}),
)  # fmt: skip


def _samples(operands: Any) -> tuple[Any, ...]:
    """Samples of every geometry: `operands` picks two of the input's, the weights' and the output's shapes."""
    found = []
    for x, w, more in GEOMETRIES:
        op = object.__new__(_Convolution)
        op.name = "sample"
        for name, value in more.items():
            setattr(op, name, value)
        y = op.params_of(x, w, "float").output_shape
        found.append(operands(x, w, y, more))
    return tuple(found)


class Conv(_Convolution):
    """y = x convolved with w"""

    x: Value
    w: Value
    y = computed()
    samples = (
        *_samples(lambda x, w, _, more: sample(floats(*x), floats(*w, low=-1, high=1), **more)),
        sample(halfs(1, 16, 5, 5), halfs(16, 16, 3, 3, low=-0.5, high=0.5), padding_lower=(1, 1), padding_upper=(1, 1)),
        sample(floats(0, 3, 4, 4), floats(2, 3, 2, 2)),
    )

    @cached_property
    def params(self) -> ConvParams:
        """The convolution's parameters."""
        return self.params_of(self.x.shape, self.w.shape, self.x.dtype)

    @property
    def macs(self) -> int:
        return self.params.macs

    def infer(self) -> TensorType:
        require_floating(self, "x")
        same_dtype(self, "x", "w")
        return TensorType(self.x.dtype, self.params.output_shape)

    def reference(self, x: Any, w: Any) -> Any:
        return convolved(x, w.reshape(self.params.weights_shape), self.params)

    def lower(self, at: Any, x: Any, w: Any) -> Any:
        return lowering.convolve(at, x, w, self.params, self.leaf)

    def create_operand(self, at: Any, field: str, name: str, **known: Any) -> Any:
        return (create_input if field == "x" else create_weights)(at, self.params, name)

    def gradient(self, g: Any, dy: Value) -> Any:
        field, kernel = self.x.shape[2:], self.w.shape[2:]
        return (
            g.add("conv_input_gradient", dy, self.w, field=field, name=gradient_name(self.x), **self.settings),
            g.add("conv_weights_gradient", self.x, dy, kernel=kernel, name=gradient_name(self.w), **self.settings),
        )


class ConvInputGradient(_Convolution):
    """dx = the sum of w times the elements of dy that x met: the gradient of a convolution's input, a value with `field`;
    also known as transposed convolution"""

    dy: Value
    w: Value
    field: tuple[int, ...] = ()
    dx = computed()
    samples = (
        *_samples(lambda x, w, y, more: sample(floats(*y), floats(*w, low=-1, high=1), field=x[2:], **more)),
        sample(halfs(1, 8, 3, 3), halfs(8, 16, 2, 2, low=-0.5, high=0.5), field=(6, 6), stride=(2, 2)),
    )

    @cached_property
    def params(self) -> ConvParams:
        """The parameters of the convolution whose input's gradient this is."""
        channels = self.w.shape[1] * self.groups if self.w.ndim > 1 else 0
        return self.params_of((self.dy.shape[0], channels, *self.field), self.w.shape, self.dy.dtype)

    @property
    def macs(self) -> int:
        return self.params.macs

    def infer(self) -> TensorType:
        require_floating(self, "dy")
        same_dtype(self, "dy", "w")
        _expect(self, self.dy, self.params.output_shape)
        return TensorType(self.dy.dtype, self.params.input_shape)

    def reference(self, dy: Any, w: Any) -> Any:
        return input_gradient(dy, w.reshape(self.params.weights_shape), self.params)

    def lower(self, at: Any, dy: Any, w: Any) -> Any:
        return lowering.convolve(at, dy, w, self.params, self.leaf, kind=lowering.INPUT_GRADIENT)

    def create_operand(self, at: Any, field: str, name: str, **known: Any) -> Any:
        return create_weights(at, self.params, name) if field == "w" else None

    def gradient(self, g: Any, ddx: Value) -> Any:
        return (
            g.add("conv", ddx, self.w, name=gradient_name(self.dy), **self.settings),
            g.add(
                "conv_weights_gradient",
                ddx,
                self.dy,
                kernel=self.w.shape[2:],
                name=gradient_name(self.w),
                **self.settings,
            ),
        )


class ConvWeightsGradient(_Convolution):
    """dw = the sum over batch and field of x times the elements of dy it met: the gradient of a convolution's weights,
    with `kernel` taps"""

    x: Value
    dy: Value
    kernel: tuple[int, ...] = ()
    dw = computed()
    samples = (
        *_samples(lambda x, w, y, more: sample(floats(*x), floats(*y), kernel=w[2:], **more)),
        sample(halfs(1, 16, 5, 5), halfs(1, 8, 5, 5), kernel=(1, 1)),
    )

    @cached_property
    def params(self) -> ConvParams:
        """The parameters of the convolution whose weights' gradient this is."""
        w = (self.dy.shape[1], self.x.shape[1] // max(self.groups, 1), *self.kernel)
        return self.params_of(self.x.shape, w, self.x.dtype)

    @property
    def macs(self) -> int:
        return self.params.macs

    def infer(self) -> TensorType:
        require_floating(self, "x")
        same_dtype(self, "x", "dy")
        _expect(self, self.dy, self.params.output_shape)
        groups, out, *rest = self.params.weights_shape
        return TensorType(self.x.dtype, (groups * out, *rest))

    def reference(self, x: Any, dy: Any) -> Any:
        return weights_gradient(x, dy, self.params).reshape(self.outputs[0].shape)

    def lower(self, at: Any, x: Any, dy: Any) -> Any:
        return lowering.weights_gradient(at, x, dy, self.params, self.leaf)

    def gradient(self, g: Any, ddw: Value) -> Any:
        return (
            g.add(
                "conv_input_gradient", self.dy, ddw, field=self.x.shape[2:], name=gradient_name(self.x), **self.settings
            ),
            g.add("conv", self.x, ddw, name=gradient_name(self.dy), **self.settings),
        )


def _expect(op: Op, value: Value, shape: tuple[int, ...]) -> None:
    if value.shape != shape:
        raise ShapeError(f"{op}: {describe(value)} is not of the convolved shape {list(shape)}")
