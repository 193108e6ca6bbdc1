"""`convolve` (convolve.py) for compiled code: the places that meet are packed into a matrix, one sgemm a block of channels.

Importing this module imports numba; only drivers that convolve do.
"""

from __future__ import annotations

import numpy as np
from numba import types
from numba.extending import overload, register_jitable

from . import convolve
from .convolve import AXIS, FORWARD_TOGETHER, HEAD
from .native import _OPTIONS, _sgemm, part
from .native_lanes import PACKED, evenly_apart, values_in_place, weights_in_place
from .native_product import lane_product
from .native_vectors import LANES, copy_lanes

_JIT = {**_OPTIONS, "forceinline": False}


@register_jitable(**_JIT)
def _tables(shape):
    """For each axis, tap and place of out the place of a that meets them, or -1; a row for every (axis, tap)."""
    taps = np.int64(0)
    widest = np.int64(1)
    for d in range(3):
        at = HEAD + AXIS * d
        taps += shape[at]
        widest = max(widest, np.int64(shape[at + 2]))
    table = np.empty((taps, widest), np.int32)
    flat = part(table, 0, table.size)
    row = np.int64(0)
    for d in range(3):
        at = HEAD + AXIS * d
        size, a_step, out_step = np.int64(shape[at + 1]), np.int64(shape[at + 3]), np.int64(shape[at + 4])
        tap_step, offset = np.int64(shape[at + 5]), np.int64(shape[at + 6])
        first, stop = np.int64(shape[at + 7]), np.int64(shape[at + 8])
        for tap in range(np.int64(shape[at])):
            used = shape[at + 9] <= tap < shape[at + 10]
            start = row * widest
            reach = out_step * first + tap_step * tap + offset
            for f in range(first):
                flat[start + f] = -1
            for f in range(stop, np.int64(shape[at + 2])):
                flat[start + f] = -1
            if a_step == 1:
                for f in range(first, stop):
                    flat[start + f] = reach if used and 0 <= reach < size else -1
                    reach += out_step
            else:
                for f in range(first, stop):
                    i = reach // a_step
                    flat[start + f] = i if used and i * a_step == reach and 0 <= i < size else -1
                    reach += out_step
            row += 1
    return table


@register_jitable(**_JIT)
def _tap_runs(shape, table):
    """For each place of out on the last axis: its first meeting tap, one past the last, and the place of a of the first;
    empty unless taps that follow one another meet places that do."""
    at = HEAD + 2 * AXIS
    taps, places = np.int64(shape[at]), np.int64(shape[at + 2])
    runs = np.empty((places if shape[at + 5] == shape[at + 3] else 0, 3), np.int32)
    if runs.shape[0] == 0:
        return runs
    flat, source = part(runs, 0, runs.size), part(table, 0, table.size)
    first = (np.int64(shape[HEAD]) + np.int64(shape[HEAD + AXIS])) * table.shape[1]
    for f in range(places):
        low, stop, place = np.int64(0), np.int64(0), np.int64(0)
        for tap in range(taps):
            i = source[first + tap * table.shape[1] + f]
            if i >= 0:
                if stop == 0:
                    low = tap
                    place = i
                stop = tap + 1
        flat[3 * f] = low
        flat[3 * f + 1] = stop
        flat[3 * f + 2] = place
    return runs


@register_jitable(**_JIT)
def _pack(packed, a, shape, table, runs, first_row, blocks, width, begin, end):
    """Rows [begin, end) of the places of out: for each block of a, tap and channel what meets it there, else zero."""
    t0, t1, t2 = np.int64(shape[HEAD]), np.int64(shape[HEAD + AXIS]), np.int64(shape[HEAD + 2 * AXIS])
    x0, x1 = np.int64(shape[HEAD + 1]), np.int64(shape[HEAD + AXIS + 1])
    y1, y2 = np.int64(shape[HEAD + AXIS + 2]), np.int64(shape[HEAD + 2 * AXIS + 2])
    flat = part(a, 0, a.size)
    line_step = a.strides[0] >> 2
    goal = part(packed, 0, packed.size)
    depth = packed.shape[1]
    places, spans = part(table, 0, table.size), part(runs, 0, runs.size)
    wide = table.shape[1]
    f2 = begin % y2
    f1 = (begin // y2) % y1
    f0 = begin // (y2 * y1)
    at = np.int64(0)
    block_step = x0 * x1 * line_step
    if t0 * t1 * t2 == 1 and width == LANES:
        for _ in range(begin, end):
            i0, i1, i2 = np.int64(places[f0]), np.int64(places[wide + f1]), np.int64(places[2 * wide + f2])
            if i0 < 0 or i1 < 0 or i2 < 0:
                for c in range(at, at + depth):
                    goal[c] = 0
                at += depth
            else:
                source = (first_row + i0 * x1 + i1) * line_step + i2 * LANES
                for _ in range(blocks):
                    copy_lanes(goal, at, flat, source)
                    source += block_step
                    at += LANES
            f2 += 1
            if f2 == y2:
                f2 = 0
                f1 += 1
                if f1 == y1:
                    f1 = 0
                    f0 += 1
        return
    for _ in range(begin, end):
        stop, before, i2 = np.int64(0), np.int64(0), np.int64(0)
        if runs.shape[0] > 0:
            before, stop, i2 = np.int64(spans[3 * f2]), np.int64(spans[3 * f2 + 1]), np.int64(spans[3 * f2 + 2])
        for block in range(blocks):
            base = first_row + block * x0 * x1
            for k0 in range(t0):
                i0 = np.int64(places[k0 * wide + f0])
                for k1 in range(t1):
                    i1 = np.int64(places[(t0 + k1) * wide + f1])
                    if i0 < 0 or i1 < 0:
                        for c in range(at, at + t2 * width):
                            goal[c] = 0
                        at += t2 * width
                        continue
                    line = (base + i0 * x1 + i1) * line_step
                    if runs.shape[0] > 0:
                        if before > 0:
                            for c in range(at, at + before * width):
                                goal[c] = 0
                        source = line + i2 * width
                        if width == LANES:
                            for t in range(before, stop):
                                copy_lanes(goal, at + t * LANES, flat, source)
                                source += LANES
                        else:
                            to = at + before * width
                            for c in range((stop - before) * width):
                                goal[to + c] = flat[source + c]
                        if stop < t2:
                            for c in range(at + stop * width, at + t2 * width):
                                goal[c] = 0
                        at += t2 * width
                        continue
                    for k2 in range(t2):
                        i = np.int64(places[(t0 + t1 + k2) * wide + f2])
                        if i < 0:
                            for c in range(at, at + width):
                                goal[c] = 0
                        elif width == LANES:
                            copy_lanes(goal, at, flat, line + i * LANES)
                        else:
                            for c in range(width):
                                goal[at + c] = flat[line + i * width + c]
                        at += width
        f2 += 1
        if f2 == y2:
            f2 = 0
            f1 += 1
            if f1 == y1:
                f1 = 0
                f0 += 1


@register_jitable(**_JIT)
def _flipped(shape):
    """The shape with the taps of every axis numbered backwards."""
    turned = shape.copy()
    for d in range(3):
        at = HEAD + AXIS * d
        last = shape[at] - 1
        turned[at + 5] = -shape[at + 5]
        turned[at + 6] = shape[at + 6] + shape[at + 5] * last
        turned[at + 9] = last + 1 - shape[at + 10]
        turned[at + 10] = last + 1 - shape[at + 9]
    return turned


@register_jitable(**_JIT)
def _turned(b, groups, a_blocks, a_width, out_blocks, out_width, taps):
    """Weights of the opposite direction as those of this one, taps backwards: a row for every (group, out block)."""
    w = np.empty((groups * out_blocks, a_blocks * taps * a_width * out_width), np.float32)
    for g in range(groups):
        for j in range(a_blocks):
            source = b[g * a_blocks + j]
            for i in range(out_blocks):
                goal = w[g * out_blocks + i]
                for t in range(taps):
                    s = (i * taps + t) * out_width * a_width
                    d = (j * taps + taps - 1 - t) * a_width * out_width
                    for c in range(a_width):
                        for o in range(out_width):
                            goal[d + c * out_width + o] = source[s + o * a_width + c]
    return w


@register_jitable(**_JIT)
def _values(out, a, w, shape, blas):
    """Forward: every (sample, group) of out, places packed in turns."""
    table = _tables(shape)
    batch, groups, a_blocks, a_width, out_blocks, out_width = shape[0], shape[1], shape[2], shape[3], shape[4], shape[5]
    taps = shape[HEAD] * shape[HEAD + AXIS] * shape[HEAD + 2 * AXIS]
    a_rows = shape[HEAD + 1] * shape[HEAD + AXIS + 1]
    out_rows = shape[HEAD + 2] * shape[HEAD + AXIS + 2]
    places = out_rows * shape[HEAD + 2 * AXIS + 2]
    depth = a_blocks * taps * a_width
    runs = _tap_runs(shape, table)
    many = min(places, max(PACKED // max(depth, 1), 1))
    lanes = out_width == LANES and depth > 0
    packed = np.empty((many, depth), np.float32)
    flat = part(packed, 0, packed.size)
    segments = np.zeros((1, 3), np.int64)
    segments[0, 2] = depth
    ordered = lanes and (out.shape[0] <= 1 or out.strides[0] == out.shape[1] * 4)
    result = np.empty((0 if ordered else many, out_width), np.float32)
    goal = part(out, 0, out.size) if ordered else part(result, 0, result.size)
    weights = part(w, 0, w.size)
    w_step = w.strides[0] >> 2 if w.shape[0] > 1 else np.int64(0)
    y2 = shape[HEAD + 2 * AXIS + 2]
    for n in range(batch):
        for g in range(groups):
            first = (n * groups + g) * a_blocks * a_rows
            begin = 0
            while begin < places:
                end = min(begin + many, places)
                _pack(packed, a, shape, table, runs, first, a_blocks, a_width, begin, end)
                for block in range(out_blocks):
                    row = ((n * groups + g) * out_blocks + block) * out_rows
                    if lanes:
                        lane_product(
                            flat, 0, depth, segments, weights, (g * out_blocks + block) * w_step, 0, 1, goal,
                            (row * y2 + begin) * LANES if ordered else 0, 0, end - begin,
                        )  # fmt: skip
                    else:
                        _sgemm(
                            blas, 0, 0, out_width, end - begin, depth, w[g * out_blocks + block], out_width, packed,
                            depth, np.float32(0.0), result, out_width,
                        )  # fmt: skip
                    if not ordered:
                        for place in range(begin, end):
                            line = out[row + place // y2]
                            start = (place % y2) * out_width
                            for o in range(out_width):
                                line[start + o] = result[place - begin, o]
                begin = end


@register_jitable(**_JIT)
def _weights(out, a, b, shape, table, blas):
    """The gradient of weights: what was packed, transposed, times what b holds at the same places."""
    batch, groups, a_blocks, a_width, out_blocks, out_width = shape[0], shape[1], shape[2], shape[3], shape[4], shape[5]
    taps = shape[HEAD] * shape[HEAD + AXIS] * shape[HEAD + 2 * AXIS]
    a_rows = shape[HEAD + 1] * shape[HEAD + AXIS + 1]
    b_rows = shape[HEAD + 2] * shape[HEAD + AXIS + 2]
    y2 = shape[HEAD + 2 * AXIS + 2]
    places = b_rows * y2
    depth = a_blocks * taps * a_width
    many = min(places, max(PACKED // max(depth, 1), 1))
    packed = np.empty((many, depth), np.float32)
    runs = _tap_runs(shape, table)
    ordered = b.shape[0] <= 1 or b.strides[0] == b.shape[1] * 4
    seen = np.empty((0 if ordered else many, out_width), np.float32)
    for g in range(groups):
        for n in range(batch):
            begin = 0
            while begin < places:
                end = min(begin + many, places)
                _pack(
                    packed, a, shape, table, runs, (n * groups + g) * a_blocks * a_rows, a_blocks, a_width, begin, end
                )
                beta = np.float32(0.0 if n == 0 and begin == 0 else 1.0)
                for block in range(out_blocks):
                    row = ((n * groups + g) * out_blocks + block) * b_rows
                    goal = out[g * out_blocks + block]
                    if ordered:
                        held = b[row + begin // y2 :, (begin % y2) * out_width :]
                        _sgemm(
                            blas, 0, 1, out_width, depth, end - begin, held, out_width, packed, depth, beta, goal, out_width
                        )  # fmt: skip
                    else:
                        for place in range(begin, end):
                            for o in range(out_width):
                                seen[place - begin, o] = b[row + place // y2, (place % y2) * out_width + o]
                        _sgemm(
                            blas, 0, 1, out_width, depth, end - begin, seen, out_width, packed, depth, beta, goal, out_width
                        )  # fmt: skip
                begin = end


@register_jitable(**_JIT)
def _together(out, a, b, shape, table, form):
    """Groups of few channels: a block at a time, channel by channel."""
    batch, groups, a_each, a_width, out_each, out_width = shape[0], shape[1], shape[2], shape[3], shape[4], shape[5]
    held = a_width // a_each
    blocks = groups // held
    t0, t1, t2 = shape[HEAD], shape[HEAD + AXIS], shape[HEAD + 2 * AXIS]
    x0, x1 = shape[HEAD + 1], shape[HEAD + AXIS + 1]
    y0, y1, y2 = shape[HEAD + 2], shape[HEAD + AXIS + 2], shape[HEAD + 2 * AXIS + 2]
    each = a_each * out_each
    for r in range(out.shape[0]):
        for c in range(out.shape[1]):
            out[r, c] = 0
    for n in range(batch):
        for block in range(blocks):
            for f0 in range(y0):
                for f1 in range(y1):
                    y_row = ((n * blocks + block) * y0 + f0) * y1 + f1
                    for k0 in range(t0):
                        i0 = table[k0, f0]
                        if i0 < 0:
                            continue
                        for k1 in range(t1):
                            i1 = table[t0 + k1, f1]
                            if i1 < 0:
                                continue
                            line = a[((n * blocks + block) * x0 + i0) * x1 + i1]
                            for k2 in range(t2):
                                tap = (k0 * t1 + k1) * t2 + k2
                                w_at = tap * held * each
                                for f2 in range(y2):
                                    i2 = table[t0 + t1 + k2, f2]
                                    if i2 < 0:
                                        continue
                                    x_at = i2 * a_width
                                    y_at = f2 * out_width
                                    if each == 1:
                                        if form == 5:
                                            for q in range(held):
                                                out[block, w_at + q] += line[x_at + q] * b[y_row, y_at + q]
                                        else:
                                            for q in range(held):
                                                out[y_row, y_at + q] += line[x_at + q] * b[block, w_at + q]
                                        continue
                                    for q in range(held):
                                        for c in range(a_each):
                                            left = line[x_at + q * a_each + c]
                                            for o in range(out_each):
                                                y = y_at + q * out_each + o
                                                if form == 3:
                                                    out[y_row, y] += (
                                                        left * b[block, w_at + (q * a_each + c) * out_each + o]
                                                    )
                                                elif form == 4:
                                                    out[y_row, y] += (
                                                        left * b[block, w_at + (q * out_each + o) * a_each + c]
                                                    )
                                                else:
                                                    out[block, w_at + (q * a_each + c) * out_each + o] += (
                                                        left * b[y_row, y]
                                                    )


@overload(convolve.convolve_by, jit_options=_JIT)  # type: ignore[arg-type]
def _(out, a, b, shape, form, blas):
    if out.dtype != types.float32:
        return None

    def by_blas(out, a, b, shape, form, blas):
        if out.size == 0:
            return
        if form < FORWARD_TOGETHER and evenly_apart(shape, form):
            if form == 2:
                weights_in_place(out, a, b, shape)
            else:
                values_in_place(out, a, b, shape, form == 1)
            return
        if form >= FORWARD_TOGETHER:
            _together(out, a, b, shape, _tables(shape), form)
        elif form == 2:
            _weights(out, a, b, shape, _tables(shape), blas)
        elif form == 1:
            taps = shape[HEAD] * shape[HEAD + AXIS] * shape[HEAD + 2 * AXIS]
            w = _turned(b, shape[1], shape[2], shape[3], shape[4], shape[5], taps)
            turned = _flipped(shape)
            _values(out, a, w, turned, blas)
        else:
            _values(out, a, b, shape, blas)

    return by_blas
