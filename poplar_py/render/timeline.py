"""The timeline: compute, exchange, sync and idleness of every tile over a run of supersteps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from .costs import counted, run_order, size
from .figure import Figure
from .palette import SPANS, THEMES, rgb
from .plots import legend, names_below

_MOST = 4000  # supersteps in one picture
_TICKED = 160  # up to here each superstep is ticked
_ROWS = 368  # rows of the raster the tiles are put together in
_WIDE, _HIGH = 1560.0, 690.0
_COLUMNS = 3120  # of the raster; of long runs 4 times as many, put together by their mean
PARTS = ("idle", "compute", "exchange", "sync")


def draw_timeline(
    executable: Any, path: Path, theme: str, focus: str | None, profile: Any, program: int = 0
) -> dict[str, Any]:
    """Write `timeline_figure` to a file."""
    figure, facts = timeline_figure(executable, theme, focus, profile, program)
    figure.save(path)
    return facts


def ran(executable: Any, profile: Any, program: int) -> tuple[list[int], str]:
    """Static supersteps in the order they ran, and where that is known from: a profile, or the program's own text."""
    if profile is not None and len(profile.trace):
        return [int(i) for i in profile.trace], "as it ran"
    if profile is not None and not profile.measured:
        return [
            int(i) for i in np.repeat(np.arange(len(profile.counts)), np.minimum(profile.counts, 1))
        ], "as it would run"
    return list(run_order(executable, program)), f"program {program} as it would run, bodies of loops once"


def timeline_figure(
    executable: Any, theme: str, focus: str | None, profile: Any = None, program: int = 0
) -> tuple[Figure, dict[str, Any]]:
    """Time runs to the right in tile cycles; a row is a tile (or the mean of neighbours). Widths are true.

    The order is that of `profile`, else that of one run of `program`. Host transfers, which dwarf the rest, are named
    and left out where there is anything else. facts: supersteps, cycles, and the share of time of each part.
    """
    t = THEMES[theme]
    order, origin = ran(executable, profile, program)
    steps = [executable.steps[i] for i in order if executable.steps[i].cycles]
    steps = [s for s in steps if not focus or s.name.startswith(focus)]
    shown, host = steps[:_MOST], 0
    if any(s.kind == "execute" for s in shown):
        host = sum(int(s.host_cycles) for s in shown)
        shown = [s for s in shown if not s.host_cycles]
    total = sum(int(s.cycles) for s in shown) or 1
    tiles, left, top = executable.target.num_tiles, 110.0, 142.0
    fig = Figure(1740, 1130, t, f"{executable.name}: timeline")
    fig.text(50, 48, f"{executable.name}: {counted(len(shown), 'superstep')}, {total:,} cycles", 24, t.text, bold=True)
    more = f"; the first {len(shown)} of {len(steps):,}" if len(steps) > _MOST else ""
    apart = f"; host transfers ({host:,} cycles) left out" if host else ""
    time = f"{executable.target.seconds(total) * 1e6:,.1f} us on {executable.target.name}, {counted(tiles, 'tile')}"
    fig.text(50, 76, f"{time}; {origin}{more}{apart}", 14, t.faint)
    picture, spent = _raster(shown, total, tiles, t)
    fig.image(left, top, _WIDE, _HIGH, picture)
    names, now = [], 0
    for step in shown:
        x, wide = left + _WIDE * now / total, _WIDE * step.cycles / total
        now += step.cycles
        names.append((x + wide / 2, float(step.cycles), step.name))
        with fig.item(step.name, *_tip(step)) as item:
            item.cover(x, top, x + wide, top + _HIGH)
        if len(shown) <= _TICKED:
            fig.line([(x + wide, top - 5), (x + wide, top)], t.line, 0.8)
    for i in range(9):
        x = left + _WIDE * i / 8
        fig.line([(x, top - 7), (x, top)], t.faint, 1)
        fig.text(x, top - 13, f"{total * i / 8:,.0f}" + (" cycles" if i == 8 else ""), 12, t.faint, anchor="middle")
    for tile in sorted({round((tiles - 1) * i / 4) for i in range(5)}):
        y = top + _HIGH * (tile + 0.5) / tiles
        fig.text(left - 8, y + 4, f"tile {tile:,}", 12, t.faint, anchor="end")
    fig.height = round(names_below(fig, names, top + _HIGH, left, _WIDE) + 62)
    legend(fig, left, fig.height - 26, _WIDE, [(SPANS[k], f"{k} {v / total:.0%}") for k, v in spent.items()])
    shares = {f"{k}_share": round(v / total, 4) for k, v in spent.items()}
    return fig, {"supersteps": len(shown), "cycles": int(total), "program": program, **shares}


def _tip(step: Any) -> list[str]:
    lines = [f"superstep {step.index}, {step.cycles:,} cycles"]
    compute = step.compute_cycles
    if compute.any():
        lines.append(f"compute: most {int(compute.max()):,}, mean {compute.mean():,.0f}")
    moved = int(step.bytes_received.sum())
    if moved:
        exchange = int(step.exchange_cycles.max(initial=0) + step.exchange_out_cycles.max(initial=0))
        lines.append(f"exchange: {exchange:,} cycles, {size(moved)}")
    return [*lines, f"sync {step.sync_cycles:,}"]


def _raster(shown: list[Any], total: int, tiles: int, t: Any) -> tuple[np.ndarray, dict[str, float]]:
    """The field of tiles by time as pixels, and the cycles that go to each part (mean over tiles)."""
    rows = min(tiles, _ROWS)
    cuts = np.arange(rows) * tiles // rows
    per = np.diff(np.append(cuts, tiles))
    colours = np.array([rgb(SPANS[p]) for p in PARTS], float)
    fold = 4 if len(shown) > _TICKED else 1
    columns = _COLUMNS * fold
    picture = np.empty((rows, columns, 3), np.uint8)
    picture[:] = colours[0]
    spent = dict.fromkeys(("compute", "exchange", "sync", "idle"), 0.0)
    now = 0
    for step in shown:
        into, out = (np.add.reduceat(c, cuts) / per for c in (step.exchange_cycles, step.exchange_out_cycles))
        compute = np.add.reduceat(step.compute_cycles, cuts) / per
        longest_out = int(step.exchange_out_cycles.max(initial=0))
        sync_in = step.sync_cycles // 2 if longest_out else step.sync_cycles
        out_at = step.cycles - longest_out
        first, last = (int(np.floor(columns * c / total)) for c in (now, now + step.cycles))
        last = min(max(last, first + 1), columns)
        when = (np.arange(first, last) + 0.5) * total / columns - now  # cycles since the superstep began
        when = np.clip(when, 0, step.cycles - 1)[None]
        part = np.zeros((rows, last - first), np.int8)
        part[when < sync_in + into[:, None] + compute[:, None]] = 1
        part[when < sync_in + into[:, None]] = 2
        part[np.broadcast_to(when < sync_in, part.shape)] = 3
        if longest_out:
            wait = (when >= out_at - (step.sync_cycles - sync_in)) & (when < out_at)
            part[np.broadcast_to(wait, part.shape)] = 3
            part[(when >= out_at) & (when < out_at + out[:, None])] = 2
        picture[:, first:last] = colours[part]
        exchange = float(step.exchange_cycles.mean() + step.exchange_out_cycles.mean())
        spent["sync"] += step.sync_cycles
        spent["exchange"] += exchange
        spent["compute"] += float(step.compute_cycles.mean())
        spent["idle"] += step.cycles - step.sync_cycles - exchange - float(step.compute_cycles.mean())
        now += step.cycles
    return picture.reshape(rows, _COLUMNS, fold, 3).mean(2).round().astype(np.uint8), spent
