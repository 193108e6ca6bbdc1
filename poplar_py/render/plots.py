"""Parts that several figures share: heat colours, axes, stacked areas and bars, names below a time axis, legends."""

from __future__ import annotations

import numpy as np

from .figure import Figure
from .marks import text_width
from .palette import Theme, mix, rgb

HEAT = ("#2b4a86", "#2b7fd0", "#66d4da", "#fbd100", "#ff8a3c")
HEAT_LIGHT = ("#cfdcec", "#7fb4e4", "#3f9fb0", "#d9a400", "#d4501a")


def heat(shares: np.ndarray, theme: Theme) -> np.ndarray:
    """Colours (..., 3) uint8 of shares 0..1; 0 is almost the ground."""
    names = HEAT if theme.additive else HEAT_LIGHT
    stops = np.array([rgb(mix(theme.ground, names[0], 0.3)), *(rgb(c) for c in names)], float)
    at = np.clip(np.nan_to_num(shares), 0, 1) * (len(stops) - 1)
    low = np.minimum(at.astype(int), len(stops) - 2)
    part = (at - low)[..., None]
    return np.round(stops[low] * (1 - part) + stops[low + 1] * part).astype(np.uint8)


def heat_bar(fig: Figure, x: float, y: float, width: float, low: str, high: str) -> None:
    """The scale of `heat` with what its ends mean."""
    fig.image(x, y, width, 10, heat(np.linspace(0, 1, 128)[None], fig.theme))
    fig.text(x, y + 25, low, 12, fig.theme.faint)
    fig.text(x + width, y + 25, high, 12, fig.theme.faint, anchor="end")


def fold(values: np.ndarray, columns: int) -> np.ndarray:
    """The last axis folded to at most `columns` by the mean of neighbours."""
    n = values.shape[-1]
    if n <= columns:
        return values
    cuts = np.arange(columns) * n // columns
    return np.add.reduceat(values, cuts, axis=-1) / np.diff(np.append(cuts, n))


def axis(fig: Figure, x: float, y: float, width: float, height: float, top: float, words, ticks: int = 4) -> None:
    """Lines across at about `ticks` round values up to `top`, `words(value)` to the left of each."""
    t = fig.theme
    step = 10 ** np.floor(np.log10(max(top / ticks, 1e-9)))
    step *= next((m for m in (1, 2, 2.5, 5, 10) if m * step * ticks >= top), 10)
    for value in np.arange(0, top * 1.0001, step):
        at = y + height - height * value / top
        fig.line([(x, at), (x + width, at)], t.line, 0.7)
        fig.text(x - 9, at + 4, words(value), 12, t.faint, anchor="end")


def stack(
    fig: Figure,
    x: float,
    y: float,
    width: float,
    height: float,
    layers: dict[str, np.ndarray],
    colours: dict[str, str],
    top: float,
) -> None:
    """Stacked steps: every layer a polygon over equal columns."""
    below = None
    for name, values in layers.items():
        below = np.zeros(len(values)) if below is None else below
        above = below + values
        if values.any():
            edges = np.repeat(x + width * np.arange(len(values) + 1) / len(values), 2)[1:-1]
            upper, lower = (y + height - height * np.repeat(v, 2) / top for v in (above, below))
            points = list(
                zip(
                    np.concatenate([edges, edges[::-1]]).tolist(),
                    np.concatenate([upper, lower[::-1]]).tolist(),
                    strict=True,
                )
            )
            fig.polygon(points, colours[name])
        below = above


def legend(fig: Figure, x: float, y: float, width: float, entries: list[tuple[str, str]]) -> float:
    """Squares with words, wrapped at `width`; returns the y below."""
    at = x
    for colour, words in entries:
        wide = 46 + text_width(words, 13)
        if at + wide > x + width:
            at, y = x, y + 24
        fig.box(at, y - 11, 13, 13, colour, fig.theme.line, 2, 0.8)
        fig.text(at + 20, y, words, 13, fig.theme.faint)
        at += wide
    return y + 24


def names_below(
    fig: Figure, names: list[tuple[float, float, str]], top: float, left: float, width: float, rows: int = 6
) -> float:
    """(middle, weight, name): the weightiest named below an axis on `rows` lines, as many as fit without touching;
    returns the y below them."""
    t, ends = fig.theme, [left - 20.0] * rows
    placed = []
    for x, _, name in sorted(sorted(names, key=lambda n: -n[1])[: rows * 8]):
        long = text_width(name, 12)
        start = min(max(x - long / 2, left), left + width - long)
        row = next((r for r, end in enumerate(ends) if end + 14 < start), None)
        if row is None:
            continue
        ends[row] = start + long
        placed.append((x, start, long, top + 26 + row * 25, name))
    for x, _, _, y, _ in placed:
        fig.line([(x, top + 2), (x, y - 13)], t.line, 1)
    for _, start, long, y, name in placed:
        fig.box(start - 3, y - 12, long + 6, 16, t.ground)
        fig.text(start, y, name, 12, t.faint)
    return max((y for _, _, _, y, _ in placed), default=top) + 12
