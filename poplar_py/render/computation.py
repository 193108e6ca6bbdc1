"""The computation view: every vertex and every edge of the compiled graph, as light.

    Flow (edges) -> Scene (cells, chunks) -> Bodies (cells placed) -> Arrangement (vertices placed) -> planes -> pixels

`Picture` holds the first four for an executable, a focus, a style and a seed, and draws any window of itself in any
size, theme and colouring; pages, animations and thumbnails use it as well.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from . import raster
from .arrange import Arrangement
from .bodies import bodies_of
from .canvas import save_png
from .colours import Colours, linear
from .hierarchy import MOST_CELLS, PHASES
from .light import Levels, View, compose, ground_of, levels_of
from .palette import PHASES as PHASE_COLOURS
from .routes import find_routes
from .scene import build_scene
from .words import view_with_labels, write_words

EXACT = 3_000_000  # edges up to which each is a line
SPARSE = 60_000  # vertices up to which single ones are to be seen
HAZE_POINTS = 3  # of an edge within a cell, where they are too many for lines
STRANDS = 1_200_000  # of those edges are lines as well
WAY_LINES = 120_000  # edges between cells up to which each is a line; more are points,
WAY_POINTS = 60_000_000  # of all of them together
GATHERED = 1_000_000  # edges drawn at a time
STRIP = 36_000_000  # pixels drawn at a time


@dataclass
class Ends:
    """Ends of some edges in units of the body (float32): data goes from 0 to 1. cell, tint at each; key: a number of the
    edge; vertex: the one whose edge it is, at end 1, or at end 0 where it writes."""

    vertex: np.ndarray
    is_write: bool
    x0: np.ndarray
    y0: np.ndarray
    x1: np.ndarray
    y1: np.ndarray
    cell0: np.ndarray
    cell1: np.ndarray
    tint0: np.ndarray
    tint1: np.ndarray
    key: np.ndarray
    set: int = -1


class Picture:
    """An arranged graph that can be drawn.

    scene, bodies, arrangement; exact: whether every edge is a line of its own; `ends()` gives them all.
    """

    def __init__(self, executable: Any, focus: str | None = None, style: str = "tissue", seed: int = 0,
                 aspect: float = 16 / 9, most_cells: int = MOST_CELLS):  # fmt: skip
        self.executable, self.focus, self.style, self.seed = executable, focus, style, seed
        self.scene = scene = build_scene(executable, focus, most_cells)
        self.bodies = bodies_of(scene, style, seed, aspect)
        self.arrangement = Arrangement(scene, self.bodies, seed)
        self.routes, self.ways = find_routes(self.bodies, scene.traffic)
        self.exact = scene.num_edges <= EXACT
        self.sparse = scene.num_vertices <= SPARSE
        crossing = scene.traffic.sum() - np.trace(scene.traffic)
        self.way_points = (
            0 if self.exact and crossing <= WAY_LINES else int(np.clip(WAY_POINTS / max(crossing, 1), 2, 160))
        )
        size = np.maximum(scene.chunk_size, 1)
        self._spike = (self.arrangement.chunk_r * 0.62 / np.sqrt(size)).astype(np.float32)
        graph = executable.graph
        self._variables = tuple(
            np.array([getattr(v, name) for v in graph.variables], np.int64) for name in ("base", "size")
        )

    @property
    def mode(self) -> str:
        """How edges are drawn, in words."""
        if self.exact and not self.way_points:
            return "exact: every vertex is a dot, every edge a line"
        if self.exact:
            return (
                f"every vertex is a dot, every edge within cells a line, between cells {self.way_points} points on one"
            )
        return (
            f"sampled: every vertex a dot, every edge {HAZE_POINTS} points within cells, {self.way_points} between them,"
            f" one in {self._every()} a line"
        )

    def _every(self) -> int:
        return max(1, round(self.scene.num_edges / STRANDS))

    def ends(
        self, tint: np.ndarray | None = None, data: int = 0, sets: Collection[int] | None = None
    ) -> Iterator[Ends]:
        """The ends of every edge, slice by slice, each edge once; `sets`: of these compute sets only."""
        scene, a = self.scene, self.arrangement
        tint = np.zeros(scene.num_vertices, np.uint16) if tint is None else tint
        cell = scene.chunk_cell.astype(np.int32)
        for cs in scene.flow.sets:
            for part in scene.flow.edges_of(cs) if sets is None or cs.index in sets else ():
                n = len(part.vertex)
                ends: list[Any] = [np.empty(n, np.float32) for _ in range(4)]
                ends += [np.empty(n, np.int32), np.empty(n, np.int32), np.empty(n, np.uint16), np.empty(n, np.uint16)]
                owner = np.zeros(1, np.int64)
                if not part.is_write:
                    owner = np.zeros(n, np.int64)
                    alone = part.other < 0
                    owner[alone] = self.executable.graph.variable_index(part.place[alone])
                raster.find_ends(part.vertex, part.other, part.place, part.is_write, a.x, a.y, scene.vertex_chunk, cell,
                                 self._spike, tint, data, owner, *self._variables, scene.data_first, scene.data_pieces,
                                 a.chunk_x, a.chunk_y, a.chunk_r, *ends)  # type: ignore[call-arg] # fmt: skip
                key = part.vertex.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + part.place.view(np.uint64)
                ends.append(key)
                yield Ends(part.vertex, part.is_write, *ends, cs.index)  # type: ignore[call-arg]

    def view(self, size: tuple[int, int], sides: float | None = None) -> View:
        """The whole picture in `size` pixels; `sides`: share of the width kept for labels on each side."""
        width, height = size
        unit = height / 1080
        if self.style == "plate":
            room = (width * 0.79, height - 190 * unit)  # legends stand at its sides
            middle = (width / 2, 105 * unit + room[1] / 2)
        elif self.style == "nebula":
            room = (width * (1 - 2 * (0.16 if sides is None else sides)), height * 0.86)
            middle = (width / 2, height * 0.51)
        else:
            room = (width * (1 - 2 * (0.14 if sides is None else sides)), height * 0.945)
            middle = (width / 2, height / 2)
        scale = min(room[0] / (2 * self.bodies.half[0]), room[1] / (2 * self.bodies.half[1]))
        return View(width, height, scale, *middle, unit)

    def dot(self, view: View, cell: int = -1) -> float:
        """Radius of a vertex in pixels: a part of the space it has, within limits; `cell`: as its own vertices have it."""
        scene = self.scene
        has = (scene.chunk_size > 0) & ((scene.chunk_cell == cell) | (cell < 0))
        if not has.any():
            return 1.0
        space = self.arrangement.chunk_r[has] / np.sqrt(scene.chunk_size[has])
        middle = float(np.quantile(np.repeat(space, np.minimum(scene.chunk_size[has], 50)), 0.35)) * view.scale
        return float(np.clip(0.42 * middle, 0.45 * view.unit, (8.0 if cell < 0 else 3.0) * view.unit))

    def planes(
        self, view: View, colours: Colours, hear: Collection[int] | None = None, work: Collection[int] | None = None
    ) -> dict[str, np.ndarray]:
        """Light of edges (`lines`, `haze`, `ways`) and vertices (`dots`) in a window, float32.

        hear, work: compute sets that are lit at all, of `hear` the edges, of `work` the vertices and the edges within
        cells; all of both where not given.
        """
        slices = 2 if view.width * view.height <= 40_000_000 else 1
        shape = (slices, view.height, view.width)
        lines, ways = np.zeros((*shape, 3), np.float32), np.zeros((*shape, 3), np.float32)
        haze = np.zeros((*shape, 3), np.float32) if not self.exact else None
        phase = np.array([PHASES.index(c.phase) for c in self.scene.cells], np.int32)
        phase_colour = np.array([linear(PHASE_COLOURS[p]) for p in PHASES], np.float32)
        table, where = colours.table, (view.scale, view.ox, view.oy)
        soft = 60.0 * view.unit
        lengths = np.hypot(*np.moveaxis(np.diff(self.ways, axis=1), 2, 0)).sum(1)
        lit = None if hear is None else {*hear, *(work or ())}
        every = 1 if self.exact else self._every()
        for heard, columns in _gathered(self.ends(colours.of_vertex, colours.data, lit), hear):
            x0, y0, x1, y1, cell0, cell1, tint0, tint1, key = columns
            ends = (x0, y0, x1, y1, cell0, cell1)
            if haze is not None:
                raster.draw_haze(haze, *ends, tint0, tint1, key, table, HAZE_POINTS, *where)
            raster.draw_lines(lines, *ends, tint0, tint1, key, table, every, np.uint64(self.seed), *where, 1.0, soft)
            if heard:
                raster.draw_ways(
                    ways, *ends, key, self.routes, self.ways, lengths, phase, phase_colour, self.way_points, *where
                )
        found = {"lines": raster.summed(lines), "ways": raster.summed(ways)}
        if haze is not None:
            found["haze"] = raster.summed(haze)
        dots = np.zeros((*shape, 4), np.float32)
        a = self.arrangement
        parts = [(0, len(a.x), self.dot(view))]
        if work is not None:
            parts = [(*self.scene.set_range(i), parts[0][2]) for i in sorted(work)]
        elif self.style == "plate":  # panels are alike in size, whatever is in them
            parts = [
                (*self.scene.set_range(i), self.dot(view, k)) for k, c in enumerate(self.scene.cells) for i in c.sets
            ]
        for first, last, radius in parts:
            part = slice(first, last)
            raster.draw_dots(dots, a.x[part], a.y[part], colours.of_vertex[part], table, radius, *where)
        found["dots"] = raster.summed(dots)
        return found

    def draw(self, view: View, theme: str, colours: Colours) -> np.ndarray:
        """Pixels (height, width, 3) uint8 of a view, without words; large ones in strips that fit in memory."""
        if view.width * view.height <= STRIP:
            planes = self.planes(view, colours)
            levels = levels_of(planes, self.bodies, view)
            return compose(self.bodies, view, ground_of(theme, self.style), planes, levels, self.sparse)
        ratio = 3840 / view.width  # what counts as full light is read off a smaller picture
        small = View(
            3840, round(view.height * ratio), view.scale * ratio, view.ox * ratio, view.oy * ratio, view.unit * ratio
        )
        planes = self.planes(small, colours)
        levels = levels_of(planes, self.bodies, small)
        levels = Levels(levels.haze * ratio**2, levels.lines * ratio, levels.ways * ratio ** (2 if self.way_points else 1),
                        levels.cover)  # fmt: skip
        del planes
        out = np.empty((view.height, view.width, 3), np.uint8)
        rows = max(64, STRIP // view.width)
        edge = round(90 * view.unit)  # light blooms over the edge of a strip
        for top in range(0, view.height, rows):
            above, below = min(edge, top), min(edge, max(view.height - top - rows, 0))
            high = min(rows, view.height - top)
            strip = View(
                view.width, high + above + below, view.scale, view.ox, view.oy - top + above, view.unit, 0, top - above
            )
            pixels = compose(
                self.bodies, strip, ground_of(theme, self.style), self.planes(strip, colours), levels, self.sparse
            )
            out[top : top + high] = pixels[above : above + high]
        return out


def _gathered(parts: Iterator[Ends], hear: Collection[int] | None) -> Iterator[tuple[bool, list[np.ndarray]]]:
    """Whether it is of the compute sets in `hear`, and columns x0 to key of about GATHERED edges at a time: every drawing
    of some waits for its threads, and small slices are thousands."""
    names = ("x0", "y0", "x1", "y1", "cell0", "cell1", "tint0", "tint1", "key")
    waiting: list[Ends] = []
    edges, heard = 0, True
    for part in parts:
        now = hear is None or part.set in hear
        if waiting and (now != heard or edges + len(part.key) > GATHERED):
            yield heard, [np.concatenate([getattr(w, name) for w in waiting]) for name in names]
            waiting, edges = [], 0
        heard = now
        waiting.append(part)
        edges += len(part.key)
    if waiting:
        yield heard, [np.concatenate([getattr(w, name) for w in waiting]) for name in names]


def draw_computation(
    executable: Any, path: Path, theme: str, focus: str | None, size: tuple[int, int], seed: int, style: str = "tissue",
    color: str = "layer", palette: str = "vivid", bare: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """Draw to PNG; returns the counts that stand in the title, which are the executable's (of the focus, with one)."""
    from PIL import Image

    from .. import __version__

    picture = Picture(executable, focus, style, seed, size[0] / size[1])
    colours = Colours(picture.scene, color, palette, theme == "dark")
    view = picture.view(size) if bare else view_with_labels(picture, size, colours)
    image = Image.fromarray(picture.draw(view, theme, colours))
    title = executable.name + (f" / {focus}" if focus else "")
    scene = picture.scene
    if not bare:
        write_words(image, picture, view, theme, colours, title)
    facts = {
        "vertices": int(executable.num_vertices),
        "edges": int(executable.num_edges),
        "drawn_vertices": scene.num_vertices,
        "drawn_edges": scene.num_edges,
    }
    about = {"title": title, "seed": seed, "mode": picture.mode, "style": style, "color": color, "version": __version__}
    save_png(image, path, {k: str(v) for k, v in (about | facts).items()})
    return {"drawn_vertices": scene.num_vertices, "drawn_edges": scene.num_edges, "groups": len(scene.cells),
            "mode": picture.mode, "style": style}  # fmt: skip
