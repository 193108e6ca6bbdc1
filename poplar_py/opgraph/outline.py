"""Outlining: what repeats in an op graph, found by its structure.

A *window* is a run of consecutive ops. Two windows are alike where their ops have the same kinds, phases, attributes and
operand types, and every operand comes from the same place: from the op as many places before, or from outside the
window in both, the same operands being one value in both. Operands by whose places sums go, directly or through what is
laid out like them, must have the same form (lying.py): results are then the same bits with bodies and without, whichever
bodies there are. Windows alike can share one body, lowered once and called for each with its own arguments. All windows
are hashed at once, length by length; of the sets of windows that are alike, those are chosen first that save most, until
nothing is left that saves more than the copies of its arguments and results cost.

Ops that change their operands, draw random numbers (keyed by their own path) or lay out operands for other ops stay
where they are. So do ops that repeat one of the forward phase (recompute.py).
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from .graph import OpGraph
from .lying import Lying
from .op import Op, Value

LONGEST = 96  # ops of a window
SMALL = 1 << 12  # elements: ops on less than this are a few vertices
NEVER = {"dropout", "constant", "increment"}
STATIONARY = {"matmul"}  # training keeps the weights of these where their forward product put them
COPY_BYTES = 8  # that a tile copies in a cycle (hardware notes, 3.10)
MOVE_CYCLES = 250  # of a superstep that copies little


@dataclass(eq=False)
class Body:
    """Windows that are alike: `starts` in the order of the ops, each `length` ops long."""

    starts: list[int]
    length: int
    saved: float = 0.0


def find_bodies(g: OpGraph, num_tiles: int, least: float = 0.0) -> list[Body]:
    """Sets of windows worth a body each; no op is in two. `least` is what a body must save, in vertices' worth."""
    table = _Table(g, num_tiles)
    heap: list[tuple[float, int, Body]] = []
    for number, body in enumerate(table.candidates()):
        heapq.heappush(heap, (-body.saved, number, body))
    taken = [False] * len(g.ops)
    chosen: list[Body] = []
    while heap:
        _saved, number, body = heapq.heappop(heap)
        starts = _apart(body, taken)
        if len(starts) < 2:
            continue
        now = table.saved(starts, body.length)
        if now <= least:
            continue
        body = Body(starts, body.length, now)
        if heap and -heap[0][0] > now:  # others save more by now
            heapq.heappush(heap, (-now, number, body))
            continue
        for start in starts:
            taken[start : start + body.length] = [True] * body.length
        chosen.append(body)
    return sorted(chosen, key=lambda b: b.starts[0])


def _apart(body: Body, taken: list[bool]) -> list[int]:
    """Windows of the body that are free and do not overlap."""
    starts: list[int] = []
    for start in body.starts:
        if (not starts or start >= starts[-1] + body.length) and not any(taken[start : start + body.length]):
            starts.append(start)
    return starts


class _Table:
    """What every op is to those that look for repetition."""

    def __init__(self, g: OpGraph, num_tiles: int):
        self.g = g
        self.tiles = num_tiles
        self.place = {op: i for i, op in enumerate(g.ops)}
        self.again = g.info.get("recompute", {}).get("ops", {})
        self.training = any(op.phase != "forward" for op in g.ops)
        self.last_use: dict[Value, int] = {}
        for i, op in enumerate(g.ops):
            self.last_use |= dict.fromkeys(op.inputs, i)
        self.last_use |= dict.fromkeys(g.outputs.values(), len(g.ops))
        ids: dict[Any, int] = {}
        self.lying = Lying(g, _described)
        self.movable = [self._movable(op) for op in g.ops]
        self.distances = [self._distances(i, op) for i, op in enumerate(g.ops)]
        self.key = [ids.setdefault(self._key(op), len(ids)) for op in g.ops]
        self.work = [_vertices(op, num_tiles) for op in g.ops]

    def _movable(self, op: Op) -> bool:
        if op.updates or op.kind in NEVER or (op.kind in STATIONARY and self.training) or op.name in self.again:
            return False
        if self.lying.adds_a_view(op):
            return False
        return all(v.size for v in (*op.inputs, *op.outputs))

    def _distances(self, i: int, op: Op) -> tuple[tuple[int, int], ...]:
        """For every operand how many ops before it is made (0: not by an op), and which of the outputs it is."""
        found = []
        for v in op.inputs:
            made = v.op
            found.append((0, 0) if made is None else (i - self.place[made], made.outputs.index(v)))
        return tuple(found)

    def _key(self, op: Op) -> Any:
        return op.phase == "forward", _described(op), self.lying.forms_that_matter(op)

    def candidates(self) -> Iterable[Body]:
        """All sets of two or more windows that are alike and do not overlap."""
        n = len(self.g.ops)
        hashes = [0] * n
        ids: dict[Any, int] = {}
        alive = [self.movable[i] for i in range(n)]
        outside: list[dict[Value, int]] = [
            {} for _ in range(n)
        ]  # of every window: what it reads from outside, numbered
        for length in range(1, min(LONGEST, n) + 1):
            groups: dict[int, list[int]] = {}
            for i in range(n - length + 1):
                last = i + length - 1
                if not alive[i] or not self.movable[last] or self.key_phase(i) != self.key_phase(last):
                    alive[i] = False
                    continue
                wiring = tuple(
                    d if 0 < d[0] <= length - 1 else (0, outside[i].setdefault(v, len(outside[i])))
                    for d, v in zip(self.distances[last], self.g.ops[last].inputs, strict=True)
                )
                step = ids.setdefault((hashes[i], self.key[last], wiring), len(ids) + 1)
                hashes[i] = step
                groups.setdefault(step, []).append(i)
            more = False
            for starts in groups.values():
                if len(starts) < 2:
                    alive[starts[0]] = False  # a longer window from here is alone too
                    continue
                more = True
                apart = _apart(Body(starts, length), [False] * n)
                if len(apart) > 1:
                    saved = self.saved(apart, length)
                    if saved > 0:
                        yield Body(starts, length, saved)
            if not more:
                return

    def key_phase(self, i: int) -> bool:
        return self.g.ops[i].phase == "forward"

    def saved(self, starts: list[int], length: int) -> float:
        """Vertices that all calls but one spare, less those that would pass in the time its copies take; nothing where
        copying takes longer than the ops themselves."""
        start = starts[0]
        work = sum(self.work[start : start + length])
        slots = arguments(self.g, starts, length)
        moved = sum(slot[0].size * slot[0].dtype.size for slot in slots if any(v is not slot[0] for v in slot))
        copies = sum(1 for slot in slots if any(v is not slot[0] for v in slot))
        results = results_used(self.g, self.last_use, starts, length)
        values = list(window_values(self.g, start, length))
        moved += sum(values[r].size * values[r].dtype.size for r in results)
        copies += len(results)
        time = sum(_cycles(op, self.tiles) for op in self.g.ops[start : start + length])
        if copies * MOVE_CYCLES + moved / (COPY_BYTES * self.tiles) > time:
            return 0.0
        return (len(starts) - 1) * work - len(starts) * copies


def window_values(g: OpGraph, start: int, length: int) -> Iterable[Value]:
    """Everything a window makes, in order."""
    for op in g.ops[start : start + length]:
        yield from op.outputs


def arguments(g: OpGraph, starts: list[int], length: int) -> list[tuple[Value, ...]]:
    """What windows read from outside, each distinct combination once: a value a window."""
    seen: dict[tuple[Value, ...], None] = {}
    inside = [set(window_values(g, start, length)) for start in starts]
    for k in range(length):
        operands = zip(*(g.ops[start + k].inputs for start in starts), strict=True)
        for slot in operands:
            if slot[0] not in inside[0]:
                seen.setdefault(tuple(slot), None)
    return list(seen)


def results_used(g: OpGraph, last_use: dict[Value, int], starts: list[int], length: int) -> list[int]:
    """Which of the values that windows make are read after some window's end, by their number in the window."""
    used: set[int] = set()
    for start in starts:
        end = start + length
        used |= {i for i, v in enumerate(window_values(g, start, length)) if last_use.get(v, -1) >= end}
    return sorted(used)


def _described(op: Op) -> Any:
    """An op but for its name, phase and operands: kind, attributes, which operands it has and their types."""
    operands = tuple(len(o) if isinstance(o, tuple) else o is not None for o in op.operands)
    attributes = tuple((name, _frozen(value)) for name, value in sorted(op.attributes.items()))
    return op.kind, attributes, operands, tuple((v.dtype.name, v.shape) for v in op.inputs)


def _frozen(value: Any) -> Any:
    if hasattr(value, "tobytes"):
        return value.tobytes(), value.shape
    return tuple(value) if isinstance(value, list) else value


def _vertices(op: Op, tiles: int) -> float:
    """About how many vertices an op becomes."""
    most = max((v.size for v in (*op.outputs, *op.inputs)), default=0)
    if op.kind in ("reshape", "identity", "transpose", "broadcast_to", "slice"):
        return 0.0
    return min(most / 16, 6.0 * tiles) if most >= SMALL else 1.0


def _cycles(op: Op, tiles: int) -> float:
    """About how many cycles an op takes."""
    most = max((v.size for v in (*op.outputs, *op.inputs)), default=0)
    macs = getattr(getattr(op, "params", None), "macs", 0)
    return 300 + 3 * most / tiles + macs / (16 * tiles) + (4000 if macs else 0)
