"""The memory plan: an address for every fragment and gathering area on every tile, and where the bytes went.

In: layout, liveness, routes, copies.  Out: `MemoryPlan`. A tile's memory holds, from the bottom: code, vertex state and
stacks; what is always live; then what shares memory by liveness. Sizes of code and state follow from the counts of
instructions, vertices, edges and fragments (4-byte instructions; about three a received and two a sent fragment).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..errors import GraphMemoryAllocationError
from ..exchange.layout import Layout
from ..exchange.plan import Area, ExchangePlan
from ..graph import Graph
from ..graph.variable import expand_runs
from ..program.supersteps import Schedule
from .code import code_bytes
from .liveness import Liveness

CATEGORIES = (
    "variables",
    "constants",
    "exchange",
    "vertex_state",
    "vertex_code",
    "control_code",
    "exchange_code",
    "stacks",
    "gaps",
)
ALIGN = 8


@dataclass
class MemoryPlan:
    """Addresses in bytes from the bottom of a tile.

    fragment_address: per row of the layout's fragments; area_address: per area and tile (-1: none); by_category: bytes
    per tile, `gaps` being what lies unused below the peak at the fullest superstep.
    """

    capacity_bytes: int
    tile_bytes: np.ndarray
    always_live_tile_bytes: np.ndarray
    by_category: dict[str, np.ndarray]
    fragment_address: np.ndarray
    area_address: np.ndarray
    area_bytes: np.ndarray
    area_names: list[str]
    live_bytes: np.ndarray  # per static superstep, all tiles together
    names: list[str]  # entities: variables, then areas
    spans: list[tuple[int, int]]  # first and last static superstep of each entity
    thing_tile: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64), repr=False)
    thing_entity: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64), repr=False)
    thing_bytes: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64), repr=False)
    thing_address: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64), repr=False)

    @property
    def max_tile_bytes(self) -> int:
        return int(self.tile_bytes.max())

    @property
    def total_bytes(self) -> int:
        return int(self.tile_bytes.sum())

    @property
    def always_live_bytes(self) -> int:
        return int(self.always_live_tile_bytes.sum())

    @property
    def fits(self) -> bool:
        return self.max_tile_bytes <= self.capacity_bytes

    def text(self) -> str:
        """Bytes by category over all tiles, and the fullest tile with its addresses."""
        tile = int(np.argmax(self.tile_bytes))
        lines = [f"memory: fullest tile {tile} with {self.max_tile_bytes} of {self.capacity_bytes} bytes"]
        lines += [f"  {name} {int(column.sum())}" for name, column in self.by_category.items()]
        here = np.flatnonzero(self.thing_tile == tile)
        for i in here[np.argsort(self.thing_address[here], kind="stable")]:
            entity = int(self.thing_entity[i])
            first, last = self.spans[entity]
            end = self.thing_address[i] + self.thing_bytes[i]
            lines.append(f"  tile {tile} [{self.thing_address[i]}, {end}) {self.names[entity]} live {first}..{last}")
        return "\n".join(lines) + "\n"

    def largest(self, tile: int, count: int = 5) -> list[tuple[str, int, int, int]]:
        """The largest things on a tile: (name, bytes, first superstep, last superstep)."""
        here = np.flatnonzero(self.thing_tile == tile)
        here = here[np.argsort(-self.thing_bytes[here], kind="stable")][:count]
        return [
            (self.names[int(self.thing_entity[i])], int(self.thing_bytes[i]), *self.spans[int(self.thing_entity[i])])
            for i in here
        ]


def plan_memory(
    graph: Graph,
    schedule: Schedule,
    layout: Layout,
    liveness: Liveness,
    exchange: ExchangePlan,
    allow_out_of_memory: bool = False,
) -> MemoryPlan:
    """Place everything.

    Raises GraphMemoryAllocationError where a tile does not hold it all, unless `allow_out_of_memory`.
    """
    from ..cost.allocate_tiles import place_tiles

    target, areas = graph.target, exchange.areas
    fixed = code_bytes(graph, exchange, len(schedule.steps))  # per tile: code, state and stacks
    step_names = [s.name for s in schedule.steps]
    count = len(graph.variables)
    num_steps = liveness.alive.shape[0]
    alive = np.zeros((num_steps, count + len(areas)), bool)
    alive[:, :count] = liveness.alive
    for i, area in enumerate(areas):
        alive[area.steps, count + i] = True
    always = np.concatenate([liveness.always, np.zeros(len(areas), bool)])
    tile, entity, size = _things(layout, areas, alive.any(axis=0) | always, count)
    order = np.lexsort((entity, -size, tile))
    tile, entity, size = tile[order], entity[order], size[order]
    first = np.searchsorted(tile, np.arange(target.num_tiles + 1))
    base = np.zeros(target.num_tiles, np.int64)
    for column in fixed.values():
        base += column
    offset, end, floor = place_tiles(first, entity, size, alive, always, base, ALIGN)
    fragment_address = np.zeros(len(layout.fragment_tile), np.int64)
    is_fragment = entity < count
    fragment_address[layout.fragment_key(entity[is_fragment], tile[is_fragment])] = offset[is_fragment]
    area_address = np.full((len(areas), target.num_tiles), -1, np.int64)
    area_address[entity[~is_fragment] - count, tile[~is_fragment]] = offset[~is_fragment]
    spans = [_span(alive[:, e], always[e], num_steps) for e in range(count + len(areas))]
    constant = np.array([v.is_constant for v in graph.variables] + [False] * len(areas), bool)
    plan = MemoryPlan(
        target.bytes_per_tile,
        end,
        floor,
        _categories(fixed, tile, entity, size, alive, always, constant, count, target.num_tiles, end),
        fragment_address,
        area_address,
        np.array([a.tile_bytes for a in areas], np.int64).reshape(len(areas), target.num_tiles),
        [a.name for a in areas],
        _live_bytes(entity, size, alive, always, base),
        [v.name for v in graph.variables] + [a.name for a in areas],
        spans,
        thing_tile=tile,
        thing_entity=entity,
        thing_bytes=size,
        thing_address=offset,
    )
    if not plan.fits and not allow_out_of_memory:
        raise GraphMemoryAllocationError(out_of_memory_text(plan, alive, always, step_names, target.name))
    return plan


def _things(layout: Layout, areas: list[Area], used: np.ndarray, count: int) -> tuple[np.ndarray, ...]:
    tiles = [layout.fragment_tile]
    entities = [layout.fragment_variable]
    sizes = [layout.fragment_elements * layout.element_bytes[layout.fragment_variable]]
    for i, area in enumerate(areas):
        where = np.flatnonzero(area.tile_bytes)
        tiles.append(where)
        entities.append(np.full(len(where), count + i))
        sizes.append(area.tile_bytes[where])
    tile, entity, size = (np.concatenate(c).astype(np.int64) for c in (tiles, entities, sizes))
    keep = used[entity] & (size > 0)
    return tile[keep], entity[keep], size[keep]


def _span(alive: np.ndarray, always: bool, steps: int) -> tuple[int, int]:
    where = np.flatnonzero(alive)
    if always or not len(where):
        return (0, max(steps - 1, 0)) if always else (-1, -1)
    return int(where[0]), int(where[-1])


def _live_bytes(entity, size, alive, always, base) -> np.ndarray:
    per_entity = np.bincount(entity, weights=size, minlength=alive.shape[1]).astype(np.int64)
    return (alive | always) @ per_entity + int(base.sum())


def _categories(fixed, tile, entity, size, alive, always, constant, count, num_tiles, end) -> dict[str, np.ndarray]:
    """Bytes per tile and category at each tile's fullest superstep; gaps are the rest up to the tile's end."""
    result = {name: np.zeros(num_tiles, np.int64) for name in CATEGORIES}
    for name, column in fixed.items():
        result[name] += column
    live = alive | always
    steps = live.shape[0]
    peak_step = np.zeros(num_tiles, np.int64)
    best = np.full(num_tiles, -1, np.int64)
    order = np.argsort(entity, kind="stable")  # the things of an entity together
    amount = np.bincount(entity, minlength=live.shape[1])
    first = np.cumsum(amount) - amount
    total, before = np.zeros(num_tiles, np.int64), np.zeros(live.shape[1], bool)
    for s in range(steps):
        changed = np.flatnonzero(live[s] != before)
        before = live[s]
        things = order[expand_runs(first[changed], amount[changed])]
        change = np.where(np.repeat(before[changed], amount[changed]), size[things], -size[things])
        total += np.bincount(tile[things], weights=change, minlength=num_tiles).astype(np.int64)
        better = total > best
        best[better] = total[better]
        peak_step[better] = s
    counted = live[peak_step[tile], entity] if steps else always[entity]
    kind = np.where(entity >= count, 2, np.where(constant[entity], 1, 0))
    for number, name in enumerate(("variables", "constants", "exchange")):
        mine = counted & (kind == number)
        result[name] += np.bincount(tile[mine], weights=size[mine], minlength=num_tiles).astype(np.int64)
    result["gaps"] = end - sum(result[name] for name in CATEGORIES if name != "gaps")
    return result


def out_of_memory_text(
    plan: MemoryPlan, alive: np.ndarray, always: np.ndarray, step_names: list[str], target_name: str
) -> str:
    """The tile that is furthest over, its fullest superstep, and the largest things alive there."""
    tile = int(np.argmax(plan.tile_bytes))
    over = plan.tile_bytes > plan.capacity_bytes
    here = np.flatnonzero(plan.thing_tile == tile)
    live = alive | always
    totals = live[:, plan.thing_entity[here]] @ plan.thing_bytes[here] if len(live) else np.zeros(0)
    step = int(np.argmax(totals)) if len(totals) else -1
    during = f" while running {step_names[step]}" if step >= 0 else ""
    things = [i for i in here if step < 0 or live[step, plan.thing_entity[i]]]
    things.sort(key=lambda i: -int(plan.thing_bytes[i]))
    parts = []
    for i in things[:3]:
        entity = int(plan.thing_entity[i])
        first, last = plan.spans[entity]
        span = "always live" if always[entity] else f"live {first}..{last}"
        parts.append(f"{plan.names[entity]} {int(plan.thing_bytes[i]):,} ({span})")
    fixed = sum(
        int(plan.by_category[c][tile])
        for c in ("vertex_state", "vertex_code", "control_code", "exchange_code", "stacks")
    )
    excess = int((plan.tile_bytes - plan.capacity_bytes)[over].sum())
    return (
        f"tile {tile} of {target_name} needs {int(plan.tile_bytes[tile]):,} bytes of {plan.capacity_bytes:,}{during};"
        f" {int(over.sum())} tiles are over, by {excess:,} bytes together. Largest there: {', '.join(parts)};"
        f" code and vertex state {fixed:,}."
        " Try a smaller batch, map the largest over more tiles, or allow_out_of_memory to profile it anyway"
    )
