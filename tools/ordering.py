"""Graphs whose best order of ops is known or published, by their rules: the tests of the poprithms library.

    python tools/ordering.py          # a table: ours, what is known to be best, and what poprithms was measured at

poprithms' figures with all its optimisations on (`REDUCED`) count less than the graph has: before it searches it links ops
and slims allocations, which takes a constant off every order (one for each op of the forward chains of the recompute
graphs and of the branches, exactly). The tree shows it: 10 is below what any order of its 1535 ops can reach, which is
depth + 2 (when two leaves join first, every level above holds a branch that waits). `best` therefore has, counted on the
graph itself, the orders that the library's own tests call optimal, and the tree's closed form, which exact search
confirms on small trees (tests/opgraph/test_schedule.py). For the random graph, whose numbers are drawn otherwise here,
there is no such figure.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator

import numpy as np

from poplar_py.opgraph.schedule import Problem, best_order

# name -> (largest, sum, seconds) that poprithms' shift scheduler was measured at; not REDUCED: without optimisations
PUBLISHED = {
    "tree 9": (10, 13953, 0.19),
    "tree 10": (11, 30977, 0.67),
    "tree 11": (12, 68097, 3.8),
    "random 6949": (245, 1.2624e6, 0.83),
    "random 17632": (265, 3.2026e6, 4.7),
    "grid 73": (74, 207613, 2.0),
    "grid 109": (110, 676891, 9.1),
    "log 11688": (11, 62686, 3.6),
    "sqrt 8267": (105, 377320, 1.2),
    "sqrt 18651": (158, 1258210, 5.5),
    "branches 12287": (103, 645102, 4.4),
    "diamond 1234": (760765, 3.1774e8, 6.9),
}


REDUCED = {name for name in PUBLISHED if not name.startswith("grid")}


class Builder:
    """Ops with their own allocation each, read by those they feed."""

    def __init__(self) -> None:
        self.edges: list[tuple[int, int]] = []
        self.touches: list[tuple[int, int]] = []
        self.weight: list[float] = []
        self.count = 0

    def op(self, *reads: int, weight: float = 1.0) -> int:
        """An op that makes an allocation and reads those of other ops."""
        i = self.count
        self.count += 1
        self.weight.append(weight)
        self.touches += [(i, i), *((i, r) for r in reads)]
        self.edges += [(r, i) for r in reads]
        return i

    def allocate(self, weight: float, *ops: int) -> None:
        """A further allocation."""
        self.touches += [(o, len(self.weight)) for o in ops]
        self.weight.append(weight)

    def problem(self) -> Problem:
        return Problem.of(self.count, self.edges, self.touches, self.weight)


def tree(depth: int) -> Problem:
    """A root that splits in two `depth` times, and the same merging again."""
    b = Builder()
    level = [b.op()]
    for _ in range(depth):
        level = [b.op(x) for x in level for _ in range(2)]
    while len(level) > 1:
        level = [b.op(level[i], level[i + 1]) for i in range(0, len(level), 2)]
    last = b.count
    b.count += 1  # an op that returns the result and makes nothing
    b.touches.append((last, level[0]))
    b.edges.append((level[0], last))
    b.weight.append(0.0)
    return b.problem()


def random_layers(count: int, reads: int = 4, span: int = 15, seed: int = 1) -> Problem:
    """Each op reads 4 of the 15 before it; sizes 10 to 19."""
    random = np.random.default_rng(seed)
    b = Builder()
    for i in range(count):
        chosen = random.choice(span, reads, replace=False) + i - span if i >= span else ()
        b.op(*map(int, chosen), weight=float(random.integers(10, 20)))
    return b.problem()


def grid(side: int) -> Problem:
    """A column top down, a row from each of its ops, and a column bottom up that joins their ends."""
    b = Builder()
    ends = [b.op()]
    for _ in range(side - 1):
        ends.append(b.op(ends[-1]))
    for row in range(side):
        for _ in range(side - 2):
            ends[row] = b.op(ends[row])
    below: int | None = None
    for row in reversed(range(side)):
        below = b.op(ends[row], *([below] if below is not None else []))
    return b.problem()


def log_series(n: int) -> list[int]:
    """How often each of n layers runs forward where only middles are kept, at every depth of a halving."""
    times = [0] * n
    times[0] = times[-1] = times[(n - 1) // 2] = 1
    depth = 2
    while 0 in times:
        begins = [i for i in range(n - 1) if times[i] and not times[i + 1]]
        ends = [i for i in range(n - 1) if not times[i] and times[i + 1]]
        for begin, end in zip(begins, ends, strict=True):
            for at in (end, begin + 1 + (end - begin) // 2):
                times[at] = times[at] or depth
        depth += 1
    return times


def sqrt_series(n: int) -> list[int]:
    """Twice, except a checkpoint every root of n layers."""
    root = math.isqrt(n)
    times = [2] * n
    times[0] = times[-1] = 1
    for i in range(root // 2, n, root):
        times[i] = 1
    return times


def repeated(times: list[int]) -> Problem:
    """Layers that run forward so many times and backward once."""
    b = Builder()
    layers: list[list[int]] = []
    for i, count in enumerate(times):
        layers.append([b.op(*([layers[i - 1][min(k, len(layers[i - 1]) - 1)]] if i else [])) for k in range(count)])
    behind: int | None = None
    for layer in reversed(layers):
        behind = b.op(layer[-1], *([behind] if behind is not None else []))
    return b.problem()


def branches(count: int, offset: int = 1) -> Problem:
    """A root with chains, each as long as all before it together plus an offset; their ends in a row."""
    b = Builder()
    root = b.op()
    end: int | None = None
    start = 0
    for k in range(count):
        length = 3 if k == 0 else b.count - 1 + offset
        at = root
        for step in range(length):
            at = b.op(at)
            start = at if step == 0 else start
        end = b.op(at, *([end] if end is not None else []))
    b.allocate(100.0, start, end or 0)
    return b.problem()


def diamond(n: int) -> Problem:
    """n ops between a root and a tail: each ends an allocation of the root's, of falling size, and starts one of 5."""
    edges, touches, weight = [], [], []
    for i in range(n):
        op = i + 2
        edges += [(0, op), (op, 1)]
        touches += [(0, len(weight)), (op, len(weight)), (op, len(weight) + 1), (1, len(weight) + 1)]
        weight += [float(n + 1 - i), 5.0]
    return Problem.of(n + 2, edges, touches, weight)


def best_tree(depth: int) -> tuple[float, float]:
    """(largest, sum) of a tree in its best order: one half after the other, at every level."""
    return depth + 2, (3 * depth + 2) * 2**depth


def turned_back(times: list[int]) -> np.ndarray:
    """The best order of layers that run so many times: backward from the last on, each time running forward what is
    missing."""
    starts = np.concatenate([[0], np.cumsum(times)]).tolist()
    done: set[int] = set()
    order: list[int] = []
    for layer in reversed(range(len(times))):
        missing = []
        at, turn = layer, times[layer] - 1
        while at >= 0 and starts[at] + turn not in done:
            missing.append(starts[at] + turn)
            at, turn = at - 1, min(turn, times[at - 1] - 1)
        done.update(missing)
        order += [*reversed(missing), starts[-1] + len(times) - 1 - layer]
    return np.array(order)


def in_branches(count: int, offset: int = 1) -> np.ndarray:
    """The best order of branches: the longest but one first, down to the shortest, their ends, and the longest last."""
    made: list[list[int]] = []
    ends: list[int] = []
    ops = 1
    for k in range(count):
        length = 3 if k == 0 else ops - 1 + offset
        made.append(list(range(ops, ops + length)))
        ends.append(ops + length)
        ops += length + 1
    order = [0, *(op for k in reversed(range(count - 1)) for op in made[k]), *ends[:-1], *made[-1], ends[-1]]
    return np.array(order)


def layers_for(series: object, ops: int) -> list[int]:
    """The series whose graph has as many ops as asked, or the next more."""
    n = 2
    while True:
        times = series(n)  # type: ignore[operator]
        if sum(times) + n >= ops:
            return times
        n += max(1, (ops - sum(times) - n) // 16)


def graphs() -> dict[str, Problem]:
    """The published graphs by name."""
    return {
        "tree 9": tree(9), "tree 10": tree(10), "tree 11": tree(11),
        "random 6949": random_layers(6949), "random 17632": random_layers(17632),
        "grid 73": grid(73), "grid 109": grid(109),
        "log 11688": repeated(layers_for(log_series, 11688)),
        "sqrt 8267": repeated(layers_for(sqrt_series, 8267)), "sqrt 18651": repeated(layers_for(sqrt_series, 18651)),
        "branches 12287": branches(12), "diamond 1234": diamond(1232),
    }  # fmt: skip


def best(name: str, problem: Problem) -> tuple[float, float] | None:
    """(largest, sum) of the best order known of a published graph, counted on the graph itself; None: none is known."""
    kind, _, size = name.partition(" ")
    if kind == "tree":
        return best_tree(int(size))
    if kind == "grid":
        return PUBLISHED[name][:2]
    if kind == "branches":
        return problem.cost(in_branches(12))
    if kind == "diamond":
        return problem.cost(np.array([0, *range(2, problem.count), 1]))
    if kind in ("log", "sqrt"):
        return problem.cost(turned_back(layers_for(log_series if kind == "log" else sqrt_series, int(size))))
    return None


def measured() -> Iterator[tuple[str, Problem, tuple[float, float], float]]:
    """(name, problem, (largest, sum) of our order, seconds of process time) for every published graph."""
    best_order(tree(3))  # compile what is compiled
    for name, problem in graphs().items():
        begin = time.process_time()
        order = best_order(problem)
        seconds = time.process_time() - begin
        assert problem.is_order(order)
        yield name, problem, problem.cost(order), seconds


def main() -> None:
    print(
        f"{'graph':<16}{'ops':>7}{'largest':>11}{'best':>9}{'poprithms':>11}{'sum':>14}{'best':>14}{'poprithms':>14}"
        f"{'s':>7}{'poprithms':>10}"
    )
    for name, problem, (largest, total), seconds in measured():
        known, (old, old_sum, old_seconds) = best(name, problem), PUBLISHED[name]
        mark = "*" if name in REDUCED else " "
        words = [f"{n:,.0f}" for n in known] if known else ["-", "-"]
        print(
            f"{name:<16}{problem.count:>7}{largest:>11,.0f}{words[0]:>9}{old:>10,}{mark}{total:>14,.0f}{words[1]:>14}"
            f"{old_sum:>13,.0f}{mark}{seconds:>7.2f}{old_seconds:>10}"
        )
    print("* of the graph as poprithms reduces it, which takes a constant off every order")


if __name__ == "__main__":
    main()
