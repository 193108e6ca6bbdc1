"""From planes of light to pixels: toning, cells and membranes, vertices over edges, bloom, sRGB with dither."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit, prange
from scipy.ndimage import gaussian_filter

from .bodies import Bodies
from .colours import linear

BLOOM = ((5.0, 0.075, 2), (20.0, 0.05, 4), (60.0, 0.035, 8))  # radius at 2160 rows, strength, reduction
QUANTILE = 0.995


@dataclass(frozen=True)
class Ground:
    """Grounds of a theme: page and text as sRGB, the body and its cells as linear light; ink: dark strokes on paper
    instead of light on a dark ground."""

    page: str
    text: str
    faint: str
    leader: str
    body: str
    cell: str
    glow: str
    halo: str
    ink: bool = False


GROUNDS = {
    "dark": Ground("#07090f", "#eaeef6", "#98a2b5", "#8d99ae", "#0d1420", "#04060b", "#1a2a44", "#5a8cff"),
    "light": Ground("#ffffff", "#14161c", "#4a505c", "#d6282f", "#15181c", "#07090c", "#1c2734", "#000000"),
    "print": Ground("#ffffff", "#000000", "#3d424c", "#6a7080", "#eceef2", "#ffffff", "#ffffff", "#ffffff", True),
}


@dataclass
class View:
    """A window on a picture: pixel = unit * scale + (ox, oy); `rows` above it belong to the same picture (dither)."""

    width: int
    height: int
    scale: float
    ox: float
    oy: float
    unit: float  # pixels of one at 1080 rows: line widths and blurs grow with it
    left: int = 0
    top: int = 0


@dataclass
class Levels:
    """Light that counts as full, of haze, lines, ways, and the median cover of vertices; of one pixel size."""

    haze: float = 1.0
    lines: float = 1.0
    ways: float = 1.0
    cover: float = 1.0


def levels_of(haze: np.ndarray, lines: np.ndarray, ways: np.ndarray, dots: np.ndarray) -> Levels:
    """Read the levels off the planes of a whole picture."""

    def high(plane: np.ndarray, q: float) -> float:
        level = plane[..., :3].reshape(-1, 3)[:: max(1, plane.shape[0] * plane.shape[1] // 4_000_000)].sum(1) / 3
        lit = level[level > 0]
        return float(np.quantile(lit, q)) if lit.size else 1.0

    cover = dots[..., 3].ravel()[:: max(1, dots.shape[0] * dots.shape[1] // 4_000_000)]
    cover = cover[cover > 0]
    return Levels(high(haze, QUANTILE), high(lines, QUANTILE), high(ways, 0.993),
                  float(np.median(cover)) if cover.size else 1.0)  # fmt: skip


@njit(cache=True, inline="always")
def _toned(r, g, b, full, strength, white, out):
    """Light of any brightness to 0..1, keeping its hue: asinh of its level against `full`, a little white at the top."""
    level = (r + g + b) / 3.0
    if level <= 0.0:
        out[0] = out[1] = out[2] = 0.0
        return
    t = np.arcsinh(strength * level / full) / np.arcsinh(strength)
    most = max(r, g, b)
    f = min(t, 1.0) / most
    hot = min(max((t - 0.85) / 0.9, 0.0), 1.0) * white
    out[0] = r * f * (1 - hot) + hot
    out[1] = g * f * (1 - hot) + hot
    out[2] = b * f * (1 - hot) + hot


@njit(cache=True, parallel=True)
def _compose(image, body, haze, lines, ways, dots, levels, ox, oy, scale, kind, centre, weight, outline, panel, tones,
             sparse, through, ink, unit):  # fmt: skip
    """Linear light of every pixel; `body`: how much of the pixel is the body (the rest is page)."""
    height, width = image.shape[0], image.shape[1]
    n, angles = outline.shape
    aa = 0.75 / scale
    hazy, lined = haze.shape[0] == height, lines.shape[0] == height
    for j in prange(height):
        h, s, w = np.zeros(3), np.zeros(3), np.zeros(3)
        for i in range(width):
            x, y = (i + 0.5 - ox) / scale, (j + 0.5 - oy) / scale
            depth, disc = 1.0, 1.0
            if kind != 1:
                best, at = 1e30, 0
                for c in range(n):
                    dx, dy = x - centre[c, 0], y - centre[c, 1]
                    d = dx * dx + dy * dy - weight[c] if kind == 0 else max(abs(dx) / panel[0], abs(dy) / panel[1])
                    if d < best:
                        best, at = d, c
                dx, dy = x - centre[at, 0], y - centre[at, 1]
                a = np.arctan2(dy, dx) / 6.283185307179586 * angles
                a += angles if a < 0 else 0.0
                low = int(a) % angles
                share = a - np.floor(a)
                depth = np.sqrt(dx * dx + dy * dy) - (
                    outline[at, low] * (1 - share) + outline[at, (low + 1) % angles] * share
                )
                if kind == 0 and n > 1:
                    disc = min(max(0.5 - (np.sqrt(x * x + y * y) - 1.0) / (2 * aa), 0.0), 1.0)
                elif kind == 0:
                    disc = min(max(0.5 - depth / (2 * aa), 0.0), 1.0)
            else:
                depth = -1.0
            body[j, i] = disc
            inside = min(max(0.5 - depth / (2 * aa), 0.0), 1.0) if kind != 1 else 1.0
            if hazy:
                _toned(haze[j, i, 0], haze[j, i, 1], haze[j, i, 2], levels[0], 9.0, 0.42, h)
            if lined:
                _toned(lines[j, i, 0], lines[j, i, 1], lines[j, i, 2], levels[1], 7.0 if sparse else 4.5, 0.35, s)
            _toned(ways[j, i, 0], ways[j, i, 1], ways[j, i, 2], levels[2], 8.0, 0.22, w)
            glow = np.exp(min(depth, 0.0) / 0.022) * inside
            rim = 0.85 * np.exp(-abs(depth) / 0.0016) if kind != 1 else 0.0
            cover = dots[j, i, 3]
            alpha = 0.0
            if cover > 0:
                alpha = min(1.0, cover) * 0.92 if sparse else 0.62 * (1 - np.exp(-0.7 * cover / levels[3]))
            gain_h, gain_s = (0.62, 0.52) if hazy else (0.0, 1.0)
            for c in range(3):
                ground = tones[0, c] if kind != 1 else tones[1, c]
                field = tones[1, c] + (glow * 0.55 * tones[2, c] if kind != 1 else 0.0)
                if ink:
                    value = ground * (1 - inside) + tones[1, c] * inside
                    value *= 1 - 0.45 * rim
                    for t, gain in ((w, 0.9 * (1 - inside + inside * through)), (h, 0.75 * gain_h / 0.62), (s, 0.85)):
                        top = max(t[0], t[1], t[2])
                        k = min(top * gain, 1.0)
                        value = value * (1 - k) + k * (t[c] / max(top, 1e-6)) * 0.55
                else:
                    value = (ground + 0.95 * w[c]) * (1 - inside) + inside * (field + through * w[c])
                    value *= 1 - rim
                    value += inside * (gain_h * h[c] + gain_s * s[c])
                if alpha > 0:
                    tint = dots[j, i, c] / cover
                    value = value * (1 - alpha) + alpha * (tint * 0.72 if ink else tint)
                    if not ink:
                        value += inside * 0.14 * s[c]
                image[j, i, c] = value


@njit(cache=True, parallel=True)
def _finish(image, body, curve, small, strengths, page, halo, ink, kind, single, ox, oy, scale, left, top, out):
    """Bloom, the page around the body, sRGB, and a dither of half a step; `small`: blurred images and their reduction."""
    height, width = image.shape[0], image.shape[1]
    for j in prange(height):
        for i in range(width):
            x, y = (i + 0.5 - ox) / scale, (j + 0.5 - oy) / scale
            edge = 0.0
            if kind == 0 and not single:
                edge = np.exp(-max(np.sqrt(x * x + y * y) - 1.0, 0.0) / (0.022 if halo[3] < 0 else 0.05)) * abs(halo[3])
            h = np.uint64((j + top) * 1_000_003 + i + left) * np.uint64(0x9E3779B97F4A7C15)
            h ^= h >> np.uint64(29)
            h *= np.uint64(0xBF58476D1CE4E5B9)
            noise = (h >> np.uint64(40)) / 16777216.0
            for c in range(3):
                value = image[j, i, c]
                for k in range(len(strengths)):
                    value += strengths[k] * _between(small[k], i, j, c, image.shape[1], image.shape[0])
                at = min(max(value, 0.0), 1.0) * (curve.size - 2)
                low = int(at)
                value = curve[low] + (curve[low + 1] - curve[low]) * (at - low)
                around = page[c] * (1 - edge) + halo[c] * edge if halo[3] < 0 else page[c] + halo[c] * edge
                value = value * body[j, i] + around * (1 - body[j, i])
                out[j, i, c] = np.uint8(min(max(value * 255.0 + noise, 0.0), 255.0))


@njit(cache=True, inline="always")
def _between(image, i, j, c, width, height):
    """Bilinear reading of a reduced image at pixel (i, j) of the full one."""
    rows, columns = image.shape[0], image.shape[1]
    x = (i + 0.5) * columns / width - 0.5
    y = (j + 0.5) * rows / height - 0.5
    x, y = min(max(x, 0.0), columns - 1.001), min(max(y, 0.0), rows - 1.001)
    ix, iy = int(x), int(y)
    fx, fy = x - ix, y - iy
    ix2, iy2 = min(ix + 1, columns - 1), min(iy + 1, rows - 1)
    return (image[iy, ix, c] * (1 - fx) + image[iy, ix2, c] * fx) * (1 - fy) + (
        image[iy2, ix, c] * (1 - fx) + image[iy2, ix2, c] * fx
    ) * fy


def _reduced(image: np.ndarray, by: int) -> np.ndarray:
    rows, columns = image.shape[0] // by * by, image.shape[1] // by * by
    if not rows or not columns:
        return image
    return image[:rows, :columns].reshape(rows // by, by, columns // by, by, 3).mean((1, 3), dtype=np.float32)


def compose(bodies: Bodies, view: View, ground: Ground, planes: dict[str, np.ndarray], levels: Levels, sparse: bool,
            bloom: bool = True) -> np.ndarray:  # fmt: skip
    """Pixels (height, width, 3) uint8 of planes `haze`, `lines`, `ways`, `dots` (empty where unused).

    sparse: single vertices and edges are to be seen, so both are drawn stronger.
    """
    kind = {"tissue": 0, "nebula": 1, "plate": 2}[bodies.kind]
    image = np.empty((view.height, view.width, 3), np.float32)
    body = np.empty((view.height, view.width), np.float32)
    tones = np.array([linear(ground.body), linear(ground.cell), linear(ground.glow)])
    if kind == 1 or len(bodies.centre) == 1:  # no body around: its field is the page
        tones[1] = linear(ground.page) if kind == 1 else tones[1]
    if kind == 2 and not ground.ink:
        tones[0] = linear(ground.page)
    through = {0: 0.10 if len(bodies.centre) > 1 else 0.4, 1: 0.5, 2: 0.18}[kind] + (0.12 if sparse else 0.0)
    empty = np.zeros((1, 1, 3), np.float32)
    _compose(image, body, planes.get("haze", empty), planes.get("lines", empty), planes["ways"], planes["dots"],
             np.array([levels.haze, levels.lines, levels.ways, levels.cover]), view.ox, view.oy, view.scale, kind,
             bodies.centre, bodies.weight, bodies.outline, np.array(bodies.panel), tones, sparse, through, ground.ink,
             view.unit)  # fmt: skip
    small, strengths = [], []
    if bloom and not ground.ink:
        for radius, strength, by in BLOOM:
            part = _reduced(image, by)
            blurred = np.empty_like(part)
            sigma = radius * view.unit / 2 / by
            for c in range(3):
                gaussian_filter(part[..., c], sigma, output=blurred[..., c], truncate=3.0)
            small.append(blurred)
            strengths.append(strength * (0.8 if sparse else 1.0))
    else:
        small, strengths = [empty], [0.0]
    out = np.empty((view.height, view.width, 3), np.uint8)
    halo = np.array([int(ground.halo[k : k + 2], 16) / 255 for k in (1, 3, 5)] + [0.10])
    if ground.page == "#ffffff":
        halo[3] = -0.75 if not ground.ink else -0.0001
    page = np.array([int(ground.page[k : k + 2], 16) / 255 for k in (1, 3, 5)])
    level = np.linspace(0, 1, 1 << 16)
    curve = np.where(level <= 0.0031308, 12.92 * level, 1.055 * level ** (1 / 2.4) - 0.055)
    curve = np.append(curve, 1.0).astype(np.float32)
    _finish(image, body, curve, tuple(small), np.array(strengths), page, halo, ground.ink, kind, len(bodies.centre) == 1, view.ox,
            view.oy, view.scale, view.left, view.top, out)  # fmt: skip
    return out
