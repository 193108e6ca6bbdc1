"""Desks: places that a piece of work gathers to, in the processor's cache; equal data is gathered there once.

The windows of vertices on different tiles often hold the same data: weights of tiles that compute different parts of a
field, or the field of tiles that compute different channels. On the chip every tile has its own copy. The host that
simulates it needs one for all tiles of a piece of work, since nobody writes there. A *unit* is a stretch of the
gathering area of a tile that windows share; units are of one *kind* when the same bytes come to them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..exchange.native import window_hash
from ..graph.variable import expand_runs
from .native import unite

DESK = 1 << 20  # bytes of a desk: part of what a processor's second cache holds
_LINE = 64  # bytes; units start at lines of the cache
_NEAR = 64  # tiles: of units of a kind that are further apart in the order of work each is counted as work


@dataclass
class Units:
    """Stretches of gathering areas. Columns of units: `tile`, `start` (byte address), `length` (bytes), `kind`; and
    `row`, the unit of every row of the gathers, `order`, those rows by unit, of which the first is `first[unit]`."""

    tile: np.ndarray
    start: np.ndarray
    length: np.ndarray
    kind: np.ndarray
    row: np.ndarray
    order: np.ndarray
    first: np.ndarray

    def of(self, address: np.ndarray) -> np.ndarray:
        """The unit that holds each byte address."""
        return np.searchsorted(self.start, address, "right") - 1


def find_units(
    tile: np.ndarray,
    src: np.ndarray,
    dst: np.ndarray,
    size: np.ndarray,
    windows: list[tuple[np.ndarray, np.ndarray]],
) -> Units | None:
    """Units of gathers (rows of `size` bytes from address `src` to `dst` on `tile`) that `windows` (first byte address,
    bytes up to the end of the last row) look at. None where a unit has no rows: not everything there is gathered."""
    start = np.concatenate([dst, *(w[0] for w in windows)])
    end = start + np.concatenate([size, *(w[1] for w in windows)])
    order = np.argsort(start, kind="stable")
    ordered = start[order]
    reach = np.maximum.accumulate(end[order])
    opens = np.ones(len(order), bool)
    opens[1:] = ordered[1:] >= reach[:-1]
    at = np.flatnonzero(opens)
    unit = np.empty(len(order), np.int64)
    unit[order] = np.cumsum(opens) - 1
    row = unit[: len(dst)]
    count = np.bincount(row, minlength=len(at))
    if not count.all():
        return None
    by_unit = order[order < len(dst)]
    first = np.cumsum(count) - count
    length = reach[np.append(at[1:], len(order)) - 1] - ordered[at]
    units = Units(tile[by_unit[first]], ordered[at], length, np.arange(len(at)), row, by_unit, first)
    units.kind = _kinds(units, src, dst, size, count)
    return units


def _kinds(units: Units, src: np.ndarray, dst: np.ndarray, size: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Numbers that are equal for units filled by equal rows, in the order in which they first appear."""
    rows = units.order
    unit = units.row[rows]
    columns = src[rows], dst[rows] - units.start[unit], size[rows]
    numbers = np.stack(columns, axis=1).reshape(-1)
    digest = window_hash(numbers, len(columns) * np.append(units.first, len(rows))) ^ units.length.astype(np.uint64)
    _, leader, kind = np.unique(digest, return_index=True, return_inverse=True)
    leader = leader[kind.reshape(-1)]
    follower = np.flatnonzero((leader != np.arange(len(leader))) & (count == count[leader]))
    mine = expand_runs(units.first[follower], count[follower])
    theirs = expand_runs(units.first[leader[follower]], count[follower])
    differs = np.zeros(len(mine), bool)
    for column in columns:
        differs |= column[mine] != column[theirs]
    good = follower[units.length[follower] == units.length[leader[follower]]]
    if differs.any():  # two contents with one hash
        spoilt = np.unique(np.repeat(follower, count[follower])[differs])
        good = np.setdiff1d(good, spoilt)
    result = np.arange(len(leader))
    result[good] = leader[good]
    return result


def orders_of_work(units: Units, tiles: int) -> list[np.ndarray]:
    """Turns of all tiles that are worth trying: tiles that anything shared connects are together, and among them those
    that share what saves most, then what is next; or these two the other way round; or the tiles as they are."""
    copies = np.bincount(units.kind, minlength=len(units.kind))[units.kind] - 1
    by_worth = np.lexsort((-copies * units.length, units.tile))
    tile = units.tile[by_worth]
    opens = np.ones(len(tile), bool)
    opens[1:] = tile[1:] != tile[:-1]
    second = np.flatnonzero(opens) + 1
    second = second[second < len(tile)]
    second = second[~opens[second]]
    most, next_ = np.full((2, tiles), -1, np.int64)
    most[tile[opens]] = units.kind[by_worth[opens]]
    next_[tile[second]] = units.kind[by_worth[second]]
    leader = np.arange(tiles + len(units.kind))
    unite(leader, units.tile.astype(np.int64), tiles + units.kind)
    turns = [np.arange(tiles)]
    for keys in ((next_, most), (most, next_)):
        turn = np.empty(tiles, np.int64)
        turn[np.lexsort((*keys, leader[:tiles]))] = np.arange(tiles)
        turns.append(turn)
    return turns


def bytes_by_turn(units: Units, turn: np.ndarray) -> np.ndarray:
    """About how many bytes come to the desks for the tile of each turn: not those that just came for a neighbour."""
    mine = turn[units.tile]
    order = np.lexsort((mine, units.kind))
    kind, at = units.kind[order], mine[order]
    fresh = np.ones(len(order), bool)
    fresh[1:] = (kind[1:] != kind[:-1]) | (at[1:] - at[:-1] > _NEAR)
    return np.bincount(at[fresh], weights=units.length[order[fresh]], minlength=len(turn))


@dataclass
class Laid:
    """Units on desks: the `piece` of work that each unit is for, and its `place` on the desk of that; `rows` of the gathers to
    do, piece after piece."""

    piece: np.ndarray
    place: np.ndarray
    rows: np.ndarray


def lay(units: Units, turn: np.ndarray, limits: np.ndarray) -> Laid | None:
    """Units on the desks of pieces of work (turns `limits[k]` to `limits[k + 1]`), one of each kind for a piece; None where
    a desk is too small."""
    mine = turn[units.tile]
    piece = np.searchsorted(limits, mine, "right") - 1
    order = np.argsort(mine, kind="stable")
    key = piece[order] * len(units.kind) + units.kind[order]
    _, at, which = np.unique(key, return_index=True, return_inverse=True)
    which = which.reshape(-1)
    chosen = np.sort(at)
    leader = order[chosen]
    room = (units.length[leader] + _LINE - 1) // _LINE * _LINE
    end = np.cumsum(room)
    begin = end - room
    of = piece[leader]
    opens = np.searchsorted(of, np.arange(len(limits) - 1))
    base = np.append(begin, end[-1])[opens]
    if (np.append(base[1:], end[-1]) - base > DESK).any():
        return None
    begin -= base[of]
    at_leader = np.empty(len(order), np.int64)
    at_leader[chosen] = begin
    place = np.empty(len(order), np.int64)
    place[order] = at_leader[at[which]]
    count = np.diff(units.first, append=len(units.order))[leader]
    return Laid(piece, place, units.order[expand_runs(units.first[leader], count)])
