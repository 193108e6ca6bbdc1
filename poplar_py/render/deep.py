"""The page of the computation view: a pyramid of light, the vertices and their edges on top of it where they are few."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from .costs import Cost, Costs
from .page import TILE, packed, page, pyramid
from .palette import KIND_NAMES, KINDS, THEMES, layer_colour, mix

WIDTH = 1600  # of the picture in its own pixels
MOST_VERTICES, MOST_EDGES = 1_000_000, 1_500_000  # that a page carries one by one
FEW = 60_000  # vertices up to which half the resolution is enough, since they are drawn anew when enlarged


def draw_page(
    executable: Any, path: Path, theme: str, focus: str | None, size: tuple[int, int], seed: int
) -> dict[str, Any]:
    """Write the page; `size` says its shape. facts: drawn_vertices, drawn_edges, groups, levels, bytes."""
    from . import field

    t = THEMES[theme]
    width, height = WIDTH, round(WIDTH * size[1] / size[0])
    over = 4096 / width if executable.num_vertices <= FEW else 8192 / width
    lit = field.Field(executable, focus, (round(width * over), round(height * over)), seed)
    levels = pyramid(lit.picture(t))
    scene, places = lit.scene, lit.vertices / over
    items, of_set = _items(executable, lit, places, over, t)
    data: dict[str, Any] = {
        "title": executable.name + (f" / {focus}" if focus else ""), "w": width, "h": height, "tile": TILE, "levels": levels,
        "items": items, "dot": lit.dot / over, "near": 2.2, "sharp": 0.8 * over,
        "kinds": [KINDS[k] for k in field.KIND_ORDER],
        "note": _note(executable, scene),
    }  # fmt: skip
    if len(places) <= MOST_VERTICES:
        data |= _vertices(lit, places, of_set, (width, height))
        if len(scene.edge_vertex) <= MOST_EDGES:
            data |= _edges(lit, len(places), over, (width, height))
    text = page(f"{executable.name}: computation", t, data)
    path.write_text(text, encoding="utf-8")
    return {
        "drawn_vertices": int(scene.group_vertices.sum()), "drawn_edges": int(scene.group_edges.sum()),
        "groups": len(lit.radius), "levels": len(levels), "bytes": len(text),
    }  # fmt: skip


def _note(executable: Any, scene: Any) -> str:
    from .. import __version__

    kinds = ", ".join(KIND_NAMES.values())
    vertices, edges = int(scene.group_vertices.sum()), int(scene.group_edges.sum())
    return (
        f"{vertices:,} vertices, {edges:,} edges on {executable.target.num_tiles:,} tiles of {executable.target.name}\n"
        f"colours: {kinds}\npoplar_py {__version__}"
    )


def _items(executable: Any, lit: Any, places: np.ndarray, over: float, t: Any) -> tuple[list[dict], np.ndarray]:
    """Cells, then compute sets, as the page knows them; and the item of each vertex."""
    scene, costs = lit.scene, Costs(executable)
    counts = [sum(int(b.n) for b in cs.blocks) for cs in lit.sets]
    first = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    group_of = [int(scene.chunk_group[scene.vertex_chunk[f]]) if n else -1 for f, n in zip(first, counts, strict=False)]
    cells = len(lit.radius)
    items: list[dict] = []
    for g in range(cells):
        x, y = lit.centre[g] / over
        r = lit.radius[g] / over
        cost = costs.of_sets([cs.index for cs, mine in zip(lit.sets, group_of, strict=True) if mine == g])
        cost = Cost(cost.sets, int(scene.group_vertices[g]), int(scene.group_edges[g]), cost.tiles, cost.cycles, cost.compute,
                    cost.exchange, cost.bytes)  # fmt: skip
        items.append({
            "n": scene.group_names[g], "l": [scene.group_phase[g], *cost.lines()], "o": 1, "p": float(2 + r),
            "b": [round(float(v), 2) for v in (x - r, y - r, x + r, y + r)], "c": mix(layer_colour(g, cells), t.text, 0.35),
        })  # fmt: skip
    of_set = np.zeros(len(places), np.int64)
    for i, cs in enumerate(lit.sets):
        a, b = int(first[i]), int(first[i + 1])
        of_set[a:b] = len(items)
        here = places[a:b]
        middle = np.median(here, axis=0)
        reach = float(np.quantile(np.hypot(*(here - middle).T), 0.8)) + 1.5
        codelets = [f"{block.n:,} x {block.codelet}" for block in cs.blocks][:4]
        items.append({
            "n": cs.name, "s": cs.name.rsplit("/", 1)[-1], "l": [*costs.of_sets([cs.index]).lines(), *codelets], "o": 1, "q": 1,
            "p": float(np.log1p(b - a) / 20), "v": [a, b],
            "b": [round(float(v), 2) for v in (*(middle - reach), *(middle + reach))],
        })  # fmt: skip
    if len(places) > MOST_VERTICES:
        for item in items[cells:]:
            del item["v"]
    if len(items) > 65_000:
        items = items[:65_000]
    return items, of_set


def _quantised(places: np.ndarray, size: tuple[int, int]) -> tuple[str, str]:
    share = np.clip(places / np.array(size) * 65535, 0, 65535)
    return packed(np.round(share[:, 0]).astype(np.uint16)), packed(np.round(share[:, 1]).astype(np.uint16))


def _vertices(lit: Any, places: np.ndarray, of_set: np.ndarray, size: tuple[int, int]) -> dict[str, str]:
    x, y = _quantised(places, size)
    tiles = np.concatenate([b.tile for cs in lit.sets for b in cs.blocks] or [np.zeros(0)])
    return {
        "x": x, "y": y, "s": packed(np.minimum(of_set, 65535).astype(np.uint16)), "t": packed(tiles.astype(np.uint16)),
        "k": packed(lit.scene.vertex_kind.astype(np.uint8)),
    }  # fmt: skip


def _edges(lit: Any, count: int, over: float, size: tuple[int, int]) -> dict[str, str]:
    """Ends of the edges of every vertex: the chunk of data each reads or writes."""
    order = np.argsort(lit.scene.edge_vertex, kind="stable")
    first = np.searchsorted(lit.scene.edge_vertex[order], np.arange(count + 1))
    x, y = _quantised(lit.chunks[lit.scene.edge_chunk[order]] / over, size)
    return {"first": packed(first.astype(np.uint32)), "ex": x, "ey": y}
