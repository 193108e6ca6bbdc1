"""Orders of placement that learn from failure: what finds no place below the best peak is placed earlier next time.

Things are placed one after another at the lowest address where they meet nothing (as `fit` of allocate_order.py does).
The first that would end too high moves forward in the order by a random share, and the pass is made again; when all
find a place the best peak is lower, and the same goes on towards the goal. A pass begins where its order differs from
the last one's: what lies there already stays, so that a turn places a few things, however many there are. It serves
where many small things lie between few large ones, as on the tiles of a training step, and the search for a perfect
packing (allocate_search.py) loses itself among the small ones. The random numbers are a function of the turn, so that
the same problem has the same placement on every machine.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from .allocate_order import _meet
from .allocate_state import mix

# Turns of one start in the first round, and how many times as many in each round that follows: where a start serves
# it mostly does within a few hundred, or does with other random numbers
FIRST_TURNS, GROW = 700, 1.1
LEAST, MOST = 0.7, 0.95  # what a failed thing's rank is multiplied by: from 0.3 on takes twice the turns


@njit(cache=True, nogil=True)
def _place(order, count, size, first, begins, ends, most, offset, laid):
    """Place order[count:] until one would end above `most`: (its position or len(order), entries looked at).

    laid: (things, offsets, ends, first sections, last sections) of the `count` placed before, by offset; added to.
    """
    thing, low, top, head, tail = laid
    single = first[size.size] == size.size
    steps = np.int64(0)
    for p in range(count, order.size):
        b = order[p]
        at, tall = np.int64(0), size[b]
        begin, end = begins[first[b]], ends[first[b + 1] - 1]
        steps += p + 1
        for k in range(p):
            if head[k] > end or tail[k] < begin or top[k] <= at:
                continue
            if not single and not _meet(b, thing[k], first, begins, ends):
                continue
            if at + tall <= low[k]:
                break
            at = top[k]
            if at + tall > most:
                break
        if at + tall > most:
            return p, steps
        offset[b] = at
        k = p
        while k > 0 and low[k - 1] > at:
            thing[k], low[k], top[k], head[k], tail[k] = thing[k - 1], low[k - 1], top[k - 1], head[k - 1], tail[k - 1]
            k -= 1
        thing[k], low[k], top[k], head[k], tail[k] = b, at, at + tall, begin, end
    return order.size, steps


@njit(cache=True, nogil=True)
def _keep(rank, below, count, laid):
    """Take away of the `count` things laid those whose rank is not below `below`; how many stay."""
    thing, low, top, head, tail = laid
    m = 0
    for k in range(count):
        if rank[thing[k]] < below:
            thing[m], low[m], top[m], head[m], tail[m] = thing[k], low[k], top[k], head[k], tail[k]
            m += 1
    return m


@njit(cache=True, nogil=True)
def forward(start, size, first, begins, ends, goal, best, turns, steps, seed):
    """(offsets, their peak or -1 where none is below `best`, order of that placement, turns taken, steps taken).

    start: int64[n], the order to begin with; first, begins, ends: runs of sections of each thing; goal: the peak at
    which nothing more is wanted; best: only a lower one is of use; turns: things to move forward at most; steps:
    entries of the list of what lies to look at, about.
    """
    n = size.size
    order = start.copy()
    rank = np.empty(n)  # logarithms: a thing that moves forward thousands of times stays apart from its like
    for p in range(n):
        rank[order[p]] = math.log(p + 1.0)
    offset = np.zeros(n, np.int64)
    kept, kept_order, found = offset, start, np.int64(-1)
    laid = (
        np.empty(n, np.int64),
        np.empty(n, np.int64),
        np.empty(n, np.int64),
        np.empty(n, np.int64),
        np.empty(n, np.int64),
    )
    count, turn, spent = 0, 0, np.int64(0)
    while turn < turns and spent < steps and best > goal:
        turn += 1
        failed, looked = _place(order, count, size, first, begins, ends, best - 1, offset, laid)
        spent += looked
        count = failed
        if failed == n:
            best = laid[2].max()
            kept, kept_order, found = offset.copy(), order.copy(), best
            failed = 0
            while offset[order[failed]] + size[order[failed]] < best:
                failed += 1
        c = order[failed]
        share = np.float64(mix(np.uint64(seed + turn)) >> np.uint64(11)) / 2.0**53
        now = rank[c] + math.log(LEAST + (MOST - LEAST) * share)
        p = failed
        while p > 0 and rank[order[p - 1]] >= now:
            order[p] = order[p - 1]
            p -= 1
        order[p] = c
        rank[c] = now
        spent += count
        count = _keep(rank, now, count, laid)
    return kept, found, kept_order, turn, spent


@njit(cache=True, nogil=True)
def forward_from(starts, size, first, begins, ends, goal, best, turns, steps):
    """The best of `forward` from several orders (int64[:, n], the first is the most promising), in rounds that grow.

    Three of four runs ask for the goal at once: what a first success above it looks like is no help on the way down.
    The fourth asks for less than the best, for where the goal is out of reach. Each begins with the order as it was
    given and with other random numbers. Returns (offsets, their peak or -1, order of that placement, turns taken, steps
    taken).
    """
    kept, kept_order, found = np.zeros(size.size, np.int64), starts[0], np.int64(-1)
    taken, spent, seed, rounds, each = 0, np.int64(0), 0, 0, float(FIRST_TURNS)
    while taken < turns and spent < steps and best > goal:
        for k in range(len(starts)):
            if taken >= turns or spent >= steps or best <= goal:
                break
            seed += 1
            below = best if (rounds + k) % 4 == 3 else goal + 1
            most = min(int(each), turns - taken)
            offset, peak, order, more, looked = forward(
                starts[k], size, first, begins, ends, goal, below, most, steps - spent, seed * 1_000_003
            )
            taken += more
            spent += looked
            if peak >= 0:
                kept, kept_order, found, best = offset, order, peak, peak
        rounds += 1
        each *= GROW
    return kept, found, kept_order, taken, spent
