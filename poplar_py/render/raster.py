"""Light: edges and vertices as additive points in float images, and their toning to a picture."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, inline="always")
def _mix(h):
    h ^= h >> np.uint64(33)
    h *= np.uint64(0xFF51AFD7ED558CCD)
    h ^= h >> np.uint64(33)
    h *= np.uint64(0xC4CEB9FE1A85EC53)
    return h ^ (h >> np.uint64(33))


@njit(cache=True, fastmath=True)
def draw_edges(light, vertex, vertex_xy, chunk, chunk_xy, chunk_r, element, colour, points, bow):
    """Every edge as a curve of about `points` points a pixel of length, of equal energy; ends are a vertex and a place
    in a chunk that depends on the element."""
    height, width = light.shape[:2]
    for e in range(vertex.size):
        v, c = vertex[e], chunk[e]
        h = _mix(np.uint64(element[e]) * np.uint64(2654435761) + np.uint64(c))
        angle = (h & np.uint64(0xFFFF)) / 65536.0 * 6.283185307179586
        r = np.sqrt(((h >> np.uint64(16)) & np.uint64(0xFFFF)) / 65536.0) * chunk_r[c]
        x0, y0 = vertex_xy[v, 0], vertex_xy[v, 1]
        x1, y1 = chunk_xy[c, 0] + r * np.cos(angle), chunk_xy[c, 1] + r * np.sin(angle)
        dx, dy = x1 - x0, y1 - y0
        length = np.sqrt(dx * dx + dy * dy)
        n = max(3, min(int(length * points), 4000))
        energy = (12.0 + 0.22 * length) / n
        side = bow * (((h >> np.uint64(32)) & np.uint64(0xFF)) / 127.5 - 1.0)
        red, green, blue = colour[e, 0] * energy, colour[e, 1] * energy, colour[e, 2] * energy
        for k in range(n):
            t = (k + 0.5) / n
            lift = 4.0 * t * (1.0 - t) * side
            x = x0 + dx * t - dy * lift
            y = y0 + dy * t + dx * lift
            ix, iy = int(x), int(y)
            if 0 <= ix < width - 1 and 0 <= iy < height - 1:
                fx, fy = x - ix, y - iy
                for oy in range(2):
                    wy = fy if oy else 1.0 - fy
                    for ox in range(2):
                        w = wy * (fx if ox else 1.0 - fx)
                        light[iy + oy, ix + ox, 0] += red * w
                        light[iy + oy, ix + ox, 1] += green * w
                        light[iy + oy, ix + ox, 2] += blue * w


@njit(cache=True, fastmath=True)
def draw_dots(light, xy, radius, colour):
    """Soft dots; a dot of any size lights at least its own pixel."""
    height, width = light.shape[:2]
    for i in range(xy.shape[0]):
        r = radius[i]
        x, y = xy[i, 0], xy[i, 1]
        reach = int(r * 1.6) + 1
        for iy in range(max(int(y) - reach, 0), min(int(y) + reach + 1, height)):
            for ix in range(max(int(x) - reach, 0), min(int(x) + reach + 1, width)):
                d2 = ((ix + 0.5 - x) ** 2 + (iy + 0.5 - y) ** 2) / (r * r)
                own = ix == int(x) and iy == int(y)
                w = np.exp(-d2 * d2) if d2 < 2.6 else 0.0
                if own and w < 0.6:
                    w = 0.6
                if w > 0.003:
                    light[iy, ix, 0] = max(light[iy, ix, 0], colour[i, 0] * w)
                    light[iy, ix, 1] = max(light[iy, ix, 1], colour[i, 1] * w)
                    light[iy, ix, 2] = max(light[iy, ix, 2], colour[i, 2] * w)


def tone(light: np.ndarray, strength: float) -> np.ndarray:
    """Light of any brightness to 0..1 keeping its hue: asinh of its level against a high quantile."""
    level = light.max(axis=2)
    lit = level[level > 0]
    if not lit.size:
        return light
    high = float(np.quantile(lit[:: max(1, lit.size // 400_000)], 0.995)) or 1.0
    scaled = np.arcsinh(strength * level / high) / np.arcsinh(strength)
    factor = np.minimum(scaled, 1.0) / np.maximum(level, 1e-12)
    picture = light * factor[..., None]
    white = np.clip((scaled - 0.8) / 0.6, 0, 0.45)[..., None]
    return picture + (picture.max(axis=2, keepdims=True) - picture) * white
