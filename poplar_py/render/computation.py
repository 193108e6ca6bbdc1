"""The computation view: every vertex and every edge of the compiled graph, as light on a dark ground."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from .canvas import save_png, write
from .palette import KIND_NAMES, KINDS, THEMES, layer_colour, mix, rgb
from .scene import KIND_ORDER, Scene, build_scene


def draw_computation(
    executable: Any, path: Path, theme: str, focus: str | None, size: tuple[int, int], seed: int
) -> dict[str, Any]:
    """Draw to PNG; returns the counts that stand in the title, which are the executable's."""
    from PIL import Image, ImageDraw

    from . import arrange

    scene = build_scene(executable, focus)
    width, height = size
    t = THEMES[theme]
    left, right, top, bottom = 0.17 * width, 0.17 * width, 0.085 * height, 0.06 * height
    aspect = (width - left - right) / (height - top - bottom)
    centre, radius = arrange.place_cells(scene.group_vertices, arrange.traffic_between(scene), aspect)
    scale, shift = _into_frame(centre, radius, (left, top, width - right, height - bottom))
    centre, radius = centre * scale + shift, radius * scale
    chunks = arrange.place_chunks(scene, centre, radius, seed)
    spread = _spread(scene, radius)
    vertices = arrange.place_vertices(scene, chunks, spread)
    picture = _light(scene, vertices, chunks, spread, centre, radius, size, t)
    image = Image.fromarray(picture)
    draw = ImageDraw.Draw(image)
    _labels(draw, scene, centre, radius, size, t)
    shown = f"{int(scene.group_vertices.sum()):,} vertices   {int(scene.group_edges.sum()):,} edges"
    title = executable.name + (f" / {focus}" if focus else "")
    unit = height / 1080
    write(draw, 34 * unit, 58 * unit, title, 34 * unit, rgb(t.text), bold=True)
    write(draw, 34 * unit, 92 * unit, f"{shown}   on {executable.target.num_tiles:,} tiles", 19 * unit, rgb(t.faint))
    _legend(draw, scene, size, t)
    from .. import __version__

    corner = f"exact: every vertex and edge   seed {seed}   {executable.target.name}   poplar_py {__version__}"
    write(draw, width - 30 * unit, height - 22 * unit, corner, 13 * unit, rgb(t.faint), anchor="end")
    facts = {"vertices": int(executable.num_vertices), "edges": int(executable.num_edges)}
    save_png(
        image,
        path,
        {
            "title": title,
            "seed": str(seed),
            "mode": "exact",
            "version": __version__,
            **{k: str(v) for k, v in facts.items()},
        },
    )
    return {
        "drawn_vertices": int(scene.group_vertices.sum()),
        "drawn_edges": int(scene.group_edges.sum()),
        "groups": len(radius),
    }


def _into_frame(centre: np.ndarray, radius: np.ndarray, frame: tuple) -> tuple[float, np.ndarray]:
    """Scale and shift that bring all discs into (left, top, right, bottom)."""
    if not len(radius):
        return 1.0, np.zeros(2)
    low, high = (centre - radius[:, None]).min(0), (centre + radius[:, None]).max(0)
    room = np.array([frame[2] - frame[0], frame[3] - frame[1]])
    scale = float((room / np.maximum(high - low, 1e-9)).min())
    return scale, np.array([frame[0] + frame[2], frame[1] + frame[3]]) / 2 - (low + high) / 2 * scale


def _spread(scene: Scene, radius: np.ndarray) -> np.ndarray:
    """Radius of each chunk's sunflower: together the chunks of a cell cover part of it."""
    per_group = np.bincount(scene.chunk_group, minlength=len(radius))
    room = radius[scene.chunk_group] * np.sqrt(0.34 / np.maximum(per_group, 1)[scene.chunk_group])
    return np.where(scene.chunk_size > 1, room, room * 0.6)


def _light(scene, vertices, chunks, spread, centre, radius, size, t) -> np.ndarray:
    from . import raster

    width, height = size
    kinds = np.array([rgb(KINDS[k]) for k in KIND_ORDER], np.float32) / 255
    groups = np.array([rgb(layer_colour(i, len(radius))) for i in range(max(len(radius), 1))], np.float32) / 255
    haze = np.zeros((height, width, 3), np.float32)
    if len(scene.edge_vertex):
        tint = 0.55 * kinds[scene.vertex_kind[scene.edge_vertex]]
        tint += 0.45 * groups[scene.chunk_group[scene.vertex_chunk[scene.edge_vertex]]]
        reach = float(np.hypot(*(vertices[scene.edge_vertex] - chunks[scene.edge_chunk]).T).sum())
        points = float(np.clip(2.5e8 / max(reach, 1.0), 0.05, 1.3))
        raster.draw_edges(
            haze,
            scene.edge_vertex,
            vertices,
            scene.edge_chunk,
            chunks,
            spread,
            scene.edge_element,
            np.ascontiguousarray(tint, np.float32),
            points,
            0.07,
        )
    dots = np.zeros((height, width, 3), np.float32)
    unit = height / 1080
    each = np.sqrt((radius**2 * np.pi).sum() / max(len(vertices), 1)) if len(radius) else 1.0
    dot = float(np.clip(each * 0.16, 0.55 * unit, 9 * unit))
    raster.draw_dots(dots, vertices, np.full(len(vertices), dot), kinds[scene.vertex_kind].astype(np.float32))
    fragments = np.flatnonzero(scene.chunk_size == 0)
    if len(fragments) < 60_000:
        faint = np.tile(kinds[KIND_ORDER.index("data")] * np.float32(0.55), (len(fragments), 1))
        raster.draw_dots(dots, chunks[fragments], np.full(len(fragments), dot * 0.7), faint)
    ground = _ground(centre, radius, size, t)
    glow = raster.tone(haze, 9.0)
    if t.additive:
        picture = ground + glow * 0.92
        over = dots.max(axis=2, keepdims=True)
        picture = picture * (1 - 0.8 * over) + dots * 0.95
    else:
        ink = glow.max(axis=2, keepdims=True)
        hue = glow / np.maximum(ink, 1e-6)
        picture = ground * (1 - 0.8 * ink) + hue * 0.62 * 0.8 * ink
        over = dots.max(axis=2, keepdims=True)
        picture = picture * (1 - over) + dots * 0.72
    noise = np.random.default_rng(0).random((height, width, 1), np.float32) - 0.5
    return np.clip(picture * 255 + noise + 0.5, 0, 255).astype(np.uint8)


def _ground(centre: np.ndarray, radius: np.ndarray, size: tuple[int, int], t: Any) -> np.ndarray:
    """The ground with a faint disc and a rim for each cell."""
    width, height = size
    ground = np.empty((height, width, 3), np.float32)
    ground[:] = np.array(rgb(t.ground), np.float32) / 255
    panel = np.array(rgb(mix(t.panel, t.line, 0.25)), np.float32) / 255
    rim = np.array(rgb(mix(t.line, t.faint, 0.15)), np.float32) / 255
    for (cx, cy), r in zip(centre, radius, strict=True):
        x0, x1 = max(int(cx - r * 1.1), 0), min(int(cx + r * 1.1) + 1, width)
        y0, y1 = max(int(cy - r * 1.1), 0), min(int(cy + r * 1.1) + 1, height)
        if x0 >= x1 or y0 >= y1:
            continue
        yy, xx = np.mgrid[y0:y1, x0:x1]
        d = np.sqrt((xx + 0.5 - cx) ** 2 + (yy + 0.5 - cy) ** 2)
        edge = 1.2 * height / 1080
        inside = np.clip((r - d) / edge, 0, 1)[..., None]
        part = ground[y0:y1, x0:x1]
        part += (panel - part) * (inside * (0.35 + 0.65 * np.clip(d / r, 0, 1)[..., None] ** 3) * 0.8)
        ring = np.exp(-(((d - r) / edge) ** 2))[..., None]
        part += (rim - part) * ring * 0.8
    return ground


def _labels(draw: Any, scene: Scene, centre: np.ndarray, radius: np.ndarray, size: tuple[int, int], t: Any) -> None:
    """Names of cells in two columns beside the picture, with leaders; smaller where there are many."""
    width, height = size
    unit = height / 1080
    n = len(scene.group_names)
    side = centre[:, 0] < np.median(centre[:, 0]) if n > 1 else np.zeros(n, bool)
    for is_left in (True, False):
        members = np.flatnonzero(side == is_left)
        members = members[np.argsort(centre[members, 1], kind="stable")]
        if not len(members):
            continue
        room = (height - 330 * unit) / len(members)
        two_lines = room > 40 * unit
        text = float(np.clip(room * (0.42 if two_lines else 0.8), 7 * unit, 19 * unit))
        gap = text * (2.45 if two_lines else 1.35)
        y = _apart(centre[members, 1], gap, 130 * unit, height - 200 * unit)
        x = 0.155 * width if is_left else 0.845 * width
        anchor = "end" if is_left else "start"
        for i, at in zip(members, y, strict=True):
            colour = rgb(mix(layer_colour(int(i), n), t.text, 0.25))
            write(draw, x, at, scene.group_names[i], text, colour, bold=True, anchor=anchor)
            if two_lines:
                counts = f"{int(scene.group_vertices[i]):,} vertices"
                write(draw, x, at + text * 1.15, counts, text * 0.78, rgb(t.faint), anchor=anchor)
            start = (x + (10 if is_left else -10) * unit, at - text * 0.35)
            angle = np.arctan2(start[1] - centre[i, 1], start[0] - centre[i, 0])
            end = (centre[i, 0] + radius[i] * np.cos(angle), centre[i, 1] + radius[i] * np.sin(angle))
            draw.line([start, end], fill=rgb(mix(t.line, t.faint, 0.35)), width=max(1, round(unit)))


def _apart(wanted: np.ndarray, gap: float, low: float, high: float) -> np.ndarray:
    """Positions in the same order, `gap` apart, as near to the wanted ones as the room allows."""
    y = np.clip(wanted.astype(float), low, high)
    for i in range(1, len(y)):
        y[i] = max(y[i], y[i - 1] + gap)
    if len(y) and y[-1] > high:
        y[-1] = high
        for i in range(len(y) - 2, -1, -1):
            y[i] = min(y[i], y[i + 1] - gap)
    return y


def _legend(draw: Any, scene: Scene, size: tuple[int, int], t: Any) -> None:
    _width, height = size
    unit = height / 1080
    used = set(scene.vertex_kind.tolist()) | ({KIND_ORDER.index("data")} if (scene.chunk_size == 0).any() else set())
    kinds = [k for i, k in enumerate(KIND_ORDER) if i in used]
    y = height - 26 * unit - 25 * unit * (len(kinds) - 1)
    for kind in kinds:
        r = 6.5 * unit
        draw.ellipse((34 * unit, y - 2 * r, 34 * unit + 2 * r, y), fill=rgb(KINDS[kind]))
        write(draw, 58 * unit, y - 1.5 * unit, KIND_NAMES[kind], 14 * unit, rgb(t.faint))
        y += 25 * unit
