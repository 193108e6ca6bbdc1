"""Where labels stand: two columns beside a body, with leaders that cross neither each other nor text."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from .bodies import Bodies
from .light import View
from .pen import width_of


@dataclass
class Label:
    """lines: [(text, size as a share, bold, faint)] for three, two and one line; at: place of the dot, in pixels."""

    forms: list[list[tuple[str, bool, bool]]]
    colour: str
    at: tuple[float, float]
    cell: int = -1
    side: int = 0
    box: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    leader: list[tuple[float, float]] = field(default_factory=list)


def place_labels(labels: list[Label], bodies: Bodies, view: View, room: tuple[float, float, float, float]) -> float:
    """Two columns beside the body within `room` (left, top, right, bottom); sets `box` and `leader`, returns text size.

    In each column labels stand apart by their height; where two leaders cross, their labels change places, which always
    shortens both and so ends.
    """
    if not labels:
        return 0.0
    left, top, right, bottom = room
    middle = view.ox
    sides = [[], []] if len(labels) > 1 else [[], list(labels)]
    if len(labels) > 1:
        for label in labels:
            sides[label.side > 0 if label.side else label.at[0] >= middle].append(label)
        if not labels[0].side:
            _even_sides(sides, view)
    each = (bottom - top) / max(len(column) for column in sides)
    base = 14.2 * view.unit
    form = 0 if each >= base * 4.3 else 1 if each >= base * 2.85 else 2
    size = base if form < 2 else min(base, max(each * 0.80, 5.0))
    for is_right, column in enumerate(sides):
        if column:
            _column(column, bool(is_right), bodies, view, (left, top, right, bottom), form, size)
    return size


def _even_sides(sides: list[list[Label]], view: View) -> None:
    """Labels near the middle change sides where one column is much longer."""
    for _ in range(200):
        long = 0 if len(sides[0]) > len(sides[1]) else 1
        if len(sides[long]) - len(sides[1 - long]) < 4:
            return
        moved = min(sides[long], key=lambda label: abs(label.at[0] - view.ox))
        sides[long].remove(moved)
        sides[1 - long].append(moved)


def _column(
    column: list[Label], is_right: bool, bodies: Bodies, view: View, room: tuple, form: int, size: float
) -> None:
    left, top, right, bottom = room
    column.sort(key=lambda label: (label.at[1], label.at[0]))
    each = (bottom - top) / len(column)
    lines = max(len(label.forms[form]) for label in column)
    gap = min(each, size * (1.24 * lines + (0.45 if form < 2 else 0.1)))
    y = _apart(np.array([label.at[1] for label in column]), gap, top + gap / 2, bottom - gap / 2)
    order = list(range(len(column)))
    spots = [(_edge_x(bodies, view, is_right, float(v), left, right), float(v)) for v in y]
    _uncross(column, order, spots)
    for k, label in zip(order, column, strict=True):
        x, v = spots[k]
        text_x = x + (0.55 if is_right else -0.55) * size
        wide = max(width_of(t, size if bold else size * 0.92, bold) for t, bold, _ in label.forms[form])
        label.forms = [label.forms[form]]
        high = size * 1.22 * len(label.forms[0])
        low_x = text_x if is_right else text_x - wide
        label.box = (low_x, v - high / 2, low_x + wide, v + high / 2)
        label.leader = [_anchor(bodies, view, label, (x, v)), (x, v)]


def _edge_x(bodies: Bodies, view: View, is_right: bool, y: float, left: float, right: float) -> float:
    """Where a leader ends at height y: a little off the round of the body, within the room."""
    sign = 1 if is_right else -1
    if bodies.kind == "tissue":
        v = min(abs((y - view.oy) / view.scale), 1.0 * bodies.half[1] * 1.06)
        reach = bodies.half[0] * max(np.sqrt(max((1.085 * bodies.half[1]) ** 2 - v * v, 0.0)), 0.46)
    else:
        reach = bodies.half[0] * 1.05
    x = view.ox + sign * (reach * view.scale + 14 * view.unit)
    return float(np.clip(x, left, right))


def _anchor(bodies: Bodies, view: View, label: Label, to: tuple[float, float]) -> tuple[float, float]:
    """The leader's end in the cell: on the way from its middle to the label, near the outline."""
    if label.cell < 0:
        return label.at
    x, y = label.at
    angle = np.arctan2(to[1] - y, to[0] - x) % (2 * np.pi)
    reach = float(bodies.radius(np.array([label.cell]), np.array([angle]))[0]) * view.scale
    away = np.hypot(to[0] - x, to[1] - y)
    reach = min(reach * 0.86, away * 0.9)
    return float(x + np.cos(angle) * reach), float(y + np.sin(angle) * reach)


def _apart(wanted: np.ndarray, gap: float, low: float, high: float) -> np.ndarray:
    """Places in order, `gap` apart and within the room, of least squared distance to the wanted ones (pool adjacent
    violators)."""
    n = len(wanted)
    blocks: list[list[float]] = []  # mean of wanted - k * gap, count
    for k, v in enumerate(wanted):
        blocks.append([float(v) - k * gap, 1.0])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            mean, count = blocks.pop()
            before = blocks[-1]
            before[0] = (before[0] * before[1] + mean * count) / (before[1] + count)
            before[1] += count
    flat = np.concatenate([np.full(int(c), m) for m, c in blocks])
    return np.clip(flat, low, max(low, high - (n - 1) * gap)) + np.arange(n) * gap


def _crosses(a, b, c, d) -> bool:
    def turn(p, q, r):
        return (q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0])

    return turn(a, b, c) * turn(a, b, d) < 0 and turn(c, d, a) * turn(c, d, b) < 0


def _uncross(column: list[Label], order: list[int], spots: list[tuple[float, float]]) -> None:
    for _ in range(60):
        changed = False
        for i in range(len(column)):
            for j in range(i):
                if _crosses(column[i].at, spots[order[i]], column[j].at, spots[order[j]]):
                    order[i], order[j] = order[j], order[i]
                    changed = True
        if not changed:
            return
