"""Diagrams: boxes of text joined by arrows, placed by Graphviz where it is at hand, else by `layered`, drawn as a Figure.

Graphviz only says where things go (its `plain` output); sizes and text are ours, so that text never leaves its box.
"""

from __future__ import annotations

import math
import shlex
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..errors import MissingTool
from .dot import find_engine
from .figure import Figure, Point, text_width
from .palette import Theme, mix

MOST_FOR_GRAPHVIZ = 900  # boxes and edges; above it our own layout draws sooner
_SECONDS = 30  # that Graphviz may take
_INCH = 96.0  # pixels
_MARGIN = 44.0
_HEAD = 9.0  # length of an arrow head


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


@dataclass
class Diagram:
    """Boxes by key, arrows between them, and colours of clusters' frames by name."""

    theme: Theme
    title: str
    subtitle: str = ""
    across: bool = False  # ranks go to the right instead of down
    boxes: dict[str, Box] = field(default_factory=dict)
    arrows: list[Arrow] = field(default_factory=list)
    cluster_titles: dict[str, str] = field(default_factory=dict)
    cluster_times: dict[str, int] = field(default_factory=dict)  # how many alike a cluster stands for
    legend: list[tuple[str, str, str]] = field(default_factory=list)  # shape, colour, words

    def draw(self) -> tuple[Figure, dict[str, Any]]:
        """The figure and facts: which layout placed it, and a note where Graphviz would have been better."""
        for box in self.boxes.values():
            _measure(box)
        facts: dict[str, Any] = {"layout": "graphviz"}
        placed = None
        if len(self.boxes) + len(self.arrows) <= MOST_FOR_GRAPHVIZ:
            try:
                placed = self._by_graphviz(find_engine())
            except MissingTool as problem:
                facts = {"layout": "layered", "note": f"drawn with the layout of poplar_py: {problem}"}
            if placed is None and "note" not in facts:
                facts = {
                    "layout": "layered",
                    "note": "Graphviz could not place this graph: drawn with the layout of poplar_py",
                }
        if placed is None:
            facts.setdefault("note", "")
            facts["layout"] = "layered"
            placed = self._by_layers()
        return self._figure(*placed), {k: v for k, v in facts.items() if v}

    # placing -------------------------------------------------------------------------------------------------------

    def dot(self) -> str:
        """The diagram in Graphviz's language."""
        keys = {key: f"n{i}" for i, key in enumerate(self.boxes)}
        out = [
            f"digraph g {{ rankdir={'LR' if self.across else 'TB'}; nodesep=0.28; ranksep={0.75 if self.across else 0.42};",
            'node [shape=box fixedsize=true label=""]; edge [fontsize=9 arrowsize=0.7];',
        ]
        for i, cluster in enumerate(self._clusters()):
            name = self.cluster_titles.get(cluster, cluster)
            members = "; ".join(keys[k] for k, b in self.boxes.items() if b.cluster == cluster)
            out.append(f'subgraph cluster_{i} {{ margin=16; fontsize=11; label="{_quoted(name)}"; {members} }}')
        for key, box in self.boxes.items():
            out.append(f"{keys[key]} [width={box.width / _INCH:.3f} height={box.height / _INCH:.3f}];")
        for n, arrow in enumerate(self.arrows):
            label = f' label="{_quoted(arrow.label)}"' if arrow.label else ""
            both = " dir=both" if arrow.both else ""
            out.append(f'{keys[arrow.source]} -> {keys[arrow.target]} [style="e{n}"{label}{both}];')
        return "\n".join([*out, "}"])

    def _clusters(self) -> list[str]:
        return list(dict.fromkeys(b.cluster for b in self.boxes.values() if b.cluster))

    def _by_graphviz(self, engine: str) -> tuple | None:
        try:
            done = subprocess.run(
                [engine, "-Tplain"], input=self.dot(), capture_output=True, text=True, timeout=_SECONDS, check=True
            )
        except (subprocess.SubprocessError, OSError):
            return None
        keys = list(self.boxes)
        centres: list[Point] = [(0.0, 0.0)] * len(keys)
        paths: list[list[Point]] = [[] for _ in self.arrows]
        spots: list[Point | None] = [None] * len(self.arrows)
        high = 0.0
        for line in done.stdout.splitlines():
            words = shlex.split(line)
            if words[0] == "graph":
                high = float(words[3]) * _INCH
            elif words[0] == "node":
                centres[int(words[1][1:])] = (float(words[2]) * _INCH, high - float(words[3]) * _INCH)
            elif words[0] == "edge":
                n = int(words[3])
                numbers = [float(w) * _INCH for w in words[4 : 4 + 2 * n]]
                points = [(x, high - y) for x, y in zip(numbers[::2], numbers[1::2], strict=True)]
                rest = words[4 + 2 * n :]
                at = next((i for i, w in enumerate(rest) if w[:1] == "e" and w[1:].isdigit()), None)
                if at is None:
                    return None
                number = int(rest[at][1:])
                paths[number] = points
                if at >= 3:
                    spots[number] = (float(rest[at - 2]) * _INCH, high - float(rest[at - 1]) * _INCH)
        if not all(paths):
            return None
        return centres, paths, spots, True

    def _by_layers(self) -> tuple:
        from .layered import layered

        number = {key: i for i, key in enumerate(self.boxes)}
        sizes = [(b.height, b.width) if self.across else (b.width, b.height) for b in self.boxes.values()]
        ends = [(number[a.source], number[a.target]) for a in self.arrows]
        labelled = any(a.label for a in self.arrows)
        room = (
            40.0 + 7.0 * max((len(a.label) for a in self.arrows), default=0)
            if self.across
            else 64.0
            if labelled
            else 52.0
        )
        centres, paths = layered(sizes, ends, [b.cluster for b in self.boxes.values()], rank_gap=room)
        if self.across:
            centres = [(y, x) for x, y in centres]
            paths = [[(y, x) for x, y in path] for path in paths]
        trimmed: list[list[Point]] = []
        spots: list[Point | None] = []
        taken = [(x - b.width / 2, y - b.height / 2, x + b.width / 2, y + b.height / 2)
                 for b, (x, y) in zip(self.boxes.values(), centres, strict=True)]  # fmt: skip
        for arrow, path in zip(self.arrows, paths, strict=True):
            spots.append(_free_spot(path, text_width(arrow.label, 11) / 2 + 3, taken) if arrow.label else None)
            end = _shorten(path)
            trimmed.append(_shorten(end[::-1])[::-1] if arrow.both else end)
        return centres, trimmed, spots, False

    # drawing -------------------------------------------------------------------------------------------------------

    def _figure(
        self, centres: list[Point], paths: list[list[Point]], spots: list[Point | None], framed: bool
    ) -> Figure:
        t, boxes = self.theme, list(self.boxes.values())
        frames = self._frames(boxes, centres, framed)
        xs = [c[0] - b.width / 2 for c, b in zip(centres, boxes, strict=True)] + [f[1] for f in frames]
        ys = [c[1] - b.height / 2 for c, b in zip(centres, boxes, strict=True)] + [f[2] for f in frames]
        xe = [c[0] + b.width / 2 for c, b in zip(centres, boxes, strict=True)] + [f[1] + f[3] for f in frames]
        ye = [c[1] + b.height / 2 for c, b in zip(centres, boxes, strict=True)] + [f[2] + f[4] for f in frames]
        for path, spot, arrow in zip(paths, spots, self.arrows, strict=True):
            xs += [p[0] for p in path]
            xe += [p[0] for p in path]
            ys += [p[1] for p in path]
            ye += [p[1] for p in path]
            if spot:
                half = text_width(arrow.label, 11) / 2
                xs.append(spot[0] - half)
                xe.append(spot[0] + half)
        heading = max(text_width(self.title, 24, True), text_width(self.subtitle, 14), legend_width(self.legend))
        low_x, low_y = min(xs, default=0.0), min(ys, default=0.0)
        wide, high = max(xe, default=0.0) - low_x, max(ye, default=0.0) - low_y
        width = max(wide, heading) + 2 * _MARGIN
        top = 108.0
        dx, dy = (width - wide) / 2 - low_x, top - low_y
        fig = Figure(width, top + high + (70 if self.legend else 36), t, self.title)
        fig.text(_MARGIN, 46, self.title, 24, t.text, bold=True)
        fig.text(_MARGIN, 73, self.subtitle, 14, t.faint)
        for name, x, y, w, h in frames:
            for k in range(min(self.cluster_times.get(name, 1) - 1, 2), 0, -1):  # those behind the first
                fig.box(x + dx + 5 * k, y + dy + 5 * k, w, h, t.panel, t.line, 10)
            fig.box(x + dx, y + dy, w, h, t.panel, t.line, 10)
        for arrow, path in zip(self.arrows, paths, strict=True):
            _draw_arrow(fig, arrow, [(x + dx, y + dy) for x, y in path], t)
        for name, x, y, _, _ in frames:
            words = self.cluster_titles.get(name, name)
            fig.box(x + dx + 7, y + dy + 4, text_width(words, 13, True) + 6, 17, t.panel)
            fig.text(x + dx + 10, y + dy + 17, words, 13, t.faint, bold=True)
        for box, (x, y) in zip(boxes, centres, strict=True):
            _draw_box(fig, box, x + dx, y + dy, t)
        for arrow, spot in zip(self.arrows, spots, strict=True):
            if spot and arrow.label:
                half = text_width(arrow.label, 11) / 2 + 2
                under = t.panel if any(_inside(f, spot) for f in frames) else t.ground
                fig.box(spot[0] + dx - half, spot[1] + dy - 7, 2 * half, 14, under)
                fig.text(spot[0] + dx, spot[1] + dy + 4, arrow.label, 11, t.faint, anchor="middle")
        draw_legend(fig, self.legend, t, _MARGIN, self._draw_key)
        return fig

    def _frames(
        self, boxes: list[Box], centres: list[Point], framed: bool
    ) -> list[tuple[str, float, float, float, float]]:
        """A frame around each cluster; of our own layout only where it holds no stranger."""
        frames = []
        for cluster in self._clusters():
            inside = [i for i, b in enumerate(boxes) if b.cluster == cluster]
            left = min(centres[i][0] - boxes[i].width / 2 for i in inside) - 14
            right = max(centres[i][0] + boxes[i].width / 2 for i in inside) + 14
            top = min(centres[i][1] - boxes[i].height / 2 for i in inside) - 25
            bottom = max(centres[i][1] + boxes[i].height / 2 for i in inside) + 12
            right = max(right, left + text_width(self.cluster_titles.get(cluster, cluster), 13, True) + 22)
            frame = (cluster, left, top, right - left, bottom - top)
            if framed or not any(
                b.cluster != cluster and _touches(frame, c, b) for b, c in zip(boxes, centres, strict=True)
            ):
                frames.append(frame)
        return frames

    def _draw_key(self, fig: Figure, x: float, y: float, colour: str, words: str) -> None:
        """The arrow of a legend."""
        arrow = Arrow("", "", colour=colour, dash=words.startswith("copy"))
        _draw_arrow(fig, arrow, _straight((x, y - 5), (x + 20, y - 5)), self.theme)


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
            _outline(fig, shape, x, y - 12, 22, 15, mix(t.ground, colour, 0.25), colour)
        fig.text(x + 32, y, words, 13, t.faint)
        x += 52 + text_width(words, 13)


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _measure(box: Box) -> None:
    wide = max(text_width(line, 13 if i == 0 else 11, i == 0) for i, line in enumerate(box.lines))
    high = 17.0 * len(box.lines) + 12
    if box.times > 1:
        wide = max(wide, text_width(box.lines[0], 13, True) + 30)
    more = {"ellipse": (1.28, 1.24), "tag": (1.0, 1.0), "drum": (1.0, 1.0)}.get(box.shape, (1.0, 1.0))
    box.width = wide * more[0] + (42 if box.shape == "tag" else 26)
    box.height = high * more[1] + (12 if box.shape == "drum" else 0)


def _draw_box(fig: Figure, box: Box, x: float, y: float, t: Theme) -> None:
    fill = mix(t.ground, box.colour, 0.2 if t.additive else 0.14)
    w, h = box.width, box.height
    with fig.item(box.name or box.lines[0], *box.tip):
        for k in range(min(box.times - 1, 2), 0, -1):  # those behind the first
            _outline(fig, box.shape, x - w / 2 + 5 * k, y - h / 2 + 5 * k, w, h, fill, mix(t.ground, box.colour, 0.6))
        _outline(fig, box.shape, x - w / 2, y - h / 2, w, h, fill, box.colour)
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


def _outline(fig: Figure, shape: str, x: float, y: float, w: float, h: float, fill: str, edge: str) -> None:
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


def _draw_arrow(fig: Figure, arrow: Arrow, path: list[Point], t: Theme) -> None:
    colour = arrow.colour or mix(t.line, t.faint, 0.75)
    fig.curve(path, colour, arrow.width, arrow.dash)
    for points in (path, path[::-1]) if arrow.both else (path,):
        (x1, y1), (x0, y0) = (
            points[-1],
            next((p for p in reversed(points[:-1]) if math.dist(p, points[-1]) > 0.5), points[0]),
        )
        long = math.hypot(x1 - x0, y1 - y0) or 1.0
        ux, uy = (x1 - x0) / long * _HEAD, (y1 - y0) / long * _HEAD
        fig.polygon([(x1 + ux, y1 + uy), (x1 - uy * 0.42, y1 + ux * 0.42), (x1 + uy * 0.42, y1 - ux * 0.42)], colour)


def _straight(a: Point, b: Point) -> list[Point]:
    return [a, *((a[0] + (b[0] - a[0]) * s, a[1] + (b[1] - a[1]) * s) for s in (1 / 3, 2 / 3)), b]


def _shorten(path: list[Point]) -> list[Point]:
    """The path with room for an arrow head at its end, which keeps its direction."""
    (x1, y1), (x0, y0) = path[-1], next((p for p in reversed(path[:-1]) if math.dist(p, path[-1]) > 0.5), path[0])
    long = math.hypot(x1 - x0, y1 - y0) or 1.0
    back = min(_HEAD, long * 0.9)
    return [*path[:-1], (x1 - (x1 - x0) / long * back, y1 - (y1 - y0) / long * back)]


def _free_spot(path: list[Point], half: float, taken: list[tuple[float, float, float, float]]) -> Point:
    """A place on a path for a label `2 * half` wide that touches nothing taken, near the middle; it is taken then."""
    from .figure import flatten

    p = np.asarray(flatten(path))
    along = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(p, axis=0).T))])
    spots = []
    for share in (0.5, 0.4, 0.6, 0.3, 0.7, 0.22, 0.78, 0.15, 0.85):
        x, y = (float(np.interp(along[-1] * share, along, p[:, k])) for k in (0, 1))
        spots.append((x, y))
        mine = (x - half, y - 8, x + half, y + 8)
        if not any(mine[0] < t[2] and t[0] < mine[2] and mine[1] < t[3] and t[1] < mine[3] for t in taken):
            break
    else:
        x, y = spots[0]
    taken.append((x - half, y - 8, x + half, y + 8))
    return x, y


def _inside(frame: tuple, point: Point) -> bool:
    _, x, y, w, h = frame
    return x <= point[0] <= x + w and y <= point[1] <= y + h


def _touches(frame: tuple, centre: Point, box: Box) -> bool:
    _, x, y, w, h = frame
    return abs(centre[0] - x - w / 2) < (w + box.width) / 2 and abs(centre[1] - y - h / 2) < (h + box.height) / 2
