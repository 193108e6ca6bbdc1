"""Rows of channel vectors: values (samples, rows, channels) cut into shares, and sums down the rows.

Normalisation treats a value as rows of channels: all rows of the batch together, or those of each sample. It is cut
where its elements lie, so that nothing moves, as long as that gives vertices whole vectors and an even load; otherwise
evenly. A share is a run of rows times a run of channels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..dtypes import FLOAT
from ..graph import Tensor, Windows
from .mapping import map_runs
from .patterns import split_runs
from .windows import cut_field

if TYPE_CHECKING:
    from .lowering import Lowering

MAX_DEPTH = 128  # rows a vertex adds up in one stage


@dataclass(frozen=True, eq=False)
class Shares:
    """Columns: rows [begin, end) of the rows of all samples, channels [channel, channel + width), on a tile. No share
    crosses a sample; `block` numbers the runs of channels."""

    begin: np.ndarray
    end: np.ndarray
    channel: np.ndarray
    width: np.ndarray
    block: np.ndarray
    tile: np.ndarray
    shape: tuple[int, ...]  # samples, rows, channels

    @property
    def sample(self) -> np.ndarray:
        return self.begin // max(self.shape[1], 1)

    @property
    def start(self) -> np.ndarray:
        """Where each share starts in the flat value."""
        return self.begin * self.shape[2] + self.channel

    def rows(self, flat: Tensor) -> Windows:
        """The shares of a flat value of this shape."""
        return flat.windows(self.start, self.width, self.end - self.begin, self.shape[2])

    def vectors(self, flat: Tensor) -> Windows:
        """What belongs to each share of a flat (samples, channels)."""
        return flat.windows(self.sample * self.shape[2] + self.channel, self.width)

    def map(self, at: Lowering, flat: Tensor) -> None:
        """Put the shares of a flat value on their tiles."""
        count = self.end - self.begin
        if (self.width == self.shape[2]).all():
            order = np.argsort(self.start)
            map_runs(at.graph, flat, self.start[order], (self.start + count * self.width)[order], self.tile[order])
            return
        which = np.repeat(np.arange(len(count)), count)
        row = np.arange(len(which)) - np.repeat(np.cumsum(count) - count, count)
        start = self.start[which] + row * self.shape[2]
        order = np.argsort(start)
        map_runs(at.graph, flat, start[order], (start + self.width[which])[order], self.tile[which][order])


def cut_rows(at: Lowering, x: Tensor, whole: bool = False) -> Shares:
    """Shares of x (samples, rows, channels), which has elements, for the workers of the tiles it lies on; of all
    channels where `whole`."""
    shares = _cut_in_place(at, x)
    return _cut_evenly(at, x, whole) if shares is None or (whole and shares.block.any()) else shares


def _cut_evenly(at: Lowering, x: Tensor, whole: bool) -> Shares:
    samples, rows, channels = x.shape
    s = cut_field(at, samples, rows, channels, x.dtype.size, whole)
    width = np.full(len(s.row), s.width)
    return Shares(s.row * rows + s.begin, s.row * rows + s.end, s.group * s.width, width, s.group, s.tile, x.shape)


def _cut_in_place(at: Lowering, x: Tensor) -> Shares | None:
    """Shares that follow the tile mapping of x, or None where that is uneven or splinters the channels."""
    samples, rows, channels = x.shape
    start, stop, tile = at.top.tile_mapping(x.flatten())
    if not x.flatten().is_contiguous or (tile < 0).any():
        return None
    load = np.bincount(tile, weights=stop - start)
    if load.max() > 2 * max(-(-x.size // len(at.tiles)), at.target.num_workers):
        return None
    cuts = np.unique(np.append(start, 0) % channels)
    widths = np.diff(np.append(cuts, channels))
    if widths.min() < min(at.target.vector_width(x.dtype.size), channels):
        return None
    corner = np.arange(samples * rows) * channels + cuts[:, None]  # (blocks, rows): block by block
    lies = tile[np.searchsorted(stop, corner, side="right")]
    changes = np.ones(lies.shape, bool)
    changes[:, 1:] = lies[:, 1:] != lies[:, :-1]
    changes[:, ::rows] = True
    at_row = np.flatnonzero(changes)
    ends = np.append(at_row[1:], changes.size)
    begin, length, tile = split_runs(at_row, ends, lies.reshape(-1)[at_row], 1, at.target.num_workers)
    if len(begin) > 4 * len(at.tiles) * at.target.num_workers:
        return None
    block, begin = np.divmod(begin, samples * rows)
    return Shares(begin, begin + length, cuts[block], widths[block], block, tile, x.shape)


def sums_of_shares(at: Lowering, shares: Shares, codelet: str, name: str, about: Tensor, **fields: Tensor) -> Tensor:
    """Two sums down the rows of each sample: (samples, 2, channels) FLOAT. `codelet` takes the shares of the flat
    `fields`, the vectors of `about` (samples, channels) and writes `sums`, two rows of a share's channels."""
    samples, _, channels = shares.shape
    order = np.lexsort((shares.block, shares.sample))
    size = np.empty(len(order), np.int64)
    size[order] = 2 * shares.width[order]
    place = np.empty(len(order), np.int64)
    place[order] = np.cumsum(size[order]) - size[order]
    partials = at.variable(FLOAT, (int(size.sum()),), f"{name}/partials", mapping=None)
    map_runs(at.graph, partials, place[order], (place + size)[order], shares.tile[order])
    windows = {field: shares.rows(tensor) for field, tensor in fields.items()}
    at.execute(
        codelet, f"{name}/partials", shares.tile, about=shares.vectors(about.flatten()),
        sums=partials.windows(place, shares.width, 2, shares.width), **windows,
    )  # fmt: skip
    key = shares.sample[order] * (int(shares.block.max()) + 1) + shares.block[order]
    _, first, count = np.unique(key, return_index=True, return_counts=True)
    lead = order[first]  # one share of every (sample, block)
    result = at.variable(FLOAT, (samples, 2, channels), name, mapping=None)
    source = np.concatenate([place[lead], place[lead] + shares.width[lead]])
    target = shares.sample[lead] * 2 * channels + shares.channel[lead]
    width = np.tile(shares.width[lead], 2)
    goal = np.concatenate([target, target + channels])
    add_up(at, partials, source, np.tile(count, 2), np.tile(2 * shares.width[lead], 2), width, result, goal, name)
    return result


def add_up(
    at: Lowering, partials: Tensor, start: np.ndarray, rows: np.ndarray, stride: np.ndarray, width: np.ndarray,
    out: Tensor, goal: np.ndarray, name: str,
) -> None:  # fmt: skip
    """Matrices of partial results, rows `stride` apart in flat `partials`, each added up into `out` at `goal`, which is
    mapped here; in stages where the matrices are deep."""
    workers = len(at.tiles) * at.target.num_workers
    wide = at.target.vector_width(partials.dtype.size)
    each = max(-(-int(width.sum()) // workers // wide) * wide, wide)
    which, at_column, columns = _cut(width, -(-width // each))
    start, rows, stride, goal = start[which] + at_column, rows[which], stride[which], goal[which] + at_column
    stage = 0
    while rows.max() > MAX_DEPTH:
        which, at_row, depth = _cut(rows, np.maximum(np.sqrt(rows).astype(np.int64), 1))
        count = len(which)
        place = np.cumsum(columns[which]) - columns[which]
        tile = at.tiles[np.arange(count) * len(at.tiles) // count]
        between = at.variable(partials.dtype, (int(columns[which].sum()),), f"{name}/sums{stage}", mapping=None)
        map_runs(at.graph, between, place, place + columns[which], tile)
        seen = partials.windows(start[which] + at_row * stride[which], columns[which], depth, stride[which])
        at.execute("ReduceAdd", f"{name}/sums{stage}", tile, partials=seen, out=between.windows(place, columns[which]))
        first = np.flatnonzero(at_row == 0)
        partials, start, stride, stage = between, place[first], columns, stage + 1
        rows = np.diff(np.append(first, count))
    tile = at.tiles[np.arange(len(start)) * len(at.tiles) // len(start)]
    order = np.argsort(goal)
    flat = out.flatten()
    map_runs(at.graph, flat, goal[order], (goal + columns)[order], tile[order])
    seen = partials.windows(start, columns, rows, stride)
    at.execute("ReduceAdd", f"{name}/sums", tile, partials=seen, out=flat.windows(goal, columns))


def _cut(size: np.ndarray, pieces: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Things of `size` cut into `pieces` nearly even pieces: (number of the thing, where a piece begins, its size)."""
    which = np.repeat(np.arange(len(size)), pieces)
    number = np.arange(len(which)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    begin = number * size[which] // pieces[which]
    return which, begin, (number + 1) * size[which] // pieces[which] - begin
