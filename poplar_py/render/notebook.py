"""How executables and reports show themselves in notebooks: a picture where it is quick, and the counts."""

from __future__ import annotations

import base64
import tempfile
from html import escape
from pathlib import Path
from typing import Any

from .costs import counted

THUMBNAIL = 4_000_000  # edges up to which a picture is drawn at once


def picture_bytes(executable: Any, size: tuple[int, int]) -> bytes | None:
    """PNG bytes of the computation view, kept with the executable; None of more than THUMBNAIL edges or without Pillow."""
    if executable.num_edges > THUMBNAIL:
        return None
    kept: dict[tuple[int, int], bytes] = executable.__dict__.setdefault("_thumbnails", {})
    if size not in kept:
        try:
            import PIL  # noqa: F401
        except ImportError:
            return None
        from . import FEW_VERTICES, render

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "thumbnail.png"
            render(executable, path, size=None if executable.num_vertices <= FEW_VERTICES else size)
            kept[size] = path.read_bytes()
    return kept[size]


def executable_html(executable: Any) -> str:
    """A line of counts, how full the fullest tile is, and the picture."""
    plan = executable.memory
    share = plan.max_tile_bytes / plan.capacity_bytes
    lines = [
        f"<b>{escape(executable.name)}</b> for {escape(executable.target.name)}:"
        f" {counted(executable.num_vertices, 'vertex', 'vertices')}, {counted(executable.num_edges, 'edge')},"
        f" {counted(len(executable.steps), 'superstep')}",
        f"fullest tile: {plan.max_tile_bytes:,} of {plan.capacity_bytes:,} bytes ({share:.0%})"
        + ("" if plan.fits else ", <b>does not fit</b>"),
    ]
    image = picture_bytes(executable, (1120, 630))
    if image is None:
        lines.append("no picture at once of a graph this large: <code>executable.render('graph.png')</code> draws it")
    return _page(lines, image)


def report_html(report: Any) -> str:
    """The summary of a report, and its timeline."""
    return _page([f"<pre>{escape(report.summary())}</pre>"], report_bytes(report))


def report_bytes(report: Any) -> bytes | None:
    """PNG bytes of the timeline of what a report is of; None without Pillow."""
    try:
        import PIL  # noqa: F401
    except ImportError:
        return None
    from . import render

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "timeline.png"
        render(report.executable, path, view="timeline", profile=report)
        return path.read_bytes()


def _page(lines: list[str], image: bytes | None) -> str:
    picture = ""
    if image is not None:
        data = base64.b64encode(image).decode()
        picture = f'<br><img style="max-width:100%" src="data:image/png;base64,{data}">'
    return f"<div>{'<br>'.join(lines)}{picture}</div>"
