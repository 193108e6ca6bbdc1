"""A run in time: the computation picture, dim, in which supersteps light up as they happen.

Every frame stands for the same number of cycles. What exchanges in a frame's cycles shows its edges and the bundles they
run in, what computes shows its vertices and the edges within its cell; both fade over the next frames. The strip below
is the whole run, cycles to the right.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .colours import Colours
from .computation import Picture
from .labels import cell_labels, write_labels
from .light import View, compose, ground_of, levels_of
from .movie import encoder, write_movie
from .palette import SPANS, rgb
from .pen import Pen, width_of
from .sides import place_labels
from .timeline import ran
from .words import counts_of

DIM = 0.26  # of its light that a picture keeps where nothing happens
FADE = 0.62  # of the light that is left a frame later
FRAMES = (60, 240)  # fewest and most
FRAMES_A_STEP = 4
MOST = 20_000  # supersteps; a longer run is shown up to there
PANEL = 118  # height of the strip and its words, at 720 rows


@dataclass
class Beat:
    """One superstep of a run: its number in the run, and the cycles at which it begins, hears, works and ends."""

    number: int
    step: Any
    begin: int
    hear: tuple[int, int]
    work: tuple[int, int]
    end: int

    def doing(self, at: float) -> str:
        """What most of its time around cycle `at` goes to."""
        if self.hear[0] <= at < self.hear[1] or at >= self.work[1] > self.work[0]:
            return "exchange"
        return "compute" if self.work[0] <= at < self.work[1] else "sync"


def beats_of(executable: Any, profile: Any, program: int, focus: str | None) -> tuple[list[Beat], int, str]:
    """The supersteps of a run with their times, host cycles left out, and where the order is from.

    Host transfers, which dwarf the rest, are left out where there is anything else.
    """
    order, origin = ran(executable, profile, program)
    steps = [executable.steps[i] for i in order[:MOST] if executable.steps[i].cycles]
    steps = [s for s in steps if not focus or s.name.startswith(focus)] or steps
    host = 0
    if any(s.kind == "execute" for s in steps):
        host = sum(int(s.host_cycles) for s in steps)
        steps = [s for s in steps if not s.host_cycles]
    beats, now = [], 0
    for number, step in enumerate(steps):
        out = int(step.exchange_out_cycles.max(initial=0))
        sync = int(step.sync_cycles) // 2 if out else int(step.sync_cycles)
        hear = now + sync, now + sync + int(step.exchange_cycles.max(initial=0))
        work = hear[1], max(hear[1], min(hear[1] + int(step.compute_cycles.max(initial=0)), now + int(step.cycles)))
        beats.append(Beat(number, step, now, hear, work, now + int(step.cycles)))
        now += int(step.cycles)
    return beats, host, origin


def animate(
    executable: Any, path: Path, theme: str, focus: str | None, size: tuple[int, int], seed: int, profile: Any,
    program: int, frames_per_second: int,
) -> dict[str, Any]:  # fmt: skip
    """Draw and write the frames; returns how many, and the supersteps and cycles they show."""
    if path.suffix.lower() == ".mp4":
        encoder()  # before anything is drawn
    film = Film(executable, theme, focus, size, seed, profile, program)
    write_movie(path, film.frames(), size, frames_per_second, film.count)
    return {"frames": film.count, "supersteps": len(film.beats), "cycles": film.total, "mode": film.picture.mode,
            "drawn_vertices": film.picture.scene.num_vertices, "drawn_edges": film.picture.scene.num_edges}  # fmt: skip


class Film:
    """Frames of a run. count: how many; beats: supersteps; total: cycles of all of them."""

    def __init__(self, executable: Any, theme: str, focus: str | None, size: tuple[int, int], seed: int = 0,
                 profile: Any = None, program: int = 0):  # fmt: skip
        self.executable, self.theme, self.size = executable, theme, size
        self.beats, self.host, self.origin = beats_of(executable, profile, program, focus)
        self.total = self.beats[-1].end if self.beats else 1
        self.count = int(np.clip(FRAMES_A_STEP * len(self.beats), *FRAMES))
        wide, high = size
        self.unit = high / 720
        self.panel = round(PANEL * self.unit)
        self.picture = picture = Picture(executable, focus, "tissue", seed, wide / (high - self.panel))
        inner = picture.view((wide, high - self.panel))
        self.view = View(wide, high, inner.scale, inner.ox, inner.oy, high / 860)
        self.ground = ground_of(theme, "tissue")
        self.colours = Colours(picture.scene, "layer", "vivid", theme == "dark")
        self.title = executable.name + (f" / {focus}" if focus else "")

    def frames(self) -> Iterator[np.ndarray]:
        """Pixels (height, width, 3) uint8, one frame after the other."""
        planes = self.picture.planes(self.view, self.colours)
        levels = levels_of(planes, self.picture.bodies, self.view)
        whole = self._pixels(planes, levels)
        none = self._pixels({name: np.zeros_like(plane) for name, plane in planes.items()}, levels)
        del planes
        rest = (whole - none) * DIM
        glow = np.zeros_like(rest)
        words, where = self._words(none)
        drawn = {cs.index for cs in self.picture.scene.flow.sets}
        last: tuple[frozenset, frozenset] | None = None
        light = np.zeros_like(rest)
        each = self.total / self.count
        for number in range(self.count):
            begin, end = number * each, (number + 1) * each
            lit = self._lit(begin, end, drawn)
            if lit != last:
                light = self._pixels(self.picture.planes(self.view, self.colours, *lit), levels) - none
                last = lit
            glow = _stronger(light, glow * FADE)
            out = np.clip(none + _stronger(rest, glow), 0, 255).astype(np.uint8)
            out[where] = words[where]
            yield self._written(out, min((begin + end) / 2, self.total - 1))

    def _pixels(self, planes: dict[str, np.ndarray], levels: Any) -> np.ndarray:
        return compose(self.picture.bodies, self.view, self.ground, planes, levels, self.picture.sparse).astype(
            np.float32
        )

    def _lit(self, begin: float, end: float, drawn: set[int]) -> tuple[frozenset[int], frozenset[int]]:
        """The compute sets that hear and those that work within some cycles."""
        hear, work = set(), set()
        for beat in self.beats:
            index = beat.step.compute_set
            if index not in drawn or beat.end <= begin or beat.begin >= end:
                continue
            if beat.hear[0] < end and beat.hear[1] > begin and beat.hear[1] > beat.hear[0]:
                hear.add(index)
            if beat.work[0] < end and beat.work[1] > begin:
                work.add(index)
        return frozenset(hear), frozenset(work)

    # words ---------------------------------------------------------------------------------------------------------

    def _words(self, none: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What stands on every frame, and the pixels it takes."""
        from PIL import Image

        from .. import __version__

        image = Image.fromarray(none.astype(np.uint8))
        before = np.asarray(image).copy()
        u, (wide, high), scene = self.unit, self.size, self.picture.scene
        pen = Pen(image, self.ground, u)
        labels = cell_labels(scene, self.picture.bodies, self.view, self.colours.label)
        room = (0.008 * wide, 70 * u, 0.992 * wide, high - self.panel - 8 * u)
        size = place_labels(labels, self.picture.bodies, self.view, room)
        write_labels(pen, labels, size, self.theme == "dark")
        left = 24 * u
        pen.text(left, 26 * u, self.title, 20 * u, self.ground.text, True)
        pen.text(
            left, 50 * u, counts_of(self.executable, scene.num_vertices, scene.num_edges), 13 * u, self.ground.faint
        )
        host = f", host transfers ({self.host:,} cycles) left out" if self.host else ""
        corner = f"{self.origin}{host}    every frame {self.total / self.count:,.0f} cycles    {self.picture.mode}"
        pen.text(left, high - 14 * u, corner, 9.5 * u, self.ground.faint)
        about = f"{self.executable.target.name}    seed {self.picture.seed}    poplar_py {__version__}"
        pen.text(wide - left, high - 14 * u, about, 9.5 * u, self.ground.faint, anchor="r")
        x = wide - left
        for name, meaning in (
            ("sync", "sync: all wait"),
            ("exchange", "exchange: edges light up"),
            ("compute", "compute: vertices light up"),
        ):
            pen.text(x, high - self.panel + 18 * u, meaning, 11.5 * u, self.ground.faint, anchor="r")
            x -= width_of(meaning, 11.5 * u) * 1.04 + 16 * u
            pen.dot(x, high - self.panel + 18 * u, 5 * u, SPANS[name])
            x -= 22 * u
        done = np.asarray(image).copy()
        top, bottom = self._strip_rows()
        done[top:bottom, round(left) : wide - round(left)] = self._strip(wide - 2 * round(left), bottom - top)
        where = (done != before).any(2)
        where[top:bottom, round(left) : wide - round(left)] = True
        return done, where

    def _strip_rows(self) -> tuple[int, int]:
        high = self.size[1]
        return high - round(66 * self.unit), high - round(30 * self.unit)

    def _strip(self, wide: int, high: int) -> np.ndarray:
        """The run as columns of pixels: a column's height is the share of its cycles and tiles that compute, exchange, sync."""
        kinds = ("compute", "exchange", "sync")
        share = np.zeros((wide, 3))
        edges = np.linspace(0, self.total, wide + 1)
        for beat in self.beats:
            step, cycles = beat.step, max(beat.end - beat.begin, 1)
            mean = (
                step.compute_cycles.mean(),
                (step.exchange_cycles + step.exchange_out_cycles).mean(),
                step.sync_cycles,
            )
            first, last = np.searchsorted(edges, (beat.begin, beat.end))
            part = slice(max(first - 1, 0), last)
            over = np.minimum(edges[1:][part], beat.end) - np.maximum(edges[:-1][part], beat.begin)
            share[part] += np.clip(over, 0, None)[:, None] * np.array(mean, float) / cycles
        share *= wide / self.total
        tops = np.cumsum(share, axis=1)
        height = 1 - (np.arange(high) + 0.5)[:, None] / high
        out = np.empty((high, wide, 3), np.uint8)
        out[:] = rgb(SPANS["idle"]) if not self.ground.ink else (226, 228, 233)
        for k in (2, 1, 0):
            out[height < tops[None, :, k]] = rgb(SPANS[kinds[k]])
        return out

    def _written(self, pixels: np.ndarray, at: float) -> np.ndarray:
        """The frame with its counter and the mark on the strip."""
        from PIL import Image

        u, (wide, high) = self.unit, self.size
        image = Image.fromarray(pixels)
        pen = Pen(image, self.ground, u)
        beat = next((b for b in self.beats if b.begin <= at < b.end), None)
        left, y = round(24 * u), high - self.panel + 18 * u
        top, bottom = self._strip_rows()
        x = left + (wide - 2 * left) * at / self.total
        pen.line([(x, top - 2 * u), (x, bottom + 4 * u)], self.ground.text, 1.8 * u)
        if beat is not None:
            doing = beat.doing(at)
            pen.dot(left + 5 * u, y, 6 * u, SPANS[doing])
            time = self.executable.target.seconds(at) * 1e6
            of = f"superstep {beat.number + 1:,} of {len(self.beats):,}"
            pen.text(left + 20 * u, y, of, 13.5 * u, self.ground.text, True)
            name = f"{doing}   {beat.step.name}"
            pen.text(left + 20 * u, y + 21 * u, name, 12.5 * u, self.ground.text)
            count = f"cycle {at:,.0f} of {self.total:,}   {time:,.1f} us"
            pen.text(left + 215 * u, y, count, 13.5 * u, self.ground.faint)
        return np.asarray(image)


def _stronger(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Of two lights (or inks, which are negative) the one further from the ground."""
    return np.where(np.abs(a) > np.abs(b), a, b)
