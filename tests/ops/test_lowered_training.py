"""Whole training steps on tiles against the same steps in numpy."""

from __future__ import annotations

import numpy as np
import pytest

import poplar_py as pp
from poplar_py.frontends import build_opgraph
from poplar_py.frontends.description import parse_description
from poplar_py.lower.walk import lower
from poplar_py.opgraph.evaluate import Evaluation

MODEL = """\
name: m
seed: 3
input: {{shape: [20]}}
layers:
  - dense: {{units: 24, activation: {activation}, name: fc1}}
  - dropout: {{rate: 0.25}}
  - dense: {{units: 6, name: fc2}}
  - softmax
training:
  loss: softmax_cross_entropy
  optimiser: {{{optimiser}}}
  batch: 16
  loss_scale: {scale}
"""
OPTIMISERS = {
    "sgd": "sgd: {learning_rate: 0.1, weight_decay: 0.01}",
    "momentum": "momentum: {learning_rate: 0.05, half_life: 40}",
    "adam": "adam: {learning_rate: 0.01, weight_decay: 0.01}",
}


def both(optimiser, steps, dtype="float", activation="relu", scale=1):
    """Train on 7 tiles and in numpy; yields (engine, oracle, outputs of numpy) after every step."""
    d = parse_description(MODEL.format(optimiser=OPTIMISERS[optimiser], activation=activation, scale=scale))
    g = build_opgraph(d, training=True, dtype=dtype)
    lowered = lower(g, pp.Target.tiny(7), {"streams": False})
    engine = pp.Engine(pp.compile_graph(lowered.graph, list(lowered.programs.values())))
    engine.load(pp.Device(engine.executable.target))
    oracle, random = Evaluation(g), np.random.default_rng(1)
    centres = random.standard_normal((6, 20))
    for _ in range(steps):
        labels = random.integers(0, 6, 16).astype(np.int32)
        x = (centres[labels] + random.standard_normal((16, 20))).astype(g.inputs[0].dtype.np)
        engine.write_tensor("input", x)
        engine.write_tensor("labels", labels)
        engine.run(0)
        yield engine, oracle, oracle.run({"input": x, "labels": labels})


@pytest.mark.parametrize("optimiser", OPTIMISERS)
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_a_hundred_steps_in_float(optimiser, activation):
    losses = []
    for engine, oracle, found in both(optimiser, 100, activation=activation):
        losses.append(float(found["loss"]))
        assert engine.read_tensor("loss") == pytest.approx(losses[-1], abs=1e-4)
    assert np.mean(losses[-10:]) < 0.5 * losses[0]
    for p in oracle.g.parameters:
        np.testing.assert_allclose(engine.read_tensor(p.name), oracle.state[p.name], atol=1e-4, err_msg=p.name)


@pytest.mark.parametrize("optimiser", OPTIMISERS)
@pytest.mark.parametrize("scale", [1, 64])
def test_one_step_in_half_rounds_where_numpy_does(optimiser, scale):
    ((engine, oracle, _),) = both(optimiser, 1, "half", scale=scale)
    for p in oracle.g.parameters:
        found, wanted = engine.read_tensor(p.name), oracle.state[p.name]
        apart = np.abs(found.astype("f8") - wanted.astype("f8"))
        ulp = np.spacing(np.maximum(np.abs(wanted), np.finfo(np.float16).tiny).astype(np.float16)).astype("f8")
        assert (apart <= 2 * ulp * scale).all(), p.name
        assert np.mean(apart == 0) > 0.9 or wanted.dtype == np.float32, p.name


def test_a_hundred_steps_in_half_end_near_those_in_numpy():
    runs = [(float(e.read_tensor("loss")), float(found["loss"])) for e, _, found in both("momentum", 100, "half")]
    device, wanted = np.array(runs[-10:]).mean(axis=0)
    assert device == pytest.approx(wanted, rel=0.02)


def test_the_forward_program_learns_nothing():
    for engine, oracle, _ in both("adam", 2):
        before = {p.name: engine.read_tensor(p.name) for p in oracle.g.parameters}
        engine.run(1)
        for name, array in before.items():
            np.testing.assert_array_equal(engine.read_tensor(name), array)
