"""Placements that grow like a skyline: the lowest place is filled or given up, one after another.

`fit` (allocate_order.py) asks where the next thing goes; this asks what goes into the lowest place. Every section of
time has a height up to which it is full. The lowest section (of those, the one with most bytes still to come) takes
the first thing of an order that lies flat there, and where none does, it rises to the next height at which one may.
It is the greedy descent of the exact search (allocate_search.py), without bounds and without a way back: a few
milliseconds for a thousand things, and near the least peak where lifetimes nest, as those of a forward and a backward
pass do. The idea is strip packing by best fit (Sekiyama and others, "Profile-guided memory optimization", 2018).
"""

from __future__ import annotations

import numpy as np
from numba import njit

from .allocate_order import _past_partners

FULL = np.int64(1) << 60


@njit(cache=True, nogil=True)
def skyline(order, size, align, begin, end, element, pair_first, pair, first, begins, ends, sections, ground):
    """Offsets of things above `ground`, and the highest end; -1 - i where thing i would leave its region.

    order: which thing to prefer, int64; the other columns are those of `fit`.
    """
    n = size.size
    height = np.full(sections, ground, np.int64)
    need = np.zeros(sections, np.int64)  # bytes still to come
    item_first = np.zeros(sections + 1, np.int64)
    for c in range(n):
        for r in range(first[c], first[c + 1]):
            for s in range(begins[r], ends[r] + 1):
                item_first[s + 1] += 1
                need[s] += size[c]
    for s in range(sections):
        item_first[s + 1] += item_first[s]
        if need[s] == 0:
            height[s] = FULL
    item = np.empty(item_first[sections], np.int32)  # things of each section in the order
    item_end = item_first[:-1].copy()
    for c in order:
        for r in range(first[c], first[c + 1]):
            for s in range(begins[r], ends[r] + 1):
                item[item_end[s]] = c
                item_end[s] += 1
    free = np.empty(n, np.bool_)  # of constraints
    low = np.empty(n, np.int64)  # no thing lies lower than this; FULL: it is placed
    done = np.zeros(n, np.bool_)
    for c in range(n):
        free[c] = align[c] == 1 and pair_first[c] == pair_first[c + 1]
        low[c] = max((begin[c] + align[c] - 1) // align[c] * align[c], 0)
    offset = np.zeros(n, np.int64)
    level = np.empty(sections, np.int64)
    left, peak = n, np.int64(0)
    while left:
        floor = height.min()
        count = 0
        for s in range(sections):  # sections at the lowest height, most bytes to come first
            if height[s] == floor:
                k = count
                while k > 0 and need[level[k - 1]] < need[s]:
                    level[k] = level[k - 1]
                    k -= 1
                level[k] = s
                count += 1
        for i in range(count):
            s = level[i]
            while height[s] == floor:
                chosen, rise, m = -1, FULL, item_first[s]
                for k in range(item_first[s], item_end[s]):
                    c = item[k]
                    at = low[c]
                    if at == FULL:
                        continue
                    item[m] = c  # what is placed drops out of the list
                    m += 1
                    if at <= floor and chosen < 0:
                        at = floor
                        for r in range(first[c], first[c + 1]):
                            for q in range(begins[r], ends[r] + 1):
                                at = max(at, height[q])
                        if not free[c]:
                            at = (at + align[c] - 1) // align[c] * align[c]
                            at = _past_partners(c, at, align[c], size, element, pair_first, pair, done, offset)
                        low[c] = at
                        if at == floor:
                            chosen = c
                    rise = min(rise, at)
                item_end[s] = m
                if chosen < 0:
                    height[s] = rise
                    continue
                c, top = chosen, floor + size[chosen]
                if top > end[c]:
                    return offset, -1 - np.int64(c)
                offset[c], low[c], done[c] = floor, FULL, True
                left -= 1
                peak = max(peak, top)
                for r in range(first[c], first[c + 1]):
                    for q in range(begins[r], ends[r] + 1):
                        need[q] -= size[c]
                        height[q] = top if need[q] else FULL
    return offset, peak
