"""Pooling on tiles: one compute set for one or two field axes, one more for a third.

A field of three axes is pooled over its last two first, and the result over its first axis: the largest of the
largest, and the sum of sums (kept in float), are those of the whole window.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..dtypes import UNSIGNED_INT, UNSIGNED_SHORT
from ..graph import Tensor
from .stored import blocks_of, field_view, in_blocks
from .windows import Taps, cut_field, rows_of_windows

if TYPE_CHECKING:
    from .lowering import Lowering


@dataclass(frozen=True)
class _Stage:
    """Pooling of (batch, outer, inner, channels) by one window along each field axis."""

    outer: Taps
    inner: Taps

    @property
    def constants(self) -> dict[str, int]:
        return {"taps": self.inner.taps, "stride": self.inner.stride, "dilation": self.inner.dilation}

    @property
    def size(self) -> int:
        """Elements of a window."""
        return self.outer.taps * self.inner.taps


def _stages(axes: tuple[Taps, ...], shape: tuple[int, ...]) -> list[tuple[_Stage, tuple[int, ...], tuple[int, ...]]]:
    """Stages of pooling values of `shape` = (batch, *field, channels), each with the 4-axis shapes it takes and gives."""
    batch, channels, still = shape[0], shape[-1], Taps(1, 1, 1)
    if len(axes) == 1:
        axes = (still, *axes)
    if len(axes) == 2:
        return [(_Stage(*axes), *_shapes(batch, *axes, channels))]
    first, outer, inner = axes
    middle = outer.windows * inner.windows
    whole = Taps(middle, middle, 1)
    return [
        (_Stage(outer, inner), *_shapes(batch * first.size, outer, inner, channels)),
        (_Stage(first, whole), *_shapes(batch, first, whole, channels)),
    ]


def _shapes(batch: int, outer: Taps, inner: Taps, channels: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    return (batch, outer.size, inner.size, channels), (batch, outer.windows, inner.windows, channels)


def pool(at: Lowering, x: Tensor, axes: tuple[Taps, ...], operation: str, name: str) -> Tensor:
    """Pool x (batch, channels, *field) by a window along every field axis: the 'max', 'sum', 'avg' (padding counts as
    zeros) or 'mean' (padding does not count) of each."""
    stored = _stored(x)
    batch, blocks, *_, width = stored.shape
    y = _forward(at, stored.flatten(0, 2), axes, operation, name, blocks > 1)
    return field_view(y.reshape(batch, blocks, *(a.windows for a in axes), width))


def _stored(x: Tensor, width: int | None = None) -> Tensor:
    """x as (batch, blocks, *field, channels of a block), of `width` channels if told. A block is pooled as if it were a
    sample of its own."""
    stored = blocks_of(x)
    if stored is None:
        return in_blocks(x, width or x.shape[1])
    return stored if width in (None, stored.shape[-1]) else in_blocks(x, width)  # type: ignore[arg-type]


def _forward(at: Lowering, x: Tensor, axes: tuple[Taps, ...], operation: str, name: str, whole: bool) -> Tensor:
    """All stages on x (batch, *field, channels); vertices see all channels where `whole`."""
    stages = _stages(axes, x.shape)
    kind = x.dtype
    for number, (stage, takes, gives) in enumerate(stages):
        last = number == len(stages) - 1
        dtype = kind if last or operation == "max" else at.accumulator(kind)
        path = name if last else f"{name}/inner"
        y = at.output(dtype, gives, path) if last else at.variable(dtype, gives, path, mapping=None)
        codelet = {"max": "MaxPool", "mean": "MeanPool"}.get(operation, "SumPool")
        constants = {"scale": 1.0 / stage.size} if operation == "avg" else {}
        _pool_stage(at, x.reshape(takes), y, stage, codelet, path, constants, whole)
        x = y
    return x


def _pool_stage(
    at: Lowering, x: Tensor, y: Tensor, stage: _Stage, codelet: str, name: str, constants: dict[str, Any],
    whole: bool, place: Tensor | None = None,
) -> None:  # fmt: skip
    """One compute set over the positions of y; with `place`, over those of place, y being read."""
    if y.size == 0:
        return
    batch, outer, inner, channels = y.shape
    segments = cut_field(at, batch * outer, inner, channels, y.dtype.size, whole)
    output = y if place is None else place
    segments.map(at, output.flatten())
    first_row, count, step, tap = stage.outer.rows_seen(segments.row % outer)
    first, length, offset = stage.inner.span_seen(segments.begin, segments.end)
    seen = rows_of_windows(x, segments, segments.row // outer, (first_row, count, step), (first, length))
    fields: dict[str, Any] = {"x": seen, "y": segments.windows(y.flatten())}
    if place is not None:
        fields |= {"place": segments.windows(place.flatten()), "first": tap * stage.inner.taps, "none": stage.size}
    at.execute(codelet, name, segments.tile, offset=offset, **fields, **stage.constants, **constants)


def pool_gradient(
    at: Lowering, dy: Tensor, axes: tuple[Taps, ...], operation: str, name: str,
    x: Tensor | None = None, y: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The gradient of the input of `pool`. 'max' takes x and y of the forward pass, and sends the gradient of a window
    to the first of its largest elements; 'sum' and 'avg' need neither."""
    given = _stored(dy if x is None else x)
    batch, blocks, *_, width = given.shape
    whole = blocks > 1
    stored = (batch * blocks, *(a.size for a in axes), width)
    stages = _stages(axes, stored)
    passed: list[tuple[Tensor, Tensor]] = []  # what each stage read and gave in the forward pass
    if operation == "max":
        assert x is not None and y is not None  # as documented
        xs, ys = given.reshape(stages[0][1]), _stored(y, width).flatten(0, 2)
        if len(stages) > 1:  # the value between the stages is not kept: it is made again
            between = at.variable(x.dtype, stages[0][2], f"{name}/again", mapping=None)
            _pool_stage(at, xs, between, stages[0][0], "MaxPool", f"{name}/again", {}, whole)
            passed = [(xs, between), (between.reshape(stages[1][1]), ys.reshape(stages[1][2]))]
        else:
            passed = [(xs, ys.reshape(stages[0][2]))]
    gradient = _stored(dy, width).flatten(0, 2)
    for number in reversed(range(len(stages))):
        stage, takes, gives = stages[number]
        dtype = dy.dtype if number == 0 else at.accumulator(dy.dtype)
        path = name if number == 0 else f"{name}/outer"
        dx = at.variable(dtype, takes, path, mapping=None)
        place, constants = None, {}
        if operation == "max":
            place = at.variable(
                UNSIGNED_SHORT if stage.size < 1 << 16 else UNSIGNED_INT, gives, f"{path}/place", mapping=None
            )
            _pool_stage(at, *passed[number], stage, "MaxPoolPlace", f"{path}/place", {}, whole, place)
        elif operation == "avg":
            constants = {"scale": 1.0 / stage.size}
        _gradient_stage(at, gradient.reshape(gives), dx, stage, path, constants, whole, place)
        gradient = dx
    return field_view(gradient.reshape(batch, blocks, *(a.size for a in axes), width))


def _gradient_stage(at, dy, dx, stage, name, constants, whole, place) -> None:
    if dx.size == 0:
        return
    batch, outer, inner, channels = dx.shape
    segments = cut_field(at, batch * outer, inner, channels, dx.dtype.size, whole)
    segments.map(at, dx.flatten())
    first_row, count, step, tap, tap_step = stage.outer.rows_seeing(segments.row % outer)
    first, length, offset = stage.inner.span_seeing(segments.begin, segments.end)
    where = (segments.row // outer, (first_row, count, step), (first, length))
    fields: dict[str, Any] = {"dy": rows_of_windows(dy, segments, *where), "dx": segments.windows(dx.flatten())}
    codelet = "SumPoolGrad"
    if place is not None:
        codelet = "MaxPoolGrad"
        fields |= {"place": rows_of_windows(place, segments, *where), "first": tap * stage.inner.taps}
        constants = {"step": tap_step * stage.inner.taps}
    at.execute(codelet, name, segments.tile, offset=offset, **fields, **stage.constants, **constants)
