"""Forces among a few hundred or thousand bodies: settling, parting, and the power diagram of cells in a disc.

Each run is serial, without the interpreter's lock: cells settle side by side in threads, and a result depends on neither
their number nor their timing.
"""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, fastmath=True, nogil=True)
def _pushed(x, y, mass, xi, yi):
    """Sum of the pushes of all bodies on a place; a loop of its own, which the compiler turns into vector code."""
    sx, sy = np.float32(0), np.float32(0)
    for j in range(x.size):
        dx, dy = xi - x[j], yi - y[j]
        push = mass[j] / (dx * dx + dy * dy + np.float32(1e-6))
        sx += dx * push
        sy += dy * push
    return sx, sy


@njit(cache=True, fastmath=True, nogil=True)
def settle(x, y, mass, first, other, weight, turns, repel, gravity, heat):
    """Move bodies until repulsion (mass a distance), springs (weight times distance) and gravity are at rest.

    x, y float32, changed in place. first, other, weight: springs of body i are rows first[i] .. first[i + 1], each
    listed at both its ends. heat: the furthest that a body moves in the first turn; it falls to nothing.
    """
    n = x.size
    fx, fy = np.empty(n, np.float32), np.empty(n, np.float32)
    for turn in range(turns):
        most = heat * (1.0 - turn / turns) ** 1.3 + 1e-4
        for i in range(n):
            xi, yi = x[i], y[i]
            sx, sy = _pushed(x, y, mass, xi, yi)
            sx *= repel * mass[i]
            sy *= repel * mass[i]
            for e in range(first[i], first[i + 1]):
                j = other[e]
                sx -= weight[e] * (xi - x[j])
                sy -= weight[e] * (yi - y[j])
            fx[i] = sx - gravity * mass[i] * xi
            fy[i] = sy - gravity * mass[i] * yi
        for i in range(n):
            pull = gravity * mass[i]
            for e in range(first[i], first[i + 1]):
                pull += weight[e]
            mx, my = fx[i] / (pull + mass[i] * 0.5), fy[i] / (pull + mass[i] * 0.5)
            size = np.sqrt(mx * mx + my * my) + 1e-12
            step = min(size * 0.6, most) / size
            x[i] += mx * step
            y[i] += my * step


def springs(n: int, a: np.ndarray, b: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Springs as rows a body: (first, other, weight), each spring at both its ends."""
    here, there, w = np.concatenate([a, b]), np.concatenate([b, a]), np.concatenate([weight, weight])
    order = np.argsort(here, kind="stable")
    first = np.searchsorted(here[order], np.arange(n + 1)).astype(np.int64)
    return first, there[order].astype(np.int64), w[order].astype(np.float32)


@njit(cache=True, nogil=True)
def part_discs(x, y, r, turns, share):
    """Push overlapping discs apart, lighter ones further; in place. A grid of the largest disc finds neighbours."""
    n = x.size
    if n < 2:
        return
    cell = max(2.0 * r.max(), 1e-6)
    for _ in range(turns):
        moved = 0
        x0, y0 = x.min(), y.min()
        columns = int((x.max() - x0) / cell) + 1
        rows = int((y.max() - y0) / cell) + 1
        head = np.full(columns * rows, -1, np.int64)
        link = np.empty(n, np.int64)
        for i in range(n):
            at = int((y[i] - y0) / cell) * columns + int((x[i] - x0) / cell)
            link[i] = head[at]
            head[at] = i
        for i in range(n):
            ci, ri = int((x[i] - x0) / cell), int((y[i] - y0) / cell)
            for rr in range(max(ri - 1, 0), min(ri + 2, rows)):
                for cc in range(max(ci - 1, 0), min(ci + 2, columns)):
                    j = head[rr * columns + cc]
                    while j >= 0:
                        if j > i:
                            dx, dy = x[j] - x[i], y[j] - y[i]
                            reach = r[i] + r[j]
                            d2 = dx * dx + dy * dy
                            if d2 < reach * reach:
                                d = np.sqrt(d2) + 1e-9
                                if d2 == 0.0:
                                    dx, dy = 1e-9 * (1 + i % 7), 1e-9 * (1 + j % 5)
                                o = (reach - d) / d * share
                                wi, wj = r[j] * r[j], r[i] * r[i]
                                s = wi + wj + 1e-30
                                x[i] -= dx * o * wi / s
                                y[i] -= dy * o * wi / s
                                x[j] += dx * o * wj / s
                                y[j] += dy * o * wj / s
                                moved += 1
                        j = link[j]
        if moved == 0:
            break


@njit(cache=True)
def _label(px, py, cx, cy, weight, label):
    for k in range(px.size):
        best, at = 1e30, 0
        for i in range(cx.size):
            d = (px[k] - cx[i]) ** 2 + (py[k] - cy[i]) ** 2 - weight[i]
            if d < best:
                best, at = d, i
        label[k] = at


def power_cells(
    centre: np.ndarray, area: np.ndarray, pull: np.ndarray, turns: int = 160, across: int = 220
) -> tuple[np.ndarray, np.ndarray]:
    """Sites and weights of a power diagram of the unit disc whose cells have about the given areas (sum 1).

    Lloyd's iteration with weights that follow the areas; `pull` (n, n) draws cells with traffic together at first.
    After Balzer and Deussen, "Voronoi treemaps", 2005, and Nocaj and Brandes, "Computing Voronoi treemaps", 2012.
    """
    n = len(centre)
    side = (np.arange(across) + 0.5) / across * 2 - 1
    px, py = (a.ravel() for a in np.meshgrid(side, side))
    inside = px * px + py * py < 1
    px, py = px[inside], py[inside]
    wanted = area / area.sum() * len(px)
    site, weight = centre.copy(), np.zeros(n)
    label = np.zeros(len(px), np.int64)
    pixel = np.pi / len(px)
    for turn in range(turns):
        _label(px, py, site[:, 0].copy(), site[:, 1].copy(), weight, label)
        count = np.bincount(label, minlength=n)
        middle = np.stack([np.bincount(label, p, minlength=n) for p in (px, py)], 1) / np.maximum(count, 1)[:, None]
        middle = np.where(count[:, None] > 0, middle, site * 0.9)
        site += 0.5 * (middle - site)
        if turn < turns * 0.6 and n > 1:
            drawn = pull @ site / np.maximum(pull.sum(1), 1e-12)[:, None] - site
            site += 0.02 * (1 - turn / (turns * 0.6)) * drawn
        weight += 0.3 * (wanted - count) * pixel
        weight -= weight.mean()
    return site, weight
