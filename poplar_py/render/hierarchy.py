"""Cells of the computation view: which layer and phase every compute set belongs to.

The compiler knows the hierarchy (layer, operation, compute set), so nothing has to be inferred from the graph: a compute
set is named after its operation, an operation knows its scope and inputs. Layers that multiply (convolutions, matrix
products) are cells of their own; light operations behind them (bias, norm, activation, pool) join them. Phases are forward, backward (gradients of activations) and update (gradients of
parameters, and what applies them).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from .palette import kind_of

PHASES = ("forward", "backward", "update")
MOST_CELLS = 44
LEAST_SHARE = 0.002  # of all vertices: smaller cells of light operations join the layer before them


@dataclass
class Cell:
    """A part of the graph drawn as one body.

    path: of its layer; phase; sets: indexes of its compute sets in program order; vertices; calls: how often a body of
    them is called (1 where it is not called), times: the same as text (`x3`, `x3, x5`).
    """

    path: str
    phase: str
    sets: list[int] = field(default_factory=list)
    vertices: int = 0
    calls: int = 1

    @property
    def name(self) -> str:
        return f"{self.path}/{self.phase}"


def described_ops(executable: Any) -> dict[str, Any]:
    """The operation graph as plain data, empty for a graph made by hand."""
    described = executable.op_graph
    return (described.to_dict() if hasattr(described, "to_dict") else described) or {}


class _Ops:
    """What the operation graph says about the operation of each compute set; falls back on names without one."""

    def __init__(self, executable: Any):
        ops = described_ops(executable).get("ops", [])
        self.by_name = {op["name"]: op for op in ops}
        self.maker = {value["name"]: op for op in ops for value in op["outputs"]}
        self.readers: dict[str, list[dict]] = {}
        for op in ops:
            for name in op["inputs"]:
                self.readers.setdefault(name, []).append(op)
        self.forward_of_inputs = {tuple(op["inputs"]): op for op in ops if op["phase"] == "forward"}
        self.seen: set[str] = set()  # operations that have compute sets

    def of_set(self, name: str) -> dict | None:
        while name:
            if name in self.by_name:
                return self.by_name[name]
            name = name.rpartition("/")[0]
        return None

    def phase(self, op: dict, depth: int = 0) -> str:
        """Update: what applies gradients, and what makes gradients that only such operations read."""
        if op["phase"] != "backward":
            return op["phase"] if op["phase"] in PHASES else "forward"
        readers = [r for value in op["outputs"] for r in self.readers.get(value["name"], [])]
        if not readers or depth > 6:
            return "backward"
        for reader in readers:
            if reader["phase"] == "update":
                continue
            if reader["name"] in self.seen or self.phase(reader, depth + 1) != "update":
                return "backward"
        return "update"

    def before(self, op: dict) -> dict | None:
        """The operation whose layer a light one belongs to: the maker of what it works on; of a gradient, the forward
        operation it is the gradient of."""
        if op["phase"] == "forward":
            made = (self.maker.get(name) for name in op["inputs"])
            return next((m for m in made if m is not None), None)
        twin = self.forward_of_inputs.get(tuple(op["inputs"]))
        if twin is not None:
            return twin
        for name in op["inputs"]:  # a gradient is named after the value it is the gradient of
            local = name.rpartition("/")[2]
            if "-gradient" in local and local.partition("-gradient")[0] in self.by_name:
                return self.by_name[local.partition("-gradient")[0]]
        for name in op["inputs"]:
            maker = self.maker.get(name)
            if maker is not None and maker["phase"] == "forward":
                return maker
        made = (self.maker.get(name) for name in op["inputs"])
        return next((m for m in made if m is not None), None)


def find_cells(
    executable: Any, sets: Iterable[Any], most: int = MOST_CELLS, order: dict[int, int] | None = None
) -> list[Cell]:
    """The cells of the compute sets `sets`, at most about `most`; in program order of their layers, phases together.

    `order` is the place of each compute set in the program. Every compute set is in exactly one cell.
    """
    sets = sorted(sets, key=lambda cs: (order or {}).get(cs.index, cs.index))
    ops = _Ops(executable)
    of_set = {cs.index: ops.of_set(cs.name) for cs in sets}
    ops.seen = {op["name"] for op in of_set.values() if op}
    kinds = {cs.index: {kind_of(b.codelet) for b in cs.blocks} for cs in sets}
    heavy = {_scope(of_set[cs.index], cs.name) for cs in sets if "multiply" in kinds[cs.index]}
    places: dict[tuple[str, str], Cell] = {}
    joins: dict[tuple[str, str], tuple[str, str]] = {}
    for cs in sets:
        op = of_set[cs.index]
        path = _scope(op, cs.name)
        phase = ops.phase(op) if op else phase_by_name(cs.name)
        if "loss" in kinds[cs.index] or (op and op["name"] in ("loss", "correct")):
            path, phase = "loss", "forward"
        elif op and path not in heavy:
            target = _heavy_before(ops, op, heavy)
            own = op["name"] if op["phase"] == "forward" else _counterpart(ops, op)
            path = own if op["scope"] == "" or op["scope"] not in heavy else path
            if target and target != path:
                joins[path, phase] = (target, phase)
        cell = places.setdefault((path, phase), Cell(path, phase))
        cell.sets.append(cs.index)
        cell.vertices += sum(int(b.n) for b in cs.blocks)
    _fold(places, joins, most, order or {})
    return _in_order(places, order or {})


def _scope(op: dict | None, name: str) -> str:
    if op is None:
        return name.rpartition("/")[0] or name
    return op["scope"] or op["name"]


def _counterpart(ops: _Ops, op: dict) -> str:
    """Path of a gradient or update that has no layer of its own: that of the forward operation it belongs to."""
    if op["phase"] == "update":
        return op["scope"] or "schedule"
    twin = ops.before(op)
    return (twin["name"] if twin["phase"] == "forward" else _scope(twin, "")) if twin else _scope(op, "")


def _heavy_before(ops: _Ops, op: dict, heavy: set[str]) -> str:
    """The heavy layer upstream of a light operation; empty if there is none."""
    at: dict | None = op
    for _ in range(40):
        at = ops.before(at) if at else None
        if at is None:
            return ""
        scope = _scope(at, "")
        if scope in heavy:
            return scope
    return ""


def phase_by_name(path: str) -> str:
    """Phase of a compute set by its path alone: for graphs made by hand, which have no operations."""
    if "-update" in path or "weights-gradient" in path or "bias-gradient" in path:
        return "update"
    return "backward" if "gradient" in path else "forward"


def _fold(places: dict, joins: dict, most: int, order: dict[int, int]) -> None:
    """Join cells: specks first, then light layers with the heavy ones before them, then siblings under their parent."""
    total = sum(c.vertices for c in places.values())

    def join(key: tuple[str, str], into: tuple[str, str]) -> None:
        cell = places.pop(key)
        target = places.setdefault(into, Cell(*into))
        target.sets = sorted(target.sets + cell.sets, key=lambda i: order.get(i, i))
        target.vertices += cell.vertices

    def light() -> list[tuple[str, str]]:
        return sorted((k for k in places if k in joins and joins[k] in places), key=lambda k: (places[k].vertices, k))

    for key in sorted(places, key=lambda k: (places[k].vertices, k)):
        if places[key].vertices < LEAST_SHARE * total and len(places) > 12:
            near = _nearest(places, key, joins.get(key))
            if near:
                join(key, near)
    while light():
        key = light()[0]
        join(key, joins[key])
    while len(places) > most:
        deep = [k for k in places if "/" in k[0]]
        if not deep:
            break
        by_parent: dict[tuple[str, str], list] = {}
        for path, phase in deep:
            by_parent.setdefault((path.rpartition("/")[0], phase), []).append((path, phase))
        parent = min(by_parent, key=lambda p: (-p[0].count("/"), sum(places[k].vertices for k in by_parent[p]), p))
        for key in by_parent[parent]:
            join(key, parent)
    flat = sorted(places, key=lambda k: (places[k].vertices, k))
    for key in flat[: max(0, len(places) - 2 * most)]:
        join(key, ("others", key[1]))


def _nearest(places: dict, key: tuple[str, str], wanted: tuple[str, str] | None) -> tuple[str, str] | None:
    """The cell a speck joins: the layer before it, else the largest one of the same part of the model."""
    if wanted is not None:
        for phase in (wanted[1], *PHASES):
            if (wanted[0], phase) in places and (wanted[0], phase) != key:
                return wanted[0], phase
    top = key[0].partition("/")[0]
    same = [k for k in places if k != key and k[0].partition("/")[0] == top]
    return max(same, key=lambda k: (places[k].vertices, k)) if same else None


def _in_order(places: dict, order: dict[int, int]) -> list[Cell]:
    first: dict[str, int] = {}
    for (path, _), cell in places.items():
        at = min(order.get(i, i) for i in cell.sets)
        first[path] = min(first.get(path, at), at)
    return sorted(places.values(), key=lambda c: (first[c.path], c.path, PHASES.index(c.phase)))
