"""Simplify: an op graph that means the same with fewer ops.

Constants are folded by running `reference`, equal ops on equal operands become one, ops that nothing reads go. Before
lowering and after gradients, which leave such ops behind. Ops with `updates` always stay, and an op that reads a
parameter equals another only if no update stands between them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .evaluate import Evaluation
from .graph import OpGraph
from .op import Op, Value

MAX_FOLDED = 4096  # elements; larger constants cost more tile memory than the ops they replace


def simplify(g: OpGraph) -> OpGraph:
    """A new op graph with the same inputs, parameters and outputs. `g` stays as it is, but shares Values with it."""
    result = OpGraph(g.name)
    result.inputs, result.parameters, result.info = list(g.inputs), list(g.parameters), dict(g.info)
    result._names = dict(g._names)
    now: dict[Value, Value] = {}
    seen: dict[Any, Op] = {}
    version: dict[Value, int] = {}
    for op in g.ops:
        op = _rewired(op, now)
        if not op.updates:
            folded = _fold(op)
            key = _key(folded or op, version)
            if key in seen:
                now.update(zip(op.outputs, seen[key].outputs, strict=True))
                continue
            if folded is not None:
                now.update(zip(op.outputs, folded.outputs, strict=True))
                op = folded
            seen[key] = op
        for value in op.updated:
            version[value] = version.get(value, 0) + 1
        result.ops.append(op)
    result.outputs = {name: _final(value, now) for name, value in g.outputs.items()}
    drop_dead(result)
    return result


def drop_dead(g: OpGraph) -> None:
    """Remove, in place, the ops that no output and no update needs."""
    needed = set(g.outputs.values())
    kept: list[Op] = []
    for op in reversed(g.ops):
        if op.updates or needed.intersection(op.outputs):
            needed.update(op.inputs)
            kept.append(op)
    g.ops = kept[::-1]


def _final(value: Value, now: dict[Value, Value]) -> Value:
    while value in now:
        value = now[value]
    return value


def _rewired(op: Op, now: dict[Value, Value]) -> Op:
    """`op`, or one like it that reads what its operands have become."""
    inputs = [_final(v, now) for v in op.inputs]
    if all(a is b for a, b in zip(inputs, op.inputs, strict=True)):
        return op
    other = type(op)(*op.regroup(inputs), name=op.name, phase=op.phase, **op.attributes)
    now.update(zip(op.outputs, other.outputs, strict=True))
    return other


def _fold(op: Op) -> Op | None:
    """A constant op equal to `op`, where all its operands are constants."""
    inputs = op.inputs
    if not inputs or op.kind == "constant" or len(op.outputs) != 1 or op.outputs[0].size > MAX_FOLDED:
        return None
    if any(v.op is None or v.op.kind != "constant" for v in inputs):
        return None
    small = OpGraph("constants")
    small.ops = [*dict.fromkeys(v.op for v in inputs if v.op), op]
    small.outputs = {"value": op.outputs[0]}
    array = Evaluation(small).run()["value"]
    with small.phase(op.phase):
        small.add("constant", name=op.name, value=np.asarray(array))
    return small.ops[-1]


def _key(op: Op, version: dict[Value, int]) -> Any:
    """Equal for ops that compute the same: kind, operands with the updates they have seen, attributes."""
    reads = tuple(
        tuple((id(v), version.get(v, 0)) for v in o) if isinstance(o, tuple) else (id(o), version.get(o, 0))
        for o in op.operands
    )
    attributes = tuple((name, _hashable(value)) for name, value in op.attributes.items())
    return op.kind, reads, attributes


def _hashable(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tobytes()
    return type(value).__name__, value
