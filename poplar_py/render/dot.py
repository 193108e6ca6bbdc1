"""Graphviz: finding an engine, and drawing DOT text with it.

The engine is `dot` from the system, else the one the pip package graphviz-pure brings, so that `pip install` alone draws.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from ..errors import MissingTool, RuntimeFault


def find_engine() -> str:
    """Path of a Graphviz layout program. Raises MissingTool, which says how to get one."""
    found = shutil.which("dot")
    if found:
        return found
    folders = [sysconfig.get_path("scripts"), str(Path(sys.executable).parent)]
    for folder in folders:
        for name in ("graphviz-pure", "graphviz-pure.exe"):
            path = Path(folder) / name
            if path.is_file():
                return str(path)
    found = shutil.which("graphviz-pure")
    if found:
        return found
    raise MissingTool(
        "drawing this view needs the Graphviz programs: install them with `pip install graphviz-pure`,"
        " or from the system's packages (`apt-get install graphviz`)"
    )


def draw(graph: object, path: Path) -> None:
    """Draw a `graphviz.Digraph` to .svg or .png. Raises MissingTool, RuntimeFault."""
    import graphviz
    from graphviz.backend import dot_command

    dot_command.DOT_BINARY = Path(find_engine())
    try:
        data = graph.pipe(format=path.suffix[1:].lower())  # type: ignore[attr-defined]
    except (subprocess.CalledProcessError, graphviz.ExecutableNotFound) as problem:
        raise RuntimeFault(f"Graphviz could not draw {path.name}: {problem}") from None
    path.write_bytes(data)
