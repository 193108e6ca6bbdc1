"""Compiled loops of the planning of recomputation: two tables of least repeated work, by dynamic programming.

After Beaumont, Eyraud-Dubois, Herrmann, Joly, Shilova (2019), Optimal checkpointing for heterogeneous chains; on chains of
equal segments they are the tables whose closed form is that of Griewank and Walther (2000), Algorithm 799: revolve.

Sizes are in units of memory. `first[s, m]`: the forward phase has reached segment s for the first time, so that running
a segment once costs nothing. `again[s, t, m]`: segments s to t are to be turned back, having been run before. A choice
is KEEP + variant (run s, keep what its backward reads, go on), or SPLIT + k (run to segment k keeping only what enters
it, turn back what is behind, then come back to s); LEAF turns back one segment.
"""

from __future__ import annotations

import numpy as np
from numba import njit

LEAF, KEEP, SPLIT = 0, 1, 3
NEVER = 1e300


@njit(cache=True, nogil=True)
def plan_chain(units, enter, transit, reach, work, needed_work, extra, keep, peak, back, arrive):
    """Tables of a chain of n segments and `units` of memory.

    enter[s, k]: what enters k beyond what enters s; transit[s, k]: the peak of running s to k - 1; reach[s, k]: its
    work; work, needed_work: of one segment, to go on and to turn back; extra[s, v], keep[s, v]: repeated work and kept
    memory of variant v; peak, back: of running and turning back; arrive: the gradient from behind.
    Returns first (n, units + 1), its choices, again (n, n, units + 1), its choices.
    """
    n = work.size
    first = np.full((n + 1, units + 1), NEVER)
    again = np.full((n, n, units + 1), NEVER)
    first_choice = np.zeros((n, units + 1), np.int16)
    again_choice = np.zeros((n, n, units + 1), np.int16)
    for t in range(n):
        for m in range(units + 1):
            if back[t] <= m:
                again[t, t, m] = needed_work[t]
        for s in range(t - 1, -1, -1):
            run = max(work[s], needed_work[s])
            for m in range(units + 1):
                best, what = NEVER, 0
                if back[s] <= m and peak[s] + arrive[t] <= m:
                    for v in range(2):
                        if keep[s, v] <= m:
                            cost = run + extra[s, v] + again[s + 1, t, m - keep[s, v]]
                            if cost < best:
                                best, what = cost, KEEP + v
                for k in range(s + 1, t + 1):
                    if transit[s, k] + arrive[t] > m:
                        break
                    if enter[s, k] <= m:
                        cost = reach[s, k] + again[k, t, m - enter[s, k]] + again[s, k - 1, m]
                        if cost < best:
                            best, what = cost, SPLIT + k
                again[s, t, m] = best
                again_choice[s, t, m] = what
    for s in range(n - 1, -1, -1):
        for m in range(units + 1):
            best, what = NEVER, 0
            if back[s] <= m and peak[s] <= m:
                if s == n - 1:
                    best = 0.0
                else:
                    for v in range(2):
                        if keep[s, v] <= m:
                            cost = extra[s, v] + first[s + 1, m - keep[s, v]]
                            if cost < best:
                                best, what = cost, KEEP + v
            for k in range(s + 1, n):
                if transit[s, k] > m:
                    break
                if enter[s, k] <= m:
                    cost = first[k, m - enter[s, k]] + again[s, k - 1, m]
                    if cost < best:
                        best, what = cost, SPLIT + k
            first[s, m] = best
            first_choice[s, m] = what
    return first, first_choice, again, again_choice


@njit(cache=True, nogil=True)
def plan_equal(n, units, enter, work, needed_work, extra, keep, peak, back, arrive):
    """The tables where all n segments are alike: rows are lengths. enter[d]: what enters a segment beyond what enters
    the one d before it. SPLIT + d splits after d segments."""
    first = np.full((n + 1, units + 1), NEVER)
    again = np.full((n + 1, units + 1), NEVER)
    first_choice = np.zeros((n + 1, units + 1), np.int16)
    again_choice = np.zeros((n + 1, units + 1), np.int16)
    run = max(work, needed_work)
    for m in range(units + 1):
        if back <= m:
            again[1, m] = needed_work
            if peak <= m:
                first[1, m] = 0.0
    for length in range(2, n + 1):
        for m in range(units + 1):
            for initial in range(2):
                best, what = NEVER, 0
                table = first if initial else again
                if back <= m and peak + arrive <= m:
                    for v in range(2):
                        if keep[v] <= m:
                            cost = extra[v] + table[length - 1, m - keep[v]] + (0.0 if initial else run)
                            if cost < best:
                                best, what = cost, KEEP + v
                for d in range(1, length):
                    if enter[d - 1] + peak + (0 if initial else arrive) > m:
                        break
                    if enter[d] <= m:
                        cost = table[length - d, m - enter[d]] + again[d, m] + (0.0 if initial else d * work)
                        if cost < best:
                            best, what = cost, SPLIT + d
                if initial:
                    first[length, m] = best
                    first_choice[length, m] = what
                else:
                    again[length, m] = best
                    again_choice[length, m] = what
    return first, first_choice, again, again_choice
