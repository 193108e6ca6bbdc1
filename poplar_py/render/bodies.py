"""Places of cells: the three arrangements of the computation view, in units of the picture's body.

tissue: cells of a power diagram packed in the unit disc, areas by vertices, neighbours by traffic.
nebula: cells float free; forces alone place them.
plate: a column for each layer in program order, a row for each phase.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .forces import part_discs, power_cells, settle, springs
from .hierarchy import PHASES
from .scene import Scene

ANGLES = 1024  # of an outline
MARGIN = 0.014  # half the width of a membrane
BAND = 0.30  # of half a panel's height, for its name
ROUND = 9.0  # exponent that rounds the corners of a cell


@dataclass
class Bodies:
    """Where cells are. centre (n, 2); outline (n, ANGLES): radius of each cell by angle; weight: of the power diagram;
    kind: tissue, nebula or plate; half: half width and height of the whole arrangement; panel: half size of a plate."""

    kind: str
    centre: np.ndarray
    outline: np.ndarray
    weight: np.ndarray
    half: tuple[float, float]
    panel: tuple[float, float] = (0.0, 0.0)

    def radius(self, cell: np.ndarray, angle: np.ndarray) -> np.ndarray:
        """Radius of the outlines of `cell` at `angle`."""
        at = angle / (2 * np.pi) * ANGLES % ANGLES
        low = at.astype(np.int64) % ANGLES
        share = at - np.floor(at)
        return self.outline[cell, low] * (1 - share) + self.outline[cell, (low + 1) % ANGLES] * share


def bodies_of(scene: Scene, style: str, seed: int, aspect: float) -> Bodies:
    """Place the cells in a style; `aspect`: width over height of the room there is."""
    mass = np.array([max(c.vertices, 1) for c in scene.cells], float)
    if style == "plate":
        return _plate(scene, aspect)
    if len(mass) == 1:
        return _single(aspect, style)
    traffic = scene.traffic + scene.traffic.T
    np.fill_diagonal(traffic, 0)
    rough = _float_cells(mass, traffic, seed)
    return _tissue(mass, traffic, rough) if style == "tissue" else _nebula(mass, traffic, rough, seed, aspect)


def _single(aspect: float, style: str) -> Bodies:
    """One cell: a superellipse that fills the room."""
    wide = max(1.0, min(aspect, 1.45))
    angle = np.arange(ANGLES) / ANGLES * 2 * np.pi
    outline = ((np.abs(np.cos(angle)) / (wide * 0.985)) ** 3 + (np.abs(np.sin(angle)) / 0.985) ** 3) ** (-1 / 3)
    return Bodies(
        "nebula" if style == "nebula" else "tissue", np.zeros((1, 2)), outline[None], np.zeros(1), (wide, 1.0)
    )


def _share(traffic: np.ndarray, mass: np.ndarray) -> np.ndarray:
    """Traffic as a share of the two cells' size, at most 1, with a floor where there is any."""
    share = traffic / np.sqrt(mass[:, None] * mass[None])
    share = np.sqrt(share / max(share.max(), 1e-12))
    return np.where(traffic > 0, 0.12 + 0.88 * share, 0.0)


def _float_cells(mass: np.ndarray, traffic: np.ndarray, seed: int) -> np.ndarray:
    """Cells as bodies on springs of traffic; the start is a ring in program order, so flow is not tangled."""
    n = len(mass)
    rng = np.random.default_rng([seed, 11])
    angle = np.arange(n) / n * 2 * np.pi + rng.random() * 6.28
    radius = 0.8 + 0.25 * rng.random(n)
    x, y = (radius * np.cos(angle)).astype(np.float32), (radius * np.sin(angle)).astype(np.float32)
    share = _share(traffic, mass)
    a, b = np.nonzero(np.triu(share, 1))
    first, other, weight = springs(n, a, b, share[a, b])
    heavy = np.sqrt(mass / mass.sum()).astype(np.float32) * np.float32(np.sqrt(n) * 0.6)
    heavy = np.maximum(heavy, 0.25).astype(np.float32)
    settle(x, y, heavy, first, other, weight, 900, np.float32(0.35), np.float32(0.16), np.float32(0.12))
    place = np.stack([x, y], 1).astype(float)
    place -= place.mean(0)
    return place / (np.hypot(*place.T).max() * 1.08)


def _tissue(mass: np.ndarray, traffic: np.ndarray, rough: np.ndarray) -> Bodies:
    n = len(mass)
    area = mass**0.8
    area = np.maximum(area, area.sum() * 0.0055)
    centre, weight = power_cells(rough, area / area.sum(), _share(traffic, mass))
    angle = np.arange(ANGLES) / ANGLES * 2 * np.pi
    ray = np.stack([np.cos(angle), np.sin(angle)], 1)
    outline = np.empty((n, ANGLES))
    for i in range(n):
        total = np.zeros(ANGLES)
        for j in range(n):
            if j == i:
                continue
            d = centre[j] - centre[i]
            length = np.hypot(*d) + 1e-9
            wall = max((length * length + weight[i] - weight[j]) / (2 * length) - MARGIN, 2e-3)
            total += np.maximum(ray @ (d / length) / wall, 0) ** ROUND
        along = ray @ centre[i]
        rim = (1 - MARGIN * 0.6) ** 2 - centre[i] @ centre[i]
        total += (1 / np.maximum(-along + np.sqrt(np.maximum(along**2 + rim, 0)), 2e-3)) ** ROUND
        outline[i] = total ** (-1 / ROUND)
    return Bodies("tissue", centre, outline, weight, (1.0, 1.0))


def _nebula(mass: np.ndarray, traffic: np.ndarray, rough: np.ndarray, seed: int, aspect: float) -> Bodies:
    """Discs by size, parted so that they hardly touch, on a wide field."""
    radius = np.sqrt(np.maximum(mass**0.8, (mass**0.8).sum() * 0.004))
    radius = radius / np.sqrt((radius**2).sum()) * 0.78
    wide = max(1.0, min(aspect, 1.7))
    x, y = rough[:, 0] * wide * 1.15, rough[:, 1] * 1.15
    for _ in range(60):
        x *= 0.991
        y *= 0.980
        part_discs(x, y, radius * 1.03, 40, 0.5)
    half = float(np.abs(x).max() + radius.max()), float(np.abs(y).max() + radius.max())
    x, y = x - (x.max() + x.min()) / 2, y - (y.max() + y.min()) / 2
    half = float((np.abs(x) + radius).max()), float((np.abs(y) + radius).max())
    outline = np.repeat(radius[:, None], ANGLES, 1)
    return Bodies("nebula", np.stack([x, y], 1), outline, np.zeros(len(mass)), half)


def _plate(scene: Scene, aspect: float) -> Bodies:
    paths = list(dict.fromkeys(c.path for c in scene.cells))
    phases = [p for p in PHASES if any(c.phase == p for c in scene.cells)]
    at = [(paths.index(c.path), phases.index(c.phase)) for c in scene.cells]
    columns, rows = len(paths), len(phases)
    folds = 1
    if rows == 1:  # inference: one long row reads as lines of text
        folds = max(1, round(np.sqrt(columns / max(aspect, 0.5) / 1.0)))
        columns = -(-len(paths) // folds)
        at = [(c % columns, c // columns) for c, _ in at]
        rows = folds
    elif columns > 12 * aspect:
        folds = 2
        columns = -(-len(paths) // folds)
        at = [(c % columns, r + (c // columns) * rows) for c, r in at]
        rows *= folds
    height = 2.0 / rows
    width = 2.0 * aspect / columns
    width, height = min(width, height * 1.25), min(height, width * 1.35)
    centre = np.array([((c - (columns - 1) / 2) * width, (r - (rows - 1) / 2) * height) for c, r in at], float)
    centre = centre.reshape(-1, 2)
    hx, hy = width / 2 * 0.94, height / 2 * 0.94
    angle = np.arange(ANGLES) / ANGLES * 2 * np.pi
    one = ((np.abs(np.cos(angle)) / hx) ** ROUND + (np.abs(np.sin(angle)) / hy) ** ROUND) ** (-1 / ROUND)
    outline = np.repeat(one[None], len(at), 0)
    return Bodies("plate", centre, outline, np.zeros(len(at)), (columns * width / 2, rows * height / 2), (hx, hy))
