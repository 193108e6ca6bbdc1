"""Diagrams: boxes of text joined by arrows, placed by Graphviz where it is at hand, else by `layered`, drawn as a Figure.

Graphviz only says where things go (its `plain` output); sizes and text are ours, so that text never leaves its box.
"""

from __future__ import annotations

import shlex
import subprocess
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..errors import MissingTool
from .boxes import Arrow, Box, draw_arrow, draw_box, draw_legend, legend_width, measure, shorten, straight
from .dot import find_engine
from .figure import Figure
from .marks import Point, flatten, text_width
from .palette import Theme

MOST_FOR_GRAPHVIZ = 900  # boxes and edges; above it our own layout draws sooner
_SECONDS = 30  # that Graphviz may take
_INCH = 96.0  # pixels
_MARGIN = 44.0


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
            measure(box)
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
            end = shorten(path)
            trimmed.append(shorten(end[::-1])[::-1] if arrow.both else end)
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
            draw_arrow(fig, arrow, [(x + dx, y + dy) for x, y in path], t)
        for name, x, y, _, _ in frames:
            words = self.cluster_titles.get(name, name)
            fig.box(x + dx + 7, y + dy + 4, text_width(words, 13, True) + 6, 17, t.panel)
            fig.text(x + dx + 10, y + dy + 17, words, 13, t.faint, bold=True)
        for box, (x, y) in zip(boxes, centres, strict=True):
            draw_box(fig, box, x + dx, y + dy, t)
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
        draw_arrow(fig, arrow, straight((x, y - 5), (x + 20, y - 5)), self.theme)


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _free_spot(path: list[Point], half: float, taken: list[tuple[float, float, float, float]]) -> Point:
    """A place on a path for a label `2 * half` wide that touches nothing taken, near the middle; it is taken then."""
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
