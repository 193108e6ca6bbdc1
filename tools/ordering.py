"""Graphs whose best order of ops is known or published, by their rules: the tests of the poprithms library.

python tools/ordering.py          # a table: ours next to what poprithms' shift scheduler reaches
"""

from __future__ import annotations

import math
import time

import numpy as np

from poplar_py.opgraph.schedule import Problem, best_order

# name -> (largest, sum, seconds) that poprithms' shift scheduler was measured at
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


def main() -> None:
    best_order(tree(3))  # compile what is compiled
    print(
        f"{'graph':<16}{'ops':>7}{'largest':>12}{'poprithms':>11}{'sum':>14}{'poprithms':>14}{'s':>7}{'poprithms':>10}"
    )
    for name, problem in graphs().items():
        begin = time.perf_counter()
        order = best_order(problem)
        seconds = time.perf_counter() - begin
        largest, total = problem.cost(order)
        old = PUBLISHED[name]
        print(
            f"{name:<16}{problem.count:>7}{largest:>12,.0f}{old[0]:>11,}{total:>14,.0f}{old[1]:>14,.0f}"
            f"{seconds:>7.2f}{old[2]:>10}"
        )


if __name__ == "__main__":
    main()
