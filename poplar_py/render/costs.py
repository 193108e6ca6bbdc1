"""Figures of compute sets and supersteps that pictures show in boxes and tooltips, and the order programs run in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass
class Cost:
    """Sums over some compute sets: vertices, edges (graph connections), tiles used, cycles and exchanged bytes of one
    execution of each."""

    sets: int = 0
    vertices: int = 0
    edges: int = 0
    tiles: int = 0
    cycles: int = 0
    compute: int = 0
    exchange: int = 0
    bytes: int = 0

    def lines(self) -> tuple[str, ...]:
        """The figures as lines of a tooltip."""
        if not self.sets:
            return ("no vertices: the compiler needed none",)
        return (
            f"{counted(self.vertices, 'vertex', 'vertices')}, {counted(self.edges, 'edge')} on {counted(self.tiles, 'tile')}",
            f"{self.cycles:,} cycles: compute {self.compute:,}, exchange {self.exchange:,}",
            f"{size(self.bytes)} exchanged",
            *((f"{self.sets} compute sets",) if self.sets > 1 else ()),
        )


def counted(number: int, one: str, many: str = "") -> str:
    """`1 vertex`, `12,345 vertices`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def size(count: float) -> str:
    """Bytes for people: `912 bytes`, `1.4 MB` (powers of 1000)."""
    for limit, unit, digits in ((1e3, "bytes", 0), (1e6, "kB", 1), (1e9, "MB", 1), (1e12, "GB", 2)):
        if abs(count) < limit:
            return f"{count / (limit / 1e3):,.{digits}f} {unit}"
    return f"{count / 1e12:,.2f} TB"


def short_tiles(count: int, all_tiles: int) -> str:
    return "all tiles" if count == all_tiles > 1 else counted(count, "tile")


class Costs:
    """Figures by compute set, and summed over the sets whose paths begin alike."""

    def __init__(self, executable: Any):
        self.executable = executable
        step_of: dict[int, Any] = {}
        for step in executable.steps:
            if step.compute_set >= 0:
                step_of.setdefault(step.compute_set, step)
        self.by_set: dict[int, Cost] = {}
        self.names: dict[str, list[int]] = {}
        for cs in executable.graph.compute_sets:
            if not cs.blocks or cs.index not in step_of:
                continue
            step = step_of[cs.index]
            used = np.zeros(executable.target.num_tiles, bool)
            for block in cs.blocks:
                used[block.tile] = True
            self.by_set[cs.index] = Cost(
                1,
                sum(int(b.n) for b in cs.blocks),
                sum(int(e.num_edges) for b in cs.blocks for e in b.fields.values()),
                int(used.sum()),
                int(step.cycles),
                int(step.compute_cycles.max(initial=0)),
                int(step.exchange_cycles.max(initial=0) + step.exchange_out_cycles.max(initial=0)),
                int(step.bytes_received.sum()),
            )
            self.names.setdefault(cs.name, []).append(cs.index)

    def of_sets(self, indexes: list[int]) -> Cost:
        """The sum over compute sets; tiles: the most that one of them uses."""
        total = Cost()
        for index in indexes:
            cost = self.by_set.get(index)
            if cost is None:
                continue
            for name in ("sets", "vertices", "edges", "cycles", "compute", "exchange", "bytes"):
                setattr(total, name, getattr(total, name) + getattr(cost, name))
            total.tiles = max(total.tiles, cost.tiles)
        return total

    def of_path(self, path: str) -> Cost:
        """The compute sets of an operation: those named as it, or below it. Where several programs have sets of that
        name, one of them counts."""
        found = [i[0] for name, i in self.names.items() if name == path or name.startswith(path + "/")]
        return self.of_sets(found)


def run_order(executable: Any, program: int, loops: int = 1) -> Iterator[int]:
    """Static supersteps in the order that `program` runs them; bodies of loops `loops` times, all ways of branches."""
    schedule = executable.schedule

    def walk(tree: list) -> Iterator[int]:
        kind = tree[0]
        if kind == "step":
            yield tree[1]
        elif kind == "seq":
            for child in tree[1]:
                yield from walk(child)
        elif kind == "repeat":
            for _ in range(min(loops, tree[1])):
                yield from walk(tree[2])
        elif kind == "while":
            for _ in range(loops):
                yield from walk(tree[2])
                yield tree[3]
                yield from walk(tree[4])
        elif kind == "call":
            yield from walk(schedule.functions[tree[1]])
        else:
            yield tree[1]
            branches = [tree[2], tree[3]] if kind == "if" else [*(child for _, child in tree[2]), tree[3]]
            for branch in branches:
                yield from walk(branch)

    yield from walk(schedule.programs[program])


def counts_of(executable: Any, program: int, profile: Any) -> np.ndarray:
    """Executions of every static superstep: of the profile, else of one run of `program` read off its control."""
    if profile is not None:
        return np.asarray(profile.counts, np.int64)
    from ..report.estimate import static_counts

    return static_counts(executable, program)[0]
