"""Convolutions whose places meet evenly apart, multiplied where they lie: no packing of what every tap sees.

Values and weights are those of convolve.py, with LANES channels out. Along an axis, places of out that leave the same
remainder of division by a_step meet the same taps, and there neighbours of out meet places of a `out_step` apart. So
each remainder is a convolution of its own over places of a that are read where they lie, or, where zeros surround them,
from a copy with the zeros in it. Taps that are neighbours on the last axis meet neighbours: one long row of products.
"""

from __future__ import annotations

import numpy as np
from numba.extending import register_jitable

from .convolve import AXIS, HEAD
from .native import _OPTIONS, part
from .native_product import lane_product
from .native_vectors import LANES, copy_lanes, outer_lanes, stack_floats, stack_words, transpose_lanes

_JIT = {**_OPTIONS, "forceinline": False}
PACKED = 1 << 16  # elements packed at a time: an eighth of a processor's second cache
_FEW, _SMALL = 64, 1 << 12  # rows of numbers and floats that the stack has room for
_PLACES, _TAPS, _TAP, _TAP_BY, _STEP, _TAP_STEP, _OFFSET, _LOW, _WIDE = range(9)  # columns of an axis's part


@register_jitable(**_JIT)
def _part(shape, d, rest, row):
    """Fill `row` for the places of out rest, rest + a_step, ... of axis d: how many; the taps they meet (number, first,
    distance); the place i = step * place + tap_step * tap + offset of a they meet there; the lowest i, and how many."""
    at = HEAD + AXIS * d
    taps, places, a_step = np.int64(shape[at]), np.int64(shape[at + 2]), np.int64(shape[at + 3])
    out_step, tap_step, offset = np.int64(shape[at + 4]), np.int64(shape[at + 5]), np.int64(shape[at + 6])
    first, by, count = np.int64(0), np.int64(1), taps
    row[_PLACES], row[_STEP], row[_TAP_STEP], row[_OFFSET] = places, out_step, tap_step, offset
    if a_step > 1:
        count = np.int64(0)
        for tap in range(taps):
            if (out_step * rest + tap_step * tap + offset) % a_step == 0:
                if count == 0:
                    first = tap
                elif count == 1:
                    by = tap - first
                count += 1
        row[_PLACES] = (places - rest + a_step - 1) // a_step
        row[_TAP_STEP] = tap_step * by // a_step
        row[_OFFSET] = (out_step * rest + tap_step * first + offset) // a_step
    row[_TAPS], row[_TAP], row[_TAP_BY] = count, first, by
    far = row[_TAP_STEP] * max(count - 1, 0)
    row[_LOW] = row[_OFFSET] + min(far, 0)
    row[_WIDE] = out_step * (row[_PLACES] - 1) + max(far, -far) + 1


@register_jitable(**_JIT)
def evenly_apart(shape, form):
    """Whether this module can do it: whole blocks, every place of out and every tap takes part, and the copy is small."""
    if shape[2] == 0 or shape[5] != LANES or (form != 0 and shape[3] != LANES):
        return False
    size = np.int64(shape[2]) * shape[3]
    for d in range(3):
        at = HEAD + AXIS * d
        if shape[at + 7] != 0 or shape[at + 8] != shape[at + 2]:
            return False
        if shape[at] == 0 or shape[at + 9] != 0 or shape[at + 10] != shape[at] or min(shape[at + 3], shape[at + 4]) < 1:
            return False
        if form == 2 and shape[at + 3] != 1:
            return False
        far = abs(np.int64(shape[at + 5])) * (np.int64(shape[at]) - 1)
        size *= shape[at + 4] * np.int64(shape[at + 2]) + far + 1
    return size <= 4 * PACKED


@register_jitable(**_JIT)
def _inside(shape, parts):
    """Whether every place met is one of a's."""
    for d in range(3):
        if parts[d, _LOW] < 0 or parts[d, _LOW] + parts[d, _WIDE] > shape[HEAD + AXIS * d + 1]:
            return False
    return True


@register_jitable(**_JIT)
def _bring(copy, flat, base, given, shape, parts):
    """Copy the values of a group, lines `given` apart from `base` on, into the middle of zeros."""
    x0, x1, x2 = np.int64(shape[HEAD + 1]), np.int64(shape[HEAD + AXIS + 1]), np.int64(shape[HEAD + 2 * AXIS + 1])
    low0, low1, low2 = parts[0, _LOW], parts[1, _LOW], parts[2, _LOW]
    n0, n1, n2, channels = parts[0, _WIDE], parts[1, _WIDE], parts[2, _WIDE], np.int64(shape[3])
    first, stop = max(low2, 0) * channels, min(low2 + n2, x2) * channels
    for b in range(np.int64(shape[2])):
        for i0 in range(max(low0, 0), min(low0 + n0, x0)):
            for i1 in range(max(low1, 0), min(low1 + n1, x1)):
                source = base + ((b * x0 + i0) * x1 + i1) * given
                goal = (((b * n0 + i0 - low0) * n1 + i1 - low1) * n2 - low2) * channels
                if channels == LANES:
                    for c in range(first, stop, LANES):
                        copy_lanes(copy, goal + c, flat, source + c)
                else:
                    for c in range(first, stop):
                        copy[goal + c] = flat[source + c]


@register_jitable(**_JIT)
def _starts(starts, shape, parts, inside, line, long):
    """For every (block of a, tap of the part), a row: where its values begin, lines `line` elements long, the number of
    the tap among all, and its channels; `long`: taps of the last axis that meet neighbours are one row. Returns how many."""
    t1, t2 = np.int64(shape[HEAD + AXIS]), np.int64(shape[HEAD + 2 * AXIS])
    n0, n1, channels = np.int64(shape[HEAD + 1]), np.int64(shape[HEAD + AXIS + 1]), np.int64(shape[3])
    off0, off1, off2 = parts[0, _OFFSET], parts[1, _OFFSET], parts[2, _OFFSET]
    if not inside:
        n0, n1 = parts[0, _WIDE], parts[1, _WIDE]
        off0, off1, off2 = off0 - parts[0, _LOW], off1 - parts[1, _LOW], off2 - parts[2, _LOW]
    together = long and parts[2, _TAP_STEP] == 1 and parts[2, _TAP_BY] == 1
    run = max(parts[2, _TAPS], np.int64(1)) if together else np.int64(1)  # no place of a remainder may meet a tap
    s = np.int64(0)
    for b in range(np.int64(shape[2])):
        for j0 in range(parts[0, _TAPS]):
            for j1 in range(parts[1, _TAPS]):
                row = (b * n0 + off0 + parts[0, _TAP_STEP] * j0) * n1 + off1 + parts[1, _TAP_STEP] * j1
                tap = (parts[0, _TAP] + j0 * parts[0, _TAP_BY]) * t1 + parts[1, _TAP] + j1 * parts[1, _TAP_BY]
                tap = tap * t2 + parts[2, _TAP]
                for j2 in range(0, parts[2, _TAPS], run):
                    starts[s, 0] = row * line + (off2 + j2 * parts[2, _TAP_STEP]) * channels
                    starts[s, 1] = tap + j2 * parts[2, _TAP_BY]
                    starts[s, 2] = run * channels
                    s += 1
    return s


@register_jitable(**_JIT)
def _part_values(out, a, w, shape, parts, rests, backward):
    """The places of out with the remainders `rests`; `backward`: w has rows for a's blocks, panels already turned."""
    batch, groups, a_blocks, out_blocks = np.int64(shape[0]), np.int64(shape[1]), np.int64(shape[2]), np.int64(shape[4])
    channels = np.int64(shape[3])
    taps = np.int64(shape[HEAD]) * np.int64(shape[HEAD + AXIS]) * np.int64(shape[HEAD + 2 * AXIS])
    x0, x1, x2 = np.int64(shape[HEAD + 1]), np.int64(shape[HEAD + AXIS + 1]), np.int64(shape[HEAD + 2 * AXIS + 1])
    y0, y1, y2 = np.int64(shape[HEAD + 2]), np.int64(shape[HEAD + AXIS + 2]), np.int64(shape[HEAD + 2 * AXIS + 2])
    by0, by1, by2 = np.int64(shape[HEAD + 3]), np.int64(shape[HEAD + AXIS + 3]), np.int64(shape[HEAD + 2 * AXIS + 3])
    p0, p1, p2 = parts[0, _PLACES], parts[1, _PLACES], parts[2, _PLACES]
    inside = _inside(shape, parts)
    flat, goal = part(a, 0, a.size), part(out, 0, out.size)
    given = a.strides[0] >> 2 if a.shape[0] > 1 else x2 * channels
    out_line = out.strides[0] >> 2 if out.shape[0] > 1 else y2 * LANES
    line, n1 = (given, x1) if inside else (parts[2, _WIDE] * channels, parts[1, _WIDE])
    count = a_blocks * parts[0, _TAPS] * parts[1, _TAPS] * parts[2, _TAPS]
    segments = stack_words(_FEW, 3)
    if count > _FEW:
        segments = np.empty((count, 3), np.int64)
    many = _starts(segments, shape, parts, inside, line, True)
    segments = segments[:many]
    panel = channels * LANES
    w_row = a_blocks * taps * panel
    w_step = out_blocks * taps * panel if backward else w_row
    if not backward and w.shape[0] > 1:
        w_row = w.strides[0] >> 2
    to_next = w_step if backward else taps * panel  # from the weights of a block of a to those of the next
    each = many // a_blocks
    s = np.int64(0)
    for b in range(a_blocks):
        for _ in range(each):
            segments[s, 1] = segments[s, 1] * panel + b * to_next
            s += 1
    weights = part(w, 0, w.size)
    between = taps * panel if backward else w_row  # from the weights of a block of out to those of the next
    per_group = a_blocks * w_step if backward else out_blocks * w_row
    copy = flat
    if not inside:
        size = a_blocks * parts[0, _WIDE] * parts[1, _WIDE] * line
        copy = part(stack_floats(_SMALL), 0, size) if size <= _SMALL else np.empty(size, np.float32)
        for i in range(size):
            copy[i] = 0
    direct = by2 == 1
    step, turn = parts[2, _STEP] * channels, parts[1, _STEP] * line
    joined = direct and by1 == 1 and p1 * p2 > 0 and turn == p2 * step and out_line == y2 * LANES
    lines, width = (np.int64(1), p1 * p2) if joined else (p1, p2)
    result = goal if direct else np.empty(out_blocks * p2 * LANES, np.float32)
    for n in range(batch):
        for g in range(groups):
            base = (n * groups + g) * a_blocks * x0 * x1 * given
            if not inside:
                _bring(copy, flat, base, given, shape, parts)
                base = np.int64(0)
            to = (n * groups + g) * out_blocks * y0 * y1 * out_line
            for q0 in range(p0):
                for q1 in range(lines):
                    start = base + parts[0, _STEP] * q0 * n1 * line + q1 * turn
                    row = to + ((rests[0] + by0 * q0) * y1 + rests[1] + by1 * q1) * out_line
                    if direct:
                        lane_product(
                            copy, start, step, segments, weights, g * per_group, between, out_blocks,
                            goal, row, y0 * y1 * out_line, width,
                        )  # fmt: skip
                        continue
                    lane_product(
                        copy, start, step, segments, weights, g * per_group, between, out_blocks,
                        result, 0, p2 * LANES, p2,
                    )  # fmt: skip
                    for b in range(out_blocks):
                        at = row + b * y0 * y1 * out_line + rests[2] * LANES
                        for q2 in range(p2):
                            copy_lanes(goal, at + q2 * by2 * LANES, result, (b * p2 + q2) * LANES)


@register_jitable(**_JIT)
def values_in_place(out, a, w, shape, backward):
    """Forward; `backward`: with weights of the opposite direction, a row for every (group, block of a)."""
    weights = part(w, 0, w.size)
    if backward:
        taps = np.int64(shape[HEAD]) * np.int64(shape[HEAD + AXIS]) * np.int64(shape[HEAD + 2 * AXIS])
        row = np.int64(shape[4]) * taps * LANES * LANES
        given = w.strides[0] >> 2 if w.shape[0] > 1 else row
        turned = np.empty((w.shape[0], row), np.float32)
        flat = part(turned, 0, turned.size)
        for r in range(w.shape[0]):
            for p in range(0, row, LANES * LANES):
                transpose_lanes(flat, r * row + p, weights, r * given + p)
        _all_parts(out, a, turned, shape, True)
    else:
        _all_parts(out, a, w, shape, False)


@register_jitable(**_JIT)
def _all_parts(out, a, w, shape, backward):
    parts, rests = stack_words(3, 9), part(stack_words(1, 3), 0, 3)
    for r0 in range(min(shape[HEAD + 3], shape[HEAD + 2])):
        for r1 in range(min(shape[HEAD + AXIS + 3], shape[HEAD + AXIS + 2])):
            for r2 in range(min(shape[HEAD + 2 * AXIS + 3], shape[HEAD + 2 * AXIS + 2])):
                rests[0], rests[1], rests[2] = r0, r1, r2
                for d in range(3):
                    _part(shape, d, rests[d], parts[d])
                _part_values(out, a, w, shape, parts, rests, backward)


@register_jitable(**_JIT)
def weights_in_place(out, a, b, shape):
    """The gradient of weights: for every tap what a and b hold at the places that meet there."""
    batch, groups, a_blocks, b_blocks = np.int64(shape[0]), np.int64(shape[1]), np.int64(shape[2]), np.int64(shape[4])
    taps = np.int64(shape[HEAD]) * np.int64(shape[HEAD + AXIS]) * np.int64(shape[HEAD + 2 * AXIS])
    x0, x1, x2 = np.int64(shape[HEAD + 1]), np.int64(shape[HEAD + AXIS + 1]), np.int64(shape[HEAD + 2 * AXIS + 1])
    y0, y1, y2 = np.int64(shape[HEAD + 2]), np.int64(shape[HEAD + AXIS + 2]), np.int64(shape[HEAD + 2 * AXIS + 2])
    parts = stack_words(3, 9)
    for d in range(3):
        _part(shape, d, 0, parts[d])
    inside = _inside(shape, parts)
    flat, seen, goal = part(a, 0, a.size), part(b, 0, b.size), part(out, 0, out.size)
    given = a.strides[0] >> 2 if a.shape[0] > 1 else x2 * LANES
    b_line = b.strides[0] >> 2 if b.shape[0] > 1 else y2 * LANES
    out_row = out.strides[0] >> 2 if out.shape[0] > 1 else a_blocks * taps * LANES * LANES
    line, n1 = (given, x1) if inside else (parts[2, _WIDE] * LANES, parts[1, _WIDE])
    starts = np.empty((a_blocks * taps, 3), np.int64)
    _starts(starts, shape, parts, inside, line, False)
    per_sample = np.int64(0) if inside else a_blocks * parts[0, _WIDE] * parts[1, _WIDE] * line
    copy = np.zeros(batch * per_sample, np.float32)
    step, turn = parts[2, _STEP] * LANES, parts[1, _STEP] * line
    joined = turn == y2 * step and b_line == y2 * LANES
    lines, width = (np.int64(1), y1 * y2) if joined else (y1, y2)
    segments = np.empty((batch * y0 * lines, 3), np.int64)
    for g in range(groups):
        if not inside:
            for n in range(batch):
                one = part(copy, n * per_sample, per_sample)
                _bring(one, flat, (n * groups + g) * a_blocks * x0 * x1 * given, given, shape, parts)
        source = flat if inside else copy
        for j in range(b_blocks):
            for s in range(a_blocks * taps):
                at = np.int64(0)
                for n in range(batch):
                    base = (n * groups + g) * a_blocks * x0 * x1 * given if inside else n * per_sample
                    to = ((n * groups + g) * b_blocks + j) * y0 * y1 * b_line
                    for q0 in range(y0):
                        for q1 in range(lines):
                            segments[at, 0] = base + starts[s, 0] + parts[0, _STEP] * q0 * n1 * line + q1 * turn
                            segments[at, 1] = to + (q0 * y1 + q1) * b_line
                            segments[at, 2] = width
                            at += 1
                outer_lanes(
                    goal, (g * b_blocks + j) * out_row + s * LANES * LANES,
                    source, step, seen, segments, at,
                )  # fmt: skip
