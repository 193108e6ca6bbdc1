"""Concatenation into place: which values are made where the result of a concatenation has them.

The result of a concatenation, the *whole*, is there from its first part on; a value with a `Home` is written straight to
its part of it, and the concatenation has nothing to do for it. A part has one home: in the first concatenation that reads
it, and there once. A concatenation that is part of another has its home in that one, with all its parts; a value that ends
where a part is written over it has the part's home. Inputs, parameters, constants and views have none: they are copied.
Parts do not overlap, so what is written to one is written to no other: only ops that write over the very operand that
lies in a part touch it, and those must find that nobody reads it later (liveness.py, lower/in_place.py).

A whole that is there early may raise the peak. `worthwhile` keeps those that do not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from .graph import OpGraph
from .op import Op, Value

MOST_TRIED = 64  # concatenations that are given up one by one to see whether that lowers the peak


@dataclass(frozen=True)
class Home:
    """The elements of `whole` from place `begin` of its joined axis on, as many as the value has there."""

    whole: Value
    begin: int


Homes = Mapping[Value, Home]


def axis_of(op: Op) -> int:
    """The axis along which an op concatenates, from 0 on."""
    return int(op.axis) % op.outputs[0].ndim  # type: ignore[attr-defined]


def slots(op: Op) -> list[tuple[Value, int]]:
    """The parts of a concatenation, and where on its axis each begins."""
    found, begin = [], 0
    for part in op.inputs:
        found.append((part, begin))
        begin += part.shape[axis_of(op)]
    return found


def find_homes(
    g: OpGraph, written_over: Callable[[Op], Value | None], fits: Callable[[Op], bool] = lambda op: True
) -> dict[Value, Home]:
    """Homes in the concatenations of a graph that `fits` allows. `written_over` says of an op which operand, that ends
    there, its first output is written over."""
    joins = [op for op in g.ops if op.kind == "concat" and fits(op)]
    reader: dict[Value, Op] = {}
    for op in joins:
        for part in op.inputs:
            reader.setdefault(part, op)
    homes: dict[Value, Home] = {}
    for op in reversed(joins):
        mine = homes.setdefault(op.outputs[0], Home(op.outputs[0], 0))
        for part, begin in slots(op):
            if part in homes or reader[part] is not op or not _can_move(part, op, joins):
                continue
            value: Value | None = part
            while value is not None and value not in homes and value.op is not None and value.op.kind != "constant":
                if value.op.view_of and value is not part:
                    break
                homes[value] = Home(mine.whole, mine.begin + begin)
                value = written_over(value.op)
    return homes


def _can_move(part: Value, op: Op, joins: Sequence[Op]) -> bool:
    """Whether a part can be made elsewhere: an op makes it, or joins it along the same axis."""
    if part.op is None or part.op.kind == "constant":
        return False
    if part.op.view_of:
        return part.op in joins and axis_of(part.op) == axis_of(op)
    return part is part.op.outputs[0]


def without(homes: Homes, whole: Value) -> dict[Value, Home]:
    """The homes in all wholes but one."""
    return {value: home for value, home in homes.items() if home.whole is not whole}


def worthwhile(g: OpGraph, homes: Homes) -> dict[Value, Home]:
    """Homes in those wholes that do not raise the peak of the graph, as it is where their parts are copied instead."""
    from .liveness import Liveness

    best, kept = Liveness(g, joins=homes).peak, dict(homes)
    wholes = dict.fromkeys(home.whole for home in homes.values())
    for whole in wholes if len(wholes) <= MOST_TRIED else ():
        fewer = without(kept, whole)
        peak = Liveness(g, joins=fewer).peak
        if peak < best:
            best, kept = peak, fewer
    return kept if best <= Liveness(g, joins={}).peak else {}


def all_homes(g: OpGraph) -> dict[Value, Home]:
    """Homes in every concatenation of a graph, by what `Liveness` writes over what."""
    from .liveness import Liveness

    over = dict(Liveness(g).places.overwrites)
    return find_homes(g, over.get)
