"""Normalisation beyond the samples: values far from zero, where it works, training and then evaluating."""

from __future__ import annotations

import numpy as np
import pytest

import poplar_py as pp
from poplar_py.frontends import build_opgraph
from poplar_py.frontends.description import parse_description
from poplar_py.lower.walk import lower
from poplar_py.opgraph import OpGraph
from poplar_py.opgraph.evaluate import Evaluation

MODEL = """\
name: m
seed: 3
input: {shape: [3, 12, 12]}
layers:
  - batch_norm: {name: bn}
  - relu
  - max_pool2d: {kernel: 3, stride: 2, padding: 1}
  - group_norm: {groups: 1}
  - avg_pool2d: {kernel: [2, 2], padding: 1, count_include_pad: false}
  - instance_norm
  - flatten
  - dense: {units: 6, name: fc}
  - layer_norm
  - softmax
training:
  loss: softmax_cross_entropy
  optimiser: {sgd: {learning_rate: 0.1}}
  batch: 8
"""


def engine_of(g, target):
    lowered = lower(g, target, {"streams": False})
    engine = pp.Engine(pp.compile_graph(lowered.graph, list(lowered.programs.values())))
    engine.load(pp.Device(target))
    return engine, lowered


def test_variance_of_values_far_from_zero_keeps_its_digits():
    x = np.random.default_rng(0).normal(1000, 0.1, (64, 4)).astype("f4")
    g = OpGraph("far")
    ones = np.ones(4, "f4")
    value = g.add_input("x", pp.FLOAT, x.shape)
    y, mean, variance = g.add("batch_norm", value, g.constant(ones), g.constant(0 * ones))
    for name, output in {"y": y, "mean": mean, "variance": variance}.items():
        g.set_output(name, output)
    engine, _ = engine_of(g, pp.Target.tiny(3))
    engine.write_tensor("x", x)
    engine.run(0)
    np.testing.assert_allclose(engine.read_tensor("variance"), x.astype("f8").var(axis=0), rtol=1e-4)
    np.testing.assert_allclose(engine.read_tensor("mean"), x.astype("f8").mean(axis=0), rtol=1e-6)


@pytest.mark.parametrize("shape", [(2, 28, 28, 16), (1, 7, 7, 512)])
def test_it_works_where_the_value_lies(shape):
    g = OpGraph("place")
    x = g.add("transpose", g.add_input("x", pp.FLOAT, shape), permutation=(0, 3, 1, 2))
    vectors = [g.add_input(name, pp.FLOAT, shape[-1:]) for name in ("gamma", "beta")]
    g.set_output("y", g.add("batch_norm", x, *vectors)[0])
    engine, lowered = engine_of(g, pp.Target.gc200())
    (block,) = next(cs for cs in lowered.graph.compute_sets if cs.name == "batch_norm").blocks
    here = lowered.graph.tile_mapping(lowered.inputs["x"].flatten())
    there = lowered.graph.tile_mapping(lowered.outputs["y"].dim_roll(1, 3).flatten())
    for a, b in zip(here, there, strict=True):
        np.testing.assert_array_equal(a, b)
    assert not block.fields["x"].is_scattered
    random = np.random.default_rng(2)
    inputs = {v.name: random.standard_normal(v.shape).astype("f4") for v in g.inputs}
    for name, array in inputs.items():
        engine.write_tensor(name, array)
    engine.run(0)
    np.testing.assert_allclose(engine.read_tensor("y"), Evaluation(g).run(inputs)["y"], rtol=1e-5, atol=1e-5)


def test_a_model_trains_with_the_batch_and_evaluates_with_running_statistics():
    d = parse_description(MODEL)
    g = build_opgraph(d, training=True)
    engine, _ = engine_of(g, pp.Target.tiny(7))
    oracle, random = Evaluation(g), np.random.default_rng(0)
    for _ in range(10):
        labels = random.integers(0, 6, 8).astype("i4")
        x = (random.standard_normal((8, 3, 12, 12)) + 0.3 * labels[:, None, None, None]).astype("f4")
        engine.write_tensor("input", x)
        engine.write_tensor("labels", labels)
        engine.run(0)
        wanted = oracle.run({"input": x, "labels": labels})
        assert engine.read_tensor("loss") == pytest.approx(float(wanted["loss"]), rel=1e-5)
    state = {p.name: engine.read_tensor(p.name) for p in g.parameters}
    for name, array in state.items():
        np.testing.assert_allclose(array, oracle.state[name], atol=1e-5, err_msg=name)
    assert not np.array_equal(state["bn/running_mean"], np.zeros(3))
    engine.run(1)
    for name, array in state.items():
        np.testing.assert_array_equal(engine.read_tensor(name), array)
    inference = build_opgraph(d, batch=8)
    probabilities = Evaluation(inference, {p.name: state[p.name] for p in inference.parameters}).run({"input": x})
    power = np.exp(engine.read_tensor("output"))
    np.testing.assert_allclose(power / power.sum(1, keepdims=True), probabilities["output"], atol=1e-5)


def test_gradients_of_a_chain_of_norms_are_slopes():
    g, random = OpGraph("chain"), np.random.default_rng(5)
    x = g.add_input("x", pp.FLOAT, (3, 4, 2, 2))
    y = g.add("batch_norm", x, *(g.constant(random.standard_normal(4).astype("f4")) for _ in range(2)))[0]
    y = g.add("tanh", y)
    y = g.add("group_norm", y, *(g.constant(random.standard_normal(4).astype("f4")) for _ in range(2)), groups=2)[0]
    loss = g.add("reduce_sum", g.add("mul", y, g.constant(random.standard_normal((3, 4, 2, 2)).astype("f4"))))
    from poplar_py.opgraph.gradients import add_gradients

    g.set_output("loss", loss)
    g.set_output("dx", add_gradients(g, loss, [x])[x])
    array, step = random.standard_normal(x.shape), 1e-6 * random.standard_normal(x.shape)
    oracle = Evaluation(g, precision=np.float64)
    low, high = (oracle.run({"x": array + s * step})["loss"] for s in (-1, 1))
    assert float((oracle.run({"x": array})["dx"] * step).sum()) == pytest.approx(float(high - low) / 2, rel=1e-4)


@pytest.mark.parametrize(
    "op, given, settings, words",
    [
        ("batch_norm", (4,), {"epsilon": 0.0}, "epsilon is 0.0; it is above 0"),
        ("batch_norm", (5,), {}, "an entry for every channel"),
        ("group_norm", (4,), {"groups": 3}, "4 channels do not make 3 equal groups"),
    ],
)
def test_norms_that_do_not_fit_are_refused(op, given, settings, words):
    g = OpGraph("refused")
    x = g.add_input("x", pp.FLOAT, (2, 4, 3))
    with pytest.raises(pp.PoplarError, match=words):
        g.add(op, x, *(g.add_input(n, pp.FLOAT, given) for n in ("gamma", "beta")), **settings)
