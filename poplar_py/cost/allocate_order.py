"""Placements made in one pass over an order: quick, and where every other search starts.

`fit` puts each thing, in the order given, at the lowest address (or into the smallest gap) where it meets nothing
placed before. `orders` are the orders of the portfolio: rules of thumb that production compilers use, none of which
is best everywhere, so that the best of all is taken.
"""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True, inline="always")
def _meet(a, b, first, begins, ends):
    """Whether two things live in one section: their runs of sections, both rising."""
    i, j = first[a], first[b]
    while i < first[a + 1] and j < first[b + 1]:
        if ends[i] < begins[j]:
            i += 1
        elif ends[j] < begins[i]:
            j += 1
        else:
            return True
    return False


@njit(cache=True, nogil=True)
def fit(order, size, align, begin, end, element, pair_first, pair, first, begins, ends, smallest_gap, most):
    """Offsets of things placed one after another, and their peak; -1 - i where thing i found no place below `most`.

    order: things, int64; first, begins, ends: runs of sections of each thing, both ends inclusive; begin, end: each
    thing's region; pair_first, pair: things it may share no memory element of `element` bytes with; smallest_gap:
    take the tightest gap rather than the lowest.
    """
    n = order.size
    offset = np.zeros(size.size, np.int64)
    done = np.zeros(size.size, np.bool_)
    by_offset = np.empty(n, np.int64)
    low = np.empty(n, np.int64)  # offsets of by_offset
    top = np.empty(n, np.int64)
    run_low = np.empty(n, np.int64)  # first and last section of each
    run_high = np.empty(n, np.int64)
    single = first[size.size] == size.size
    peak = np.int64(0)
    for count in range(n):
        b = order[count]
        a = align[b]
        paired = pair_first[b] < pair_first[b + 1]
        at = (begin[b] + a - 1) // a * a
        head, tail = begins[first[b]], ends[first[b + 1] - 1]
        best, best_gap = np.int64(-1), np.int64(1) << 62
        for k in range(count + 1):
            if k < count:
                if run_low[k] > tail or run_high[k] < head or top[k] <= at:
                    continue
                if not single and not _meet(b, by_offset[k], first, begins, ends):
                    continue
                ceiling = low[k]
            else:
                ceiling = np.int64(1) << 61
            if paired and at + size[b] <= ceiling:
                at = _past_partners(b, at, a, size, element, pair_first, pair, done, offset)
            if at + size[b] <= ceiling:
                if best < 0 or ceiling - at < best_gap:
                    best, best_gap = at, ceiling - at
                if not smallest_gap or k == count:
                    break
            if k < count:
                at = max(at, (top[k] + a - 1) // a * a)
        at = best
        if at + size[b] > most or at + size[b] > end[b]:
            return offset, -1 - np.int64(b)
        offset[b] = at
        done[b] = True
        peak = max(peak, at + size[b])
        k = count
        while k > 0 and low[k - 1] > at:
            by_offset[k], low[k], top[k] = by_offset[k - 1], low[k - 1], top[k - 1]
            run_low[k], run_high[k] = run_low[k - 1], run_high[k - 1]
            k -= 1
        by_offset[k], low[k], top[k], run_low[k], run_high[k] = b, at, at + size[b], head, tail
    return offset, peak


@njit(cache=True, nogil=True)
def _past_partners(b, at, align, size, element, pair_first, pair, done, offset):
    again = True
    while again:
        again = False
        for m in range(pair_first[b], pair_first[b + 1]):
            p = pair[m]
            if done[p]:
                high = (offset[p] + size[p] - 1) // element
                if at // element <= high and (at + size[b] - 1) // element >= offset[p] // element:
                    at = ((high + 1) * element + align - 1) // align * align
                    again = True
    return at


@njit(cache=True, nogil=True)
def load_of(size, first, begins, ends, sections):
    """Bytes alive in each section, int64[sections]."""
    change = np.zeros(sections + 1, np.int64)
    for c in range(size.size):
        for i in range(first[c], first[c + 1]):
            change[begins[i]] += size[c]
            change[ends[i] + 1] -= size[c]
    return np.cumsum(change)[:sections]


@njit(cache=True, nogil=True)
def most_in(load, first, begins, ends):
    """The fullest section of each thing: a table of maxima over powers of two, then two look-ups a run."""
    sections = load.size
    levels = 1
    while (1 << levels) <= sections:
        levels += 1
    table = np.zeros((levels, sections), np.int64)
    table[0] = load
    for j in range(1, levels):
        for s in range(sections - (1 << j) + 1):
            table[j, s] = max(table[j - 1, s], table[j - 1, s + (1 << (j - 1))])
    result = np.zeros(first.size - 1, np.int64)
    for c in range(first.size - 1):
        for i in range(first[c], first[c + 1]):
            j = 0
            while (2 << j) <= ends[i] - begins[i] + 1:
                j += 1
            result[c] = max(result[c], table[j, begins[i]], table[j, ends[i] + 1 - (1 << j)])
    return result


@njit(cache=True, nogil=True)
def degree_of(first, begins, ends, sections):
    """How many things each meets. Exact where every thing has one run of sections, else from above."""
    started = np.zeros(sections + 1, np.int64)
    ended = np.zeros(sections + 1, np.int64)
    n = first.size - 1
    for c in range(n):
        started[begins[first[c]] + 1] += 1
        ended[ends[first[c + 1] - 1] + 1] += 1
    started, ended = np.cumsum(started), np.cumsum(ended)
    result = np.zeros(n, np.int64)
    for c in range(n):
        result[c] = started[ends[first[c + 1] - 1] + 1] - ended[begins[first[c]]] - 1
    return result
