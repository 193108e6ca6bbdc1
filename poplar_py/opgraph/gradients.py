"""Gradients: the op graph of a loss, extended by the ops that make its gradients.

A reverse walk calls every op's `gradient` with the gradients of its outputs and adds up what arrives at a value from
several sides. Only ops on a way from what is asked for to the loss are walked. Gradients of op `fc1/matmul` are made in
the scope `fc1` and named after the value they belong to: `fc1/weights-gradient`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..errors import ModelError, ShapeError, TypeMismatch
from .graph import OpGraph
from .op import Op, Value, describe


def gradient_name(value: Value) -> str:
    """The name, without scope, of the gradient of a value."""
    return f"{value.leaf}-gradient"


def add_gradients(g: OpGraph, loss: Value, wanted: Iterable[Value], seed: float = 1.0) -> dict[Value, Value]:
    """Add the ops of the gradients of a scalar `loss` towards the `wanted` values; returns {value: gradient}.

    `seed` is the gradient of the loss itself (a loss scale). Raises ShapeError for a loss that is not one element,
    ModelError where an op on the way has no gradient or the loss does not depend on a wanted value.
    """
    wanted = list(wanted)
    if loss.shape != ():
        raise ShapeError(f"a loss is one element; {describe(loss)} is not")
    if not loss.dtype.is_floating:
        raise TypeMismatch(f"a loss is FLOAT or HALF; {describe(loss)} is not")
    reached = _reached_from(g.ops, wanted)
    if loss not in reached and wanted:
        raise ModelError(f"the loss '{loss.name}' depends on no parameter")
    forward = list(g.ops)
    with g.phase("backward"):
        arrived: dict[Value, list[Value]] = {}
        with g.top_scope(loss.name.rpartition("/")[0]):
            arrived[loss] = [g.constant(seed, loss.dtype, name=gradient_name(loss))]
        total: dict[Value, Value] = {}
        for op in reversed(forward):
            for value in op.outputs:
                _add_up(g, value, arrived, total)
            if any(v in reached for v in op.inputs) and any(v in total for v in op.outputs):
                _walk(g, op, [total.get(v) for v in op.outputs], reached, arrived)
        for value in wanted:
            _add_up(g, value, arrived, total)
    missing = [v for v in wanted if v not in total]
    if missing:
        raise ModelError(f"the loss '{loss.name}' does not depend on '{missing[0].name}'")
    gradients = {v: total[v] for v in wanted}
    _drop_unused(g, len(forward), gradients.values())
    return gradients


def _reached_from(ops: list[Op], start: Iterable[Value]) -> set[Value]:
    """The values that depend on those of `start`, and they themselves."""
    reached = set(start)
    for op in ops:
        if any(v in reached for v in op.inputs):
            reached.update(op.outputs)
    return reached


def _walk(g: OpGraph, op: Op, given: list[Any], reached: set[Value], arrived: dict[Value, list[Value]]) -> None:
    if not any(v.dtype.is_floating and v in reached for v in op.inputs):
        return
    with g.top_scope(op.scope):
        answer = op.gradient(g, *given)
    answer = answer if isinstance(answer, tuple) else (answer,)
    if len(answer) != len(op.operand_fields):
        raise ModelError(f"{op}: gradient gives {len(answer)} values for {len(op.operand_fields)} operands")
    for operand, gradient in zip(op.operands, answer, strict=True):
        if gradient is None or operand is None:
            continue
        many = isinstance(operand, tuple)
        for value, one in zip(operand if many else (operand,), gradient if many else (gradient,), strict=True):
            if one is None or value not in reached:
                continue
            if one.type != value.type:
                raise ModelError(f"{op}: the gradient of {describe(value)} is {describe(one)}")
            arrived.setdefault(value, []).append(one)


def _add_up(g: OpGraph, value: Value, arrived: dict[Value, list[Value]], total: dict[Value, Value]) -> None:
    """The gradient of `value` is the sum of those that arrived, in the order they did."""
    parts = arrived.pop(value, [])
    if not parts:
        return
    with g.top_scope(value.name.rpartition("/")[0]):
        while len(parts) > 1:
            parts = [g.add("add", parts[0], parts[1], name=f"{gradient_name(value)}-sum"), *parts[2:]]
    total[value] = parts[0]


def _drop_unused(g: OpGraph, first: int, kept: Iterable[Value]) -> None:
    """Remove ops from number `first` on that none of the `kept` values needs."""
    needed = set(kept)
    survivors: list[Op] = []
    for op in reversed(g.ops[first:]):
        if needed.intersection(op.outputs):
            needed.update(op.inputs)
            survivors.append(op)
    g.ops[first:] = reversed(survivors)
