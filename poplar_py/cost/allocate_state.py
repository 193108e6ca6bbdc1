"""A state of the exact search: what is placed, how low the rest may begin, and why; with a trail to take it back.

`begins[c]` is the lowest height at which an unplaced thing c may still begin. It only rises on the way down the tree;
every rise is a record on the trail that names the choice (frame) behind it, so that a failure can be blamed on the
choices that matter. A section's `floor` is the least `begins` of what is left in it; floors and the other columns of a
section are computed again when something of the section changed (`stale`).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

FAR = np.int64(1) << 60


class Things(NamedTuple):
    """What does not change: sizes and constraints; sections of things (sec) and things of sections (item)."""

    size: np.ndarray
    align: np.ndarray
    begin: np.ndarray
    end: np.ndarray
    element: int
    pair_first: np.ndarray
    pair: np.ndarray
    sec_first: np.ndarray
    sec: np.ndarray
    item_first: np.ndarray
    item: np.ndarray  # those to be tried first in front
    zobrist: np.ndarray  # uint64[things + sections, 2]


class State(NamedTuple):
    """Per thing: begins, offset, placed, last (its latest record on the trail, -1: none). Per section: remaining bytes,
    left (things), joins (things left that live in it and in the next), stale, and what follows from `begins`: floor,
    choices (things that can lie on the floor), reach_low and reach_high (sections its things live in), key (two hashes).
    by_begin: things of each section, those that begin highest in front, put in order when needed."""

    begins: np.ndarray
    offset: np.ndarray
    placed: np.ndarray
    last: np.ndarray
    remaining: np.ndarray
    left: np.ndarray
    joins: np.ndarray
    stale: np.ndarray
    floor: np.ndarray
    choices: np.ndarray
    reach_low: np.ndarray
    reach_high: np.ndarray
    key: np.ndarray
    by_begin: np.ndarray
    changed: np.ndarray  # sections whose bound must be checked
    stamp: np.ndarray


class Trail(NamedTuple):
    """Records: thing, its `begins` before (-1: it was placed), frame, base (what raised it begins there; below 0: a
    section gave up at height -1 - base), the thing's record before. count: int64[2], records and changed sections."""

    thing: np.ndarray
    old: np.ndarray
    frame: np.ndarray
    base: np.ndarray
    before: np.ndarray
    count: np.ndarray  # type: ignore[assignment]  # the name hides tuple.count, which nobody needs of a trail


@njit(cache=True, nogil=True)
def start(things, room):
    """The state with nothing placed, and an empty trail of `room` records."""
    n = things.size.size
    sections = things.item_first.size - 1
    state = State(
        np.zeros(n, np.int64),
        np.zeros(n, np.int64),
        np.zeros(n, np.bool_),
        np.full(n, -1, np.int64),
        np.zeros(sections, np.int64),
        np.zeros(sections, np.int64),
        np.zeros(sections + 1, np.int64),
        np.ones(sections, np.bool_),
        np.zeros(sections, np.int64),
        np.zeros(sections, np.int64),
        np.zeros(sections, np.int64),
        np.zeros(sections, np.int64),
        np.zeros((sections, 2), np.uint64),
        things.item.copy(),
        np.zeros(sections, np.int64),
        np.zeros(sections, np.int64),
    )
    for s in range(sections):
        for k in range(things.item_first[s], things.item_first[s + 1]):
            state.remaining[s] += things.size[things.item[k]]
        state.left[s] = things.item_first[s + 1] - things.item_first[s]
    for c in range(n):
        state.begins[c] = lowest(things, state, c, 0)
        for s in range(things.sec[things.sec_first[c]], things.sec[things.sec_first[c + 1] - 1]):
            state.joins[s] += 1
    trail = Trail(
        np.zeros(room, np.int64),
        np.zeros(room, np.int64),
        np.zeros(room, np.int64),
        np.zeros(room, np.int64),
        np.zeros(room, np.int64),
        np.zeros(3, np.int64),
    )
    return state, trail


@njit(cache=True, nogil=True)
def lowest(things, state, c, at):
    """Lowest height >= `at` where thing c may begin, by its region, its alignment and its placed partners."""
    at = max(at, things.begin[c])
    a = things.align[c]
    if a > 1:
        at = (at + a - 1) // a * a
    again = things.pair_first[c] < things.pair_first[c + 1]
    while again:
        again = False
        for k in range(things.pair_first[c], things.pair_first[c + 1]):
            p = things.pair[k]
            if state.placed[p]:
                low = state.offset[p] // things.element
                high = (state.offset[p] + things.size[p] - 1) // things.element
                if at // things.element <= high and (at + things.size[c] - 1) // things.element >= low:
                    at = ((high + 1) * things.element + a - 1) // a * a
                    again = True
    return at


@njit(cache=True, nogil=True)
def raise_(things, state, trail, c, at, frame, base):
    """Thing c begins no lower than `at`. False where it then ends outside its region."""
    k = trail.count[0]
    trail.thing[k], trail.old[k], trail.frame[k], trail.base[k] = c, state.begins[c], frame, base
    trail.before[k] = state.last[c]
    state.last[c] = k
    trail.count[0] = k + 1
    state.begins[c] = at
    for j in range(things.sec_first[c], things.sec_first[c + 1]):
        s = things.sec[j]
        state.stale[s] = True
        if state.stamp[s] != trail.count[2]:
            state.stamp[s] = trail.count[2]
            state.changed[trail.count[1]] = s
            trail.count[1] += 1
    return at + things.size[c] <= things.end[c]


@njit(cache=True, nogil=True)
def place(things, state, trail, b, frame):
    """Put thing b where it begins; everything left that meets it rises. False where something cannot."""
    at = state.begins[b]
    top = at + things.size[b]
    state.placed[b] = True
    state.offset[b] = at
    k = trail.count[0]
    trail.thing[k], trail.old[k] = b, -1
    trail.count[0] = k + 1
    good = True
    lo, hi = things.sec_first[b], things.sec_first[b + 1]
    for j in range(lo, hi):
        s = things.sec[j]
        state.remaining[s] -= things.size[b]
        state.left[s] -= 1
        state.stale[s] = True
    for s in range(things.sec[lo], things.sec[hi - 1]):
        state.joins[s] -= 1
    for j in range(lo, hi):
        s = things.sec[j]
        seen = state.left[s]
        m = things.item_first[s]
        while seen:
            c = state.by_begin[m]
            m += 1
            if state.placed[c]:
                continue
            seen -= 1
            if state.begins[c] < top:
                good = raise_(things, state, trail, c, lowest(things, state, c, top), frame, at) and good
    for m in range(things.pair_first[b], things.pair_first[b + 1]):
        c = things.pair[m]
        if not state.placed[c]:
            g = lowest(things, state, c, state.begins[c])
            if g > state.begins[c]:
                good = raise_(things, state, trail, c, g, frame, at) and good
    return good


@njit(cache=True, nogil=True)
def undo(things, state, trail, mark):
    """Back to when the trail had `mark` records."""
    k = trail.count[0]
    while k > mark:
        k -= 1
        c = trail.thing[k]
        lo, hi = things.sec_first[c], things.sec_first[c + 1]
        if trail.old[k] >= 0:
            state.begins[c] = trail.old[k]
            state.last[c] = trail.before[k]
            for j in range(lo, hi):
                state.stale[things.sec[j]] = True
        else:
            state.placed[c] = False
            for j in range(lo, hi):
                s = things.sec[j]
                state.remaining[s] += things.size[c]
                state.left[s] += 1
                state.stale[s] = True
            for s in range(things.sec[lo], things.sec[hi - 1]):
                state.joins[s] += 1
    trail.count[0] = k


@njit(cache=True, nogil=True)
def refresh(things, state, s):
    """Compute the columns of a section again."""
    floor, choices, low, high = FAR, 0, FAR, np.int64(-1)
    key0, key1 = np.uint64(0), np.uint64(0)
    seen = state.left[s]
    k = things.item_first[s]
    while seen:  # placed things gather at the end of by_begin and are seldom looked at
        c = state.by_begin[k]
        k += 1
        if state.placed[c]:
            continue
        seen -= 1
        g = state.begins[c]
        if g < floor:
            floor, choices = g, 1
        elif g == floor:
            choices += 1
        a = things.sec[things.sec_first[c]]
        low = min(low, a)
        high = max(high, things.sec[things.sec_first[c + 1] - 1])
        if a == s:
            key0 ^= things.zobrist[c, 0]
            key1 ^= things.zobrist[c, 1]
    n = things.size.size
    state.floor[s], state.choices[s], state.reach_low[s], state.reach_high[s] = floor, choices, low, high
    state.key[s, 0] = key0 ^ mix(things.zobrist[n + s, 0] + np.uint64(floor))
    state.key[s, 1] = key1 ^ mix(things.zobrist[n + s, 1] + np.uint64(floor))
    state.stale[s] = False


@njit(cache=True, nogil=True)
def partners_key(things, state, c):
    """Hash of the places that the placed partners of thing c leave it: floors do not tell them."""
    key = np.uint64(state.begins[c])
    for k in range(things.pair_first[c], things.pair_first[c + 1]):
        p = things.pair[k]
        if state.placed[p]:
            low = state.offset[p] // things.element
            high = (state.offset[p] + things.size[p] - 1) // things.element
            if high >= state.begins[c] // things.element:  # else c lies above it in any case
                key = mix(mix(key + np.uint64(low)) + np.uint64(high))
    return key


@njit(cache=True, nogil=True)
def overfull(things, state, s, capacity):
    """Whether what is left in a section cannot end below `capacity`: (how many of by_begin, bytes of them) or (0, 0).

    For some m, those that begin at m or above, stacked from m on, end above it. The order of by_begin is kept from one
    call to the next: it is nearly right, and putting it right takes little.
    """
    lo = things.item_first[s]
    order = state.by_begin
    seen = state.left[s]
    hi = lo
    while seen:
        c = order[hi]
        j = hi
        hi += 1
        if state.placed[c]:
            continue
        seen -= 1
        g = state.begins[c]
        while j > lo and (state.placed[order[j - 1]] or state.begins[order[j - 1]] < g):
            order[j] = order[j - 1]
            j -= 1
        order[j] = c
    total = np.int64(0)
    for k in range(lo, lo + state.left[s]):
        total += things.size[order[k]]
        if state.begins[order[k]] + total > capacity:
            return k + 1, total
    return 0, 0


@njit(cache=True, nogil=True)
def mix(x):
    x ^= x >> np.uint64(30)
    x *= np.uint64(0xBF58476D1CE4E5B9)
    x ^= x >> np.uint64(27)
    x *= np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
