"""Field windows: which vertex works on which positions of a field, and which rows of another field it sees.

Values with a field are (batch, channels, *field); they are stored channels-innermost, so that a vertex sees vectors of
channels. Work over a field of an outer and an inner axis is cut into *segments*: a run of inner positions of one row
(batch and outer place), times a group of channels where there are too few positions for all workers.

What a segment reads of another field are the rows its window touches, each the run of inner positions from the first
tap of its first position to the last tap of its last one: a matrix with one row stride where the other field is stored
channels-innermost too, gathered element by element otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..graph import Tensor, Windows
from .mapping import map_runs, part_bounds

if TYPE_CHECKING:
    from .lowering import Lowering


def channels_last(x: Tensor) -> Tensor:
    """(batch, channels, *field) seen as (batch, *field, channels)."""
    return x.dim_roll(1, x.ndim - 1)


def channels_first(x: Tensor) -> Tensor:
    """(batch, *field, channels) seen as (batch, channels, *field)."""
    return x.dim_roll(x.ndim - 1, 1)


def field_variable(at: Lowering, dtype: Any, shape: tuple[int, ...], name: str, mapping: Any = None) -> Tensor:
    """A variable stored channels-innermost, seen as `shape` = (batch, channels, *field). Unmapped unless told."""
    stored = (shape[0], *shape[2:], shape[1])
    return channels_first(at.variable(dtype, stored, name, mapping=mapping))


@dataclass(frozen=True)
class Taps:
    """A window along one axis: tap k of window o is input place o * stride + k * dilation - padding."""

    size: int  # of the input
    windows: int  # of the output
    taps: int
    stride: int = 1
    dilation: int = 1
    padding: int = 0  # before the first element

    @property
    def counts(self) -> np.ndarray:
        """How many taps of each window are inside the input."""
        place = np.arange(self.windows)[:, None] * self.stride + np.arange(self.taps) * self.dilation - self.padding
        return ((place >= 0) & (place < self.size)).sum(axis=1)

    def rows_seen(self, window: np.ndarray) -> tuple[np.ndarray, np.ndarray, int, np.ndarray]:
        """Input places of single windows: (first place, count, step, number of the first tap)."""
        start = window * self.stride - self.padding
        first = np.maximum(-(start // self.dilation), 0)
        last = np.minimum((self.size - 1 - start) // self.dilation, self.taps - 1)
        return start + first * self.dilation, np.maximum(last - first + 1, 0), self.dilation, first

    def span_seen(self, begin: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Input places from the first tap of window `begin` to the last of `end` - 1: (first, count, offset)."""
        start = begin * self.stride - self.padding
        first = np.maximum(start, 0)
        stop = np.minimum((end - 1) * self.stride - self.padding + (self.taps - 1) * self.dilation + 1, self.size)
        return first, np.maximum(stop - first, 0), first - start

    def rows_seeing(self, place: np.ndarray) -> tuple[np.ndarray, np.ndarray, int, np.ndarray, int]:
        """Windows that see single input places, ascending: (first window, count, step, its tap, step of the tap)."""
        gcd = int(np.gcd(self.stride, self.dilation))
        tap_step, window_step = self.stride // gcd, self.dilation // gcd
        reach = place[:, None] + self.padding - np.arange(self.taps) * self.dilation
        window = reach // self.stride
        hit = (reach % self.stride == 0) & (window >= 0) & (window < self.windows)
        count = hit.sum(axis=1)
        tap = np.where(count > 0, self.taps - 1 - np.argmax(hit[:, ::-1], axis=1), 0)
        first = np.where(count > 0, np.take_along_axis(window, tap[:, None], axis=1)[:, 0], 0)
        return first, count, window_step, tap, -tap_step

    def span_seeing(self, begin: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Windows that see input places [begin, end): (first, count, offset)."""
        low = begin + self.padding - (self.taps - 1) * self.dilation
        first = np.maximum(-(-low // self.stride), 0)
        stop = np.minimum((end - 1 + self.padding) // self.stride + 1, self.windows)
        return np.minimum(first, self.windows), np.maximum(stop - first, 0), begin + self.padding - first * self.stride


@dataclass(frozen=True, eq=False)
class Segments:
    """Columns of a field (rows, length, channels) cut into segments: inner positions [begin, end) of `row`, channels
    [group * width, (group + 1) * width), each on a tile."""

    row: np.ndarray
    begin: np.ndarray
    end: np.ndarray
    group: np.ndarray
    tile: np.ndarray
    length: int
    channels: int
    width: int

    def windows(self, flat: Tensor) -> Windows:
        """The segments themselves, of a flat field stored channels-innermost: a row a position."""
        start = (self.row * self.length + self.begin) * self.channels + self.group * self.width
        return flat.windows(start, self.width, self.end - self.begin, self.channels)

    def map(self, at: Lowering, flat: Tensor) -> None:
        """Put every segment of a flat field stored channels-innermost on its tile."""
        start = (self.row * self.length + self.begin) * self.channels + self.group * self.width
        count = self.end - self.begin
        if self.width == self.channels:
            map_runs(at.graph, flat, start, start + count * self.width, self.tile)
            return
        which = np.repeat(np.arange(len(start)), count)
        place = np.arange(len(which)) - np.repeat(np.cumsum(count) - count, count)
        begin = start[which] + place * self.channels
        order = np.argsort(begin)
        map_runs(at.graph, flat, begin[order], begin[order] + self.width, self.tile[which][order])


def cut_field(at: Lowering, rows: int, length: int, channels: int, element_size: int, whole: bool = False) -> Segments:
    """Cut (rows, length, channels) into even segments for all workers, channels last and in equal groups, or together
    where `whole`."""
    workers = len(at.tiles) * at.shares
    groups = 1 if whole else _groups(rows * length, channels, workers, at.target.vector_width(element_size))
    each = length if at.grain == "row" else max(-(-rows * length * groups // workers), 1)
    bounds = part_bounds(length, -(-length // each))
    row, piece, group = (i.reshape(-1) for i in np.indices((rows, len(bounds) - 1, groups)))
    tile = at.tiles[np.arange(len(row)) * len(at.tiles) // max(len(row), 1)]
    return Segments(row, bounds[piece], bounds[piece + 1], group, tile, length, channels, channels // groups)


def _groups(positions: int, channels: int, workers: int, wide: int) -> int:
    """Into how many equal groups the channels are cut: the fewest that keep most workers busy, not below a vector."""
    if positions * 2 >= workers:
        return 1
    divisors = [d for d in range(1, max(channels, 1) + 1) if channels % d == 0 and (channels // d >= wide or d == 1)]
    return next((d for d in divisors if positions * d >= workers), divisors[-1])


def by_group(x: Tensor, segments: Segments) -> Tensor:
    """A (rows.., channels) field flattened so that the positions of one group of channels follow one another."""
    batch, outer, inner, channels = x.shape
    split = x.reshape(batch, outer, inner, channels // segments.width, segments.width)
    return split.dim_shuffle((0, 3, 1, 2, 4)).flatten()


def rows_of_windows(
    x: Tensor, segments: Segments, batch: np.ndarray, rows: tuple[Any, Any, int], span: tuple[Any, Any]
) -> Windows:
    """What segments see of x (batch, outer, inner, channels): `rows` = (first, count, step) of the outer axis and
    `span` = (first, count) of the inner one, for the channels of each."""
    _, outer, inner, channels = x.shape
    first_row, count, step = rows
    first, length = span
    groups = channels // segments.width
    start = (((batch * groups + segments.group) * outer + first_row) * inner + first) * segments.width
    empty = (count == 0) | (length == 0)
    start, count = np.where(empty, 0, start), np.where(empty, 0, count)
    return by_group(x, segments).windows(start, length * segments.width, count, step * inner * segments.width)
