"""What a figure is made of, in SVG and with Pillow: boxes, ellipses, polygons, lines, curves, text and small rasters."""

from __future__ import annotations

import base64
import io
from functools import lru_cache
from typing import Any
from xml.sax.saxutils import escape

import numpy as np

from .palette import rgb

Point = tuple[float, float]
TRACKING = 0.03  # of the size, between bold letters
STROKE = 0.024  # of the size, by which bold letters grow on every side: more joins an `i` and its dot


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


SVG: dict[str, Any] = {
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
    style = {"font": font, "stroke_width": size * s * STROKE if bold else 0}
    if bold and not turn:  # a stroke makes letters wider: they are set one by one, further apart, and twice as large
        more = size * s * TRACKING
        wide, room = font.getlength(text) + more * max(len(text) - 1, 0), int(size * s * 0.4) + 2
        left = x * s - {"start": 0.0, "middle": wide / 2, "end": wide}[anchor]
        corner = int(left) - room, int(y * s - size * s) - room
        mask = Image.new("L", (2 * (int(wide) + 2 * room), 2 * (int(1.5 * size * s) + 2 * room)), 0)
        pen, face = ImageDraw.Draw(mask), _font(float(2 * size * s))
        for i, letter in enumerate(text):
            at = left + font.getlength(text[: i + 1]) - font.getlength(letter) + more * i
            where_at = 2 * (at - corner[0]), 2 * (y * s - corner[1])
            pen.text(where_at, letter, fill=255, font=face, anchor="ls", stroke_width=2 * size * s * STROKE)
        mask = mask.resize((mask.width // 2, mask.height // 2), Image.Resampling.BOX)
        image.paste(rgb(colour), corner, mask)
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


PNG: dict[str, Any] = {
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
