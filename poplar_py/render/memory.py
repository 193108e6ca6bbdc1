"""The memory view: bytes alive along the program, on the chip and on its fullest tile, and every tile's bytes by category."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from .costs import counted, run_order, size
from .figure import Figure
from .palette import CATEGORIES, THEMES, mix
from .plots import axis, fold, legend, names_below, stack

_LEFT, _WIDE, _HIGH = 130.0, 1480.0, 230.0
_COLUMNS = 740
LIMIT = "#ff4f6d"
_LAYERS = {
    "code, state and stacks": CATEGORIES["control_code"], "constants": CATEGORIES["constants"],
    "variables always live": mix(CATEGORIES["variables"], "#000000", 0.35), "variables": CATEGORIES["variables"],
    "exchange": CATEGORIES["exchange"],
}  # fmt: skip


def draw_memory(executable: Any, path: Path, theme: str, focus: str | None = None, program: int = 0) -> dict[str, Any]:
    """Write `memory_figure` to a file."""
    figure, facts = memory_figure(executable, theme, focus, program)
    figure.save(path)
    return facts


def along_program(executable: Any, program: int, tile: int | None = None) -> tuple[list[int], dict[str, np.ndarray]]:
    """Static supersteps in the order `program` runs them (bodies of loops once), and bytes alive in each by kind:
    code and stacks, constants, what is always live, other variables, gathering areas. `tile`: of that tile only."""
    from ..memory.liveness import find_liveness

    plan, graph = executable.memory, executable.graph
    live = find_liveness(graph, executable.schedule)
    order = list(run_order(executable, program))
    count = len(graph.variables)
    here = slice(None) if tile is None else plan.thing_tile == tile
    bytes_of = np.bincount(plan.thing_entity[here], weights=plan.thing_bytes[here], minlength=len(plan.names))
    constant = np.array([v.is_constant for v in graph.variables], bool)
    always = live.always & ~constant
    fixed = sum(plan.by_category[k] for k in ("vertex_state", "vertex_code", "control_code", "exchange_code", "stacks"))
    columns = {name: np.zeros(len(order)) for name in _LAYERS}
    columns["code, state and stacks"] += float(fixed.sum() if tile is None else fixed[tile])
    columns["constants"] += float(bytes_of[:count][constant].sum())
    columns["variables always live"] += float(bytes_of[:count][always].sum())
    changing = ~(live.always | constant)
    columns["variables"] += live.alive[order][:, changing] @ bytes_of[:count][changing] if changing.any() else 0.0
    area = [_area(executable, i) for i in order]
    columns["exchange"] += np.array([bytes_of[count + a] if a >= 0 else 0 for a in area])
    return order, columns


def _area(executable: Any, index: int) -> int:
    step = executable.steps[index]
    if step.compute_set >= 0:
        return int(executable.route_area.get(step.compute_set, -1))
    plan = executable.copies.get(index)
    return -1 if plan is None else int(plan.area)


def memory_figure(
    executable: Any, theme: str, focus: str | None = None, program: int = 0
) -> tuple[Figure, dict[str, Any]]:
    """Three charts: all tiles along the program, the fullest tile along the program with what a tile has, and all tiles
    by falling bytes. facts: fullest_tile, max_tile_bytes, capacity_bytes, peak_step, peak_bytes."""
    t, plan = THEMES[theme], executable.memory
    worst = int(np.argmax(plan.tile_bytes))
    share = plan.max_tile_bytes / plan.capacity_bytes
    fig = Figure(1700, 1290, t, f"{executable.name}: memory")
    fits = (
        "fits"
        if plan.fits
        else f"does not fit: {counted(int((plan.tile_bytes > plan.capacity_bytes).sum()), 'tile')} over"
    )
    fig.text(50, 48, f"{fig.title}, {fits}", 24, t.text, bold=True)
    words = f"fullest: tile {worst:,} with {plan.max_tile_bytes:,} of {plan.capacity_bytes:,} bytes ({share:.1%}); {size(plan.total_bytes)}"
    fig.text(
        50,
        76,
        f"{words} on {counted(len(plan.tile_bytes), 'tile')} of {executable.target.name}; program {program}",
        14,
        t.faint,
    )
    order, columns = along_program(executable, program)
    total = np.sum(list(columns.values()), axis=0) if order else np.zeros(0)
    peak = int(np.argmax(total)) if len(total) else -1
    names = [executable.steps[i].name for i in order]
    _along(fig, 130, f"alive on all tiles, at most {size(total.max(initial=0))}" + (f" in {names[peak]}" if peak >= 0 else ""),
           columns, None, names, order)  # fmt: skip
    order, mine = along_program(executable, program, worst)
    _along(fig, 510, f"alive on the fullest tile, {worst:,}", mine, plan.capacity_bytes, names, order)
    x, y = _LEFT, 870.0
    y = legend(fig, x, y, _WIDE, [(c, k) for k, c in _LAYERS.items()])
    _tiles(fig, plan, 940)
    facts = {
        "fullest_tile": worst,
        "max_tile_bytes": int(plan.max_tile_bytes),
        "capacity_bytes": int(plan.capacity_bytes),
    }
    if peak >= 0:
        facts |= {"peak_step": names[peak], "peak_bytes": int(total[peak])}
    return fig, facts | {"program": program}


def _along(
    fig: Figure,
    top: float,
    title: str,
    columns: dict[str, np.ndarray],
    capacity: int | None,
    names: list[str],
    order: list[int],
) -> None:
    t = fig.theme
    fig.text(_LEFT - 80, top, title, 15, t.text, bold=True)
    y = top + 24
    total = np.sum(list(columns.values()), axis=0)
    limit = float(total.max(initial=0)) * 1.12 or 1.0
    near = capacity is not None and limit > 0.35 * capacity
    if capacity is not None and near:
        limit = max(limit, capacity * 1.08)
    axis(fig, _LEFT, y, _WIDE, _HIGH, limit, size)
    n = len(total)
    if not n:
        return
    stack(fig, _LEFT, y, _WIDE, _HIGH, {k: fold(v, _COLUMNS) for k, v in columns.items()}, _LAYERS, limit)
    if capacity is not None:
        at = y + _HIGH * (1 - capacity / limit) if near else y + 2
        if near:
            fig.line([(_LEFT, at), (_LEFT + _WIDE, at)], LIMIT, 1.6)
        words = f"a tile has {size(capacity)}" + (
            "" if near else f", {capacity / max(total.max(), 1):.1f} times the most"
        )
        fig.text(_LEFT + _WIDE, at - 6 if near else y - 8, words, 13, LIMIT if near else t.faint, anchor="end")
    each = _WIDE / n
    if n <= 800:
        for i, (name, index) in enumerate(zip(names, order, strict=True)):
            tip = [
                f"superstep {index}: {size(total[i])} alive",
                *(f"{k}: {size(v[i])}" for k, v in columns.items() if v[i]),
            ]
            with fig.item(name, *tip) as item:
                item.cover(_LEFT + each * i, y, _LEFT + each * (i + 1), y + _HIGH)
                fig.line([(_LEFT + each * i, y + _HIGH), (_LEFT + each * i, y + _HIGH + 3)], t.line, 0.6)
    weights = [
        (_LEFT + each * (i + 0.5), float(columns["variables"][i] + columns["exchange"][i]), name)
        for i, name in enumerate(names)
    ]
    names_below(fig, weights, y + _HIGH, _LEFT, _WIDE, rows=3)


def _tiles(fig: Figure, plan: Any, top: float) -> None:
    """Tiles by falling bytes, stacked by category, with the line of what a tile has."""
    t = fig.theme
    order = np.argsort(-plan.tile_bytes, kind="stable")
    fig.text(
        _LEFT - 80, top, "tiles by falling bytes, by category at each tile's fullest superstep", 15, t.text, bold=True
    )
    y = top + 24
    limit = plan.max_tile_bytes * 1.12 or 1
    near = limit > 0.35 * plan.capacity_bytes
    limit = max(limit, plan.capacity_bytes * 1.08) if near else limit
    axis(fig, _LEFT, y, _WIDE, _HIGH, limit, size)
    stack(
        fig,
        _LEFT,
        y,
        _WIDE,
        _HIGH,
        {k: fold(plan.by_category[k][order].astype(float), _COLUMNS) for k in CATEGORIES},
        CATEGORIES,
        limit,
    )
    if near:
        at = y + _HIGH * (1 - plan.capacity_bytes / limit)
        fig.line([(_LEFT, at), (_LEFT + _WIDE, at)], LIMIT, 1.6)
        fig.text(_LEFT + _WIDE, at - 6, f"a tile has {size(plan.capacity_bytes)}", 13, LIMIT, anchor="end")
    few = len(order) <= 8
    for place in range(len(order)) if few else (0, len(order) // 2, len(order) - 1):
        x = _LEFT + _WIDE * (place + 0.5) / len(order)
        anchor = "middle" if few else "start" if place == 0 else "end" if place == len(order) - 1 else "middle"
        fig.text(
            x,
            y + _HIGH + 20,
            f"tile {int(order[place]):,}: {size(plan.tile_bytes[order[place]])}",
            12,
            t.faint,
            anchor=anchor,
        )
    most = plan.largest(int(order[0]), 5)
    with fig.item(f"fullest tile {int(order[0]):,}", *(f"{name}: {size(b)}" for name, b, _, _ in most)) as item:
        item.cover(_LEFT, y, _LEFT + 12, y + _HIGH)
        fig.line([(_LEFT, y + _HIGH), (_LEFT, y + _HIGH + 4)], t.line, 1)
    legend(
        fig,
        _LEFT,
        y + _HIGH + 52,
        _WIDE,
        [(c, f"{k.replace('_', ' ')}  {size(plan.by_category[k].sum())}") for k, c in CATEGORIES.items()],
    )
