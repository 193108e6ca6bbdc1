"""Colours of vertices in the computation view: by layer, kind, phase, tile or cycles; tints are rows of a table.

Colours are linear light (float32), made in OKLCH (Ottosson, "A perceptual color space for image processing", 2020),
where equal steps look equal. The safe palette keeps apart under normal, protan, deutan and tritan sight.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .hierarchy import PHASES, Cell, find_cells
from .palette import KIND_NAMES, KINDS, kind_of, rgb
from .palette import PHASES as PHASE_COLOURS

HUES = (212, 258, 68, 152, 32, 302, 186, 112, 345, 235, 50, 130, 10, 280, 90, 170)
KIND_SHIFT = {  # of the layer's hue, with lightness and chroma
    "multiply": (-26, 0.80, 0.155),
    "reduce": (62, 0.87, 0.13),
    "elementwise": (6, 0.74, 0.15),
    "update": (150, 0.76, 0.16),
    "loss": (-100, 0.80, 0.12),
    "data": (0, 0.93, 0.035),
    "other": (100, 0.80, 0.12),
}
SAFE_LAYERS = ("#56b4e9", "#e69f00", "#009e73", "#f0e442", "#cc79a7", "#d55e00", "#4b7fe8", "#b9b9b9")
VIVID_KINDS = {
    "multiply": "#ffc53a",
    "reduce": "#2ad2f2",
    "elementwise": "#3be08c",
    "update": "#ff5aa5",
    "loss": "#b488ff",
    "data": "#f4ecd8",
    "other": "#ff8a5c",
}
SAFE_KINDS = {**KINDS, "data": "#f9faec", "other": "#934f00"}
RAMP = ("#2c1a6b", "#5b2ca8", "#a8338f", "#e2576b", "#fb9a55", "#fbe37a")  # cycles, few to many
STEPS = 24  # of a ramp
NO_LAYER = ("loss", "schedule", "others")


def linear(colour: str) -> np.ndarray:
    """sRGB text as linear light."""
    c = np.array(rgb(colour)) / 255
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def text_of(light: np.ndarray) -> str:
    """Linear light as sRGB text."""
    c = np.clip(light, 0, 1)
    c = np.where(c <= 0.0031308, 12.92 * c, 1.055 * c ** (1 / 2.4) - 0.055)
    return "#" + "".join(f"{round(float(v) * 255):02x}" for v in c)


def oklch(lightness: float, chroma: float, hue: float) -> np.ndarray:
    """A colour of OKLCH (hue in degrees) as linear light, clipped to what can be shown."""
    a, b = chroma * np.cos(np.radians(hue)), chroma * np.sin(np.radians(hue))
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    mid = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    red = 4.0767416621 * long - 3.3077115913 * mid + 0.2309699292 * short
    green = -1.2684380046 * long + 2.6097574011 * mid - 0.3413193965 * short
    blue = -0.0041960863 * long - 0.7034186147 * mid + 1.7076147010 * short
    return np.clip(np.array([red, green, blue]), 0, 1)


class Colours:
    """Tints of the vertices of a scene.

    table: (tints, 3) linear light, float32; data: the tint of variables; of_vertex: tint of every vertex, uint16;
    label: text colour of each cell; legend: [(colour, words)].
    """

    def __init__(self, scene: Any, by: str, palette: str, dark: bool):
        self.by, self.safe, self.dark = by, palette == "safe", dark
        self.kinds = SAFE_KINDS if self.safe else VIVID_KINDS
        self.hue = _hue_of(scene)
        rows = [self._kind("data", scene.cells[0] if scene.cells else None)]
        names = {"data": 0}
        self.data = 0
        self.of_vertex = np.empty(scene.num_vertices, np.uint16)
        self.legend: list[tuple[str, str]] = []
        costs = _cycle_levels(scene) if by == "cycles" else {}
        if by in ("tile", "cycles"):
            rows += [self._ramp(k / (STEPS - 1)) for k in range(STEPS)]
        for cs in scene.flow.sets:
            cell = scene.cells[scene.cell_of_set[cs.index]]
            at = scene.flow.base[cs.index]
            for number, block in enumerate(cs.blocks):
                n = int(block.n)
                if by == "tile":
                    tiles = scene.executable.target.num_tiles
                    self.of_vertex[at : at + n] = 1 + block.tile.astype(np.int64) * STEPS // tiles
                elif by == "cycles":
                    self.of_vertex[at : at + n] = 1 + costs[cs.index, number]
                else:
                    kind = kind_of(block.codelet)
                    key = {"kind": kind, "phase": f"{cell.phase} {kind}"}.get(by, f"{self.hue[cell.path]} {kind}")
                    if key not in names:
                        names[key] = len(rows)
                        rows.append(self._one(by, kind, cell))
                    self.of_vertex[at : at + n] = names[key]
                at += n
        self.table = np.array(rows, np.float32).reshape(-1, 3)
        self.label = [self._label(cell) for cell in scene.cells]
        self._make_legend(scene)

    def _kind(self, kind: str, cell: Cell | None) -> np.ndarray:
        return linear(self.kinds[kind]) * (0.4 if kind == "data" else 1.0)  # so hubs of data do not burn out

    def _one(self, by: str, kind: str, cell: Cell) -> np.ndarray:
        if by == "kind":
            return linear(self.kinds[kind])
        if by == "phase":
            strength = {"multiply": 1.0, "reduce": 0.8, "update": 0.9}.get(kind, 0.6)
            return linear(PHASE_COLOURS[cell.phase]) * strength + (0.18 if kind == "reduce" else 0.0)
        return self._layer(self.hue[cell.path], kind)

    def _layer(self, hue: int, kind: str) -> np.ndarray:
        shift, lightness, chroma = KIND_SHIFT[kind]
        if hue < 0:
            return oklch(lightness, chroma * 0.18, 80)
        if self.safe:
            base = linear(SAFE_LAYERS[hue % len(SAFE_LAYERS)])
            return base * {"multiply": 1.0, "reduce": 0.55}.get(kind, 0.8) + {"reduce": 0.3}.get(kind, 0.0)
        return oklch(lightness, chroma, HUES[hue % len(HUES)] + shift)

    def _ramp(self, share: float) -> np.ndarray:
        if self.by == "tile" and not self.safe:
            return oklch(0.78, 0.15, 30 + 330 * share)
        at = share * (len(RAMP) - 1)
        low = min(int(at), len(RAMP) - 2)
        return linear(RAMP[low]) * (1 - at + low) + linear(RAMP[low + 1]) * (at - low)

    def _label(self, cell: Cell) -> str:
        hue = self.hue[cell.path]
        if self.by == "phase":
            colour = linear(PHASE_COLOURS[cell.phase])
            return text_of(colour if self.dark else colour * 0.45)
        if hue < 0 or self.by in ("tile", "cycles"):
            return "#eef2fa" if self.dark else "#1b2130"
        if self.safe:
            return text_of(linear(SAFE_LAYERS[hue % len(SAFE_LAYERS)]) * (1.0 if self.dark else 0.4))
        return text_of(oklch(0.83 if self.dark else 0.50, 0.13, HUES[hue % len(HUES)]))

    def _make_legend(self, scene: Any) -> None:
        if self.by == "kind":
            seen = {kind_of(b.codelet) for cs in scene.flow.sets for b in cs.blocks}
            self.legend = [(self.kinds[k], KIND_NAMES[k]) for k in self.kinds if k in seen]
        elif self.by == "phase":
            self.legend = [(PHASE_COLOURS[p], p) for p in PHASES if any(c.phase == p for c in scene.cells)]
        elif self.by in ("tile", "cycles"):
            words = ("first tile", "last tile") if self.by == "tile" else ("few cycles", "most cycles a vertex")
            self.legend = [(text_of(self._ramp(s)), w) for s, w in ((0.0, words[0]), (0.5, "to"), (1.0, words[1]))]


def _hue_of(scene: Any) -> dict[str, int]:
    """Number of the hue of each layer: of its part of the model where layers are nested, the same in every enlargement of
    more than a part; -1 for what is no layer."""
    whole = [cs for cs in scene.executable.graph.compute_sets if cs.blocks]
    every = scene.cells
    if len(whole) > len(scene.flow.sets):
        every = find_cells(scene.executable, whole, order=scene.flow.order)
    tops: dict[str, int] = {}
    for cell in [*every, *scene.cells]:
        if cell.path not in NO_LAYER:
            tops.setdefault(cell.path.partition("/")[0], len(tops))
    found = {c.path: -1 if c.path in NO_LAYER else tops[c.path.partition("/")[0]] for c in scene.cells}
    if len(set(found.values()) - {-1}) == 1 and len(found) > 1:  # one part of a model: its own parts get hues
        return {path: -1 if hue < 0 else k for k, (path, hue) in enumerate(found.items())}
    return found


def _cycle_levels(scene: Any) -> dict[tuple[int, int], Any]:
    """Step of the ramp by (compute set, block): cycles of a vertex on a logarithmic scale, a number or a column."""
    target = scene.executable.target
    cycles = {
        (cs.index, i): np.log1p(np.asarray(block.cycles(target), float))
        for cs in scene.flow.sets
        for i, block in enumerate(cs.blocks)
    }
    low = min((float(np.min(c)) for c in cycles.values()), default=0.0)
    high = max((float(np.max(c)) for c in cycles.values()), default=1.0)
    return {k: np.round((c - low) / max(high - low, 1e-9) * (STEPS - 1)).astype(np.uint16) for k, c in cycles.items()}
