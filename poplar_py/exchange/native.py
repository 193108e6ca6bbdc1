"""Compiled loops of exchange planning. Columns in, columns out; imported when planning starts."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True, inline="always")
def _run_of(start, bucket, shift, element):
    """Index of the run that holds `element`: its bucket names the first run there could be, then a short walk."""
    run = bucket[element >> shift]
    while run + 1 < start.size and start[run + 1] <= element:
        run += 1
    return run


@njit(cache=True, nogil=True)
def place_windows(tile, start, rows, cols, stride, run_start, run_tile, run_local, run_variable, bucket, shift, total):
    """Windows that lie on their vertex's tile with a constant row stride: (variable or -1, place, row stride).

    Place and stride are in elements of the fragment. -1 where the window must be gathered.
    """
    n = tile.size
    variable = np.empty(n, np.int64)
    place = np.empty(n, np.int64)
    row_stride = np.empty(n, np.int64)
    for v in range(n):
        r, c = rows[v], cols[v]
        row_stride[v] = c
        if r == 0 or c == 0:
            variable[v] = -2  # nothing to see: any address does
            place[v] = 0
            continue
        variable[v] = -1
        place[v] = 0
        step = c
        previous = 0
        good = True
        for j in range(r):
            s = start[v] + j * stride[v]
            at_run = _run_of(run_start, bucket, shift, s)
            end = run_start[at_run + 1] if at_run + 1 < run_start.size else total
            if run_tile[at_run] != tile[v] or s + c > end:
                good = False
                break
            at = run_local[at_run] + s - run_start[at_run]
            if j == 0:
                place[v] = at
                owner = run_variable[at_run]
            elif run_variable[at_run] != owner:
                good = False
                break
            elif j == 1:
                step = at - previous
                if step < 0:
                    good = False
                    break
            elif at - previous != step:
                good = False
                break
            previous = at
        if good:
            variable[v] = owner
            row_stride[v] = step
    return variable, place, row_stride


@njit(cache=True, nogil=True)
def place_listed(
    variable, place, tile, offset, elements, width, run_start, run_tile, run_local, run_variable, bucket, shift, total
):
    """Windows of listed rows that lie one after another on their vertex's tile: their variable and place into the two
    columns, which other windows' rows of stay as they are. `width` is of every row."""
    for v in range(offset.size - 1):
        owner = -1
        expected = first = 0
        good = offset[v + 1] > offset[v]
        for k in range(offset[v], offset[v + 1]):
            run = _run_of(run_start, bucket, shift, elements[k])
            end = run_start[run + 1] if run + 1 < run_start.size else total
            at = run_local[run] + elements[k] - run_start[run]
            if owner < 0:
                owner, expected, first = run_variable[run], at, at
            if run_tile[run] != tile[v] or run_variable[run] != owner or at != expected:
                good = False
                break
            if elements[k] + width[k] > end:  # it leaves the run: the last element must still follow on its first
                last = _run_of(run_start, bucket, shift, elements[k] + width[k] - 1)
                there = run_local[last] + elements[k] + width[k] - 1 - run_start[last]
                if run_tile[last] != tile[v] or run_variable[last] != owner or there != at + width[k] - 1:
                    good = False
                    break
            expected = at + width[k]
        if good:
            variable[v] = owner
            place[v] = first


@njit(cache=True, nogil=True)
def list_rows(window, start, length, first, rows, cols, stride):
    """Into the first three columns the rows of windows: which window, first element, elements."""
    k = 0
    for v in range(first.size):
        for j in range(rows[v]):
            window[k], start[k], length[k] = v, first[v] + j * stride[v], cols[v]
            k += 1


@njit(cache=True, nogil=True)
def unite(order, tile, start, length, size, align):
    """Overlapping or touching regions of a tile as one; regions in `order` are sorted by tile and start.

    Returns each region's place (bytes, from the start of its tile's area), the united region it is in, and the
    united regions as (tile, start, length, place, bytes of an element).
    """
    n = order.size
    place = np.empty(n, np.int64)
    out_tile = np.empty(n, np.int64)
    out_start = np.empty(n, np.int64)
    out_length = np.empty(n, np.int64)
    out_place = np.empty(n, np.int64)
    out_size = np.empty(n, np.int64)
    united = np.empty(n, np.int64)
    m = 0
    cursor = 0
    i = 0
    current = -1
    while i < n:
        first = order[i]
        t, s = tile[first], start[first]
        if t != current:
            current = t
            cursor = 0
        cursor = (cursor + align - 1) // align * align
        e = s + length[first]
        bytes_each = size[first]
        j = i
        while j < n and tile[order[j]] == t and start[order[j]] <= e and size[order[j]] == bytes_each:
            k = order[j]
            place[k] = cursor + (start[k] - s) * bytes_each
            united[k] = m
            e = max(e, start[k] + length[k])
            j += 1
        out_tile[m], out_start[m], out_length[m], out_place[m] = t, s, e - s, cursor
        out_size[m] = bytes_each
        cursor += (e - s) * bytes_each
        m += 1
        i = j
    return place, united, out_tile[:m], out_start[:m], out_length[:m], out_place[:m], out_size[:m]


@njit(cache=True, nogil=True)
def split_by_runs(start, length, run_start, bucket, shift, total):
    """Regions cut where runs end: (region, start, length, run) of each piece."""
    n = start.size
    count = 0
    for i in range(n):
        s, left = start[i], length[i]
        while left > 0:
            at_run = _run_of(run_start, bucket, shift, s)
            end = run_start[at_run + 1] if at_run + 1 < run_start.size else total
            take = min(left, end - s)
            s += take
            left -= take
            count += 1
    region = np.empty(count, np.int64)
    piece = np.empty(count, np.int64)
    size = np.empty(count, np.int64)
    run = np.empty(count, np.int64)
    k = 0
    for i in range(n):
        s, left = start[i], length[i]
        while left > 0:
            at_run = _run_of(run_start, bucket, shift, s)
            end = run_start[at_run + 1] if at_run + 1 < run_start.size else total
            take = min(left, end - s)
            region[k], piece[k], size[k], run[k] = i, s, take, at_run
            s += take
            left -= take
            k += 1
    return region, piece, size, run


@njit(cache=True, nogil=True)
def pair_pieces(a, b, in_a, in_b, size, a_length, b_length):
    """Two lists of pieces of as many elements cut where either is: which piece of each, the element in it, and how many
    elements, into columns of the length of both lists. Returns how many rows are filled."""
    n = i = j = i_done = j_done = 0
    while i < a_length.size and j < b_length.size:
        take = min(a_length[i] - i_done, b_length[j] - j_done)
        if take > 0:
            a[n], b[n], in_a[n], in_b[n], size[n] = i, j, i_done, j_done, take
            n += 1
        i_done += take
        j_done += take
        if i_done == a_length[i]:
            i, i_done = i + 1, 0
        if j_done == b_length[j]:
            j, j_done = j + 1, 0
    return n


@njit(cache=True, nogil=True)
def fetch_rows(start, length, dst_tile, dst, size, run_start, run_tile, run_local, run_variable, bucket, shift, total):
    """The pieces of regions as columns (src_tile, src_variable, src, dst_tile, dst, size), places and sizes in bytes."""
    n = start.size
    count = 0
    run_of_first = np.empty(n, np.int64)
    for i in range(n):
        s, left = start[i], length[i]
        first = True
        while left > 0:
            at_run = _run_of(run_start, bucket, shift, s)
            if first:
                run_of_first[i] = at_run
                first = False
            end = run_start[at_run + 1] if at_run + 1 < run_start.size else total
            take = min(left, end - s)
            s += take
            left -= take
            count += 1
    out = np.empty((6, count), np.int32)  # places on a tile fit, and these columns are what a plan weighs
    k = 0
    for i in range(n):
        s, left, d, each = start[i], length[i], dst[i], size[i]
        run = run_of_first[i] if left > 0 else 0
        while left > 0:
            end = run_start[run + 1] if run + 1 < run_start.size else total
            take = min(left, end - s)
            out[0, k] = run_tile[run]
            out[1, k] = run_variable[run]
            out[2, k] = (run_local[run] + s - run_start[run]) * each
            out[3, k] = dst_tile[i]
            out[4, k] = d
            out[5, k] = take * each
            s += take
            d += take * each
            left -= take
            run += 1
            k += 1
    return out


@njit(cache=True, nogil=True)
def matrix_stride(first, rows, place):
    """Row stride in bytes of windows whose rows have places place[first[v] : first[v] + rows[v]]; -1 if uneven."""
    n = first.size
    stride = np.empty(n, np.int64)
    for v in range(n):
        stride[v] = 0
        for j in range(1, rows[v]):
            step = place[first[v] + j] - place[first[v] + j - 1]
            if j == 1:
                stride[v] = step
            elif step != stride[v]:
                stride[v] = -1
                break
        if stride[v] < 0:
            stride[v] = -1
    return stride


@njit(cache=True, nogil=True)
def window_hash(elements, offset):
    """A 64-bit mix of each window's element numbers, for finding equal windows."""
    n = offset.size - 1
    out = np.empty(n, np.uint64)
    for v in range(n):
        h = np.uint64(1469598103934665603)
        for k in range(offset[v], offset[v + 1]):
            h = (h ^ np.uint64(elements[k])) * np.uint64(1099511628211)
            h ^= h >> np.uint64(29)
        out[v] = h
    return out


@njit(cache=True, nogil=True)
def join_pieces(src_tile, src_fragment, src, dst_tile, dst_fragment, dst, size):
    """Neighbouring copies that continue one another as one; returns which rows start a joined copy."""
    n = src.size
    first = np.ones(n, np.bool_)
    for i in range(1, n):
        if (
            src_tile[i] == src_tile[i - 1]
            and dst_tile[i] == dst_tile[i - 1]
            and src_fragment[i] == src_fragment[i - 1]
            and dst_fragment[i] == dst_fragment[i - 1]
            and src[i] == src[i - 1] + size[i - 1]
            and dst[i] == dst[i - 1] + size[i - 1]
        ):
            first[i] = False
    return first
