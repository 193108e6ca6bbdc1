"""The page of the computation view: a pyramid of light that can be entered, vertices and edges drawn anew where they are
few enough to send, and names, counts, cycles and bytes of everything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from .bodies import ANGLES
from .colours import Colours, text_of
from .computation import Picture, View
from .costs import Cost, Costs
from .hierarchy import PHASES
from .labels import phase_words
from .page import TILE, packed, page, pyramid
from .palette import PHASES as PHASE_COLOURS
from .palette import THEMES
from .words import counts_of

WIDTH = 1600  # of the picture in its own pixels
MOST_VERTICES, MOST_EDGES = 1_000_000, 1_500_000  # that a page carries one by one
FEW = 60_000  # vertices up to which a smaller base is enough, since they are drawn anew when enlarged
DETAIL = {"few": 4096, "some": 8192, "many": 12288}  # width of the deepest level in pixels


def draw_page(
    executable: Any, path: Path, theme: str, focus: str | None, size: tuple[int, int], seed: int, style: str = "tissue",
    color: str = "layer", palette: str = "vivid", detail: int | None = None, bare: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """Write the page; `size` says its shape, `detail` how wide its deepest level is. facts: drawn_vertices, drawn_edges,
    groups, levels, bytes."""
    width, height = WIDTH, round(WIDTH * size[1] / size[0])
    picture = Picture(executable, focus, style, seed, width / height)
    scene = picture.scene
    few = "few" if scene.num_vertices <= FEW else "some" if scene.num_vertices <= MOST_VERTICES else "many"
    over = (detail or DETAIL[few]) / width
    view = picture.view((round(width * over), round(height * over)), sides=0.03)
    colours = Colours(scene, color, palette, theme == "dark")
    levels = pyramid(picture.draw(view, theme, colours))
    items, of_set = _items(picture, view, over, colours)
    data: dict[str, Any] = {
        "title": executable.name + (f" / {focus}" if focus else ""), "w": width, "h": height, "tile": TILE, "levels": levels,
        "items": items, "dot": picture.dot(view) / over, "near": 2.2, "sharp": 0.8 * over,
        "kinds": [text_of(t) for t in colours.table],
        "note": _note(executable, picture), "legend": _legend(picture, colours),
    }  # fmt: skip
    if bare:
        data |= {"note": "", "legend": []}
    if scene.num_vertices <= MOST_VERTICES:
        data |= _vertices(picture, view, colours, of_set)
        if scene.num_edges <= MOST_EDGES:
            data |= _edges(picture, view)
    text = page(f"{executable.name}: computation", THEMES[theme], data)
    path.write_text(text, encoding="utf-8")
    return {
        "drawn_vertices": scene.num_vertices, "drawn_edges": scene.num_edges, "groups": len(scene.cells),
        "levels": len(levels), "bytes": len(text), "mode": picture.mode, "style": style,
    }  # fmt: skip


def _note(executable: Any, picture: Picture) -> str:
    from .. import __version__

    scene = picture.scene
    return (
        f"{counts_of(executable, scene.num_vertices, scene.num_edges)} of {executable.target.name}\n{picture.mode}\n"
        f"seed {picture.seed}    poplar_py {__version__}"
    )


def _legend(picture: Picture, colours: Colours) -> list[list[str]]:
    phases = [p for p in PHASES if any(c.phase == p for c in picture.scene.cells)]
    words = {"forward": "forward traffic", "backward": "backward traffic", "update": "weight traffic"}
    return [[c, w] for c, w in colours.legend] + [[PHASE_COLOURS[p], words[p]] for p in phases]


def _items(picture: Picture, view: View, over: float, colours: Colours) -> tuple[list[dict], np.ndarray]:
    """Cells, then compute sets, as the page knows them; and the item of each vertex."""
    scene, bodies, arrangement = picture.scene, picture.bodies, picture.arrangement
    costs, items = Costs(picture.executable), []
    many = len({c.phase for c in scene.cells}) > 1
    angle = np.arange(0, ANGLES, ANGLES // 48) / ANGLES * 2 * np.pi
    middle = np.array([view.ox, view.oy])
    for g, cell in enumerate(scene.cells):
        reach = bodies.radius(np.full(len(angle), g), angle)
        ring = (bodies.centre[g] + reach[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1)) * view.scale + middle
        ring /= over
        cost = costs.of_sets(cell.sets)
        cost = Cost(cost.sets, cell.vertices, int(scene.cell_edges[g]), cost.tiles, cost.cycles, cost.compute, cost.exchange,
                    cost.bytes)  # fmt: skip
        times, phase = f"x{cell.calls}" if cell.calls > 1 else "", phase_words(cell, many)
        calls = [f"in the graph once, called {cell.calls} times"] if cell.calls > 1 else []
        items.append({
            "n": cell.name, "s": " ".join(p for p in (cell.path, times, phase) if p), "l": [*calls, *cost.lines()],
            "p": float(2 + np.ptp(ring[:, 0])), "g": [round(float(v), 1) for v in ring.ravel()], "c": colours.label[g],
            "b": [round(float(v), 2) for v in (*ring.min(0), *ring.max(0))],
        })  # fmt: skip
    of_set = np.zeros(scene.num_vertices, np.int64)
    keep = scene.num_vertices <= MOST_VERTICES
    for cs in scene.flow.sets:
        a, b = scene.set_range(cs.index)
        of_set[a:b] = len(items)
        step = max(1, (b - a) // 20_000)
        x = (arrangement.x[a:b:step] * view.scale + view.ox) / over
        y = (arrangement.y[a:b:step] * view.scale + view.oy) / over
        mx, my = float(np.median(x)), float(np.median(y))
        far = float(np.quantile(np.hypot(x - mx, y - my), 0.8)) + 1.5
        codelets = [f"{block.n:,} x {block.codelet}" for block in cs.blocks][:4]
        item = {
            "n": cs.name, "s": cs.name.rsplit("/", 1)[-1], "l": [*costs.of_sets([cs.index]).lines(), *codelets], "o": 1, "q": 1,
            "p": float(np.log1p(b - a) / 20), "b": [round(float(v), 2) for v in (mx - far, my - far, mx + far, my + far)],
        }  # fmt: skip
        items.append(item | ({"v": [a, b]} if keep else {}))
    return items[:65_000], of_set


def _quantised(x: np.ndarray, y: np.ndarray, view: View) -> tuple[str, str]:
    """Places as 16-bit shares of the picture's width and height."""
    x = np.clip((x.astype(float) * view.scale + view.ox) / view.width * 65535, 0, 65535)
    y = np.clip((y.astype(float) * view.scale + view.oy) / view.height * 65535, 0, 65535)
    return packed(np.round(x).astype(np.uint16)), packed(np.round(y).astype(np.uint16))


def _vertices(picture: Picture, view: View, colours: Colours, of_set: np.ndarray) -> dict[str, str]:
    x, y = _quantised(picture.arrangement.x, picture.arrangement.y, view)
    tiles = np.concatenate([b.tile for cs in picture.scene.flow.sets for b in cs.blocks] or [np.zeros(0)])
    return {"x": x, "y": y, "s": packed(np.minimum(of_set, 65535).astype(np.uint16)), "t": packed(tiles.astype(np.uint16)),
            "k": packed(colours.of_vertex)}  # fmt: skip


def _edges(picture: Picture, view: View) -> dict[str, str]:
    """The other ends of the edges of every vertex."""
    vertex, x, y = [], [], []
    for e in picture.ends():
        vertex.append(e.vertex)
        x.append(e.x1 if e.is_write else e.x0)
        y.append(e.y1 if e.is_write else e.y0)
    none = np.zeros(0, np.int32)
    owner = np.concatenate(vertex or [none])
    order = np.argsort(owner, kind="stable")
    first = np.searchsorted(owner[order], np.arange(picture.scene.num_vertices + 1))
    ex, ey = _quantised(np.concatenate(x or [none])[order], np.concatenate(y or [none])[order], view)
    return {"first": packed(first.astype(np.uint32)), "ex": ex, "ey": ey}
