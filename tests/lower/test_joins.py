"""Concatenation into place on the tiles: no copy and no second variable for what is made in its part of the result."""

import numpy as np
import pytest

import poplar_py as pp
from poplar_py.frontends.models import read_model
from poplar_py.lower.walk import lower
from poplar_py.memory.check import check_memory
from poplar_py.opgraph.evaluate import Evaluation
from poplar_py.opgraph.graph import OpGraph

FIELD = (1, 32, 4, 4)
UNET = {"size": 32, "width": 32, "width2": 48, "width3": 64, "width4": 64, "width5": 64}
DENSENET = {"size": 32, "classes": 10, "counts1": 3, "counts2": 2, "counts3": 2, "counts4": 2}


def convolved(g, x, name, filters=32):
    weights = g.add_parameter(f"{name}-weights", pp.FLOAT, (filters, x.shape[1], 1, 1), "he_uniform", seed=len(name))
    return g.add("conv", x, weights, name=name)


def branches(batch=1):
    """Two convolutions of one value, the first with an activation, joined and read by a third; its parts read too."""
    g = OpGraph("branches")
    x = g.add_input("x", pp.FLOAT, (batch, *FIELD[1:]))
    a = g.add("relu", convolved(g, x, "first"), name="a")
    b = convolved(g, a, "b", 16)
    joined = g.add("concat", (a, b), axis=1, name="joined")
    g.set_output("y", convolved(g, joined, "last"))
    g.set_output("z", g.add("tanh", b, name="z"))
    return g


def run(g, arrays, tiles=8, **options):
    executable = pp.compile(
        g, pp.Target.gc200(num_tiles=tiles, bytes_per_tile=4 << 20), options={"streams": False} | options
    )
    check_memory(executable)
    engine = pp.Engine(executable, check=True)
    engine.load(pp.Device(executable.target))
    for name, array in arrays.items():
        engine.write_tensor(name, array)
    engine.run(0)
    return executable, engine


def test_parts_are_made_in_the_result():
    lowered = lower(branches(), pp.Target.gc200(num_tiles=8))
    names = [v.name for v in lowered.graph.variables]
    assert names.count("joined") == 1
    assert not {"a", "b", "b/out", "first/out"}.intersection(names)
    assert lowered.in_place.taken["a"] == "first"  # written over what lies at home
    g = branches()
    x = np.random.default_rng(1).standard_normal(FIELD).astype("f4")
    executable, engine = run(g, {"x": x})
    assert [s.name for s in executable.steps if s.kind == "copy"] == []
    expected = Evaluation(g).run({"x": x})
    for name, array in expected.items():
        np.testing.assert_allclose(engine.read_tensor(name), array, rtol=1e-4, atol=1e-5)


def test_a_batch_of_several_is_copied():
    """A part of it is no run of memory."""
    g = branches(3)
    x = np.random.default_rng(1).standard_normal((3, *FIELD[1:])).astype("f4")
    executable, engine = run(g, {"x": x})
    assert any(s.kind == "copy" for s in executable.steps)
    for name, array in Evaluation(g).run({"x": x}).items():
        np.testing.assert_allclose(engine.read_tensor(name), array, rtol=1e-4, atol=1e-5)


def test_inputs_and_what_stands_twice_are_copied():
    g = OpGraph("twice")
    x = g.add_input("x", pp.FLOAT, FIELD)
    a = convolved(g, x, "a")
    one = g.add("concat", (a, x, a), axis=1, name="one")
    two = g.add("concat", (a, convolved(g, one, "b")), axis=1, name="two")
    g.set_output("y", convolved(g, two, "last"))
    g.set_output("one", one)
    array = np.random.default_rng(2).standard_normal(FIELD).astype("f4")
    executable, engine = run(g, {"x": array})
    for name, expected in Evaluation(g).run({"x": array}).items():
        np.testing.assert_allclose(engine.read_tensor(name), expected, rtol=1e-4, atol=1e-5)
    names = [v.name for v in executable.graph.variables]
    assert names.count("one") == names.count("two") == 1


def test_a_part_that_is_read_is_not_written_over():
    """relu could be written over its operand, were that not part of what is joined."""
    g = OpGraph("read")
    x = g.add_input("x", pp.FLOAT, FIELD)
    a = convolved(g, x, "a")
    b = g.add("neg", a, name="b")
    joined = g.add("concat", (a, b), axis=1, name="joined")
    over = g.add("relu", a, name="over")  # the last reader of a by itself, but joined is read later
    g.set_output("y", g.add("add", convolved(g, joined, "last"), over))
    array = np.random.default_rng(3).standard_normal(FIELD).astype("f4")
    executable, engine = run(g, {"x": array})
    assert "joined" in executable.info["in_place"]["refused"]["over"]
    ((name, expected),) = Evaluation(g).run({"x": array}).items()
    np.testing.assert_allclose(engine.read_tensor(name), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("model", "settings"), [("unet", UNET), ("densenet121", DENSENET)])
@pytest.mark.parametrize("outline", [False, True])
def test_networks_that_join_train_as_numpy_does(model, settings, outline, monkeypatch):
    """With every concatenation into place, whether that is worth it or not."""
    monkeypatch.setattr("poplar_py.lower.joins.worthwhile", lambda g, homes: dict(homes))
    g = read_model(model, batch=1, training=True, settings=settings)
    random = np.random.default_rng(8)
    arrays = {
        v.name: random.random(v.shape, np.float32) if v.name == "input" else np.zeros(v.shape, np.int32)
        for v in g.inputs
    }
    expected = Evaluation(g)
    expected.run(arrays)
    executable, engine = run(g, arrays, 32, outline=outline, recompute="none")
    copies = [s.name for s in executable.steps if s.kind == "copy" and s.name == "concat"]
    assert outline or not copies
    for name, array in expected.state.items():
        np.testing.assert_allclose(engine.read_tensor(name), array, rtol=1e-3, atol=3e-4, err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["densenet121", "unet"])
def test_full_networks_give_the_same_bits_joined_in_place_and_by_copies(model):
    """Inference of one sample on a full gc200: the same bits, in less memory."""
    target, outputs, peaks = pp.Target.gc200(), [], []
    for in_place in (True, False):
        executable = pp.compile(model, target, batch=1, options={"in_place": in_place})
        engine = pp.Engine(executable)
        engine.load(pp.Device(target))
        streams = {n: np.zeros(s.size, s.dtype.np) for n, s in executable.graph.streams.items()}
        streams["input"][:] = np.random.default_rng(0).standard_normal(streams["input"].size)
        for name, array in streams.items():
            engine.connect_stream(name, array)
        engine.run(0)
        outputs.append(streams["output"])
        peaks.append(executable.memory.max_tile_bytes)
    assert outputs[0].any() and peaks[0] < 0.95 * peaks[1]
    np.testing.assert_array_equal(*outputs)
