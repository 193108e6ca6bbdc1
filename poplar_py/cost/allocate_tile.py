"""One tile of many: its things placed in a few ways, the way that served the tile before first.

Compiled code, called by allocate_tiles.py. Tiles of one program differ in sizes and hardly in lifetimes, so that what
worked on one mostly works on the next.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from .allocate_forward import forward_from
from .allocate_order import fit, load_of, most_in
from .allocate_skyline import skyline

# ways to place a tile: those below FITS put one thing after another (allocate_order.fit), the others grow a skyline
FITS, WAYS = 5, 10
FAR = np.int64(1) << 60
MOST_TURNS = 150  # changed orders per thing of a tile, or as many as it has things: few have few orders
STARTS = (6, 9, 2, 5)  # ways whose orders are changed where none serves: where one takes long, another hardly does


@njit(cache=True, nogil=True)
def things_of(entity, run_first, begins, ends):
    """Runs of sections of a tile's things: (first, begins, ends)."""
    n = entity.size
    first = np.zeros(n + 1, np.int64)
    for i in range(n):
        first[i + 1] = first[i] + run_first[entity[i] + 1] - run_first[entity[i]]
    low, high = np.empty(first[n], np.int64), np.empty(first[n], np.int64)
    for i in range(n):
        e = entity[i]
        low[first[i] : first[i + 1]] = begins[run_first[e] : run_first[e + 1]]
        high[first[i] : first[i + 1]] = ends[run_first[e] : run_first[e + 1]]
    return first, low, high


@njit(cache=True, nogil=True)
def cut_again(low, high, sections):
    """(first sections, last sections, how many) with only those sections of the program that tell these runs apart."""
    starts, stops = np.zeros(sections, np.bool_), np.zeros(sections, np.bool_)
    for r in range(low.size):
        starts[low[r]] = True
        stops[high[r]] = True
    number = np.empty(sections, np.int64)
    count, more = np.int64(-1), True
    for s in range(sections):
        if starts[s] and more:
            count += 1
            more = False
        number[s] = count
        more = more or stops[s]
    return number[low], number[high], count + 1


@njit(cache=True, nogil=True)
def _ranked(first_key, second_key, third_key):
    """Things by three keys, each largest first."""
    order = np.argsort(-third_key, kind="mergesort")
    order = order[np.argsort(-second_key[order], kind="mergesort")]
    return order[np.argsort(-first_key[order], kind="mergesort")]


@njit(cache=True, nogil=True)
def _order(way, size, fullest, first, low, high):
    """The order of a way: T fullest section, W lifetime, A lifetime x size, E end, S start, Z size, C sections held."""
    n = size.size
    starts = low[first[:-1]]
    stops = high[first[1:] - 1]
    width = np.zeros(n, np.int64)
    for i in range(n):
        for r in range(first[i], first[i + 1]):
            width[i] += high[r] - low[r] + 1
    if way == 0:
        return np.argsort(-size, kind="mergesort")  # Z
    if way == 1:
        return np.argsort(-fullest * size.astype(np.float64), kind="mergesort")
    if way == 2:
        return np.argsort(-(stops - starts + 1.0) * size, kind="mergesort")
    if way == 3:
        return np.argsort(-width, kind="mergesort")
    if way == 4:
        return _ranked(fullest, width, size)
    if way == 5:
        return _ranked(stops, width, fullest)  # EWT: last to die lies lowest
    if way == 6:
        return _ranked(width * size, width, fullest)  # AWT
    if way == 7:
        return _ranked(width, fullest, width * size)  # CTA
    if way == 8:
        return _ranked(stops, size, width)  # EZ
    return _ranked(-starts, width, fullest)  # SWT


@njit(cache=True, nogil=True)
def place_each(
    every,
    start,
    stop,
    entity,
    cells,
    bottom,
    run_first,
    begins,
    ends,
    sections,
    above,
    good,
    fine,
    promised,
    work,
    steps,
):
    """Fill `above` with the offsets of the tiles `every`; (peak, largest sum of live things) of each, in cells.

    bottom: int64[tiles], cells below that are part of the tile's peak. No better way is looked for where the whole
    tile is within `good` of its lower bound, or, when the ways tried have looked at more than `work` sections of
    things together, within `fine`. Where that leaves a tile above `promised`, orders are changed until it is not
    (allocate_forward.py), for `steps` of those at most, on one tile half of that; an order that served is where the next
    tile starts from.
    """
    peaks, loads = np.zeros(every.size, np.int64), np.zeros(every.size, np.int64)
    none = np.zeros(0, np.int64)
    ways = np.arange(WAYS)  # the one that served last in front
    spent, stepped = np.int64(0), np.int64(0)
    learned = np.full(run_first.size - 1, 2.0**60)  # of each entity: where a changed order that served has it
    none_learned = True
    for k in range(every.size):
        t = every[k]
        here = entity[start[t] : stop[t]]
        size = cells[start[t] : stop[t]]
        n = here.size
        if n == 0:
            continue
        first, low, high = things_of(here, run_first, begins, ends)
        lives = np.zeros(n, np.bool_)
        for i in range(n):
            lives[i] = first[i] < first[i + 1]
            if not lives[i]:  # never alive: it meets nothing, and needs a place nonetheless
                peaks[k] = max(peaks[k], size[i])
        living = np.flatnonzero(lives)
        m = living.size
        if m == 0:
            continue
        if m < n:
            here, size = here[living], size[living]
            first, low, high = things_of(here, run_first, begins, ends)
        low, high, own = cut_again(low, high, sections)
        load = load_of(size, first, low, high, own)
        loads[k] = load.max()
        fullest = most_in(load, first, low, high)
        cost = np.int64((high - low + 1).sum())
        ones, zeros, far = np.ones(m, np.int64), np.zeros(m, np.int64), np.full(m, FAR)
        unpaired = np.zeros(m + 1, np.int64)
        best, served = FAR, 0
        for turn in range(WAYS):
            limit = good if spent < work else fine
            if best + bottom[t] <= (loads[k] + bottom[t]) * limit:
                break
            way = ways[turn]
            order = _order(way, size, fullest, first, low, high)
            if way < FITS:
                offset, peak = fit(
                    order, size, ones, zeros, far, 1, unpaired, none, first, low, high, way == 2, best - 1
                )  # fmt: skip
                spent += m
            else:
                offset, peak = skyline(
                    order, size, ones, zeros, far, 1, unpaired, none, first, low, high, own, 0
                )  # fmt: skip
                spent += cost
            if 0 <= peak < best:
                best = peak
                for i in range(m):
                    above[start[t] + living[i]] = offset[i]
                served = turn
        for turn in range(served, 0, -1):
            if best + bottom[t] <= (loads[k] + bottom[t]) * good:
                ways[turn], ways[turn - 1] = ways[turn - 1], ways[turn]
        goal = np.int64((loads[k] + bottom[t]) * promised) - bottom[t]
        most = min(steps // 2, steps - stepped)
        if best > goal and most > 0:
            starts = np.empty((len(STARTS) + 1, m), np.int64)
            for j in range(len(STARTS)):
                starts[j + 1] = _order(STARTS[j], size, fullest, first, low, high)
            starts[0] = np.argsort(learned[here], kind="mergesort")
            if none_learned:
                starts = starts[1:]
            turns = max(MOST_TURNS, m) * m
            offset, peak, order, _, taken = forward_from(starts, size, first, low, high, goal, best, turns, most)
            stepped += taken
            if peak >= 0:
                best, none_learned = peak, False
                learned[here[order]] = np.arange(m)
                for i in range(m):
                    above[start[t] + living[i]] = offset[i]
        peaks[k] = max(peaks[k], best)
    return peaks, loads
