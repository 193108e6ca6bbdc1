"""Where the time of a superstep went: compute, exchange, sync, host.

A superstep's time is set by the tile that is slowest from the sync to the end of its compute, so the split is that
tile's: what it spent computing is compute; what arrived before and leaves afterwards is exchange. The four parts add
up to the superstep's cycles exactly.
"""

from __future__ import annotations

from typing import Any

import numpy as np

PHASES = ("compute", "exchange", "sync", "host")


def split_step(step: Any) -> tuple[int, int, int, int]:
    """Cycles of one execution of `step` by phase, in the order of PHASES; their sum is `step.cycles`."""
    total = int(step.cycles)
    sync = min(int(step.sync_cycles), total)
    host = min(int(step.host_cycles), total - sync)
    rest = total - sync - host
    if not rest or not len(step.compute_cycles):
        return 0, rest, sync, host
    slowest = int(np.argmax(step.compute_cycles + step.exchange_cycles))
    compute = min(int(step.compute_cycles[slowest]), rest)
    return compute, rest - compute, sync, host


def balance(step: Any) -> float:
    """Mean over the maximum of the tiles' compute cycles: 1 where all work equally, 0 where nothing computes."""
    largest = int(step.compute_cycles.max(initial=0))
    return float(step.compute_cycles.mean()) / largest if largest else 0.0


def split_table(steps: list[Any]) -> np.ndarray:
    """`split_step` of every static superstep: int64 (supersteps, 4)."""
    return np.array([split_step(step) for step in steps], np.int64).reshape(len(steps), len(PHASES))
