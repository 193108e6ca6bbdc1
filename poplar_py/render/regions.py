"""Regions of variables as columns: cut so that they pair, taken in slices, and looked up by element."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numba import njit

from ..graph.vertices import Edges, pick

SLICE = 2_000_000  # edges made at a time


def paired(source: tuple, destination: tuple) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Regions of two tensors of equal size, cut so that they pair: (source, destination, length) columns."""
    (s, ns), (d, nd) = ([np.asarray(c, np.int64) for c in side] for side in (source, destination))
    es, ed = np.cumsum(ns), np.cumsum(nd)
    if not len(es) or not len(ed) or es[-1] != ed[-1]:
        none = np.zeros(0, np.int64)
        return none, none, none
    ends = np.union1d(es, ed)
    begins = np.concatenate([[0], ends[:-1]])
    i, j = np.searchsorted(es, begins, side="right"), np.searchsorted(ed, begins, side="right")
    return s[i] + begins - (es - ns)[i], d[j] + begins - (ed - nd)[j], ends - begins


def vertex_ranges(edges: Edges) -> Iterator[tuple[int, int]]:
    """Ranges of vertices of about SLICE edges each."""
    each = max(1, int(edges.num_edges / max(edges.n, 1)))
    step = max(1, SLICE // each)
    for first in range(0, edges.n, step):
        yield first, min(first + step, edges.n)


def part(edges: Edges, first: int, last: int, every: int = 1) -> Edges:
    """The edges of vertices first, first + every, ... before last, numbered from 0."""
    chosen = slice(first, last, every)
    n = len(range(first, last, every))
    if edges.is_scattered:
        offset, width = edges.offset, edges.width
        if every == 1:
            low, high = int(offset[first]), int(offset[last])
            listed, begins = edges.elements[low:high], offset[first : last + 1] - low
        else:
            counts = (offset[1:] - offset[:-1])[chosen]
            begins = np.concatenate([[0], np.cumsum(counts)])
            at = np.repeat(offset[:-1][chosen] - begins[:-1], counts) + np.arange(begins[-1])
            listed = edges.elements[at]
        return Edges(edges.dtype, n, rows=pick(edges.rows, chosen), cols=pick(edges.cols, chosen), elements=listed,
                     offset=begins, width=pick(width, chosen))  # fmt: skip
    rows, cols, stride = (pick(c, chosen) for c in (edges.rows, edges.cols, edges.stride))
    joined = np.asarray(stride) == cols  # rows that continue one another are one edge
    rows, cols = np.where(joined, np.minimum(rows, 1), rows), np.where(joined, cols * np.asarray(rows), cols)
    return Edges(edges.dtype, n, start=edges.start[chosen], rows=rows, cols=cols, stride=stride)


@njit(cache=True)
def _row_of(element, start, guess):
    """Row whose start is the last not after `element`, -1 before the first; fast where `guess` is near."""
    n = start.size
    if 0 <= guess < n and start[guess] <= element:
        if guess + 1 >= n or element < start[guess + 1]:
            return guess
        if guess + 2 >= n or element < start[guess + 2]:
            return guess + 1
    low, high = 0, n
    while low < high:
        middle = (low + high) // 2
        if start[middle] <= element:
            low = middle + 1
        else:
            high = middle
    return low - 1


@njit(cache=True)
def look_up(element, start, length, vertex, found, where):
    row = 0
    for i in range(element.size):
        row = _row_of(element[i], start, row)
        if row >= 0 and element[i] < start[row] + (length[row] if length.size > 1 else length[0]):
            found[i] = vertex[row] if vertex.size == start.size else vertex[0] + row
            where[i] = start[row]


@njit(cache=True)
def look_through(element, start, length, source, origin):
    row = 0
    for i in range(element.size):
        row = _row_of(element[i], start, row)
        if row >= 0 and element[i] < start[row] + length[row]:
            origin[i] = source[row] + element[i] - start[row]
