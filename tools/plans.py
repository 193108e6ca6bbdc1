"""Plans against supersteps, for every convolution and dense layer of a model, inference and training.

    python tools/plans.py resnet50 [--training] [--batch 4] [--half] [--tiles 1472] [--off 0.1]

Prints what the plan of every product expected and what was compiled: cycles, bytes into the fullest tile, and memory on
it. With --off, only products an expectation of which is off by more than that. Exits with 1 where any is off by 10 %.
"""

from __future__ import annotations

import argparse
import sys

import poplar_py as pp
from poplar_py.report.plans import PlanRow, compare_plans, plan_table


def rows_of(model: str, training: bool, batch: int, half: bool, tiles: int) -> list[PlanRow]:
    """Compile a model and compare its plans."""
    target = pp.Target.gc200(num_tiles=tiles)
    lowered = pp.compile(
        model, target, batch=batch, training=training, dtype="half" if half else "float", stop_after="lower"
    )
    programs = list(lowered.programs.values())
    return compare_plans(lowered.plans, pp.compile_graph(lowered.graph, programs, {"allow_out_of_memory": True}))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--training", action="store_true")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--half", action="store_true")
    parser.add_argument("--tiles", type=int, default=1472)
    parser.add_argument("--off", type=float, default=0.0)
    given = parser.parse_args()
    rows = rows_of(given.model, given.training, given.batch, given.half, given.tiles)
    print(plan_table(row for row in rows if row.worst >= given.off))
    off = [row for row in rows if row.worst > 0.1]
    print(f"{len(rows)} products, {len(off)} of them off by more than 10 %")
    return bool(off)


if __name__ == "__main__":
    sys.exit(main())
