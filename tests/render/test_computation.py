"""The computation view is honest: counts, vertices and edges are the executable's, and each is on the picture."""

import os
import subprocess
import sys

import numba
import numpy as np
import pytest

import poplar_py as pp
from poplar_py.render import COLOURS, STYLES, computation, pen, words
from poplar_py.render.colours import KIND_SHIFT, SAFE_KINDS, Colours, linear
from poplar_py.render.computation import Picture
from poplar_py.render.flow import Flow, program_order
from poplar_py.render.labels import cell_labels
from poplar_py.render.scene import build_scene, chosen_sets
from poplar_py.render.sides import _crosses, place_labels

PIL_Image = pytest.importorskip("PIL.Image")

NET = """
name: net
batch: 8
input: {shape: [12]}
layers: [dense: {units: 16, activation: relu, name: fc1}, dense: {units: 4, name: fc2}]
training: {loss: softmax_cross_entropy, optimiser: {sgd: {learning_rate: 0.1}}, batch: 8, epochs: 1}
"""


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    path = tmp_path_factory.mktemp("net") / "net.yaml"
    path.write_text(NET)
    return pp.compile(path, pp.Target.tiny(12), training=True)


@pytest.fixture(scope="module")
def lenet():
    return pp.compile("models/lenet5.yaml", pp.Target.tiny(48), batch=4, training=True)


def writers_one_by_one(executable, sets):
    """The same question as Flow's asked of plain dictionaries: who wrote each element last, set by set, copies included."""
    graph, wrote = executable.graph, {}
    number, count = {}, 0
    for cs in sets:
        number[cs.index] = count
        count += sum(b.n for b in cs.blocks)
    order, events = program_order(executable), []
    from poplar_py.render.flow import _events

    for kind, at in _events(executable):
        events.append((kind, at))
    found = {}
    for turn in range(2):  # the second turn knows what the first one wrote
        seen = set()
        for kind, at in events:
            if kind == "copy":
                step = executable.schedule.steps[at]
                old = dict(wrote)
                for s, d in zip(step.source.index.reshape(-1), step.destination.index.reshape(-1), strict=True):
                    wrote[int(d)] = old.get(int(s))
                continue
            if at in seen or at not in number:
                continue
            seen.add(at)
            fresh = {}
            for base, block in _blocks(graph.compute_sets[at], number[at]):
                for name, edges in block.fields.items():
                    direction = block.info.fields[name].direction
                    for v in range(block.n):
                        window = [int(e) for e in edges.window(v).reshape(-1)]
                        if direction != "out" and turn == 1:
                            found.setdefault((base + v, name), set()).update(wrote.get(e) for e in window)
                        if direction != "in":
                            fresh |= dict.fromkeys(window, base + v)
            wrote |= fresh
    assert set(order) >= set(number)
    return found


def _blocks(cs, base):
    for block in cs.blocks:
        yield base, block
        base += block.n


@pytest.mark.parametrize("name", ["net", "lenet"])
def test_edges_are_the_executables(name, request):
    executable = request.getfixturevalue(name)
    sets = chosen_sets(executable, None)
    flow = Flow(executable, sets)
    assert (flow.num_vertices, flow.num_edges) == (executable.num_vertices, executable.num_edges)
    count = sum(len(part.vertex) for cs in sets for part in flow.edges_of(cs))
    assert count == executable.num_edges


def test_readers_are_joined_to_who_wrote_what_they_read(net):
    sets = chosen_sets(net, None)
    flow = Flow(net, sets)
    expected = writers_one_by_one(net, sets)
    checked = 0
    for cs in sets:
        for part in flow.edges_of(cs, writes=False):
            for vertex, other in zip(part.vertex, part.other, strict=True):
                known = expected[int(vertex), part.field]
                assert (None if other < 0 else int(other)) in known
                checked += len(known) == 1
    assert checked > 100


def test_every_vertex_lights_its_pixel_and_every_edge_its_line(net):
    picture = Picture(net, seed=3)
    assert picture.exact and picture.mode.startswith("exact")
    view = picture.view((900, 506))
    colours = Colours(picture.scene, "layer", "vivid", True)
    planes = picture.planes(view, colours)
    a = picture.arrangement
    x, y = a.x * view.scale + view.ox, a.y * view.scale + view.oy
    assert len(x) == net.num_vertices and (x > 0).all() and (x < 900).all() and (y > 0).all() and (y < 506).all()
    assert (planes["dots"][y.astype(int), x.astype(int), 3] > 0.3).all()
    edges = 0
    for e in picture.ends(colours.of_vertex):
        edges += len(e.x0)
        inside = e.cell0 == e.cell1
        x0, y0, x1, y1 = (v[inside].astype(float) for v in (e.x0, e.y0, e.x1, e.y1))
        for t in (0.1, 0.3, 0.5, 0.7, 0.9):  # on the chord at its ends, up to 0.11 of its length off it in between
            lit = np.zeros(len(x0), bool)
            for bow in np.linspace(0.05, 0.11, 61):
                lift = 4 * t * (1 - t) * bow
                px = (x0 + (x1 - x0) * t - (y1 - y0) * lift) * view.scale + view.ox
                py = (y0 + (y1 - y0) * t + (x1 - x0) * lift) * view.scale + view.oy
                lit |= planes["lines"][py.astype(int), px.astype(int)].sum(1) > 0
            assert lit.all()
        for i in np.flatnonzero(~inside):  # ways begin and end at the edge's own ends
            for ex, ey in ((e.x0[i], e.y0[i]), (e.x1[i], e.y1[i])):
                px, py = int(ex * view.scale + view.ox), int(ey * view.scale + view.oy)
                assert planes["ways"][py - 2 : py + 3, px - 2 : px + 3].sum() > 0
    assert edges == net.num_edges
    dark = picture.planes(view, colours)["dots"][..., 3] > 0
    assert dark.mean() < 0.2  # it lights those pixels because of the vertices, not all of them


def test_a_line_that_is_not_drawn_is_missed(net, monkeypatch):
    """The check above can fail: without the last compute set's edges its lines are dark."""
    picture = Picture(net, seed=3)
    view = picture.view((900, 506))
    colours = Colours(picture.scene, "layer", "vivid", True)
    full = picture.planes(view, colours)["lines"]
    whole = picture.ends
    monkeypatch.setattr(picture, "ends", lambda *a: list(whole(*a))[:-6])
    assert np.count_nonzero(picture.planes(view, colours)["lines"].sum(2)) < np.count_nonzero(full.sum(2))


@pytest.mark.parametrize("style", STYLES)
def test_styles_are_the_same_bytes_whatever_the_threads(lenet, tmp_path, style, monkeypatch):
    monkeypatch.setattr(computation, "EXACT", 1000)  # points and strands as well
    for name, threads in (("a", 1), ("b", numba.config.NUMBA_NUM_THREADS)):
        numba.set_num_threads(threads)
        facts = lenet.render(tmp_path / f"{name}.png", size=640, style=style, seed=5)
        assert facts["mode"].startswith("sampled: every vertex a dot, every edge 3 points within cells")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    picture = PIL_Image.open(tmp_path / "a.png")
    assert picture.text["vertices"] == str(lenet.num_vertices) and picture.text["edges"] == str(lenet.num_edges)
    assert (
        picture.text["seed"] == "5"
        and picture.text["mode"] == facts["mode"]
        and picture.text["version"] == pp.__version__
    )
    pixels = np.asarray(picture.convert("RGB")).astype(int)
    assert (pixels.min(2) > 250).mean() < 0.01, "white is blown out"
    assert (pixels.sum(2) > 60).mean() > 0.05, "hardly anything is drawn"


@pytest.mark.parametrize("theme", ["light", "print"])
@pytest.mark.parametrize("style", STYLES)
def test_themes(net, tmp_path, style, theme):
    net.render(tmp_path / "a.png", size=400, style=style, theme=theme)
    pixels = np.asarray(PIL_Image.open(tmp_path / "a.png").convert("RGB"))
    assert pixels[:4].mean() > 225 and pixels.std() > 8


@pytest.mark.parametrize("color", COLOURS)
@pytest.mark.parametrize("palette", ["vivid", "safe"])
def test_colours_differ(net, tmp_path, color, palette):
    net.render(tmp_path / "a.png", size=400, color=color, palette=palette)
    net.render(tmp_path / "b.png", size=400, color="layer" if color != "layer" else "kind", bare=True)
    assert (tmp_path / "a.png").read_bytes() != (tmp_path / "b.png").read_bytes()


def test_the_safe_palette_keeps_apart_under_colour_deficient_sight():
    """Smallest OKLab distance of any two kinds, under the matrices of Machado, Oliveira and Fernandes (2009), severity 1."""
    sights = {
        "normal": np.eye(3),
        "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
        "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
        "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
    }
    lms = np.array([[0.4122214708, 0.5363325363, 0.0514459929], [0.2119034982, 0.6806995451, 0.1073969566],
                    [0.0883024619, 0.2817188376, 0.6299787005]])  # fmt: skip
    lab = np.array([[0.2104542553, 0.7936177850, -0.0040720468], [1.9779984951, -2.4285922050, 0.4505937099],
                    [0.0259040371, 0.7827717662, -0.8086757660]])  # fmt: skip
    assert set(SAFE_KINDS) == set(KIND_SHIFT)
    light = np.array([linear(c) for c in SAFE_KINDS.values()])
    for name, sight in sights.items():
        seen = np.cbrt(np.clip(light @ np.array(sight).T, 0, 1) @ lms.T) @ lab.T
        apart = np.sqrt(((seen[:, None] - seen[None]) ** 2).sum(2)) + np.eye(len(seen))
        assert apart.min() > 0.1, (name, apart.min())


def test_labels_touch_neither_each_other_nor_do_leaders_cross(lenet):
    for size in ((3840, 2160), (1600, 900), (1400, 1400)):
        picture = Picture(lenet, aspect=size[0] / size[1])
        view = picture.view(size)
        labels = cell_labels(picture.scene, picture.bodies, view, ["#ffffff"] * len(picture.scene.cells))
        assert len(labels) > 10
        place_labels(labels, picture.bodies, view, (10, 100 * view.unit, size[0] - 10, size[1] - 150 * view.unit))
        for i, a in enumerate(labels):
            assert a.box[1] >= 0 and a.box[3] <= size[1]
            for b in labels[:i]:
                apart = (
                    a.box[2] <= b.box[0]
                    or b.box[2] <= a.box[0]
                    or a.box[3] <= b.box[1] + 0.5
                    or b.box[3] <= a.box[1] + 0.5
                )
                assert apart, (a.forms, b.forms)
                if (a.leader[1][0] < view.ox) == (b.leader[1][0] < view.ox):
                    assert not _crosses(*a.leader, *b.leader)


def test_focus_on_a_phase_of_a_layer(lenet, tmp_path):
    scene = build_scene(lenet, "fc3/forward")
    names = [cs.name for cs in scene.flow.sets]
    assert "fc3/matmul/product" in names and not any("gradient" in n or "update" in n for n in names)
    facts = lenet.render(tmp_path / "a.png", size=640, focus="fc3/forward")
    assert facts["drawn_vertices"] == sum(b.n for cs in scene.flow.sets for b in cs.blocks) < lenet.num_vertices
    with pytest.raises(pp.InvalidOption, match="has the path 'fc9/forward'"):
        lenet.render(tmp_path / "a.png", focus="fc9/forward")
    with pytest.raises(pp.InvalidOption, match="Did you mean 'nebula'"):
        lenet.render(tmp_path / "a.png", style="nebul")
    with pytest.raises(pp.InvalidOption, match="4k, 8k"):
        lenet.render(tmp_path / "a.png", size="9k")


def test_phases_of_cells(lenet):
    cells = build_scene(lenet).cells
    named = {c.name: c for c in cells}
    assert {"conv1/forward", "conv2/backward", "fc3/update", "loss/forward"} <= set(named)
    assert sum(c.vertices for c in cells) == lenet.num_vertices
    of = {lenet.graph.compute_sets[i].name: c.name for c in cells for i in c.sets}
    assert of["conv2/weights-gradient/product"] == of["conv2/weights-update"] == "conv2/update"
    assert of["pool1"] == "conv1/forward"


def test_large_pictures_are_drawn_in_strips(net, monkeypatch):
    picture = Picture(net)
    colours = Colours(picture.scene, "layer", "vivid", True)
    view = picture.view((3840, 2160))
    whole = picture.draw(view, "dark", colours).astype(int)
    monkeypatch.setattr(computation, "STRIP", 3840 * 700)
    strips = picture.draw(view, "dark", colours).astype(int)
    assert strips.shape == whole.shape and np.abs(strips - whole).mean() < 1.0
    assert np.abs(strips[699:701] - whole[699:701]).mean() < 1.5  # no seam where two strips meet


def test_what_a_picture_says_of_itself(net, tmp_path, monkeypatch):
    written = []
    text = pen.Pen.text
    monkeypatch.setattr(
        pen.Pen,
        "text",
        lambda pen, x, y, words, *a, **k: (written.append(words), text(pen, x, y, words, *a, **k))[1],
    )
    net.render(tmp_path / "a.png", size=640, seed=7)
    about = PIL_Image.open(tmp_path / "a.png").text
    assert (about["vertices"], about["edges"]) == (str(net.num_vertices), str(net.num_edges))
    assert about["mode"].startswith("exact") and about["seed"] == "7" and about["version"] == pp.__version__
    assert f"{net.num_vertices:,} vertices    {net.num_edges:,} edges    {net.target.num_tiles:,} tiles" in written
    corner = next(words for words in written if words.startswith("exact"))
    assert "seed 7" in corner and pp.__version__ in corner and about["mode"] in corner


def test_sampled_pictures_say_so_and_show_every_vertex(net, tmp_path, monkeypatch):
    monkeypatch.setattr(computation, "EXACT", 10)
    monkeypatch.setattr(computation, "STRANDS", 100)
    picture = Picture(net, seed=3)
    every = round(net.num_edges / 100)
    assert picture.mode.startswith("sampled") and f"one in {every} a line" in picture.mode
    view = picture.view((900, 506))
    planes = picture.planes(view, Colours(picture.scene, "layer", "vivid", True))
    a = picture.arrangement
    x, y = a.x * view.scale + view.ox, a.y * view.scale + view.oy
    assert (planes["dots"][y.astype(int), x.astype(int), 3] > 0.3).all() and planes["haze"].sum() > 0
    net.render(tmp_path / "a.png", size=640, seed=3)
    assert PIL_Image.open(tmp_path / "a.png").text["mode"].startswith("sampled")


def test_the_same_bytes_from_another_process(net, tmp_path):
    net.save(tmp_path / "net.pop")
    code = "import sys, poplar_py as pp; pp.Executable.load(sys.argv[1]).render(sys.argv[2], size=640, seed=5)"
    found = []
    for k, (threads, hashing) in enumerate((("1", "1"), ("2", "77"))):
        path = tmp_path / f"{k}.png"
        there = os.environ | {"NUMBA_NUM_THREADS": threads, "PYTHONHASHSEED": hashing}
        subprocess.run([sys.executable, "-c", code, str(tmp_path / "net.pop"), str(path)], check=True, env=there)
        found.append(path.read_bytes())
    net.render(tmp_path / "here.png", size=640, seed=5)
    assert found[0] == found[1] == (tmp_path / "here.png").read_bytes()


@pytest.mark.parametrize("style", ["tissue", "nebula"])
@pytest.mark.parametrize("size", [(1600, 900), (1000, 1000)])
def test_no_label_is_cut_at_the_sides(lenet, style, size):
    picture = Picture(lenet, style=style, aspect=size[0] / size[1])
    colours = Colours(picture.scene, "layer", "vivid", True)
    view = words.view_with_labels(picture, size, colours)
    labels, room = words._labels(picture, view, colours)
    place_labels(labels, picture.bodies, view, room)
    assert labels and all(room[0] <= b.box[0] and b.box[2] <= room[2] for b in labels)
