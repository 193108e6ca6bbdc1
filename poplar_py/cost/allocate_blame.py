"""Why a branch of the exact search failed: sets of frames (choices), a bit each.

A failure follows from a few facts "thing c cannot begin below h". Each of those follows from the records on the trail.
The search returns to the latest frame that any of them names, and hands it the rest of the blame: what was chosen in
between made no difference.
"""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def set_bit(row, i):
    row[i >> 6] |= np.uint64(1) << np.uint64(i & 63)


@njit(cache=True, nogil=True)
def blame(things, state, trail, states_blame, c, at, row):
    """Add to `row` the frames because of which thing c cannot begin below `at`.

    A rise caused by a thing at `base` holds because c cannot lie below that: it could not begin at base - size[c] or
    lower before. A rise where a section gave up holds in that whole state: states_blame[frame].
    """
    k = state.last[c]
    while at > 0:
        while trail.old[k] >= at:
            k = trail.before[k]
        frame = trail.frame[k]
        set_bit(row, frame)
        if trail.base[k] >= 0:
            at = trail.base[k] - things.size[c] + 1
        else:
            row |= states_blame[frame]
            at = -1 - trail.base[k]
        k = trail.before[k]


@njit(cache=True, nogil=True)
def blame_state(things, state, trail, states_blame, lo, hi, row):
    """Add to `row` the frames that made the part of sections [lo, hi) what it is."""
    for s in range(lo, hi):
        if state.left[s]:
            for k in range(things.item_first[s], things.item_first[s + 1]):
                c = things.item[k]
                if not state.placed[c] and things.sec[things.sec_first[c]] == s:
                    blame(things, state, trail, states_blame, c, state.begins[c], row)


@njit(cache=True, nogil=True)
def return_to(why, blamed):
    """How many frames stay: the latest blamed one on top, which inherits the rest of the blame. 0: none is blamed."""
    for w in range(why.size - 1, -1, -1):
        if why[w]:
            top = 63
            while not (why[w] >> np.uint64(top)) & np.uint64(1):
                top -= 1
            why[w] ^= np.uint64(1) << np.uint64(top)
            frame = w * 64 + top
            blamed[frame] |= why
            return frame + 1
    return 0
