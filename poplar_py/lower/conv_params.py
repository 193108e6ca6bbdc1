"""Parameters of a convolution, as poplin names them.

Along every field axis the input and the weights are truncated, then dilated (zeros between elements), then padded with
zeros, then flipped; they are convolved (correlated, as networks do) at stride 1; and the result is truncated, then
strided, then padded with zeros. Numbers are never negative: what is cut off is truncation. A truncation may leave
nothing, which the padding after it makes zeros of. Source: the description of ConvParams in PopLibs' documentation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, overload

from ..dtypes import DType, dtype
from ..errors import InvalidOption, ShapeError, TypeMismatch, did_you_mean
from .reach import Reach


def _whole(value: Any, what: str) -> tuple[int, ...]:
    try:
        numbers = tuple(int(n) for n in value)
        if all(a == b for a, b in zip(numbers, value, strict=True)):
            return numbers
    except (TypeError, ValueError):
        pass
    raise ShapeError(f"{what} is {value!r}; it takes a whole number for every field axis") from None


def _one(value: Any, what: str, least: int = 0) -> int:
    try:
        number = int(value)
        if number == value and number >= least:
            return number
    except (TypeError, ValueError):
        pass
    raise ShapeError(f"{what} is {value!r}; it takes a whole number of at least {least}") from None


@dataclass(frozen=True)
class Transform:
    """What is done to the input or to the weights before they are convolved: an entry for every field axis, or one
    number, that of field axes, for a transform that changes nothing."""

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
        if left < 0:
            raise ShapeError(f"{what}: truncation {low}+{high} is more than axis {axis} has, {size}")
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
    """What is done to the result: an entry for every field axis, or one number, that of field axes, for nothing."""

    truncation_lower: tuple[int, ...] = ()
    truncation_upper: tuple[int, ...] = ()
    stride: tuple[int, ...] = ()
    padding_lower: tuple[int, ...] = ()
    padding_upper: tuple[int, ...] = ()

    def completed(self, axes: int, what: str) -> OutputTransform:
        """With defaults for what is left empty. Raises ShapeError."""
        return _completed(self, axes, what, {"stride": 1})


def _completed(transform: Any, axes: int, what: str, defaults: dict[str, Any]) -> Any:
    size = transform.truncation_lower
    if isinstance(size, int):  # of a transform that changes nothing
        if size != axes:
            raise ShapeError(f"{what} is for {size} field axes; the field has {axes}")
        transform = type(transform)()
    found = {}
    for f in fields(transform):
        least = defaults.get(f.name, 0)
        given = getattr(transform, f.name)
        given = _whole(given if given is not None and len(given) else (least,) * axes, f"{what} {f.name}")
        if len(given) != axes or min(given, default=least) < least:
            hint = (
                "; what is cut off is truncation" if f.name.startswith("padding") and min(given, default=0) < 0 else ""
            )
            raise ShapeError(
                f"{what} {f.name} is {list(given)}; it takes {axes} numbers of at least {int(least)}, one for each field"
                f" axis{hint}"
            )
        found[f.name] = tuple(map(bool, given)) if f.name == "flip" else given
    return replace(transform, **found)


_NAMES = (
    "batch_size",
    "input_field_shape",
    "kernel_shape",
    "input_channels_per_conv_group",
    "output_channels_per_conv_group",
    "num_conv_groups",
    "input_transform",
    "kernel_transform",
    "output_transform",
)
_ALSO = {  # names of earlier PopLibs
    "input_channels": "input_channels_per_conv_group",
    "output_channels": "output_channels_per_conv_group",
    "num_groups": "num_conv_groups",
}


def _read_arguments(given: tuple[Any, ...], named: dict[str, Any]) -> dict[str, Any]:
    """The constructor's arguments by field name: (data_type, batch_size, ...) or (input_type, output_type, batch_size,
    ...), by place or by name. Raises InvalidOption."""
    first = ["input_type"]
    if len(given) > 1 and (isinstance(given[1], (DType, str)) or (isinstance(given[1], type) and given[1] is not int)):
        first.append("output_type")
    order = (*first, *_NAMES)
    known = (*order, "output_type", "data_type", *_ALSO)
    if len(given) > len(order):
        raise InvalidOption(
            f"ConvParams takes at most {len(order)} arguments, {', '.join(order)}; {len(given)} are given"
        )
    found = dict(zip(order, given, strict=False))
    for name, value in named.items():
        if name not in known:
            raise InvalidOption(
                f"ConvParams has no argument '{name}'.{did_you_mean(name, known)} It takes {', '.join(order)}"
            )
        name = "input_type" if name == "data_type" else _ALSO.get(name, name)
        if name in found:
            raise InvalidOption(f"ConvParams: {name} is given twice")
        found[name] = value
    missing = [name for name in ("input_type", *_NAMES[:5]) if name not in found]
    if missing:
        raise InvalidOption(f"ConvParams: {', '.join(missing)} is not given; it takes {', '.join(order)}")
    return found


@dataclass(frozen=True, init=False)
class ConvParams:
    """A grouped convolution over a field of 1 to 3 axes.

    ConvParams(data_type, batch_size, input_field_shape, kernel_shape, input_channels_per_conv_group,
    output_channels_per_conv_group, num_conv_groups[, input_transform, kernel_transform, output_transform]), or with
    (input_type, output_type, batch_size, ...). Input (batch, groups * in, *field), weights (groups, out, in, *kernel),
    output (batch, groups * out, *output field). Raises ShapeError where the settings do not fit each other, TypeMismatch
    where a type is not HALF or FLOAT, and InvalidOption where an argument is unknown.
    """

    input_type: Any
    output_type: Any
    batch_size: int
    input_field_shape: Sequence[int]
    kernel_shape: Sequence[int]
    input_channels_per_conv_group: int
    output_channels_per_conv_group: int
    num_conv_groups: int
    input_transform: Transform
    kernel_transform: Transform
    output_transform: OutputTransform
    reaches: tuple[Reach, ...] = field(init=False, repr=False, compare=False)

    @overload
    def __init__(
        self, data_type: Any, batch_size: int, input_field_shape: Sequence[int], kernel_shape: Sequence[int],
        input_channels_per_conv_group: int, output_channels_per_conv_group: int, num_conv_groups: int = 1,
        input_transform: Transform = ..., kernel_transform: Transform = ..., output_transform: OutputTransform = ...,
        *, output_type: Any = None,
    ) -> None: ...  # fmt: skip

    @overload
    def __init__(
        self, input_type: Any, output_type: Any, batch_size: int, input_field_shape: Sequence[int],
        kernel_shape: Sequence[int], input_channels_per_conv_group: int, output_channels_per_conv_group: int,
        num_conv_groups: int = 1, input_transform: Transform = ..., kernel_transform: Transform = ...,
        output_transform: OutputTransform = ...,
    ) -> None: ...  # fmt: skip

    def __init__(self, *given: Any, **named: Any) -> None:
        found = _read_arguments(given, named)
        kind = _floating(found["input_type"], "input_type")
        out_kind = found.get("output_type")
        read: dict[str, Any] = {
            "input_type": kind,
            "output_type": kind if out_kind is None else _floating(out_kind, "output_type"),
            "batch_size": _one(found["batch_size"], "batch_size"),
            "input_field_shape": _whole(found["input_field_shape"], "input_field_shape"),
            "kernel_shape": _whole(found["kernel_shape"], "kernel_shape"),
            "num_conv_groups": _one(found.get("num_conv_groups", 1), "num_conv_groups", 1),
        }
        for name in ("input_channels_per_conv_group", "output_channels_per_conv_group"):
            read[name] = _one(found[name], name)
        axes = len(read["input_field_shape"])
        if not 1 <= axes <= 3 or len(read["kernel_shape"]) != axes:
            raise ShapeError(
                f"a convolution has 1 to 3 field axes, as many as its weights: the field is"
                f" {list(read['input_field_shape'])}, the weights {list(read['kernel_shape'])}"
            )
        if min((*read["kernel_shape"], *read["input_field_shape"])) < 0:
            raise ShapeError(
                f"a convolution of field {list(read['input_field_shape'])} and kernel {list(read['kernel_shape'])}:"
                " sizes are not negative"
            )
        for name, kinds in (("input_transform", InputTransform), ("kernel_transform", KernelTransform),
                            ("output_transform", OutputTransform)):  # fmt: skip
            transform = found.get(name)
            transform = kinds() if transform is None else transform
            if not isinstance(transform, OutputTransform if kinds is OutputTransform else Transform):
                raise TypeMismatch(f"{name} is {transform!r}; it takes poplin.{kinds.__name__}")
            read[name] = kinds(*(getattr(transform, f.name) for f in fields(transform))).completed(axes, name)
        for name, value in read.items():
            object.__setattr__(self, name, value)
        object.__setattr__(self, "reaches", tuple(self._reach(axis) for axis in range(axes)))

    def _reach(self, axis: int) -> Reach:
        size, taps, out = self.input_field_shape[axis], self.kernel_shape[axis], self.output_transform
        a, b, extent = self.input_transform.place(axis, size, "input_transform")
        d, e, kernel = self.kernel_transform.place(axis, taps, "kernel_transform")
        if kernel < 1:
            raise ShapeError(
                f"kernel_transform: nothing is left of axis {axis} of the weights, {taps} long, nor padding"
            )
        if kernel > extent:
            raise ShapeError(
                f"a window of {kernel} does not fit axis {axis} of the field: {size}, {extent} with padding"
            )
        low, high = out.truncation_lower[axis], out.truncation_upper[axis]
        left = extent - kernel + 1 - low - high
        if left < 0:
            raise ShapeError(
                f"output_transform: truncation {low}+{high} is more than axis {axis} has, {extent - kernel + 1}"
            )
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
    def num_field_dims(self) -> int:
        """Field axes, 1 to 3."""
        return len(self.kernel_shape)

    @property
    def num_input_chans(self) -> int:
        """Channels of the input, all groups together."""
        return self.num_conv_groups * self.input_channels_per_conv_group

    @property
    def num_output_chans(self) -> int:
        """Channels of the output, all groups together."""
        return self.num_conv_groups * self.output_channels_per_conv_group

    @property
    def input_shape(self) -> tuple[int, ...]:
        """(batch, channels, *field) of the input."""
        return (self.batch_size, self.num_input_chans, *self.input_field_shape)

    @property
    def output_shape(self) -> tuple[int, ...]:
        """(batch, channels, *field) of the output."""
        return (self.batch_size, self.num_output_chans, *self.output_field_shape)

    @property
    def weights_shape(self) -> tuple[int, ...]:
        """(groups, out, in, *kernel) of the weights."""
        ins, outs = self.input_channels_per_conv_group, self.output_channels_per_conv_group
        return (self.num_conv_groups, outs, ins, *self.kernel_shape)

    @property
    def macs(self) -> int:
        """Products of input and weight elements that are summed; products with padding do not count."""
        count = self.batch_size * self.num_input_chans * self.output_channels_per_conv_group
        for reach in self.reaches:
            count *= reach.count
        return count

    def transformed_input_size(self, axis: int) -> int:
        """Places of the input along a field axis after its transform."""
        return self.input_transform.place(axis, self.input_field_shape[axis], "")[2]

    def transformed_kernel_size(self, axis: int) -> int:
        """Places of the weights along a field axis after their transform."""
        return self.kernel_transform.place(axis, self.kernel_shape[axis], "")[2]

    def untransformed_output_size(self, axis: int) -> int:
        """Places of the result along a field axis before its transform."""
        return self.transformed_input_size(axis) - self.transformed_kernel_size(axis) + 1

    def truncated_output_size(self, axis: int) -> int:
        """Places of the result along a field axis after truncation, before the stride."""
        out = self.output_transform
        return self.untransformed_output_size(axis) - out.truncation_lower[axis] - out.truncation_upper[axis]

    def validate(self) -> None:
        """Does nothing: parameters are checked when they are made, and cannot change."""

    def canonicalize(self) -> ConvParams:
        """The same convolution without what changes nothing: a dilation of one element and a stride of one place are 1,
        an axis of one element is not flipped, and the places a stride leaves out at the end are truncated."""
        axes = range(self.num_field_dims)
        y = self.output_transform

        def simple(t: Transform, sizes: Sequence[int]) -> Transform:
            one = [sizes[a] - t.truncation_lower[a] - t.truncation_upper[a] <= 1 for a in axes]
            dilation = tuple(1 if one[a] else t.dilation[a] for a in axes)
            swap = [t.flip[a] and one[a] for a in axes]
            lower = tuple(t.padding_upper[a] if swap[a] else t.padding_lower[a] for a in axes)
            upper = tuple(t.padding_lower[a] if swap[a] else t.padding_upper[a] for a in axes)
            flip = tuple(t.flip[a] and not one[a] for a in axes)
            return replace(t, dilation=dilation, flip=flip, padding_lower=lower, padding_upper=upper)

        left = [self.truncated_output_size(a) for a in axes]
        past = [(left[a] - 1) % y.stride[a] if left[a] else 0 for a in axes]
        output = replace(
            y,
            stride=tuple(1 if left[a] - past[a] <= 1 else y.stride[a] for a in axes),
            truncation_upper=tuple(y.truncation_upper[a] + past[a] for a in axes),
        )
        return replace(
            self,
            input_transform=simple(self.input_transform, self.input_field_shape),
            kernel_transform=simple(self.kernel_transform, self.kernel_shape),
            output_transform=output,
        )


def _floating(given: Any, what: str) -> DType:
    kind = dtype(given)
    if not kind.is_floating:
        raise TypeMismatch(f"a convolution's {what} is HALF or FLOAT, not {kind}; cast it")
    return kind


def _inside(size: int, transform: Transform, axis: int) -> tuple[int, int]:
    return transform.truncation_lower[axis], size - transform.truncation_upper[axis]


for _transform in (InputTransform, KernelTransform, OutputTransform):
    setattr(ConvParams, _transform.__name__, _transform)  # in Poplar they are names of ConvParams
