"""Pictures of executables. Reads anything; nothing but the session and the command line imports it."""

from __future__ import annotations

import base64
import time
from pathlib import Path
from typing import Any

from ..errors import FileLoadError, InvalidOption, did_you_mean

VIEWS = ("computation", "operations", "program", "tiles", "timeline")
SUFFIXES = (".png", ".svg", ".html")
FEW_VERTICES = 40  # up to here the computation view names every vertex

__all__ = ["VIEWS", "render"]


def render(
    executable: Any, path: str | Path, view: str = "computation", *, focus: str | None = None,
    size: int | tuple[int, int] | None = None, theme: str = "dark", seed: int = 0, profile: Any = None,
) -> dict[str, Any]:
    """Draw an executable to .png, .svg (not the computation of large graphs) or a page .html.

    view: computation (vertices and edges), operations (what the model says), program, tiles (memory), timeline; focus:
    only what has this path before it; size: width in pixels, or (width, height), of the computation view; theme: dark,
    light or print; profile: what was run, for the timeline. Returns the counts drawn, the path and the seconds taken.
    Raises InvalidOption, FileLoadError, MissingTool.
    """
    from .palette import THEMES

    path = Path(path)
    _check("view", view, VIEWS)
    _check("theme", theme, THEMES)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise InvalidOption(f"{path.name}: pictures are written as {', '.join(SUFFIXES)}{did_you_mean(suffix, SUFFIXES)}")
    if not path.parent.is_dir():
        raise FileLoadError(f"cannot write {path}: there is no folder {path.parent}")
    _known_focus(executable, focus)
    begin = time.perf_counter()
    target = path if suffix != ".html" else path.with_name(path.stem + ".part.png")
    try:
        facts = _draw(executable, target, view, focus, _size(size), theme, seed, profile)
        if suffix == ".html":
            _page(target, path, f"{executable.name}: {view}", THEMES[theme].ground)
    except OSError as problem:
        raise FileLoadError(f"cannot write {path}: {problem.strerror or problem}") from None
    finally:
        if suffix == ".html":
            target.unlink(missing_ok=True)
    counts = {"vertices": int(executable.num_vertices), "edges": int(executable.num_edges)}
    return {"view": view, "path": str(path), **counts, **facts, "seconds": round(time.perf_counter() - begin, 3)}


def _check(what: str, value: Any, known: Any) -> None:
    if value not in known:
        raise InvalidOption(f"no {what} '{value}'.{did_you_mean(str(value), known)} {what.capitalize()}s: {', '.join(known)}")


def _size(size: Any) -> tuple[int, int]:
    width, height = (size, round(size * 9 / 16)) if isinstance(size, int) else size or (2560, 1440)
    if not (320 <= width <= 32_000 and 180 <= height <= 32_000):
        raise InvalidOption(f"size {width}x{height}: a picture is 320x180 to 32000x32000 pixels")
    return int(width), int(height)


def _known_focus(executable: Any, focus: str | None) -> None:
    names = [s.name for s in executable.steps] + [cs.name for cs in executable.graph.compute_sets]
    if focus and not any(name.startswith(focus) for name in names):
        parts = {"/".join(n.split("/")[:k]) for n in names for k in range(1, n.count("/") + 2)}
        raise InvalidOption(f"nothing in {executable.name} has the path '{focus}'.{did_you_mean(focus, parts)}")


def _draw(executable, path, view, focus, size, theme, seed, profile) -> dict[str, Any]:
    if view == "operations":
        from .operations import draw_operations

        return draw_operations(executable, path, theme, focus)
    if view == "program":
        from .program import draw_program

        return draw_program(executable, path, theme, focus)
    if view == "tiles":
        from .tiles import draw_tiles

        return draw_tiles(executable, path, theme)
    if view == "timeline":
        from .timeline import draw_timeline

        return draw_timeline(executable, path, theme, focus, profile)
    if executable.num_vertices <= FEW_VERTICES:
        from .operations import draw_vertices

        return draw_vertices(executable, path, theme, focus)
    if path.suffix.lower() == ".svg":
        raise InvalidOption(
            f"{path.name}: {executable.num_vertices:,} vertices are too many for SVG; write .png, or --view operations"
        )
    from .computation import draw_computation

    return draw_computation(executable, path, theme, focus, size, seed)


def _page(picture: Path, page: Path, title: str, ground: str) -> None:
    """One self-contained page that shows a picture and lets one zoom into it."""
    data = base64.b64encode(picture.read_bytes()).decode()
    page.write_text(
        "<!doctype html><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<title>{title}</title><style>body{{margin:0;background:{ground};overflow:auto}}"
        "img{display:block;width:100%;cursor:zoom-in}img.full{width:auto;cursor:zoom-out}</style>"
        f"<img src='data:image/png;base64,{data}' alt='{title}' onclick=\"this.classList.toggle('full')\">",
        encoding="utf-8",
    )
