"""The checker: proves that no two live things of a memory plan overlap.

Shares no code with the planner. Its own liveness works on an explicit graph of control flow, one variable at a time:
a variable holds something at a point if some path from there reaches a read of it before the whole of it is written
again. Used by tests and by those who ask for checks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import InternalError
from ..graph import RemoteBuffer


class _Flow:
    """Control flow as successor lists; points below `steps` are static supersteps, the others join paths."""

    def __init__(self, schedule: Any):
        self.next: list[list[int]] = [[] for _ in schedule.steps]
        self.doors = [(self.point(), self.point()) for _ in schedule.functions]
        for (door, exit_), tree in zip(self.doors, schedule.functions, strict=True):
            self.join(door, self.walk(tree, exit_))
        self.ends = []
        for tree in schedule.programs:
            end = self.point()
            self.ends.append((self.walk(tree, end), end))

    def point(self) -> int:
        self.next.append([])
        return len(self.next) - 1

    def join(self, a: int, b: int) -> None:
        self.next[a].append(b)

    def walk(self, tree: Sequence[Any], after: int) -> int:
        """Add `tree` so that it continues at `after`; returns where it begins."""
        kind = tree[0]
        if kind == "step":
            self.join(tree[1], after)
            return tree[1]
        if kind == "seq":
            for child in reversed(tree[1]):
                after = self.walk(child, after)
            return after
        if kind == "repeat":
            turn = self.point()
            first = self.walk(tree[2], turn)
            self.join(turn, after)
            self.join(turn, first)
            return first if tree[1] else after
        if kind == "while":
            test = tree[3]
            begin = self.walk(tree[2], test)
            self.join(test, after)
            self.join(test, self.walk(tree[4], begin))
            return begin
        if kind in ("if", "switch"):
            branches = tree[2:] if kind == "if" else [*(c for _, c in tree[2]), tree[3]]
            for branch in branches:
                self.join(tree[1], self.walk(branch, after))
            return tree[1]
        door, exit_ = self.doors[tree[1]]
        self.join(exit_, after)
        return door


def lifetimes(executable: Any) -> np.ndarray:
    """alive[step, variable] by this module's own analysis; always-live ones are alive everywhere."""
    graph, schedule = executable.graph, executable.schedule
    flow = _Flow(schedule)
    points, steps, variables = len(flow.next), len(schedule.steps), len(graph.variables)
    reads, writes, fills = (np.zeros((points, variables), bool) for _ in range(3))
    for step in schedule.steps:
        for tensor, table in ((step.source, reads), (step.offset, reads), (step.destination, writes)):
            if tensor is not None:
                owner = graph.variable_index(np.unique(tensor.index))
                table[step.index, owner] = True
                if table is writes:
                    count = np.bincount(owner, minlength=variables)
                    fills[step.index] |= count == np.array([v.size for v in graph.variables])
        if step.kind == "execute":
            _vertices(graph, step, reads[step.index], writes[step.index], fills[step.index])
    fills &= ~reads & writes
    live_before = reads.copy()
    live_after = np.zeros_like(reads)
    before: list[list[int]] = [[] for _ in range(points)]
    for a, successors in enumerate(flow.next):
        for b in successors:
            before[b].append(a)
    waiting = list(range(points))
    while waiting:
        p = waiting.pop()
        for a in before[p]:
            merged = live_after[a] | live_before[p]
            if (merged != live_after[a]).any():
                live_after[a] = merged
                live_before[a] = reads[a] | (merged & ~fills[a])
                waiting.append(a)
    alive = (live_before | live_after | writes)[:steps]
    always = np.array([v.is_constant or v.data is not None for v in graph.variables], bool)
    for tensor in [*graph.host_reads.values(), *graph.host_writes.values()]:
        if isinstance(tensor, RemoteBuffer):
            continue
        always[graph.variable_index(np.unique(tensor.index))] = True
    for begin, _ in flow.ends:
        always |= live_before[begin]
    return alive | always


def _vertices(graph: Any, step: Any, reads: np.ndarray, writes: np.ndarray, fills: np.ndarray) -> None:
    written = np.zeros(len(graph.variables), np.int64)
    for block in graph.compute_sets[step.compute_set].blocks:
        for name, edges in block.fields.items():
            field = block.info.fields[name]
            _, start, length = edges.runs()
            owner = graph.variable_index(start)
            if field.direction != "out" or field.partial:
                reads[owner] = True
            if field.direction != "in":
                writes[owner] = True
            if field.direction == "out" and not field.partial:
                written += np.bincount(owner, weights=length, minlength=len(written)).astype(np.int64)
    fills |= (written > 0) & (written >= np.array([v.size for v in graph.variables]))


def check_memory(executable: Any) -> int:
    """Raise InternalError if two things alive in one superstep share a byte; returns how many pairs were compared."""
    plan, graph = executable.memory, executable.graph
    alive = lifetimes(executable)
    count, steps = len(graph.variables), alive.shape[0]
    areas = np.zeros((steps, len(plan.area_names)), bool)
    for compute_set, area in executable.route_area.items():
        if area >= 0:
            areas[[s.index for s in executable.schedule.steps if s.compute_set == compute_set], area] = True
    for step, copy in executable.copies.items():
        if copy.area >= 0:
            areas[step, copy.area] = True
    alive = np.concatenate([alive, areas], axis=1)
    _complete(executable, alive, count)
    order = np.lexsort((plan.thing_address, plan.thing_tile))
    tile, entity = plan.thing_tile[order], plan.thing_entity[order]
    begin, end = plan.thing_address[order], plan.thing_address[order] + plan.thing_bytes[order]
    compared = 0
    for apart in range(1, len(order)):
        near = (tile[apart:] == tile[:-apart]) & (begin[apart:] < end[:-apart])
        compared += int(near.sum())
        if not (tile[apart:] == tile[:-apart]).any():
            break
        pairs = np.flatnonzero(near)
        if steps and len(pairs):
            both = np.asarray(alive[:, entity[pairs]] & alive[:, entity[pairs + apart]]).any(axis=0)
            if both.any():
                i = int(pairs[np.flatnonzero(both)[0]])
                raise InternalError(
                    f"memory plan of {executable.name}: on tile {tile[i]} {plan.names[entity[i]]} at"
                    f" [{begin[i]}, {end[i]}) and {plan.names[entity[i + apart]]} at"
                    f" [{begin[i + apart]}, {end[i + apart]}) live at once"
                )
    return compared


def _complete(executable: Any, alive: np.ndarray, count: int) -> None:
    """Everything that lives has a place on every tile that holds part of it, inside what the plan calls used."""
    plan, layout = executable.memory, executable.layout
    placed = set(zip(plan.thing_entity.tolist(), plan.thing_tile.tolist(), strict=True))
    lives = alive.any(axis=0)
    for v, t, n in zip(layout.fragment_variable, layout.fragment_tile, layout.fragment_elements, strict=True):
        if n and lives[v] and (int(v), int(t)) not in placed:
            raise InternalError(f"memory plan of {executable.name}: {plan.names[v]} has no place on tile {t}")
    for area, tile in zip(*np.nonzero(plan.area_bytes), strict=True):
        if (count + int(area), int(tile)) not in placed:
            raise InternalError(
                f"memory plan of {executable.name}: {plan.area_names[area]} has no place on tile {tile}"
            )
    if (plan.thing_address + plan.thing_bytes > plan.tile_bytes[plan.thing_tile]).any():
        raise InternalError(f"memory plan of {executable.name}: a thing ends above its tile's bytes")
    total = np.sum(list(plan.by_category.values()), axis=0)
    if not np.array_equal(total, plan.tile_bytes):
        raise InternalError(f"memory plan of {executable.name}: categories do not add up to the tiles' bytes")
