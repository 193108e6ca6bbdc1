"""Memory by tile: the chip as a field of tiles, and the tiles' bytes by category."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from .palette import CATEGORIES, THEMES, mix

_COLUMNS = 64


def draw_tiles(executable: Any, path: Path, theme: str) -> dict[str, Any]:
    """A square a tile, warmer where fuller; below, every tile as a bar of its categories up to the capacity."""
    from .canvas import Canvas

    t, plan = THEMES[theme], executable.memory
    tiles = len(plan.tile_bytes)
    columns = min(_COLUMNS, max(4, int(np.ceil(np.sqrt(tiles * 2)))))
    rows = -(-tiles // columns)
    side = min(26.0, 1400 / columns, 560 / rows if rows > 8 else 60)
    top = 110
    chart_top = top + rows * side + 70
    canvas = Canvas(1540, int(chart_top + 470), t.ground)
    worst = int(np.argmax(plan.tile_bytes))
    canvas.text(50, 48, f"{executable.name}: memory by tile", 26, t.text, bold=True)
    canvas.text(
        50, 76, f"fullest: tile {worst} with {plan.max_tile_bytes:,} of {plan.capacity_bytes:,} bytes"
        f" ({plan.max_tile_bytes / plan.capacity_bytes:.0%}); all {tiles:,} tiles together {plan.total_bytes / 1e6:,.1f} MB", 15, t.faint,
    )
    most = max(plan.max_tile_bytes, 1)
    left = 50 + (1440 - columns * side) / 2
    for i in range(tiles):
        x, y = left + i % columns * side, top + i // columns * side
        canvas.box(x + 1, y + 1, side - 2, side - 2, _heat(plan.tile_bytes[i] / most, t), radius=min(3.0, side / 6))
    wx, wy = left + worst % columns * side, top + worst // columns * side
    canvas.line([(wx, wy), (wx + side, wy), (wx + side, wy + side), (wx, wy + side), (wx, wy)], t.text, 1.5)
    _chart(canvas, plan, t, chart_top)
    canvas.save(path, {"title": f"{executable.name} memory by tile"})
    return {"fullest_tile": worst, "max_tile_bytes": int(plan.max_tile_bytes), "capacity_bytes": int(plan.capacity_bytes)}


def _heat(share: float, t: Any) -> str:
    stops = [mix(t.ground, "#3fa9ff", 0.22), "#2b7fd0", "#66d4da", "#fbd100", "#ff8a3c"]
    at = min(max(float(share), 0.0), 1.0) * (len(stops) - 1)
    low = min(int(at), len(stops) - 2)
    return mix(stops[low], stops[low + 1], at - low)


def _chart(canvas: Any, plan: Any, t: Any, top: float) -> None:
    left, wide, high = 130, 1360, 300
    order = np.argsort(-plan.tile_bytes, kind="stable")
    groups = np.array_split(order, min(len(order), 340))
    over = plan.max_tile_bytes > plan.capacity_bytes
    near = plan.max_tile_bytes > 0.4 * plan.capacity_bytes
    limit = max(plan.max_tile_bytes, plan.capacity_bytes if over or near else 0) * 1.06 or 1
    canvas.text(50, top - 14, "tiles by falling bytes", 15, t.text, bold=True)
    for i in range(5):
        value = limit * i / 4
        y = top + high - high * i / 4
        canvas.line([(left, y), (left + wide, y)], t.line, 0.6)
        canvas.text(left - 8, y + 5, f"{value / 1024:,.0f} KiB", 12, t.faint, anchor="end")
    each = wide / len(groups)
    for i, group in enumerate(groups):
        y = top + high
        for name, colour in CATEGORIES.items():
            part = float(plan.by_category[name][group].mean()) / limit * high
            canvas.box(left + i * each, y - part, max(each - (1 if each > 4 else 0), 0.5), part, colour)
            y -= part
    if over or near:
        y = top + high - plan.capacity_bytes / limit * high
        canvas.line([(left, y), (left + wide, y)], "#ff4f6d", 1.6)
        canvas.text(left + wide, y - 6, "what a tile has", 13, "#ff4f6d", anchor="end")
    x, y = float(left), top + high + 40
    for name, colour in CATEGORIES.items():
        share = int(plan.by_category[name].sum())
        label = f"{name.replace('_', ' ')}  {share / 1024:,.0f} KiB"
        if x + 40 + len(label) * 8 > left + wide:
            x, y = float(left), y + 30
        canvas.box(x, y - 11, 13, 13, colour, radius=2)
        canvas.text(x + 20, y, label, 13, t.faint)
        x += 46 + len(label) * 7.6
