"""The memory plan: an address for every fragment and gathering area on every tile, and where the bytes went.

In: layout, liveness, routes, copies.  Out: `MemoryPlan`. A tile's memory holds, from the bottom: code, vertex state and
stacks; what is always live; then what shares memory by liveness. Sizes of code and state follow from the counts of
instructions, vertices, edges and fragments (4-byte instructions; about three a received and two a sent fragment).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from ..exchange.layout import Layout
from ..exchange.plan import Area, ExchangePlan
from ..graph import Graph
from ..program.supersteps import Schedule
from .account import AREA, CONSTANT, VARIABLE, Alive, alive_at, categories, peak_steps, runs_of
from .code import code_bytes
from .liveness import Liveness
from .overflow import out_of_memory

ALIGN = 8


@dataclass
class MemoryPlan:
    """Addresses in bytes from the bottom of a tile.

    fragment_address: per row of the layout's fragments; area_address: per area and tile (-1: none); by_category: bytes
    per tile at its fullest superstep, `gaps` being what lies unused there; always_by_category: of it what is always live.
    Entities are variables, then areas; a thing is what an entity has on a tile. `live_runs` of entity e are the rows
    live_first[e] to live_first[e + 1]: first and last static superstep of each run.
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
    always_by_category: dict[str, np.ndarray] = field(default_factory=dict, repr=False)
    kind: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64), repr=False)  # of entities: account.py
    always: np.ndarray = field(default_factory=lambda: np.zeros(0, bool), repr=False)  # of entities
    live_first: np.ndarray = field(default_factory=lambda: np.zeros(1, np.int64), repr=False)
    live_runs: np.ndarray = field(default_factory=lambda: np.zeros((0, 2), np.int64), repr=False)
    peak_step: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64), repr=False)  # per tile
    step_names: list[str] = field(default_factory=list, repr=False)

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
    def bytes_without_gaps(self) -> np.ndarray:
        """Bytes per tile that something takes at its fullest superstep."""
        return self.tile_bytes - self.by_category["gaps"]

    def alive_at(self, step: int, tile: int | None = None) -> list[Alive]:
        """What is alive in a static superstep, largest first: on one tile, or on all together."""
        return alive_at(self, step, tile)

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
    live = alive | always
    live_first, live_runs = runs_of(live)
    kind = np.array([CONSTANT if v.is_constant else VARIABLE for v in graph.variables] + [AREA] * len(areas), np.int64)
    peaks = peak_steps(tile, entity, size, live, target.num_tiles)
    rearranged = np.zeros(len(size), np.int64)
    if areas:
        table = np.array([a.rearranged_bytes for a in areas], np.int64)
        rearranged[~is_fragment] = table[entity[~is_fragment] - count, tile[~is_fragment]]
    things = (tile, entity, size)
    at_peak = live[peaks[tile], entity] if num_steps else always[entity]
    plan = MemoryPlan(
        target.bytes_per_tile,
        end,
        floor,
        categories(fixed, things, at_peak, kind, rearranged, end),
        fragment_address,
        area_address,
        np.array([a.tile_bytes for a in areas], np.int64).reshape(len(areas), target.num_tiles),
        [a.name for a in areas],
        _live_bytes(entity, size, live, base),
        [v.name for v in graph.variables] + [a.name for a in areas],
        [_span(live_runs[a:b]) for a, b in pairwise(live_first.tolist())],
        thing_tile=tile,
        thing_entity=entity,
        thing_bytes=size,
        thing_address=offset,
        always_by_category=categories(fixed, things, always[entity], kind, rearranged, floor),
        kind=kind,
        always=always,
        live_first=live_first,
        live_runs=live_runs,
        peak_step=peaks,
        step_names=[s.name for s in schedule.steps],
    )
    if not plan.fits and not allow_out_of_memory:
        raise out_of_memory(plan, graph, layout)
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


def _span(runs: np.ndarray) -> tuple[int, int]:
    return (int(runs[0, 0]), int(runs[-1, 1])) if len(runs) else (-1, -1)


def _live_bytes(entity, size, live, base) -> np.ndarray:
    per_entity = np.bincount(entity, weights=size, minlength=live.shape[1]).astype(np.int64)
    return live @ per_entity + int(base.sum())
