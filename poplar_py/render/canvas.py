"""A canvas of boxes, lines, circles and text that saves as PNG (by Pillow, twice as large and reduced) or SVG."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from .marks import STROKE
from .palette import rgb

_SCALE = 2


class Canvas:
    """Drawing in pixels from the top left."""

    def __init__(self, width: int, height: int, ground: str):
        self.width, self.height, self.ground = int(width), int(height), ground
        self.shapes: list[tuple[str, tuple]] = []

    def box(
        self, x: float, y: float, width: float, height: float, fill: str, edge: str = "", radius: float = 0
    ) -> None:
        if width > 0 and height > 0:
            self.shapes.append(("box", (x, y, width, height, fill, edge, radius)))

    def line(self, points: list[tuple[float, float]], colour: str, width: float = 1) -> None:
        self.shapes.append(("line", (points, colour, width)))

    def text(
        self, x: float, y: float, text: str, size: int, colour: str, bold: bool = False, anchor: str = "start"
    ) -> None:
        """Text on baseline y; anchor start, middle or end."""
        self.shapes.append(("text", (x, y, text, size, colour, bold, anchor)))

    def save(self, path: Path, metadata: dict[str, str] | None = None) -> None:
        if path.suffix.lower() == ".svg":
            path.write_text(self.svg(), encoding="utf-8")
        else:
            save_png(self.image(), path, metadata)

    def svg(self) -> str:
        out = [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{self.width}" height="{self.height}"'
            f' viewBox="0 0 {self.width} {self.height}" font-family="Helvetica, Arial, sans-serif">',
            f'<rect width="100%" height="100%" fill="{self.ground}"/>',
        ]
        for kind, values in self.shapes:
            if kind == "box":
                x, y, w, h, fill, edge, radius = values
                stroke = f' stroke="{edge}"' if edge else ""
                out.append(
                    f'<rect x="{x:.2f}" y="{y:.2f}" width="{w:.2f}" height="{h:.2f}" rx="{radius}" fill="{fill}"{stroke}/>'
                )
            elif kind == "line":
                points, colour, width = values
                joined = " ".join(f"{x:.2f},{y:.2f}" for x, y in points)
                out.append(f'<polyline points="{joined}" fill="none" stroke="{colour}" stroke-width="{width}"/>')
            else:
                x, y, text, size, colour, bold, anchor = values
                weight = ' font-weight="bold"' if bold else ""
                out.append(
                    f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{colour}" text-anchor="{anchor}"{weight}>'
                    f"{escape(text)}</text>"
                )
        return "\n".join([*out, "</svg>\n"])

    def image(self) -> Any:
        from PIL import Image, ImageDraw

        s = _SCALE
        image = Image.new("RGB", (self.width * s, self.height * s), rgb(self.ground))
        draw = ImageDraw.Draw(image)
        for kind, values in self.shapes:
            if kind == "box":
                x, y, w, h, fill, edge, radius = values
                corners = (x * s, y * s, max((x + w) * s - 1, x * s), max((y + h) * s - 1, y * s))
                draw.rounded_rectangle(corners, radius * s, rgb(fill), rgb(edge) if edge else None)
            elif kind == "line":
                points, colour, width = values
                draw.line([(x * s, y * s) for x, y in points], rgb(colour), max(1, round(width * s)), joint="curve")
            else:
                x, y, text, size, colour, bold, anchor = values
                write(draw, x * s, y * s, text, size * s, rgb(colour), bold, anchor)
        return image.resize((self.width, self.height), Image.Resampling.LANCZOS)


def font(size: float) -> Any:
    """Pillow's own font, which needs no files."""
    from PIL import ImageFont

    return ImageFont.load_default(size=size)


def write(
    draw: Any, x: float, y: float, text: str, size: float, colour: Any, bold: bool = False, anchor: str = "start"
) -> None:
    """Text on baseline y of a Pillow drawing."""
    where = {"start": "ls", "middle": "ms", "end": "rs"}[anchor]
    draw.text((x, y), text, fill=colour, font=font(size), anchor=where, stroke_width=size * STROKE if bold else 0)


def save_png(image: Any, path: Path, metadata: dict[str, str] | None = None) -> None:
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    for key, value in (metadata or {}).items():
        info.add_text(key, value)
    image.save(path, "PNG", pnginfo=info)
