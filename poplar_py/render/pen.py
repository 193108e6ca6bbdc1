"""A pen: text, lines and dots on an image, placed in fractions of a pixel."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from .light import Ground
from .marks import STROKE
from .palette import rgb

TRACK = 0.045  # room between bold letters, as a share of their size


@lru_cache(maxsize=64)
def font(size: float) -> Any:
    """Pillow's own font, which needs no files."""
    from PIL import ImageFont

    return ImageFont.load_default(size=size)


def width_of(text: str, size: float, bold: bool = False) -> float:
    """Pixels a line takes."""
    if bold:
        return sum(width_of(letter, size) + TRACK * size for letter in text)
    return _length(text) * size / 40


@lru_cache(maxsize=4096)
def _length(text: str) -> float:
    return float(font(40.0).getlength(text))


class Pen:
    """Text, lines and dots on an image, placed in fractions of a pixel."""

    def __init__(self, image: Any, ground: Ground, unit: float):
        from PIL import ImageDraw

        self.image, self.ground, self.unit = image, ground, unit
        self.draw = ImageDraw.Draw(image, "RGBA")

    def text(
        self, x, y, words: str, size: float, colour: str, bold: bool = False, anchor: str = "l", halo: float = 0.0
    ) -> None:
        """A line of text; anchor l, m or r; `y` is its middle."""
        if halo:
            where = anchor + "m"
            face, around = font(round(size, 1)), (*rgb(self.ground.page), 170)
            self.draw.text((x, y), words, rgb(colour), face, where, stroke_width=halo, stroke_fill=around)
            return
        x -= {"l": 0.0, "m": 0.5, "r": 1.0}[anchor] * width_of(words, size, bold)
        self._letters(x, y, words, size, colour, bold)

    def _letters(self, x: float, y: float, words: str, size: float, colour: str, bold: bool) -> None:
        """Text from x on, drawn four times as large and reduced: letters stand at parts of a pixel, and the thick strokes
        of bold ones, which need room between them, leave the dot of an `i` apart."""
        from PIL import Image, ImageDraw

        edge = int(size * 0.3) + 2
        left, top = int(np.floor(x)) - edge, int(np.floor(y)) - int(size) - edge
        wide, high = int(width_of(words, size, bold)) + 2 * edge + 2, 2 * (int(size) + edge) + 1
        mask = Image.new("L", (wide * 4, high * 4), 0)
        draw, face, at = ImageDraw.Draw(mask), font(round(size * 4, 1)), (y - top) * 4
        if bold:
            for letter in words:
                draw.text(
                    ((x - left) * 4, at), letter, fill=255, font=face, anchor="lm", stroke_width=size * 4 * STROKE
                )
                x += width_of(letter, size) + TRACK * size
        else:
            draw.text(((x - left) * 4, at), words, fill=255, font=face, anchor="lm")
        self.image.paste(rgb(colour), (left, top), mask.resize((wide, high), Image.Resampling.BOX))

    def line(self, points: list[tuple[float, float]], colour: str, width: float, alpha: int = 255) -> None:
        """A smooth line: drawn four times as large and reduced."""
        from PIL import Image, ImageDraw

        edge = int(width) + 3
        left, top = (int(np.floor(min(p[k] for p in points))) - edge for k in (0, 1))
        wide, high = (int(np.ceil(max(p[k] for p in points))) + edge - low for k, low in ((0, left), (1, top)))
        mask = Image.new("L", (wide * 4, high * 4), 0)
        shifted = [((x - left) * 4, (y - top) * 4) for x, y in points]
        ImageDraw.Draw(mask).line(shifted, fill=alpha, width=max(4, round(width * 4)), joint="curve")
        self.image.paste(rgb(colour), (left, top), mask.resize((wide, high), Image.Resampling.BOX))

    def dot(self, x: float, y: float, r: float, colour: str) -> None:
        """A smooth dot: drawn four times as large and reduced."""
        from PIL import Image, ImageDraw

        size = int(np.ceil(r)) * 2 + 3
        mask = Image.new("L", (size * 4, size * 4), 0)
        left, top = int(np.floor(x)) - size // 2, int(np.floor(y)) - size // 2
        cx, cy = (x - left) * 4, (y - top) * 4
        ImageDraw.Draw(mask).ellipse((cx - r * 4, cy - r * 4, cx + r * 4, cy + r * 4), fill=255)
        self.image.paste(rgb(colour), (left, top), mask.resize((size, size), Image.Resampling.BOX))
