"""From a quick placement to the best one: the portfolio, then restarts of the exact search from many angles.

The search is heavy-tailed: a problem that one order of trying things solves in a few hundred states takes another
millions. So every angle (which section to branch on, which things to try first) gets a small limit first, and the
limits grow; from the second round on the orders are shaken. What failed is remembered across runs of one capacity.
"""

from __future__ import annotations

import math
import time
from itertools import cycle, product
from typing import TYPE_CHECKING

import numpy as np

from .allocate_order import degree_of, fit, load_of, most_in
from .allocate_search import DEPTH, FOUND, LIMIT, NONE, ROOM, search
from .allocate_sections import sections_of, spread, turn_over
from .allocate_skyline import skyline
from .allocate_state import Things

if TYPE_CHECKING:
    from .allocate import Placement, Problem

# T fullest section, W lifetime, A lifetime x size, C sections, Z size, D things met, S start, E end: largest first
ORDERS = (
    ("TZ", "Z"),
    ("Z",),
    ("Z", "W"),
    ("DZ", "Z"),
    ("T", "Z"),
    ("A", "Z"),
    ("W", "Z"),
    ("S", "Z"),
    ("T", "W", "A"),
    ("D", "Z"),
)
SKYLINES = ("EWT", "CTA", "AWT", "TWA", "SWT", "ZAW")  # what lies flat in the lowest place: the first of these
MODES = (1, 3, 0, 7, 4, 0, 5)
ANGLES = ("TWA", "CTA", "WAT", "ZAW", "AWT", "TCA", "TAW", "ATW")
MOST_CELLS = 3_000_000  # things x sections the exact search may have to look at in one state
SKYLINE_CELLS = 1_000_000  # things x sections up to which a skyline is as quick as an order (about 0.1 s)
MOST_ROOM = 1 << 25  # records on the trail of the search
MOST_FRAMES = 1 << 16  # choices above one another: their sets of frames take a gigabyte then
QUICK_CELLS = 3_000_000  # things x sections the quick portfolio may dive through, about 0.06 s
STEP = 2  # states of a first run, in multiples of the number of things
GROW = 2  # limit of each later round, in multiples of the one before


def load() -> float:
    """Have the compiled code in memory before the first allocation is timed; returns the seconds that took."""
    from .allocate import Problem

    begun = time.perf_counter()
    work = Improving(Problem(np.array([2, 3]), np.array([0, 1]), np.array([2, 3])), None, 0.0, begun)
    work._measures()
    for act in (work._grow, lambda order, method: work._fit(order, False, method)):
        work.high = -1
        act(work._order(("Z",)), "")
    work._prepare()
    work._try("TWA", 1, 5, 8, 0.0)
    return time.perf_counter() - begun


class Improving:
    """One allocation as it gets better. `run` works until done or `stop`; results may be read from another thread."""

    def __init__(self, problem: Problem, capacity: int | None, seconds: float, begun: float):
        import threading

        self.problem, self.capacity = problem, capacity
        self.seconds, self.deadline = seconds, begun + seconds
        self.ready = threading.Event()
        self.finished = False
        self.most_states: int | None = None  # end the search by counting, not by the clock
        self.failure: BaseException | None = None
        self.method = ""
        self.offset = np.zeros(len(problem.size), np.int64)
        self.state = np.zeros(4, np.int64)  # states visited; stop now
        self._reduce()

    def stop(self) -> None:
        """End soon."""
        self.state[1] = 1

    def _reduce(self) -> None:
        """Things that take part, in units of the greatest common divisor."""
        p = self.problem
        keep_interval = p.upper > p.lower
        owner = np.repeat(np.arange(len(p.size)), np.diff(p.first))[keep_interval]
        lives = np.zeros(len(p.size), bool)
        lives[owner] = True
        self.part = np.flatnonzero((p.size > 0) & lives)
        number = np.full(len(p.size), -1, np.int64)
        number[self.part] = np.arange(len(self.part))
        lower, upper, owner = p.lower[keep_interval], p.upper[keep_interval], number[owner]
        taking = owner >= 0
        lower, upper, owner = lower[taking], upper[taking], owner[taking]
        order = np.lexsort((lower, owner))
        lower, upper, owner = lower[order], upper[order], owner[order]
        n = len(self.part)
        size, align, begin, end = (x[self.part] for x in (p.size, p.align, p.begin, p.end))
        bounded = end < 1 << 60
        apart = number[p.apart]
        apart = apart[(apart >= 0).all(axis=1)]
        unit = int(np.gcd.reduce(np.concatenate([size, begin, end[bounded]]))) if n else 1
        if len(apart):
            unit = int(np.gcd(unit, p.element_bytes))
        if n and (align == align[0]).all() and align[0] > 1 and unit % align[0]:
            # one alignment for all: whole multiples of it take as much as the sizes themselves, but for the last
            last = (end - size) // align[0] * align[0]  # where a thing may begin at most
            size = -(-size // align[0]) * align[0]
            begin = -(-begin // align[0]) * align[0]
            end = np.where(bounded, last + size, end)
            unit = int(align[0]) if not len(apart) else int(np.gcd(align[0], p.element_bytes))
            unit = unit if unit == align[0] else 1
        elif n:
            unit = unit if (unit % align == 0).all() else 1
        self.unit = unit
        self.size, self.begin = size // unit, begin // unit
        self.end = np.where(bounded, end // unit, end)
        self.align = np.ones_like(align) if n and (unit % align == 0).all() else align.copy()
        self.element = max(p.element_bytes // unit, 1)
        both = np.concatenate([apart, apart[:, ::-1]])
        both = both[np.lexsort((both[:, 1], both[:, 0]))]
        self.pair_first = np.searchsorted(both[:, 0], np.arange(n + 1)).astype(np.int64)
        self.pair = np.ascontiguousarray(both[:, 1])
        self.first = np.searchsorted(owner, np.arange(n + 1)).astype(np.int64)
        self.begins, self.ends, self.sections = sections_of(self.first, lower, upper)
        self.cells = int((self.ends - self.begins + 1).sum())
        self.time = (lower, upper, owner)
        self.load = load_of(self.size, *self._runs(), self.sections) if n else np.zeros(0, np.int64)
        low = int(self.load.max()) if n else 0
        self.low = max(low, int((self.begin + self.size).max())) if n else 0
        self.plain = bool((self.align == 1).all() and not self.begin.any() and not bounded.any() and not len(self.pair))
        self.size_bytes = p.size[self.part]
        self.rounded = bool((self.size * unit != self.size_bytes).any())
        self.low_bytes = self.low * unit
        if n and self.rounded:
            load = load_of(self.size_bytes, *self._runs(), self.sections)
            self.low_bytes = max(int(load.max()), int((p.begin[self.part] + self.size_bytes).max()))
        self.high, self.best_bytes, self.all_orders = -1, 0, not self.rounded
        self.best = np.zeros(n, np.int64)

    def _runs(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return self.first, self.begins, self.ends

    # ------------------------------------------------------------------------------------------------ what is known

    def _offsets(self) -> np.ndarray:
        result = np.zeros(len(self.problem.size), np.int64)
        result[self.part] = self.best * self.unit
        return result

    def peak(self) -> int:
        """Highest address of the best placement so far, bytes."""
        return int((self._offsets() + self.problem.size)[self.part].max()) if len(self.part) else 0

    def bound(self) -> int:
        """Proven lower bound of the peak, bytes."""
        proven = self.high >= 0 and self.low >= self.high and not self.rounded
        return self.peak() if proven else max(self.low_bytes, self._proven_low())

    def _proven_low(self) -> int:
        slack = int((self.size * self.unit - self.size_bytes).max()) if len(self.part) else 0
        return self.low * self.unit - slack if self.proven_by_search else 0

    def result(self) -> Placement:
        from .allocate import Placement

        return Placement(self._offsets(), self.peak(), self.bound(), 0.0, self.method, int(self.state[0]))

    def _goal(self) -> int:
        """The peak at which nothing more is wanted, in units."""
        if self.capacity is None:
            return self.low
        return max(self.low, self.capacity // self.unit)

    def _done(self) -> bool:
        if self.high < 0:
            return False
        if self.capacity is not None and self.best_bytes <= self.capacity:
            return True
        # where sizes were rounded up to the alignment, what lies on top decides about less than one multiple of it
        return self.high <= self._goal() and (self.all_orders or self.best_bytes <= self.low_bytes)

    def _out_of_time(self) -> bool:
        spent = self.most_states is not None and self.state[0] >= self.most_states
        return spent or bool(self.state[1]) or time.perf_counter() >= self.deadline

    def _take(self, offset: np.ndarray, method: str) -> None:
        peak = int((offset + self.size).max())
        in_bytes = int((offset * self.unit + self.size_bytes).max())
        if self.high < 0 or (peak, in_bytes) < (self.high, self.best_bytes):
            self.best, self.high, self.best_bytes, self.method = offset.copy(), peak, in_bytes, method

    # ---------------------------------------------------------------------------------------------------- the stages

    proven_by_search = False

    def run(self) -> None:
        """Everything, in order."""
        try:
            if not len(self.part):
                self.high, self.finished, self.method = 0, True, "nothing to place"
                self.ready.set()
                return
            self._measures()
            self._portfolio()
            self.ready.set()
            if not self._done():
                if self.cells <= MOST_CELLS:
                    self._dive()
                    if self.seconds > 0:
                        self._search()
                elif self.seconds > 0:
                    self._move_forward()
            self.finished = self._done()
        except BaseException as error:  # told by the thread that waits
            self.failure = error
            self.ready.set()

    def _measures(self) -> None:
        lower, upper, owner = self.time
        width = np.bincount(owner, weights=upper - lower).astype(np.int64)
        self.keys = {
            "T": most_in(self.load, *self._runs()),
            "W": width,
            "A": width.astype(np.float64) * self.size,
            "C": np.bincount(owner, weights=self.ends - self.begins + 1).astype(np.int64),
            "Z": self.size,
            "D": degree_of(*self._runs(), self.sections),
            "S": lower.max() - lower[self.first[:-1]],
            "E": upper[self.first[1:] - 1] - upper.min(),
        }
        self.keys["DZ"] = self.keys["D"].astype(np.float64) * self.size
        self.keys["TZ"] = self.keys["T"].astype(np.float64) * self.size

    def _constraints(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, int, np.ndarray, np.ndarray]:
        return self.size, self.align, self.begin, self.end, self.element, self.pair_first, self.pair

    def _order(self, names: tuple[str, ...]) -> np.ndarray:
        return np.lexsort([-self.keys[k] for k in reversed(names)])

    def _fit(self, order: np.ndarray, smallest_gap: bool, method: str) -> int:
        """One pass; its peak, or -1 - i where it would not be better than the best because of thing i."""
        most = self.high - 1 if self.high >= 0 else 1 << 60
        offset, peak = fit(order, *self._constraints(), *self._runs(), smallest_gap, most)
        if peak >= 0:
            self._take(offset, method)
            self.order = order
        return int(peak)

    def _grow(self, order: np.ndarray, method: str) -> int:
        """One skyline; its peak, or -1 - i where thing i would leave its region."""
        offset, peak = skyline(order, *self._constraints(), *self._runs(), self.sections, 0)
        if peak >= 0:
            self._take(offset, method)
        return int(peak)

    def _enough(self) -> bool:
        """Whether the portfolio may end early: there is a placement, and it is good enough or the time is over."""
        late = bool(self.state[1]) or (0 < self.seconds < math.inf and time.perf_counter() >= self.deadline)
        return self._done() or (self.high >= 0 and late)

    def _portfolio(self) -> None:
        if self.cells <= SKYLINE_CELLS:
            for angle in SKYLINES:
                if self._enough():
                    return
                self._grow(self._order(tuple(angle)), f"skyline {angle}")
        few = self.high >= 0  # skylines, and those are nearly always better
        for names in ORDERS[:4] if few else ORDERS:
            for smallest_gap in (False,) if few else (False, True):
                if self._enough():
                    return
                self._fit(self._order(names), smallest_gap, f"order {'/'.join(names)}")
        self.all_orders = True
        if self.high < 0:  # regions and partners can make an order fail; those that can go in few places first
            slack = np.minimum(self.end, 1 << 60) - self.begin - self.size
            self._fit(np.lexsort((-self.size, slack)), False, "order of regions")
        if self.high < 0:
            raise self._no_place()

    def _no_place(self) -> Exception:
        from ..errors import InvalidOption

        tight = np.argsort(self.end - self.begin - self.size, kind="stable")[0]
        i = int(self.part[tight])
        return InvalidOption(
            f"allocation: no order places everything inside its region; the tightest is thing {self.problem.name(i)}"
            f" of {self.problem.size[i]:,} bytes in [{self.problem.begin[i]:,}, {self.problem.end[i]:,})."
            " Give it a larger region"
        )

    def _prepare(self) -> None:
        self.sec_first, self.sec = spread(*self._runs())
        shape = (len(self.size) + self.sections, 2)
        self.random = np.random.default_rng(0)
        self.zobrist = self.random.integers(0, 1 << 64, shape, np.uint64)
        self.memo = np.zeros((1 << 18, 2), np.uint64)
        self.weight = np.ones(self.sections)
        self.room = 16 * (len(self.size) + self.sections) + 4096
        self.frames = 2 * len(self.size) + self.sections + 64

    def _try(self, angle: str, mode: int, target: int, limit: int, shake: float) -> int:
        """One run of the search below `target`; its outcome."""
        keys = []
        for place, k in enumerate(angle):
            key = -np.log(self.keys[k] + 1.0)
            if shake and place < 2:
                key = key + (shake * 0.1 if k == "T" else shake) * self.random.standard_normal(len(key))
            keys.append(key)
        item_first, item = turn_over(self.sec_first, self.sec, self.sections, np.lexsort(keys[::-1]))
        self.weight[:] = 1.0  # of this run only: what an earlier run failed at leads the next one the same wrong way
        things = Things(*self._constraints(), self.sec_first, self.sec, item_first, item, self.zobrist)
        while True:
            outcome, offset = search(
                things, self.plain, mode, target, self.weight, self.memo, self.state, limit, self.room, self.frames
            )
            if outcome == ROOM and self.room < MOST_ROOM:
                self.room *= 4
            elif outcome == DEPTH and self.frames < MOST_FRAMES:
                self.frames *= 2
            else:
                break
        if outcome in (ROOM, DEPTH):  # this way is too deep to follow; another may not be
            outcome = LIMIT
        if outcome == FOUND:
            self._take(offset, f"search {angle}{mode}")
        elif outcome == NONE:
            self.low = max(self.low, target + 1)
            self.proven_by_search = True
        return outcome

    def _dive(self) -> None:
        """Straight down at falling capacities: hardly more than one pass each."""
        self._prepare()
        n = len(self.size)
        most = QUICK_CELLS // self.cells if self.seconds <= 0 and self.most_states is None else 1 << 60
        for part in (0.75, 0.5, 0.35, 0.25, 0.15):
            target = self.low + int((self.high - self.low) * part)
            if self._enough() or target >= self.high:
                return
            for angle, mode in (("TWA", 1), ("CTA", 3)):
                limit = min(n + 64, most - int(self.state[0]))
                if limit < n:
                    return
                if self._try(angle, mode, target, limit, 0.0) == FOUND:
                    break
            else:
                return

    def _search(self) -> None:
        limit = STEP * len(self.size)
        shakes = cycle((0.0, 0.05, 0.2, 0.5))
        count, share = 0, 0.5
        while True:
            shake = next(shakes)
            for angle, mode in product(ANGLES, MODES):
                if self._done() or self._out_of_time():
                    return
                goal = min(self._goal(), self.high - 1)
                count += 1
                if count % 4 == 0 or (self.capacity is None and count % 2):
                    # the goal may be out of reach: a share of the way there, which grows with success
                    target = self.high - max(1, int((self.high - self.low) * share))
                    outcome = self._try(angle, mode, max(target, goal), limit, shake)
                    share = min(share * 1.5, 0.7) if outcome == FOUND else max(share * 0.9, 0.01)
                else:
                    self._try(angle, mode, goal, limit, shake)
            limit = int(limit * GROW)

    def _move_forward(self) -> None:
        """For what is too large to search: the thing that finds no place below the best peak is placed earlier the
        next time, until all find one; then the best peak is lower and the same goes on."""
        random = np.random.default_rng(0)
        rank = np.empty(len(self.size))
        rank[self.order] = np.arange(len(self.size))
        while not (self._done() or self._out_of_time()):
            outcome = self._fit(np.argsort(rank, kind="stable"), False, "orders moved forward")
            if outcome < 0:
                rank[-1 - outcome] *= random.uniform(0.3, 0.95)
