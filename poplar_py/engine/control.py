"""Control trees as Python callables: the part of running that both engines share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..program.supersteps import Schedule, Tree

Action = Callable[[], None]


def build(
    schedule: Schedule, run_step: Callable[[int], Action], read: Callable[[int], Callable[[], int]]
) -> list[Action]:
    """A callable per program. `run_step(i)` returns superstep i as a callable, `read(i)` one that returns its predicate.

    Each is asked for once per place in the trees, so what they return can be prepared in advance.
    """
    functions: list[Action] = []
    for tree in schedule.functions:
        functions.append(_build(tree, run_step, read, functions))
    return [_build(tree, run_step, read, functions) for tree in schedule.programs]


def _build(tree: Tree, run_step: Any, read: Any, functions: list[Action]) -> Action:
    def make(child: Tree) -> Action:
        return _build(child, run_step, read, functions)

    kind = tree[0]
    if kind == "step":
        return run_step(tree[1])
    if kind == "seq":
        return _sequence([make(child) for child in tree[1]])
    if kind == "repeat":
        return _repeat(tree[1], make(tree[2]))
    if kind == "while":
        return _while(bool(tree[1]), make(tree[2]), read(tree[3]), make(tree[4]))
    if kind == "if":
        return _if(read(tree[1]), make(tree[2]), make(tree[3]))
    if kind == "switch":
        return _switch(read(tree[1]), {value: make(child) for value, child in tree[2]}, make(tree[3]))
    index = tree[1]
    return lambda: functions[index]()


def _sequence(actions: list[Action]) -> Action:
    if len(actions) == 1:
        return actions[0]

    def run() -> None:
        for action in actions:
            action()

    return run


def _repeat(count: int, body: Action) -> Action:
    def run() -> None:
        for _ in range(count):
            body()

    return run


def _while(value: bool, condition: Action, predicate: Callable[[], int], body: Action) -> Action:
    def run() -> None:
        condition()
        while bool(predicate()) is value:
            body()
            condition()

    return run


def _if(predicate: Callable[[], int], then: Action, otherwise: Action) -> Action:
    return lambda: then() if predicate() else otherwise()


def _switch(index: Callable[[], int], cases: dict[int, Action], default: Action) -> Action:
    return lambda: cases.get(index(), default)()
