"""Rows of channel vectors: values (samples, rows, channels) cut into shares, and sums down the rows.

Normalisation treats a value as rows of channels: all rows of the batch together, or those of each sample. It is cut
where its elements lie, so that nothing moves, as long as that gives vertices whole vectors and an even load; otherwise
evenly. A share is a run of rows times a run of channels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..dtypes import FLOAT, DType
from ..graph import Tensor, Windows
from .mapping import map_runs, part_bounds
from .patterns import split_at, split_runs
from .windows import cut_field

if TYPE_CHECKING:
    from .lowering import Lowering

MAX_DEPTH = 128  # rows a vertex adds up in one stage
NARROWEST = 16  # columns a vertex adds up: narrower runs cost more to send than they save


@dataclass(frozen=True, eq=False)
class Shares:
    """Columns: `count` rows `stride` elements apart from element `start` of the flat stored value on, `width` channels
    from `channel` on of `sample`, on a tile. `block` numbers the runs of channels."""

    start: np.ndarray
    count: np.ndarray
    stride: int
    sample: np.ndarray
    channel: np.ndarray
    width: np.ndarray
    block: np.ndarray
    tile: np.ndarray
    shape: tuple[int, ...]  # samples, rows, channels

    def rows(self, flat: Tensor) -> Windows:
        """The shares of a flat value of this shape."""
        return flat.windows(self.start, self.width, self.count, self.stride)

    def vectors(self, flat: Tensor) -> Windows:
        """What belongs to each share of a flat (samples, channels)."""
        return flat.windows(self.sample * self.shape[2] + self.channel, self.width)

    def map(self, at: Lowering, flat: Tensor) -> None:
        """Put the shares of a flat value on their tiles."""
        if (self.width == self.stride).all():
            order = np.argsort(self.start)
            map_runs(at.graph, flat, self.start[order], (self.start + self.count * self.width)[order], self.tile[order])
            return
        which = np.repeat(np.arange(len(self.count)), self.count)
        row = np.arange(len(which)) - np.repeat(np.cumsum(self.count) - self.count, self.count)
        start = self.start[which] + row * self.stride
        order = np.argsort(start)
        map_runs(at.graph, flat, start[order], (start + self.width[which])[order], self.tile[which][order])


def cut_rows(at: Lowering, stored: Tensor, by_sample: bool = False, whole: bool = False) -> Shares:
    """Shares of a value stored as (batch, blocks, *field, channels of a block) for the workers of the tiles it lies on,
    the rows of each sample apart or all together. `whole`: of all channels, for which there must be one block."""
    line = stored.shape[-2]
    stored = stored.reshape(*stored.shape[:2], int(np.prod(stored.shape[2:-1])), stored.shape[-1])
    batch, blocks, rows, width = stored.shape
    if blocks > 1:
        return cut_blocks(at, stored, by_sample, line) or _cut_blocks_evenly(at, stored, by_sample, line)
    x = stored.reshape(batch, rows, width) if by_sample else stored.reshape(1, batch * rows, width)
    shares = _cut_in_place(at, x)
    return _cut_evenly(at, x, whole) if shares is None or (whole and shares.block.any()) else shares


def cut_blocks(
    at: Lowering, stored: Tensor, by_sample: bool = False, line: int = 0, uneven: bool = False
) -> Shares | None:
    """Shares of whole rows of blocks that follow the tile mapping, or None where that cuts rows or, unless that does not
    matter, is uneven. With grain "row" a share ends wherever a line of `line` rows does."""
    _batch, _blocks, rows, width = stored.shape
    flat = stored.flatten()
    if not flat.is_contiguous:
        return None
    start, stop, tile = at.top.tile_mapping(flat)
    if (tile < 0).any() or (start % width).any() or (stop % width).any():
        return None
    load = np.bincount(tile, weights=stop - start)
    if load.max() > 2 * max(-(-flat.size // len(at.tiles)), at.target.num_workers * width) and not uneven:
        return None
    begin, end, tile = split_at(start // width, stop // width, tile, rows)
    begin, count, tile = _shares_of(at, begin, end, tile, line)
    return _block_shares(begin, count, tile, stored.shape, by_sample)


def _shares_of(at: Lowering, begin: np.ndarray, end: np.ndarray, tile: np.ndarray, line: int) -> tuple[np.ndarray, ...]:
    if at.grain == "row" and line:
        begin, end, tile = split_at(begin, end, tile, line)
        return begin, end - begin, tile
    return split_runs(begin, end, tile, 1, at.shares)


def _cut_blocks_evenly(at: Lowering, stored: Tensor, by_sample: bool, line: int) -> Shares:
    batch, blocks, rows, _ = stored.shape
    total = batch * blocks * rows
    pieces = part_bounds(total, min(len(at.tiles), total))
    tile = at.tiles[np.arange(len(pieces) - 1) * len(at.tiles) // (len(pieces) - 1)]
    begin, end, tile = split_at(pieces[:-1], pieces[1:], tile, rows)
    begin, count, tile = _shares_of(at, begin, end, tile, line)
    return _block_shares(begin, count, tile, stored.shape, by_sample)


def _block_shares(
    begin: np.ndarray, count: np.ndarray, tile: np.ndarray, shape: tuple[int, ...], by_sample: bool
) -> Shares:
    batch, blocks, rows, width = shape
    sample, block = np.divmod(begin // rows, blocks)
    whole = (batch, rows, blocks * width) if by_sample else (1, batch * rows, blocks * width)
    return Shares(
        begin * width, count, width, sample if by_sample else 0 * sample, block * width, np.full(len(begin), width), block,
        tile, whole,
    )  # fmt: skip


def _cut_evenly(at: Lowering, x: Tensor, whole: bool) -> Shares:
    samples, rows, channels = x.shape
    s = cut_field(at, samples, rows, channels, x.dtype.size, whole)
    width = np.full(len(s.row), s.width)
    start = (s.row * rows + s.begin) * channels + s.group * s.width
    return Shares(start, s.end - s.begin, channels, s.row, s.group * s.width, width, s.group, s.tile, x.shape)


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
    start = begin * channels + cuts[block]
    return Shares(start, length, channels, begin // max(rows, 1), cuts[block], widths[block], block, tile, x.shape)


def sums_of_shares(at: Lowering, shares: Shares, codelet: str, name: str, about: Tensor, **fields: Tensor) -> Tensor:
    """Two sums down the rows of each sample: (samples, 2, channels) FLOAT. `codelet` takes the shares of the flat
    `fields`, the vectors of `about` (samples, channels) and writes `sums`, two rows of a share's channels."""
    samples, _, channels = shares.shape
    windows = {field: shares.rows(tensor) for field, tensor in fields.items()}

    def take(partials: Tensor, place: np.ndarray) -> None:
        at.execute(
            codelet, f"{name}/partials", shares.tile, about=shares.vectors(about.flatten()),
            sums=partials.windows(place, shares.width, 2, shares.width), **windows,
        )  # fmt: skip

    partials, lead, first, count = _by_block(at, shares, 2, FLOAT, take, name)
    result = at.variable(FLOAT, (samples, 2, channels), name, mapping=None)
    width = shares.width[lead]
    source = np.concatenate([first, first + width])
    target = shares.sample[lead] * 2 * channels + shares.channel[lead]
    goal = np.concatenate([target, target + channels])
    add_up(at, partials, source, np.tile(count, 2), np.tile(2 * width, 2), np.tile(width, 2), result, goal, name)
    return result


def channel_sums(at: Lowering, stored: Tensor, name: str, dtype: DType, scale: float = 1.0) -> Tensor:
    """The sum of every channel of a value stored in blocks, over batch and field: (channels)."""
    _, blocks, *_, width = stored.shape
    shares = cut_rows(at, stored)

    def take(partials: Tensor, place: np.ndarray) -> None:
        at.execute(
            "ReduceAdd", f"{name}/partials", shares.tile, partials=shares.rows(stored.flatten()),
            out=partials.windows(place, shares.width),
        )  # fmt: skip

    partials, lead, first, count = _by_block(at, shares, 1, at.accumulator(dtype), take, name)
    result = at.variable(dtype, (blocks * width,), name, mapping=None)
    width_of = shares.width[lead]
    add_up(at, partials, first, count, width_of, width_of, result, shares.channel[lead], name)
    return (
        result if scale == 1.0 else at.elementwise("MulScalar", at.variable_like(result, name), name, a=result, b=scale)
    )


def _by_block(
    at: Lowering, shares: Shares, each: int, dtype: DType, take: Callable[[Tensor, np.ndarray], None], name: str
) -> tuple[Tensor, np.ndarray, np.ndarray, np.ndarray]:
    """Partial results of shares, `each` vectors of a share's channels, block after block; those of a tile are added up
    there. `take` makes them, given where. Returns them with, for every (sample, block): one of its shares, the place of
    its first partial result, and how many it has."""
    # in the order of the elements, a tile's together: tiles may be numbered otherwise and the sums keep their order
    _, which = np.unique(np.stack([shares.sample, shares.block, shares.tile]), axis=1, return_inverse=True)
    which = which.reshape(-1)
    lowest = np.full(int(which.max()) + 1, np.iinfo(np.int64).max)
    np.minimum.at(lowest, which, shares.start)
    order = np.lexsort((shares.start, lowest[which], shares.block, shares.sample))
    tile, size = shares.tile[order], each * shares.width[order]
    start = np.cumsum(size) - size
    place = np.empty(len(order), np.int64)
    place[order] = start
    partials = at.variable(dtype, (int(size.sum()),), f"{name}/partials", mapping=None)
    map_runs(at.graph, partials, start, start + size, tile)
    take(partials, place)
    key = shares.sample[order] * (int(shares.block.max()) + 1) + shares.block[order]
    new = np.ones(len(order), bool)
    new[1:] = (key[1:] != key[:-1]) | (tile[1:] != tile[:-1])
    head = np.flatnonzero(new)
    if 2 * len(head) <= len(order):  # few tiles: what one tile has is one partial result before it leaves the tile
        rows = np.diff(np.append(head, len(order)))
        size, key, tile, seen = size[head], key[head], tile[head], start[head]
        start = np.cumsum(size) - size
        together = at.variable(dtype, (int(size.sum()),), f"{name}/of-tiles", mapping=None)
        map_runs(at.graph, together, start, start + size, tile)
        at.execute(
            "ReduceAdd", f"{name}/of-tiles", tile, partials=partials.windows(seen, size, rows, size),
            out=together.windows(start, size),
        )  # fmt: skip
        partials, order = together, order[head]
    _, first, count = np.unique(key, return_index=True, return_counts=True)
    return partials, order[first], start[first], count


def add_up(
    at: Lowering, partials: Tensor, start: np.ndarray, rows: np.ndarray, stride: np.ndarray, width: np.ndarray,
    out: Tensor, goal: np.ndarray, name: str,
) -> None:  # fmt: skip
    """Matrices of partial results, rows `stride` apart in flat `partials`, each added up into `out` at `goal`, which is
    mapped here; in stages where the matrices are deep."""
    workers = len(at.tiles) * at.target.num_workers
    wide = at.target.vector_width(partials.dtype.size)
    each = max(-(-int(width.sum()) // workers // wide) * wide, NARROWEST)
    which, at_column, columns = _cut(width, -(-width // each))
    start, rows, stride, goal = start[which] + at_column, rows[which], stride[which], goal[which] + at_column
    stage = 0
    while rows.max() > MAX_DEPTH:
        which, at_row, depth = _cut(rows, np.maximum(np.sqrt(rows).astype(np.int64), 1))
        count = len(which)
        place = np.cumsum(columns[which]) - columns[which]
        tile = at.spread_over_tiles(count)
        between = at.variable(partials.dtype, (int(columns[which].sum()),), f"{name}/sums{stage}", mapping=None)
        map_runs(at.graph, between, place, place + columns[which], tile)
        seen = partials.windows(start[which] + at_row * stride[which], columns[which], depth, stride[which])
        at.execute("ReduceAdd", f"{name}/sums{stage}", tile, partials=seen, out=between.windows(place, columns[which]))
        first = np.flatnonzero(at_row == 0)
        partials, start, stride, stage = between, place[first], columns, stage + 1
        rows = np.diff(np.append(first, count))
    tile = at.spread_over_tiles(len(start))
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
