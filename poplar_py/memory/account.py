"""Accounting: where the bytes of every tile go, by category and by superstep, as users of PopVision know it.

Every byte below a tile's end is in exactly one category: what the things alive at its fullest superstep take, code, state
and stacks, and gaps: what lies unused between and above them. *Always live* is what keeps its place from load to the end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..graph.variable import expand_runs

if TYPE_CHECKING:
    from .plan import MemoryPlan

FIXED = ("vertex_state", "vertex_code", "control_code", "exchange_code", "stacks")
CATEGORIES = ("variables", "constants", "exchange", "rearrangements", *FIXED, "gaps")
VARIABLE, CONSTANT, AREA = 0, 1, 2  # kinds of entities


@dataclass(frozen=True)
class Alive:
    """Something alive at a superstep: bytes (of one tile or of all), the supersteps it lives in as runs (first, last)."""

    name: str
    bytes: int
    category: str
    always: bool
    runs: tuple[tuple[int, int], ...]

    @property
    def span(self) -> str:
        """When it lives, in words."""
        return "always live" if self.always else "live " + ", ".join(
            str(a) if a == b else f"{a}..{b}" for a, b in self.runs[:4]
        ) + (f" and {len(self.runs) - 4} runs more" if len(self.runs) > 4 else "")  # fmt: skip


def runs_of(alive: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The columns of alive[steps, entities] as runs: (first int64[entities + 1], (begin, end) int64[runs, 2]), end
    inclusive."""
    steps, entities = alive.shape
    edge = np.zeros((entities, steps + 2), bool)
    edge[:, 1:-1] = alive.T
    owner, at = np.nonzero(edge[:, 1:] != edge[:, :-1])
    runs = np.stack([at[::2], at[1::2] - 1], axis=1).astype(np.int64).reshape(-1, 2)
    return np.searchsorted(owner[::2], np.arange(entities + 1)).astype(np.int64), runs


def peak_steps(tile: np.ndarray, entity: np.ndarray, size: np.ndarray, live: np.ndarray, num_tiles: int) -> np.ndarray:
    """The first superstep in which each tile holds most bytes of things: int64[tiles]; 0 where there is none."""
    peak_step = np.zeros(num_tiles, np.int64)
    best = np.full(num_tiles, -1, np.int64)
    order = np.argsort(entity, kind="stable")  # the things of an entity together
    amount = np.bincount(entity, minlength=live.shape[1])
    first = np.cumsum(amount) - amount
    total, before = np.zeros(num_tiles, np.int64), np.zeros(live.shape[1], bool)
    for s in range(live.shape[0]):
        changed = np.flatnonzero(live[s] != before)
        before = live[s]
        things = order[expand_runs(first[changed], amount[changed])]
        change = np.where(np.repeat(before[changed], amount[changed]), size[things], -size[things])
        total += np.bincount(tile[things], weights=change, minlength=num_tiles).astype(np.int64)
        better = total > best
        best[better] = total[better]
        peak_step[better] = s
    return peak_step


def categories(
    fixed: dict[str, np.ndarray],
    things: tuple[np.ndarray, np.ndarray, np.ndarray],
    counted: np.ndarray,
    kind: np.ndarray,
    rearranged: np.ndarray,
    end: np.ndarray,
) -> dict[str, np.ndarray]:
    """Bytes per tile and category.

    things: (tile, entity, bytes) columns; counted: which of them; kind: VARIABLE, CONSTANT or AREA of each entity;
    rearranged: of each thing, the bytes that its tile rearranges; end: where each tile's bytes end.
    """
    tile, entity, size = things
    result = {name: np.zeros(len(end), np.int64) for name in CATEGORIES}
    for name, column in fixed.items():
        result[name] += column

    def add(name: str, mine: np.ndarray, amount: np.ndarray) -> None:
        result[name] = result[name] + np.bincount(tile[mine], weights=amount[mine], minlength=len(end)).astype(np.int64)

    of = kind[entity]
    add("variables", counted & (of == VARIABLE), size)
    add("constants", counted & (of == CONSTANT), size)
    add("exchange", counted & (of == AREA), size - rearranged)
    add("rearrangements", counted & (of == AREA), rearranged)
    result["gaps"] = end - np.sum([result[name] for name in CATEGORIES if name != "gaps"], axis=0, dtype=np.int64)
    return result


def alive_mask(plan: MemoryPlan, step: int) -> np.ndarray:
    """Which entities hold bytes in a superstep."""
    begin, end = plan.live_runs[:, 0], plan.live_runs[:, 1]
    now = np.zeros(len(plan.names), bool)
    now[np.repeat(np.arange(len(plan.names)), np.diff(plan.live_first))[(begin <= step) & (step <= end)]] = True
    return now | plan.always


def alive_at(plan: MemoryPlan, step: int, tile: int | None = None) -> list[Alive]:
    """What is alive in a superstep, largest first: on one tile, or on all together."""
    mask = alive_mask(plan, step)
    here = mask[plan.thing_entity] if tile is None else mask[plan.thing_entity] & (plan.thing_tile == tile)
    amount = np.bincount(plan.thing_entity[here], weights=plan.thing_bytes[here], minlength=len(mask)).astype(np.int64)
    found = np.flatnonzero(amount)
    return [_alive(plan, int(e), int(amount[e])) for e in found[np.argsort(-amount[found], kind="stable")]]


def _alive(plan: MemoryPlan, entity: int, amount: int) -> Alive:
    runs = plan.live_runs[plan.live_first[entity] : plan.live_first[entity + 1]]
    kind = int(plan.kind[entity])
    name = plan.names[entity]
    category = ("variables", "constants", "exchange")[kind]
    return Alive(name, amount, category, bool(plan.always[entity]), tuple((int(a), int(b)) for a, b in runs))
