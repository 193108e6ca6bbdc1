"""A training graph as a chain of segments: where the forward phase can be cut, and what each piece costs.

A cut lies between two ops of the forward phase. What crosses it (made before, read behind it, by forward ops) is what
must be kept to run the rest of the forward phase again. Cuts are taken where least crosses. To every segment between two
cuts belong the ops of the backward phase that can run while it is the last segment whose values are there.

Values stand for the memory they lie in: a view is represented by what it is a view of.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from .graph import OpGraph
from .liveness import place_values, size_bytes
from .op import Op, Value
from .order import root_values

MACS_PER_CYCLE = {4: 16, 2: 64}  # of a tile's matrix unit, by bytes of an element: public figures of the machine


def work(op: Op) -> float:
    """A tile's cycles an op takes, were it alone there: products at the rate of the matrix unit, else an element read or
    written a cycle. Views are free. An estimate to compare ops with, not a time."""
    if op.view_of or op.kind == "constant" or not op.outputs:
        return 0.0
    if op.macs:
        return op.macs / MACS_PER_CYCLE.get(op.outputs[0].dtype.size, 16)
    return float(sum(v.size for v in (*op.inputs, *op.outputs)))


@dataclass(eq=False)
class Segment:
    """Ops of the forward phase between two cuts.

    ops: those that can run again, in order; fixed: those that cannot (updates, constants). entering: what crosses the cut
    before it. backward: ops of the backward phase. needed: values made here that those read. cheap: the part of `needed`
    that the rest of it makes again without products. forward_peak, backward_peak: bytes on top of what enters.
    """

    number: int
    ops: list[Op]
    entering: frozenset[Value] = frozenset()
    leaving: frozenset[Value] = frozenset()
    backward: list[Op] = field(default_factory=list)
    needed: frozenset[Value] = frozenset()
    cheap: frozenset[Value] = frozenset()
    work: float = 0.0
    needed_work: float = 0.0
    cheap_work: float = 0.0
    forward_peak: int = 0
    backward_peak: int = 0
    arriving: int = 0  # bytes of gradients that arrive from the segments behind


@dataclass(eq=False)
class Chain:
    """Segments in order, and what stands around them in the graph."""

    g: OpGraph
    segments: list[Segment]
    roots: dict[Value, tuple[Value, ...]]
    rest: list[Op]  # behind the backward phase
    forward_work: float


def cut_into_segments(g: OpGraph, most: int = 200) -> Chain:
    """The chain of a training graph, of at most so many segments."""
    forward = [op for op in g.ops if op.phase == "forward"]
    backward = [op for op in g.ops if op.phase == "backward"]
    roots = root_values(g.ops)
    cuts = _cuts(forward, roots)
    each = -(-(len(cuts) - 1) // most)
    cuts = [*cuts[:-1:each], cuts[-1]]
    segments = []
    for number, ((begin, entering), (end, leaving)) in enumerate(itertools.pairwise(cuts)):
        segments.append(Segment(number, forward[begin:end], entering, leaving))
    _assign_backward(segments, backward, roots)
    for segment in segments:
        _measure(segment, roots)
    total = sum(work(op) for op in forward)
    return Chain(g, segments, roots, [op for op in g.ops if op.phase not in ("forward", "backward")], total)


def _cuts(forward: Sequence[Op], roots: dict[Value, tuple[Value, ...]]) -> list[tuple[int, frozenset[Value]]]:
    """(number of ops before the cut, what crosses it), the beginning and the end with them."""
    last: dict[Value, int] = {}
    for i, op in enumerate(forward):
        for v in op.inputs:
            for r in roots.get(v, ()):
                if r.op is not None and r.op.kind != "constant":
                    last[r] = i
    alive: set[Value] = set()
    crossing: list[tuple[frozenset[Value], int]] = []
    for i, op in enumerate(forward):
        for v in op.outputs:
            alive.update(r for r in roots[v] if last.get(r, -1) > i)
        alive = {r for r in alive if last[r] > i}
        crossing.append((frozenset(alive), sum(map(size_bytes, alive))))
    cuts: list[tuple[int, frozenset[Value]]] = [(0, frozenset())]
    for i in range(len(forward) - 1):
        values, bytes_ = crossing[i]
        after = crossing[i + 1][1]
        before = crossing[i - 1][1] if i else bytes_ + 1
        # a run of equal bytes is cut behind its last op: what acts in place belongs to what it acts on
        if (
            values
            and bytes_ <= before
            and bytes_ <= after
            and not _goes_on(forward[i + 1], values, crossing[i + 1][0], roots)
        ):
            cuts.append((i + 1, values))
    cuts.append((len(forward), frozenset()))
    return cuts


def _goes_on(op: Op, values: frozenset[Value], after: frozenset[Value], roots: dict[Value, tuple[Value, ...]]) -> bool:
    """Whether an op may overwrite what crosses the cut before it, is a view, or changes nothing that crosses."""
    if op.view_of or op.updates or op.kind == "constant" or values == after:
        return True
    operands = [getattr(op, name) for name in op.in_place]
    ending = values - after
    return not op.macs and any(r in ending for v in operands if v is not None for r in roots.get(v, ()))


def _assign_backward(segments: list[Segment], backward: Sequence[Op], roots: dict[Value, tuple[Value, ...]]) -> None:
    made: dict[Value, int] = {}
    reach: dict[Value, int] = {}
    for s in segments:
        for op in s.ops:
            made.update(dict.fromkeys(op.outputs, s.number))
            for r in (r for v in op.inputs for r in roots.get(v, ())):
                reach[r] = s.number
    at = len(segments) - 1
    for op in backward:
        for r in (r for v in op.inputs for r in roots.get(v, ())):
            if r in made and r.op is not None and r.op.kind != "constant":
                at = min(at, reach.get(r, made[r]))
        segments[at].backward.append(op)
    for s in segments:
        wanted = {r for op in s.backward for v in op.inputs for r in roots.get(v, ())}
        own = {r for r in wanted if made.get(r) == s.number and r.op is not None and r.op.kind != "constant"}
        s.needed = frozenset(own)


def _measure(segment: Segment, roots: dict[Value, tuple[Value, ...]]) -> None:
    again = [op for op in segment.ops if can_repeat(op)]
    segment.work = sum(work(op) for op in closure(segment.leaving, segment.entering, again, roots))
    repeated = closure(segment.needed, segment.entering, again, roots)
    segment.needed_work = sum(work(op) for op in repeated)
    segment.cheap, segment.cheap_work = _cheap(segment, again, roots)
    keep = segment.leaving - segment.entering
    segment.forward_peak = place_values(segment.ops, keep).peak
    inside = {v for op in segment.backward for v in op.outputs}
    outside = {
        r for op in segment.backward for v in op.inputs for r in roots.get(v, ())
        if r not in inside and r.op is not None and r.op.phase == "backward" and r.op.kind != "constant"
    }  # fmt: skip
    segment.arriving = sum(map(size_bytes, outside))
    ops = [*repeated, *segment.backward]
    segment.backward_peak = place_values(ops).peak + segment.arriving


def can_repeat(op: Op) -> bool:
    """Whether an op of the forward phase may run again."""
    return not op.updates and op.kind != "constant"


def closure(
    wanted: Iterable[Value], there: Iterable[Value], ops: Sequence[Op], roots: dict[Value, tuple[Value, ...]]
) -> list[Op]:
    """Those of `ops`, in order, that make the wanted values out of those that are there."""
    there = set(there)
    needed = set(wanted) - there
    found = []
    for op in reversed(ops):
        if any(r in needed for v in op.outputs for r in (v, *roots[v])):
            found.append(op)
            for v in op.inputs:
                needed.update(r for r in (v, *roots.get(v, ())) if r not in there)
    return found[::-1]


def _cheap(
    segment: Segment, again: Sequence[Op], roots: dict[Value, tuple[Value, ...]]
) -> tuple[frozenset[Value], float]:
    """The needed values that can be dropped and made again without products, and the work of it."""
    makers = {v: op for op in again for v in op.outputs}
    dropped: set[Value] = set()
    for value in sorted(segment.needed, key=lambda v: -size_bytes(v)):
        if makers[value].macs or (len(makers[value].outputs) > 1 and size_bytes(value) < 4096):
            continue
        there = segment.entering | (segment.needed - dropped - {value})
        ops = closure([value], there, again, roots)
        if not any(op.macs for op in ops) and ops:
            dropped.add(value)
    ops = closure(dropped, segment.entering | (segment.needed - dropped), again, roots)
    return frozenset(dropped), sum(work(op) for op in ops)
