"""Boxes and arrows of diagrams: how large they are and how they are drawn, and legends of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from .figure import Figure
from .marks import Point, text_width
from .palette import Theme, mix

HEAD = 9.0  # length of an arrow head


@dataclass
class Box:
    """One box: `lines` of text (the first is bold), `shape` box, ellipse, tag or drum, the cluster it is in."""

    lines: list[str]
    colour: str
    shape: str = "box"
    cluster: str = ""
    times: int = 1  # how many alike it stands for
    name: str = ""  # to search for
    tip: tuple[str, ...] = ()
    width: float = 0.0
    height: float = 0.0


@dataclass
class Arrow:
    """source, target: keys of boxes."""

    source: str
    target: str
    label: str = ""
    colour: str = ""
    dash: bool = False
    both: bool = False
    width: float = 1.3


def legend_width(legend: list[tuple[str, str, str]]) -> float:
    return sum(52 + text_width(words, 13) for _, _, words in legend)


def draw_legend(
    fig: Figure, legend: list[tuple[str, str, str]], t: Theme, left: float, draw_key: Callable[..., None]
) -> None:
    """(shape, colour, words) side by side at the foot of a figure; `draw_key(fig, x, y, colour, words)` draws a line."""
    x, y = left, fig.height - 26.0
    for shape, colour, words in legend:
        if shape == "line":
            draw_key(fig, x, y, colour, words)
        else:
            outline(fig, shape, x, y - 12, 22, 15, mix(t.ground, colour, 0.25), colour)
        fig.text(x + 32, y, words, 13, t.faint)
        x += 52 + text_width(words, 13)


def measure(box: Box) -> None:
    wide = max(text_width(line, 13 if i == 0 else 11, i == 0) for i, line in enumerate(box.lines))
    high = 17.0 * len(box.lines) + 12
    if box.times > 1:
        wide = max(wide, text_width(box.lines[0], 13, True) + 30)
    more = {"ellipse": (1.28, 1.24), "tag": (1.0, 1.0), "drum": (1.0, 1.0)}.get(box.shape, (1.0, 1.0))
    box.width = wide * more[0] + (42 if box.shape == "tag" else 26)
    box.height = high * more[1] + (12 if box.shape == "drum" else 0)


def draw_box(fig: Figure, box: Box, x: float, y: float, t: Theme) -> None:
    fill = mix(t.ground, box.colour, 0.2 if t.additive else 0.14)
    w, h = box.width, box.height
    with fig.item(box.name or box.lines[0], *box.tip):
        for k in range(min(box.times - 1, 2), 0, -1):  # those behind the first
            outline(fig, box.shape, x - w / 2 + 5 * k, y - h / 2 + 5 * k, w, h, fill, mix(t.ground, box.colour, 0.6))
        outline(fig, box.shape, x - w / 2, y - h / 2, w, h, fill, box.colour)
        first = y - 17 * (len(box.lines) - 1) / 2 + (10 if box.shape == "drum" else 4.5)
        shift = -6 if box.shape == "tag" else 0
        for i, line in enumerate(box.lines):
            fig.text(
                x + shift,
                first + 17 * i,
                line,
                13 if i == 0 else 11,
                t.text if i == 0 else t.faint,
                bold=i == 0,
                anchor="middle",
            )
        if box.times > 1:
            words = f"x{box.times}"
            wide = text_width(words, 12, True) + 12
            fig.box(x + w / 2 - wide + 8, y - h / 2 - 9, wide, 18, box.colour, "", 9)
            fig.text(x + w / 2 - wide / 2 + 8, y - h / 2 + 4.5, words, 12, "#07090f", bold=True, anchor="middle")


def outline(fig: Figure, shape: str, x: float, y: float, w: float, h: float, fill: str, edge: str) -> None:
    if shape == "ellipse":
        fig.ellipse(x, y, w, h, fill, edge, 1.5)
    elif shape == "tag":  # a label that points to where it goes
        tip = min(14.0, h / 2)
        fig.polygon([(x, y), (x + w - tip, y), (x + w, y + h / 2), (x + w - tip, y + h), (x, y + h)], fill, edge, 1.5)
    elif shape == "drum":
        lid = min(12.0, h * 0.4)
        fig.ellipse(x, y + h - lid, w, lid, fill, edge, 1.5)
        fig.box(x, y + lid / 2, w, h - lid, fill)
        fig.line([(x, y + lid / 2), (x, y + h - lid / 2)], edge, 1.5)
        fig.line([(x + w, y + lid / 2), (x + w, y + h - lid / 2)], edge, 1.5)
        fig.ellipse(x, y, w, lid, fill, edge, 1.5)
    else:
        fig.box(x, y, w, h, fill, edge, 6, 1.5)


def draw_arrow(fig: Figure, arrow: Arrow, path: list[Point], t: Theme) -> None:
    colour = arrow.colour or mix(t.line, t.faint, 0.75)
    fig.curve(path, colour, arrow.width, arrow.dash)
    for points in (path, path[::-1]) if arrow.both else (path,):
        (x1, y1), (x0, y0) = (
            points[-1],
            next((p for p in reversed(points[:-1]) if math.dist(p, points[-1]) > 0.5), points[0]),
        )
        long = math.hypot(x1 - x0, y1 - y0) or 1.0
        ux, uy = (x1 - x0) / long * HEAD, (y1 - y0) / long * HEAD
        fig.polygon([(x1 + ux, y1 + uy), (x1 - uy * 0.42, y1 + ux * 0.42), (x1 + uy * 0.42, y1 - ux * 0.42)], colour)


def straight(a: Point, b: Point) -> list[Point]:
    return [a, *((a[0] + (b[0] - a[0]) * s, a[1] + (b[1] - a[1]) * s) for s in (1 / 3, 2 / 3)), b]


def shorten(path: list[Point]) -> list[Point]:
    """The path with room for an arrow head at its end, which keeps its direction."""
    (x1, y1), (x0, y0) = path[-1], next((p for p in reversed(path[:-1]) if math.dist(p, path[-1]) > 0.5), path[0])
    long = math.hypot(x1 - x0, y1 - y0) or 1.0
    back = min(HEAD, long * 0.9)
    return [*path[:-1], (x1 - (x1 - x0) / long * back, y1 - (y1 - y0) / long * back)]
