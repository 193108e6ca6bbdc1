"""Words on the picture: title and counts, names of cells, compute sets and vertices, legends."""

from __future__ import annotations

from typing import Any

import numpy as np

from .bodies import BAND, Bodies
from .colours import text_of
from .hierarchy import described_ops
from .light import View
from .palette import PHASES
from .pen import Pen, width_of
from .sides import Label


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
