"""A figure: boxes, curves, text and small rasters grouped in named items, saved as PNG, SVG or an interactive page.

An item is a thing a reader may look for: it has a name, and lines of text that the page shows as a tooltip (in SVG they
are the `<title>`). Coordinates are pixels from the top left; PNG is drawn twice as large and reduced.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import numpy as np

from .palette import Theme, rgb

Point = tuple[float, float]
MOST_PIXELS = 120_000_000  # of a PNG before it is reduced; above it the drawing is not oversampled
TRACKING = 0.03  # of the size, between bold letters
SANS = "Helvetica, Arial, 'Liberation Sans', sans-serif"


@dataclass
class Item:
    """A named thing of a figure: lines of its tooltip, and the box (left, top, right, bottom) it fills."""

    name: str
    lines: tuple[str, ...]
    bounds: list[float]

    def cover(self, left: float, top: float, right: float, bottom: float) -> None:
        """Grow to hold a rectangle."""
        b = self.bounds
        if not b:
            b[:] = [left, top, right, bottom]
        else:
            b[:] = [min(b[0], left), min(b[1], top), max(b[2], right), max(b[3], bottom)]


class Figure:
    """Shapes in the order drawn. `title` names the figure in metadata and on its page."""

    def __init__(self, width: float, height: float, theme: Theme, title: str):
        self.width, self.height = max(round(width), 1), max(round(height), 1)
        self.theme, self.title = theme, title
        self.shapes: list[tuple[str, tuple, int]] = []
        self.items: list[Item] = []
        self._open = -1

    @contextmanager
    def item(self, name: str, *lines: str) -> Iterator[Item]:
        """What is drawn inside belongs to one item."""
        before, self._open = self._open, len(self.items)
        self.items.append(Item(name, lines, []))
        try:
            yield self.items[-1]
        finally:
            self._open = before

    def _add(self, kind: str, values: tuple, bounds: tuple[float, float, float, float] | None) -> None:
        self.shapes.append((kind, values, self._open))
        if self._open >= 0 and bounds:
            self.items[self._open].cover(*bounds)

    def box(
        self, x: float, y: float, w: float, h: float, fill: str, edge: str = "", radius: float = 0, line: float = 1.2
    ) -> None:
        """A filled rectangle; `edge` is the colour of its outline."""
        if w > 0 and h > 0:
            self._add("box", (x, y, w, h, fill, edge, radius, line), (x, y, x + w, y + h))

    def ellipse(self, x: float, y: float, w: float, h: float, fill: str, edge: str = "", line: float = 1.2) -> None:
        """An ellipse in the rectangle whose top left is (x, y)."""
        self._add("ellipse", (x, y, w, h, fill, edge, line), (x, y, x + w, y + h))

    def polygon(self, points: list[Point], fill: str, edge: str = "", line: float = 1.2) -> None:
        xs, ys = zip(*points, strict=True)
        self._add("polygon", (points, fill, edge, line), (min(xs), min(ys), max(xs), max(ys)))

    def line(self, points: list[Point], colour: str, width: float = 1, dash: bool = False) -> None:
        """A polyline."""
        self._add("line", (points, colour, width, dash), None)

    def curve(self, points: list[Point], colour: str, width: float = 1, dash: bool = False) -> None:
        """Cubic Bezier pieces: a start, then three points a piece."""
        self._add("curve", (points, colour, width, dash), None)

    def text(
        self,
        x: float,
        y: float,
        text: str,
        size: float,
        colour: str,
        *,
        bold: bool = False,
        anchor: str = "start",
        turn: bool = False,
    ) -> None:
        """Text on baseline y; anchor start, middle or end; `turn`: reading upwards."""
        self._add("text", (x, y, text, size, colour, bold, anchor, turn), None)

    def image(self, x: float, y: float, w: float, h: float, pixels: np.ndarray) -> None:
        """A raster (rows, columns, 3) of uint8 stretched over a rectangle, its pixels kept sharp."""
        self._add("image", (x, y, w, h, pixels), (x, y, x + w, y + h))

    def save(self, path: Path, metadata: dict[str, str] | None = None) -> None:
        """Write .png, .svg or .html by the suffix of `path`."""
        suffix = path.suffix.lower()
        if suffix == ".svg":
            path.write_text(self.svg(), encoding="utf-8")
        elif suffix == ".html":
            from .page import figure_page

            path.write_text(figure_page(self), encoding="utf-8")
        else:
            from .canvas import save_png

            save_png(self.raster(), path, {"title": self.title, **(metadata or {})})

    def svg(self, marks: bool = False) -> str:
        """The figure as an `<svg>`; `marks`: items carry data-i for the page's script instead of a title."""
        out = [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{self.width}" height="{self.height}"'
            f' viewBox="0 0 {self.width} {self.height}" font-family="{SANS}">',
            f'<rect width="100%" height="100%" fill="{self.theme.ground}"/>',
        ]
        if not marks:
            out.insert(1, f"<title>{escape(self.title)}</title>")
        now = -1
        for kind, values, item in self.shapes:
            if item != now:
                out += ["</g>"] * (now >= 0)
                if item >= 0:
                    thing = self.items[item]
                    out.append(f'<g data-i="{item}">' if marks else f"<g><title>{escape(_title(thing))}</title>")
                now = item
            out.append(_SVG[kind](*values))
        return "\n".join([*out, *["</g>"] * (now >= 0), "</svg>\n"])

    def raster(self, scale: float = 1.0) -> Any:
        """The figure as a Pillow image of `scale` times its size."""
        from PIL import Image, ImageDraw

        over = scale * (2 if self.width * self.height * scale * scale * 4 <= MOST_PIXELS else 1)
        size = max(round(self.width * scale), 1), max(round(self.height * scale), 1)
        image = Image.new(
            "RGB", (max(round(self.width * over), 1), max(round(self.height * over), 1)), rgb(self.theme.ground)
        )
        draw = ImageDraw.Draw(image)
        for kind, values, _ in self.shapes:
            _PNG[kind](image, draw, over, *values)
        return image if image.size == size else image.resize(size, Image.Resampling.LANCZOS)


def _title(item: Item) -> str:
    return "\n".join((item.name, *item.lines))


@lru_cache(maxsize=64)
def _font(size: float) -> Any:
    from PIL import ImageFont

    return ImageFont.load_default(size=size)


def text_width(text: str, size: float, bold: bool = False) -> float:
    """Pixels that a line of text takes, a little generous since the reader's font may be wider than ours."""
    return float(_font(32.0).getlength(text)) * size / 32 * (1.1 if bold else 1.05)


# SVG ---------------------------------------------------------------------------------------------------------------


def _stroke(edge: str, line: float) -> str:
    return f' stroke="{edge}" stroke-width="{line:g}"' if edge else ""


def _svg_box(x, y, w, h, fill, edge, radius, line) -> str:
    round_ = f' rx="{radius:g}"' if radius else ""
    return (
        f'<rect x="{x:.2f}" y="{y:.2f}" width="{w:.2f}" height="{h:.2f}"{round_} fill="{fill}"{_stroke(edge, line)}/>'
    )


def _svg_ellipse(x, y, w, h, fill, edge, line) -> str:
    return (
        f'<ellipse cx="{x + w / 2:.2f}" cy="{y + h / 2:.2f}" rx="{w / 2:.2f}" ry="{h / 2:.2f}" fill="{fill}"'
        f"{_stroke(edge, line)}/>"
    )


def _svg_polygon(points, fill, edge, line) -> str:
    joined = " ".join(f"{x:.2f},{y:.2f}" for x, y in points)
    return f'<polygon points="{joined}" fill="{fill}"{_stroke(edge, line)}/>'


def _svg_line(points, colour, width, dash) -> str:
    joined = " ".join(f"{x:.2f},{y:.2f}" for x, y in points)
    dashes = f' stroke-dasharray="{4 * width:g} {3 * width:g}"' if dash else ""
    return f'<polyline points="{joined}" fill="none" stroke="{colour}" stroke-width="{width:g}"{dashes}/>'


def _svg_curve(points, colour, width, dash) -> str:
    first, *rest = (f"{x:.2f} {y:.2f}" for x, y in points)
    dashes = f' stroke-dasharray="{4 * width:g} {3 * width:g}"' if dash else ""
    return f'<path d="M{first}C{" ".join(rest)}" fill="none" stroke="{colour}" stroke-width="{width:g}"{dashes}/>'


def _svg_text(x, y, text, size, colour, bold, anchor, turn) -> str:
    more = (' font-weight="bold"' if bold else "") + (f' text-anchor="{anchor}"' if anchor != "start" else "")
    more += f' transform="rotate(-90 {x:.1f} {y:.1f})"' if turn else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size:g}" fill="{colour}"{more} xml:space="preserve">{escape(text)}</text>'


def _svg_image(x, y, w, h, pixels) -> str:
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    data = base64.b64encode(out.getvalue()).decode()
    return (
        f'<image x="{x:.2f}" y="{y:.2f}" width="{w:.2f}" height="{h:.2f}" preserveAspectRatio="none"'
        f' style="image-rendering:pixelated" href="data:image/png;base64,{data}"/>'
    )


_SVG: dict[str, Any] = {
    "box": _svg_box, "ellipse": _svg_ellipse, "polygon": _svg_polygon, "line": _svg_line, "curve": _svg_curve,
    "text": _svg_text, "image": _svg_image,
}  # fmt: skip


# PNG ---------------------------------------------------------------------------------------------------------------


def _pen(line: float, s: float) -> int:
    return max(1, round(line * s))


def _png_box(image, draw, s, x, y, w, h, fill, edge, radius, line) -> None:
    corners = (x * s, y * s, max((x + w) * s - 1, x * s), max((y + h) * s - 1, y * s))
    outline = {"outline": rgb(edge), "width": _pen(line, s)} if edge else {}
    if radius:
        draw.rounded_rectangle(corners, radius * s, rgb(fill), **outline)
    else:
        draw.rectangle(corners, rgb(fill), **outline)


def _png_ellipse(image, draw, s, x, y, w, h, fill, edge, line) -> None:
    outline = {"outline": rgb(edge), "width": _pen(line, s)} if edge else {}
    draw.ellipse((x * s, y * s, (x + w) * s, (y + h) * s), rgb(fill), **outline)


def _png_polygon(image, draw, s, points, fill, edge, line) -> None:
    outline = {"outline": rgb(edge), "width": _pen(line, s)} if edge else {}
    draw.polygon([(x * s, y * s) for x, y in points], rgb(fill), **outline)


def _png_line(image, draw, s, points, colour, width, dash) -> None:
    scaled = [(x * s, y * s) for x, y in points]
    for piece in _dashes(scaled, 4 * width * s, 3 * width * s) if dash else [scaled]:
        draw.line(piece, rgb(colour), _pen(width, s), joint="curve")


def _png_curve(image, draw, s, points, colour, width, dash) -> None:
    _png_line(image, draw, s, flatten(points), colour, width, dash)


def _png_text(image, draw, s, x, y, text, size, colour, bold, anchor, turn) -> None:
    from PIL import Image, ImageDraw

    where = {"start": "ls", "middle": "ms", "end": "rs"}[anchor]
    font = _font(float(size * s))
    style = {"font": font, "stroke_width": size * s * 0.035 if bold else 0}
    if bold and not turn:  # a stroke makes letters wider: they are set one by one, further apart
        more = size * s * TRACKING
        wide = font.getlength(text) + more * max(len(text) - 1, 0)
        left = x * s - {"start": 0.0, "middle": wide / 2, "end": wide}[anchor]
        for i, letter in enumerate(text):
            at = font.getlength(text[: i + 1]) - font.getlength(letter) + more * i
            draw.text((left + at, y * s), letter, fill=rgb(colour), anchor="ls", **style)
        return
    if not turn:
        draw.text((x * s, y * s), text, fill=rgb(colour), anchor=where, **style)
        return
    wide, high = int(text_width(text, size, bold) * s) + 8, int(size * s * 1.6)
    mask = Image.new("L", (wide, high), 0)
    at = {"start": 2, "middle": wide // 2, "end": wide - 2}[anchor]
    ImageDraw.Draw(mask).text((at, high * 0.75), text, fill=255, anchor=where, **style)
    mask = mask.rotate(90, expand=True)
    image.paste(rgb(colour), (round(x * s - high * 0.75), round(y * s - (wide - at))), mask)


def _png_image(image, draw, s, x, y, w, h, pixels) -> None:
    from PIL import Image

    size = max(round(w * s), 1), max(round(h * s), 1)
    smaller = size[0] < pixels.shape[1] or size[1] < pixels.shape[0]
    how = Image.Resampling.BOX if smaller else Image.Resampling.NEAREST
    image.paste(Image.fromarray(pixels).resize(size, how), (round(x * s), round(y * s)))


_PNG: dict[str, Any] = {
    "box": _png_box, "ellipse": _png_ellipse, "polygon": _png_polygon, "line": _png_line, "curve": _png_curve,
    "text": _png_text, "image": _png_image,
}  # fmt: skip


def flatten(points: list[Point], pieces: int = 28) -> list[Point]:
    """The polyline of cubic Bezier pieces."""
    p = np.asarray(points, float)
    t = np.linspace(0, 1, pieces + 1)[:, None]
    parts = [p[:1]]
    for i in range(0, len(p) - 3, 3):
        a, b, c, d = p[i : i + 4]
        parts.append(((1 - t) ** 3 * a + 3 * t * (1 - t) ** 2 * b + 3 * t * t * (1 - t) * c + t**3 * d)[1:])
    return [(float(x), float(y)) for x, y in np.concatenate(parts)]


def _dashes(points: list[Point], on: float, off: float) -> list[list[Point]]:
    p = np.asarray(points, float)
    along = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(p, axis=0).T))])
    starts = np.arange(0, along[-1], on + off)
    pieces = []
    for begin in starts:
        at = np.linspace(begin, min(begin + on, along[-1]), 3)
        pieces.append([(float(np.interp(a, along, p[:, 0])), float(np.interp(a, along, p[:, 1]))) for a in at])
    return pieces
