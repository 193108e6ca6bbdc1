"""The exchange plan of a whole schedule: routes of compute sets, copies, their traffic and the areas they need.

In: schedule and layout.  Out: `ExchangePlan`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..graph import Graph
from ..program.supersteps import Schedule
from .copies import plan_copy, plan_ordering
from .layout import Layout
from .routes import Routes, plan_routes
from .traffic import Traffic, measure
from .transfers import AREA, Transfers


@dataclass
class Area:
    """A gathering area: bytes per tile, the static supersteps that use it, and how many of the bytes are data of the
    tile itself in another order (rearrangements) rather than data of other tiles."""

    name: str
    tile_bytes: np.ndarray
    steps: list[int]
    rearranged_bytes: np.ndarray


@dataclass
class CopyPlan:
    """A tensor copy: `first` moves, then `second` (from the area into place where source and destination overlap)."""

    first: Transfers
    second: Transfers
    area: int = -1


class ExchangePlan:
    """Routes of the compute sets, copies, their traffic, and the areas they need."""

    def __init__(self) -> None:
        self.routes: dict[int, Routes] = {}
        self.route_area: dict[int, int] = {}
        self.copies: dict[int, CopyPlan] = {}
        self.areas: list[Area] = []
        self.traffic: dict[tuple[str, int], tuple[Traffic, Traffic]] = {}
        self.stream_bytes: dict[int, int] = {}
        self.in_order: dict[int, np.ndarray] = {}  # by superstep: bytes each tile puts in the order of streaming memory

    def text(self) -> str:
        """A line a compute set or copy: regions, bytes received, bytes multicast saved, rearrangements by name."""
        lines = ["exchange"]
        for (kind, i), (before, after) in self.traffic.items():
            fragments = before.num_regions + after.num_regions
            received = int(before.bytes_in.sum() + after.bytes_in.sum())
            saved = before.multicast_bytes_saved + after.multicast_bytes_saved
            rearranged = (
                f", rearranged {' '.join(self.routes[i].rearranged)}"
                if kind == "cs" and self.routes[i].rearranged
                else ""
            )
            lines.append(
                f"  {kind} {i}: {fragments} regions, {received} bytes in, {saved} saved by multicast{rearranged}"
            )
        return "\n".join(lines) + "\n"


def executed_sets(schedule: Schedule) -> list[int]:
    """Compute sets that some program executes."""
    return sorted({s.compute_set for s in schedule.steps if s.kind == "execute"})


def _area(name: str, tile_bytes: np.ndarray, steps: list[int], gathers: Transfers, scatters: Transfers) -> Area:
    """An area with the bytes that come from its own tile and only change their place, or go there afterwards."""
    to, back = gathers.dst_owner == AREA, scatters.src_owner == AREA
    tile = np.concatenate([gathers.dst_tile[to], scatters.src_tile[back]])
    mine = tile == np.concatenate([gathers.src_tile[to], scatters.dst_tile[back]])
    size = np.concatenate([gathers.size[to], scatters.size[back]])
    if to.any() and back.any():  # a place that is filled and emptied counts once, as its filling
        place = np.concatenate([gathers.dst[to], scatters.src[back]])
        order = np.lexsort((~mine, place, tile))
        first = np.ones(len(order), bool)
        first[1:] = (np.diff(tile[order]) != 0) | (np.diff(place[order]) != 0)
        mine[order[~first]] = False
    own = np.bincount(tile[mine], weights=size[mine], minlength=len(tile_bytes)).astype(np.int64)
    return Area(name, tile_bytes, steps, np.minimum(own, tile_bytes))


def plan_exchange(graph: Graph, schedule: Schedule, layout: Layout) -> ExchangePlan:
    """Plan the exchange of every executed compute set and every copy."""
    plan = ExchangePlan()
    tiles = graph.target.num_tiles
    for i in executed_sets(schedule):
        cs = graph.compute_sets[i]
        routes = plan_routes(layout, cs.blocks)
        plan.routes[i] = routes
        plan.route_area[i] = -1
        if routes.area_bytes.any():
            plan.route_area[i] = len(plan.areas)
            steps = [s.index for s in schedule.steps if s.kind == "execute" and s.compute_set == i]
            plan.areas.append(_area(f"{cs.name}/exchange", routes.area_bytes, steps, routes.gathers, routes.scatters))
        plan.traffic["cs", i] = measure(routes.gathers, tiles), measure(routes.scatters, tiles)
    for step in schedule.steps:
        if step.kind == "copy":
            assert step.source is not None and step.destination is not None
            first, second, area = plan_copy(layout, step.source, step.destination)
            number = -1
            if area.any():
                number = len(plan.areas)
                plan.areas.append(_area(f"{step.name}/exchange", area, [step.index], first, second))
            plan.copies[step.index] = CopyPlan(first, second, number)
            plan.traffic["copy", step.index] = measure(first, tiles), measure(second, tiles)
        elif step.kind in ("stream_in", "stream_out", "remote_in", "remote_out"):
            tensor = step.source if step.destination is None else step.destination
            plan.stream_bytes[step.index] = tensor.size_bytes if tensor is not None else 0
            if step.kind in ("remote_in", "remote_out") and not graph.remote_buffers[step.stream].rearrange_on_host:
                plan.in_order[step.index] = plan_ordering(layout, tensor)
    return plan
