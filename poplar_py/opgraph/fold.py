"""Batch norms folded into the products before them, for inference.

Where the statistics are known, (w x + b - mean) / sqrt(variance + epsilon) * gamma + beta is a product with other
weights and another bias:

    scale = gamma / sqrt(variance + epsilon)       (an entry for every channel that comes out)
    weights' = weights * scale                     bias' = (bias - mean) * scale + beta

A norm is folded where it alone reads the result of a convolution (transposed or not) or matrix product, with or without
a bias, whose weights are a parameter that nothing else reads. `info["folded"]` of the result says what was folded, so
that weights of the unfolded model can be loaded into it (`fold_arrays`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ..errors import DataError, ModelError
from .graph import OpGraph, Parameter
from .op import Op, Value

CONV, TRANSPOSED, MATMUL = "conv", "conv_input_gradient", "matmul"
WEIGHTS = {CONV: "w", TRANSPOSED: "w", MATMUL: "b"}
STATISTICS = ("gamma", "beta", "mean", "variance")


def fold_norms(g: OpGraph) -> OpGraph:
    """A new op graph whose products have the batch norms behind them in their weights. `g` stays as it is.

    Raises ModelError for an op graph that trains: its statistics change.
    """
    if g.updated():
        raise ModelError(f"op graph '{g.name}' trains; norms are folded into weights that stay (compile for inference)")
    parameters = {p.value: p for p in g.parameters}
    found = [f for op in g.ops if op.kind == "batch_norm_inference" and (f := _match(g, op, parameters))]
    return _rewrite(g, found) if found else g


def fold_arrays(folded: list[dict[str, Any]], arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Weights of the unfolded model, by path, as the folded one has them. Raises DataError where one is missing."""
    result = dict(arrays)
    for entry in folded:
        for path in (entry["weights"], *(entry[name] for name in STATISTICS)):
            if path not in arrays:
                raise DataError(f"there is no '{path}', which is folded into '{entry['weights']}'")
    for entry in folded:
        for path in (*(entry[name] for name in STATISTICS), entry["old_bias"]):
            result.pop(path, None)
        result[entry["weights"]], result[entry["bias"]] = _folded(entry, arrays)
    return result


def _folded(entry: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Weights and bias with the norm in them, computed in float64, in the type of the weights."""
    weights = arrays[entry["weights"]]
    gamma, beta, mean, variance = (np.asarray(arrays[entry[name]], np.float64) for name in STATISTICS)
    before = np.asarray(arrays[entry["old_bias"]], np.float64) if entry["old_bias"] else 0.0
    scale = gamma / np.sqrt(variance + entry["epsilon"])
    if entry["kind"] == MATMUL:
        scaled = weights * scale
    elif entry["kind"] == CONV:
        scaled = weights * scale.reshape(-1, *[1] * (weights.ndim - 1))
    else:  # transposed: (channels, filters of a group, *kernel), the groups along the channels
        groups = int(entry["groups"])
        split = weights.reshape(groups, weights.shape[0] // groups, *weights.shape[1:])
        along = scale.reshape(groups, 1, -1, *[1] * (weights.ndim - 2))
        scaled = (split * along).reshape(weights.shape)
    bias = (before - mean) * scale + beta
    with np.errstate(over="ignore"):
        return scaled.astype(weights.dtype), bias.astype(weights.dtype)


# finding ---------------------------------------------------------------------------------------------------------------


def _match(g: OpGraph, norm: Any, parameters: Mapping[Value, Parameter]) -> dict[str, Any] | None:
    """What is folded with a norm, or None where it cannot be."""
    readers = _readers(g)
    chain: list[Op] = [norm]
    shift = norm.x.op
    old_bias = None
    if shift is not None and shift.kind in ("add", "add_bias") and _alone(norm.x, readers):
        old_bias = _bias(shift, parameters)
        if old_bias is None:
            return None
        chain.append(shift)
    product = chain[-1].inputs[0].op
    if product is None or product.kind not in WEIGHTS or not _alone(product.outputs[0], readers):
        return None
    if getattr(product, "transpose_b", False):
        return None
    weights = getattr(product, WEIGHTS[product.kind])
    statistics = [getattr(norm, name) for name in STATISTICS]
    if any(v not in parameters for v in (weights, *statistics)) or not _alone(weights, readers):
        return None
    entry = {"kind": product.kind, "groups": getattr(product, "groups", 1), "epsilon": norm.epsilon}
    entry |= {name: value.name for name, value in zip(STATISTICS, statistics, strict=True)}
    scope = weights.name.rpartition("/")[0]
    bias = old_bias.name if old_bias is not None else f"{scope}/folded-bias" if scope else "folded-bias"
    entry |= {"weights": weights.name, "old_bias": old_bias and old_bias.name, "bias": bias}
    return {"entry": entry, "norm": norm, "chain": chain, "product": product}


def _readers(g: OpGraph) -> dict[Value, int]:
    count: dict[Value, int] = dict.fromkeys(g.outputs.values(), 2)  # an output is read from outside as well
    for op in g.ops:
        for value in op.inputs:
            count[value] = count.get(value, 0) + 1
    return count


def _alone(value: Value, readers: Mapping[Value, int]) -> bool:
    return readers.get(value, 0) == 1


def _bias(op: Any, parameters: Mapping[Value, Parameter]) -> Value | None:
    """The parameter, an entry a channel, that an op adds to its first operand."""
    value = op.inputs[1]
    if value.op is not None and value.op.kind == "reshape":
        value = value.op.inputs[0]
    channels = op.outputs[0].shape[1:2]
    return value if value in parameters and value.shape == channels else None


# rewriting -------------------------------------------------------------------------------------------------------------


def _rewrite(g: OpGraph, found: list[dict[str, Any]]) -> OpGraph:
    known = {p.name: p for p in g.parameters}
    gone = {f["entry"][name] for f in found for name in STATISTICS}
    changed: dict[str, Parameter] = {}
    result = OpGraph(g.name)
    result.inputs, result.info = list(g.inputs), dict(g.info)
    result._names = dict(g._names)
    added: dict[str, Value] = {}
    for f in found:
        entry = f["entry"]
        paths = [entry["weights"], *(entry[name] for name in STATISTICS)] + [entry["old_bias"]] * bool(
            entry["old_bias"]
        )
        weights, bias = _folded(entry, {path: known[path].initial_value() for path in paths})
        changed[entry["weights"]] = replace(known[entry["weights"]], initial=weights)
        if entry["old_bias"]:
            changed[entry["bias"]] = replace(known[entry["bias"]], initial=bias)
            added[entry["bias"]] = known[entry["bias"]].value
        else:
            added[entry["bias"]] = result.add_parameter(entry["bias"], weights.dtype, bias.shape, bias)
            entry["bias"] = added[entry["bias"]].name
    kept = [changed.get(p.name, p) for p in g.parameters if p.name not in gone]
    result.parameters = kept + result.parameters
    by_norm = {f["norm"]: f for f in found}
    skipped = {op for f in found for op in f["chain"]}
    now: dict[Value, Value] = {}
    for op in g.ops:
        if op in by_norm:
            f = by_norm[op]
            source = f["product"].outputs[0]
            bias_value = added.get(f["entry"]["bias"]) or next(
                p.value for p in result.parameters if p.name == f["entry"]["bias"]
            )
            now[op.outputs[0]] = _add_bias(result, op, now.get(source, source), bias_value)
        elif op not in skipped:
            inputs = [now.get(v, v) for v in op.inputs]
            if any(a is not b for a, b in zip(inputs, op.inputs, strict=True)):
                other = type(op)(*op.regroup(inputs), name=op.name, phase=op.phase, **op.attributes)
                now.update(zip(op.outputs, other.outputs, strict=True))
                op = other
            result.ops.append(op)
    result.outputs = {name: now.get(value, value) for name, value in g.outputs.items()}
    result.info["folded"] = [*g.info.get("folded", ()), *(f["entry"] for f in found)]
    from .simplify import drop_dead

    drop_dead(result)
    return result


def _add_bias(g: OpGraph, norm: Op, x: Value, bias: Value) -> Value:
    """The bias added to x, under the name that the norm had."""
    with g.top_scope(norm.scope), g.phase(norm.phase):
        if x.ndim > 2:
            bias = g.add("reshape", bias, shape=(*bias.shape, *[1] * (x.ndim - 2)), name=f"{norm.leaf}-bias")
        g._names.pop(norm.name, None)
        y: Value = g.add("add" if x.ndim > 2 else "add_bias", x, bias, name=norm.leaf)
        return y
