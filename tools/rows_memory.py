"""Rows of allocation: the published problems, the allocators of omnimalloc in the same run, and plans of whole models."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from benching import Row, bench

DATA = Path(os.environ.get("POPLAR_PY_SHARED", "/work/shared/data"))
CAPACITY = 1 << 20
TRACES = {"resnet50": 1.01, "pangu_2.6B": 1.0076}


def problems(folder: str) -> dict[str, Any]:
    from poplar_py.commands.allocate import read_problem

    return {path.name.split(".csv")[0]: read_problem(str(path)) for path in sorted((DATA / folder).glob("*.csv"))}


def geometric_mean(ratios: list[float]) -> float:
    return float(np.exp(np.log(ratios).mean()))


def timed(action: Any) -> tuple[Any, float]:
    """What `action` returns, and the processor time it took."""
    begin = time.process_time()
    result = action()
    return result, time.process_time() - begin


@bench("allocate")
def bench_allocate() -> Iterator[Row]:
    from poplar_py.cost.allocate import allocate
    from poplar_py.cost.allocate_improve import load

    tables = problems("minimalloc")
    if not tables:
        return
    load()
    quick = [timed(lambda p=p: allocate(p, seconds=0)) for p in tables.values()]
    ours = geometric_mean([placed.ratio for placed, _ in quick])
    yield Row("allocate, quick portfolio: peak / lower bound", ours, "x", 1.22, f"geometric mean of {len(tables)}")
    yield Row("allocate, quick portfolio: all of them", sum(taken for _, taken in quick), "s", 0.5, "processor time")
    found = {name: timed(lambda p=p: allocate(p, CAPACITY, 60.0)) for name, p in tables.items()}
    fit = sum(placed.peak <= CAPACITY for placed, _ in found.values())
    cpu = sum(taken for _, taken in found.values())
    slowest = max(found, key=lambda name: found[name][1])
    note = f"{fit} of {len(found)} fit; {slowest[0]} took {found[slowest][1]:.1f}; goal 60, stretch 15"
    yield Row("allocate within capacity: all of them", cpu, "s", 15.0, note)
    yield Row("allocate within capacity: those that do not", len(found) - fit, "problems", 0.5)
    for letter, goal in (("C", 1.0), ("D", 1.055)):
        problem = tables[f"{letter}.1048576"]
        bound = allocate(problem, seconds=0).lower_bound
        placed, taken = timed(lambda p=problem, low=bound, g=goal: allocate(p, int(low * g), 60.0))
        yield Row(f"allocate {letter}: peak / lower bound", placed.ratio, "x", goal, f"in {taken:.1f} s")
    for name, problem in problems("idealloc").items():
        placed, taken = timed(lambda p=problem: allocate(p, seconds=0))
        yield Row(f"allocate {name}, quick: peak / lower bound", placed.ratio, "x", TRACES[name], f"in {taken:.1f} s")


@bench("omnimalloc")
def bench_omnimalloc() -> Iterator[Row]:
    """Ours over theirs, both measured here; nothing where omnimalloc is not installed."""
    try:
        import omnimalloc
        from omnimalloc.allocators import OmniAllocator, SimulatedAnnealingAllocator, SupermallocAllocator
    except ImportError:
        return
    from poplar_py.cost.allocate import allocate
    from poplar_py.cost.allocate_improve import load

    load()
    peers = {
        "omni": (OmniAllocator(), 0.0),
        "simulated_annealing": (SimulatedAnnealingAllocator(timeout=3.0), 3.0),
        "supermalloc": (SupermallocAllocator(timeout=3.0, num_threads=1), 3.0),
    }
    tables = problems("minimalloc")
    if not tables:
        return
    ours = {}
    for limit in (0.0, 3.0):
        ours[limit] = geometric_mean([allocate(p, None, limit).ratio for p in tables.values()])
    for name, (allocator, limit) in peers.items():
        ratios = []
        for problem in tables.values():
            columns = zip(problem.size.tolist(), problem.lower.tolist(), problem.upper.tolist(), strict=True)
            things = [omnimalloc.Allocation(id=i, size=s, start=a, end=b) for i, (s, a, b) in enumerate(columns)]
            placed = omnimalloc.allocate(things, allocator)
            peak = max(a.offset + a.size for a in placed)
            ratios.append(peak / allocate(problem, seconds=0).lower_bound)
        theirs = geometric_mean(ratios)
        note = f"{ours[limit]:.4f} against {theirs:.4f} of the lower bound, {limit:.0f} s each"
        yield Row(f"peak, allocate / omnimalloc {name}", ours[limit] / theirs, "x", 0.95, note)


@bench("plan_bounds")
def bench_plan_bounds() -> Iterator[Row]:
    """Peak over lower bound of the worst tile of 1472, by the checker's liveness, and what planning takes."""
    from plan_bounds import MODELS, measure

    for model in MODELS:
        for training in (False, True):
            row = measure(model, None, training)
            name = f"{model} {'training' if training else 'inference'}"
            note = f"tile {row['tile']}, {row['bound']:,} B; all tiles together {row['ratio_of_sums']:.4f}"
            yield Row(f"{name}: worst tile / lower bound", row["ratio"], "x", 1.01, note)
            if model == "resnet50" and training:
                note = f"{row['things']:,} things on {row['tiles']} tiles"
                yield Row(f"{name}: memory planned", row["plan_seconds"], "s", 10.0, note)
