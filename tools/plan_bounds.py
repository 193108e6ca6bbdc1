"""How near the memory plans of models come to their lower bounds, on every tile.

    python tools/plan_bounds.py                        every model in models/, both ways: minutes each, gigabytes
    python tools/plan_bounds.py resnet50 --batch 4     some models
    python tools/plan_bounds.py lenet5 --training --json

The lower bound of a tile is its code and state and the largest sum of bytes alive there at once, by the liveness of the
checker (poplar_py/memory/check.py), which shares no code with the planner. A plan holds where no tile is above
1.01 times that and one multiple of the alignment. A model that does not fit is planned all the same.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import Any

import numpy as np
from benching import ROOT

MODELS = {  # by name: the batch to compile for
    "mnist_small": 8,
    "mnist_mlp": 8,
    "autoencoder": 8,
    "lenet5": 8,
    "resnet8_digits": 8,
    "alexnet": 4,
    "resnet50": 4,
    "vgg16": 4,
    "lstm": 8,
    "deep_mlp": 8,
    "vgg19": 1,
    "densenet121": 1,
    "unet": 1,
    "resnet101": 1,
    "resnet152": 1,
}
ALLOWED, ALIGN = 1.01, 8


def bounds(executable: Any) -> np.ndarray:
    """Least bytes of each tile, int64[tiles]: code and state, and the most that lives at once by the checker."""
    from poplar_py.memory.check import area_lifetimes, lifetimes

    plan = executable.memory
    tiles = len(plan.tile_bytes)
    fixed = np.zeros(tiles, np.int64)
    for name in ("vertex_state", "vertex_code", "control_code", "exchange_code", "stacks"):
        fixed += plan.by_category[name]
    alive = np.concatenate([lifetimes(executable), area_lifetimes(executable)], axis=1)
    most, now = np.zeros(tiles, np.int64), np.zeros(tiles, np.int64)
    order = np.argsort(plan.thing_entity, kind="stable")  # the things of an entity together
    first = np.searchsorted(plan.thing_entity[order], np.arange(alive.shape[1] + 1))
    before = np.zeros(alive.shape[1], bool)
    for row in alive:
        for entity in np.flatnonzero(row != before):
            things = order[first[entity] : first[entity + 1]]  # on different tiles
            sign = 1 if row[entity] else -1
            now[plan.thing_tile[things]] += sign * plan.thing_bytes[things]
        before = row
        np.maximum(most, now, out=most)
    return fixed + most


def measure(model: str, batch: int | None = None, training: bool = False, target: Any = None) -> dict[str, Any]:
    """Compile a model and compare its plan with its bounds."""
    import poplar_py as pp

    batch = batch or MODELS.get(model)
    begun = time.process_time()
    executable = pp.compile(
        model, target, batch=batch, training=training, options={"allow_out_of_memory": True, "remedies": False}
    )
    compiled = time.process_time() - begun
    plan = executable.memory
    low = bounds(executable)
    excess = plan.tile_bytes - ALLOWED * low
    worst = int(np.argmax(plan.tile_bytes / low))
    return {
        "model": model,
        "batch": batch,
        "training": training,
        "tiles": len(low),
        "things": len(plan.thing_tile),
        "fullest": plan.max_tile_bytes,
        "fits": plan.fits,
        "tile": worst,
        "peak": int(plan.tile_bytes[worst]),
        "bound": int(low[worst]),
        "ratio": float(plan.tile_bytes[worst] / low[worst]),
        "ratio_of_sums": float(plan.tile_bytes.sum() / low.sum()),
        "tiles_above": int((excess > ALIGN).sum()),
        "compile_seconds": compiled,
        "plan_seconds": executable.info["stage_seconds"]["memory"],
    }


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", help=f"names; unless given {', '.join(MODELS)}")
    parser.add_argument("--batch", type=int)
    parser.add_argument("--training", action="store_true", help="training only")
    parser.add_argument("--inference", action="store_true", help="inference only")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    rows = []
    ways = [w for w in (False, True) if not ((given.training and not w) or (given.inference and w))]
    for model in given.models or MODELS:
        for training in ways:
            row = measure(model, given.batch, training)
            rows.append(row)
            if not given.json:
                print(
                    f"{model:16s} {'training' if training else 'inference':9s} batch {row['batch']:3d}"
                    f" {row['things']:9,d} things  fullest {row['fullest']:9,d} B  worst tile {row['tile']:4d}"
                    f" {row['ratio']:.4f} of {row['bound']:,} B  {row['tiles_above']} tiles above {ALLOWED}"
                    f"  planned in {row['plan_seconds']:.2f} s",
                    flush=True,
                )
    if given.json:
        print(json.dumps(rows, indent=1))
    return int(any(row["tiles_above"] for row in rows))


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    raise SystemExit(main())
