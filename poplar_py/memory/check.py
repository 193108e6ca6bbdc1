"""The checker: proves that no two live things of a memory plan overlap, and that the engine finds everything where it is.

Shares no code with the planner. Its own liveness works on an explicit graph of control flow in which every call has its
own copy of the function's body: a variable holds something at a point if some path from there reaches a read of it before
the whole of it is written again. Used by tests (always) and by those who ask for checks (`--check`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import InternalError
from ..graph import RemoteBuffer

_CHUNK = 1 << 16  # pairs compared at a time
MOST_ENTITIES = 8000  # for which a table of pairs is made
_HELD = (
    "vertex_state",
    "vertex_code",
    "control_code",
    "exchange_code",
    "stacks",
)  # below everything that has an address


class _Flow:
    """Control flow: points with the points that may come next; `step` is the static superstep of a point, or -1."""

    def __init__(self, schedule: Any):
        self.functions = schedule.functions
        self.step: list[int] = []
        self.next: list[list[int]] = []
        self.begins = [self.walk(tree, self.point()) for tree in schedule.programs]

    def point(self, step: int = -1, *after: int) -> int:
        self.step.append(step)
        self.next.append(list(after))
        return len(self.step) - 1

    def walk(self, tree: Sequence[Any], after: int) -> int:
        """Add `tree` so that it continues at `after`; returns where it begins."""
        kind = tree[0]
        if kind == "step":
            return self.point(tree[1], after)
        if kind == "seq":
            for child in reversed(tree[1]):
                after = self.walk(child, after)
            return after
        if kind == "repeat":
            turn = self.point(-1, after)
            first = self.walk(tree[2], turn)
            self.next[turn].append(first)
            return first if tree[1] else after
        if kind == "while":
            test = self.point(tree[3], after)
            begin = self.walk(tree[2], test)
            self.next[test].append(self.walk(tree[4], begin))
            return begin
        if kind in ("if", "switch"):
            branches = tree[2:] if kind == "if" else [*(c for _, c in tree[2]), tree[3]]
            return self.point(tree[1], *[self.walk(branch, after) for branch in branches])
        return self.walk(self.functions[tree[1]], after)


def lifetimes(executable: Any) -> np.ndarray:
    """alive[step, variable] by this module's own analysis; always-live ones are alive everywhere."""
    graph, schedule = executable.graph, executable.schedule
    flow = _Flow(schedule)
    effects = _effects(graph, schedule)
    reads, writes, fills = zip(*[effects[s] if s >= 0 else (0, 0, 0) for s in flow.step], strict=True)
    before: list[list[int]] = [[] for _ in flow.step]
    for a, successors in enumerate(flow.next):
        for b in successors:
            before[b].append(a)
    wanted, left = list(reads), [0] * len(reads)  # variables whose contents are wanted before and after a point
    waiting = [p for p in range(len(reads)) if reads[p]]
    while waiting:
        p = waiting.pop()
        for a in before[p]:
            if wanted[p] & ~left[a]:
                left[a] |= wanted[p]
                more = reads[a] | (left[a] & ~fills[a])
                if more != wanted[a]:
                    wanted[a] = more
                    waiting.append(a)
    held = [0] * len(schedule.steps)
    for p, s in enumerate(flow.step):
        if s >= 0:
            held[s] |= wanted[p] | left[p] | writes[p]
    count = len(graph.variables)
    alive = np.array([_members(h, count) for h in held], bool).reshape(len(held), count)
    always = np.array([v.is_constant or v.data is not None for v in graph.variables], bool)
    for tensor in [*graph.host_reads.values(), *graph.host_writes.values()]:
        if not isinstance(tensor, RemoteBuffer):
            always |= _elements(graph, tensor) > 0
    for begin in flow.begins:
        always |= _members(wanted[begin], count)
    return alive | always


def _members(numbers: int, count: int) -> np.ndarray:
    text = bin(numbers)[:1:-1].encode()
    found = np.frombuffer(text, np.uint8) == ord("1")
    return np.pad(found, (0, max(count - len(found), 0)))[:count]


def _numbers(members: np.ndarray) -> int:
    return sum(1 << int(v) for v in np.flatnonzero(members))


def _elements(graph: Any, tensor: Any) -> np.ndarray:
    """How many elements of each variable a tensor has."""
    start, length = tensor.regions()
    owner = graph.variable_index(np.asarray(start))
    return np.bincount(owner, weights=length, minlength=len(graph.variables)).astype(np.int64)


def _effects(graph: Any, schedule: Any) -> list[tuple[int, int, int]]:
    """(reads, writes, fills) of every static superstep: sets of variables, a bit each; fills are written whole."""
    size = np.array([v.size for v in graph.variables], np.int64)
    known: dict[int, tuple[int, int, int]] = {}
    found = []
    for step in schedule.steps:
        if step.kind == "execute":
            if step.compute_set not in known:
                known[step.compute_set] = _vertices(graph, step.compute_set, size)
            found.append(known[step.compute_set])
            continue
        reads = np.zeros(len(size), bool)
        for tensor in (step.source, step.offset):
            if tensor is not None:
                reads |= _elements(graph, tensor) > 0
        written = np.zeros(len(size), np.int64) if step.destination is None else _elements(graph, step.destination)
        twice = step.destination is not None and step.destination.contains_aliases
        fills = (written == size) & (written > 0) & ~reads & (not twice)
        found.append((_numbers(reads), _numbers(written > 0), _numbers(fills)))
    return found


def _vertices(graph: Any, compute_set: int, size: np.ndarray) -> tuple[int, int, int]:
    reads, writes = np.zeros(len(size), bool), np.zeros(len(size), bool)
    written = np.zeros(len(size), np.int64)
    for block in graph.compute_sets[compute_set].blocks:
        for name, edges in block.fields.items():
            field = block.info.fields[name]
            _, start, length = edges.runs()
            owner = graph.variable_index(start)
            touched = np.bincount(owner, weights=length, minlength=len(size)).astype(np.int64)
            if field.direction != "out" or field.partial:
                reads |= touched > 0
            if field.direction != "in":
                writes |= touched > 0
            if field.direction == "out" and not field.partial:
                written += touched
    return _numbers(reads), _numbers(writes), _numbers((written > 0) & (written >= size) & ~reads)


def check_memory(executable: Any) -> int:
    """Raise InternalError where two things alive in one superstep share a byte, or something has no place, or another
    one than the engine uses; returns how many pairs of neighbours were compared."""
    alive = np.concatenate([lifetimes(executable), area_lifetimes(executable)], axis=1)
    compared = _apart(executable, alive)
    _complete(executable, alive)
    _adds_up(executable)
    return compared


def _apart(executable: Any, alive: np.ndarray) -> int:
    """No two live things share a byte; returns how many pairs were compared."""
    plan = executable.memory
    meets = _Meets(alive)
    order = np.lexsort((plan.thing_address, plan.thing_tile))
    tile, entity = plan.thing_tile[order], plan.thing_entity[order]
    begin, end = plan.thing_address[order], (plan.thing_address + plan.thing_bytes)[order]
    compared, apart, near = 0, 0, np.arange(len(order))
    while len(near):
        apart += 1
        near = near[near + apart < len(order)]
        # sorted by address: what begins behind a thing's end is followed by nothing that meets it
        near = near[(tile[near + apart] == tile[near]) & (begin[near + apart] < end[near])]
        compared += len(near)
        both = meets(entity[near], entity[near + apart])
        if both.any():
            i = int(near[np.flatnonzero(both)[0]])
            a, b = int(entity[i]), int(entity[i + apart])
            step = int(np.flatnonzero(alive[:, a] & alive[:, b])[0])
            raise InternalError(
                f"memory plan of {executable.name}: on tile {tile[i]} {plan.names[a]} at [{begin[i]}, {end[i]}) and"
                f" {plan.names[b]} at [{begin[i + apart]}, {end[i + apart]}) live at once, in superstep {step}"
                f" ({executable.steps[step].name})"
            )
    return compared


class _Meets:
    """Whether two entities are alive in one superstep; a table of all pairs where there are not too many."""

    def __init__(self, alive: np.ndarray):
        count = alive.shape[1]
        self.rows = np.packbits(alive, axis=0).T.copy()
        self.table: np.ndarray | None = None
        if count <= MOST_ENTITIES:
            lives = alive.astype(np.float32)
            self.table = np.asarray(lives.T @ lives > 0)

    def __call__(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        if self.table is not None:
            return np.asarray(self.table)[a, b]
        parts = range(0, len(a), _CHUNK)
        found = [(self.rows[a[k : k + _CHUNK]] & self.rows[b[k : k + _CHUNK]]).any(axis=1) for k in parts]
        return np.concatenate(found) if found else np.zeros(0, bool)


def area_lifetimes(executable: Any) -> np.ndarray:
    """alive[step, area]: an area lives in the supersteps that use it."""
    areas = np.zeros((len(executable.schedule.steps), len(executable.memory.area_names)), bool)
    for step in executable.schedule.steps:
        used = executable.copies[step.index].area if step.index in executable.copies else -1
        if step.kind == "execute":
            used = executable.route_area[step.compute_set]
        if used >= 0:
            areas[step.index, used] = True
    return areas


def _complete(executable: Any, alive: np.ndarray) -> None:
    """Everything that lives has one place on every tile that holds part of it, where the engine looks for it, as large as
    it is, above code and state and below the tile's end."""
    plan, layout = executable.memory, executable.layout
    name = f"memory plan of {executable.name}"
    tiles, count = len(plan.tile_bytes), len(executable.graph.variables)
    placed = plan.thing_entity * tiles + plan.thing_tile
    if len(np.unique(placed)) != len(placed):
        raise InternalError(f"{name}: a thing has two places on one tile")
    area, area_tile = np.nonzero(plan.area_bytes)
    key = np.concatenate([layout.fragment_variable * tiles + layout.fragment_tile, (count + area) * tiles + area_tile])
    fragment_bytes = layout.fragment_elements * layout.element_bytes[layout.fragment_variable]
    size = np.concatenate([fragment_bytes, plan.area_bytes[area, area_tile]])
    address = np.concatenate([plan.fragment_address, plan.area_address[area, area_tile]])
    wanted = (size > 0) & np.asarray(alive.any(axis=0))[key // tiles]
    key, size, address = key[wanted], size[wanted], address[wanted]
    order = np.argsort(placed)
    at = np.minimum(np.searchsorted(placed[order], key), max(len(placed) - 1, 0))
    missing = (placed[order][at] != key) if len(placed) else np.ones(len(key), bool)
    if missing.any():
        entity, tile = divmod(int(key[np.flatnonzero(missing)[0]]), tiles)
        raise InternalError(f"{name}: {plan.names[entity]} has no place on tile {tile}")
    row = order[at]
    for wrong, what in (
        (plan.thing_bytes[row] < size, "is larger than its place"),
        (plan.thing_address[row] != address, "is not where the engine looks for it"),
    ):
        if wrong.any():
            entity, tile = divmod(int(key[np.flatnonzero(wrong)[0]]), tiles)
            raise InternalError(f"{name}: {plan.names[entity]} {what} on tile {tile}")
    if (plan.thing_address % 8).any():
        raise InternalError(
            f"{name}: {plan.names[plan.thing_entity[np.argmax(plan.thing_address % 8)]]} is not aligned"
        )
    held = np.sum([plan.by_category[c] for c in _HELD], axis=0)
    if (plan.thing_address < held[plan.thing_tile]).any():
        raise InternalError(f"{name}: a thing lies in code or state")
    if (plan.thing_address + plan.thing_bytes > plan.tile_bytes[plan.thing_tile]).any():
        raise InternalError(f"{name}: a thing ends above its tile's bytes")


def _adds_up(executable: Any) -> None:
    plan = executable.memory
    if not np.array_equal(np.sum(list(plan.by_category.values()), axis=0), plan.tile_bytes):
        raise InternalError(f"memory plan of {executable.name}: categories do not add up to the tiles' bytes")
    if min(int(column.min(initial=0)) for column in plan.by_category.values()) < 0:
        raise InternalError(f"memory plan of {executable.name}: a category has negative bytes")
