"""Columns of variables and vertices, joined by curves: how a textbook draws a small graph.

Compute sets stand in odd columns in the order they run, variables in even ones: right of the set that writes them
first, or left of the first that reads them. A variable is a box with a slot for each part of it that is used; a vertex
is an ellipse with a port for each field. Nothing overlaps: places within a column keep their distance, and what passes a
column goes through a gap between its items. Copies run below.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from .boxes import draw_legend, legend_width, outline, shorten
from .figure import Figure
from .layered import _apart
from .marks import Point, text_width
from .palette import Theme, mix
from .wires import bend, head, height_at, rounded, toward

SLOT = 27.0  # height of a slot
PORT = 19.0  # between ports of a vertex
GAP = 24.0  # between items of a column
BETWEEN = 112.0  # between columns
LANE = 22.0  # between copies below
_MARGIN, _TOP = 44.0, 132.0


@dataclass
class Thing:
    """A variable (`slots`: words of the parts used, none where all of it is), a vertex or a tag of a stream."""

    lines: list[str]
    colour: str
    shape: str
    column: int
    name: str = ""
    tip: tuple[str, ...] = ()
    slots: list[str] = field(default_factory=list)
    frame: str = ""
    width: float = 0.0
    height: float = 0.0
    head: float = 0.0
    x: float = 0.0  # left
    y: float = 0.0  # top
    ports: dict[bool, list[int]] = field(default_factory=dict)  # side (right?) -> wires in order from above


@dataclass
class Wire:
    """From one thing to another; slot: the part of the variable; label stands at the vertex; both: read and written."""

    source: str
    target: str
    label: str = ""
    slot: int = 0
    both: bool = False
    colour: str = ""
    dash: bool = False


@dataclass
class Textbook:
    """Things by key, wires, copies (source, target) and titles of frames; `draw` places and draws all of it."""

    theme: Theme
    title: str
    subtitle: str
    things: dict[str, Thing] = field(default_factory=dict)
    wires: list[Wire] = field(default_factory=list)
    copies: list[tuple[str, str]] = field(default_factory=list)
    frames: dict[str, str] = field(default_factory=dict)
    legend: list[tuple[str, str, str]] = field(default_factory=list)
    copy_colour: str = ""

    def draw(self) -> Figure:
        self._measure()
        columns = self._columns()
        self._place(columns)
        left, bottom = _MARGIN, 0.0
        for column in columns:
            inner = max(t.width for t in column)
            titles = [text_width(self.frames[t.frame], 13, True) + 24 for t in column if t.frame]
            wide = max(inner + (36 if titles else 0), *titles, 0)
            for t in column:
                t.x = left + (wide - t.width) / 2
            left += wide + BETWEEN
            bottom = max(bottom, *(t.y + t.height for t in column))
        wide = left - BETWEEN + _MARGIN
        heading = (
            max(text_width(self.title, 24, True), text_width(self.subtitle, 14), legend_width(self.legend))
            + 2 * _MARGIN
        )
        shift = max(0.0, heading - wide) / 2
        for t in self.things.values():
            t.x += shift
        fig = Figure(max(wide, heading), bottom + 62 + LANE * len(self.copies) + 54, self.theme, self.title)
        fig.text(_MARGIN, 46, self.title, 24, self.theme.text, bold=True)
        fig.text(_MARGIN, 73, self.subtitle, 14, self.theme.faint)
        self._draw_frames(fig)
        labels = self._draw_wires(fig, columns)
        self._draw_copies(fig, bottom)
        for t in self.things.values():
            self._draw_thing(fig, t)
        for x, y, words, under in labels:
            half = text_width(words, 11) / 2 + 2
            fig.box(x - half, y - 7, 2 * half, 14, under)
            fig.text(x, y + 4, words, 11, self.theme.text, anchor="middle")
        draw_legend(fig, self.legend, self.theme, _MARGIN, _draw_key)
        return fig

    # placing -------------------------------------------------------------------------------------------------------

    def _measure(self) -> None:
        for i, wire in enumerate(self.wires):
            for key, other in ((wire.source, wire.target), (wire.target, wire.source)):
                thing = self.things[key]
                thing.ports.setdefault(self.things[other].column > thing.column, []).append(i)
        for t in self.things.values():
            wide = max(text_width(line, 13 if i == 0 else 11, i == 0) for i, line in enumerate(t.lines))
            t.head = 17.0 * len(t.lines) + 12
            most = max((len(p) for p in t.ports.values()), default=1)
            if t.shape == "ellipse":
                t.width, t.height = wide * 1.28 + 26, max(t.head * 1.24, PORT * most + 16)
            else:
                wide = max([wide, *(text_width(s, 11) for s in t.slots)])
                t.width = wide + (42 if t.shape == "tag" else 26)
                t.height = t.head + SLOT * len(t.slots)

    def _columns(self) -> list[list[Thing]]:
        used = sorted({t.column for t in self.things.values()})
        return [[t for t in self.things.values() if t.column == c] for c in used]

    def _place(self, columns: list[list[Thing]]) -> None:
        """y of all things: near the middle of what they are joined to, in order and apart."""
        for column in columns:
            y = 0.0
            for t in column:
                t.y, y = y, y + t.height + GAP
        key_of = {id(t): k for k, t in self.things.items()}
        near: dict[str, list[tuple[int, str, bool]]] = {k: [] for k in self.things}
        for i, wire in enumerate(self.wires):
            near[wire.source].append((i, wire.target, True))
            near[wire.target].append((i, wire.source, False))
        for sweep in range(6):
            for column in columns if sweep % 2 == 0 else columns[::-1]:
                wanted = []
                for t in column:
                    me = key_of[id(t)]
                    ends = [self._end(i, other) - (self._end(i, me) - t.y - t.height / 2) for i, other, _ in near[me]]
                    wanted.append(float(np.mean(ends)) if ends else t.y + t.height / 2)
                group = {t.frame: float(np.mean([w for w, o in zip(wanted, column, strict=True) if o.frame == t.frame]))
                         for t in column if t.frame}  # fmt: skip
                order = sorted(range(len(column)), key=lambda k: (group.get(column[k].frame, wanted[k]), wanted[k]))
                column[:] = [column[k] for k in order]
                gaps = GAP + 18 if any(t.frame for t in column) else GAP
                middles = _apart(np.array([wanted[k] for k in order]), np.array([t.height for t in column]), gaps)
                for t, middle in zip(column, middles, strict=True):
                    t.y = float(middle) - t.height / 2
        top = min(t.y - (30 if t.frame else 0) for t in self.things.values())
        for t in self.things.values():
            t.y += _TOP - top
            for side, wires in t.ports.items():
                me = key_of[id(t)]
                wires.sort(key=lambda i: (self._end(i, self._other(i, me)), i))
                t.ports[side] = wires

    def _other(self, i: int, key: str) -> str:
        wire = self.wires[i]
        return wire.target if wire.source == key else wire.source

    def _end(self, i: int, key: str) -> float:
        """Height of a wire's end at a thing."""
        t, wire = self.things[key], self.wires[i]
        if t.slots:
            return t.y + t.head + SLOT * (wire.slot + 0.5)
        for wires in t.ports.values():
            if i in wires:
                return t.y + t.height / 2 + PORT * (wires.index(i) - (len(wires) - 1) / 2) * (t.shape == "ellipse")
        return t.y + t.height / 2

    # drawing -------------------------------------------------------------------------------------------------------

    def _border(self, i: int, key: str, side: bool) -> Point:
        """Where a wire touches a thing, on its right (`side`) or left."""
        t, y = self.things[key], self._end(i, key)
        if t.shape == "ellipse":
            off = (y - t.y - t.height / 2) / (t.height / 2)
            reach = t.width / 2 * float(np.sqrt(max(1 - off * off, 0.0)))
            return t.x + t.width / 2 + (reach if side else -reach), y
        return t.x + (t.width if side else 0.0), y

    def _draw_frames(self, fig: Figure) -> None:
        for name, title in self.frames.items():
            inside = [t for t in self.things.values() if t.frame == name]
            if not inside:
                continue
            half = max(max(t.width for t in inside) / 2 + 18, text_width(title, 13, True) / 2 + 12)
            middle = inside[0].x + inside[0].width / 2
            top = min(t.y for t in inside) - 30
            high = max(t.y + t.height for t in inside) + 14 - top
            fig.box(middle - half, top, 2 * half, high, self.theme.panel, self.theme.line, 10)
            fig.text(middle, top + 18, title, 13, self.theme.faint, bold=True, anchor="middle")

    def _draw_wires(self, fig: Figure, columns: list[list[Thing]]) -> list[tuple[float, float, str, str]]:
        t, labels = self.theme, []
        taken: dict[int, list[float]] = {}
        number = {id(thing): c for c, column in enumerate(columns) for thing in column}
        for i, wire in enumerate(self.wires):
            a, b = self.things[wire.source], self.things[wire.target]
            onward = b.column > a.column
            start, end = self._border(i, wire.source, onward), self._border(i, wire.target, not onward)
            first, last = number[id(a)], number[id(b)]
            between = range(first + 1, last) if onward else range(first - 1, last, -1)
            spots: list[tuple[float, float, float]] = []
            for c in between:
                column = columns[c]
                left = min(thing.x for thing in column) - 20
                right = max(thing.x + thing.width for thing in column) + 20
                share = ((left + right) / 2 - start[0]) / (end[0] - start[0])
                y = self._free(column, start[1] + (end[1] - start[1]) * share, taken.setdefault(c, []))
                spots.append((left, right, y) if onward else (right, left, y))
            path = [start]
            for left, right, y in spots:
                path += bend(path[-1], (left, y))
                path += bend((left, y), (right, y))
            path += bend(path[-1], end)
            colour = wire.colour or mix(t.line, t.faint, 0.75)
            path = shorten(path)
            if wire.both:
                path = shorten(path[::-1])[::-1]
            fig.curve(path, colour, 1.4, wire.dash)
            head(fig, path, end, colour)
            if wire.both:
                head(fig, path[::-1], start, colour)
            if wire.label:
                at_a = a.shape == "ellipse"
                vertex, at, toward = (a, start, 1 if onward else -1) if at_a else (b, end, -1 if onward else 1)
                off = text_width(wire.label, 11) / 2 + 13
                x = at[0] + toward * off
                under = t.panel if vertex.frame and off < 34 else t.ground
                labels.append((x, height_at(path, x, at[1]), wire.label, under))
        return labels

    def _free(self, column: list[Thing], wanted: float, taken: list[float]) -> float:
        """The height nearest to the wanted one that passes a column between its items and beside other wires."""
        tops = sorted((t.y - (38 if t.frame else 8), t.y + t.height + (22 if t.frame else 8)) for t in column)
        edges = [-np.inf, *(y for pair in tops for y in pair), np.inf]
        best, found = np.inf, wanted
        for low, high in zip(edges[::2], edges[1::2], strict=True):
            if high - low < 4:
                continue
            for k in range(40):
                for y in (
                    float(np.clip(wanted, low + 2, high - 2)) + 7 * k,
                    float(np.clip(wanted, low + 2, high - 2)) - 7 * k,
                ):
                    if low < y < high and all(abs(y - other) > 6 for other in taken) and abs(y - wanted) < best:
                        best, found = abs(y - wanted), y
        taken.append(found)
        return found

    def _draw_copies(self, fig: Figure, bottom: float) -> None:
        """Copies that run back, each in a lane below: from under a variable, or from its side where others stand below."""
        things = list(self.things.values())
        used: dict[tuple[str, bool], int] = {}
        for k, (source, target) in enumerate(self.copies):
            y = bottom + 44 + LANE * k
            ends = []
            for key, comes in ((source, False), (target, True)):
                t = self.things[key]
                n = used[key, comes] = used.get((key, comes), -1) + 1
                if any(o is not t and o.column == t.column and o.y > t.y for o in things):
                    side, off = t.y + t.height - 10 - 6 * n, 24 + 6 * n
                    x = t.x - off if comes else t.x + t.width + off
                    ends.append([(t.x if comes else t.x + t.width, side), (x, side), (x, y)])
                else:
                    x = t.x + t.width / 2 + 12 * n + (6 if comes else -6)
                    ends.append([(x, t.y + t.height), (x, y)])
            corners = [*ends[0], *ends[1][::-1]]
            tip = corners[-1]
            path = rounded([*corners[:-1], toward(tip, corners[-2])])
            fig.curve(path, self.copy_colour, 1.4, True)
            head(fig, path, tip, self.copy_colour)
            half, middle = text_width("copy", 11) / 2 + 4, (ends[0][-1][0] + ends[1][-1][0]) / 2
            fig.box(middle - half, y - 7, 2 * half, 14, self.theme.ground)
            fig.text(middle, y + 4, "copy", 11, self.theme.text, anchor="middle")

    def _draw_thing(self, fig: Figure, thing: Thing) -> None:
        t = self.theme
        fill = mix(t.ground, thing.colour, 0.2 if t.additive else 0.14)
        x, y, w = thing.x, thing.y, thing.width
        with fig.item(thing.name or thing.lines[0], *thing.tip):
            outline(fig, thing.shape, x, y, w, thing.height, fill, thing.colour)
            high = thing.head if thing.slots else thing.height
            first = y + high / 2 - 17 * (len(thing.lines) - 1) / 2 + 4.5
            for i, line in enumerate(thing.lines):
                fig.text(x + w / 2 - (6 if thing.shape == "tag" else 0), first + 17 * i, line, 13 if i == 0 else 11,
                         t.text if i == 0 else t.faint, bold=i == 0, anchor="middle")  # fmt: skip
            for i, words in enumerate(thing.slots):
                at = y + thing.head + SLOT * i
                fig.line([(x + 1, at), (x + w - 1, at)], mix(t.ground, thing.colour, 0.6), 1)
                fig.text(x + w / 2, at + SLOT / 2 + 4, words, 11, t.text, anchor="middle")


def _draw_key(fig: Figure, x: float, y: float, colour: str, words: str) -> None:
    fig.line([(x, y - 5), (x + 16, y - 5)], colour, 1.4, True)
    head(fig, [(x, y - 5), (x + 16, y - 5)], (x + 24, y - 5), colour)
