"""Pictures of executables. Reads anything; nothing but the session and the command line imports it."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from ..errors import FileLoadError, InvalidOption, did_you_mean
from .palette import THEMES

VIEWS = ("computation", "operations", "compute-sets", "program", "exchange", "timeline", "tiles", "memory")
SUFFIXES = (".png", ".svg", ".html")
STYLES = ("tissue", "nebula", "plate")
COLOURS = ("layer", "kind", "phase", "tile", "cycles")
PALETTES = ("vivid", "safe")
MOVING = (".mp4", ".webp", ".gif")
FEW_VERTICES = 40  # up to here the computation view names every vertex

__all__ = ["VIEWS", "animate", "render", "thumbnail"]


def render(
    executable: Any,
    path: str | Path,
    view: str = "computation",
    *,
    focus: str | None = None,
    size: int | str | tuple[int, int] | None = None,
    theme: str = "dark",
    seed: int = 0,
    profile: Any = None,
    program: int = 0,
    **more: Any,
) -> dict[str, Any]:
    """Draw an executable to .png, .svg (not the computation of large graphs) or an interactive page .html.

    view: computation (vertices and edges), operations (what the model says), compute-sets, program, exchange (traffic
    between tiles), timeline, tiles (the chip), memory; focus: only what has this path before it (`conv4`, `conv4/conv`), or a
    layer's phase (`conv4/forward`, `backward`, `update`); theme: dark, light or print; profile: what was run (a Report), for
    the timeline, exchange and tiles; program: which program of the executable these show.
    Of the computation view only: size: `4k`, `8k`, width in pixels, or (width, height); style: tissue, nebula or plate;
    color: by layer, kind, phase, tile or cycles; palette: vivid or safe (for colour-deficient sight); bare: no words;
    seed: another arrangement; detail: width of the deepest level of a page. Returns the counts drawn, the path, the seconds taken, and `note` where something could be better.
    Raises InvalidOption, FileLoadError.
    """
    path = Path(path)
    check_names(path, view, theme=theme, **more)
    _known_focus(executable, focus)
    _known_program(executable, program)
    begin = time.perf_counter()
    try:
        facts = _draw(executable, path, view, focus, size, theme, seed, profile, program, more)
    except OSError as problem:
        raise FileLoadError(f"cannot write {path}: {problem.strerror or problem}") from None
    counts = {"vertices": int(executable.num_vertices), "edges": int(executable.num_edges)}
    return {"view": view, "path": str(path), **counts, **facts, "seconds": round(time.perf_counter() - begin, 3)}


def animate(
    executable: Any,
    path: str | Path,
    *,
    focus: str | None = None,
    size: int | tuple[int, int] | None = None,
    theme: str = "dark",
    seed: int = 0,
    profile: Any = None,
    program: int = 0,
    frames_per_second: int = 12,
) -> dict[str, Any]:
    """A run in time as .gif, .webp or .mp4: the graph, its supersteps lighting up in the order they ran.

    The order is that of `profile` (a Report), else of one run of `program`. size: as of `render`, default 1280x720
    (of .gif 960x540). Every frame is as many cycles as any other: long supersteps take long.
    Returns frames, supersteps, cycles, path, seconds. Raises InvalidOption, FileLoadError, and MissingTool where .mp4 is
    asked for without imageio-ffmpeg.
    """
    from .animation import animate as draw

    path = Path(path)
    suffix = check_moving(path, theme)
    if not 1 <= frames_per_second <= 60:
        raise InvalidOption(f"{frames_per_second} frames a second: give 1 to 60")
    _known_focus(executable, focus)
    _known_program(executable, program)
    begin = time.perf_counter()
    shape = _size(size or ((960, 540) if suffix == ".gif" else (1280, 720)))
    try:
        facts = draw(executable, path, theme, focus, shape, seed, profile, program, frames_per_second)
    except OSError as problem:
        raise FileLoadError(f"cannot write {path}: {problem.strerror or problem}") from None
    return {"path": str(path), **facts, "seconds": round(time.perf_counter() - begin, 3)}


def thumbnail(executable: Any, size: tuple[int, int] = (1120, 630)) -> bytes | None:
    """A PNG of the computation view for notebooks; None of more than THUMBNAIL edges, or without Pillow.

    The bytes are kept with the executable, since notebooks ask for them more than once.
    """
    from .notebook import picture_bytes

    return picture_bytes(executable, size)


def check_names(
    path: str | Path, view: str, *, theme: str = "dark", style: str = "tissue", color: str = "layer",
    palette: str = "vivid", **_: Any,
) -> None:  # fmt: skip
    """Raise for what no executable could be drawn as: InvalidOption, and FileLoadError where there is no folder."""
    path = Path(path)
    named = ("view", view, VIEWS), ("theme", theme, THEMES), ("style", style, STYLES), ("color", color, COLOURS)
    for what, value, known in (*named, ("palette", palette, PALETTES)):
        _check(what, value, known)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        near = " A run in time: --animate, or `animate`" if suffix in MOVING else did_you_mean(suffix, SUFFIXES)
        raise InvalidOption(f"{path.name}: pictures are written as {', '.join(SUFFIXES)}.{near}")
    _writable(path)


def check_moving(path: str | Path, theme: str) -> str:
    """The suffix of a run in time; raises as `check_names`."""
    path = Path(path)
    _check("theme", theme, THEMES)
    suffix = path.suffix.lower()
    if suffix not in MOVING:
        raise InvalidOption(f"{path.name}: runs are written as {', '.join(MOVING)}.{did_you_mean(suffix, MOVING)}")
    _writable(path)
    return suffix


def _writable(path: Path) -> None:
    if not path.parent.is_dir():
        raise FileLoadError(f"cannot write {path}: there is no folder {path.parent}")
    if path.is_dir():
        raise FileLoadError(f"cannot write {path}: it is a folder")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise FileLoadError(f"cannot write {path}: permission denied")


def _known_program(executable: Any, program: int) -> None:
    count = len(executable.schedule.programs)
    if not 0 <= program < count:
        raise InvalidOption(f"program {program}: {executable.name} has {count}, numbered from 0")


def _check(what: str, value: Any, known: Any) -> None:
    if value not in known:
        raise InvalidOption(
            f"no {what} '{value}'.{did_you_mean(str(value), known)} {what.capitalize()}s: {', '.join(known)}"
        )


def _size(size: Any) -> tuple[int, int]:
    if isinstance(size, str):
        named = {"4k": 3840, "8k": 7680}.get(size.lower())
        width, cross, height = size.lower().partition("x")
        if named is None and (not width.isdigit() or (cross and not height.isdigit())):
            raise InvalidOption(f"size '{size}': give 4k, 8k, a width such as 2048, or 3840x2160")
        size = named or ((int(width), int(height)) if cross else int(width))
    wide, high = (size, round(size * 9 / 16)) if isinstance(size, int) else size or (3840, 2160)
    if not (320 <= wide <= 32_000 and 180 <= high <= 32_000):
        raise InvalidOption(f"size {wide}x{high}: a picture is 320x180 to 32000x32000 pixels")
    return int(wide), int(high)


def _known_focus(executable: Any, focus: str | None) -> None:
    if not focus:
        return
    names = [s.name for s in executable.steps] + [cs.name for cs in executable.graph.compute_sets]
    if any(name.startswith(focus) for name in names):
        return
    from .scene import chosen_sets

    if focus.rpartition("/")[2] in ("forward", "backward", "update") and chosen_sets(executable, focus):
        return
    parts = {"/".join(n.split("/")[:k]) for n in names for k in range(1, n.count("/") + 2)}
    raise InvalidOption(f"nothing in {executable.name} has the path '{focus}'.{did_you_mean(focus, parts)}")


def _draw(executable, path, view, focus, size, theme, seed, profile, program, more) -> dict[str, Any]:
    if view == "computation":
        return _computation(executable, path, focus, size, theme, seed, more)
    if size is not None or more:
        odd = "size" if size is not None else next(iter(more))
        raise InvalidOption(f"{odd}: of the computation view only; the {view} view is as large as what it shows")
    if view == "operations":
        from .operations import draw_operations

        return draw_operations(executable, path, theme, focus)
    if view == "compute-sets":
        from .sets import draw_sets

        return draw_sets(executable, path, theme, focus, program)
    if view == "program":
        from .program import draw_program

        return draw_program(executable, path, theme, focus)
    if view == "exchange":
        from .exchange import draw_exchange

        return draw_exchange(executable, path, theme, focus, profile, program)
    if view == "timeline":
        from .timeline import draw_timeline

        return draw_timeline(executable, path, theme, focus, profile, program)
    if view == "tiles":
        from .tiles import draw_tiles

        return draw_tiles(executable, path, theme, focus, profile, program)
    from .memory import draw_memory

    return draw_memory(executable, path, theme, focus, program)


def _computation(executable, path, focus, size, theme, seed, more) -> dict[str, Any]:
    from .computation import draw_computation
    from .scene import chosen_sets

    odd = set(more) - {"style", "color", "palette", "bare", "detail"}
    if odd:
        raise InvalidOption(
            f"no option '{min(odd)}' of the computation view; there are style, color, palette, bare, detail"
        )
    vertices = sum(int(b.n) for cs in chosen_sets(executable, focus) for b in cs.blocks)
    if vertices <= FEW_VERTICES:
        from .vertices import draw_vertices

        inside = focus if focus and focus.rpartition("/")[2] not in ("forward", "backward", "update") else None
        if inside or executable.num_vertices <= FEW_VERTICES:
            return draw_vertices(executable, path, theme, inside)
    suffix = path.suffix.lower()
    if suffix == ".svg":
        raise InvalidOption(
            f"{path.name}: {executable.num_vertices:,} vertices are too many for SVG; write .png or .html, or --view operations"
        )
    if suffix == ".html":
        from .deep import draw_page

        return draw_page(executable, path, theme, focus, _size(size), seed, **more)
    more.pop("detail", None)
    return draw_computation(executable, path, theme, focus, _size(size), seed, **more)
