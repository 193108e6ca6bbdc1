"""Recomputation: less memory for activations, at the price of running parts of the forward phase again.

    g = recompute(g, "standard")     # or none, sqrt, optimal, budget:BYTES (1.5e9, 800MB, 2GiB)

A training graph becomes another in which the backward phase repeats ops of the forward phase, on the same operands, with
the same attributes (random ops are keyed by their attributes, so their numbers repeat): gradients are the same to the
last bit. `standard` drops what can be made again without products (normalisation, activation, pooling); `sqrt` keeps
about the square root of the number of segments; `optimal` finds the least peak at no more than one extra forward phase;
`budget:BYTES` the least extra work whose peak is within BYTES.

What is kept is planned on the chain of segments (segments.py, native.py); the peak that counts is that of the graph
which results, in place and reused (liveness.py). `info["recompute"]` of the result says what was done: `ops` maps each
repeated op to the op it repeats; `extra_work` and `forward_work` are estimated cycles of one tile (segments.work).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import gcd, isqrt
from typing import Any

import numpy as np

from ..errors import InvalidOption, did_you_mean
from .graph import OpGraph
from .liveness import Liveness, size_bytes
from .op import Op, Value
from .order import in_step, ordered, with_ops
from .segments import Chain, Segment, can_repeat, cut_into_segments, work

SETTINGS = ("none", "standard", "sqrt", "optimal", "budget:BYTES")  # `auto` is the pipeline's, see automatic.py
LEAF, KEEP, SPLIT = 0, 1, 3  # as native.py numbers choices
MOST_SEGMENTS = 160  # of chains whose segments differ: the tables are cubic
MOST_EQUAL = 1024
UNITS = 200
EQUAL_ENTRIES = 1_200_000_000  # of the tables of equal segments times their length: about a second
NEAR = 8  # ops that `standard` repeats for a value at most
_SIZES = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}

Choose = Callable[[int, int, int, bool], tuple[int, int, int]]  # s, t, m, first -> (what, k, memory left behind)


def read_setting(setting: str) -> tuple[str, int]:
    """(name, bytes) of a setting; bytes are 0 for all but a budget. Raises InvalidOption."""
    name, _, amount = str(setting).partition(":")
    if name == "budget":
        found = re.fullmatch(r"\s*([0-9.]+(?:e[0-9]+)?)\s*([KMG]?i?B?)\s*", amount, re.IGNORECASE)
        unit = _SIZES.get(found[2].upper()) if found else None
        if found is None or unit is None:
            raise InvalidOption(
                f"recompute 'budget:{amount}': it takes bytes, such as budget:1500000000 or budget:1.5GB"
            )
        return name, int(float(found[1]) * unit)
    if setting not in SETTINGS:
        raise InvalidOption(
            f"recompute has no setting '{setting}'.{did_you_mean(str(setting), SETTINGS)} It takes {', '.join(SETTINGS)}"
        )
    return name, 0


def recompute(g: OpGraph, setting: str = "standard") -> OpGraph:
    """A graph with the same outputs and updates, bit by bit, and less memory; `g` stays as it is.

    A graph without a backward phase comes back as it is. Raises InvalidOption for an unknown setting and for a budget
    that cannot be met, naming the least that can.
    """
    name, budget = read_setting(setting)
    if name == "none" or not any(op.phase == "backward" for op in g.ops):
        return g
    g = in_step(g)
    if name == "standard":
        chain = cut_into_segments(g, MOST_EQUAL)
        return _standard(chain, setting)
    if name == "sqrt":
        chain = cut_into_segments(g, MOST_EQUAL)
        return _run(chain, _square_root(chain), setting)
    plans = Plans(g)
    return plans.within(budget, setting) if name == "budget" else plans.least(setting)


def _standard(chain: Chain, setting: str) -> OpGraph:
    """Nothing is dropped that needs products to be made again, or more than NEAR ops."""
    roots, segments = chain.roots, chain.segments
    ops = [op for s in segments for op in s.ops if can_repeat(op)]
    needed = {r for s in segments for op in s.backward for v in op.inputs for r in roots.get(v, ())}
    kept: set[Value] = set()
    distance: dict[Value, int] = {}  # ops that make a value out of what is kept; too many, or products: it is kept
    for op in ops:
        reads = {r for v in _Emission.reads(op) for r in roots.get(v, ()) if r.op is not None and can_repeat(r.op)}
        count = (not op.view_of) + sum(0 if r in kept else distance[r] for r in reads)
        for v in op.outputs:
            distance[v] = count
            if v in needed and (op.macs or count > NEAR):
                kept.add(v)
            elif op.macs:
                distance[v] = NEAR + 1
    emission = _Emission(chain)
    for segment in segments:
        emission.run(segment, segment.leaving, [v for op in segment.ops for v in op.outputs if v in kept])
    emission.release(())
    for segment in reversed(segments):
        emission.turn_back(segment)
    return ordered(emission.graph(setting))


def _square_root(chain: Chain) -> Choose:
    count = len(chain.segments)
    each = max(isqrt(count), 1)
    last = (count - 1) // each * each

    def choose(s: int, t: int, m: int, first: bool) -> tuple[int, int, int]:
        if first and s < last:
            return SPLIT, min(s + each, last), 0
        return (KEEP if s < t else LEAF), 0, 0

    return choose


# plans by dynamic programming ------------------------------------------------------------------------------------------


class Plans:
    """All plans of a graph, by the memory given to them: m units, up to `units`."""

    def __init__(self, g: OpGraph):
        self.g = g
        chain = cut_into_segments(g, MOST_EQUAL)
        self.middle = _equal(chain)
        if self.middle is None and len(chain.segments) > MOST_SEGMENTS:
            chain = cut_into_segments(g, MOST_SEGMENTS)
        self.chain = chain
        self.usual = ordered(g)  # without recomputation
        self.unshared = Liveness(self.usual).peak
        self.costs = self._equal(*self.middle) if self.middle else self._different()
        self.done: dict[int, OpGraph] = {}

    def _sizes(self, segments: list[Segment]) -> dict[str, list[Any]]:
        """Bytes of what each segment keeps (everything, the dear part), its peaks, and its gradient from behind."""
        keep = []
        for s in segments:
            full, dear = s.needed | s.leaving, (s.needed - s.cheap) | s.leaving
            keep.append([sum(map(size_bytes, kept - s.entering)) for kept in (full, dear)])
        return {
            "keep": keep,
            "peak": [s.forward_peak for s in segments],
            "back": [s.backward_peak for s in segments],
            "arrive": [s.arriving for s in segments],
        }

    def _different(self) -> np.ndarray:
        from .native import plan_chain

        segments = self.chain.segments
        n = len(segments)
        self.unit = max(-(-self.unshared // UNITS), 1)
        self.units = UNITS
        enter = np.zeros((n, n), np.int64)
        for s in range(n):
            for k in range(s + 1, n):
                enter[s, k] = sum(map(size_bytes, segments[k].entering - segments[s].entering))
        peak = np.array([s.forward_peak for s in segments], np.int64)
        transit, reach = np.zeros((n, n), np.int64), np.zeros((n, n))
        for s in range(n):
            transit[s, s + 1 :] = np.maximum.accumulate(enter[s, s:] + peak[s:])[:-1]
            reach[s, s + 1 :] = np.cumsum([seg.work for seg in segments[s:-1]])
        sizes = {name: self._rounded(v) for name, v in self._sizes(segments).items()}
        extra = np.array([[0.0, s.cheap_work] for s in segments])
        work, needed = (np.array([getattr(s, name) for s in segments]) for name in ("work", "needed_work"))
        rounded = self._rounded(enter), self._rounded(transit)
        tables = plan_chain(self.units, *rounded, reach, work, needed, extra, **sizes)
        self.first_choice, self.again_choice = tables[1], tables[3]
        return tables[0][0]

    def _equal(self, begin: int, end: int) -> np.ndarray:
        from .native import plan_equal

        segments = self.chain.segments
        n = len(segments)
        s = segments[begin]
        each = [sum(map(size_bytes, segments[min(begin + d, end)].entering - s.entering)) for d in range(end - begin)]
        enter = np.array([*each, *[each[-1]] * n], np.int64)[: n + 1]
        sizes: dict[str, Any] = {name: np.array(v[0]) for name, v in self._sizes([s]).items()}
        numbers = [*enter.tolist(), *(int(x) for v in sizes.values() for x in v.ravel())]
        self.unit = gcd(*numbers) or 1
        most = max(2 * UNITS, EQUAL_ENTRIES // (n * n))
        self.unit = max(self.unit, -(-self.unshared // most))
        self.units = int(-(-self.unshared // self.unit))
        sizes = {name: self._rounded(v) for name, v in sizes.items()}
        sizes |= {name: int(sizes[name]) for name in ("peak", "back", "arrive")}
        extra = np.array([0.0, s.cheap_work])
        tables = plan_equal(n, self.units, self._rounded(enter), s.work, s.needed_work, extra, **sizes)
        self.first_choice, self.again_choice = tables[1], tables[3]
        return tables[0][n]

    def _rounded(self, bytes_: Any) -> np.ndarray:
        return -(-np.asarray(bytes_, np.int64) // self.unit)

    def _choose(self, s: int, t: int, m: int, first: bool) -> tuple[int, int, int]:
        if s == t:
            return LEAF, 0, 0
        if self.middle:
            what = int((self.first_choice if first else self.again_choice)[t - s + 1, m])
            k = s + what - SPLIT
        else:
            what = int(self.first_choice[s, m] if first else self.again_choice[s, t, m])
            k = what - SPLIT
        if what >= SPLIT:
            left = sum(map(size_bytes, self.chain.segments[k].entering - self.chain.segments[s].entering))
            return (
                SPLIT,
                k,
                m - int(self._rounded(left)) if not self.middle else m - self._entering(*self.middle, k - s),
            )
        return what, 0, m - self._kept(s, what - KEEP)

    def _entering(self, begin: int, end: int, distance: int) -> int:
        there = self.chain.segments[min(begin + min(distance, end - begin - 1), end)].entering
        return int(self._rounded(sum(map(size_bytes, there - self.chain.segments[begin].entering))))

    def _kept(self, s: int, variant: int) -> int:
        segment = self.chain.segments[self.middle[0] if self.middle else s]
        return int(self._rounded(self._sizes([segment])["keep"][0][variant]))

    def graph(self, m: int, setting: str) -> OpGraph:
        """The graph of the plan that m units of memory allow."""
        if m not in self.done:
            self.done[m] = _run(self.chain, self._choose, setting, m)
        return self.done[m]

    @property
    def least_units(self) -> int:
        """The fewest units for which there is a plan."""
        possible = np.flatnonzero(self.costs < 1e299)
        return int(possible[0]) if len(possible) else self.units

    def within(self, budget: int, setting: str) -> OpGraph:
        """The plan of least extra work whose peak is within `budget` bytes. Raises InvalidOption."""
        if self.unshared <= budget:
            return with_info(self.usual, setting, {}, 0.0, self.chain.forward_work)
        low, high = self.least_units, self.units
        best: OpGraph | None = None
        while low <= high:
            m = (low + high) // 2
            g = self.graph(m, setting)
            if Liveness(g).peak <= budget:
                best = g if best is None or _extra(g) <= _extra(best) else best
                low = m + 1
            else:
                high = m - 1
        if best is None:
            candidates = [
                self.graph(m, setting) for m in range(self.least_units, min(self.least_units + 8, self.units))
            ]
            best = min(candidates or [self.usual], key=lambda g: Liveness(g).peak)
            least = Liveness(best).peak
            if least > budget:
                raise InvalidOption(
                    f"recompute '{setting}': '{self.g.name}' needs {least:,} bytes for what is not always alive, at"
                    f" {_extra(best):.0%} extra forward work; {budget:,} are not enough (without: {self.unshared:,})"
                )
        return best

    def least(self, setting: str) -> OpGraph:
        """The plan of least peak at no more than one extra forward phase."""
        graphs = [self.usual, _standard(self.chain, setting), _run(self.chain, _square_root(self.chain), setting)]
        allowed = np.flatnonzero(self.costs <= self.chain.forward_work)
        if len(allowed):
            most = min(allowed[0] + max(self.units // 6, 12), self.units)
            tried = np.unique(np.linspace(allowed[0], most, int(np.clip(30_000 // len(self.g.ops), 3, 16))).astype(int))
            graphs += [self.graph(int(m), setting) for m in tried]
        graphs = [g for g in graphs if _extra(g) <= 1.0]
        return min(graphs, key=lambda g: (Liveness(g).peak, _extra(g)))


def _extra(g: OpGraph) -> float:
    """Repeated work, forward phases."""
    done = g.info.get("recompute", {})
    return done.get("extra_work", 0.0) / max(done.get("forward_work", 1.0), 1.0)


def _equal(chain: Chain) -> tuple[int, int] | None:
    """(first, last) of the run of equal segments that is nearly the whole of a long chain, else None."""
    segments = chain.segments
    if len(segments) <= 24:
        return None

    def alike(s: Segment) -> tuple[Any, ...]:
        return (
            s.work, s.needed_work, sum(map(size_bytes, s.entering)), sum(map(size_bytes, s.needed)), s.forward_peak,
        )  # fmt: skip

    middle = len(segments) // 2
    begin = end = middle
    while begin > 0 and alike(segments[begin - 1]) == alike(segments[middle]):
        begin -= 1
    while end < len(segments) - 1 and alike(segments[end + 1]) == alike(segments[middle]):
        end += 1
    return (begin, end) if end - begin + 1 >= 0.9 * len(segments) else None


# running a plan --------------------------------------------------------------------------------------------------------


@dataclass
class _Frame:
    """A piece of the plan still to be done."""

    what: str
    s: int = 0
    t: int = 0
    m: int = 0
    values: frozenset[Value] = frozenset()


def _run(chain: Chain, choose: Choose, setting: str, m: int = 0) -> OpGraph:
    """The graph that a plan makes of a chain's."""
    emission = _Emission(chain)
    last = len(chain.segments) - 1
    stack = [_Frame("solve", 0, last, m)]
    while stack:
        frame = stack.pop()
        s = frame.s
        if frame.what == "solve":
            first = s == emission.reached
            what, k, left = choose(s, frame.t, frame.m, first)
            segment = chain.segments[s]
            if what == LEAF:
                if first:
                    emission.run(segment, segment.needed | segment.leaving)
                emission.turn_back(segment)
            elif what == SPLIT:
                for j in range(s, k):
                    emission.run(chain.segments[j], chain.segments[j].leaving)
                kept = chain.segments[k].entering
                emission.hold(kept)
                stack.append(_Frame("solve", s, k - 1, frame.m))
                stack.append(_Frame("release", s, values=kept))
                stack.append(_Frame("solve", k, frame.t, left))
            else:
                dropped = segment.cheap if what == KEEP + 1 else frozenset()
                kept = (segment.needed - dropped) | segment.leaving
                emission.run(segment, kept)
                emission.hold(kept)
                stack.append(_Frame("release", s, values=kept))
                stack.append(_Frame("back", s))
                stack.append(_Frame("solve", s + 1, frame.t, left))
        elif frame.what == "back":
            emission.turn_back(chain.segments[s])
        else:
            emission.release(frame.values)
    return ordered(emission.graph(setting))


class _Emission:
    """Writes the ops of a plan. `there`: for values of the forward phase, what stands for them now."""

    def __init__(self, chain: Chain):
        self.chain = chain
        self.reached = 0  # segments run for the first time
        self.there: dict[Value, Value] = {}
        self.held: dict[Value, int] = {}
        self.loose: set[Value] = set()  # values there that nothing holds
        self.views: dict[Value, list[Value]] = {}  # views there, by what they are views of
        self.moved: dict[Value, Value] = {}  # values of the backward phase
        self.ops: list[Op] = []
        self.again: dict[str, str] = {}
        self.times: dict[str, int] = {}
        self.extra = 0.0

    def run(self, segment: Segment, wanted: frozenset[Value], hold: Iterable[Value] = ()) -> None:
        """Run a segment: its ops, the first time; else what makes the wanted values. Others are forgotten, except what
        is held."""
        if segment.number == self.reached:
            self.reached += 1
            for op in segment.ops:
                self.ops.append(op)
                self._put(op, op.outputs)
        else:
            self.ensure(sorted(wanted, key=lambda v: v.name))
        if hold:
            self.hold(hold)
        self._forget(wanted)

    def hold(self, values: Iterable[Value]) -> None:
        """Do not forget these until they are released as often as held."""
        for v in values:
            self.held[v] = self.held.get(v, 0) + 1
            self.loose.discard(v)

    def release(self, values: Iterable[Value]) -> None:
        for v in values:
            self.held[v] -= 1
            if not self.held[v] and v in self.there:
                self.loose.add(v)
        self._forget(())

    def _put(self, op: Op, values: Iterable[Value]) -> None:
        """The outputs of an op of the forward phase are there, as `values`."""
        for v, now in zip(op.outputs, values, strict=True):
            self.there[v] = now
            if self.chain.roots[v] != (v,):
                for root in self.chain.roots[v]:
                    self.views.setdefault(root, []).append(v)
            elif can_repeat(op) and not self.held.get(v):
                self.loose.add(v)

    def _forget(self, but: Iterable[Value]) -> None:
        """What is not held and not among `but` is there no longer, and no view of it."""
        but = set(but)
        for v in self.loose - but:
            del self.there[v]
            for view in self.views.pop(v, ()):
                self.there.pop(view, None)
        self.loose &= but

    def turn_back(self, segment: Segment) -> None:
        """Run the ops of the backward phase that belong to a segment."""
        for op in segment.backward:
            self.ensure(op.inputs)
            self._write(op)
        self._forget(())

    def ensure(self, values: Iterable[Value]) -> None:
        """Make those values of the forward phase that are not there."""
        stack = [v for v in values if self._missing(v)][::-1]
        while stack:
            v = stack[-1]
            op = self._missing(v)
            if op is None:
                stack.pop()
                continue
            missing = [w for w in self.reads(op) if self._missing(w)]
            if missing:
                stack += missing[::-1]
                continue
            self._repeat(op)
            stack.pop()

    def _missing(self, v: Value) -> Op | None:
        """The op that makes a value again, where it is one of the forward phase and not there."""
        op = v.op
        return op if op is not None and op.phase == "forward" and can_repeat(op) and v not in self.there else None

    @staticmethod
    def reads(op: Op) -> list[Value]:
        """The operands that an op reads when it runs again."""
        skipped = {getattr(op, name) for name in op.only_evaluating}
        return [v for v in op.inputs if v not in skipped]

    def _now(self, v: Value) -> Value:
        return self.there.get(v) or self.moved.get(v) or v

    def _repeat(self, op: Op) -> None:
        count = self.times[op.name] = self.times.get(op.name, 0) + 1
        name = f"{op.name}-again" if count == 1 else f"{op.name}-again_{count}"
        fields = dict(zip(op.operand_fields, op.regroup([self._now(v) for v in op.inputs]), strict=True))
        fields |= dict.fromkeys(op.only_evaluating)
        other = type(op)(**fields, name=name, phase="backward", **op.attributes)
        self.ops.append(other)
        self.again[name] = op.name
        self.extra += work(other)
        self._put(op, other.outputs)

    def _write(self, op: Op) -> None:
        now = [self._now(v) for v in op.inputs]
        if any(a is not b for a, b in zip(now, op.inputs, strict=True)):
            other = type(op)(*op.regroup(now), name=op.name, phase=op.phase, **op.attributes)
            self.moved.update(zip(op.outputs, other.outputs, strict=True))
            op = other
        self.ops.append(op)

    def graph(self, setting: str) -> OpGraph:
        """The graph written, with what stands behind the backward phase."""
        for op in self.chain.rest:
            self.ensure(op.inputs)
            self._write(op)
        g = with_ops(self.chain.g, self.ops)
        g._names |= dict.fromkeys(self.again, 0)
        g.outputs = {name: self.moved.get(v, v) for name, v in g.outputs.items()}
        return with_info(g, setting, self.again, self.extra, self.chain.forward_work)


def with_info(g: OpGraph, setting: str, again: dict[str, str], extra: float, forward: float) -> OpGraph:
    """`g` (or a copy) that says what recomputation did to it."""
    result = with_ops(g, g.ops)
    result.info["recompute"] = {"setting": setting, "ops": again, "extra_work": extra, "forward_work": forward}
    return result
