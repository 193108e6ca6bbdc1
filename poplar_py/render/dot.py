"""Graphviz: finding an engine, which places the boxes of diagrams.

The engine is `dot` from the system, else the one the pip package graphviz-pure brings, so that `pip install` alone draws.
"""

from __future__ import annotations

import shutil
import sys
import sysconfig
from pathlib import Path

from ..errors import MissingTool


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
        "the Graphviz programs are missing: install them with `pip install graphviz-pure`,"
        " or from the system's packages (`apt-get install graphviz`)"
    )
