"""The printed form of a graph: variables with their tiles, compute sets with their blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from .graph import Graph


def graph_text(graph: Graph) -> str:
    """One line a variable and a block; the same graph gives the same text."""
    lines = [f"graph {graph.name} for {graph.target.name} ({graph.target.num_tiles} tiles)"]
    for v in graph.variables:
        kind = "constant" if v.is_constant else "variable"
        start, tile = v.runs()
        where = f"{len(start)} runs on tiles {ranges(np.unique(tile))}" if v.size else "empty"
        lines.append(f"  {kind} {v.name} {v.dtype}{list(v.shape)}  {where}")
    for cs in graph.compute_sets:
        edges = sum(b.num_edges for b in cs.blocks)
        tiles = np.unique(np.concatenate([b.tile for b in cs.blocks] or [np.zeros(0, int)]))
        lines.append(f"  compute_set {cs.name}  ({cs.num_vertices} vertices, {edges} edges, {len(tiles)} tiles)")
        for block in cs.blocks:
            fields = [f"{name}{_window(edges)}" for name, edges in block.fields.items()]
            fields += [f"{name}={_value(value)}" for name, value in block.constants.items()]
            lines.append(f"    {block.codelet} x{block.n}  tile={ranges(np.unique(block.tile))}  {' '.join(fields)}")
    return "\n".join(lines) + "\n"


def _window(edges: Any) -> str:
    rows, cols = (_value(np.asarray(c)) for c in (edges.rows, edges.cols))
    scattered = "~" if edges.is_scattered else ""
    return (
        f"{scattered}<{edges.dtype.name.lower()}>[{cols}]"
        if rows == "1"
        else f"{scattered}<{edges.dtype.name.lower()}>[{rows}x{cols}]"
    )


def _value(column: np.ndarray) -> str:
    if column.ndim == 0 or (column.size and (column == column.flat[0]).all()):
        return f"{column.reshape(-1)[0].item():g}"
    return f"{column.min().item():g}..{column.max().item():g}"


def ranges(numbers: np.ndarray) -> str:
    """Sorted whole numbers as `0..3,7`, long lists cut."""
    if not len(numbers):
        return "-"
    first = np.concatenate(([0], np.flatnonzero(np.diff(numbers) != 1) + 1))
    last = np.append(first[1:], len(numbers)) - 1
    parts = [str(numbers[a]) if a == b else f"{numbers[a]}..{numbers[b]}" for a, b in zip(first, last, strict=True)]
    return ",".join(parts[:8]) + (f",... ({len(numbers)})" if len(parts) > 8 else "")
