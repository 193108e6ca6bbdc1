"""Interactive pages: one file that needs nothing but itself; pan, zoom, search, tooltips, click to focus.

A page shows a figure (its SVG, redrawn sharp at any zoom) or a picture of light as a pyramid of WebP tiles with vertices
and labels drawn on top. The script is `page.js` beside this file.
"""

from __future__ import annotations

import base64
import io
import json
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from .palette import Theme

TILE = 512  # pixels of a tile of the pyramid


def figure_page(figure: Any) -> str:
    """The page of a `Figure`: its items can be found, hovered and focused."""
    items = [
        {"n": item.name, "l": list(item.lines), "b": [round(v, 1) for v in item.bounds]}
        for item in figure.items
        if item.bounds
    ]
    data = {"title": figure.title, "w": figure.width, "h": figure.height, "items": items}
    return page(figure.title, figure.theme, data, figure.svg())


def page(title: str, theme: Theme, data: dict[str, Any], svg: str = "") -> str:
    """The text of a page: `data` as the script expects it (see `page.js`), `svg` the drawing below its marks."""
    script = Path(__file__).with_name("page.js").read_text(encoding="utf-8")
    facts = json.dumps(data, separators=(",", ":")).replace("</", "<\\/")
    t = theme
    style = (
        f":root{{--ground:{t.ground};--panel:{t.panel};--text:{t.text};--faint:{t.faint};--line:{t.line}}}"
        "html,body{margin:0;height:100%;overflow:hidden;background:var(--ground);color:var(--text);"
        "font:14px/1.35 Helvetica,Arial,'Liberation Sans',sans-serif}"
        "#view{position:absolute;inset:0;cursor:grab;touch-action:none;user-select:none}#view.drag{cursor:grabbing}"
        "#view>svg,#view>canvas{position:absolute;inset:0;width:100%;height:100%}#marks{pointer-events:none}"
        "#bar{position:absolute;top:12px;right:12px;width:min(320px,70vw)}"
        "#bar input{box-sizing:border-box;width:100%;padding:8px 12px;border-radius:8px;border:1px solid var(--line);"
        "background:var(--panel);color:var(--text);font:inherit}"
        "#found{margin-top:4px;max-height:50vh;overflow:auto;background:var(--panel);border-radius:8px;border:1px solid var(--line)}"
        "#found:empty{display:none}#found div{padding:5px 12px;cursor:pointer;white-space:nowrap;overflow:hidden;text-overflow:ellipsis}"
        "#found div.on,#found div:hover{background:var(--line)}#found small{color:var(--faint)}"
        "#tip{position:absolute;display:none;max-width:420px;padding:8px 12px;border-radius:8px;pointer-events:none;"
        "background:var(--panel);border:1px solid var(--line);box-shadow:0 4px 18px #0006;white-space:pre-line}#tip span{color:var(--faint)}"
        "#keys{position:absolute;right:14px;bottom:10px;display:flex;gap:6px}#keys button{min-width:34px;height:34px;border-radius:8px;"
        "border:1px solid var(--line);background:var(--panel);color:var(--text);font:inherit;cursor:pointer}"
        "#head,#legend{padding:6px 10px;border-radius:8px;background:color-mix(in srgb,var(--ground) 72%,transparent)}"
        "#head:empty,#legend:empty{display:none}#head{position:absolute;max-width:28rem;left:8px;top:6px;pointer-events:none}#head b{font-size:20px}#head span{color:var(--faint);white-space:pre-wrap}"
        "#legend{position:absolute;left:8px;bottom:8px;pointer-events:none;font-size:13px}"
        "#legend i{display:inline-block;width:11px;height:11px;border-radius:6px;margin-right:8px}"
    )
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{style}</style>"
        f'<div id="view" tabindex="0" role="img" aria-label="{escape(title)}">{svg}<canvas id="marks"></canvas></div>'
        '<div id="head"></div><div id="legend"></div><div id="bar"><input id="find" type="search" placeholder="find a name   ( / )" aria-label="find a name">'
        '<div id="found"></div></div><div id="keys"><button id="less" title="zoom out ( - )">&#8722;</button>'
        '<button id="more" title="zoom in ( + )">+</button><button id="all" title="show all ( 0 )">all</button></div><div id="tip"></div>'
        f'<script id="data" type="application/json">{facts}</script><script>{script}</script></html>\n'
    )


def pyramid(pixels: np.ndarray, smallest: int = 900) -> list[dict[str, Any]]:
    """Levels of a picture (rows, columns, 3 uint8), each half the one before, cut into WebP tiles as base64 text, rows first."""
    from PIL import Image

    image, levels, scale = Image.fromarray(pixels), [], 1.0
    while True:
        columns, rows = -(-image.width // TILE), -(-image.height // TILE)
        tiles = []
        for row in range(rows):
            for column in range(columns):
                box = (
                    column * TILE,
                    row * TILE,
                    min((column + 1) * TILE, image.width),
                    min((row + 1) * TILE, image.height),
                )
                out = io.BytesIO()
                image.crop(box).save(out, "WEBP", quality=84, method=3)
                tiles.append(base64.b64encode(out.getvalue()).decode())
        levels.append({"s": scale, "w": image.width, "h": image.height, "c": columns, "t": tiles})
        if image.width <= smallest:
            return levels[::-1]
        image = image.resize((-(-image.width // 2), -(-image.height // 2)), Image.Resampling.LANCZOS)
        scale /= 2


def packed(values: np.ndarray) -> str:
    """A column as base64 text of its little-endian bytes."""
    return base64.b64encode(np.ascontiguousarray(values.astype(values.dtype.newbyteorder("<"))).tobytes()).decode()
