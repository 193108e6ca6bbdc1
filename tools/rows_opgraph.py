"""Rows of the op graph: published savings of memory, counted without a target, and orders of published graphs."""

from __future__ import annotations

import time
from collections.abc import Iterator

from benching import Row, bench


@bench("opgraph_memory")
def bench_opgraph_memory() -> Iterator[Row]:
    """The bars for well-known networks at batch 32 in float, parameters excluded; docs/memory.md has the whole table."""
    from memory_table import AS_MXNET, NETWORKS, training_row
    from networks import chain, revolve

    from poplar_py.frontends.models import read_model
    from poplar_py.opgraph.liveness import Liveness
    from poplar_py.opgraph.order import ordered
    from poplar_py.opgraph.recompute import Plans, recompute

    network = NETWORKS["resnet50"]
    graph = network.graph(training=True)
    its = network.mxnet[0] * 2**20 / 1e9 if network.mxnet else 0.0
    apart = Liveness(graph, in_place=AS_MXNET).total / 1e9
    yield Row(
        "ResNet-50 training, nothing reused", abs(apart / its - 1) * 100, "% off", 2, f"{apart:.2f} GB; MXNet {its:.2f}"
    )
    early = ordered(graph)
    yield Row("ResNet-50 training, shared", Liveness(early).peak / 1e9, "GB", 2.9)
    kept = recompute(graph, "optimal")
    done = kept.info["recompute"]
    note = f"+{done['extra_work'] / done['forward_work']:.0%} of a forward phase"
    yield Row("ResNet-50 training, recompute optimal", Liveness(kept).peak / 1e9, "GB", 1.38, note)
    budget = recompute(graph, "budget:1.66GB")
    done = budget.info["recompute"]
    note = f"{Liveness(budget).peak / 1e9:.3f} GB; memonger +30 %"
    yield Row("ResNet-50 within 1.66 GB: extra forward", done["extra_work"] / done["forward_work"] * 100, "%", 30, note)
    inference = Liveness(network.graph(training=False))
    yield Row("ResNet-50 inference", inference.peak / 1e6, "MB", 231.3)
    one = read_model("resnet50", batch=1)
    values = sum(v.size for op in one.ops if op.kind in ("conv", "add") for v in op.outputs if v.ndim == 4)
    always = sum(Liveness(one).always.values())
    total = (always + 4 * values) / 1e6
    yield Row(
        "ResNet-50 weights and activations of one", abs(total / 168 - 1) * 100, "% off", 5, f"{total:.1f} MB; 168"
    )
    many = recompute(read_model("vgg19", batch=289, training=True), "optimal")
    alive, done = Liveness(many), many.info["recompute"]
    note = f"+{done['extra_work'] / done['forward_work']:.0%} of a forward phase, at most 100 %"
    yield Row(
        "VGG-19 training, 289 samples, all counted", (alive.peak + sum(alive.always.values())) / 1e9, "GB", 16, note
    )
    plans = Plans(ordered(chain(1000, 4, 64)))
    steps = 999 + len(plans.graph(plans.least_units + 49, "optimal").info["recompute"]["ops"])  # the last runs once
    note = f"+{(steps - 1000) / 3000:.1%} where backward costs two forward; the closed form is the goal"
    yield Row("1000 recurrent steps, 50 slots: steps", steps, "steps", revolve(1000, 50), note)
    settings = NETWORKS["lstm50"].settings
    sizes = {}
    for batch in (64, 4):
        places = Liveness(read_model("lstm", batch=batch, settings=settings)).places
        sizes[batch] = sum(s.bytes for s in places.storages if s.category == "activations")
    yield Row("Deep Speech, batch 64 to 4: activations", sizes[4] / sizes[64] * 16, "x 1/16", 1)
    begin = time.process_time()
    training_row("resnet152")
    yield Row("ResNet-152: a row of the table", time.process_time() - begin, "s cpu", 60, "all settings")


@bench("ordering")
def bench_ordering() -> Iterator[Row]:
    """Orders of poprithms' published graphs over the best known: largest and summed liveness, and time for 10,000 ops."""
    from ordering import PUBLISHED, REDUCED, best, measured

    for name, problem, (largest, total), seconds in measured():
        old, old_sum, old_seconds = PUBLISHED[name]
        known = best(name, problem)
        goal, goal_sum = known or (old, old_sum)
        whose = "best known" if known else "poprithms"
        reduced = ", of its reduced graph" if name in REDUCED else ""
        note = f"{largest:,.0f}; {whose} {goal:,.0f}; poprithms {old:,}{reduced}"
        yield Row(f"order of {name}: largest", largest / goal, "x", 1, note)
        yield Row(f"order of {name}: sum", total / goal_sum, "x", 1, f"{total:,.0f}; {whose} {goal_sum:,.0f}")
        note = f"{problem.count:,} ops; poprithms {old_seconds}"
        yield Row(f"order of {name}: time", seconds, "s cpu", max(5.0, problem.count / 10_000 * 5), note)
