"""Plans held against what was compiled: for every product of a convolution or dense layer, the cycles, bytes and memory
its plan expected and those that its supersteps have.

A superstep's price does not depend on data, so what a run shows is what the executable says. Bytes are those that the
fullest tile receives, memory those that a product needs on the fullest tile beside its operands: what is gathered there,
partial results and the result.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

PREFIXES = {"": "forward", "input gradient: ": "input gradient", "weight gradient: ": "weights gradient"}


@dataclass(frozen=True)
class PlanRow:
    """One product: (expected, found) cycles, bytes and memory bytes."""

    path: str
    product: str
    split: str
    cycles: tuple[int, int]
    bytes: tuple[int, int]
    memory: tuple[int, int]
    macs: int
    parts: Mapping[str, int]  # expected cycles by part

    @property
    def ratios(self) -> tuple[float, float, float]:
        """Expected over found: cycles, bytes, memory."""
        return tuple(a / b if b else float(a == b) for a, b in (self.cycles, self.bytes, self.memory))  # type: ignore[return-value]

    @property
    def worst(self) -> float:
        """The largest part by which an expectation is off."""
        return max(abs(r - 1) for r in self.ratios)


def compare_plans(plans: Mapping[str, Any], executable: Any) -> list[PlanRow]:
    """A row for every product of `plans` (those of lowering, by path) that the executable executes."""
    steps: dict[str, Any] = {}
    for step in executable.steps:
        if step.kind == "execute":
            steps.setdefault(step.name, step)
    weights = _by_weights(plans, executable, steps)
    rows = []
    for path, plan in plans.items():
        scope = path.rsplit("/", 1)[0]
        if path.endswith("/plan"):
            kind = getattr(getattr(plan, "problem", None), "kind", "forward").replace("_", " ")
            rows += _row(scope, kind, plan, "", _of_scope(steps, scope), executable)
        else:
            found = weights.get(path, {})
            if f"{path}-gradient/plan" not in plans:  # one that was planned by itself has its row there
                found |= {"weights gradient": f"{path}-gradient"}
            for prefix, product in PREFIXES.items():
                if product in found:
                    rows += _row(path, product, plan, prefix, _of_scope(steps, found[product]), executable)
    return rows


def plan_table(rows: Iterable[PlanRow]) -> str:
    """The rows as a table: expected / found of each figure, and the ratio."""
    head = f"{'product':<52}{'split':<22}{'cycles expected / found':>27}{'bytes':>24}{'memory':>24}"
    lines = [head]
    for row in rows:
        figures = zip((row.cycles, row.bytes, row.memory), row.ratios, strict=True)
        cells = [f"{a} / {b}  {r:.2f}" for (a, b), r in figures]
        name = f"{row.path} {row.product}"
        lines.append(f"{name[-51:]:<52}{row.split:<22}{cells[0]:>27}{cells[1]:>24}{cells[2]:>24}")
    return "\n".join(lines)


def _of_scope(steps: Mapping[str, Any], scope: str) -> list[Any]:
    names = (f"{scope}/product", f"{scope}/reduce")
    return [s for name, s in steps.items() if name.startswith(names) and "/" not in name[len(scope) + 1 :]]


def _row(path: str, product: str, plan: Any, prefix: str, steps: list[Any], executable: Any) -> list[PlanRow]:
    if not steps:
        return []
    mine = {n[len(prefix) :]: c for n, c in plan.cycles.items() if n.startswith(prefix) and (prefix or ":" not in n)}
    moved = {n[len(prefix) :]: c for n, c in plan.bytes.items() if n.startswith(prefix) and (prefix or ":" not in n)}
    received = sum(int(s.bytes_received.max(initial=0)) for s in steps)
    return [
        PlanRow(
            path, product, "x".join(map(str, plan.parts)),
            (sum(mine.values()), sum(s.cycles for s in steps)),
            (sum(n for part, n in moved.items() if part != "rearrangement"), received),
            (plan.memory.get(product, plan.temp_bytes), _memory(executable, steps)),
            plan.macs // (3 if any(p in n for n in plan.cycles for p in ("weight gradient: compute",)) else 1),
            mine,
        )
    ]  # fmt: skip


def _memory(executable: Any, steps: list[Any]) -> int:
    """Bytes on the fullest tile of the fullest superstep: its gathering area, and the variables its vertices write or
    read as partial results."""
    most = 0
    for step in steps:
        total = executable.routes[step.compute_set].area_bytes.astype(np.int64).copy()
        seen: set[int] = set()
        for block in executable.graph.compute_sets[step.compute_set].blocks:
            for field in ("out", "partials"):
                if field in block.fields:
                    seen |= _variables(executable.graph, block.fields[field])
        layout = executable.layout
        mine = np.isin(layout.fragment_variable, sorted(seen))
        size = layout.fragment_elements[mine] * layout.element_bytes[layout.fragment_variable[mine]]
        total += np.bincount(layout.fragment_tile[mine], weights=size, minlength=len(total)).astype(np.int64)
        most = max(most, int(total.max(initial=0)))
    return most


def _variables(graph: Any, edges: Any) -> set[int]:
    """Variables that the edges of a field lie in."""
    places = edges.elements if edges.is_scattered else edges.start
    if places is None or not np.size(places):
        return set()
    base = np.array([v.base for v in graph.variables])
    return set((np.unique(np.searchsorted(base, np.unique(places), side="right")) - 1).tolist())


def _by_weights(plans: Mapping[str, Any], executable: Any, steps: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Scopes of the products that read the weights of a plan: {path: {"forward": scope, "input gradient": scope}}."""
    graph = executable.graph
    found: dict[str, dict[str, str]] = {}
    names = {v.index: v.name for v in graph.variables if v.name in plans}
    for name, step in steps.items():
        for block in graph.compute_sets[step.compute_set].blocks if "/product" in name else ():
            codelet = block.codelet.rsplit("::", 1)[-1]
            if not codelet.startswith("MatMul"):
                continue
            for v in _variables(graph, block.fields["b"]) & set(names):
                which = "input gradient" if codelet.endswith("TransposedB") else "forward"
                found.setdefault(names[v], {})[which] = name.rsplit("/", 1)[0]
    return found
