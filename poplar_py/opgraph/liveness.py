"""Memory of an op graph: which values share bytes, how long they live, and how much is alive at every step.

A step is an op, in the order of the graph. A `Storage` is bytes that one or more values lie in, from the step that
first writes them to the last that reads one of the values. With `in_place`, views (`Op.view_of`: reshape, transpose,
slice, concat, ...) lie in the memory of what they are views of, which puts the parts of a concatenation where they
belong, and the first output of an op takes the memory of an operand (`Op.in_place`) of the same size that nothing reads
afterwards and that no other operand of the op lies in. Without, every value has bytes of its own.

Parts of a concatenation may so lie anywhere, as tensors on the tiles may. With `joins` the result of one is a single run
of memory: parts with a home there (joins.py) are written into it, which it is alive for from the first of them on; the
others are copied, and so are all parts of concatenations without a home.

Parameters, optimiser state and constants are alive always and counted apart; an input is alive from the first step
to its last reader, an output from its op to the end. Neither is ever overwritten by something else.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from .graph import OpGraph
from .joins import Home, Homes, slots
from .op import Op, Value

ALWAYS = ("parameters", "state", "constants")
CATEGORIES = ("inputs", "activations", "recomputed", "gradients")


def size_bytes(value: Value) -> int:
    """Bytes of a value."""
    return value.type.size_bytes


@dataclass(eq=False)
class Storage:
    """Bytes that `values` lie in, alive in the steps `first` to `last` (inclusive); `category` is that of the first."""

    bytes: int
    first: int
    last: int
    category: str
    values: list[Value]
    fixed: bool = False  # whether nothing else may be written there

    @property
    def name(self) -> str:
        """The path of the value written first."""
        return self.values[0].name


@dataclass
class Places:
    """Where the values of a sequence of ops lie: `storages` in order of birth, `of` for every value made there."""

    steps: int
    storages: list[Storage] = field(default_factory=list)
    of: dict[Value, tuple[Storage, ...]] = field(default_factory=dict)
    overwrites: list[tuple[Op, Value]] = field(default_factory=list)  # (op, operand whose memory its output takes)
    covers: set[Value] = field(default_factory=set)  # values that are all of their storages, each element once
    wholes: dict[Value, Storage] = field(default_factory=dict)  # results of concatenations that are one run of memory
    parts: dict[Home, Storage] = field(default_factory=dict)  # by where in a whole: not among `storages`

    @property
    def bytes(self) -> int:
        """Of all storages, nothing shared in time."""
        return sum(s.bytes for s in self.storages)

    def live(self, category: str | None = None) -> np.ndarray:
        """Bytes alive at every step: int64[steps], of one category or all."""
        change = np.zeros(self.steps + 1, np.int64)
        chosen = [s for s in self.storages if category is None or s.category == category]
        np.add.at(change, [s.first for s in chosen], [s.bytes for s in chosen])
        np.subtract.at(change, [s.last + 1 for s in chosen], [s.bytes for s in chosen])
        return np.cumsum(change)[: self.steps]

    @property
    def peak(self) -> int:
        """The most bytes alive at a step."""
        return int(self.live().max(initial=0))


def place_values(
    ops: Sequence[Op],
    kept: Collection[Value] = (),
    *,
    inputs: Iterable[Value] = (),
    in_place: bool | Collection[str] = True,
    recomputed: Collection[str] = (),
    joins: Homes | None = None,
) -> Places:
    """Storages of the values that `ops` make, in that order. `kept` live to the end; `inputs` from the start; other
    values from outside are not counted and not overwritten. `in_place`: whether views and results lie in the memory of
    operands; or the kinds of ops whose results may, views then being views. `recomputed` names ops that repeat one of the
    forward phase. `joins`: concatenations are runs of memory, with these homes; None: their parts lie anywhere."""
    places = Places(len(ops))
    until = {v: i for i, op in enumerate(ops) for v in op.inputs}
    until |= dict.fromkeys(kept, len(ops) - 1)
    ends = set(kept)
    for value in inputs:
        last = until.get(value, -1)
        if last >= 0:
            _new(places, value, 0, last, "inputs", fixed=True)
    for i, op in enumerate(ops):
        for number, value in enumerate(op.outputs):
            last, taken = until.get(value, i), None
            home = joins.get(value) if joins and number == 0 else None
            category = _category(op, recomputed)
            if in_place and number == 0:
                allowed = in_place is True or op.kind in in_place
                if joins is not None and op.kind == "concat":
                    taken = _joined(places, op, i, home, category) if home else None
                elif op.view_of:
                    taken = _viewed(places, op)
                elif allowed:
                    taken = _overwritten(places, op, i, ends, home)
                if taken is None and home is not None and home not in places.parts:
                    taken = _made_at_home(places, value, home, i, category)
                    places.covers.add(value)
            if taken is None:
                if op.kind != "constant":
                    _new(places, value, i, last, category)
                continue
            places.of[value] = taken
            for storage in taken:
                storage.last = max(storage.last, last)
                storage.values.append(value)
    for home, part in places.parts.items():
        whole = places.wholes[home.whole]
        whole.last = max(whole.last, part.last)
        whole.values += [v for v in part.values if v not in whole.values]
    return places


def _made_at_home(places: Places, value: Value, home: Home, step: int, category: str) -> tuple[Storage, ...]:
    """The part of a whole that a value is written to, not yet with the value among its own; the whole begins with its
    first part."""
    if home.whole not in places.wholes:
        places.wholes[home.whole] = Storage(size_bytes(home.whole), step, step, category, [value])
        places.storages.append(places.wholes[home.whole])
    places.parts[home] = Storage(size_bytes(value), step, step, category, [])
    return (places.parts[home],)


def _joined(places: Places, op: Op, step: int, home: Home, category: str) -> tuple[Storage, ...] | None:
    """The parts of a concatenation: those that lie at home, and the copies of those that do not. None where something
    else lies where a copy would: all are copied then."""
    own = {s: h for h, s in places.parts.items() if h.whole is home.whole}
    lying: list[tuple[Value, Home, tuple[Storage, ...]]] = []
    for part, begin in slots(op):
        here, lies = Home(home.whole, home.begin + begin), places.of.get(part, ())
        at_home = bool(lies) and all(s in own for s in lies) and min(own[s].begin for s in lies) == here.begin
        if not at_home and here in places.parts:
            return None
        lying.append((part, here, lies if at_home else ()))
    if all(part in places.covers or not lies for part, _, lies in lying):
        places.covers.add(op.outputs[0])
    return tuple(s for part, here, lies in lying for s in lies or _made_at_home(places, part, here, step, category))


def _category(op: Op, recomputed: Collection[str]) -> str:
    if op.phase == "forward":
        return "activations"
    return "recomputed" if op.name in recomputed else "gradients"


def _new(places: Places, value: Value, first: int, last: int, category: str, fixed: bool = False) -> None:
    storage = Storage(size_bytes(value), first, last, category, [value], fixed)
    places.storages.append(storage)
    places.of[value] = (storage,)
    places.covers.add(value)


def _viewed(places: Places, op: Op) -> tuple[Storage, ...]:
    """The storages that the output of a view lies in."""
    operand = getattr(op, op.view_of)
    parts = operand if isinstance(operand, tuple) else (operand,)
    found = [s for part in parts for s in places.of.get(part, ())]
    distinct = tuple(dict.fromkeys(found))
    value = op.outputs[0]
    whole = all(part in places.covers for part in parts) and len(distinct) == len(found)
    if whole and sum(s.bytes for s in distinct) == size_bytes(value):
        places.covers.add(value)
    return distinct


def _overwritten(
    places: Places, op: Op, step: int, ends: Collection[Value], home: Home | None = None
) -> tuple[Storage, ...] | None:
    """The storages of an operand that the output may take, or None; with a home that is still free, only that."""
    size = size_bytes(op.outputs[0])
    for name in op.in_place:
        operand = getattr(op, name)
        storages = places.of.get(operand, ())
        if not storages or operand not in places.covers or size_bytes(operand) != size:
            continue
        if any(s.fixed or s.last > step or any(v in ends for v in s.values) for s in storages):
            continue
        if any(v is not operand and not set(places.of.get(v, ())).isdisjoint(storages) for v in op.inputs):
            continue
        if home is not None and home not in places.parts:
            continue
        places.overwrites.append((op, operand))
        places.covers.add(op.outputs[0])
        return storages
    return None


class Liveness:
    """Memory of a whole op graph; see the module's text.

        alive = Liveness(g)
        alive.peak, alive.peak_op.name, alive.largest(alive.peak_step, 5)

    `always`: bytes of what is alive throughout, by category. `live`: int64 bytes at every step, without those.
    """

    def __init__(self, g: OpGraph, in_place: bool | Collection[str] = True, joins: Homes | None = None):
        self.g = g
        again = g.info.get("recompute", {}).get("ops", {})
        self.places = place_values(
            g.ops, set(g.outputs.values()), inputs=g.inputs, in_place=in_place, recomputed=again, joins=joins
        )  # fmt: skip
        self.always = always_bytes(g)

    @cached_property
    def live(self) -> np.ndarray:
        return self.places.live()

    @property
    def peak(self) -> int:
        """The most bytes alive at a step."""
        return int(self.live.max(initial=0))

    @property
    def peak_step(self) -> int:
        return int(self.live.argmax()) if len(self.live) else 0

    @property
    def peak_op(self) -> Op | None:
        """The op of the first step at the peak."""
        return self.g.ops[self.peak_step] if self.g.ops else None

    @property
    def total(self) -> int:
        """Bytes if nothing were used again."""
        return self.places.bytes

    def by_category(self, step: int) -> dict[str, int]:
        """Bytes alive at a step."""
        found = dict.fromkeys(CATEGORIES, 0)
        for s in self.alive(step):
            found[s.category] += s.bytes
        return found

    def alive(self, step: int) -> list[Storage]:
        """What is alive at a step, largest first."""
        found = [s for s in self.places.storages if s.first <= step <= s.last]
        return sorted(found, key=lambda s: (-s.bytes, s.first))

    def largest(self, step: int, count: int) -> list[Storage]:
        """The largest things alive at a step."""
        return self.alive(step)[:count]

    def placed(self) -> int:
        """Bytes of an actual arrangement: every storage at one offset for all its life."""
        return arrange(self.places.storages)[1]


def always_bytes(g: OpGraph) -> dict[str, int]:
    """Bytes alive throughout: parameters that are trained, other state (optimiser, running statistics), constants."""
    found: dict[str, Any] = dict.fromkeys(ALWAYS, 0)
    for p in g.parameters:
        found["parameters" if p.trainable else "state"] += size_bytes(p.value)
    found["constants"] = sum(size_bytes(op.outputs[0]) for op in g.ops if op.kind == "constant")
    return found


def arrange(storages: Sequence[Storage]) -> tuple[np.ndarray, int]:
    """Offsets (int64) and the bytes they span: by size, largest first, each in the lowest gap that holds it."""
    count = len(storages)
    size, first, last = (np.array([getattr(s, k) for s in storages], np.int64) for k in ("bytes", "first", "last"))
    offset = np.zeros(count, np.int64)
    done = np.zeros(count, bool)
    top = 0
    for i in np.lexsort((first, -size)) if count else ():
        meets = np.flatnonzero(done & (first <= last[i]) & (last >= first[i]))
        meets = meets[np.argsort(offset[meets], kind="stable")]
        ends = np.maximum.accumulate(np.concatenate([[0], (offset + size)[meets]]))
        fits = np.append(offset[meets] - ends[:-1] >= size[i], True)
        offset[i] = ends[int(fits.argmax())]
        done[i] = True
        top = max(top, int(offset[i] + size[i]))
    return offset, top
