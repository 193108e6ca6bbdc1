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
from .transfers import Transfers


@dataclass
class Area:
    """A gathering area: bytes per tile, and the static supersteps that use it."""

    name: str
    tile_bytes: np.ndarray
    steps: list[int]


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
            plan.areas.append(Area(f"{cs.name}/exchange", routes.area_bytes, steps))
        plan.traffic["cs", i] = measure(routes.gathers, tiles), measure(routes.scatters, tiles)
    for step in schedule.steps:
        if step.kind == "copy":
            assert step.source is not None and step.destination is not None
            first, second, area = plan_copy(layout, step.source, step.destination)
            number = -1
            if area.any():
                number = len(plan.areas)
                plan.areas.append(Area(f"{step.name}/exchange", area, [step.index]))
            plan.copies[step.index] = CopyPlan(first, second, number)
            plan.traffic["copy", step.index] = measure(first, tiles), measure(second, tiles)
        elif step.kind in ("stream_in", "stream_out", "remote_in", "remote_out"):
            tensor = step.source if step.destination is None else step.destination
            plan.stream_bytes[step.index] = tensor.size_bytes if tensor is not None else 0
            if step.kind in ("remote_in", "remote_out") and not graph.remote_buffers[step.stream].rearrange_on_host:
                plan.in_order[step.index] = plan_ordering(layout, tensor)
    return plan
