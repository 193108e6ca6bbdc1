"""An order of ops in which little is alive: the problem in the abstract, and its search.

    problem = Problem.of(ops, constraints, allocations)      # see below
    order = best_order(problem)
    problem.alive(order).max(), problem.alive(order).sum()

Orders are made front to back and back to front by least growth, and depth first; the most promising are improved by
moving runs of consecutive ops for as long as that lowers the sum over time of what is alive, the measure of the poprithms
library, whose published graphs this is held to; the one with the least peak wins, then the least sum.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

SHUFFLED = 4  # orders made with ties broken at random, each way
BUDGET = 30_000_000  # places looked at by the search: about half a second on graphs of 10,000 ops


def as_lists(pairs: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """(first, items) of pairs (i, item): int64, the items of i in the order given."""
    pairs = np.asarray(pairs, np.int64).reshape(-1, 2)
    by = np.argsort(pairs[:, 0], kind="stable")
    first = np.concatenate([[0], np.cumsum(np.bincount(pairs[:, 0], minlength=count))]).astype(np.int64)
    return first, np.ascontiguousarray(pairs[by, 1])


@dataclass(frozen=True)
class Problem:
    """Ops 0..n-1 to be put in order. before, after: who must stand before and behind whom; op_allocs, alloc_ops: who
    touches which allocation; weight: float64 of the allocations. Lists as (first, items)."""

    count: int
    before: tuple[np.ndarray, np.ndarray]
    after: tuple[np.ndarray, np.ndarray]
    op_allocs: tuple[np.ndarray, np.ndarray]
    alloc_ops: tuple[np.ndarray, np.ndarray]
    weight: np.ndarray

    @classmethod
    def of(cls, count: int, constraints: Iterable[Any], touches: Iterable[Any], weight: Sequence[float]) -> Problem:
        """From pairs (op, op that must come later) and (op, allocation it touches)."""
        edges = np.unique(np.array(list(constraints), np.int64).reshape(-1, 2), axis=0)
        uses = np.unique(np.array(list(touches), np.int64).reshape(-1, 2), axis=0)
        weights = np.asarray(weight, np.float64)
        return cls(
            count,
            as_lists(edges[:, ::-1], count),
            as_lists(edges, count),
            as_lists(uses, count),
            as_lists(uses[:, ::-1], len(weights)),
            weights,
        )

    def reversed(self) -> Problem:
        """The same with time running backwards."""
        return Problem(self.count, self.after, self.before, self.op_allocs, self.alloc_ops, self.weight)

    def alive(self, order: np.ndarray) -> np.ndarray:
        """Weight alive at every place: float64."""
        from .shifts import alive

        return alive(np.asarray(order, np.int64), *self.op_allocs, self.weight)

    def is_order(self, order: np.ndarray) -> bool:
        """Whether an order has every op once and keeps the constraints."""
        order = np.asarray(order)
        if sorted(order.tolist()) != list(range(self.count)):
            return False
        place = np.empty(self.count, np.int64)
        place[order] = np.arange(self.count)
        first, items = self.before
        owner = np.repeat(np.arange(self.count), np.diff(first))
        return bool((place[items] < place[owner]).all())

    def cost(self, order: np.ndarray) -> tuple[float, float]:
        """(largest, sum) of what is alive."""
        live = self.alive(order)
        return float(live.max(initial=0.0)), float(live.sum())


def first_orders(problem: Problem, given: np.ndarray | None = None) -> list[np.ndarray]:
    """Orders made without search; `given` is one that is known."""
    from .shifts import depth_first, greedy

    n = problem.count
    made = [] if given is None else [np.asarray(given, np.int64)]
    number = np.arange(n, dtype=np.int64)
    shuffled = [np.random.default_rng(seed).permutation(n) for seed in range(SHUFFLED)]
    for backwards in (False, True):
        p = problem.reversed() if backwards else problem
        found = []
        for newest, rank in ((True, number), (False, number), *((False, r) for r in shuffled)):
            found.append(greedy(n, *p.before, *p.after, *p.op_allocs, p.weight, newest, rank))
        depth = _depth(p, found[0])
        for rank in (depth, -depth, number, -number):
            found.append(depth_first(n, *p.before, *p.after, rank))
        made += [o[::-1].copy() if backwards else o for o in found]
    return made


def _depth(problem: Problem, order: np.ndarray) -> np.ndarray:
    """The longest way to each op: int64."""
    depth = [0] * problem.count
    first, items = (a.tolist() for a in problem.before)
    for i in order.tolist():
        depth[i] = max((depth[j] + 1 for j in items[first[i] : first[i + 1]]), default=0)
    return np.array(depth, np.int64)


class Search:
    """An order being improved by moving runs of consecutive ops. `budget` counts the places looked at."""

    def __init__(self, problem: Problem, order: np.ndarray):
        self.problem, self.back = problem, problem.reversed()
        self.order = np.array(order, np.int64)
        self.changed = np.zeros(problem.count, np.int64)  # when each place changed last
        self.now = 0
        self.seen: dict[tuple[int, bool], np.ndarray] = {}

    def move(self, length: int, turned: bool, budget: int) -> tuple[float, int]:
        """One pass over all runs of a length, moved later or (turned) earlier; (gain, budget left)."""
        from .shifts import shift

        p = self.back if turned else self.problem
        order, changed = (self.order[::-1].copy(), self.changed[::-1].copy()) if turned else (self.order, self.changed)
        seen = self.seen.setdefault((length, turned), np.full(p.count + 1, -1, np.int64))
        self.now += 1
        gain, budget = shift(
            order, *p.before, *p.op_allocs, *p.alloc_ops, p.weight, length, budget, seen, changed, self.now
        )
        if turned:
            order, changed = order[::-1].copy(), changed[::-1].copy()
        self.order, self.changed = order, changed
        return gain, budget

    def improve(self, budget: int) -> int:
        """Move runs of 1, 2, 3, ... ops until no move helps or the budget is spent; returns what is left of it."""
        lengths = sorted({int(1.4**k) for k in range(60) if 1.4**k <= self.problem.count / 2} | {1})
        gained = True
        while gained and budget > 0:
            gained = False
            for length in lengths:
                for turned in (False, True):
                    gain, budget = self.move(length, turned, budget)
                    gained |= gain > 0
        return budget


def best_order(problem: Problem, given: np.ndarray | None = None, budget: int = BUDGET) -> np.ndarray:
    """The best order found: int64[count]. Never worse in peak than `given`."""
    if not problem.count:
        return np.zeros(0, np.int64)
    made = {o.tobytes(): o for o in first_orders(problem, given)}
    ranked = sorted(made.values(), key=problem.cost)
    by_sum = sorted(made.values(), key=lambda o: problem.cost(o)[::-1])
    starts = {o.tobytes(): o for o in (*ranked[:3], *by_sum[:5])}
    searches = [Search(problem, o) for o in starts.values()]
    for search in searches:
        search.improve(budget // (3 * len(searches)))
    searches.sort(key=lambda s: problem.cost(s.order)[::-1])
    budget = searches[0].improve(budget // 3) + budget // 3
    searches.sort(key=lambda s: problem.cost(s.order))
    searches[0].improve(budget)
    return min([*(s.order for s in searches), *ranked], key=problem.cost)
