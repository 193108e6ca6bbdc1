"""What every edge joins: the vertex that reads or writes, and the vertex that wrote what it reads.

An edge of the graph joins a field of a vertex to a region of a variable. Drawn as such, every layer would be a star
around its variables; what people want to see is who gives data to whom. So a region that is read is traced to the
vertex that wrote it last before, in program order, through copies (arguments of functions); what nobody has written
before it is read is traced to whoever writes it last (weights that an update writes for the next step), and what no
vertex writes at all stays with its variable. A region that is written ends at its vertex.

Only the tables of what vertices write are kept (one row an edge that writes); reading edges are made slice by slice
from the columns of their block, so the 10^8 edges of a large graph are never in memory together.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..graph.vertices import Edges
from .costs import run_order
from .regions import look_through, look_up, paired, part, vertex_ranges

MOST_COPIES = 6  # copies that a region is traced through


@dataclass
class _Written:
    """Rows sorted by `start`: [start, start + length) was written by `vertex`. `length` and `vertex` are columns, or one
    entry: a common length, and the vertex of the first row where rows are vertices in order."""

    start: np.ndarray
    length: np.ndarray
    vertex: np.ndarray
    in_place: bool


@dataclass
class _Copied:
    """Rows sorted by `start`: [start, start + length) holds what was at `source`; `before` are the tables of then."""

    start: np.ndarray
    length: np.ndarray
    source: np.ndarray
    before: dict[int, tuple]


@dataclass
class EdgeSlice:
    """Some edges of one field of a block.

    vertex: number of the vertex (int32); other: number of the vertex at the other end, -1 where that is a variable;
    place: element number of the region (after copies: where it lies), which tells edges apart and places the ends that
    are variables (int64); is_write; in_place: whether the region was written in place (its vertex is where it lives).
    """

    compute_set: int
    field: str
    first: int
    vertex: np.ndarray
    other: np.ndarray
    place: np.ndarray
    is_write: bool


class Flow:
    """The edges of the compute sets `sets` of an executable, in program order.

    order: program order of all compute sets by index; base: number of the first vertex of each compute set drawn (by
    index), numbered set by set and block by block in the order of `sets`.
    """

    def __init__(self, executable: Any, sets: list[Any]):
        self.graph = executable.graph
        self.sets = sets
        self.base: dict[int, int] = {}
        count = 0
        for cs in sets:
            self.base[cs.index] = count
            count += sum(int(b.n) for b in cs.blocks)
        self.num_vertices = count
        self.num_edges = sum(int(b.num_edges) for cs in sets for b in cs.blocks)
        self._tables: dict[int, tuple] = {}  # by variable: newest first
        self._before: dict[int, dict[int, tuple]] = {}  # by compute set: tables of what it reads, by variable
        self.order = program_order(executable)
        self._trace(executable)

    def _trace(self, executable: Any) -> None:
        drawn = {cs.index: cs for cs in self.sets}
        done: set[int] = set()
        for kind, at in _events(executable):
            if kind == "copy":
                self._copy(executable.schedule.steps[at])
            elif at in drawn and at not in done:
                done.add(at)
                self._execute(drawn[at])
        for cs in self.sets:
            if cs.index not in done:
                self._execute(cs)

    def _execute(self, cs: Any) -> None:
        self._before[cs.index] = self._tables
        fresh: list[tuple[int, _Written]] = []
        base = self.base[cs.index]
        for block in cs.blocks:
            for name, edges in block.fields.items():
                direction = block.info.fields[name].direction
                if direction in ("out", "inout") and edges.num_edges:
                    fresh += self._written(edges, base, direction == "inout")
            base += int(block.n)
        if fresh:
            self._tables = dict(self._tables)
            for v, table in fresh:
                self._tables[v] = self._stack(v, table)

    def _stack(self, variable: int, table: Any) -> tuple:
        """Tables of a variable with a new one on top; what it covers entirely is forgotten."""
        size = self.graph.variables[variable].size
        covered = table.length[0] * len(table.start) if len(table.length) == 1 else int(table.length.sum())
        return (table,) if covered >= size else (table, *self._tables.get(variable, ()))[:12]

    def _written(self, edges: Edges, base: int, in_place: bool) -> Iterator[tuple[int, _Written]]:
        vertex, start, length = part(edges, 0, edges.n).runs()
        low, high = self.graph.variable_index(np.array([start.min(), start.max()]))
        owner = None if low == high else self.graph.variable_index(start)
        for v in (low,) if owner is None else np.unique(owner):
            mine: Any = slice(None) if owner is None else owner == v
            s, n, who = start[mine], np.asarray(length[mine], np.int64), vertex[mine]
            one_each = len(who) == edges.n and owner is None and (len(who) < 2 or who[-1] == len(who) - 1)
            if len(s) > 1 and (np.diff(s) < 0).any():
                order = np.argsort(s, kind="stable")
                s, n, who, one_each = s[order], n[order], who[order], False
            if len(n) and (n == n[0]).all():
                n = n[:1].copy()
            who = np.array([base], np.int32) if one_each and len(who) > 1 else (who + base).astype(np.int32)
            yield int(v), _Written(np.ascontiguousarray(s), np.ascontiguousarray(n), who, in_place)

    def _copy(self, step: Any) -> None:
        if step.source is None or step.destination is None:
            return
        try:
            source, destination = step.source.regions(), step.destination.regions()
        except AttributeError:  # streaming memory: no tensor of the graph
            return
        s, d, n = paired(source, destination)
        if not len(s):
            return
        sources = self.graph.variable_index(s)
        before = {int(v): self._tables[int(v)] for v in np.unique(sources) if int(v) in self._tables}
        owner = self.graph.variable_index(d)
        tables = dict(self._tables)
        for v in np.unique(owner):
            mine = np.flatnonzero(owner == v)
            mine = mine[np.argsort(d[mine], kind="stable")]
            table = _Copied(d[mine], n[mine], s[mine], before)
            tables[int(v)] = self._stack(int(v), table)
        self._tables = tables

    def edges_of(self, cs: Any, reads: bool = True, writes: bool = True, every: int = 1) -> Iterator[EdgeSlice]:
        """The edges of a compute set, slice by slice; with `every`, one vertex of so many."""
        base = self.base[cs.index]
        for block in cs.blocks:
            for name, edges in block.fields.items():
                is_write = block.info.fields[name].direction == "out"
                if (writes if is_write else reads) and edges.num_edges:
                    for first, last in vertex_ranges(edges):
                        vertex, start, length = part(edges, first, last, every).runs()
                        vertex = (vertex * every + (base + first)).astype(np.int32)
                        if is_write:
                            yield EdgeSlice(cs.index, name, base, vertex, vertex, start, True)
                        else:
                            place = start + (np.asarray(length) >> 1)
                            other, place = self._writer(place, self._before[cs.index], start)
                            yield EdgeSlice(cs.index, name, base, vertex, other, place, False)
            base += int(block.n)

    def _writer(
        self, element: np.ndarray, before: dict[int, tuple], start: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Vertex that wrote each element (-1: none), and the start of the region it wrote (else: the element)."""
        vertex = np.full(len(element), -1, np.int32)
        place = element.copy()
        self._find(element, np.arange(len(element)), before, vertex, place, 0)
        return vertex, place

    def _find(self, element, rows, before, vertex, place, depth) -> None:
        if not len(element):
            return
        low, high = self.graph.variable_index(np.array([element.min(), element.max()]))
        owner = None if low == high else self.graph.variable_index(element)
        for v in (low,) if owner is None else np.unique(owner):
            if owner is None:
                mine, at = element, rows
            else:
                chosen = np.flatnonzero(owner == v)
                mine, at = element[chosen], rows[chosen]
            tables = before.get(int(v), ())
            last = self._tables.get(int(v), ())
            for table in tables if tables is last else (*tables, *last):
                if not len(mine):
                    break
                if isinstance(table, _Written):
                    found = np.full(len(mine), -1, np.int32)
                    where = np.zeros(len(mine), np.int64)
                    look_up(mine, table.start, table.length, table.vertex, found, where)
                    hit = found >= 0
                    vertex[at[hit]] = found[hit]
                    place[at[hit]] = -1 - where[hit] if table.in_place else where[hit]
                else:
                    origin = np.full(len(mine), -1, np.int64)
                    look_through(mine, table.start, table.length, table.source, origin)
                    hit = origin >= 0
                    place[at[hit]] = origin[hit]
                    if depth < MOST_COPIES:
                        self._find(origin[hit], at[hit], table.before, vertex, place, depth + 1)
                mine, at = mine[~hit], at[~hit]


def program_order(executable: Any) -> dict[int, int]:
    """Place of every compute set in the program, by index; those that no program executes come last."""
    order: dict[int, int] = {}
    for kind, at in _events(executable):
        if kind == "execute":
            order.setdefault(at, len(order))
    for cs in executable.graph.compute_sets:
        order.setdefault(cs.index, len(order))
    return order


def _events(executable: Any) -> Iterator[tuple[str, int]]:
    """Compute sets and copies in the order the programs run them first."""
    steps = executable.schedule.steps
    seen: set[int] = set()
    for program in range(len(executable.schedule.programs)):
        for i in run_order(executable, program):
            if i in seen:
                continue
            seen.add(i)
            if steps[i].kind == "execute":
                yield "execute", steps[i].compute_set
            elif steps[i].kind == "copy":
                yield "copy", i
