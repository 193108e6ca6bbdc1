"""Variables: named storage with a range of the graph-wide element space and a tile for every element.

The tile mapping of a variable is a list of assignments in the order they were made, later ones winning, and is
resolved on first reading into runs: columns of where each run starts and the tile it is on (-1: no tile).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..dtypes import DType

MANY = 1 << 16  # element numbers from which a compiled loop is worth its import


class Variable:
    """Storage of `size` elements of one type. Made by `Graph.add_variable` and `Graph.add_constant`.

    index: place in `graph.variables`; base: element number of its first element; data: initial contents (constants,
    initial values) as an array of storage words, or None.
    """

    __slots__ = ("_assignments", "_runs", "base", "data", "dtype", "index", "is_constant", "name", "shape")

    def __init__(self, index: int, name: str, element_type: DType, shape: tuple[int, ...], base: int):
        self.index = index
        self.name = name
        self.dtype = element_type
        self.shape = shape
        self.base = base
        self.is_constant = False
        self.data: np.ndarray | None = None
        self._assignments: list[tuple[Any, Any, Any]] = []
        self._runs: tuple[np.ndarray, np.ndarray] | None = None

    @property
    def size(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def size_bytes(self) -> int:
        return self.size * self.dtype.size

    def __repr__(self) -> str:
        kind = "constant" if self.is_constant else "variable"
        return f"<{kind} {self.name} {self.dtype} {list(self.shape)}>"

    def assign(self, start: Any, length: Any, tile: Any) -> None:
        """Put elements [start, start + length) (relative to this variable; numbers or columns) on `tile`."""
        self._assignments.append((start, length, tile))
        self._runs = None

    def runs(self) -> tuple[np.ndarray, np.ndarray]:
        """The mapping as (start, tile) of maximal runs, relative to this variable, covering every element."""
        if self._runs is None:
            self._runs = _resolve(self.size, self._assignments)
            self._assignments = [_as_assignment(self.size, *self._runs)] if self.size else []
        return self._runs

    def set_runs(self, start: np.ndarray, tile: np.ndarray) -> None:
        self._runs = (np.asarray(start, np.int64), np.asarray(tile, np.int32))
        self._assignments = [_as_assignment(self.size, *self._runs)] if self.size else []


def _as_assignment(size: int, start: np.ndarray, tile: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return start, np.diff(np.append(start, size)), tile


def _resolve(size: int, assignments: list[tuple[Any, Any, Any]]) -> tuple[np.ndarray, np.ndarray]:
    if size == 0:
        return np.zeros(0, np.int64), np.zeros(0, np.int32)
    if not assignments:
        return np.zeros(1, np.int64), np.full(1, -1, np.int32)
    start, length, tile = assignments[-1]
    if np.ndim(start) == 0 and start == 0 and length == size:
        return np.zeros(1, np.int64), np.array([tile], np.int32)
    columns = [_columns(*a) for a in assignments]
    runs = _as_partition(size, *columns[-1])
    if runs is None and len(columns) > 1:
        runs = _as_partition(size, *(np.concatenate(c) for c in zip(*columns, strict=True)))
    if runs is not None:
        return merge_runs(*runs)
    dense = np.full(size, -1, np.int32)
    for start, length, tile in columns:
        if len(start) == 1:
            dense[start[0] : start[0] + length[0]] = tile[0]
        elif length.sum() < MANY:
            dense[expand_runs(start, length)] = np.repeat(tile, length)
        else:
            from .native import paint

            paint(dense, start, length, tile)
    first = np.concatenate(([0], np.flatnonzero(np.diff(dense)) + 1))
    return first.astype(np.int64), dense[first]


def _columns(start: Any, length: Any, tile: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    start = np.atleast_1d(np.asarray(start, np.int64))
    return (
        start,
        np.broadcast_to(np.asarray(length, np.int64), start.shape),
        np.broadcast_to(np.asarray(tile, np.int32), start.shape),
    )


def _as_partition(
    size: int, start: np.ndarray, length: np.ndarray, tile: np.ndarray
) -> tuple[np.ndarray, np.ndarray] | None:
    """(start, tile) in order, where the runs cover every element once."""
    if int(length.sum()) != size:
        return None
    if not (length > 0).all():
        start, length, tile = (c[length > 0] for c in (start, length, tile))
    if not (start[1:] > start[:-1]).all():
        order = np.argsort(start, kind="stable")
        start, length, tile = start[order], length[order], tile[order]
    covered = start[0] == 0 and (start[1:] == start[:-1] + length[:-1]).all()
    return (start, tile) if covered else None


def merge_runs(start: np.ndarray, tile: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Neighbouring runs of one tile as one."""
    keep = np.ones(len(start), bool)
    keep[1:] = tile[1:] != tile[:-1]
    return start[keep].astype(np.int64), tile[keep].astype(np.int32)


def expand_runs(start: np.ndarray, length: np.ndarray) -> np.ndarray:
    """Every number of the runs [start, start + length), one run after another."""
    length = np.asarray(length, np.int64)
    total = int(length.sum())
    if total >= MANY:
        from .native import expand

        out = np.empty(total, np.int64)
        expand(out, np.broadcast_to(np.asarray(start, np.int64), length.shape), length)
        return out
    ends = np.cumsum(length)
    return np.repeat(np.asarray(start, np.int64) - (ends - length), length) + np.arange(total, dtype=np.int64)
