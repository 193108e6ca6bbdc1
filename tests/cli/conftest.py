"""Running the command line inside the test's process, and once outside."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from poplar_py.__main__ import main


@dataclass
class Outcome:
    """What a command left: exit code, standard output and error."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Outcome]:
    """`cli("report", "x.pop")` in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(*words: Any) -> Outcome:
        capsys.readouterr()
        code = main([str(w) for w in words])
        said = capsys.readouterr()
        return Outcome(code, said.out, said.err)

    return run


@pytest.fixture(scope="session")
def executable_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hand-made graph, compiled and saved: c = a + b on four tiles."""
    import poplar_py as pp

    graph = pp.Graph(pp.Target.tiny(), name="adding")
    a, b, c = (graph.add_variable(pp.FLOAT, (8,), name=name) for name in "abc")
    for tensor in (a, b, c):
        graph.set_tile_mapping(tensor, [0, 0, 1, 1, 2, 2, 3, 3])
    adding = graph.add_compute_set("adding")
    adding.add_vertices("Add", a=a.reshape(4, 2), b=b.reshape(4, 2), out=c.reshape(4, 2), tile=[0, 1, 2, 3])
    graph.create_host_write("a", a)
    graph.create_host_write("b", b)
    graph.create_host_read("c", c)
    path = tmp_path_factory.mktemp("executables") / "adding.pop"
    pp.compile_graph(graph, [pp.Execute(adding)], name="adding").save(path)
    return path
