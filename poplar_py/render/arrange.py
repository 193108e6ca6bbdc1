"""Places of chunks and vertices inside their cells.

Forces act on chunks only. They start where the hierarchy puts them, at the angle of their tile and the radius of their
turn in the program, which keeps what one tile does together; settle by the edges between them; then fill the cell: radii
go half way to even area, discs are parted, angles are stretched to the outline. Vertices stand in their chunk along a
Hilbert curve, which keeps neighbours together, and are then drawn a little to those they talk to: that makes petals.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numba import njit, prange
from scipy.ndimage import gaussian_filter1d, maximum_filter1d

from .bodies import BAND, Bodies
from .forces import part_discs, settle, springs
from .scene import Scene

EVEN = 0.55  # how far radii go to even area
FILL = 0.6  # share of a cell that the discs of its chunks cover
PULL = 0.22  # of a vertex towards those it talks to
SECTORS = 48


class Arrangement:
    """x, y (float32, per vertex) and chunk_x, chunk_y, chunk_r, in the units of `bodies`."""

    def __init__(self, scene: Scene, bodies: Bodies, seed: int):
        self.scene, self.bodies = scene, bodies
        n = len(scene.chunk_cell)
        self.chunk_x, self.chunk_y, self.chunk_r = (np.zeros(n, np.float32) for _ in range(3))
        self._chunks(seed)
        first = np.concatenate([[0], np.cumsum(scene.chunk_size)])[:-1]
        self.x = np.empty(scene.num_vertices, np.float32)
        self.y = np.empty(scene.num_vertices, np.float32)
        _stand(self.x, self.y, scene.vertex_chunk, scene.vertex_rank, scene.chunk_size, self.chunk_x, self.chunk_y,
               self.chunk_r, np.uint64(seed))  # fmt: skip
        self.first = first
        self._pull(seed)

    def _chunks(self, seed: int) -> None:
        scene = self.scene
        same = scene.chunk_cell[scene.link_from] == scene.chunk_cell[scene.link_to]
        same &= scene.link_from != scene.link_to
        a, b, weight = scene.link_from[same], scene.link_to[same], scene.link_weight[same]
        by_cell = np.argsort(scene.chunk_cell[a], kind="stable")
        a, b, weight = a[by_cell], b[by_cell], weight[by_cell]
        link_first = np.searchsorted(scene.chunk_cell[a], np.arange(len(scene.cells) + 1))
        order = np.argsort(scene.chunk_cell, kind="stable")
        chunk_first = np.searchsorted(scene.chunk_cell[order], np.arange(len(scene.cells) + 1))
        local = np.empty(len(order), np.int64)
        local[order] = np.arange(len(order)) - chunk_first[scene.chunk_cell[order]]

        def one(g: int) -> None:
            members = order[chunk_first[g] : chunk_first[g + 1]]
            mine = slice(link_first[g], link_first[g + 1])
            x, y, r = _layout(scene, members, local[a[mine]], local[b[mine]], weight[mine], [seed, g])
            x, y, r = _fill(x, y, r, _mass(scene, members), self.bodies, g)
            self.chunk_x[members], self.chunk_y[members], self.chunk_r[members] = x, y, r

        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
            list(pool.map(one, range(len(scene.cells))))

    def _pull(self, seed: int) -> None:
        """Draw every vertex towards the mean of those it shares edges with in its cell, then shake a little."""
        scene = self.scene
        sx, sy, count = (np.zeros(scene.num_vertices, np.float32) for _ in range(3))
        cell = scene.chunk_cell.astype(np.int32)
        total = scene.num_edges
        every = max(1, total // 40_000_000) | 1  # means of a part of the edges are as good
        for cs in scene.flow.sets:
            for part in scene.flow.edges_of(cs, writes=False, every=every):
                _gather(part.vertex, part.other, scene.vertex_chunk, cell, self.x, self.y, sx, sy, count)
        limit = self.chunk_r if total > 300_000 else self.chunk_r * 2.5
        _draw_in(self.x, self.y, sx, sy, count, PULL, scene.vertex_chunk, limit, scene.chunk_size, np.uint64(seed))


def _mass(scene: Scene, members: np.ndarray) -> np.ndarray:
    """Mass of chunks: their vertices; chunks of variables weigh as a small one."""
    size = scene.chunk_size[members].astype(float)
    mean = size[size > 0].mean() if (size > 0).any() else 1.0
    return np.where(size > 0, np.maximum(size, 0.15 * mean), 0.25 * mean)


def _layout(scene: Scene, members: np.ndarray, a: np.ndarray, b: np.ndarray, weight: np.ndarray, seed: list[int]):
    """Chunks of one cell settled by forces, about the origin; (x, y, mass-proportional radius)."""
    n = len(members)
    mass = _mass(scene, members)
    if n == 1:
        return np.zeros(1), np.zeros(1), np.sqrt(mass / mass.sum())
    rng = np.random.default_rng(seed)
    sets = scene.chunk_set[members]
    _, turn = np.unique(np.where(sets < 0, -1, sets), return_inverse=True)
    share = np.empty(n)
    for t in np.unique(turn):
        mine = np.flatnonzero(turn == t)
        share[mine] = (np.arange(len(mine)) + 0.5) / len(mine)
    reach = 0.35 + 0.65 * (turn + 0.5) / (turn.max() + 1)
    angle = share * 2 * np.pi + 0.02 * rng.standard_normal(n)
    reach = reach * (1 + 0.04 * rng.standard_normal(n))
    x, y = (reach * np.cos(angle)).astype(np.float32), (reach * np.sin(angle)).astype(np.float32)
    strength = np.bincount(a, weight, n) + np.bincount(b, weight, n) + 1e-9
    spring = weight / np.minimum(strength[a], strength[b]) if len(a) else weight
    degree = np.bincount(a, minlength=n) + np.bincount(b, minlength=n)
    spring = spring / np.sqrt(np.maximum(np.maximum(degree[a], degree[b]) / 24.0, 1.0)) if len(a) else spring
    body = np.sqrt(mass / mass.mean()).astype(np.float32)
    first, other, w = springs(n, a, b, spring * 1.3)
    scale = np.float32(1.6 / n)
    settle(x, y, body, first, other, w, scene.turns, scale, np.float32(0.10), np.float32(0.18))
    return x.astype(float), y.astype(float), np.sqrt(mass / mass.sum())


def _fill(x, y, r, mass, bodies: Bodies, g: int):
    """Settled chunks of a cell spread over it: (x, y, radius of each chunk's disc)."""
    angle = np.arange(bodies.outline.shape[1]) / bodies.outline.shape[1] * 2 * np.pi
    outline = bodies.outline[g]
    inner = float(np.sqrt((outline**2).mean()))
    if bodies.kind == "plate":
        inner = min(bodies.panel[0] * 0.93, bodies.panel[1] * (1 - BAND) * 0.93)
    n = len(x)
    if n == 1:
        low = bodies.panel[1] * BAND * 0.8 if bodies.kind == "plate" else 0.0
        return bodies.centre[g, :1], bodies.centre[g, 1:] + low, np.array([inner * 0.62])
    x, y = x - np.average(x, weights=mass), y - np.average(y, weights=mass)
    reach = np.hypot(x, y)
    size = np.quantile(reach, 0.985) + 1e-12
    x, y, reach = x / size, y / size, reach / size
    order = np.argsort(reach, kind="stable")
    even = np.empty(n)
    even[order] = np.sqrt((np.cumsum(mass[order]) - 0.5 * mass[order]) / mass.sum())
    factor = (1 - EVEN) + EVEN * even / np.maximum(reach, 1e-6)
    x, y = x * factor, y * factor
    r = r * np.sqrt(FILL)
    part_discs(x, y, r, 60, 0.5)
    if bodies.kind == "tissue":
        x, y = _turned(x, y, mass, outline, angle)
    share = np.arctan2(y, x) % (2 * np.pi)
    sector = (share / (2 * np.pi) * SECTORS).astype(int) % SECTORS
    extent = np.zeros(SECTORS)
    np.maximum.at(extent, sector, np.hypot(x, y) + r)
    extent = gaussian_filter1d(maximum_filter1d(extent, 5, mode="wrap"), 2.0, mode="wrap")
    extent = np.maximum(extent, extent.max() * 0.6)
    wrapped = np.concatenate([extent[-1:], extent, extent[:1]])
    stretch = np.interp(share / (2 * np.pi) * SECTORS - 0.5, np.arange(-1, SECTORS + 1), wrapped)
    x, y, r = x / stretch, y / stretch, r / extent.mean()
    part_discs(x, y, r * 0.96, 40, 0.5)
    reach = np.hypot(x, y)
    size = np.quantile(reach + r, 0.995)
    x, y, r, reach = x / size, y / size, r / size, reach / size
    limit = np.minimum(1.0, 0.97 / np.maximum(reach + r * 0.7, 1e-9))
    x, y, reach = x * limit, y * limit, reach * limit
    if bodies.kind == "plate":
        low = bodies.panel[1] * BAND * 0.8
        return bodies.centre[g, 0] + x * inner, bodies.centre[g, 1] + y * inner + low, r * inner
    if bodies.kind == "nebula":
        return bodies.centre[g, 0] + x * inner * 1.12, bodies.centre[g, 1] + y * inner * 1.12, r * inner * 0.8
    edge = bodies.radius(np.full(n, g), np.arctan2(y, x) % (2 * np.pi))
    bend = np.clip(reach, 0, 1) ** 1.2
    out = (1 - bend) * min(inner, float(outline.max())) + bend * edge
    return bodies.centre[g, 0] + x * out, bodies.centre[g, 1] + y * out, r * inner * 0.92


def _turned(x, y, mass, outline, angle):
    """Turned so that the long axis of the chunks lies along the cell's."""

    def axis(px, py, weights=None):
        values, vectors = np.linalg.eigh(np.cov(np.stack([px, py]), aweights=weights))
        return np.arctan2(vectors[1, 1], vectors[0, 1]), values

    mine, _ = axis(x, y, mass)
    wall, _ = axis(outline * np.cos(angle), outline * np.sin(angle))
    turn = wall - mine
    return x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)


@njit(cache=True, inline="always")
def _hash(h):
    h ^= h >> np.uint64(33)
    h *= np.uint64(0xFF51AFD7ED558CCD)
    h ^= h >> np.uint64(33)
    h *= np.uint64(0xC4CEB9FE1A85EC53)
    return h ^ (h >> np.uint64(33))


@njit(cache=True, inline="always")
def hilbert(share):
    """Point of the unit square [-1, 1]^2 at `share` of a Hilbert curve of 256 x 256."""
    t = np.int64(share * 65535.999)
    x, y, s = 0, 0, 1
    while s < 256:
        rx = 1 & (t // 2)
        ry = 1 & (t ^ rx)
        if ry == 0:
            if rx == 1:
                x, y = s - 1 - x, s - 1 - y
            x, y = y, x
        x += s * rx
        y += s * ry
        t //= 4
        s *= 2
    return (x + 0.5) / 128.0 - 1.0, (y + 0.5) / 128.0 - 1.0


@njit(cache=True, inline="always")
def to_disc(u, v):
    """The square [-1, 1]^2 mapped on the unit disc, areas kept (Shirley and Chiu, 1997)."""
    if u == 0.0 and v == 0.0:
        return 0.0, 0.0
    if abs(u) > abs(v):
        r, a = u, 0.7853981633974483 * (v / u)
    else:
        r, a = v, 1.5707963267948966 - 0.7853981633974483 * (u / v)
    return r * np.cos(a), r * np.sin(a)


@njit(cache=True, parallel=True)
def _stand(x, y, chunk, rank, size, cx, cy, cr, seed):
    for i in prange(x.size):
        c = chunk[i]
        n = size[c]
        if n == 1:
            x[i], y[i] = cx[c], cy[c]
        elif n < 12:  # few stand on a sunflower
            a = rank[i] * 2.399963229728653 + c
            r = cr[c] * 0.9 * np.sqrt((rank[i] + 0.4) / n)
            x[i], y[i] = cx[c] + r * np.cos(a), cy[c] + r * np.sin(a)
        else:
            u, v = hilbert((rank[i] + 0.5) / n)
            h = _hash(np.uint64(i) * np.uint64(0x9E3779B97F4A7C15) + seed)
            shake = 1.6 / np.sqrt(n)
            u += ((h & np.uint64(0xFFFF)) / 65536.0 - 0.5) * shake
            v += (((h >> np.uint64(20)) & np.uint64(0xFFFF)) / 65536.0 - 0.5) * shake
            dx, dy = to_disc(u, v)
            x[i], y[i] = cx[c] + cr[c] * dx, cy[c] + cr[c] * dy


@njit(cache=True)
def _gather(vertex, other, chunk, cell, x, y, sx, sy, count):
    for e in range(vertex.size):
        a, b = vertex[e], other[e]
        if b >= 0 and a != b and cell[chunk[a]] == cell[chunk[b]]:
            sx[a] += x[b]
            sy[a] += y[b]
            count[a] += 1
            sx[b] += x[a]
            sy[b] += y[a]
            count[b] += 1


@njit(cache=True, parallel=True)
def _draw_in(x, y, sx, sy, count, share, chunk, limit, size, seed):
    """Towards the mean by `share`, at most as far as `limit` of the chunk; then a shake of a part of its radius."""
    for i in prange(x.size):
        c = chunk[i]
        if count[i] > 0:
            dx, dy = share * (sx[i] / count[i] - x[i]), share * (sy[i] / count[i] - y[i])
            far = np.sqrt(dx * dx + dy * dy) + 1e-12
            most = limit[c] * 2.2
            scale = most * np.tanh(far / most) / far
            x[i] += dx * scale
            y[i] += dy * scale
        if size[c] >= 12:
            h = _hash(np.uint64(i) * np.uint64(0xD6E8FEB86659FD93) + seed)
            a = 6.283185307179586 * ((h & np.uint64(0xFFFF)) / 65536.0)
            r = limit[c] * 0.13 * np.sqrt(((h >> np.uint64(20)) & np.uint64(0xFFFF)) / 65536.0)
            x[i] += r * np.cos(a)
            y[i] += r * np.sin(a)
