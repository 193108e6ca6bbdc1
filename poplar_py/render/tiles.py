"""The chip as a field of tiles, three times: how full they are, how long they compute, what they send and hear."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from .costs import counted, counts_of, size
from .figure import Figure
from .palette import THEMES, rgb
from .plots import heat, heat_bar

_ONE_BY_ONE = 64  # tiles up to which each is a box with its number


def draw_tiles(
    executable: Any, path: Path, theme: str, focus: str | None = None, profile: Any = None, program: int = 0
) -> dict[str, Any]:
    """Write `tiles_figure` to a file."""
    figure, facts = tiles_figure(executable, theme, focus, profile, program)
    figure.save(path)
    return facts


def tiles_figure(
    executable: Any, theme: str, focus: str | None = None, profile: Any = None, program: int = 0
) -> tuple[Figure, dict[str, Any]]:
    """Three maps with a square a tile, tile 0 at the top left, numbered row by row; compute and exchange are of one run
    of `program`, or of the profile. facts: fullest_tile, max_tile_bytes, capacity_bytes, busiest_tile, balance."""
    t, plan = THEMES[theme], executable.memory
    counts = counts_of(executable, program, profile)
    wanted = [s for s in executable.steps if counts[s.index] and (not focus or s.name.startswith(focus))]
    tiles = len(plan.tile_bytes)
    none = np.zeros(tiles)
    compute = sum((s.compute_cycles * float(counts[s.index]) for s in wanted), none)
    moved = sum(((s.bytes_received + s.bytes_sent) * float(counts[s.index]) for s in wanted if not s.host_cycles), none)
    columns = int(np.ceil(np.sqrt(tiles))) if tiles > 4 else max(tiles, 1)
    rows = -(-tiles // columns)
    side = min(520 / columns, 110.0)
    side = float(int(side)) if side >= 4 else side  # whole pixels, so that all gaps are alike
    fig = Figure(1760, 250 + side * rows, t, f"{executable.name}: tiles")
    fig.text(50, 48, f"{fig.title} of {executable.target.name}", 24, t.text, bold=True)
    run = "the profiled run" if profile is not None else f"one run of program {program}"
    fig.text(
        50,
        76,
        f"{counted(tiles, 'tile')}, numbered row by row; compute and exchange of {run}{f', only {focus}' if focus else ''}",
        14,
        t.faint,
    )
    slowest = sum(float(s.compute_cycles.max(initial=0)) * int(counts[s.index]) for s in wanted)
    balance = float(compute.mean()) / slowest if slowest else 0.0
    worst, busiest = int(np.argmax(plan.tile_bytes)), int(np.argmax(compute))
    maps = (
        (
            "memory",
            plan.tile_bytes,
            size,
            f"tile {worst:,}: {plan.max_tile_bytes / plan.capacity_bytes:.0%} of {size(plan.capacity_bytes)}",
        ),
        (
            "compute",
            compute,
            lambda v: f"{v:,.0f} cycles",
            f"tile {busiest:,} works longest; all together {balance:.0%} of the time waited for",
        ),
        ("exchange", moved, size, f"sent and heard, {size(moved.sum())} together"),
    )
    for n, (name, values, words, note) in enumerate(maps):
        left = 50 + 570.0 * n
        fig.text(left, 118, name, 16, t.text, bold=True)
        fig.text(left, 138, note, 13, t.faint)
        _field(fig, name, np.asarray(values, float), words, left, 156.0, side, columns)
        most = float(np.max(values, initial=0)) or 1.0
        heat_bar(fig, left, 156 + side * rows + 22, 260, words(_floor(values)), words(most))
    facts = {
        "fullest_tile": worst,
        "max_tile_bytes": int(plan.max_tile_bytes),
        "capacity_bytes": int(plan.capacity_bytes),
    }
    return fig, facts | {"busiest_tile": busiest, "balance": round(balance, 4), "program": program}


def _floor(values: Any) -> float:
    """Where the scale begins: 0, or the least where all tiles are much alike and would have one colour."""
    low, high = (float(f(values)) for f in (np.min, np.max)) if len(values) else (0.0, 0.0)
    return low if 0.25 * high < low < high else 0.0


def _field(
    fig: Figure, name: str, values: np.ndarray, words: Any, left: float, top: float, side: float, columns: int
) -> None:
    t, tiles = fig.theme, len(values)
    low = _floor(values)
    colours = heat((values - low) / ((values.max(initial=0) - low) or 1.0), t)
    rows = -(-tiles // columns)
    if tiles > _ONE_BY_ONE:
        cell = int(2 * side) if side >= 4 else 4
        picture = np.empty((rows * cell, columns * cell, 3), np.uint8)
        picture[:] = rgb(t.ground)
        filled = np.full((rows * columns, 3), rgb(t.ground), np.uint8)
        filled[:tiles] = colours
        inner = np.repeat(np.repeat(filled.reshape(rows, columns, 3), cell, 0), cell, 1)
        shown = (np.arange(rows * cell) % cell != cell - 1)[:, None] & (np.arange(columns * cell) % cell != cell - 1)[
            None
        ]
        picture[shown] = inner[shown]
        fig.image(left, top, side * columns, side * rows, picture)
        best = int(np.argmax(values))
        x, y = left + best % columns * side, top + best // columns * side
        with fig.item(f"tile {best}, the highest in {name}", words(values[best])):
            fig.box(
                x,
                y,
                side * 0.9,
                side * 0.9,
                "#{:02x}{:02x}{:02x}".format(*tuple(int(c) for c in colours[best])),
                t.text,
                0,
                1.2,
            )
        return
    for i in range(tiles):
        x, y = left + i % columns * side, top + i // columns * side
        red, green, blue = (int(c) for c in colours[i])
        ink = "#07090f" if red * 0.3 + green * 0.6 + blue * 0.1 > 120 else "#ffffff"
        with fig.item(f"tile {i}", f"{name}: {words(values[i])}"):
            fig.box(x + 2, y + 2, side - 4, side - 4, f"#{red:02x}{green:02x}{blue:02x}", t.line, 5)
            fig.text(x + side / 2, y + side / 2, f"tile {i}", min(13, side / 4.5), ink, bold=True, anchor="middle")
            if side > 80:
                fig.text(x + side / 2, y + side / 2 + 18, words(values[i]), 11, ink, anchor="middle")
