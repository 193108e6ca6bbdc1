"""Races: two vertices of a compute set that write one element, or one that writes and another that reads it.

In: the blocks of a compute set.  Out: nothing, or GraphProgramCompilationError naming the two vertices and the
element. One vertex may name a region in two fields only as the exact same InOut.
"""

from __future__ import annotations

import numpy as np

from ..errors import GraphProgramCompilationError
from ..graph import Block, Graph
from ..program.supersteps import Schedule


def check_all_races(graph: Graph, schedule: Schedule) -> str:
    """Check every compute set that some program executes; returns what was checked, as text."""
    executed = sorted({s.compute_set for s in schedule.steps if s.kind == "execute"})
    for i in executed:
        check_races(graph, graph.compute_sets[i].name, graph.compute_sets[i].blocks)
    return f"no races in {len(executed)} compute sets\n"


def check_races(graph: Graph, name: str, blocks: list[Block]) -> None:
    """Raise GraphProgramCompilationError if the compute set `name` has a race or writes a constant."""
    writes: list[tuple] = []
    reads: list[tuple] = []
    for number, block in enumerate(blocks):
        for field_number, (name_of_field, edges) in enumerate(block.fields.items()):
            direction = block.info.fields[name_of_field].direction
            entry = (number, field_number, name_of_field, direction, edges)
            (reads if direction == "in" else writes).append(entry)
    if not writes:
        return
    start, stop, vertex, field, inout = _columns(blocks, writes)
    if not len(start):
        return
    _no_constants(graph, name, start, stop)
    order = np.arange(len(start)) if (start[1:] >= start[:-1]).all() else np.argsort(start, kind="stable")
    start, stop, vertex, field, inout = (c[order] for c in (start, stop, vertex, field, inout))
    reach = np.maximum.accumulate(stop)
    clash = np.flatnonzero(start[1:] < reach[:-1])
    if len(clash):
        same = (
            (vertex[clash] == vertex[clash + 1])
            & (start[clash] == start[clash + 1])
            & (stop[clash] == stop[clash + 1])
            & inout[clash]
            & inout[clash + 1]
        )
        if not same.all():
            later = int(clash[np.flatnonzero(~same)[0]]) + 1
            other = later - 1
            while stop[other] <= start[later]:
                other -= 1
            _report(
                graph,
                name,
                blocks,
                "write",
                (vertex[other], field[other]),
                (vertex[later], field[later]),
                int(start[later]),
            )
    lowest, highest = int(start[0]), int(reach[-1])
    for entry in reads:
        edges = entry[4]
        if not edges.is_scattered and edges.n and edges.num_edges:
            low = int(edges.start.min())
            span = int(np.max(np.maximum(np.asarray(edges.rows) - 1, 0) * np.asarray(edges.stride) + edges.cols))
            if int(edges.start.max()) + span <= lowest or low >= highest:
                continue
        r_start, r_stop, r_vertex, r_field, _ = _columns(blocks, [entry])
        at = np.searchsorted(start, r_stop, side="left") - 1  # last write that starts before the read ends
        hit = (at >= 0) & (reach[np.maximum(at, 0)] > r_start)
        if hit.any():
            i = int(np.flatnonzero(hit)[0])
            other = int(at[i])
            while stop[other] <= r_start[i]:
                other -= 1
            element = max(int(r_start[i]), int(start[other]))
            _report(graph, name, blocks, "read", (vertex[other], field[other]), (r_vertex[i], r_field[i]), element)


def _columns(blocks: list[Block], entries: list[tuple]) -> tuple[np.ndarray, ...]:
    first = np.cumsum([0] + [b.n for b in blocks])
    starts, stops, vertices, fields, inouts = [], [], [], [], []
    for number, field_number, _, direction, edges in entries:
        v, s, n = edges.runs()
        starts.append(s)
        stops.append(s + n)
        vertices.append(v + first[number])
        fields.append(np.full(len(v), field_number))
        inouts.append(np.full(len(v), direction == "inout"))
    return tuple(np.concatenate(c) for c in (starts, stops, vertices, fields, inouts))


def _no_constants(graph: Graph, name: str, start: np.ndarray, stop: np.ndarray) -> None:
    for v in graph.variables:
        if v.is_constant and v.size:
            hit = (start < v.base + v.size) & (stop > v.base)
            if hit.any():
                raise GraphProgramCompilationError(f"{name}: a vertex writes the constant {v.name}")


def _locate(blocks: list[Block], vertex: int, field: int) -> str:
    for block in blocks:
        if vertex < block.n:
            public = int(block.index[vertex])
            return (
                f"vertex {public} ({block.codelet}.{list(block.fields)[int(field)]}) on tile {int(block.tile[vertex])}"
            )
        vertex -= block.n
    return f"vertex {vertex}"


def _report(graph: Graph, name: str, blocks: list[Block], how: str, one: tuple, two: tuple, element: int) -> None:
    a, b = _locate(blocks, int(one[0]), one[1]), _locate(blocks, int(two[0]), two[1])
    verb = "both write" if how == "write" else "write and read"
    raise GraphProgramCompilationError(
        f"{name}: {a} and {b} {verb} {graph.describe(np.array([element]))} in one compute set;"
        " put them in two compute sets or give each its own elements"
    )
