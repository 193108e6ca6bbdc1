"""Exact search for a placement below a given capacity: valleys of the skyline, filled or given up.

Time is cut into sections (allocate_sections.py). The things placed so far make a skyline, above which everything that
is left must go. In a solution where nothing can be pushed down, the lowest thing left in a section lies either on the
section's floor or strictly higher. A state of the search picks one section and tries, in turn, every thing that can
lie on its floor, and last that none does: then the section "gives up", its things begin no lower than the next height
anything could hold them up at. Only a section none of whose things reaches into a lower one may be picked: what is
laid there rests on the final surface below.

What keeps the tree small:
- a bound for every section that changed: for each m, m + the sizes of those that begin at m or above;
- a failure returns to the latest choice it was caused by (allocate_blame.py), not to the latest choice;
- what no thing left joins is searched on its own, unless there are partners: those may be in two such parts;
- states known to fail (things left, their floors and what partners leave them, as 128 bits) are not searched twice, in
  later runs neither.
Only the last is not a proof in the strict sense: two states would have to share 128 hashed bits.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from .allocate_blame import blame, blame_state, return_to, set_bit
from .allocate_state import FAR, lowest, mix, overfull, partners_key, place, raise_, refresh, start, undo

FOUND, NONE, LIMIT, ROOM, DEPTH = 1, 0, -1, -2, -3
# ways to pick a section
CHOICES_BY_FAILURES, LOWEST_CHOICES, LOWEST_SLACK, LOWEST_FIRST, FLOOR_AND_SLACK, FEWEST_LOWEST = 0, 1, 3, 4, 5, 7


@njit(cache=True, nogil=True)
def pick(things, state, lo, hi, mode, capacity, weight, lower_left, stack):
    """(section to branch on, whether all floors of the part are level, sections in it that hold anything)."""
    level, whole = True, 0
    depth = 0
    for s in range(lo, hi):  # the nearest lower section to the left of each
        if state.left[s] == 0:
            continue
        f = state.floor[s]
        whole += 1
        while depth and state.floor[stack[depth - 1]] >= f:
            level = level and state.floor[stack[depth - 1]] == f
            depth -= 1
        level = level and depth == 0
        lower_left[s] = stack[depth - 1] if depth else -1
        stack[depth] = s
        depth += 1
    depth = 0
    best, chosen = 1e300, -1
    for s in range(hi - 1, lo - 1, -1):
        if state.left[s] == 0:
            continue
        f = state.floor[s]
        while depth and state.floor[stack[depth - 1]] >= f:
            depth -= 1
        lower_right = stack[depth - 1] if depth else hi
        stack[depth] = s
        depth += 1
        if lower_left[s] >= state.reach_low[s] or lower_right <= state.reach_high[s]:
            continue
        count = state.choices[s]
        slack = capacity - f - state.remaining[s]
        if slack > 0:
            count += 1
        if count == 1:
            score = -1.0
        elif mode == 0:
            score = count / weight[s]
        elif mode == 1:
            score = f * 1e6 + count / weight[s]
        elif mode == 3:
            score = f * 1e6 + slack + 0.001 * count
        elif mode == 4:
            score = f * 1e6 + s
        elif mode == 5:
            score = f + slack + 0.001 * count
        else:
            score = count * 1e6 + f
        if score <= best:
            best, chosen = score, s
    return chosen, level, whole


@njit(cache=True, nogil=True)
def lies_below_all(things, state, s, whole):
    """Position in `item` of a thing of section s that lives in all sections of the part that hold anything, or -1."""
    for k in range(things.item_first[s], things.item_first[s + 1]):
        c = things.item[k]
        if not state.placed[c] and things.sec_first[c + 1] - things.sec_first[c] >= whole:
            alive = 0
            for j in range(things.sec_first[c], things.sec_first[c + 1]):
                alive += state.left[things.sec[j]] > 0
            if alive == whole:
                return k
    return -1


@njit(cache=True, nogil=True)
def next_height(things, state, s, lo, hi, capacity, mine, stamp):
    """The next height above its floor that anything of section s can begin at: where its region or an element begins,
    or on top of something left in the part that does not live in s."""
    f = state.floor[s]
    for m in range(things.item_first[s], things.item_first[s + 1]):
        mine[things.item[m]] = stamp
    support = FAR
    for q in range(lo, hi):
        if state.left[q]:
            for m in range(things.item_first[q], things.item_first[q + 1]):
                c = things.item[m]
                if not state.placed[c] and mine[c] != stamp and things.size[c] < support:
                    support = things.size[c]
    result = FAR
    for m in range(things.item_first[s], things.item_first[s + 1]):
        c = things.item[m]
        if state.placed[c]:
            continue
        h = state.begins[c]
        if h == f:
            h = min(f + support, capacity + 1)
            if things.pair_first[c] < things.pair_first[c + 1]:
                h = min(h, (f // things.element + 1) * things.element)
            h = lowest(things, state, c, h)
        result = min(result, h)
    return result


@njit(cache=True, nogil=True)
def search(things, plain, mode, capacity, weight, memo, control, limit, room, frames):
    """Offsets below `capacity`, or why not: (FOUND | NONE | LIMIT | ROOM | DEPTH, offsets).

    plain: no thing has an alignment, a region or a partner; mode: how `pick` chooses; weight: float64[sections], how
    often sections failed, kept up to date; memo: uint64[2**k, 2], failed states; control: int64[2], states visited
    (added to) and whether to stop; limit: states to visit at most; room: records on the trail, ROOM where that is not
    enough; frames: choices above one another, DEPTH where those are not.
    """
    n = things.size.size
    sections = things.item_first.size - 1
    state, trail = start(things, room)
    f_section = np.zeros(frames, np.int64)
    f_next = np.zeros(frames, np.int64)  # position in `item` of the next child; the last is that none lies there
    f_only = np.zeros(frames, np.bool_)
    f_trail = np.zeros(frames, np.int64)
    f_parts = np.zeros(frames, np.int64)
    f_rest = np.zeros(frames, np.int64)
    f_back = np.zeros(frames, np.int64)  # the frame that made this part; where to return to without blame
    f_low = np.zeros(frames, np.int64)
    f_high = np.zeros(frames, np.int64)
    f_key = np.zeros((frames, 2), np.uint64)
    words = (frames + 63) // 64
    blamed = np.zeros((frames, words), np.uint64)  # earlier frames that failed children blame
    states_blame = np.zeros((frames, words), np.uint64)  # frames that made a state what it is
    why = np.zeros(words, np.uint64)
    # parts still to be searched: a linked list that shares tails
    p_low = np.zeros(frames + sections * 8 + 64, np.int64)
    p_high = np.zeros(p_low.size, np.int64)
    p_tail = np.zeros(p_low.size, np.int64)
    p_back = np.zeros(p_low.size, np.int64)
    p_high[0], p_tail[0], p_back[0] = sections, -1, -1
    parts, here = 1, 0
    lower_left, stack = np.zeros(sections + 1, np.int64), np.zeros(sections + 1, np.int64)
    mine, stamp = np.zeros(n, np.int64), 0
    mask = np.uint64(memo.shape[0] - 1)
    salt0, salt1 = mix(np.uint64(capacity)), mix(np.uint64(capacity) ^ np.uint64(0x9E3779B97F4A7C15))
    visited, depth = 0, 0
    down = True
    while True:
        if down:  # a new state: split off, look up, pick
            while here >= 0:
                alive = False
                for s in range(p_low[here], p_high[here]):
                    if state.left[s]:
                        alive = True
                        break
                if alive:
                    break
                here = p_tail[here]
            if here < 0:
                control[0] += visited
                return FOUND, state.offset
            visited += 1
            lo, hi, back, tail = p_low[here], p_high[here], p_back[here], p_tail[here]
            deep = depth + 1 >= frames or parts + hi - lo + 2 >= p_low.size
            tight = trail.count[0] + 4 * n >= room
            if visited > limit or deep or tight or (visited & 15 == 0 and control[1]):
                control[0] += visited
                return (DEPTH if deep else ROOM if tight else LIMIT), state.offset
            # the piece with fewest things that nothing joins to the others; the others wait
            best_lo, best_hi, best_left, a, amount, pieces = lo, hi, FAR, lo, 0, 0
            for s in range(lo, hi):
                amount += state.left[s]
                if s == hi - 1 or state.joins[s] == 0:
                    if amount:
                        pieces += 1
                        if amount < best_left:
                            best_left, best_lo, best_hi = amount, a, s + 1
                    a, amount = s + 1, 0
            if pieces > 1 and things.pair.size:
                best_lo, best_hi = lo, hi
            elif pieces > 1:
                a, amount = lo, 0
                for s in range(lo, hi):
                    amount += state.left[s]
                    if s == hi - 1 or state.joins[s] == 0:
                        if amount and a != best_lo:
                            p_low[parts], p_high[parts], p_tail[parts], p_back[parts] = a, s + 1, tail, back
                            tail = parts
                            parts += 1
                        a, amount = s + 1, 0
            lo, hi = best_lo, best_hi
            key0, key1 = mix(np.uint64(lo * 1000003 + hi) ^ salt0), mix(np.uint64(hi * 1000003 + lo) ^ salt1)
            for s in range(lo, hi):
                if state.left[s]:
                    if state.stale[s]:
                        refresh(things, state, s)
                    key0 ^= state.key[s, 0]
                    key1 ^= state.key[s, 1]
            if things.pair.size:
                for c in range(n):
                    if not state.placed[c] and things.pair_first[c] < things.pair_first[c + 1]:
                        places = partners_key(things, state, c)
                        key0 ^= mix(things.zobrist[c, 0] + places)
                        key1 ^= mix(things.zobrist[c, 1] + places)
            slot = key0 & mask
            if memo[slot, 0] == key0 and memo[slot, 1] == key1:
                why[:] = 0
                if plain:
                    blame_state(things, state, trail, states_blame, lo, hi, why)
                elif back >= 0:
                    set_bit(why, back)
                depth = return_to(why, blamed)
                if depth == 0:
                    control[0] += visited
                    return NONE, state.offset
            else:
                chosen, level, whole = pick(things, state, lo, hi, mode, capacity, weight, lower_left, stack)
                f_section[depth], f_next[depth], f_only[depth] = chosen, things.item_first[chosen], False
                f_trail[depth], f_parts[depth], f_rest[depth], f_back[depth] = trail.count[0], parts, tail, back
                f_low[depth], f_high[depth] = lo, hi
                f_key[depth, 0], f_key[depth, 1] = key0, key1
                blamed[depth] = 0
                if plain and level:  # a thing that lives in all of a level part may as well lie below all others
                    k = lies_below_all(things, state, chosen, whole)
                    if k >= 0:
                        f_next[depth], f_only[depth] = k, True
                        blame_state(things, state, trail, states_blame, lo, hi, blamed[depth])
                depth += 1
            down = False
            continue
        d = depth - 1  # the next child of the frame on top
        s = f_section[d]
        undo(things, state, trail, f_trail[d])
        if state.stale[s]:
            refresh(things, state, s)
        parts = f_parts[d]
        trail.count[1] = 0
        trail.count[2] += 1
        f, stop = state.floor[s], things.item_first[s + 1]
        k = f_next[d]
        while k < stop and (state.placed[things.item[k]] or state.begins[things.item[k]] != f):
            k += 1
        f_next[d] = stop + 1 if f_only[d] else k + 1
        good = True
        if k < stop:
            b = things.item[k]
            if f + things.size[b] > min(capacity, things.end[b]):
                if plain:
                    blame(things, state, trail, states_blame, b, f, blamed[d])
                continue
            good = place(things, state, trail, b, d)
        elif k == stop:
            if plain and f + 1 + state.remaining[s] > capacity:
                for m in range(things.item_first[s], stop):
                    if not state.placed[things.item[m]]:
                        blame(things, state, trail, states_blame, things.item[m], f, blamed[d])
                continue
            if plain:
                states_blame[d] = 0
                blame_state(things, state, trail, states_blame, f_low[d], f_high[d], states_blame[d])
                blamed[d] |= states_blame[d]
            stamp += 1
            g = next_height(things, state, s, f_low[d], f_high[d], capacity, mine, stamp)
            if g + state.remaining[s] > capacity:
                continue
            for m in range(things.item_first[s], stop):
                c = things.item[m]
                if not state.placed[c] and state.begins[c] < g:
                    good = raise_(things, state, trail, c, lowest(things, state, c, g), d, -1 - f) and good
        else:  # every child failed
            weight[s] += 1.0
            slot = f_key[d, 0] & mask
            memo[slot, 0], memo[slot, 1] = f_key[d, 0], f_key[d, 1]
            why[:] = blamed[d]
            if not plain and f_back[d] >= 0:
                set_bit(why, f_back[d])
            depth = return_to(why, blamed)
            if depth == 0:
                control[0] += visited
                return NONE, state.offset
            continue
        why[:] = 0
        if not (good and plain):
            set_bit(why, d)
        for i in range(trail.count[1]):
            if not good:
                break
            r = state.changed[i]
            count, total = overfull(things, state, r, capacity)
            if count:
                good = False
                weight[r] += 1.0
                if plain:
                    for m in range(things.item_first[r], count):
                        blame(things, state, trail, states_blame, state.by_begin[m], capacity - total + 1, why)
        if not good:
            depth = return_to(why, blamed)
            if depth == 0:
                control[0] += visited
                return NONE, state.offset
            continue
        p_low[parts], p_high[parts], p_tail[parts], p_back[parts] = f_low[d], f_high[d], f_rest[d], d
        here = parts
        parts += 1
        down = True
