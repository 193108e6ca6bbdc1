"""Rows of the planner: time to plan, what large products reach, and how far expectations are off."""

from __future__ import annotations

import time
from collections.abc import Iterator

from benching import Row, bench
from plans import rows_of


@bench("planner")
def planner() -> Iterator[Row]:
    """Planning time and quality; `python tools/plans.py` and `tools/utilisation.py` print the tables behind them."""
    import poplar_py as pp
    from poplar_py import poplin

    graph = pp.Graph(pp.Target.gc200())
    n = 4096
    begin = time.process_time()
    plan = poplin.mat_mul_plan(graph, (n, n), (n, n), "half")
    yield Row("plan a 4096^3 product", time.process_time() - begin, "s cpu", 1.0)
    used = n**3 / (64 * 1472 * sum(plan.cycles.values()))
    yield Row("4096^3 in half: part of peak left idle", 1 - used, "", 0.5, f"{100 * used:.1f} % used")
    params = poplin.ConvParams("half", 4, (28, 28), (3, 3), 128, 128)
    begin = time.process_time()
    for kind in ("training_fwd", "training_bwd", "training_wu"):
        poplin.plan_convolution(graph, params, {"pass": kind}, poplin.PlanningCache())
    yield Row("plan the three products of a 3x3 layer", time.process_time() - begin, "s cpu", 1.5)
    for model, training, batch in (("alexnet", True, 4), ("resnet50", False, 1), ("resnet50", True, 4)):
        rows = rows_of(model, training, batch, False, 1472)
        worst = max(rows, key=lambda row: row.worst)
        phase = "training" if training else "inference"
        note = f"{len(rows)} products, {worst.path} {worst.product}"
        yield Row(f"{model} {phase}: plans off by at most", 100 * worst.worst, "%", 10, note)
