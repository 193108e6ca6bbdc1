"""Parameters of a convolution, as poplin names them.

Along every field axis the input and the weights are truncated, then dilated (zeros between elements), then padded with
zeros, then flipped; they are convolved (correlated, as networks do) at stride 1; and the result is truncated, then
strided, then padded with zeros. Source: the description of ConvParams in PopLibs' documentation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from ..dtypes import dtype
from ..errors import ShapeError
from .reach import Reach


def _whole(value: Any, what: str) -> tuple[int, ...]:
    try:
        return tuple(int(n) for n in value)
    except TypeError:
        raise ShapeError(f"{what} is {value!r}; it takes a number for every field axis") from None


@dataclass(frozen=True)
class Transform:
    """What is done to the input or to the weights before they are convolved: an entry for every field axis."""

    truncation_lower: tuple[int, ...] = ()
    truncation_upper: tuple[int, ...] = ()
    dilation: tuple[int, ...] = ()
    padding_lower: tuple[int, ...] = ()
    padding_upper: tuple[int, ...] = ()
    flip: tuple[bool, ...] = ()

    def completed(self, axes: int, what: str) -> Transform:
        """With defaults for what is left empty. Raises ShapeError."""
        return _completed(self, axes, what, {"dilation": 1, "flip": False})

    def place(self, axis: int, size: int, what: str) -> tuple[int, int, int]:
        """(step, offset, extent): element i lands on i * step + offset of `extent` places. Raises ShapeError."""
        low, high = self.truncation_lower[axis], self.truncation_upper[axis]
        left = size - low - high
        if left < 0 or (left == 0 and size > 0):
            raise ShapeError(f"{what}: truncation {low}+{high} leaves nothing of axis {axis}, {size} long")
        dilated = (left - 1) * self.dilation[axis] + 1 if left else 0
        extent = dilated + self.padding_lower[axis] + self.padding_upper[axis]
        step, offset = self.dilation[axis], self.padding_lower[axis] - low * self.dilation[axis]
        return (-step, extent - 1 - offset, extent) if self.flip[axis] else (step, offset, extent)


class InputTransform(Transform):
    """What is done to the input."""


class KernelTransform(Transform):
    """What is done to the weights."""


@dataclass(frozen=True)
class OutputTransform:
    """What is done to the result: an entry for every field axis."""

    truncation_lower: tuple[int, ...] = ()
    truncation_upper: tuple[int, ...] = ()
    stride: tuple[int, ...] = ()
    padding_lower: tuple[int, ...] = ()
    padding_upper: tuple[int, ...] = ()

    def completed(self, axes: int, what: str) -> OutputTransform:
        """With defaults for what is left empty. Raises ShapeError."""
        return _completed(self, axes, what, {"stride": 1})


def _completed(transform: Any, axes: int, what: str, defaults: dict[str, Any]) -> Any:
    found = {}
    for f in fields(transform):
        least = defaults.get(f.name, 0)
        given = _whole(getattr(transform, f.name) or (least,) * axes, f"{what} {f.name}")
        if len(given) != axes or min(given, default=least) < least:
            raise ShapeError(
                f"{what} {f.name} is {list(given)}; it takes {axes} numbers of at least {int(least)}, one for each field axis"
            )
        found[f.name] = tuple(map(bool, given)) if f.name == "flip" else given
    return replace(transform, **found)


@dataclass(frozen=True)
class ConvParams:
    """A grouped convolution over a field of 1 to 3 axes.

    Input (batch, groups * in, *field), weights (groups, out, in, *kernel), output (batch, groups * out, *output field).
    Raises ShapeError where the settings do not fit each other.
    """

    input_type: Any
    batch_size: int
    input_field_shape: Sequence[int]
    kernel_shape: Sequence[int]
    input_channels_per_group: int
    output_channels_per_group: int
    num_groups: int = 1
    input_transform: Transform = field(default_factory=InputTransform)
    kernel_transform: Transform = field(default_factory=KernelTransform)
    output_transform: OutputTransform = field(default_factory=OutputTransform)
    output_type: Any = None

    def __post_init__(self) -> None:
        put = object.__setattr__
        put(self, "input_type", dtype(self.input_type))
        put(self, "output_type", dtype(self.output_type) if self.output_type is not None else self.input_type)
        put(self, "input_field_shape", _whole(self.input_field_shape, "input_field_shape"))
        put(self, "kernel_shape", _whole(self.kernel_shape, "kernel_shape"))
        axes = len(self.input_field_shape)
        if not 1 <= axes <= 3 or len(self.kernel_shape) != axes:
            raise ShapeError(
                f"a convolution has 1 to 3 field axes, as many as its weights: the field is {list(self.input_field_shape)},"
                f" the weights {list(self.kernel_shape)}"
            )
        if min((*self.kernel_shape, self.num_groups)) < 1 or min((self.batch_size, *self.input_field_shape)) < 0:
            raise ShapeError(
                f"a convolution of batch {self.batch_size}, field {list(self.input_field_shape)}, kernel"
                f" {list(self.kernel_shape)} and {self.num_groups} groups: sizes must be positive"
            )
        put(self, "input_transform", self.input_transform.completed(axes, "input_transform"))
        put(self, "kernel_transform", self.kernel_transform.completed(axes, "kernel_transform"))
        put(self, "output_transform", self.output_transform.completed(axes, "output_transform"))
        put(self, "reaches", tuple(self._reach(axis) for axis in range(axes)))

    reaches: tuple[Reach, ...] = field(init=False, repr=False, compare=False, default=())

    def _reach(self, axis: int) -> Reach:
        size, taps, out = self.input_field_shape[axis], self.kernel_shape[axis], self.output_transform
        a, b, extent = self.input_transform.place(axis, size, "input_transform")
        d, e, kernel = self.kernel_transform.place(axis, taps, "kernel_transform")
        if kernel > extent:
            raise ShapeError(
                f"a window of {kernel} does not fit axis {axis} of the field: {size}, {extent} with padding"
            )
        low, high = out.truncation_lower[axis], out.truncation_upper[axis]
        left = extent - kernel + 1 - low - high
        if left < 1:
            raise ShapeError(f"output_transform: truncation {low}+{high} leaves nothing of axis {axis}")
        strided = -(-left // out.stride[axis])
        before = out.padding_lower[axis]
        return Reach(
            size, strided + before + out.padding_upper[axis], taps, a, out.stride[axis], d,
            low - before * out.stride[axis] + e - b,
            _inside(size, self.input_transform, axis), (before, before + strided), _inside(taps, self.kernel_transform, axis),
        )  # fmt: skip

    @property
    def output_field_shape(self) -> tuple[int, ...]:
        """Places of the output along every field axis."""
        return tuple(r.windows for r in self.reaches)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """(batch, channels, *field) of the input."""
        return (self.batch_size, self.num_groups * self.input_channels_per_group, *self.input_field_shape)

    @property
    def output_shape(self) -> tuple[int, ...]:
        """(batch, channels, *field) of the output."""
        return (self.batch_size, self.num_groups * self.output_channels_per_group, *self.output_field_shape)

    @property
    def weights_shape(self) -> tuple[int, ...]:
        """(groups, out, in, *kernel) of the weights."""
        return (self.num_groups, self.output_channels_per_group, self.input_channels_per_group, *self.kernel_shape)

    @property
    def macs(self) -> int:
        """Products of input and weight elements that are summed; products with padding do not count."""
        count = self.batch_size * self.num_groups * self.input_channels_per_group * self.output_channels_per_group
        for reach in self.reaches:
            count *= reach.count
        return count

    def canonicalize(self) -> ConvParams:
        """The same convolution without transforms that change nothing: a dilation of one element and a stride of one
        place are 1, an axis of one element that is not padded is not flipped."""
        axes = range(len(self.kernel_shape))
        x, k, y = self.input_transform, self.kernel_transform, self.output_transform

        def simple(t: Transform, sizes: Sequence[int]) -> Transform:
            one = [sizes[a] - t.truncation_lower[a] - t.truncation_upper[a] == 1 for a in axes]
            dilation = tuple(1 if one[a] else t.dilation[a] for a in axes)
            swap = [t.flip[a] and one[a] for a in axes]
            lower = tuple(t.padding_upper[a] if swap[a] else t.padding_lower[a] for a in axes)
            upper = tuple(t.padding_lower[a] if swap[a] else t.padding_upper[a] for a in axes)
            flip = tuple(t.flip[a] and not one[a] for a in axes)
            return replace(t, dilation=dilation, flip=flip, padding_lower=lower, padding_upper=upper)

        single = [r.y_used[1] - r.y_used[0] == 1 for r in self.reaches]
        more = tuple(_conv_size(self, a) - 1 if single[a] else 0 for a in axes)  # a stride past the end is a truncation
        output = replace(
            y,
            stride=tuple(1 if single[a] else y.stride[a] for a in axes),
            truncation_upper=tuple(y.truncation_upper[a] + more[a] for a in axes),
        )
        return replace(
            self,
            input_transform=simple(x, self.input_field_shape),
            kernel_transform=simple(k, self.kernel_shape),
            output_transform=output,
        )


def _inside(size: int, transform: Transform, axis: int) -> tuple[int, int]:
    return transform.truncation_lower[axis], size - transform.truncation_upper[axis]


def _conv_size(params: ConvParams, axis: int) -> int:
    """Places of the result before stride, after truncation."""
    x = params.input_transform.place(axis, params.input_field_shape[axis], "")[2]
    k = params.kernel_transform.place(axis, params.kernel_shape[axis], "")[2]
    out = params.output_transform
    return x - k + 1 - out.truncation_lower[axis] - out.truncation_upper[axis]


def gradient_params(params: ConvParams) -> ConvParams:
    """The convolution that makes the input's gradient out of the output's, with weights turned by
    `weights_transpose_chans_flip_xy` (channels exchanged, kernel flipped)."""
    axes = range(len(params.kernel_shape))
    x, k, y = params.input_transform, params.kernel_transform, params.output_transform
    rows: dict[str, list[Any]] = {name: [] for name in ("tl", "tu", "d", "pl", "pu", "f", "ol", "ou", "s", "el", "eu")}
    for a in axes:
        size = params.input_field_shape[a]
        extent = x.place(a, size, "")[2]
        kernel = k.place(a, params.kernel_shape[a], "")[2]
        left = _conv_size(params, a)
        gap = (left - 1) % y.stride[a]  # places after the last stride
        rows["tl"].append(y.padding_lower[a])
        rows["tu"].append(y.padding_upper[a])
        rows["d"].append(y.stride[a])
        rows["pl"].append(kernel - 1 + y.truncation_lower[a])
        rows["pu"].append(kernel - 1 + y.truncation_upper[a] + gap)
        rows["f"].append(False)
        # the input's places inside the padded, dilated, flipped extent
        low, high = (x.padding_upper[a], x.padding_lower[a]) if x.flip[a] else (x.padding_lower[a], x.padding_upper[a])
        rows["ol"].append(low)
        rows["ou"].append(high)
        rows["s"].append(x.dilation[a])
        cut = (x.truncation_lower[a], x.truncation_upper[a])
        rows["el"].append(cut[1] if x.flip[a] else cut[0])
        rows["eu"].append(cut[0] if x.flip[a] else cut[1])
        if x.flip[a]:
            raise ShapeError("the gradient of a flipped input is no convolution; flip the input itself")
        assert extent >= kernel  # checked when the parameters were made
    turned = KernelTransform(
        k.truncation_upper, k.truncation_lower, k.dilation, k.padding_upper, k.padding_lower, k.flip
    )  # the weights are stored flipped: what was cut below is now above
    return ConvParams(
        params.input_type, params.batch_size, params.output_field_shape, params.kernel_shape,
        params.output_channels_per_group, params.input_channels_per_group, params.num_groups,
        InputTransform(*(tuple(rows[n]) for n in ("tl", "tu", "d", "pl", "pu", "f"))),
        turned,
        OutputTransform(*(tuple(rows[n]) for n in ("ol", "ou", "s", "el", "eu"))),
    )  # fmt: skip


def weight_update_params(params: ConvParams) -> ConvParams:
    """The convolution that makes the weights' gradient: activations with batch and channels exchanged convolved with the
    output's gradient, dilated by the stride. The result's kernel is its field."""
    axes = range(len(params.kernel_shape))
    x, k, y = params.input_transform, params.kernel_transform, params.output_transform
    if any(x.flip) or any(k.flip) or params.num_groups != 1:
        raise ShapeError("the weight update of flipped or grouped convolutions is no single convolution")
    gap = [(_conv_size(params, a) - 1) % y.stride[a] for a in axes]
    return ConvParams(
        params.input_type, params.input_channels_per_group, params.input_field_shape, params.output_field_shape,
        params.batch_size, params.output_channels_per_group, 1,
        InputTransform(x.truncation_lower, x.truncation_upper, x.dilation, x.padding_lower, x.padding_upper),
        KernelTransform(
            y.padding_lower, y.padding_upper, y.stride, y.truncation_lower,
            tuple(y.truncation_upper[a] + gap[a] for a in axes),
        ),
        OutputTransform(k.padding_lower, k.padding_upper, k.dilation, k.truncation_lower, k.truncation_upper),
    )  # fmt: skip
