"""Words on the picture: title and counts, names of cells with leaders that cross neither each other nor text, legends."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np

from .bodies import BAND, Bodies
from .colours import text_of
from .hierarchy import described_ops
from .light import Ground, View
from .palette import PHASES, rgb

TRACK = 0.045  # room between bold letters, as a share of their size
STROKE = 0.024  # what bold letters grow by on every side, as a share of their size


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


@lru_cache(maxsize=64)
def font(size: float) -> Any:
    """Pillow's own font, which needs no files."""
    from PIL import ImageFont

    return ImageFont.load_default(size=size)


def width_of(text: str, size: float, bold: bool = False) -> float:
    """Pixels a line takes."""
    if bold:
        return sum(width_of(letter, size) + TRACK * size for letter in text)
    return _length(text) * size / 40


@lru_cache(maxsize=4096)
def _length(text: str) -> float:
    return float(font(40.0).getlength(text))


class Pen:
    """Text, lines and dots on an image, placed in fractions of a pixel."""

    def __init__(self, image: Any, ground: Ground, unit: float):
        from PIL import ImageDraw

        self.image, self.ground, self.unit = image, ground, unit
        self.draw = ImageDraw.Draw(image, "RGBA")

    def text(
        self, x, y, words: str, size: float, colour: str, bold: bool = False, anchor: str = "l", halo: float = 0.0
    ) -> None:
        """A line of text; anchor l, m or r; `y` is its middle."""
        if halo:
            where = anchor + "m"
            face, around = font(round(size, 1)), (*rgb(self.ground.page), 170)
            self.draw.text((x, y), words, rgb(colour), face, where, stroke_width=halo, stroke_fill=around)
            return
        x -= {"l": 0.0, "m": 0.5, "r": 1.0}[anchor] * width_of(words, size, bold)
        self._letters(x, y, words, size, colour, bold)

    def _letters(self, x: float, y: float, words: str, size: float, colour: str, bold: bool) -> None:
        """Text from x on, drawn four times as large and reduced: letters stand at parts of a pixel, and the thick strokes
        of bold ones, which need room between them, leave the dot of an `i` apart."""
        from PIL import Image, ImageDraw

        edge = int(size * 0.3) + 2
        left, top = int(np.floor(x)) - edge, int(np.floor(y)) - int(size) - edge
        wide, high = int(width_of(words, size, bold)) + 2 * edge + 2, 2 * (int(size) + edge) + 1
        mask = Image.new("L", (wide * 4, high * 4), 0)
        draw, face, at = ImageDraw.Draw(mask), font(round(size * 4, 1)), (y - top) * 4
        if bold:
            for letter in words:
                draw.text(
                    ((x - left) * 4, at), letter, fill=255, font=face, anchor="lm", stroke_width=size * 4 * STROKE
                )
                x += width_of(letter, size) + TRACK * size
        else:
            draw.text(((x - left) * 4, at), words, fill=255, font=face, anchor="lm")
        self.image.paste(rgb(colour), (left, top), mask.resize((wide, high), Image.Resampling.BOX))

    def line(self, points: list[tuple[float, float]], colour: str, width: float, alpha: int = 255) -> None:
        """A smooth line: drawn four times as large and reduced."""
        from PIL import Image, ImageDraw

        edge = int(width) + 3
        left, top = (int(np.floor(min(p[k] for p in points))) - edge for k in (0, 1))
        wide, high = (int(np.ceil(max(p[k] for p in points))) + edge - low for k, low in ((0, left), (1, top)))
        mask = Image.new("L", (wide * 4, high * 4), 0)
        shifted = [((x - left) * 4, (y - top) * 4) for x, y in points]
        ImageDraw.Draw(mask).line(shifted, fill=alpha, width=max(4, round(width * 4)), joint="curve")
        self.image.paste(rgb(colour), (left, top), mask.resize((wide, high), Image.Resampling.BOX))

    def dot(self, x: float, y: float, r: float, colour: str) -> None:
        """A smooth dot: drawn four times as large and reduced."""
        from PIL import Image, ImageDraw

        size = int(np.ceil(r)) * 2 + 3
        mask = Image.new("L", (size * 4, size * 4), 0)
        left, top = int(np.floor(x)) - size // 2, int(np.floor(y)) - size // 2
        cx, cy = (x - left) * 4, (y - top) * 4
        ImageDraw.Draw(mask).ellipse((cx - r * 4, cy - r * 4, cx + r * 4, cy + r * 4), fill=255)
        self.image.paste(rgb(colour), (left, top), mask.resize((size, size), Image.Resampling.BOX))


def short(count: int) -> str:
    """`1.16 M`, `31 k`, `2,618`."""
    if count >= 100_000:
        return f"{count / 1e6:.2f} M"
    return f"{count / 1e3:.0f} k" if count >= 20_000 else f"{count:,}"


def cell_labels(scene: Any, bodies: Bodies, view: View, colours: list[str]) -> list[Label]:
    """A label for every cell: name with shapes, phase, vertices."""
    shapes = _shapes(scene.executable)
    many = len({c.phase for c in scene.cells}) > 1
    found = []
    for i, cell in enumerate(scene.cells):
        times = f"  x{cell.calls}" if cell.calls > 1 else ""
        phase = phase_words(cell, many)
        shape = shapes.get(cell.path, "")
        count = _vertices_of(cell)
        name = cell.path + times
        first = f"{name}  {shape}" if shape else name
        three = [(first, True, False), *([(phase, True, False)] if phase else []), (count, False, True)]
        two = [("  ".join(p for p in (name, phase or shape) if p), True, False), (count, False, True)]
        one = [("  ".join(p for p in (name, phase or shape) if p), True, False)]
        x, y = bodies.centre[i] * view.scale + (view.ox, view.oy)
        found.append(Label([three, two, one], colours[i], (float(x), float(y)), i))
    return found


def phase_words(cell: Any, many: bool) -> str:
    if not many or cell.path in ("loss", "schedule"):
        return ""
    return {"forward": "forward", "backward": "backward", "update": "weight update"}[cell.phase]


def _shapes(executable: Any) -> dict[str, str]:
    """`3x3 [64 in, 128 out]` by layer, from the shapes of its weights."""
    found = {}
    for p in described_ops(executable).get("parameters", []):
        path, _, last = p["name"].rpartition("/")
        shape = p["shape"]
        if last != "weights" or path in found:
            continue
        if len(shape) == 4:
            found[path] = f"{shape[2]}x{shape[3]} [{shape[1]:,} in, {shape[0]:,} out]"
        elif len(shape) == 2:
            found[path] = f"[{shape[0]:,} in, {shape[1]:,} out]"
    return found


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


def write_labels(pen: Pen, labels: list[Label], size: float, is_dark: bool) -> None:
    """Leaders first, then dots, then text."""
    unit = pen.unit
    for label in labels:
        pen.line(label.leader, pen.ground.leader, (0.9 if is_dark else 1.3) * unit, 165 if is_dark else 225)
    for label in labels:
        pen.dot(*label.leader[0], (2.1 if is_dark else 3.4) * unit, pen.ground.leader)
    for label in labels:
        is_right = label.leader[1][0] < label.box[0] + 1
        x = label.box[0] if is_right else label.box[2]
        lines = label.forms[0]
        middle = (label.box[1] + label.box[3]) / 2
        for k, (words, bold, faint) in enumerate(lines):
            y = middle + (k - (len(lines) - 1) / 2) * size * 1.22
            colour = pen.ground.faint if faint else label.colour
            pen.text(x, y, words, size if bold else size * 0.92, colour, bold, "l" if is_right else "r")


def write_panels(pen: Pen, scene: Any, labels: list[Label], bodies: Bodies, view: View) -> None:
    """Plate: name, phase with shape, and vertices in the band at the top of each panel, all of one size."""
    hx, hy = bodies.panel
    shapes = _shapes(scene.executable)
    many = len({c.phase for c in scene.cells}) > 1
    texts = []
    for cell in scene.cells:
        under = "  ".join(p for p in (phase_words(cell, many), shapes.get(cell.path, "")) if p)
        texts.append((cell.path + (f"  x{cell.calls}" if cell.calls > 1 else ""), under, _vertices_of(cell)))
    wide, band = 2 * hx * view.scale * 0.90, 2 * hy * view.scale * BAND * 0.5
    size = min(15.0 * view.unit, band / 2.6)
    for name, under, count in texts:
        size = min(
            size,
            size * wide / max(width_of(name, size, True), width_of(under, size * 0.8), width_of(count, size * 0.8)),
        )
    size = max(size, 6.5 * view.unit)
    for label, lines in zip(labels, texts, strict=True):
        y = label.at[1] - hy * view.scale + size * 1.05
        for k, words in enumerate(t for t in lines if t):
            pen.text(
                label.at[0], y, words, size * (0.8 if k else 1.0), pen.ground.faint if k else label.colour, not k, "m"
            )
            y += size * (0.98 if k else 1.1)


def _vertices_of(cell: Any) -> str:
    return f"{short(cell.vertices)} {'vertex' if cell.vertices == 1 else 'vertices'}"


def set_labels(picture: Any, view: View, colours: Any) -> list[Label]:
    """A label for every compute set of an enlargement: name, vertices by codelet, tiles; its dot is a vertex of it."""
    scene, found = picture.scene, []
    a = picture.arrangement
    sets = scene.flow.sets
    for number, cs in enumerate(sets):
        first, last = scene.set_range(cs.index)
        step = max(1, (last - first) // 5000)
        x = a.x[first:last:step] * view.scale + view.ox
        y = a.y[first:last:step] * view.scale + view.oy
        side = 1 if number % 2 == 0 or len(sets) < 4 else -1
        wanted = view.oy + (number - (len(sets) - 1) / 2) * 0.7 * view.height / max(len(sets), 1)
        k = int(np.argmax(side * x - 0.55 * np.abs(y - wanted)))
        tint = colours.of_vertex[first : last : max(1, (last - first) // 999)]
        light = colours.table[int(np.bincount(tint).argmax())]
        colour = text_of(light if colours.dark else light * 0.4)
        codelets = ", ".join(f"{b.n:,} {b.codelet}" for b in cs.blocks[:3]) + (", ..." if len(cs.blocks) > 3 else "")
        tiles = len(np.unique(np.concatenate([b.tile for b in cs.blocks])))
        edges = sum(int(b.num_edges) for b in cs.blocks)
        under = f"{edges:,} edges, {tiles:,} {'tile' if tiles == 1 else 'tiles'}"
        three = [(cs.name, True, False), (codelets, False, True), (under, False, True)]
        at = (float(x[k]), float(y[k]))
        found.append(Label([three, three[:2], three[:1]], colour, at, side=side))
    return found


def write_codelets(pen: Pen, picture: Any, view: View, colours: Any) -> int:
    """Names of single vertices where they are few: codelet and tile beside each dot, left out where it would touch
    another; how many were written."""
    scene, a = picture.scene, picture.arrangement
    size = 10.5 * view.unit
    x, y = a.x * view.scale + view.ox, a.y * view.scale + view.oy
    r = picture.dot(view) + 3 * view.unit
    taken = [(float(p) - r, float(q) - r, float(p) + r, float(q) + r) for p, q in zip(x, y, strict=True)]
    written = 0
    for cs in scene.flow.sets:
        at = scene.flow.base[cs.index]
        for block in cs.blocks:
            for row in range(block.n):
                words = f"{block.codelet} @{int(block.tile[row])}"
                wide = width_of(words, size)
                for left in (float(x[at]) + r, float(x[at]) - r - wide):
                    box = (left, float(y[at]) - size * 0.55, left + wide, float(y[at]) + size * 0.55)
                    mine = taken[at]
                    if any(
                        t is not mine and box[0] < t[2] and t[0] < box[2] and box[1] < t[3] and t[1] < box[3]
                        for t in taken
                    ):
                        continue
                    taken.append(box)
                    pen.text(left, float(y[at]), words, size, pen.ground.text, halo=2.2 * view.unit)
                    written += 1
                    break
                at += 1
    return written


def write_frame(pen: Pen, view: View, title: str, counts: str, corner: str, legend: list, phases: list[str]) -> None:
    """Title and counts at the top left, what the picture is at the bottom left, legends at the bottom."""
    unit, left = pen.unit, 36 * view.unit
    pen.text(left, 40 * unit, title, 29 * unit, pen.ground.text, True)
    pen.text(left, 75 * unit, counts, 18.5 * unit, pen.ground.faint)
    pen.text(left, view.height - 22 * unit, corner, 11.5 * unit, pen.ground.faint)
    y = view.height - 58 * unit - 26 * unit * (len(legend) - 1)
    for colour, words in legend:
        pen.dot(left + 7 * unit, y, 6.5 * unit, colour)
        pen.text(left + 24 * unit, y, words, 13.5 * unit, pen.ground.text)
        y += 26 * unit
    if not phases:
        return
    words = {"forward": "forward traffic", "backward": "backward traffic", "update": "weight traffic"}
    x = view.width - 175 * unit
    y = view.height - 58 * unit - 26 * unit * (len(phases) - 1)
    for phase in phases:
        pen.line([(x, y), (x + 34 * unit, y)], PHASES[phase], 3.4 * unit)
        pen.text(x + 46 * unit, y, words[phase], 13.5 * unit, pen.ground.text)
        y += 26 * unit
