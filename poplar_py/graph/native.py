"""Compiled loops over element numbers, for tensors of many elements; imported when one is met.

Every loop takes the numbers as a matrix of any strides, so that transposed views are not copied first. Large results are
made by the caller with numpy, which asks for large pages: touching memory of numba's takes five times as long.
"""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def count_runs(numbers):
    """How many maximal runs of consecutive numbers there are, read row by row."""
    count = 0
    before = numbers[0, 0] - 2
    for i in range(numbers.shape[0]):
        for j in range(numbers.shape[1]):
            now = numbers[i, j]
            count += now != before + 1
            before = now
    return count


@njit(cache=True, nogil=True)
def find_runs(numbers, start, length):
    """Those runs, into columns of their count."""
    at = -1
    before = numbers[0, 0] - 2
    for i in range(numbers.shape[0]):
        for j in range(numbers.shape[1]):
            now = numbers[i, j]
            if now != before + 1:
                at += 1
                start[at] = now
                length[at] = 0
            length[at] += 1
            before = now


@njit(cache=True, nogil=True)
def has_twice(numbers, low, high):
    """Whether a number stands there twice, all of them between low and high."""
    seen = np.zeros((high - low) // 64 + 1, np.uint64)
    one = np.uint64(1)
    for i in range(numbers.shape[0]):
        for j in range(numbers.shape[1]):
            n = numbers[i, j] - low
            bit = one << np.uint64(n & 63)
            if seen[n >> 6] & bit:
                return True
            seen[n >> 6] |= bit
    return False


@njit(cache=True, nogil=True)
def number_blocks(order, row_bounds, col_bounds, first):
    """Into `order` the numbers of a matrix that is stored block by block, each block row by row, rows of blocks one
    after another."""
    cols = col_bounds[-1]
    for a in range(row_bounds.size - 1):
        top, height = row_bounds[a], row_bounds[a + 1] - row_bounds[a]
        for i in range(height):
            for b in range(col_bounds.size - 1):
                left, width = col_bounds[b], col_bounds[b + 1] - col_bounds[b]
                at = first + top * cols + height * left + i * width
                for j in range(width):
                    order[top + i, left + j] = at + j


@njit(cache=True, nogil=True)
def are_blocks(numbers, row_bounds, col_bounds, start, stride):
    """Whether every block is rows of consecutive numbers, `stride` apart from its `start` on."""
    for a in range(row_bounds.size - 1):
        for i in range(row_bounds[a], row_bounds[a + 1]):
            for b in range(col_bounds.size - 1):
                at = start[a, b] + (i - row_bounds[a]) * stride[a, b] - col_bounds[b]
                for j in range(col_bounds[b], col_bounds[b + 1]):
                    if numbers[i, j] != at + j:
                        return False
    return True


@njit(cache=True, nogil=True)
def put(out, numbers, first, values):
    """out[numbers - first] = values."""
    for i in range(numbers.shape[0]):
        for j in range(numbers.shape[1]):
            out[numbers[i, j] - first] = values[i, j]


@njit(cache=True, nogil=True)
def expand(out, start, length):
    """Every number of the runs [start, start + length), one run after another."""
    at = 0
    for i in range(start.size):
        for j in range(length[i]):
            out[at] = start[i] + j
            at += 1


@njit(cache=True, nogil=True)
def paint(out, start, length, value):
    """out[start : start + length] = value for every run, later runs over earlier ones."""
    for i in range(start.size):
        out[start[i] : start[i] + length[i]] = value[i]
