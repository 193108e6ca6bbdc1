"""Time cut into sections: what a placement has to know of lifetimes.

Two things are in each other's way if some section holds both. Of all moments only those are kept where the set of
living things is not part of the set of a neighbouring moment: as many as there are maximal sets that meet.
"""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def cut(first, lower, upper, order):
    """(first section, last section) per interval, and the number of sections.

    first: int64[things + 1], the intervals of each thing; lower, upper: half-open; order: interval numbers twice over
    (i: begin of i, intervals + i: its end), sorted by time, ends before begins.
    """
    count = lower.size
    begins = np.zeros(count, np.int64)
    ends = np.zeros(count, np.int64)
    section = -1
    open_ = False  # the last event was a begin: the moment after it is worth keeping unless more begins follow
    for e in order:
        if e < count:
            if not open_:
                section += 1
            open_ = True
            begins[e] = section
        else:
            open_ = False
            ends[e - count] = section
    return begins, ends, section + 1


@njit(cache=True, nogil=True)
def spread(first, begins, ends):
    """(sec_first, sec): the sections of each thing, rising, none twice."""
    n = first.size - 1
    sec_first = np.zeros(n + 1, np.int64)
    for turn in range(2):
        if turn == 1:
            sec = np.zeros(sec_first[n], np.int64)
        total = 0
        for c in range(n):
            reached = -1
            for i in range(first[c], first[c + 1]):
                for s in range(max(begins[i], reached + 1), ends[i] + 1):
                    if turn == 1:
                        sec[total] = s
                    total += 1
                    reached = s
            sec_first[c + 1] = total
    return sec_first, sec


@njit(cache=True, nogil=True)
def turn_over(sec_first, sec, sections, order):
    """(item_first, item): the things of each section, in the order given."""
    item_first = np.zeros(sections + 1, np.int64)
    for s in sec:
        item_first[s + 1] += 1
    for s in range(sections):
        item_first[s + 1] += item_first[s]
    item = np.zeros(sec.size, np.int64)
    fill = item_first[:-1].copy()
    for c in order:
        for j in range(sec_first[c], sec_first[c + 1]):
            item[fill[sec[j]]] = c
            fill[sec[j]] += 1
    return item_first, item


def sections_of(first: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """First and last section of every interval, both inclusive, and how many sections there are. Intervals of a thing
    rise and are not empty."""
    count = len(lower)
    time = np.concatenate([lower, upper])
    order = np.lexsort((np.arange(2 * count) < count, time))
    return cut(first, lower, upper, order)
