"""Liveness: in which static supersteps each variable's bytes must survive.

In: the schedule and what each superstep reads and writes.  Out: for every superstep the set of variables alive
during it, as rows of a bit matrix, and which variables are always live. Sets of variables are Python integers with a
bit each. A function's body is numbered once: what is live after any of its calls is live through its body. A partial or
conditional write ends nothing; host-visible variables, constants, variables with initial values, and whatever a
program may read before it writes are always live.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..graph import Edges, Graph, Tensor
from ..graph.text import ranges
from ..program.supersteps import Schedule, Superstep, Tree


@dataclass
class Liveness:
    """alive[s, v]: variable v holds bytes during superstep s; after[s, v]: still when s has ended. always[v]: from load
    to the end."""

    alive: np.ndarray
    after: np.ndarray
    always: np.ndarray
    reads: list[int]
    writes: list[int]  # any element
    kills: list[int]  # every element

    def text(self) -> str:
        """A line a variable: always live, or the static supersteps it is alive in."""
        lines = ["liveness"]
        for v in range(self.alive.shape[1]):
            steps = ranges(np.flatnonzero(self.alive[:, v]))
            lines.append(f"  variable {v}: {'always' if self.always[v] else steps}")
        return "\n".join(lines) + "\n"


def _bits(tensor: Tensor) -> int:
    mask = 0
    for v in tensor.variables():
        mask |= 1 << v.index
    return mask


def _covers(tensor: Tensor) -> int:
    """Variables of which the tensor has every element."""
    mask = 0
    start, length = tensor.regions()
    if len(start) == 1:
        for v in tensor.variables():
            if start[0] <= v.base and v.base + v.size <= start[0] + length[0]:
                mask |= 1 << v.index
        return mask
    there = np.bincount(tensor.graph.variable_index(start), weights=length)
    for v in tensor.variables():
        if there[v.index] == v.size and not tensor.contains_aliases:
            mask |= 1 << v.index
    return mask


class _Facts:
    """What a superstep reads, writes and wholly overwrites, as bit sets."""

    def __init__(self, graph: Graph):
        self.graph = graph
        self.by_compute_set: dict[int, tuple[int, int, int]] = {}

    def of(self, step: Superstep) -> tuple[int, int, int]:
        if step.kind == "execute":
            if step.compute_set not in self.by_compute_set:
                self.by_compute_set[step.compute_set] = self._compute_set(step.compute_set)
            return self.by_compute_set[step.compute_set]
        reads = _bits(step.source) if step.source is not None else 0
        reads |= _bits(step.offset) if step.offset is not None else 0
        if step.destination is None:
            return reads, 0, 0
        return reads, _bits(step.destination), _covers(step.destination)

    def _compute_set(self, index: int) -> tuple[int, int, int]:
        reads = writes = 0
        written: dict[int, int] = {}
        for block in self.graph.compute_sets[index].blocks:
            for name, edges in block.fields.items():
                field = block.info.fields[name]
                touched, amount = self._touched(edges)
                mask = sum(1 << int(i) for i in touched)
                if field.direction != "out" or field.partial:
                    reads |= mask
                if field.direction != "in":
                    writes |= mask
                if field.direction == "out" and not field.partial:
                    for i, n in zip(touched, amount, strict=True):  # no element twice: races are checked before
                        written[int(i)] = written.get(int(i), 0) + int(n)
        kills = sum(1 << i for i, n in written.items() if n >= self.graph.variables[i].size)
        return reads, writes, kills & ~reads

    def _touched(self, edges: Edges) -> tuple[np.ndarray, np.ndarray]:
        """Variables that edges reach, and how many elements of each."""
        if not edges.num_edges:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        if not edges.is_scattered:
            lowest, highest = edges.start.min(), edges.start.max()
            ends = self.graph.variable_index(np.array([lowest, highest]))
            rows, cols = np.asarray(edges.rows, np.int64), np.asarray(edges.cols, np.int64)
            if ends[0] == ends[1]:  # a run never leaves its variable
                each = rows * cols
                return ends[:1], np.array([int(each) * edges.n if each.ndim == 0 else int(each.sum())])
        _, start, length = edges.runs()
        amount = np.bincount(self.graph.variable_index(start), weights=length)
        touched = np.flatnonzero(amount)
        return touched, amount[touched]


def find_liveness(graph: Graph, schedule: Schedule) -> Liveness:
    """Backward dataflow over the control trees until nothing changes."""
    facts = _Facts(graph)
    steps = [facts.of(s) for s in schedule.steps]
    reads, writes, kills = (list(c) for c in zip(*steps, strict=True)) if steps else ([], [], [])
    flow = _Flow(reads, writes, kills, schedule.functions)
    entry = 0
    while flow.changed:
        flow.changed = False
        for tree in schedule.programs:
            entry |= flow.back(tree, 0)
        for i, tree in enumerate(schedule.functions):
            flow.back(tree, flow.after_call[i])
    always = entry
    for v in graph.variables:
        if v.is_constant or v.data is not None:
            always |= 1 << v.index
    for tensor in [*graph.host_writes.values(), *graph.host_reads.values()]:
        always |= _bits(tensor)
    count = len(graph.variables)
    alive = np.zeros((len(steps), count), bool)
    after = np.zeros((len(steps), count), bool)
    for s in range(len(steps)):
        alive[s] = _row(flow.during[s] | always, count)
        after[s] = _row(flow.after[s] | always, count)
    return Liveness(alive, after, _row(always, count), reads, writes, kills)


def _row(mask: int, count: int) -> np.ndarray:
    raw = np.frombuffer(mask.to_bytes((count + 7) // 8 or 1, "little"), np.uint8)
    return np.unpackbits(raw, bitorder="little")[:count].astype(bool)


class _Flow:
    """What is live, walking backward. A call maps what is live after it to what is live before it by its function's
    summary, so that what one call is followed by says nothing of what another call is preceded by; inside the body
    what is live after any call counts."""

    def __init__(self, reads: list[int], writes: list[int], kills: list[int], functions: list[Tree]):
        self.reads, self.writes, self.kills = reads, writes, kills
        self.during = [0] * len(reads)
        self.after = [0] * len(reads)
        self.functions = functions
        self.after_call = [0] * len(functions)
        self.changed = True
        self.everything = 0
        for mask in (*reads, *writes):
            self.everything |= mask
        self._recording = False
        self._known: dict[int, tuple[int, int]] = {}
        for i in range(len(functions)):
            self._summary(i)
        self._recording = True

    def _summary(self, i: int) -> tuple[int, int]:
        """What is live before function i whatever follows, and what is where everything is live after it. Every step of
        the flow is of the form `x -> (x & passed) | read`, which these two tell."""
        if i not in self._known:
            tree = self.functions[i]
            self._known[i] = self.back(tree, 0), self.back(tree, self.everything)
        return self._known[i]

    def update(self, table: list[int], i: int, more: int) -> None:
        if self._recording and table[i] | more != table[i]:
            table[i] |= more
            self.changed = True

    def step(self, i: int, live: int) -> int:
        self.update(self.during, i, live | self.reads[i] | self.writes[i])
        self.update(self.after, i, live)
        return (live & ~self.kills[i]) | self.reads[i]

    def back(self, tree: Tree, live: int) -> int:
        """What is live before `tree`, given what is live after it."""
        kind = tree[0]
        if kind == "step":
            return self.step(tree[1], live)
        if kind == "seq":
            for child in reversed(tree[1]):
                live = self.back(child, live)
            return live
        if kind == "repeat":
            return self._loop(tree[2], live, tree[1] == 0)
        if kind == "while":
            return self._while(tree, live)
        if kind == "if":
            return self.step(tree[1], self.back(tree[2], live) | self.back(tree[3], live))
        if kind == "switch":
            before = self.back(tree[3], live)
            for _, child in tree[2]:
                before |= self.back(child, live)
            return self.step(tree[1], before)
        self.update(self.after_call, tree[1], live)  # call
        least, most = self._summary(tree[1])
        return least | (live & most)

    def _loop(self, body: Tree, live: int, never: bool) -> int:
        before = self.back(body, live)
        while True:
            again = self.back(body, live | before)
            if again | before == before:
                return live if never else before  # a body that never runs has lifetimes all the same
            before |= again

    def _while(self, tree: Tree, live: int) -> int:
        _, _, condition, predicate, body = tree
        after = self.step(predicate, live)
        before = self.back(condition, after)
        while True:
            after = self.step(predicate, live | self.back(body, before))
            again = self.back(condition, after)
            if again | before == before:
                return before
            before |= again
