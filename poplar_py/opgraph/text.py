"""Printed and saved forms of op graphs.

opgraph mlp
input      input                 float[32, 784]
parameter  fc1/weights           float[784, 10] = he_uniform seed 1
fc1/matmul           float[32, 10] = matmul(input, fc1/weights)
output     output = fc1/matmul
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..dtypes import DType, dtype
from ..errors import FileLoadError
from .graph import OpGraph, Parameter
from .op import Op, Value

SMALL = 8  # elements; arrays up to this size are printed


def text(g: OpGraph) -> str:
    """The op graph in words: inputs, parameters, ops by phase, outputs."""
    values = g.values()
    width = min(max((len(name) for name in values), default=0), 44)
    lines = [f"opgraph {g.name}"]
    lines += [f"input      {v.name:{width}} {v.type}" for v in g.inputs]
    for p in g.parameters:
        how = _array(p.initial) if isinstance(p.initial, np.ndarray) else p.initial or "(kept in the executable)"
        how += f" seed {p.seed}" if isinstance(p.initial, str) and p.initial not in ("zeros", "ones") else ""
        notes = (f" like {p.like.name}" if p.like else "") + ("" if p.trainable else " fixed")
        lines.append(f"parameter  {p.name:{width}} {p.type} = {how}{notes}")
    phase = None
    for op in g.ops:
        if op.phase != phase:
            phase = op.phase
            lines.append(f"{phase}:")
        result = ", ".join(str(v.type) for v in op.outputs) or "update " + ", ".join(v.name for v in op.updated)
        lines.append(f"  {op.name:{width}} {result} = {call(op)}")
    lines += [f"output     {name} = {value.name}" for name, value in g.outputs.items()]
    return "\n".join(lines) + "\n"


def call(op: Op) -> str:
    """An op as a call: kind(operands, attributes that differ from their defaults)."""

    def word(operand: Any) -> str:
        return "[" + ", ".join(map(word, operand)) + "]" if isinstance(operand, tuple) else operand.name

    words = [word(o) for o in op.operands if o is not None]
    for field, value in op.attributes.items():
        default = op.signature.parameters[field].default
        if isinstance(value, np.ndarray):
            words.append(_array(value))
        elif type(value) is not type(default) or value != default:
            words.append(f"{field}={value}")
    return f"{op.kind}({', '.join(words)})"


def _array(array: np.ndarray) -> str:
    if array.size <= SMALL:
        return str(array.tolist())
    return f"array {array.dtype.name}{list(array.shape)}"


# saving ----------------------------------------------------------------------------------------------------------------


def _type(value: Value) -> dict[str, Any]:
    return {"name": value.name, "dtype": value.dtype.name, "shape": list(value.shape)}


def _plain(value: Any) -> Any:
    """An attribute in JSON; arrays and element types as {"array": ...} and {"dtype": ...}."""
    if isinstance(value, np.ndarray):
        return {"array": value.ravel().tolist(), "dtype": dtype(value.dtype).name, "shape": list(value.shape)}
    if isinstance(value, DType):
        return {"dtype": value.name}
    if isinstance(value, tuple):
        return [_plain(v) for v in value]
    return value.item() if isinstance(value, np.generic) else value


def _rich(value: Any) -> Any:
    if isinstance(value, dict) and "array" in value:
        return np.array(value["array"], dtype(value["dtype"]).np).reshape(value["shape"])
    if isinstance(value, dict):
        return dtype(value["dtype"])
    return tuple(_rich(v) for v in value) if isinstance(value, list) else value


def _initial(p: Parameter) -> Any:
    """How a parameter starts: a name, few numbers, or None where an executable keeps the array itself."""
    if isinstance(p.initial, np.ndarray):
        return _plain(p.initial) if p.initial.size <= SMALL else None
    return p.initial


def to_dict(g: OpGraph) -> dict[str, Any]:
    """JSON-able form. `inputs` of an op are its values in order; `operands` says how they group into fields: None
    (absent), 1, or a list of one entry, the number of values in a tuple. Large initial arrays are left out (None)."""
    return {
        "name": g.name,
        "inputs": [_type(v) for v in g.inputs],
        "parameters": [
            _type(p.value)
            | {"initial": _initial(p), "seed": p.seed, "like": p.like and p.like.name, "trainable": p.trainable}
            | ({"fans": list(p.fans)} if p.fans else {})
            for p in g.parameters
        ],
        "ops": [
            {
                "name": op.name,
                "kind": op.kind,
                "phase": op.phase,
                "scope": op.scope,
                "inputs": [v.name for v in op.inputs],
                "operands": [[len(o)] if isinstance(o, tuple) else None if o is None else 1 for o in op.operands],
                "outputs": [_type(v) for v in op.outputs],
                "updates": [v.name for v in op.updated],
                "attributes": {name: _plain(value) for name, value in op.attributes.items()},
            }
            for op in g.ops
        ],
        "outputs": [_type(v) | {"name": name, "value": v.name} for name, v in g.outputs.items()],
        "info": g.info,
    }


def from_dict(data: dict[str, Any]) -> OpGraph:
    """The op graph that `to_dict` wrote. Raises FileLoadError where `data` is not one."""
    try:
        return _read(data)
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise FileLoadError(f"this is not a saved op graph: {type(error).__name__} {error}") from None


def _read(data: dict[str, Any]) -> OpGraph:
    g = OpGraph(data["name"])
    values: dict[str, Value] = {}
    for entry in data["inputs"]:
        values[entry["name"]] = g.add_input(entry["name"], entry["dtype"], entry["shape"])
    for entry in data["parameters"]:
        initial = entry["initial"]
        kept = _rich(initial) if isinstance(initial, dict) else initial if isinstance(initial, str) else "zeros"
        like = values[entry["like"]] if entry["like"] else None
        fans = tuple(entry["fans"]) if entry.get("fans") else None
        values[entry["name"]] = g.add_parameter(
            entry["name"], entry["dtype"], entry["shape"], kept,
            seed=entry["seed"], like=like, trainable=entry["trainable"], fans=fans,
        )  # fmt: skip
        if initial is None:
            g.parameters[-1].initial = None
    for entry in data["ops"]:
        queue = [values[name] for name in entry["inputs"]]
        operands: list[Any] = []
        for group in entry["operands"]:
            count = group[0] if isinstance(group, list) else group or 0
            taken, queue = queue[:count], queue[count:]
            operands.append(tuple(taken) if isinstance(group, list) else taken[0] if taken else None)
        attributes = {name: _rich(value) for name, value in entry["attributes"].items()}
        with g.phase(entry["phase"]):
            g.add(entry["kind"], *operands, name=entry["name"], **attributes)
        values |= {v.name: v for v in g.ops[-1].outputs}
    g.outputs = {entry["name"]: values[entry["value"]] for entry in data["outputs"]}
    g.info = dict(data["info"])
    return g


# analysis --------------------------------------------------------------------------------------------------------------


def to_networkx(g: OpGraph) -> Any:
    """A networkx.DiGraph with ops and values both as points, named ("op", path) and ("value", path).

    Points carry `op` or `value`; an edge runs from a value to the ops that read it, from an op to its outputs, and
    from an op to the parameters it updates.
    """
    import networkx

    graph = networkx.DiGraph(name=g.name)
    for name, value in g.values().items():
        graph.add_node(("value", name), value=value)
    for op in g.ops:
        graph.add_node(("op", op.name), op=op)
        graph.add_edges_from((("value", v.name), ("op", op.name)) for v in op.inputs)
        graph.add_edges_from((("op", op.name), ("value", v.name)) for v in (*op.outputs, *op.updated))
    return graph
