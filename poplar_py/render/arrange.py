"""Places for cells, chunks and vertices: known hierarchy first, forces only within a cell.

Cells are discs packed by size and traffic; the chunks of a cell settle by forces (repulsion, and springs along the
edges between them) and fill their disc; the vertices of a chunk sit on a sunflower around it. Seeded, so the same
graph gives the same picture.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from .scene import Scene

GOLDEN = np.pi * (3 - np.sqrt(5))


def sunflower(n: int) -> np.ndarray:
    """n points evenly in the unit disc."""
    i = np.arange(n) + 0.5
    r, a = np.sqrt(i / max(n, 1)), i * GOLDEN
    return np.stack([r * np.cos(a), r * np.sin(a)], axis=1)


def place_cells(sizes: np.ndarray, traffic: np.ndarray, aspect: float) -> tuple[np.ndarray, np.ndarray]:
    """(centre, radius) of a disc per cell, none overlapping, near what they talk to; `aspect` is width over height."""
    n = len(sizes)
    radius = np.maximum(sizes.astype(float), 1.0) ** 0.36
    radius = np.maximum(radius, 0.16 * radius.max())
    order = np.argsort(-radius, kind="stable")
    centre = np.zeros((n, 2))
    centre[order] = sunflower(n) * np.sqrt((radius**2).sum()) * 1.3
    pull = traffic + traffic.T
    pull = pull / max(pull.max(), 1)
    stretch = np.array([1.0, aspect])
    for turn in range(900):
        step = 0.5 * (1 - turn / 900) ** 1.2 + 0.01
        delta = centre[None] - centre[:, None]
        distance = np.sqrt((delta**2).sum(-1)) + 1e-9
        force = (delta * pull[..., None] ** 0.5).sum(1) * 0.02
        force -= centre * stretch * 0.018
        centre = centre + step * force
        for _ in range(3):
            delta = centre[None] - centre[:, None]
            distance = np.sqrt((delta**2).sum(-1)) + 1e-9
            overlap = np.maximum((radius[None] + radius[:, None]) * 1.1 - distance, 0)
            np.fill_diagonal(overlap, 0)
            centre = centre - 0.5 * (delta / distance[..., None] * overlap[..., None]).sum(1)
    for _ in range(400):  # only part what still overlaps
        delta = centre[None] - centre[:, None]
        distance = np.sqrt((delta**2).sum(-1)) + 1e-9
        overlap = np.maximum((radius[None] + radius[:, None]) * 1.07 - distance, 0)
        np.fill_diagonal(overlap, 0)
        if not overlap.any():
            break
        centre = centre - 0.5 * (delta / distance[..., None] * overlap[..., None]).sum(1)
    return centre, radius


@njit(cache=True, fastmath=True)
def _settle(position, mass, a, b, weight, turns):
    """Forces among the chunks of one cell, cooled."""
    n = position.shape[0]
    force = np.empty((n, 2))
    for turn in range(turns):
        heat = 0.12 * (1.0 - turn / turns) + 0.004
        for i in range(n):
            fx, fy = -0.35 * position[i, 0], -0.35 * position[i, 1]
            for j in range(n):
                dx, dy = position[i, 0] - position[j, 0], position[i, 1] - position[j, 1]
                d2 = dx * dx + dy * dy + 1e-5
                push = mass[j] / d2
                fx += dx * push
                fy += dy * push
            force[i, 0], force[i, 1] = fx, fy
        for e in range(a.size):
            dx, dy = position[b[e], 0] - position[a[e], 0], position[b[e], 1] - position[a[e], 1]
            w = weight[e]
            force[a[e], 0] += w * dx / mass[a[e]] * 0.002
            force[a[e], 1] += w * dy / mass[a[e]] * 0.002
            force[b[e], 0] -= w * dx / mass[b[e]] * 0.002
            force[b[e], 1] -= w * dy / mass[b[e]] * 0.002
        for i in range(n):
            size = np.sqrt(force[i, 0] ** 2 + force[i, 1] ** 2) + 1e-12
            move = min(size * 0.02, heat) / size
            position[i, 0] += force[i, 0] * move
            position[i, 1] += force[i, 1] * move


def place_chunks(scene: Scene, centre: np.ndarray, radius: np.ndarray, seed: int) -> np.ndarray:
    """A place for every chunk inside its cell."""
    place = np.zeros((len(scene.chunk_group), 2))
    a, b, weight = _links(scene)
    inside = scene.chunk_group[a] == scene.chunk_group[b]
    a, b, weight = a[inside], b[inside], weight[inside]
    owner = scene.chunk_group[a]
    for g in range(len(centre)):
        members = np.flatnonzero(scene.chunk_group == g)
        if not len(members):
            continue
        mine = owner == g
        local = np.full(len(place), -1)
        local[members] = np.arange(len(members))
        n = len(members)
        rng = np.random.default_rng([seed, g])
        start = sunflower(n)[rng.permutation(n)] + rng.normal(0, 0.01, (n, 2))
        mass = np.full(n, 1.0 / n)
        turns = int(np.clip(4e8 / max(n * n, 1), 60, 260))
        _settle(start, mass, local[a[mine]], local[b[mine]], np.sqrt(weight[mine].astype(float)), turns)
        place[members] = centre[g] + _fill(start) * radius[g] * 0.88
    return place


def _fill(position: np.ndarray) -> np.ndarray:
    """Points spread to fill the unit disc: angles stay, radii go half way to even area."""
    position = position - np.median(position, axis=0)
    r = np.sqrt((position**2).sum(1)) + 1e-12
    rank = np.argsort(np.argsort(r, kind="stable"), kind="stable")
    even = np.sqrt((rank + 0.5) / len(r))
    scaled = r / np.quantile(r, 0.97)
    wanted = np.minimum(0.45 * scaled + 0.55 * even, 1.0)
    return position / r[:, None] * wanted[:, None]


def _links(scene: Scene) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Edges between chunks with how many edges of the graph each stands for."""
    a = scene.vertex_chunk[scene.edge_vertex]
    key = a * len(scene.chunk_group) + scene.edge_chunk
    unique, weight = np.unique(key, return_counts=True)
    return unique // len(scene.chunk_group), unique % len(scene.chunk_group), weight


def traffic_between(scene: Scene) -> np.ndarray:
    """Edges between cells, a matrix."""
    groups = len(scene.group_names)
    a, b = scene.chunk_group[scene.vertex_chunk[scene.edge_vertex]], scene.chunk_group[scene.edge_chunk]
    return np.bincount(a * groups + b, minlength=groups * groups).reshape(groups, groups).astype(float)


def place_vertices(scene: Scene, chunks: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Vertices of a chunk on a sunflower of radius `spread` (per chunk) around it."""
    order = np.argsort(scene.vertex_chunk, kind="stable")
    sorted_chunk = scene.vertex_chunk[order]
    first = np.searchsorted(sorted_chunk, np.arange(len(chunks)))
    within = np.arange(len(order)) - first[sorted_chunk]
    size = np.maximum(scene.chunk_size[sorted_chunk], 1)
    r = np.where(size > 1, np.sqrt((within + 0.5) / size), 0.0) * spread[sorted_chunk]
    angle = within * GOLDEN + sorted_chunk * 2.39996
    place = np.empty((len(order), 2))
    place[order] = chunks[sorted_chunk] + np.stack([r * np.cos(angle), r * np.sin(angle)], axis=1)
    return place
