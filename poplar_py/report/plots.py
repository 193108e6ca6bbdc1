"""Small drawings as inline SVG: stacked memory by tile, liveness by superstep, the strip of supersteps.

Every function returns one `<svg>` element whose colours are the page's CSS variables, so it follows dark and light.
Wide data is folded into at most COLUMNS columns, each showing the largest of what falls into it.
"""

from __future__ import annotations

import itertools
from html import escape
from typing import Any

import numpy as np

from . import phases, words

COLUMNS = 736
_WIDTH, _LEFT, _RIGHT = 1120, 74, 12


def fold(values: np.ndarray, columns: int = COLUMNS) -> np.ndarray:
    """`values` (..., n) folded along the last axis into min(n, columns) columns by maximum."""
    n = values.shape[-1]
    if n <= columns:
        return values
    cuts = np.arange(columns) * n // columns
    return np.maximum.reduceat(values, cuts, axis=-1)


def fold_stack(values: np.ndarray, columns: int = COLUMNS) -> np.ndarray:
    """A stack (kinds, n) folded by taking, for each column, the whole stack of the fullest place in it."""
    n = values.shape[-1]
    if n <= columns:
        return values
    cuts = np.arange(columns + 1) * n // columns
    total = values.sum(axis=0)
    best = np.array([a + int(np.argmax(total[a:b])) for a, b in itertools.pairwise(cuts)])
    return values[:, best]


def _frame(height: int, body: list[str], label: str) -> str:
    return (
        f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{escape(label)}" preserveAspectRatio="none">'
        + "".join(body)
        + "</svg>"
    )


def _ticks(top: float) -> list[float]:
    """About four round byte figures up to `top`."""
    if top <= 0:
        return [0.0]
    step = 2 ** int(np.floor(np.log2(max(top / 3, 1))))
    return [step * i for i in range(int(top // step) + 1)]


def _axis(top: float, height: int, bottom: int) -> list[str]:
    body = []
    for value in _ticks(top):
        y = bottom - (bottom - 12) * value / top if top else bottom
        body.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        body.append(f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{words.size(value)}</text>')
    return body


def _under(place: int, count: int, bottom: int, text: str) -> str:
    """A label below place `place` of `count`."""
    x = _LEFT + (_WIDTH - _LEFT - _RIGHT) * (place + 0.5) / count
    side = "start" if place == 0 else "end" if place == count - 1 else "middle"
    return f'<text x="{x:.1f}" y="{bottom + 20}" text-anchor="{side}">{text}</text>'


def _steps_path(low: np.ndarray, high: np.ndarray, top: float, bottom: int) -> str:
    """The band between two step curves (bytes) as an SVG path."""
    n = len(high)
    x = np.round(_LEFT + (_WIDTH - _LEFT - _RIGHT) * np.arange(n + 1) / n, 1)
    scale = (bottom - 12) / top if top else 0
    above, below = np.round(bottom - high * scale, 1), np.round(bottom - low * scale, 1)
    edges = np.repeat(x, 2)[1:-1]
    upper = zip(edges.tolist(), np.repeat(above, 2).tolist(), strict=True)
    lower = zip(edges[::-1].tolist(), np.repeat(below, 2)[::-1].tolist(), strict=True)
    points = [f"{a:g},{b:g}" for a, b in [*upper, *lower]]
    return "M" + "L".join(points) + "Z"


def memory_by_tile(memory: Any, kinds: list[str]) -> str:
    """Bytes of every tile stacked by category, with the line of what a tile holds."""
    height, bottom = 300, 268
    stack = fold_stack(np.array([memory.by_category[k] for k in kinds], np.int64))
    capacity = int(memory.capacity_bytes)
    largest = int(memory.max_tile_bytes)
    near = largest > 0.4 * capacity  # else the line of the capacity would leave the tiles no height
    top = max(capacity, largest) * 1.06 if near else largest * 1.25
    body = _axis(top, height, bottom)
    high = np.cumsum(stack, axis=0)
    for i in range(len(kinds)):
        path = _steps_path(high[i] - stack[i], high[i], top, bottom)
        body.append(f'<path d="{path}" fill="var(--m{i})"><title>{escape(kinds[i].replace("_", " "))}</title></path>')
    y = bottom - (bottom - 12) * capacity / top if near else 17.0
    if near:
        body.append(f'<line class="limit" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
    above = "" if near else f", {capacity / largest:.1f} times the fullest"
    body.append(
        f'<text class="limit-text" x="{_WIDTH - _RIGHT}" y="{y - 5:.1f}" text-anchor="end">'
        f"tile memory {words.size(capacity)}{above}</text>"
    )
    count = len(memory.tile_bytes)
    for tile in sorted({0, count // 4, count // 2, 3 * count // 4, count - 1}):
        body.append(_under(tile, count, bottom, f"tile {tile}"))
    return _frame(height, body, "memory by tile")


def liveness(report: Any) -> str:
    """Bytes alive at each static superstep over all tiles, the always live part below."""
    height, bottom = 220, 188
    live = np.asarray(report.memory.live_bytes, np.int64)
    if not len(live):
        return ""
    always = np.full(len(live), int(report.memory.always_live_bytes), np.int64)
    live = np.maximum(fold(live), always[: len(fold(live))])
    always = always[: len(live)]
    top = float(live.max()) * 1.08 or 1.0
    body = _axis(top, height, bottom)
    body.append(f'<path d="{_steps_path(0 * always, always, top, bottom)}" fill="var(--m1)"/>')
    body.append(f'<path d="{_steps_path(always, live, top, bottom)}" fill="var(--m0)"/>')
    count = len(report.executable.steps)
    for step in sorted({0, count // 2, count - 1}):
        body.append(_under(step, count, bottom, f"superstep {step}"))
    return _frame(height, body, "bytes alive by superstep")


def strip(report: Any, first: int, count: int) -> str:
    """`count` supersteps of the run from `first`, on the clock: a band of phases, widths are cycles."""
    height = 74
    order = report.trace[first : first + count]
    order = order[report.phases[order].sum(axis=1) > 0] if len(order) else order
    if not len(order):
        return ""
    sequence = report.phases[order][:, [2, 1, 0, 3]]  # sync, exchange, compute, host
    cycles = sequence.reshape(-1)
    ends = np.cumsum(cycles)
    total = int(ends[-1])
    scale = (_WIDTH - 24) / total
    names = [phases.PHASES[i] for i in (2, 1, 0, 3)]
    body = [f'<rect x="12" y="8" width="{_WIDTH - 24}" height="40" fill="var(--line)"/>']
    for i in np.flatnonzero(cycles * scale >= 0.15).tolist():
        step = report.executable.steps[int(order[i // 4])]
        begin = 12 + float(ends[i] - cycles[i]) * scale
        text = escape(f"{step.name or step.kind}: {names[i % 4]} {int(cycles[i]):,} cycles")
        body.append(
            f'<rect x="{begin:.2f}" y="8" width="{max(cycles[i] * scale, 0.3):.2f}" height="40"'
            f' fill="var(--{names[i % 4]})"><title>{text}</title></rect>'
        )
    body.append(f'<text x="12" y="66">superstep {first}</text>')
    text = f"{total:,} cycles, {words.duration(report.target.seconds(total))}"
    body.append(f'<text x="{_WIDTH - 12}" y="66" text-anchor="end">{text}</text>')
    return _frame(height, body, "supersteps on the clock")


def proportion(parts: list[tuple[str, float]]) -> str:
    """A horizontal bar: (CSS variable, share) from left to right."""
    total = sum(value for _, value in parts) or 1.0
    x, body = 0.0, []
    for name, value in parts:
        width = 1000 * value / total
        body.append(f'<rect x="{x:.2f}" y="0" width="{width:.2f}" height="16" fill="var(--{name})"/>')
        x += width
    return f'<svg class="bar" viewBox="0 0 1000 16" preserveAspectRatio="none">{"".join(body)}</svg>'
