"""Every view draws; the computation picture shows every vertex, says the true counts, and is the same every time."""

import re

import numpy as np
import pytest

import poplar_py as pp
from poplar_py.render import VIEWS
from poplar_py.render.repeats import blocks_of

PIL_Image = pytest.importorskip("PIL.Image")

NET = """
name: net
batch: 8
input: {shape: [12]}
layers: [dense: {units: 16, activation: relu, name: fc1}, dense: {units: 4, name: fc2}]
training: {loss: softmax_cross_entropy, optimiser: {sgd: {learning_rate: 0.1}}, batch: 8, epochs: 1}
"""


@pytest.fixture(scope="module")
def executable(tmp_path_factory):
    path = tmp_path_factory.mktemp("net") / "net.yaml"
    path.write_text(NET)
    return pp.compile(path, pp.Target.tiny(12), training=True)


def one_vertex():
    graph = pp.Graph(pp.Target.tiny(4), name="adding")
    a, b, c = (graph.add_variable(pp.FLOAT, (1,), name=n, mapping=i) for i, n in enumerate("abc"))
    cs = graph.add_compute_set("adding")
    graph.add_vertex(cs, "Add", {"a": a, "b": b, "out": c}, tile=0)
    graph.create_host_read("c", c)
    return pp.compile_graph(graph, pp.Execute(cs))


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("theme", ["dark", "light", "print"])
def test_every_view_in_every_theme(executable, tmp_path, view, theme):
    facts = executable.render(
        tmp_path / "a.png", view=view, theme=theme, **({"size": 640} if view == "computation" else {})
    )
    assert facts["vertices"] == executable.num_vertices and facts["edges"] == executable.num_edges
    corner = np.asarray(PIL_Image.open(tmp_path / "a.png").convert("RGB"))[:12, -12:].mean()
    assert corner < 60 if theme == "dark" else corner > 200


@pytest.mark.parametrize("view", [v for v in VIEWS if v != "computation"])
def test_svg_and_pages(executable, tmp_path, view):
    executable.render(tmp_path / "a.svg", view=view)
    assert "<svg" in (tmp_path / "a.svg").read_text()[:2000]
    executable.render(tmp_path / "a.html", view=view)
    page = (tmp_path / "a.html").read_text()
    assert ("<svg" in page or "data:image/png;base64" in page) and "http://" not in page.replace(
        "http://www.w3.org", ""
    )
    assert [p.name for p in sorted(tmp_path.iterdir())] == ["a.html", "a.svg"]


def test_the_same_seed_gives_the_same_bytes(executable, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        executable.render(tmp_path / f"{name}.png", size=640, seed=seed)
    a, b, c = ((tmp_path / f"{n}.png").read_bytes() for n in "abc")
    assert a == b and a != c
    picture = PIL_Image.open(tmp_path / "a.png")
    assert picture.text["vertices"] == str(executable.num_vertices)
    assert picture.text["edges"] == str(executable.num_edges) and picture.size == (640, 360)


def test_a_single_vertex_is_a_figure_with_names(tmp_path):
    executable = one_vertex()
    executable.render(tmp_path / "a.svg")
    text = (tmp_path / "a.svg").read_text()
    for word in ("Add", "tile 0", "tile 1", ">a<", "out"):
        assert word in text


def test_focus_draws_a_part(executable, tmp_path):
    facts = executable.render(tmp_path / "a.png", size=640, focus="fc1/matmul")
    assert 0 < facts["drawn_vertices"] < executable.num_vertices


def test_mistakes_are_named(executable, tmp_path, monkeypatch):
    for options, message in (
        ({"view": "operation"}, "no view 'operation'. Did you mean 'operations'"),
        ({"theme": "drak"}, "Did you mean 'dark'"),
        ({"focus": "fc9"}, "has the path 'fc9'"),
        ({"size": 10}, "320x180"),
    ):
        with pytest.raises(pp.InvalidOption, match=message):
            executable.render(tmp_path / "a.png", **options)
    with pytest.raises(pp.InvalidOption, match="pictures are written as"):
        executable.render(tmp_path / "a.gif")
    with pytest.raises(pp.FileLoadError, match="no folder"):
        executable.render(tmp_path / "none" / "a.png")
    from poplar_py.render import dot

    monkeypatch.setattr(dot.shutil, "which", lambda name: None)
    monkeypatch.setattr(dot.sysconfig, "get_path", lambda name: str(tmp_path))
    monkeypatch.setattr(dot.sys, "executable", str(tmp_path / "python"))
    facts = executable.render(tmp_path / "a.png", view="operations")
    assert (
        re.search(r"pip install graphviz-pure.*apt-get install graphviz", facts["note"])
        and (tmp_path / "a.png").is_file()
    )


REPEATS = """
name: tower
batch: 2
input: {shape: [16]}
layers:
  - repeat: {use: level, name: levels, times: 6}
  - dense: {units: 4, name: last}
blocks:
  level: {layers: [dense: {units: 16, activation: relu, name: fc}]}
"""


def test_repeated_blocks_are_drawn_once(tmp_path):
    (tmp_path / "tower.yaml").write_text(REPEATS)
    tower = pp.compile(tmp_path / "tower.yaml", pp.Target.tiny(8))
    facts = tower.render(tmp_path / "a.svg", view="operations")
    text = (tmp_path / "a.svg").read_text()
    assert facts["drawn_operations"] <= facts["operations"] - 10
    assert "levels/0   x6" in text and "levels/3/fc" not in text


def test_blocks_of_paths():
    names = ["conv1/conv", "conv4/first/conv", "conv4/more/0/conv", "conv4/more/1/conv1/product", "loss"]
    assert list(blocks_of(names).values()) == ["conv1", "conv4/first", "conv4/more/0", "conv4/more/1", "loss"]
    assert set(blocks_of(["fc/matmul/product", "fc/matmul/reduce", "fc/relu/x"]).values()) == {"fc/matmul", "fc/relu"}


def ten_vertices():
    graph = pp.Graph(pp.Target.tiny(4), name="ten")
    x = graph.add_variable(pp.FLOAT, (8, 100), name="x")
    graph.set_tile_mapping(x, np.arange(8) // 2)
    twice = graph.clone(x, "twice")
    doubling, pairs, total = (graph.add_compute_set(n) for n in ("doubling", "pairs", "total"))
    doubling.add_vertices("Add", a=x, b=x, out=twice, tile=np.arange(8) // 2)
    half, out = (graph.add_variable(pp.FLOAT, (100,), name=n, mapping=0) for n in ("half", "sum"))
    graph.add_vertex(pairs, "Add", {"a": twice[0], "b": twice[7], "out": half}, tile=0)
    graph.add_vertex(total, "Add", {"a": half, "b": twice[3], "out": out}, tile=0)
    graph.create_host_read("sum", out)
    loop = pp.Repeat(3, pp.Sequence([pp.Execute(doubling), pp.Copy(twice, x)]))
    return pp.compile_graph(graph, pp.Sequence([loop, pp.Execute(pairs), pp.Execute(total)]))


def test_ten_vertices_are_a_page_of_a_textbook(tmp_path):
    executable = ten_vertices()
    facts = executable.render(tmp_path / "a.svg")
    text = (tmp_path / "a.svg").read_text()
    assert facts["drawn_vertices"] == 10 == text.count("<ellipse") - 1  # one is in the legend
    assert [text.count(f">{field}<") for field in ("a", "b", "out")] == [10, 10, 10]
    for words in ("[0, :]", "[7, :]", "float 8x100", "doubling", "copy", "tiles 0..3"):
        assert words in text


def test_things_of_a_textbook_page_do_not_touch(monkeypatch):
    from poplar_py.render import textbook
    from poplar_py.render.vertices import vertices_figure

    pages = []
    draw = textbook.Textbook.draw
    monkeypatch.setattr(textbook.Textbook, "draw", lambda page: (pages.append(page), draw(page))[1])
    figure, _ = vertices_figure(ten_vertices(), "dark")
    things = list(pages[0].things.values())
    assert len(things) == 14
    for i, a in enumerate(things):
        assert a.x >= 0 and a.x + a.width <= figure.width and a.y >= 0 and a.y + a.height <= figure.height
        for b in things[:i]:
            apart = a.x + a.width < b.x or b.x + b.width < a.x or a.y + a.height < b.y or b.y + b.height < a.y
            assert apart, (a.name, b.name)


def test_a_long_program_is_a_line_a_block(tmp_path, monkeypatch, executable):
    from poplar_py.render import program

    whole = executable.render(tmp_path / "a.svg", view="program")
    monkeypatch.setattr(program, "_LONG", 5)
    short = executable.render(tmp_path / "b.svg", view="program")
    assert short["lines"] < whole["lines"]
    text = (tmp_path / "b.svg").read_text()
    assert "fc1   (" in text and "supersteps)" in text


def test_a_timeline_shows_the_whole_run(executable, tmp_path, monkeypatch):
    from poplar_py.render import timeline

    facts = executable.render(tmp_path / "a.png", view="timeline")
    monkeypatch.setattr(timeline, "_TICKED", 2)
    folded = executable.render(tmp_path / "b.png", view="timeline")
    assert folded == facts | {"path": folded["path"], "seconds": folded["seconds"]}
    a, b = (np.asarray(PIL_Image.open(tmp_path / f"{n}.png").convert("RGB")).astype(int) for n in "ab")
    assert a.shape == b.shape and np.abs(a - b).mean() < 4  # the same picture, by finer columns


def test_a_copy_of_several_variables_joins_each_to_its_own():
    from poplar_py.render.sets import _links

    graph = pp.Graph(pp.Target.tiny(num_tiles=2))
    a, b, c, d, e, f, x, y = (
        graph.add_variable(pp.FLOAT, (n,), name=name, mapping=0) for name, n in zip("abcdefxy", (4, 6) * 4, strict=True)
    )
    sets = [graph.add_compute_set(name) for name in ("writes_a", "writes_b", "reads_c", "reads_d")]
    for cs, read, written in zip(sets, (x, y, c, d), (a, b, e, f), strict=True):
        cs.add_vertices("Add", a=read, b=read, out=written, tile=0)
    copy = pp.Copy(pp.concat([a, b]), pp.concat([c, d]))
    steps = [pp.Execute(sets[0]), pp.Execute(sets[1]), copy, pp.Execute(sets[2]), pp.Execute(sets[3])]
    executable = pp.compile_graph(graph, pp.Sequence(steps))
    assert _links(executable, 0, {cs.index for cs in sets}) == {(0, 2): [2], (1, 3): [3]}  # c and d, not crosswise
