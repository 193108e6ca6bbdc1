"""Placement of what lies on the tiles of a machine: thousands of small allocations that share their lifetimes.

A tile is what is always live, one thing after another at the bottom, and above it what shares memory by liveness. Two
tiles whose things have the same sizes and the same lifetimes are one allocation: it is solved once, whatever the
things are called. Each is placed in a few ways (allocate_tile.py) until the tile is within `GOOD` of its largest sum of
live bytes; those that no way brings within `PROMISED` try orders that learn from failure (allocate_forward.py), and
what is left is searched (allocate_improve.py). Work is counted in steps, not
seconds: the same program gives the same plan on every machine.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numba import njit

from .allocate_sections import sections_of
from .allocate_tile import place_each, things_of

GOOD = 1.002  # peak over largest sum of live bytes at which no better placement is looked for
FINE = 1.008  # at which no other way is tried either, once a block has looked at much
PROMISED = 1.009  # of every tile: 1.01 less what rounding to the alignment takes; tiles above try changed orders
BLOCK = 64  # tiles placed by one thread in turn, whatever the number of threads
BLOCK_CELLS = 12_000_000  # sections of things a block may look at for GOOD, about 0.3 s; after that FINE will do
BLOCK_STEPS = 250_000_000  # of the changed orders of a block, about 1 s
LAST_STEPS = 1_000_000_000  # of those of the tiles that are left together, about 4 s
SEARCH_CELLS = 400_000_000  # sections of things the searches of one plan may look at, about 2 s


def place_tiles(
    first: np.ndarray,
    entity: np.ndarray,
    size: np.ndarray,
    alive: np.ndarray,
    always: np.ndarray,
    base: np.ndarray,
    align: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Offsets for the things of many tiles.

    first: int64[tiles + 1], where each tile's things start; entity, size: a thing's column of `alive` and its bytes;
    alive: bool[steps, entities], which entities hold bytes at the same time; always: bool[entities], live from load to
    the end; base: int64[tiles], bytes in use at the bottom of each tile; align: of every thing, bytes. Things of an
    entity that is neither alive nor always live get an offset like things that meet nothing.
    Returns (offset per thing, end per tile, end of the always-live part per tile).
    """
    tiles = len(first) - 1
    offset = np.zeros(len(size), np.int64)
    cells = (size + align - 1) // align
    run_first, begins, ends, sections = lifetimes(np.asarray(alive, bool) & ~always)
    kind = _kinds(run_first, begins, ends, always)
    tile = np.repeat(np.arange(tiles), np.diff(first))
    order = np.lexsort((kind[entity], -size, ~always[entity], tile))
    low = (base + align - 1) // align
    fixed_cells = np.where(always[entity], cells, 0)[order]
    before = np.concatenate([[0], np.cumsum(fixed_cells)])
    offset[order] = before[:-1] - before[first[tile]] + low[tile]
    bottom = low + before[first[1:]] - before[first[:-1]]  # in units of `align`
    fixed_count = np.bincount(tile[always[entity]], minlength=tiles)
    same = _same_tiles(first + np.concatenate([fixed_count, [0]]), first[1:], kind[entity[order]], size[order])
    every = np.flatnonzero(same == np.arange(tiles))
    above = np.zeros(len(size), np.int64)
    start = first[:-1] + fixed_count
    things = entity[order], cells[order], bottom, run_first, begins, ends
    blocks = [every[k : k + BLOCK] for k in range(0, len(every), BLOCK)]
    with ThreadPoolExecutor(_threads()) as pool:  # compiled code that holds no lock
        found = pool.map(
            lambda some: place_each(
                some, start, first[1:], *things, sections, above, GOOD, FINE, PROMISED, BLOCK_CELLS, BLOCK_STEPS
            ),
            blocks,
        )
        peak, load = (np.concatenate(column) for column in zip(*found, strict=True))
    _again(every, start, first[1:], things, sections, above, peak, load)
    _search(every, start, first[1:], *things, above, peak, load)
    _copy(same, start, first[1:], above)
    sharing = ~always[entity[order]]
    offset[order[sharing]] = above[sharing] + bottom[tile[order[sharing]]]
    offset *= align
    floor, end = base.copy(), base.copy()
    held = always[entity]
    np.maximum.at(floor, tile[held], (offset + size)[held])
    np.maximum.at(end, tile, offset + size)
    return offset, end, floor


def _threads() -> int:
    given = os.environ.get("POPLAR_PY_THREADS", "")
    return int(given) if given.isdigit() and int(given) else os.cpu_count() or 1


def lifetimes(alive: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Runs of sections of each column: (first int64[entities + 1], begins, ends, number of sections)."""
    steps, entities = alive.shape
    if not steps or not entities:
        return np.zeros(entities + 1, np.int64), np.zeros(0, np.int64), np.zeros(0, np.int64), 0
    edge = np.zeros((entities, steps + 2), bool)
    edge[:, 1:-1] = alive.T
    changed = edge[:, 1:] != edge[:, :-1]
    owner, at = np.nonzero(changed)
    lower, upper, owner = at[::2].astype(np.int64), at[1::2].astype(np.int64), owner[::2]
    first = np.searchsorted(owner, np.arange(entities + 1)).astype(np.int64)
    return first, *sections_of(first, lower, upper)


def _kinds(first: np.ndarray, begins: np.ndarray, ends: np.ndarray, always: np.ndarray) -> np.ndarray:
    """A number per entity, the same for those with the same lifetime."""
    seen: dict[bytes, int] = {}
    both = np.stack([begins, ends], axis=1)
    return np.array(
        [
            -1 if always[e] else seen.setdefault(both[first[e] : first[e + 1]].tobytes(), len(seen))
            for e in range(len(always))
        ],
        np.int64,
    )


@njit(cache=True, nogil=True)
def _same_tiles(start, stop, kind, size):
    """For each tile the first tile with the same sizes and lifetimes, int64[tiles]; compared, not only hashed."""
    tiles = stop.size
    result = np.arange(tiles)
    room = 1
    while room < 2 * tiles:
        room *= 2
    slots = np.full(room, -1, np.int64)
    for t in range(tiles):
        h = np.uint64(stop[t] - start[t])
        for i in range(start[t], stop[t]):
            h = (h ^ np.uint64(kind[i] * 1000003 + size[i])) * np.uint64(0x9E3779B97F4A7C15)
            h ^= h >> np.uint64(29)
        slot = np.int64(h & np.uint64(room - 1))
        while slots[slot] >= 0:
            u = slots[slot]
            equal = stop[u] - start[u] == stop[t] - start[t]
            if equal:
                for i in range(stop[t] - start[t]):
                    if kind[start[t] + i] != kind[start[u] + i] or size[start[t] + i] != size[start[u] + i]:
                        equal = False
                        break
            if equal:
                result[t] = u
                break
            slot = (slot + 1) & (room - 1)
        else:
            slots[slot] = t
    return result


@njit(cache=True, nogil=True)
def _copy(same, start, stop, above):
    for t in range(same.size):
        u = same[t]
        if u != t:
            above[start[t] : stop[t]] = above[start[u] : stop[u]]


def _above_promised(every, bottom, peak, load) -> np.ndarray:
    """Positions in `every` of the tiles above what is promised, those first that lack least."""
    below = bottom[every]
    ratio = (below + peak) / np.maximum(below + load, 1)
    order = np.argsort(ratio, kind="stable")
    return order[ratio[order] > PROMISED]


def _again(every, start, stop, things: tuple, sections, above, peak, load) -> None:
    """The few tiles that their blocks had no steps left for, with more steps and what one learns told to the next."""
    left = _above_promised(every, things[2], peak, load)
    if not len(left):
        return
    other = above.copy()
    most = (PROMISED, PROMISED, PROMISED, BLOCK_CELLS, LAST_STEPS)
    found, _ = place_each(every[left], start, stop, *things, sections, other, *most)  # type: ignore[call-arg]
    for k, better in zip(left, found, strict=True):
        if better < peak[k]:
            here = slice(start[every[k]], stop[every[k]])
            above[here], peak[k] = other[here], better


def _search(every, start, stop, entity, cells, bottom, run_first, begins, ends, above, peak, load) -> None:
    """The exact search for the tiles that nothing served, those first that lack least: most of them are found at once,
    while the worst may take all there is to look at and find nothing."""
    from .allocate import Problem
    from .allocate_improve import Improving

    below = bottom[every]
    left = SEARCH_CELLS
    for k in _above_promised(every, bottom, peak, load):
        here = slice(start[every[k]], stop[every[k]])
        first, low, high = things_of(entity[here], run_first, begins, ends)
        goal = int((below[k] + load[k]) * PROMISED) - int(below[k])
        work = Improving(Problem(cells[here], low, high + 1, first=first), goal, np.inf, 0.0)
        one_state = max(int((high - low + 1).sum()), 1)
        work.most_states = min(left, SEARCH_CELLS // 40) // one_state
        if work.most_states < 2 * len(first):
            return
        work.run()
        left -= int(work.state[0]) * one_state
        if work.high >= 0 and work.high < peak[k]:
            above[here] = work.result().offset
            peak[k] = work.high
