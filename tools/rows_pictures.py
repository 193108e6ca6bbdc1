"""Rows of pictures: the computation view from saved executables, in a process of its own each, so memory is its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benching import ROOT, Row, bench

MODELS = (  # name, how to compile, seconds, GB
    ("mnist_small, training", ("mnist_small", "--training"), 20.0, 2.0),
    ("resnet50, inference", ("resnet50",), 45.0, 4.0),
    ("resnet50, training", ("resnet50", "--training", "--allow-out-of-memory"), 45.0, 4.0),
    ("resnet50, training, rows", ("resnet50", "--training", "--grain", "row", "--allow-out-of-memory"), 45.0, 4.0),
    (
        "alexnet, training, rows",
        ("alexnet", "--training", "--batch", "496", "--grain", "row", "--allow-out-of-memory"),
        180.0,
        8.0,
    ),
)
DRAW = """
import json, resource, sys, time
import poplar_py as pp
begin = time.perf_counter()
executable = pp.Executable.load(sys.argv[1])
facts = executable.render(sys.argv[2], size="4k")
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps({"seconds": time.perf_counter() - begin, "cpu": used.ru_utime + used.ru_stime,
                  "gb": used.ru_maxrss / 1e6, "vertices": facts["drawn_vertices"], "edges": facts["drawn_edges"]}))
"""


@bench("pictures")
def bench_pictures() -> Iterator[Row]:
    """4k PNG of the computation view; an executable in POPLAR_PICTURE (a .pop file) is drawn as well."""
    with tempfile.TemporaryDirectory() as folder:
        for name, model, seconds, gigabytes in MODELS:
            saved = Path(folder) / "model.pop"
            command = [sys.executable, "-m", "poplar_py", "compile", *model, "-o", str(saved), "--json"]
            subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
            yield from _draw(name, saved, Path(folder) / "a.png", seconds, gigabytes)
        if "POPLAR_PICTURE" in os.environ:
            given = Path(os.environ["POPLAR_PICTURE"])
            yield from _draw(given.stem, given, Path(folder) / "a.png", 180.0, 8.0)


def _draw(name: str, saved: Path, picture: Path, seconds: float, gigabytes: float) -> Iterator[Row]:
    command = [sys.executable, "-c", DRAW, str(saved), str(picture)]
    ran = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    facts = json.loads(ran.stdout)
    counts = f"{facts['vertices']:,} vertices, {facts['edges']:,} edges, {facts['cpu']:.0f} s of CPU"
    yield Row(f"picture of {name}", facts["seconds"], "s", seconds, counts)
    yield Row(f"memory of that picture: {name}", facts["gb"], "GB", gigabytes)
