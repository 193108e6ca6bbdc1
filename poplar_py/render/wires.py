"""Paths of wires on the page of a textbook: curves, rounded corners and heads of arrows."""

from __future__ import annotations

from typing import Any

import numpy as np

from .boxes import HEAD
from .figure import Figure
from .marks import Point, flatten


def bend(a: Point, b: Point) -> list[Point]:
    """A piece of curve that leaves and arrives level."""
    half = (b[0] - a[0]) * 0.45
    return [(a[0] + half, a[1]), (b[0] - half, b[1]), b]


def line(a: Point, b: Point) -> list[Point]:
    return [*((a[0] + (b[0] - a[0]) * s, a[1] + (b[1] - a[1]) * s) for s in (1 / 3, 2 / 3)), b]


def toward(tip: Point, before: Point) -> Point:
    """Where a line to the tip ends that leaves room for the head of its arrow."""
    long = float(np.hypot(tip[0] - before[0], tip[1] - before[1])) or 1.0
    return tip[0] + (before[0] - tip[0]) * HEAD / long, tip[1] + (before[1] - tip[1]) * HEAD / long


def rounded(corners: list[Point], radius: float = 12.0) -> list[Point]:
    """Straight lines through corners, which are rounded, as Bezier pieces."""
    path = [corners[0]]
    for before, corner, after in zip(corners, corners[1:], corners[2:]):
        spots = []
        for other in (before, after):
            long = float(np.hypot(other[0] - corner[0], other[1] - corner[1])) or 1.0
            r = min(radius, long / 2) / long
            spots.append((corner[0] + (other[0] - corner[0]) * r, corner[1] + (other[1] - corner[1]) * r))
        path += line(path[-1], spots[0])
        path += [corner, corner, spots[1]]
    return [*path, *line(path[-1], corners[-1])]


def head(fig: Figure, path: list[Point], tip: Point, colour: str) -> None:
    x, y = path[-1]
    ux, uy = tip[0] - x, tip[1] - y
    fig.polygon([tip, (x - uy * 0.42, y + ux * 0.42), (x + uy * 0.42, y - ux * 0.42)], colour)


def height_at(path: list[Point], x: float, otherwise: float) -> float:
    p: Any = np.asarray(flatten(path))
    if p[0, 0] > p[-1, 0]:
        p = p[::-1]
    return float(np.interp(x, p[:, 0], p[:, 1])) if p[0, 0] <= x <= p[-1, 0] else otherwise
