"""What rows of the benchmark share: the row, its registration, and timing."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

THREADS = 2
ROOT = Path(__file__).resolve().parent.parent


@dataclass
class Row:
    """One measurement: `value` in `unit`, to be at most `goal`."""

    name: str
    value: float
    unit: str
    goal: float
    note: str = ""

    def __str__(self) -> str:
        ratio = self.value / self.goal if self.goal else float("nan")
        mark = "  <--" if ratio > 1 else ""
        return (
            f"{self.name:44s} {self.value:12.4g} {self.unit:10s} goal {self.goal:8.4g}  {ratio:6.2f}{mark}  {self.note}"
        )


BENCHES: dict[str, Callable[[], Iterator[Row]]] = {}


def bench(name: str) -> Callable:
    def register(function: Callable[[], Iterator[Row]]) -> Callable[[], Iterator[Row]]:
        BENCHES[name] = function
        return function

    return register


def seconds(action: Callable[[], object], times: int = 3) -> float:
    """The median of a few timed calls after one that is not counted."""
    action()
    taken = []
    for _ in range(times):
        begin = time.perf_counter()
        action()
        taken.append(time.perf_counter() - begin)
    return statistics.median(taken)
