"""A figure: boxes, curves, text and small rasters grouped in named items, saved as PNG, SVG or an interactive page.

An item is a thing a reader may look for: it has a name, and lines of text that the page shows as a tooltip (in SVG they
are the `<title>`). Coordinates are pixels from the top left; PNG is drawn twice as large and reduced.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import numpy as np

from .marks import PNG, SVG, Point
from .palette import Theme, rgb

MOST_PIXELS = 120_000_000  # of a PNG before it is reduced; above it the drawing is not oversampled
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
            out.append(SVG[kind](*values))
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
            PNG[kind](image, draw, over, *values)
        return image if image.size == size else image.resize(size, Image.Resampling.LANCZOS)


def _title(item: Item) -> str:
    return "\n".join((item.name, *item.lines))
