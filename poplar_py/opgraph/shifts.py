"""Compiled search for an order of ops in which little is alive. Arrays in, arrays out; see schedule.py.

Ops and allocations are numbered. An allocation is alive from the first to the last op that touches it. Lists of lists are
given as (first, items): the items of i are items[first[i] : first[i + 1]].
"""

from __future__ import annotations

import numpy as np
from numba import njit

FARTHEST = 1500  # places that a run is moved by at most


@njit(cache=True, nogil=True)
def spans(order, op_first, op_alloc, allocs):
    """First and last place of every allocation; (n, -1) where nothing touches it."""
    n = order.size
    first, last = np.full(allocs, n, np.int64), np.full(allocs, -1, np.int64)
    for i in range(n):
        for e in range(op_first[order[i]], op_first[order[i] + 1]):
            a = op_alloc[e]
            first[a] = min(first[a], i)
            last[a] = i
    return first, last


@njit(cache=True, nogil=True)
def alive(order, op_first, op_alloc, weight):
    """Weight alive at every place of an order."""
    n = order.size
    first, last = spans(order, op_first, op_alloc, weight.size)
    live = np.zeros(n + 1, weight.dtype)
    for a in range(weight.size):
        if last[a] >= 0:
            live[first[a]] += weight[a]
            live[last[a] + 1] -= weight[a]
    for i in range(1, n):
        live[i] += live[i - 1]
    return live[:n]


@njit(cache=True, nogil=True)
def greedy(n, pred_first, pred, succ_first, succ, op_first, op_alloc, weight, newest, rank):
    """An order made front to back: of the ops that are ready, the one after which least is alive; of equals the one
    that became ready last (`newest`) or that comes first by rank."""
    waiting = np.empty(n, np.int64)
    left = np.zeros(weight.size, np.int64)
    begun = np.zeros(weight.size, np.bool_)
    since = np.zeros(n, np.int64)
    for i in range(n):
        waiting[i] = pred_first[i + 1] - pred_first[i]
        for e in range(op_first[i], op_first[i + 1]):
            left[op_alloc[e]] += 1
    ready = np.empty(n, np.int64)
    count = 0
    for i in range(n):
        if waiting[i] == 0:
            ready[count] = i
            count += 1
    order = np.empty(n, np.int64)
    for step in range(n):
        best, best_delta = 0, 0.0
        for k in range(count):
            i = ready[k]
            delta = 0.0
            for e in range(op_first[i], op_first[i + 1]):
                a = op_alloc[e]
                if not begun[a]:
                    delta += weight[a]
                if left[a] == 1:
                    delta -= weight[a]
            better = k == 0 or delta < best_delta
            if not better and delta == best_delta:
                other = ready[best]
                if newest and since[i] != since[other]:
                    better = since[i] > since[other]
                else:
                    better = rank[i] < rank[other]
            if better:
                best, best_delta = k, delta
        i = ready[best]
        count -= 1
        ready[best] = ready[count]
        order[step] = i
        for e in range(op_first[i], op_first[i + 1]):
            begun[op_alloc[e]] = True
            left[op_alloc[e]] -= 1
        for e in range(succ_first[i], succ_first[i + 1]):
            j = succ[e]
            waiting[j] -= 1
            if waiting[j] == 0:
                since[j] = step + 1
                ready[count] = j
                count += 1
    return order


@njit(cache=True, nogil=True)
def depth_first(n, pred_first, pred, succ_first, succ, rank):
    """Ops after all that they need, from the ops nothing follows; what needs are made first goes by falling rank."""
    order = np.empty(n, np.int64)
    state = np.zeros(n, np.int8)
    stack = np.empty(pred.size + n + 1, np.int64)
    done = 0
    ends = np.empty(n, np.int64)
    m = 0
    for i in range(n):
        if succ_first[i + 1] == succ_first[i]:
            ends[m] = i
            m += 1
    for k in range(m):
        top = 0
        stack[0] = ends[k]
        top = 1
        while top:
            i = stack[top - 1]
            if state[i] == 2:
                top -= 1
                continue
            if state[i] == 1:
                state[i] = 2
                order[done] = i
                done += 1
                top -= 1
                continue
            state[i] = 1
            begin = top
            for e in range(pred_first[i], pred_first[i + 1]):
                j = pred[e]
                if state[j] != 2:
                    at = top
                    while at > begin and rank[stack[at - 1]] > rank[j]:
                        stack[at] = stack[at - 1]
                        at -= 1
                    stack[at] = j
                    top += 1
    return order


@njit(cache=True, nogil=True)
def shift(
    order, pred_first, pred, op_first, op_alloc, alloc_first, alloc_op, weight, length, budget, seen, changed, now
):
    """Move runs of `length` ops back by as many places as lowers the sum over places of what is alive most.

    `seen[i]` is the last place looked at for the run at place i in the last pass of this length (-1: never), after which
    `changed[p] > since` says that place p has changed; what has not changed is not looked at again. Stops when `budget`
    places have been looked at. Changes `order`, `seen` and `changed` (to `now`); returns (gain, budget left).
    """
    n = order.size
    allocs = weight.size
    place = np.empty(n, np.int64)
    for i in range(n):
        place[order[i]] = i
    first, last = spans(order, op_first, op_alloc, allocs)
    stamp = np.full(allocs, -1, np.int64)
    begin, end = np.empty(allocs, np.int64), np.empty(allocs, np.int64)
    starts, ends = np.zeros(allocs, np.bool_), np.zeros(allocs, np.bool_)
    moved = np.empty(length, np.int64)
    listed = np.empty(allocs, np.int64)
    gain = 0.0
    mark = 0
    dirty = np.zeros(n + 1, np.int64)  # places changed since the last pass, counted from the front
    for i in range(n):
        dirty[i + 1] = dirty[i] + (changed[i] > seen[n])
    highest = -1  # place changed in this pass
    for i in range(n - length):
        if budget <= 0:
            break
        if seen[i] >= 0 and i > highest and dirty[seen[i] + 1] == dirty[i]:
            continue
        x = order[i + length]
        blocked = False
        for e in range(pred_first[x], pred_first[x + 1]):
            blocked |= i <= place[pred[e]] < i + length
        seen[i] = i + length
        if blocked:
            continue
        budget -= length
        mark += 1
        count = 0
        for j in range(i, i + length):
            for e in range(op_first[order[j]], op_first[order[j] + 1]):
                a = op_alloc[e]
                if stamp[a] != mark:
                    stamp[a] = mark
                    begin[a] = j
                    listed[count] = a
                    count += 1
                end[a] = j
        opening = 0.0  # weight of what begins in the run and ends behind it
        closing = 0.0  # weight of what ends in the run and began before it
        for k in range(count):
            a = listed[k]
            starts[a], ends[a] = first[a] == begin[a], last[a] == end[a]
            if starts[a] and not ends[a]:
                opening += weight[a]
            elif ends[a] and not starts[a]:
                closing += weight[a]
        total, best, best_at = 0.0, -1e-9, 0
        seen[i] = min(n, i + length + FARTHEST) - 1
        for at in range(i + length, min(n, i + length + FARTHEST)):
            x = order[at]
            blocked = False
            for e in range(pred_first[x], pred_first[x + 1]):
                if i <= place[pred[e]] < i + length:
                    blocked = True
                    break
            if blocked:
                seen[i] = at
                break
            budget -= 1
            change = closing - opening
            for e in range(op_first[x], op_first[x + 1]):
                a = op_alloc[e]
                w = weight[a]
                if stamp[a] == mark:
                    if starts[a]:
                        change += w + w * (begin[a] - i)
                        starts[a] = False
                        opening -= w
                    if last[a] == at:
                        change -= w * (i + length - 1 - end[a])
                        ends[a] = True
                        closing += w
                elif first[a] == at and last[a] != at:
                    change += w * length
                elif last[a] == at and first[a] != at:
                    change -= w * length
            total += change
            if total < best:
                best, best_at = total, at
        if best_at:
            gain -= best
            moved[:] = order[i : i + length]
            for at in range(i, best_at + 1 - length):
                order[at] = order[at + length]
            order[best_at + 1 - length : best_at + 1] = moved
            mark += 1
            highest = max(highest, best_at)
            seen[i] = -1
            for at in range(i, best_at + 1):
                place[order[at]] = at
                changed[at] = now
            for at in range(i, best_at + 1):
                for e in range(op_first[order[at]], op_first[order[at] + 1]):
                    a = op_alloc[e]
                    if stamp[a] == mark:
                        continue
                    stamp[a] = mark
                    lowest, highest = n, -1
                    for f in range(alloc_first[a], alloc_first[a + 1]):
                        p = place[alloc_op[f]]
                        lowest, highest = min(lowest, p), max(highest, p)
                    first[a], last[a] = lowest, highest
    seen[n] = now - 1 if gain else now
    return gain, budget
