"""Simplify keeps the meaning and drops the waste."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from poplar_py.dtypes import FLOAT, UNSIGNED_INT
from poplar_py.opgraph import OpGraph
from poplar_py.opgraph.evaluate import Evaluation, evaluate
from poplar_py.opgraph.simplify import simplify

from .networks import batch_of, two_layers


def test_dead_ops_go_and_equal_ops_become_one():
    g = OpGraph()
    x = g.add_input("x", FLOAT, (3,))
    g.add("exp", x)
    a, b = g.add("relu", x), g.add("relu", x)
    g.set_output("y", g.add("add", a, b))
    small = simplify(g)
    assert [op.kind for op in small.ops] == ["relu", "add"] and len(g.ops) == 4
    np.testing.assert_array_equal(evaluate(small, {"x": [1, -1, 2]})["y"], [2, 0, 4])


def test_constants_are_folded():
    g = OpGraph()
    x = g.add_input("x", FLOAT, (3,))
    two = g.add("add", g.constant(1.5), g.constant(0.5))
    g.set_output("y", g.add("mul", x, g.add("square", two)))
    small = simplify(g)
    assert [op.kind for op in small.ops] == ["constant", "mul"] and float(small.ops[0].value) == 4.0


def test_large_constants_are_left_to_the_device():
    g = OpGraph()
    g.set_output("y", g.add("broadcast_to", g.constant(1.0), shape=(100, 100)))
    assert [op.kind for op in simplify(g).ops] == ["constant", "broadcast_to"]


def test_an_update_stands_between_equal_reads():
    g = OpGraph()
    x, count = g.add_input("x", FLOAT, (50,)), g.add_parameter("count", UNSIGNED_INT, (), 0, trainable=False)
    first = g.add("dropout", x, count, rate=0.5)
    with g.phase("update"):
        g.add("increment", count)
        second = g.add("dropout", x, count, rate=0.5)
    g.set_output("same", g.add("equal", first, second))
    small = simplify(g)
    assert [op.kind for op in small.ops].count("dropout") == 2
    assert not Evaluation(small).run({"x": np.ones(50)})["same"].all()


def test_updates_survive():
    g = two_layers(training=True)
    small = simplify(g)
    assert [op.name for op in small.ops if op.updates] == [op.name for op in g.ops if op.updates]
    one, two = Evaluation(g), Evaluation(small)
    for step in range(5):
        inputs = batch_of(g, step)
        assert one.run(inputs) == two.run(inputs)
    for name, array in one.state.items():
        np.testing.assert_array_equal(array, two.state[name])


UNARY = ("relu", "neg", "abs", "square", "tanh", "sigmoid")
BINARY = ("add", "sub", "mul", "max", "min")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 10), st.integers(0, 99), st.integers(0, 99)), min_size=1, max_size=25))
def test_random_graphs_mean_the_same(steps):
    g = OpGraph()
    x = g.add_input("x", FLOAT, (4,))
    values = [x, g.constant(0.5), g.constant([1.0, -2.0, 0.0, 3.0])]
    for kind, i, j in steps:
        a, b = values[i % len(values)], values[j % len(values)]
        values.append(g.add(UNARY[kind], a) if kind < len(UNARY) else g.add(BINARY[kind - len(UNARY)], a, b))
    g.set_output("y", values[-1])
    g.set_output("z", values[len(values) // 2])
    small = simplify(g)
    assert len(small.ops) <= len(g.ops)
    inputs = {"x": [0.1, -0.2, 0.3, 1.0]}
    wanted, found = evaluate(g, inputs), evaluate(small, inputs)
    for name in wanted:
        np.testing.assert_array_equal(wanted[name], found[name])
    assert simplify(small).text() == small.text()
