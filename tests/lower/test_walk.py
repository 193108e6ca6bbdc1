"""Op graphs put on tiles: training steps against the numpy oracle, placing of parameters, the programs made."""

from __future__ import annotations

import numpy as np
import pytest

import poplar_py as pp
from poplar_py.lower import lower
from poplar_py.lower.layout import layouts_of
from poplar_py.opgraph import OpGraph
from poplar_py.opgraph.evaluate import Evaluation
from poplar_py.opgraph.gradients import add_gradients

BATCH = 8


def small_network(dtype=pp.FLOAT, optimizer="sgd"):
    g = OpGraph("small")
    x = g.add_input("input", dtype, (BATCH, 30))
    labels = g.add_input("labels", pp.INT, (BATCH,))
    value = x
    for i, (k, n) in enumerate([(30, 24), (24, 5)]):
        with g.scope(f"fc{i}"):
            w = g.add_parameter("weights", dtype, (k, n), "he_uniform", seed=1)
            b = g.add_parameter("bias", dtype, (n,), "zeros")
            value = g.add("add_bias", g.add("matmul", value, w), b)
            if i == 0:
                value = g.add("relu", value)
    g.set_output("logits", value)
    loss = g.add("softmax_cross_entropy", value, labels, name="loss")
    g.set_output("loss", loss)
    trained = [p.value for p in g.parameters if p.trainable]
    gradients = add_gradients(g, loss, trained)
    with g.phase("update"):
        rate = g.add_parameter("rate", pp.FLOAT, (), 0.1, trainable=False)
        for w in trained:
            if optimizer == "sgd":
                g.add("sgd", w, gradients[w], rate)
            else:
                speed = g.add_parameter(f"{w.name}/velocity", w.dtype, w.shape, "zeros", like=w, trainable=False)
                g.add("momentum", w, speed, gradients[w], rate)
    return g


def batches(count, dtype=np.float32):
    random = np.random.default_rng(5)
    return [
        {"input": random.normal(size=(BATCH, 30)).astype(dtype), "labels": random.integers(0, 5, BATCH).astype("i4")}
        for _ in range(count)
    ]


@pytest.mark.parametrize("tiles", [4, 13, 100])
@pytest.mark.parametrize("optimizer", ["sgd", "momentum"])
def test_training_from_streams_equals_numpy(tiles, optimizer):
    g, steps = small_network(optimizer=optimizer), 5
    lowered = lower(g, pp.Target.tiny(tiles), {"steps": steps})
    executable = pp.compile_graph(lowered.graph, list(lowered.programs.values()))
    engine = pp.Engine(executable)
    engine.load(pp.Device(lowered.graph.target))
    data = batches(steps)
    losses, logits = np.zeros(steps, "f4"), np.zeros((steps, BATCH, 5), "f4")
    engine.connect_stream("input", np.stack([d["input"] for d in data]))
    engine.connect_stream("labels", np.stack([d["labels"] for d in data]))
    engine.connect_stream("loss", losses)
    engine.connect_stream("logits", logits)
    engine.run(0)
    oracle = Evaluation(g)
    wanted = [oracle.run(d) for d in data]
    np.testing.assert_allclose(losses, [w["loss"] for w in wanted], rtol=1e-5)
    np.testing.assert_allclose(logits[-1], wanted[-1]["logits"], rtol=1e-4, atol=1e-5)
    for name, array in oracle.state.items():
        np.testing.assert_allclose(engine.read_tensor(name), array, rtol=1e-4, atol=1e-5, err_msg=name)


def test_forward_program_leaves_the_parameters():
    g = small_network()
    lowered = lower(g, pp.Target.tiny(13), {"streams": False})
    assert list(lowered.programs) == ["step", "forward"]
    executable = pp.compile_graph(lowered.graph, list(lowered.programs.values()))
    engine = pp.Engine(executable)
    engine.load(pp.Device(lowered.graph.target))
    (data,) = batches(1)
    for name, array in data.items():
        engine.write_tensor(name, array)
    before = engine.read_tensor("fc0/weights")
    engine.run(1)
    want = Evaluation(g).run(data, phases=["forward"])
    np.testing.assert_allclose(engine.read_tensor("loss"), want["loss"], rtol=1e-5)
    np.testing.assert_array_equal(engine.read_tensor("fc0/weights"), before)
    engine.run(0)
    assert not np.array_equal(engine.read_tensor("fc0/weights"), before)


def test_half_rounds_where_numpy_does():
    g = small_network(pp.HALF)
    lowered = lower(g, pp.Target.tiny(13), {"streams": False})
    executable = pp.compile_graph(lowered.graph, [lowered.program])
    engine = pp.Engine(executable)
    engine.load(pp.Device(lowered.graph.target))
    (data,) = batches(1, np.float16)
    for name, array in data.items():
        engine.write_tensor(name, array)
    engine.run(0)
    oracle = Evaluation(g)
    oracle.run(data)
    for name, array in oracle.state.items():
        got = engine.read_tensor(name)
        assert got.dtype == array.dtype
        np.testing.assert_allclose(got.astype("f4"), array.astype("f4"), rtol=2e-3, atol=1e-4, err_msg=name)


def test_weights_gradients_and_state_share_tiles():
    g = small_network(optimizer="momentum")
    lowered = lower(g, pp.Target.tiny(100))
    layouts = layouts_of(lowered.graph)
    weights, velocity = (lowered.parameters[n] for n in ("fc0/weights", "fc0/weights/velocity"))
    assert layouts.find(weights).layout.same_as(layouts.find(velocity).layout)
    for a, b in zip(lowered.graph.tile_mapping(weights), lowered.graph.tile_mapping(velocity), strict=True):
        np.testing.assert_array_equal(a, b)
    assert layouts.find(lowered.inputs["input"]) is not None  # laid out as the first layer reads it
    assert "fc0/weights" in lowered.plans
    assert "compute set fc0/matmul/product" in lowered.text()


def test_a_view_of_a_parameter_keeps_the_old_contents():
    g = OpGraph("views")
    x = g.add_parameter("x", pp.FLOAT, (6,), np.arange(6, dtype="f4"))
    grad = g.add_input("grad", pp.FLOAT, (6,))
    old = g.add("reshape", x, shape=(2, 3))
    with g.phase("update"):
        g.add("sgd", x, grad, g.constant(1.0))
        g.set_output("old", g.add("neg", old))
    lowered = lower(g, pp.Target.tiny(4), {"streams": False})
    engine = pp.Engine(pp.compile_graph(lowered.graph, [lowered.program]))
    engine.load(pp.Device(lowered.graph.target))
    engine.write_tensor("grad", np.ones(6, "f4"))
    engine.run(0)
    np.testing.assert_array_equal(engine.read_tensor("old"), -np.arange(6, dtype="f4").reshape(2, 3))
    np.testing.assert_array_equal(engine.read_tensor("x"), np.arange(6) - 1)


def test_options_are_checked():
    with pytest.raises(pp.InvalidOption, match="Did you mean 'steps'"):
        lower(small_network(), pp.Target.tiny(4), {"step": 3})
