"""Gradients of whole op graphs: against finite differences and against plain numpy."""

from __future__ import annotations

import numpy as np
import pytest

from poplar_py.dtypes import FLOAT, HALF, INT
from poplar_py.errors import ModelError, ShapeError, TypeMismatch
from poplar_py.opgraph import OpGraph
from poplar_py.opgraph.evaluate import Evaluation, evaluate
from poplar_py.opgraph.gradients import add_gradients

from .networks import batch_of, step_in_numpy, two_layers


def test_training_steps_equal_those_in_plain_numpy():
    g = two_layers(training=True)
    oracle = Evaluation(g)
    state = {name: array.copy() for name, array in oracle.state.items()}
    for step in range(100):
        inputs = batch_of(g, step)
        loss = oracle.run(inputs)["loss"]
        assert loss == pytest.approx(step_in_numpy(state, inputs), abs=1e-5)
    for name in ("fc1/weights", "fc1/bias", "fc2/weights", "fc2/bias"):
        np.testing.assert_allclose(oracle.state[name], state[name], atol=1e-5)


def test_a_value_read_twice_gets_the_sum():
    g = OpGraph()
    x = g.add_parameter("x", FLOAT, (3,), [1.0, 2.0, 3.0])
    y = g.add("mul", g.add("add", g.add("mul", x, x), x), x)  # x^3 + x^2
    gradient = add_gradients(g, g.add("reduce_sum", y), [x])[x]
    g.set_output("gradient", gradient)
    np.testing.assert_allclose(evaluate(g)["gradient"], [5.0, 16.0, 33.0])
    assert "sum" in gradient.name


def test_only_what_is_asked_for_is_walked():
    g = two_layers()
    forward = len(g.ops)
    bias = g.parameter("fc2/bias").value
    add_gradients(g, g.outputs["loss"], [bias])
    assert [op.kind for op in g.ops[forward:]] == ["softmax_cross_entropy_grad", "reduce_sum"]
    assert {op.phase for op in g.ops[forward:]} == {"backward"}


def test_weights_are_multiplied_where_they_lie():
    g = two_layers(training=True)
    products = {op.name: op for op in g.ops if op.kind == "matmul"}
    assert products["fc1/weights-gradient"].transpose_a and not products["fc1/weights-gradient"].transpose_b
    assert products["fc2/relu-gradient"].b is g.parameter("fc2/weights").value
    assert products["fc2/relu-gradient"].transpose_b
    assert not any(op.kind == "transpose" for op in g.ops)


def test_a_loss_scale_scales_every_gradient():
    found = []
    for seed in (1.0, 8.0):
        g = two_layers()
        wanted = [p.value for p in g.parameters]
        for value, gradient in add_gradients(g, g.outputs["loss"], wanted, seed=seed).items():
            g.set_output(value.name, gradient)
        found.append(evaluate(g, batch_of(g)))
    for name in ("fc1/weights", "fc2/bias"):
        np.testing.assert_allclose(8 * found[0][name], found[1][name], rtol=1e-5, atol=1e-7)


def test_what_has_no_gradient_is_an_error_with_a_name():
    g = two_layers()
    apart = g.add_parameter("apart", FLOAT, (2,))
    with pytest.raises(ModelError, match="does not depend on 'apart'"):
        add_gradients(g, g.outputs["loss"], [apart, g.parameter("fc1/bias").value])
    with pytest.raises(ModelError, match="depends on no parameter"):
        add_gradients(g, g.outputs["loss"], [apart])
    g = OpGraph()
    x = g.add_parameter("x", FLOAT, (3,), [1.0, 2.0, 3.0])
    with pytest.raises(ShapeError, match=r"'relu' float\[3\] is not"):
        add_gradients(g, g.add("relu", x), [x])
    with pytest.raises(ModelError, match="relu_grad has no gradient"):
        add_gradients(g, g.add("reduce_sum", g.add("relu_grad", x, x)), [x])
    with pytest.raises(TypeMismatch, match="FLOAT or HALF"):
        add_gradients(g, g.add_input("n", INT, ()), [x])


def test_half_rounds_every_result_and_no_sum():
    g = OpGraph()
    x = g.add_input("x", HALF, (1, 4096))
    w = g.add_parameter("w", HALF, (4096, 1), 0.001)
    g.set_output("y", g.add("matmul", x, w))
    y = evaluate(g, {"x": np.ones((1, 4096))})["y"]
    assert y.dtype == np.float16 and y[0, 0] == np.float16(np.float16(0.001).astype("f4") * 4096)


def test_training_in_half_stays_near_training_in_float():
    losses = []
    for dtype in (FLOAT, HALF):
        oracle = Evaluation(two_layers(training=True, batch=64, dtype=dtype))
        losses.append([float(oracle.run(batch_of(oracle.g, step % 4))["loss"]) for step in range(60)])
    assert losses[0][-1] < 0.9 * losses[0][0]
    np.testing.assert_allclose(losses[1], losses[0], rtol=0.02)
