"""A run in time: frames show the supersteps that run in them, and the counters are the run's."""

import itertools
import sys

import numpy as np
import pytest

import poplar_py as pp
from poplar_py.render.animation import Film, beats_of
from poplar_py.render.movie import write_movie

PIL_Image = pytest.importorskip("PIL.Image")


@pytest.fixture(scope="module")
def executable():
    return pp.compile("models/lenet5.yaml", pp.Target.tiny(16), batch=2, training=True)


def test_beats_are_the_supersteps_with_their_cycles(executable):
    beats, host, _ = beats_of(executable, None, 0, None)
    assert host > 0 and not any(b.step.host_cycles for b in beats)
    assert beats[0].begin == 0 and all(a.end == b.begin for a, b in itertools.pairwise(beats))
    assert beats[-1].end == sum(int(b.step.cycles) for b in beats)
    for b in beats:
        assert b.begin <= b.hear[0] <= b.hear[1] == b.work[0] <= b.work[1] <= b.end
        if b.step.compute_set >= 0 and b.work[1] > b.work[0]:
            assert b.doing((b.work[0] + b.work[1]) / 2) == "compute"


def test_the_cell_that_works_is_the_brightest(executable):
    film = Film(executable, "dark", None, (640, 360))
    scene, a, view = film.picture.scene, film.picture.arrangement, film.view
    longest = max(
        (b for b in film.beats if b.step.compute_set >= 0 and executable.graph.compute_sets[b.step.compute_set].blocks),
        key=lambda b: b.end - b.begin,
    )
    number = int((longest.work[0] + longest.work[1]) / 2 / film.total * film.count)
    for k, frame in enumerate(film.frames()):
        if k == 0:
            first = frame.astype(int)
        if k == number:
            break
    begin, end = scene.set_range(longest.step.compute_set)
    x = np.clip((a.x[begin:end] * view.scale + view.ox).astype(int), 0, 639)
    y = np.clip((a.y[begin:end] * view.scale + view.oy).astype(int), 0, 359)
    others = np.ones(len(a.x), bool)
    others[begin:end] = False
    ox = np.clip((a.x[others] * view.scale + view.ox).astype(int), 0, 639)
    oy = np.clip((a.y[others] * view.scale + view.oy).astype(int), 0, 359)
    light = frame.astype(int).sum(2)
    assert number > 0 and light[y, x].mean() > 1.5 * light[oy, ox].mean()
    assert light[y, x].mean() > first.sum(2)[y, x].mean() or longest.begin == 0


@pytest.mark.parametrize("suffix", [".gif", ".webp"])
def test_files_have_all_frames(executable, tmp_path, suffix):
    facts = executable.animate(tmp_path / f"a{suffix}", size=(320, 180), focus="fc5")
    movie = PIL_Image.open(tmp_path / f"a{suffix}")
    assert movie.n_frames == facts["frames"] >= 60 and movie.size == (320, 180)
    assert facts["supersteps"] > 3 and facts["cycles"] > 0
    movie.seek(0)
    one = np.asarray(movie.convert("RGB")).astype(int)
    movie.seek(facts["frames"] // 2)
    assert np.abs(np.asarray(movie.convert("RGB")).astype(int) - one).max() > 40


def test_mp4_with_an_encoder(tmp_path):
    imageio_ffmpeg = pytest.importorskip("imageio_ffmpeg")
    colours = [np.full((90, 160, 3), c, np.uint8) for c in (0, 80, 160, 240)]
    write_movie(tmp_path / "a.mp4", iter(colours), (160, 90), 4, 4)
    reader = imageio_ffmpeg.read_frames(str(tmp_path / "a.mp4"))
    about = next(reader)
    assert about["size"] == (160, 90) and about["fps"] == 4
    seen = [np.frombuffer(f, np.uint8).mean() for f in reader]
    assert len(seen) == 4 + 6 and abs(seen[1] - 80) < 6 and abs(seen[-1] - 240) < 6


def test_a_missing_encoder_is_named_before_anything_is_drawn(executable, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(pp.MissingTool, match=r"pip install imageio-ffmpeg.*\.webp and \.gif need nothing more"):
        executable.animate(tmp_path / "a.mp4")
    assert not list(tmp_path.iterdir())


def test_mistakes_are_named(executable, tmp_path):
    with pytest.raises(pp.InvalidOption, match=r"a\.gfi: runs are written as .*Did you mean '\.gif'"):
        executable.animate(tmp_path / "a.gfi")
    with pytest.raises(pp.InvalidOption, match="has the path 'fc9'"):
        executable.animate(tmp_path / "a.gif", focus="fc9")
    with pytest.raises(pp.InvalidOption, match="frames a second"):
        executable.animate(tmp_path / "a.gif", frames_per_second=0)


def test_a_profile_gives_the_order():
    graph = pp.Graph(pp.Target.tiny(4), name="adding")
    a, b = (graph.add_variable(pp.FLOAT, (4,), name=n, mapping=i) for i, n in enumerate("ab"))
    there, back = graph.add_compute_set("there"), graph.add_compute_set("back")
    graph.add_vertex(there, "Add", {"a": a, "b": a, "out": b}, tile=1)
    graph.add_vertex(back, "Add", {"a": b, "b": b, "out": a}, tile=0)
    graph.create_host_read("b", b)
    executable = pp.compile_graph(graph, pp.Repeat(3, pp.Sequence([pp.Execute(there), pp.Execute(back)])))
    engine = pp.Engine(executable)
    engine.load(pp.Device(executable.target))
    engine.run(0)
    beats, _, origin = beats_of(executable, engine.profile(), 0, None)
    assert origin == "as it ran" and [b.step.name for b in beats] == ["there", "back"] * 3
    assert [b.step.name for b in beats_of(executable, None, 0, None)[0]] == ["there", "back"]
