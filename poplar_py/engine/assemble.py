"""The last stage: everything planned becomes an executable, priced.

In: graph, schedule, layout, exchange plan, liveness, memory plan.  Out: `Executable`.
"""

from __future__ import annotations

import numpy as np

from ..exchange.copies import plan_stream
from ..exchange.layout import Layout
from ..exchange.plan import ExchangePlan
from ..graph import Graph, Tensor
from ..memory.liveness import Liveness
from ..memory.plan import MemoryPlan
from ..program.supersteps import Schedule, Superstep
from .executable import Executable, HostPlan, Step
from .price import compute_cycles, price_step


def assemble(
    graph: Graph, schedule: Schedule, layout: Layout, exchange: ExchangePlan, liveness: Liveness, memory: MemoryPlan
) -> Executable:
    """Price every superstep and collect what a device needs."""
    compute = {i: compute_cycles(graph, i) for i in exchange.routes}

    def price(step: Superstep) -> Step:
        if step.kind == "execute":
            i = step.compute_set
            return price_step(graph, step, compute[i], *exchange.traffic["cs", i], exchange.routes[i], 0)
        if step.kind == "copy":
            return price_step(graph, step, None, *exchange.traffic["copy", step.index], None, 0)
        moved = exchange.stream_bytes.get(step.index, 0)
        return price_step(graph, step, None, None, None, None, moved, exchange.in_order.get(step.index))

    dead = liveness.alive & ~liveness.after
    return Executable(
        graph.name,
        graph,
        schedule,
        layout,
        exchange.routes,
        exchange.route_area,
        exchange.copies,
        _host_plans(graph, schedule, layout),
        memory,
        [price(s) for s in schedule.steps],
        dead_after={s: np.flatnonzero(dead[s]).tolist() for s in range(len(schedule.steps)) if dead[s].any()},
    )


def _host_plans(graph: Graph, schedule: Schedule, layout: Layout) -> dict[str, HostPlan]:
    wanted = {f"write:{handle}": t for handle, t in graph.host_writes.items() if isinstance(t, Tensor)}
    wanted |= {f"read:{handle}": t for handle, t in graph.host_reads.items() if isinstance(t, Tensor)}
    wanted |= {f"initial:{v.index}": graph.whole(v) for v in graph.variables if v.data is not None}
    for step in schedule.steps:
        if step.kind in ("stream_in", "stream_out", "remote_in", "remote_out", "print", "control", "abort"):
            tensor = step.source if step.destination is None else step.destination
            if tensor is not None:
                wanted[f"step:{step.index}"] = tensor
            if step.offset is not None:
                wanted[f"offset:{step.index}"] = step.offset
    plans: dict[int, HostPlan] = {}
    for tensor in wanted.values():  # an input is written by its handle and by the streams of every program
        if id(tensor) not in plans:
            plans[id(tensor)] = HostPlan(*plan_stream(layout, tensor))
    return {key: plans[id(tensor)] for key, tensor in wanted.items()}
