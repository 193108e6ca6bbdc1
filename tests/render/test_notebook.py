"""Executables and reports show themselves in notebooks."""

import base64
import io
import re

import numpy as np
import pytest

import poplar_py as pp
from poplar_py.render import notebook

PIL_Image = pytest.importorskip("PIL.Image")


@pytest.fixture(scope="module")
def executable():
    return pp.compile("models/mnist_small.yaml", pp.Target.tiny(16), batch=4)


def test_an_executable_is_a_picture_and_counts(executable):
    png = executable._repr_png_()
    picture = PIL_Image.open(io.BytesIO(png))
    assert picture.size == (1120, 630) and picture.text["vertices"] == str(executable.num_vertices)
    page = executable._repr_html_()
    assert f"{executable.num_vertices:,} vertices" in page and f"{executable.num_edges:,} edges" in page
    shown = base64.b64decode(re.search(r"base64,([^\"]+)", page)[1])
    assert shown == png and executable._repr_png_() is png, "drawn once"


def test_a_large_graph_keeps_no_notebook_waiting(executable, monkeypatch):
    monkeypatch.setattr(notebook, "THUMBNAIL", 10)
    assert executable._repr_png_() is None
    page = executable._repr_html_()
    assert "executable.render(" in page and "<img" not in page and f"{executable.num_vertices:,}" in page


def test_a_report_is_its_summary_and_timeline():
    executable = adding("adding")
    engine = pp.Engine(executable)
    engine.load(pp.Device(executable.target))
    engine.run(0)
    report = engine.profile()
    page = report._repr_html_()
    assert f"{report.cycles:,}" in page
    picture = PIL_Image.open(io.BytesIO(report._repr_png_()))
    assert picture.width > 1000 and np.asarray(picture.convert("RGB")).std() > 10
    assert base64.b64encode(report._repr_png_()).decode() in page


def test_names_are_escaped():
    page = adding("<b>")._repr_html_()
    assert "&lt;b&gt;" in page and "<b><b>" not in page


def adding(name):
    graph = pp.Graph(pp.Target.tiny(4), name=name)
    a, b, c = (graph.add_variable(pp.FLOAT, (1,), name=n, mapping=0) for n in "abc")
    cs = graph.add_compute_set("adding")
    graph.add_vertex(cs, "Add", {"a": a, "b": b, "out": c}, tile=0)
    graph.create_host_read("c", c)
    return pp.compile_graph(graph, pp.Execute(cs))
