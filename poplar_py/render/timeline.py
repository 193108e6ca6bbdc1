"""The timeline: compute, exchange, sync and idleness of every tile over a run of supersteps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from .palette import SPANS, THEMES

_MOST = 64  # supersteps in one picture
_ROWS = 92  # rows the tiles are put together in


def draw_timeline(executable: Any, path: Path, theme: str, focus: str | None, profile: Any) -> dict[str, Any]:
    """Time runs to the right in tile cycles; a row is a tile (or the mean of neighbours). Widths are true."""
    from .canvas import Canvas

    t = THEMES[theme]
    order = [int(i) for i in profile.trace] if profile is not None and len(profile.trace) else list(range(len(executable.steps)))
    steps = [executable.steps[i] for i in order if executable.steps[i].cycles and (not focus or executable.steps[i].name.startswith(focus))]
    shown, host = steps[:_MOST], 0
    if any(s.kind == "execute" for s in shown):  # host transfers dwarf the rest: named, not drawn
        host = sum(s.host_cycles for s in shown)
        shown = [s for s in shown if not s.host_cycles]
    total = sum(s.cycles for s in shown) or 1
    tiles = executable.target.num_tiles
    rows = min(tiles, _ROWS)
    left, top, wide, high = 110, 130, 1560, 690
    canvas = Canvas(1740, 1130, t.ground)
    canvas.text(50, 48, f"{executable.name}: {len(shown)} supersteps, {total:,} cycles", 26, t.text, bold=True)
    more = f"; the first {len(steps[:_MOST])} of {len(steps):,}" if len(steps) > _MOST else ""
    apart = f"; host transfers ({host:,} cycles) left out" if host else ""
    canvas.text(50, 78, f"{executable.target.seconds(total) * 1e6:,.1f} us on {executable.target.name}, {tiles:,} tiles{more}{apart}", 15, t.faint)
    canvas.box(left, top, wide, high, SPANS["idle"])
    groups = np.array_split(np.arange(tiles), rows)
    now = 0
    spent = dict.fromkeys(("compute", "exchange", "sync", "idle"), 0.0)
    names: list[tuple[float, float, str]] = []
    for step in shown:
        x0, scale = left + wide * now / total, wide / total
        sync_in = step.sync_cycles // 2 if step.exchange_out_cycles.any() else step.sync_cycles
        canvas.box(x0, top, sync_in * scale, high, SPANS["sync"])
        spent["sync"] += step.sync_cycles
        out_at = step.cycles - int(step.exchange_out_cycles.max(initial=0))
        for r, group in enumerate(groups):
            y, tall = top + high * r / rows, high / rows + 0.3
            exchange, compute = float(step.exchange_cycles[group].mean()), float(step.compute_cycles[group].mean())
            canvas.box(x0 + sync_in * scale, y, exchange * scale, tall, SPANS["exchange"])
            canvas.box(x0 + (sync_in + exchange) * scale, y, compute * scale, tall, SPANS["compute"])
            canvas.box(x0 + out_at * scale, y, float(step.exchange_out_cycles[group].mean()) * scale, tall, SPANS["exchange"])
        if step.exchange_out_cycles.any():
            canvas.box(x0 + (out_at - (step.sync_cycles - sync_in)) * scale, top, (step.sync_cycles - sync_in) * scale, high, SPANS["sync"])
        exchange = float(step.exchange_cycles.mean() + step.exchange_out_cycles.mean())
        spent["exchange"] += exchange
        spent["compute"] += float(step.compute_cycles.mean())
        spent["idle"] += step.cycles - step.sync_cycles - exchange - float(step.compute_cycles.mean())
        names.append((x0 + step.cycles * scale / 2, step.cycles * scale, step.name))
        now += step.cycles
    _axes(canvas, t, left, top, wide, high, total, tiles)
    _names(canvas, t, names, top + high, left, wide)
    x = float(left)
    for what, cycles in spent.items():
        canvas.box(x, 1092, 16, 16, SPANS[what], t.line, 3)
        text = f"{what} {cycles / total:.0%}"
        canvas.text(x + 24, 1106, text, 15, t.text)
        x += 60 + 9 * len(text)
    canvas.save(path, {"title": f"{executable.name} timeline"})
    return {"supersteps": len(shown), "cycles": int(total), **{f"{k}_share": round(v / total, 4) for k, v in spent.items()}}


def _axes(canvas: Any, t: Any, left: float, top: float, wide: float, high: float, total: int, tiles: int) -> None:
    for i in range(9):
        x = left + wide * i / 8
        canvas.line([(x, top - 6), (x, top)], t.faint, 1)
        canvas.text(x, top - 12, f"{total * i / 8:,.0f}", 12, t.faint, anchor="middle")
    for i in range(5):
        y = top + high * i / 4
        canvas.text(left - 8, y + 5, f"{'tile ' if i == 0 else ''}{round((tiles - 1) * i / 4):,}", 12, t.faint, anchor="end")


def _names(canvas: Any, t: Any, names: list[tuple[float, float, str]], top: float, left: float, wide: float) -> None:
    """The longest supersteps named below, as many as fit on five lines without touching."""
    ends = [left - 20.0] * 6
    for x, _, name in sorted(sorted(names, key=lambda n: -n[1])[:36]):
        long = 7.6 * len(name)
        start = min(max(x - long / 2, left), left + wide - long)
        row = next((r for r, end in enumerate(ends) if end + 14 < start), None)
        if row is None:
            continue
        ends[row] = start + long
        y = top + 34 + row * 34
        canvas.line([(x, top + 2), (x, y - 16)], t.line, 1)
        canvas.text(start, y, name, 13, t.faint)
