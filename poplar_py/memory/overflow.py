"""The error of a tile that is over: what it needs and has, when, what is alive there, how many tiles are over, and what
would help, computed for this plan.

What would help is worked out on the plan's own figures: spreading the largest variable over so many tiles, a remote
buffer for what is always live, a larger machine. The front half adds remedies of a model, each tried (remedies.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..errors import GraphMemoryAllocationError, Remedy
from .account import AREA, FIXED, VARIABLE, Alive, alive_at, alive_mask

if TYPE_CHECKING:
    from ..exchange.layout import Layout
    from ..graph import Graph
    from .plan import MemoryPlan

SHOWN = 5  # of the largest things alive
WORST = 5  # tiles that the error lists


def out_of_memory(plan: MemoryPlan, graph: Graph, layout: Layout) -> GraphMemoryAllocationError:
    """The error for a plan that does not fit."""
    tile = int(np.argmax(plan.tile_bytes))
    step = int(plan.peak_step[tile]) if plan.step_names else -1
    over = plan.tile_bytes > plan.capacity_bytes
    by_category = {name: int(column[tile]) for name, column in plan.by_category.items()}
    live = alive_at(plan, step, tile)
    worst = np.argsort(-plan.tile_bytes, kind="stable")[: min(WORST, int(over.sum()))]
    error = GraphMemoryAllocationError("")
    error.target = graph.target.name
    error.tile, error.step, error.step_index = tile, plan.step_names[step] if step >= 0 else "", step
    error.bytes_needed, error.bytes_available = int(plan.tile_bytes[tile]), plan.capacity_bytes
    error.live_bytes = error.bytes_needed - by_category["gaps"]
    error.num_tiles_over = int(over.sum())
    error.bytes_over = int((plan.tile_bytes - plan.capacity_bytes)[over].sum())
    error.worst_tiles = {int(t): int(plan.tile_bytes[t]) for t in worst}
    error.largest, error.by_category = live[:SHOWN], by_category
    error.remedies = graph_remedies(plan, graph, layout, tile, live)
    error.plan = plan
    error.tell()
    return error


def graph_remedies(plan: MemoryPlan, graph: Graph, layout: Layout, tile: int, live: list[Alive]) -> list[Remedy]:
    """Up to three things that would help the fullest tile, by the figures of the plan."""
    variables = [a for a in live if a.category == "variables" and a.bytes]
    found = [r for a in variables[:1] if (r := _spread(plan, graph, layout, tile, a))]
    lasting = [a for a in variables if a.always]
    if lasting and graph.target.streaming_memory_bytes:
        left = int(plan.tile_bytes[tile]) - lasting[0].bytes
        text = f"keep {lasting[0].name} in a remote buffer while it is not used"
        found.append(Remedy("remote buffer", lasting[0].name, left, left <= plan.capacity_bytes, text))
    return [*found, _machine(plan, graph)][:3]


def _spread(plan: MemoryPlan, graph: Graph, layout: Layout, tile: int, thing: Alive) -> Remedy | None:
    """The fewest tiles with room over which the variable could be mapped evenly."""
    index = next(v.index for v in graph.variables if v.name == thing.name)
    total = int(graph.variables[index].size) * int(layout.element_bytes[index])
    own = plan.thing_entity == index
    free = plan.capacity_bytes - plan.tile_bytes.astype(np.int64)
    np.add.at(free, plan.thing_tile[own], plan.thing_bytes[own])  # what it has there now would be free
    free = np.sort(free)[::-1]
    each = -(-total // np.arange(1, len(free) + 1))
    enough = np.flatnonzero(free >= each)
    now = len(np.unique(plan.thing_tile[own]))
    if not len(enough) or each[enough[0]] >= thing.bytes:
        return None
    tiles = int(enough[0]) + 1
    left = int(plan.tile_bytes[tile]) - thing.bytes + int(each[tiles - 1])
    text = f"map {thing.name} over {tiles} tiles instead of {now}, {int(each[tiles - 1])} bytes on each"
    return Remedy("mapping", tiles, left, left <= plan.capacity_bytes, text)


def _machine(plan: MemoryPlan, graph: Graph) -> Remedy:
    """How many tiles would hold it all at the present fill, were it spread evenly."""
    target = graph.target
    movable = np.isin(plan.kind, (VARIABLE, AREA))
    moved = np.bincount(plan.thing_entity, weights=plan.thing_bytes, minlength=len(plan.names)) * movable
    fixed = int(np.sum([plan.by_category[c] for c in FIXED], axis=0).mean())
    room = max(plan.capacity_bytes - fixed, 1)
    steps = max(len(plan.step_names), 1)
    some = range(0, steps, max(steps // 200, 1))  # supersteps near the fullest hold nearly as much
    most = max((int(moved[alive_mask(plan, s)].sum()) for s in some), default=0)
    tiles = max(-(-most // room), 1)
    if tiles <= target.num_tiles:
        text = f"spread it evenly: all that is live together is {most} bytes, which {tiles} of the {target.num_tiles} tiles could hold"
        return Remedy("spread", tiles, -(-most // target.num_tiles) + fixed, True, text)
    ipus = -(-tiles // target.tiles_per_ipu)
    text = f"compile for {ipus} IPUs: all that is live together is {most} bytes, spread evenly"
    return Remedy("num_ipus", ipus, -(-most // (ipus * target.tiles_per_ipu)) + fixed, True, text)
