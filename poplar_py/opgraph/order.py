"""The order of the ops of an op graph: which orders mean the same, and which of them need little memory.

`ordered(g)` keeps the order the graph was built in and moves forward what makes memory free: updates, sums of gradients,
gradients of weights (the operands die, less is born). Values do not depend on the order: the same ops read the same
contents, so every number stays the same to the last bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from .graph import OpGraph
from .liveness import Liveness, size_bytes
from .op import Op, Value

if TYPE_CHECKING:
    from .schedule import Problem


TINY = 64  # bytes of learning rates and the like, which are there before the gradients that updates use


def with_ops(g: OpGraph, ops: Sequence[Op]) -> OpGraph:
    """A graph of other ops, or the same in another order, over the inputs, parameters and outputs of `g`."""
    result = OpGraph(g.name)
    result.inputs, result.parameters = list(g.inputs), list(g.parameters)
    result.outputs, result.info = dict(g.outputs), dict(g.info)
    result.ops, result._names = list(ops), dict(g._names)
    return result


def predecessors(ops: Sequence[Op]) -> list[list[int]]:
    """For every op, by number, those that must stand before it: the makers of what it reads; where a parameter changes,
    its earlier readers and changes before a change, the change before later readers; the forward phase before others."""
    maker: dict[Value, int] = {}
    changed: dict[Value, int] = {}
    readers: dict[Value, list[int]] = {}
    parameters = {v for op in ops for v in op.updated}
    forward_end = max((i for i, op in enumerate(ops) if op.phase == "forward"), default=-1)
    last_forward = [i for i, op in enumerate(ops) if op.phase == "forward"]
    found: list[list[int]] = []
    for i, op in enumerate(ops):
        before = {maker[v] for v in op.inputs if v in maker}
        for v in op.inputs:
            if v in parameters:
                before.update([changed[v]] if v in changed else ())
                readers.setdefault(v, []).append(i)
        for v in op.updated:
            before.update(readers.get(v, ()))
            changed[v], readers[v] = i, []
        if op.phase != "forward" and i > forward_end and not before:
            before.update(last_forward[-1:])
        before.discard(i)
        for v in op.outputs:
            maker[v] = i
        found.append(sorted(before))
    return found


def ordered(g: OpGraph) -> OpGraph:
    """`g` in the built order with what frees memory moved forward, if that lowers the peak; else `g` itself."""
    return min((g, with_ops(g, _eager(g)), in_step(g)), key=lambda h: Liveness(h).peak)


def in_step(g: OpGraph) -> OpGraph:
    """`g` with what frees memory moved forward where that needs nothing more of the forward phase: sums of gradients and
    updates, but no op that reads what no op of the backward phase has read before it. The backward phase turns the
    forward phase back in the order it was built in, which is what recomputation follows."""
    return with_ops(g, _eager(g, in_step=True))


def _eager(g: OpGraph, in_step: bool = False) -> list[Op]:
    ops = g.ops
    before = predecessors(ops)
    waiting = [len(b) for b in before]
    after: list[list[int]] = [[] for _ in ops]
    for i, b in enumerate(before):
        for j in b:
            after[j].append(i)
    roots = root_values(ops)
    fixed = {*g.inputs, *(p.value for p in g.parameters)}
    fixed |= {r for v in g.outputs.values() for r in roots.get(v, ())}
    uses: dict[Value, int] = {}
    for op in ops:
        for r in {r for v in op.inputs for r in roots.get(v, ())}:
            uses[r] = uses.get(r, 0) + 1
    again = g.info.get("recompute", {}).get("ops", {})
    read: set[Value] = set()  # of the forward phase, by ops behind it
    done = [False] * len(ops)
    result: list[Op] = []
    forward = sum(op.phase == "forward" for op in ops)

    def frees(i: int) -> bool:
        """Whether less is alive after an op than before it."""
        op = ops[i]
        if op.phase == "forward" or op.name in again or op.view_of:
            return False
        if op.updates or (op.phase == "update" and sum(map(size_bytes, op.outputs)) <= TINY):
            return True
        if in_step and any(v.op is not None and v.op.phase == "forward" and v not in read for v in op.inputs):
            return False
        dying = {r for v in op.inputs for r in roots.get(v, ()) if uses[r] == 1 and r not in fixed}
        return sum(map(size_bytes, dying)) > sum(map(size_bytes, op.outputs))

    def emit(first: int) -> None:
        stack = [first]
        while stack:
            i = stack.pop()
            if done[i] or waiting[i]:
                continue
            done[i] = True
            result.append(ops[i])
            if ops[i].phase != "forward":
                read.update(ops[i].inputs)
            for r in {r for v in ops[i].inputs for r in roots.get(v, ())}:
                uses[r] -= 1
            for j in after[i]:
                waiting[j] -= 1
            if len(result) < forward:
                continue
            near = {j for r in ops[i].inputs if r.op is not None for j in readers.get(r, ())}
            candidates = sorted({*after[i], *near}, reverse=True)
            stack += [j for j in candidates if not done[j] and not waiting[j] and frees(j)]

    readers: dict[Value, list[int]] = {}
    for i, op in enumerate(ops):
        for v in op.inputs:
            readers.setdefault(v, []).append(i)
    early = [i for i, op in enumerate(ops) if op.phase == "update" and not op.updates]  # what updates go by
    for i in range(len(ops)):
        if len(result) == forward:
            for j in early:
                if not done[j] and frees(j):
                    emit(j)
        if not done[i]:
            emit(i)
    return result


def root_values(ops: Sequence[Op]) -> dict[Value, tuple[Value, ...]]:
    """For every value that an op makes, the values whose memory it lies in: itself, or what it is a view of."""
    roots: dict[Value, tuple[Value, ...]] = {}
    for op in ops:
        for value in op.outputs:
            roots[value] = (value,)
        if op.view_of:
            operand = getattr(op, op.view_of)
            parts = operand if isinstance(operand, tuple) else (operand,)
            roots[op.outputs[0]] = tuple(dict.fromkeys(r for part in parts for r in roots.get(part, ())))
    return roots


def optimised(g: OpGraph) -> OpGraph:
    """`g` in an order of least peak, as far as the search of schedule.py finds one; never worse than `ordered(g)`.

    The forward phase stays in front of the others. The peak that decides is that of `Liveness`.
    """
    from .schedule import best_order

    best = ordered(g)
    problem = as_problem(best)
    begin, gate, end = (len(g.ops) + k for k in range(3))
    forward = [i for i, op in enumerate(best.ops) if op.phase == "forward"]
    others = [i for i, op in enumerate(best.ops) if op.phase != "forward"]
    order = best_order(problem, given=np.array([begin, *forward, gate, *others, end], np.int64))
    found = ordered(with_ops(best, [best.ops[i] for i in order if i < begin]))
    return min((best, found), key=lambda h: Liveness(h).peak)


def as_problem(g: OpGraph) -> Problem:
    """The abstract problem of ordering a graph's ops, which are numbered as they stand, and three that do nothing: the
    first of all, one between the forward phase and the rest, and the last.

    Storages are what is allocated, as they are shared in the order given: what is read from a storage is read before an
    op that takes it over, in any order that keeps the constraints.
    """
    from .schedule import Problem

    places = Liveness(g).places
    count = len(g.ops)
    begin, gate, end = count, count + 1, count + 2
    constraints = [(j, i) for i, before in enumerate(predecessors(g.ops)) for j in before]
    for i, op in enumerate(g.ops):
        constraints += [(begin, i), (i, end), (i, gate) if op.phase == "forward" else (gate, i)]
    number = {id(s): k for k, s in enumerate(places.storages)}
    lies = {v: [number[id(s)] for s in storages] for v, storages in places.of.items()}
    touches = [(begin, k) for v in g.inputs for k in lies.get(v, ())]
    touches += [(end, k) for v in g.outputs.values() for k in lies.get(v, ())]
    for i, op in enumerate(g.ops):
        touches += [(i, k) for v in (*op.inputs, *op.outputs) for k in lies.get(v, ())]
    takers = dict(places.overwrites)
    readers: dict[int, list[int]] = {}  # ops that have touched a storage since it was taken over last
    for i, op in enumerate(g.ops):
        taken = takers.get(op)
        for k in lies.get(taken, ()) if taken is not None else ():
            constraints += [(j, i) for j in readers.get(k, ()) if j != i]
            readers[k] = []
        for k in {k for v in (*op.inputs, *op.outputs) for k in lies.get(v, ())}:
            readers.setdefault(k, []).append(i)
    return Problem.of(count + 3, constraints, touches, [s.bytes for s in places.storages])
