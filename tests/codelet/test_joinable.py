"""Which codelets' vertices may be joined, and that joined ones do what they did."""

import itertools
from pathlib import Path

import numpy as np
import pytest

import poplar_py as pp
from poplar_py.codelet.joinable import continued
from poplar_py.codelet.library import Library
from poplar_py.engine import joining, work

FILE = Path(__file__).with_name("joinable_codelets.py")
MAY = {"Plain": {"x", "y"}, "Rows": {"m"}}


@pytest.fixture
def graph():
    g = pp.Graph(pp.Target.tiny(num_tiles=4))
    g.add_codelets(FILE)
    return g


NAMES = (
    "Plain", "Rows", "Carries", "Remembers", "Neighbour", "Counts", "Sizes", "Before", "Sums", "Total", "Stops",
    "Transposed", "Columns", "Borrowed",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_what_may_be_joined(name, graph):
    assert continued(graph.library[name]) == MAY.get(name, set())


def test_ours():
    ours = Library.builtin()
    for name, fields in {"Relu": "xy", "AddInPlace": "ab", "ScaleShiftRows": "xy"}.items():
        assert continued(ours[name]) == set(fields), name
    for name in ("ReduceAdd", "Softmax", "Dropout", "MaxPool", "ConvPartial", "TopK", "Iota", "OneHot"):
        assert not continued(ours[name]), name


@pytest.mark.parametrize("threads", [1, 2])
def test_joined_vertices_compute_the_same(threads, graph, monkeypatch):
    """Vertices of uneven sizes that continue one another, some with another constant, some apart."""
    rng = np.random.default_rng(0)
    x = graph.add_variable(pp.FLOAT, (4, 60), "x")
    y = graph.add_variable(pp.FLOAT, (4, 60), "y")
    m = graph.add_variable(pp.FLOAT, (8, 5), "m")
    v = graph.add_variable(pp.FLOAT, (2, 5), "v")
    s = graph.add_variable(pp.FLOAT, (4,), "s")
    for t in (x, y, s):
        for row in range(4):
            graph.set_tile_mapping(t[row], row)
    graph.set_tile_mapping(m, 1)
    graph.set_tile_mapping(v, 1)
    elements, rows = graph.add_compute_set("elements"), graph.add_compute_set("rows")
    for row in range(4):
        cuts = [0, 7, 8, 20, 20 + row, 41, 60]
        for n, (a, b) in enumerate(itertools.pairwise(cuts)):
            fields = {"x": x[row, a:b], "y": y[row, a:b], "s": s[row], "k": 3.0 if n < 4 else 4.0}
            vertex = graph.add_vertex(elements, "Plain", fields)
            graph.set_tile_mapping(vertex, row)
    for first in range(8):
        vertex = graph.add_vertex(rows, "Rows", {"m": m[first : first + 1], "v": v[first // 4]})
        graph.set_tile_mapping(vertex, 1)
    for name, t in {"x": x, "y": y, "m": m, "v": v, "s": s}.items():
        graph.create_host_write(name, t)
        graph.create_host_read(name, t)
    executable = pp.compile_graph(graph, [pp.Sequence([pp.Execute(elements), pp.Execute(rows)])])
    given = {n: rng.standard_normal(t.shape).astype("f4") for n, t in {"x": x, "m": m, "v": v, "s": s}.items()}
    turns = []

    def join(*arguments):
        columns, turn = joining.join(*arguments)
        turns.append((len(arguments[2]), len(turn)))
        return columns, turn

    monkeypatch.setattr(work, "join", join)
    found = []
    for make in (pp.ReferenceEngine, lambda e: pp.Engine(e, threads=threads)):
        engine = make(executable)
        engine.load(pp.Device(graph.target))
        for name, array in given.items():
            engine.write_tensor(name, array)
        engine.run(0)
        found.append({name: engine.read_tensor(name) for name in ("y", "m")})
    for name in ("y", "m"):
        np.testing.assert_array_equal(found[0][name], found[1][name])
    k = np.where(np.arange(60) < np.array([20 + np.arange(4)]).T, np.float32(3), np.float32(4))
    np.testing.assert_array_equal(found[0]["y"], np.where(given["x"] > given["s"][:, None], given["x"] * k, k))
    np.testing.assert_array_equal(found[0]["m"], given["m"] + np.repeat(given["v"], 4, 0))
    assert sorted(turns) == [(8, 2), (24, 9)]  # a vertex without elements is a turn of its own
