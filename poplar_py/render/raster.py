"""Edges and vertices as light in float32 planes.

Work is cut into `planes.shape[0]` slices of its own, each with a plane of its own, summed in order: the same bytes
whatever the number of threads. What is random is a hash of the edge, not of the order of drawing.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from .arrange import _hash, hilbert, to_disc
from .routes import POINTS

SPREAD = 0.0058  # half width of the bundle along a way, in units of the body
FAN = 0.16  # share of a way in which an edge leaves for its own end


@njit(cache=True, parallel=True)
def find_ends(vertex, other, place, is_write, x, y, chunk, cell, spike, tint, data, owner, base, size, first, pieces,
              cx, cy, cr, out_x0, out_y0, out_x1, out_y1, cell0, cell1, tint0, tint1):  # fmt: skip
    """Ends of edges: from where data comes (0) to where it goes (1); their cells and tints.

    A region lives a short spike from the vertex that writes it, in a direction of its own (`place` < 0: at the vertex);
    of a variable nobody writes, in the chunk that holds its element. `tint` is per vertex, `data` the tint of variables.
    """
    for e in prange(vertex.size):
        v, w, p = vertex[e], other[e], place[e]
        cv = chunk[v]
        if is_write or w == v:
            h = _hash(np.uint64(abs(p)) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(1))
            a = 6.283185307179586 * ((h & np.uint64(0xFFFF)) / 65536.0)
            tx, ty = x[v] + spike[cv] * np.cos(a), y[v] + spike[cv] * np.sin(a)
            if is_write:
                out_x0[e], out_y0[e], out_x1[e], out_y1[e] = x[v], y[v], tx, ty
            else:
                out_x0[e], out_y0[e], out_x1[e], out_y1[e] = tx, ty, x[v], y[v]
            cell0[e] = cell1[e] = cell[cv]
            tint0[e] = tint1[e] = tint[v]
            continue
        out_x1[e], out_y1[e], cell1[e], tint1[e] = x[v], y[v], cell[cv], tint[v]
        if w >= 0:
            out_x0[e], out_y0[e], cell0[e], tint0[e] = x[w], y[w], cell[chunk[w]], tint[w]
            if p >= 0:
                h = _hash(np.uint64(p) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(1))
                a = 6.283185307179586 * ((h & np.uint64(0xFFFF)) / 65536.0)
                out_x0[e] += spike[chunk[w]] * np.cos(a)
                out_y0[e] += spike[chunk[w]] * np.sin(a)
            continue
        o = owner[e]
        tint0[e] = data
        if first[o] < 0:  # of a variable that the sample of the edges has not met: next to the vertex
            h = _hash(np.uint64(o) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(1))
            a = 6.283185307179586 * ((h & np.uint64(0xFFFF)) / 65536.0)
            out_x0[e], out_y0[e] = x[v] + 2 * spike[cv] * np.cos(a), y[v] + 2 * spike[cv] * np.sin(a)
            cell0[e] = cell[cv]
            continue
        within = (p - base[o]) / max(size[o], 1) * pieces[o]
        k = min(max(np.int64(within), 0), pieces[o] - 1)
        c = first[o] + k
        u, w2 = hilbert(min(max(within - k, 0.0), 0.9999))
        dx, dy = to_disc(u, w2)
        out_x0[e], out_y0[e], cell0[e] = cx[c] + cr[c] * 0.8 * dx, cy[c] + cr[c] * 0.8 * dy, cell[c]


@njit(cache=True, inline="always")
def _put(plane, x, y, r, g, b):
    """Light at a point, shared among the four pixels around it."""
    x -= 0.5
    y -= 0.5
    ix, iy = int(np.floor(x)), int(np.floor(y))
    height, width = plane.shape[0], plane.shape[1]
    fx, fy = x - ix, y - iy
    for oy in range(2):
        py = iy + oy
        if py < 0 or py >= height:
            continue
        wy = fy if oy else 1.0 - fy
        for ox in range(2):
            px = ix + ox
            if px < 0 or px >= width:
                continue
            w = wy * (fx if ox else 1.0 - fx)
            plane[py, px, 0] += r * w
            plane[py, px, 1] += g * w
            plane[py, px, 2] += b * w


@njit(cache=True, inline="always")
def bend(x0, y0, x1, y1, t, bow):
    """Point at `t` of the curve of an edge within a cell: a parabola that leaves the chord by `bow` of its length."""
    lift = 4.0 * t * (1.0 - t) * bow
    return x0 + (x1 - x0) * t - (y1 - y0) * lift, y0 + (y1 - y0) * t + (x1 - x0) * lift


@njit(cache=True, inline="always")
def along(way, t, x0, y0, x1, y1, side, sway, width):
    """Point at `t` of the way of an edge between cells: on the bundle, fanning out to its own ends."""
    f = t * (POINTS - 1)
    i = min(int(f), POINTS - 2)
    f -= i
    x = way[i, 0] * (1 - f) + way[i + 1, 0] * f
    y = way[i, 1] * (1 - f) + way[i + 1, 1] * f
    wide = width * (0.75 + 0.25 * np.sin(6.0 * t + sway * 3.0))
    x += side * wide
    y += sway * wide
    a, b = max(0.0, 1.0 - t / FAN), max(0.0, 1.0 - (1.0 - t) / FAN)
    a, b = a * a * (3 - 2 * a), b * b * (3 - 2 * b)
    return x * (1 - a - b) + x0 * a + x1 * b, y * (1 - a - b) + y0 * a + y1 * b


@njit(cache=True, inline="always")
def bow_of(key):
    """How far an edge bows: always to the same side, a little more or less by a hash of its ends."""
    return 0.05 + 0.06 * (np.float64(_hash(key) & np.uint64(0xFF)) / 255.0)


@njit(cache=True, fastmath=True, parallel=True)
def draw_lines(
    planes, x0, y0, x1, y1, cell0, cell1, tint0, tint1, key, colour, every, salt, scale, ox, oy, strength, soft
):
    """One in `every` edges within cells as a smooth curve; of constant light a pixel, less where longer than `soft`."""
    slices, height, width = planes.shape[0], planes.shape[1], planes.shape[2]
    n = x0.size
    for s in prange(slices):
        plane = planes[s]
        for e in range(n * s // slices, n * (s + 1) // slices):
            if cell0[e] != cell1[e]:
                continue
            k = _hash(key[e] + salt)
            if every > 1 and k % np.uint64(every) != 0:
                continue
            ax, ay, bx, by = x0[e] * scale + ox, y0[e] * scale + oy, x1[e] * scale + ox, y1[e] * scale + oy
            if max(ax, bx) < -20 or min(ax, bx) > width + 20 or max(ay, by) < -20 or min(ay, by) > height + 20:
                continue
            length = np.sqrt((bx - ax) ** 2 + (by - ay) ** 2)
            steps = int(length * 1.4) + 2
            light = strength * (length + 1.0) / steps / (1.0 + length / soft) ** 0.75
            bow = bow_of(key[e])
            ca, cb = tint0[e], tint1[e]
            for q in range(steps):
                t = (q + 0.5) / steps
                x, y = bend(ax, ay, bx, by, t, bow)
                _put(plane, x, y, light * (colour[ca, 0] * (1 - t) + colour[cb, 0] * t),
                     light * (colour[ca, 1] * (1 - t) + colour[cb, 1] * t),
                     light * (colour[ca, 2] * (1 - t) + colour[cb, 2] * t))  # fmt: skip


@njit(cache=True, fastmath=True, parallel=True)
def draw_haze(planes, x0, y0, x1, y1, cell0, cell1, tint0, tint1, key, colour, points, scale, ox, oy):
    """Edges within cells as `points` points each at random places along them; every edge gives the same light."""
    slices, height, width = planes.shape[0], planes.shape[1], planes.shape[2]
    n = x0.size
    for s in prange(slices):
        plane = planes[s]
        for e in range(n * s // slices, n * (s + 1) // slices):
            if cell0[e] != cell1[e]:
                continue
            ax, ay, bx, by = x0[e] * scale + ox, y0[e] * scale + oy, x1[e] * scale + ox, y1[e] * scale + oy
            h = _hash(key[e])
            bow = bow_of(key[e])
            ca, cb = tint0[e], tint1[e]
            for q in range(points):
                h ^= h << np.uint64(13)
                h ^= h >> np.uint64(7)
                h ^= h << np.uint64(17)
                t = (q + (h & np.uint64(0xFFFFFF)) / 16777216.0) / points
                x, y = bend(ax, ay, bx, by, t, bow)
                px = int(np.floor(x + ((h >> np.uint64(24)) & np.uint64(0x3FF)) / 1024.0 - 0.5))
                py = int(np.floor(y + ((h >> np.uint64(36)) & np.uint64(0x3FF)) / 1024.0 - 0.5))
                if 0 <= px < width and 0 <= py < height:
                    plane[py, px, 0] += (colour[ca, 0] * (1 - t) + colour[cb, 0] * t) / points
                    plane[py, px, 1] += (colour[ca, 1] * (1 - t) + colour[cb, 1] * t) / points
                    plane[py, px, 2] += (colour[ca, 2] * (1 - t) + colour[cb, 2] * t) / points


@njit(cache=True, fastmath=True, parallel=True)
def draw_ways(planes, x0, y0, x1, y1, cell0, cell1, key, number, ways, lengths, phase, colour, points, scale, ox, oy):
    """Edges between cells along their ways: a line of points a pixel apart, or (points > 0) so many points each.

    `phase` numbers the colour of each cell's traffic; `lengths` are those of the ways.
    """
    slices, height, width = planes.shape[0], planes.shape[1], planes.shape[2]
    n = x0.size
    for s in prange(slices):
        plane = planes[s]
        for e in range(n * s // slices, n * (s + 1) // slices):
            i, j = cell0[e], cell1[e]
            if i == j:
                continue
            h = _hash(key[e] + np.uint64(77))
            side = (h & np.uint64(0xFFFF)) / 65536.0 + ((h >> np.uint64(16)) & np.uint64(0xFFFF)) / 65536.0 - 1.0
            sway = ((h >> np.uint64(32)) & np.uint64(0xFFFF)) / 65536.0 + (h >> np.uint64(48)) / 65536.0 - 1.0
            ca, cb = phase[i], phase[j]
            at = number[i, j]
            steps = points
            if points == 0:
                far = lengths[at] if at >= 0 else np.sqrt((x1[e] - x0[e]) ** 2 + (y1[e] - y0[e]) ** 2)
                steps = int(far * scale * 1.5) + 4
            light = 1.0 if points == 0 else 60.0 / points
            for q in range(steps):
                h ^= h << np.uint64(13)
                h ^= h >> np.uint64(7)
                h ^= h << np.uint64(17)
                t = (q + (0.5 if points == 0 else (h & np.uint64(0xFFFFFF)) / 16777216.0)) / steps
                if at >= 0:
                    x, y = along(ways[at], t, x0[e], y0[e], x1[e], y1[e], side, sway, SPREAD)
                else:
                    x, y = bend(x0[e], y0[e], x1[e], y1[e], t, 0.1)
                x, y = x * scale + ox, y * scale + oy
                if points == 0:
                    _put(plane, x, y, light * (colour[ca, 0] * (1 - t) + colour[cb, 0] * t),
                         light * (colour[ca, 1] * (1 - t) + colour[cb, 1] * t),
                         light * (colour[ca, 2] * (1 - t) + colour[cb, 2] * t))  # fmt: skip
                    continue
                px = int(np.floor(x + ((h >> np.uint64(24)) & np.uint64(0x3FF)) / 1024.0 - 0.5))
                py = int(np.floor(y + ((h >> np.uint64(36)) & np.uint64(0x3FF)) / 1024.0 - 0.5))
                if 0 <= px < width and 0 <= py < height:
                    for c in range(3):
                        plane[py, px, c] += light * (colour[ca, c] * (1 - t) + colour[cb, c] * t)


@njit(cache=True, fastmath=True, parallel=True)
def draw_dots(planes, x, y, tint, colour, radius, scale, ox, oy):
    """Vertices as dots of `radius` pixels with smooth edges; planes of red, green, blue and cover. A dot lights at least
    the pixel it is in."""
    slices, height, width = planes.shape[0], planes.shape[1], planes.shape[2]
    n = x.size
    reach = int(np.ceil(radius + 0.5))
    for s in prange(slices):
        plane = planes[s]
        for i in range(n * s // slices, n * (s + 1) // slices):
            px, py, c = x[i] * scale + ox, y[i] * scale + oy, tint[i]
            ix, iy = int(np.floor(px)), int(np.floor(py))
            if ix < -reach or iy < -reach or ix >= width + reach or iy >= height + reach:
                continue
            for qy in range(max(iy - reach, 0), min(iy + reach + 1, height)):
                for qx in range(max(ix - reach, 0), min(ix + reach + 1, width)):
                    far = np.sqrt((qx + 0.5 - px) ** 2 + (qy + 0.5 - py) ** 2)
                    w = min(1.0, max(0.0, radius + 0.5 - far))
                    if w > 0:
                        plane[qy, qx, 0] += w * colour[c, 0]
                        plane[qy, qx, 1] += w * colour[c, 1]
                        plane[qy, qx, 2] += w * colour[c, 2]
                        plane[qy, qx, 3] += w


def summed(planes: np.ndarray) -> np.ndarray:
    """The slices' planes as one, added in order (in place of the first)."""
    for s in range(1, planes.shape[0]):
        planes[0] += planes[s]
    return planes[0]
