"""How often each superstep of a program runs, read off the control tree instead of a run.

A Repeat multiplies; a while loop counts its condition once more than its body, the body once; of the ways of an If or
Switch the dearest is taken. What depends on data is thereby a stated guess: the report says so.
"""

from __future__ import annotations

from typing import Any

import numpy as np


class _Count:
    def __init__(self, schedule: Any, cycles: np.ndarray):
        self.functions = schedule.functions
        self.cycles = cycles
        self.bodies: dict[int, np.ndarray] = {}
        self.guessed = False

    def one(self, index: int) -> np.ndarray:
        column = np.zeros(len(self.cycles), np.int64)
        column[index] = 1
        return column

    def cost(self, column: np.ndarray) -> int:
        return int((column * self.cycles).sum())

    def tree(self, tree: list[Any]) -> np.ndarray:
        kind = tree[0]
        if kind == "step":
            return self.one(tree[1])
        if kind == "seq":
            column = np.zeros(len(self.cycles), np.int64)
            for child in tree[1]:
                if child[0] == "step":
                    column[child[1]] += 1
                else:
                    column += self.tree(child)
            return column
        if kind == "repeat":
            return tree[1] * self.tree(tree[2])
        if kind == "call":
            if tree[1] not in self.bodies:
                self.bodies[tree[1]] = self.tree(self.functions[tree[1]])
            return self.bodies[tree[1]].copy()
        self.guessed = True
        if kind == "while":
            return 2 * (self.tree(tree[2]) + self.one(tree[3])) + self.tree(tree[4])
        if kind == "if":
            ways = [self.tree(tree[2]), self.tree(tree[3])]
        else:
            ways = [self.tree(child) for _, child in tree[2]] + [self.tree(tree[3])]
        return self.one(tree[1]) + max(ways, key=self.cost)


def static_counts(executable: Any, program: int = 0) -> tuple[np.ndarray, bool]:
    """Executions of every superstep in one run of `program` (int64), and whether some depend on data."""
    cycles = np.array([int(step.cycles) for step in executable.steps], np.int64)
    count = _Count(executable.schedule, cycles)
    return count.tree(executable.schedule.programs[program]), count.guessed
