"""Dynamic storage allocation: things with sizes and lifetimes in, addresses out, the highest used address small.

    problem = Problem(size, lower, upper)          # int64 columns: bytes, half-open lifetimes
    placement = allocate(problem, seconds=5)       # .offset .peak .lower_bound .proven

Three stages, each only where the one before leaves something to gain: one-pass placements over a portfolio of orders
(allocate_order.py), the exact search (allocate_search.py) restarted from many angles with growing limits, and, where a
problem is too large for that, repeated placements that move whatever ended up on top forward in the order. The best
placement so far is what is returned when the time is over, or when the user presses Ctrl-C.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..errors import InvalidOption

_NO_END = np.int64(1) << 60
ELEMENT_BYTES = 1 << 14  # a memory element of a tile (Target.element_bytes), where the caller names none


def _column(value: Any, n: int, default: int) -> np.ndarray:
    if value is None:
        return np.full(n, default, np.int64)
    return np.ascontiguousarray(np.broadcast_to(np.asarray(value, np.int64), (n,)))


@dataclass
class Problem:
    """What is to be placed: `n` things.

    size: int64[n] bytes, 0 allowed. lower, upper: half-open lifetimes in any unit, int64; with `first`
    (int64[n + 1]) thing i has the intervals first[i]:first[i + 1], without it one each. align: bytes, int or int64[n].
    apart: int64[k, 2], pairs of things that may share no memory element of `element_bytes` (a vertex that loads from
    one and stores to the other in the same cycle needs that). begin, end: a thing must lie within [begin, end), e.g.
    in the interleaved region; ints or int64[n].
    """

    size: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    first: np.ndarray = None  # type: ignore[assignment]  # always an array once made
    align: Any = 1
    apart: Any = None
    element_bytes: int = ELEMENT_BYTES
    begin: Any = 0
    end: Any = None
    names: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.size = np.ascontiguousarray(self.size, np.int64)
        n = len(self.size)
        self.lower = np.ascontiguousarray(self.lower, np.int64)
        self.upper = np.ascontiguousarray(self.upper, np.int64)
        self.first = np.arange(n + 1) if self.first is None else np.ascontiguousarray(self.first, np.int64)
        self.align, self.begin = _column(self.align, n, 1), _column(self.begin, n, 0)
        self.end = _column(self.end, n, int(_NO_END))
        self.apart = np.asarray(np.zeros((0, 2)) if self.apart is None else self.apart, np.int64).reshape(-1, 2)
        self._check(n)

    def name(self, i: int) -> str:
        return self.names[i] if self.names else str(i)

    def _check(self, n: int) -> None:
        if len(self.lower) != len(self.upper) or len(self.first) != n + 1 or self.first[-1] != len(self.lower):
            raise InvalidOption(
                f"an allocation of {n} things has {len(self.lower)} begins and {len(self.upper)} ends of lifetimes;"
                " give one of each for every interval"
            )
        for wrong, what in (
            (self.size < 0, "has a negative size"),
            (self.align < 1, "has an alignment below 1"),
            (self.begin < 0, "must begin at a negative address"),
            (self.begin + self.size > self.end, "is larger than the region it must lie in"),
        ):
            if wrong.any():
                i = int(np.argmax(wrong))
                raise InvalidOption(f"allocation: thing {self.name(i)} of {self.size[i]:,} bytes {what}")
        if len(self.apart) and (self.apart.min() < 0 or self.apart.max() >= n):
            raise InvalidOption(
                f"allocation: a pair to keep apart names things up to {self.apart.max()}; there are {n}"
            )
        if len(self.apart) and (self.apart[:, 0] == self.apart[:, 1]).any():
            raise InvalidOption("allocation: a thing cannot lie apart from itself")


@dataclass
class Placement:
    """offset: int64[n] addresses; peak: highest address in use; lower_bound: no placement has a lower peak; proven:
    peak == lower_bound; seconds: wall time; method: what found it; states: states the exact search visited."""

    offset: np.ndarray
    peak: int
    lower_bound: int
    seconds: float = 0.0
    method: str = ""
    states: int = 0
    stopped: str = ""  # "" done, "time" or "interrupt"

    @property
    def proven(self) -> bool:
        return self.peak <= self.lower_bound

    @property
    def ratio(self) -> float:
        return self.peak / self.lower_bound if self.lower_bound else 1.0


def lower_bound(problem: Problem) -> int:
    """Bytes that no placement can do without: the largest sum of sizes alive at once, found in a moment."""
    from .allocate_improve import Improving

    return Improving(problem, None, 0.0, 0.0).low_bytes


def allocate(
    problem: Problem,
    capacity: int | None = None,
    seconds: float = 10.0,
    progress: Callable[[int, int, str], None] | None = None,
) -> Placement:
    """Place everything as low as can be found within `seconds` of wall time (0: the quick portfolio alone).

    capacity: stop as soon as the peak is at most that; without it go on until the peak is proven least. progress:
    called with (peak, lower bound, method) about five times a second. Ctrl-C ends the search, not the caller: the
    placement has `stopped == "interrupt"`. The result never has a higher peak than the quick portfolio's. A peak
    above `capacity` is no error here; compare the two.
    """
    from .allocate_improve import Improving

    begun = time.perf_counter()
    work = Improving(problem, capacity, seconds, begun)
    stopped = ""
    if seconds <= 0 or threading.current_thread() is not threading.main_thread():
        work.run()
    else:
        thread = threading.Thread(target=work.run, name="allocate", daemon=True)
        thread.start()
        while thread.is_alive():
            try:
                left = begun + seconds - time.perf_counter()
                thread.join(0.2 if left > 0 else None)
                if left <= 0.2 and work.ready.is_set():
                    thread.join(max(left, 0))
                    work.stop()
                if progress and work.ready.is_set():
                    progress(work.peak(), work.bound(), work.method)
            except KeyboardInterrupt:  # the quick portfolio is always finished: without it there is nothing to return
                stopped = "interrupt"
                work.stop()
    if work.failure is not None:
        raise work.failure
    result = work.result()
    result.stopped = stopped or ("" if work.finished else "time")
    result.seconds = time.perf_counter() - begun
    return result
