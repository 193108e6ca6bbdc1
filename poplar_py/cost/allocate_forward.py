"""Orders of placement that learn from failure: what finds no place below the best peak is placed earlier next time.

One pass of `fit` (allocate_order.py) stops at the first thing that would end too high. That thing moves forward in the
order by a random share, and the pass is made again; when all find a place the best peak is lower, and the same goes on
towards the goal. It serves where many small things lie between few large ones, as on the tiles of a training step, and
the search for a perfect packing (allocate_search.py) loses itself among the small ones. The random numbers are a
function of the turn, so that the same problem has the same placement on every machine.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from .allocate_order import fit
from .allocate_state import mix

FAR = np.int64(1) << 60
FIRST_TURNS, GROW = 1000, 1.4  # of one start in the first round; so many times as many in each round that follows
LEAST, MOST = 0.3, 0.95  # what a failed thing's rank is multiplied by


@njit(cache=True, nogil=True)
def forward(rank, size, first, begins, ends, goal, best, turns, seed):
    """(offsets, their peak or -1 where none is below `best`, ranks of that placement, turns taken).

    rank: float64[n], what is placed first has the lowest; first, begins, ends: runs of sections of each thing; goal: the
    peak at which nothing more is wanted; best: only a lower one is of use; turns: passes to make at most.
    """
    n = size.size
    ones, zeros, far = np.ones(n, np.int64), np.zeros(n, np.int64), np.full(n, FAR)
    unpaired, none = np.zeros(n + 1, np.int64), np.zeros(0, np.int64)
    kept, kept_rank, found = zeros, rank, np.int64(-1)
    now = rank.copy()
    turn = 0
    while turn < turns and best > goal:
        turn += 1
        order = np.argsort(now, kind="mergesort")
        offset, peak = fit(order, size, ones, zeros, far, 1, unpaired, none, first, begins, ends, False, best - 1)
        if peak >= 0:
            kept, kept_rank, found, best = offset, now.copy(), peak, peak
        else:
            share = np.float64(mix(np.uint64(seed + turn)) >> np.uint64(11)) / 2.0**53
            now[-1 - peak] *= LEAST + (MOST - LEAST) * share
    return kept, found, kept_rank, turn


@njit(cache=True, nogil=True)
def forward_from(starts, size, first, begins, ends, goal, best, turns):
    """The best of `forward` from several orders (int64[:, n], the first is the most promising), in rounds that grow.

    Every other run asks for the goal at once: what a first success above it looks like is no help on the way down.
    Returns (offsets, their peak or -1, ranks of that placement, turns taken).
    """
    n = size.size
    ranks = np.empty(starts.shape, np.float64)
    for k in range(len(starts)):
        for i in range(n):
            ranks[k, starts[k, i]] = i + 1.0
    kept, kept_rank, found = np.zeros(n, np.int64), ranks[0], np.int64(-1)
    spent, seed, each = 0, 0, float(FIRST_TURNS)
    while spent < turns and best > goal:
        for k in range(len(starts)):
            if spent >= turns or best <= goal:
                break
            seed += 1
            below = goal + 1 if seed % 2 else best
            offset, peak, rank, taken = forward(
                ranks[k], size, first, begins, ends, goal, below, min(int(each), turns - spent), seed * 1_000_003
            )  # fmt: skip
            spent += taken
            if peak >= 0:
                kept, kept_rank, found, best = offset, rank, peak, peak
                ranks[k] = rank  # the next round goes on from here
        each *= GROW
    return kept, found, kept_rank, spent
