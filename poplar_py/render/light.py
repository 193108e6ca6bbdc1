"""From planes of light to pixels: toning, cells and membranes, vertices over edges, bloom, sRGB with dither."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit, prange
from scipy.ndimage import gaussian_filter

from .bodies import BAND, Bodies
from .colours import linear
from .routes import signed_depth

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


PAPER = Ground("#fbfbf8", "#14161c", "#4a505c", "#8a909c", "#eef0f3", "#ffffff", "#ffffff", "#ffffff", True)


def ground_of(theme: str, style: str) -> Ground:
    """The ground of a theme: without a body of its own, what is light is drawn in ink on paper."""
    return PAPER if theme == "light" and style != "tissue" else GROUNDS[theme]


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
    """Light that counts as full: of haze and lines by cell, of ways, and the median cover of vertices; of one pixel size."""

    haze: np.ndarray
    lines: np.ndarray
    ways: float = 1.0
    cover: float = 1.0


def levels_of(planes: dict[str, np.ndarray], bodies: Bodies, view: View) -> Levels:
    """Read the levels off the planes of a whole picture.

    A cell is exposed half for itself, half as the picture is: dense ones do not burn out, faint ones stay fainter.
    """
    step = max(1, round((view.width * view.height / 600_000) ** 0.5))
    y, x = np.mgrid[step // 2 : view.height : step, step // 2 : view.width : step]
    label, depth = signed_depth(bodies, (x + 0.5 - view.ox) / view.scale, (y + 0.5 - view.oy) / view.scale)
    n = len(bodies.centre)

    def by_cell(plane: np.ndarray | None) -> np.ndarray:
        if plane is None:
            return np.ones(n)
        level = plane[step // 2 :: step, step // 2 :: step, :3].sum(2) / 3
        whole = _high(level, QUANTILE)
        own = np.full(n, whole)
        if bodies.kind == "nebula":
            return own
        for cell in range(n):
            mine = level[(label == cell) & (depth < 0)]
            if np.count_nonzero(mine) > 40:
                own[cell] = _high(mine, 0.99)
        return np.sqrt(np.maximum(own, whole * 0.04) * whole)

    cover = planes["dots"][::step, ::step, 3]
    cover = cover[cover > 0]
    return Levels(by_cell(planes.get("haze")), by_cell(planes["lines"]),
                  _high(planes["ways"][::step, ::step].sum(2) / 3, 0.993),
                  float(np.median(cover)) if cover.size else 1.0)  # fmt: skip


def _high(level: np.ndarray, q: float) -> float:
    lit = level[level > 0]
    return float(np.quantile(lit, q)) if lit.size else 1.0


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
def _compose(image, body, haze, lines, ways, dots, full_haze, full_lines, levels, ox, oy, scale, kind, centre, weight, outline, panel, tones,
             sparse, through, band, ink, unit):  # fmt: skip
    """Linear light of every pixel; `body`: how much of the pixel is the body (the rest is page)."""
    height, width = image.shape[0], image.shape[1]
    n, angles = outline.shape
    aa = 0.75 / scale
    hazy, lined = haze.shape[0] == height, lines.shape[0] == height
    for j in prange(height):
        h, s, w = np.zeros(3), np.zeros(3), np.zeros(3)
        for i in range(width):
            x, y = (i + 0.5 - ox) / scale, (j + 0.5 - oy) / scale
            depth, disc, at = 1.0, 1.0, 0
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
                _toned(haze[j, i, 0], haze[j, i, 1], haze[j, i, 2], full_haze[at], 9.0, 0.18, h)
            if lined:
                _toned(lines[j, i, 0], lines[j, i, 1], lines[j, i, 2], full_lines[at], 7.0 if sparse else 4.5, 0.14, s)
            _toned(ways[j, i, 0], ways[j, i, 1], ways[j, i, 2], levels[0], 8.0, 0.22, w)
            clear = through  # ways are not seen where the names of panels stand
            if kind == 2 and y < centre[at, 1] - panel[1] * (1.0 - band):
                clear = 0.0
            glow = np.exp(min(depth, 0.0) / 0.022) * inside
            rim = 0.85 * np.exp(-abs(depth) / 0.0016) if kind != 1 else 0.0
            cover = dots[j, i, 3]
            alpha = 0.0
            if cover > 0:
                if ink:  # white shines through what covers it by half: dots of ink cover all but wholly
                    alpha = min(1.35 * cover, 1.0) * 0.95 if sparse else 0.95 * (1 - np.exp(-1.8 * cover / levels[1]))
                else:
                    alpha = min(1.0, cover) * 0.92 if sparse else 0.62 * (1 - np.exp(-0.7 * cover / levels[1]))
            gain_h, gain_s = (0.62, 0.52) if hazy else (0.0, 1.0)
            for c in range(3):
                ground = tones[0, c] if kind != 1 else tones[1, c]
                field = tones[1, c] + (glow * 0.55 * tones[2, c] if kind != 1 else 0.0)
                if ink:
                    value = ground * (1 - inside) + tones[1, c] * inside
                    value *= 1 - 0.45 * rim
                    for t, gain in ((w, 0.9 * (1 - inside + inside * clear)), (h, 0.75 * gain_h / 0.62), (s, 0.85)):
                        top = max(t[0], t[1], t[2])
                        k = min(top**0.42 * gain, 1.0)  # thin strokes need more ink than light
                        value = value * (1 - k) + k * (t[c] / max(top, 1e-6)) * 0.42
                else:
                    value = (ground + 0.95 * w[c]) * (1 - inside) + inside * (field + clear * w[c])
                    value *= 1 - rim
                    value += inside * (gain_h * h[c] + gain_s * s[c])
                if alpha > 0:
                    tint = dots[j, i, c] / cover
                    value = value * (1 - alpha) + alpha * (tint * 0.5 if ink else tint)
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
    if kind == 2:
        tones[0] = linear(ground.page)
    through = {0: 0.10 if len(bodies.centre) > 1 else 0.4, 1: 0.5, 2: 0.18}[kind] + (0.12 if sparse else 0.0)
    empty = np.zeros((1, 1, 3), np.float32)
    _compose(image, body, planes.get("haze", empty), planes.get("lines", empty), planes["ways"], planes["dots"],
             levels.haze, levels.lines, np.array([levels.ways, levels.cover]), view.ox, view.oy, view.scale, kind,
             bodies.centre, bodies.weight, bodies.outline, np.array(bodies.panel), tones, sparse, through, BAND, ground.ink,
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
    if ground.ink or ground.page == "#ffffff":
        halo[3] = -0.75 if not ground.ink else -0.0001
    page = np.array([int(ground.page[k : k + 2], 16) / 255 for k in (1, 3, 5)])
    level = np.linspace(0, 1, 1 << 16)
    curve = np.where(level <= 0.0031308, 12.92 * level, 1.055 * level ** (1 / 2.4) - 0.055)
    curve = np.append(curve, 1.0).astype(np.float32)
    _finish(image, body, curve, tuple(small), np.array(strengths), page, halo, ground.ink, kind, len(bodies.centre) == 1, view.ox,
            view.oy, view.scale, view.left, view.top, out)  # fmt: skip
    return out
