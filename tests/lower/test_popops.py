"""popops, popnn, poprand and poputil on hand-made graphs, against numpy."""

from __future__ import annotations

import numpy as np
import pytest

import poplar_py as pp
from poplar_py import popnn, popops, poprand, poputil
from poplar_py.popops import expr

from .running import run

TARGETS = [pp.Target.tiny(4), pp.Target.tiny(13)]


def variable(graph, shape, name, dtype=pp.FLOAT):
    tensor = graph.add_variable(dtype, shape, name=name)
    poputil.map_tensor_linearly(graph, tensor)
    return tensor


@pytest.mark.parametrize("target", TARGETS, ids=lambda t: f"{t.num_tiles}tiles")
@pytest.mark.parametrize(
    ("name", "meaning"),
    [("add", np.add), ("sub", np.subtract), ("mul", np.multiply), ("div", np.divide), ("max", np.maximum),
     ("min", np.minimum), ("pow", np.power), ("rem", np.fmod), ("lt", np.less), ("gteq", np.greater_equal)],
)  # fmt: skip
@pytest.mark.parametrize("shapes", [((40,), (40,)), ((7, 30), (30,)), ((), (9, 5)), ((9, 5), ()), ((6, 1), (6, 50))])
def test_binary(target, name, meaning, shapes):
    random = np.random.default_rng(0)
    arrays = [random.uniform(0.5, 2, s).astype("f4") for s in shapes]
    graph, program = pp.Graph(target), pp.Sequence()
    a, b = (variable(graph, s, n) for s, n in zip(shapes, "ab"))
    out = getattr(popops, name)(graph, a, b, program)
    got = run(graph, program, {"a": (a, arrays[0]), "b": (b, arrays[1])}, {"out": out})["out"]
    np.testing.assert_allclose(got, meaning(*arrays), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", sorted(popops.UNARY))
def test_unary_and_in_place_agree(name):
    array = np.random.default_rng(1).uniform(0.1, 2, 67).astype("f4")
    graph, program = pp.Graph(TARGETS[1]), pp.Sequence()
    x = variable(graph, (67,), "x")
    y = getattr(popops, name)(graph, x, program)
    getattr(popops, f"{name}_in_place")(graph, x, program)
    got = run(graph, program, {"x": (x, array)}, {"y": y, "after": x})
    np.testing.assert_array_equal(got["y"], got["after"])


def test_numbers_stand_for_tensors():
    array = np.arange(33, dtype="f4")
    graph, program = pp.Graph(TARGETS[0]), pp.Sequence()
    x = variable(graph, (33,), "x")
    popops.add_in_place(graph, x, 1.0, program)
    less = popops.sub(graph, 10.0, x, program)
    small = popops.lt(graph, x, 4.0, program)
    got = run(graph, program, {"x": (x, array)}, {"x": x, "less": less, "small": small})
    np.testing.assert_array_equal(got["x"], array + 1)
    np.testing.assert_array_equal(got["less"], 10 - (array + 1))
    np.testing.assert_array_equal(got["small"], array + 1 < 4)


def test_integers():
    a, b = np.array([7, -7, 5, 12], "i4"), np.array([2, 2, -3, 5], "i4")
    graph, program = pp.Graph(TARGETS[0]), pp.Sequence()
    x, y = variable(graph, (4,), "x", pp.INT), variable(graph, (4,), "y", pp.INT)
    outputs = {
        "div": popops.div(graph, x, y, program),
        "rem": popops.rem(graph, x, y, program),
        "xor": popops.bitwise_xor(graph, x, y, program),
        "sum": popops.reduce(graph, x, pp.INT, [0], "add", program),
    }
    got = run(graph, program, {"x": (x, a), "y": (y, b)}, outputs)
    np.testing.assert_array_equal(got["div"], [3, -3, -1, 2])
    np.testing.assert_array_equal(got["rem"], [1, -1, 2, 2])
    np.testing.assert_array_equal(got["xor"], a ^ b)
    assert got["sum"] == a.sum()


@pytest.mark.parametrize("target", TARGETS, ids=lambda t: f"{t.num_tiles}tiles")
@pytest.mark.parametrize(
    ("shape", "axes"),
    [((7, 33), [0]), ((7, 33), [1]), ((500, 3), [0]), ((3, 500), [1]), ((4, 5, 6), [0, 2]), ((5000,), [0]),
     ((6, 7, 8), [1]), ((1, 1), [0, 1])],
)  # fmt: skip
@pytest.mark.parametrize("operation", ["add", "max", "square_add"])
def test_reduce(target, shape, axes, operation):
    array = np.random.default_rng(2).normal(size=shape).astype("f4")
    graph, program = pp.Graph(target), pp.Sequence()
    x = variable(graph, shape, "x")
    out = popops.reduce(graph, x, pp.FLOAT, axes, operation, program)
    got = run(graph, program, {"x": (x, array)}, {"out": out})["out"]
    meaning = {"add": array.sum, "max": array.max, "square_add": (array.astype("f8") ** 2).sum}[operation]
    np.testing.assert_allclose(got, meaning(axis=tuple(axes)), rtol=1e-4, atol=1e-4)


def test_reduce_of_views():
    array = np.random.default_rng(3).normal(size=(12, 20)).astype("f4")
    graph, program = pp.Graph(TARGETS[1]), pp.Sequence()
    x = variable(graph, (12, 20), "x")
    outputs = {
        "transposed": popops.reduce(graph, x.transpose(), pp.FLOAT, [1], "add", program),
        "strided": popops.reduce(graph, x[::2, ::3], pp.FLOAT, [0], "add", program),
        "reversed": popops.reduce(graph, x[::-1], pp.FLOAT, [1], "add", program),
    }
    got = run(graph, program, {"x": (x, array)}, outputs)
    np.testing.assert_allclose(got["transposed"], array.sum(0), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(got["strided"], array[::2, ::3].sum(0), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(got["reversed"], array[::-1].sum(1), rtol=1e-5, atol=1e-5)


def test_elementwise_on_views():
    array = np.random.default_rng(4).normal(size=(12, 20)).astype("f4")
    graph, program = pp.Graph(TARGETS[1]), pp.Sequence()
    x = variable(graph, (12, 20), "x")
    popops.mul_in_place(graph, x[::2, 3:9], 2.0, program)
    out = popops.add(graph, x.transpose(), x[0, :12], program)
    got = run(graph, program, {"x": (x, array)}, {"x": x, "out": out})
    want = array.copy()
    want[::2, 3:9] *= 2
    np.testing.assert_array_equal(got["x"], want)
    np.testing.assert_array_equal(got["out"], want.T + want[0, :12])


def test_map():
    random = np.random.default_rng(5)
    arrays = {"a": random.normal(size=(5, 9)).astype("f4"), "b": random.normal(size=9).astype("f4")}
    graph, program = pp.Graph(TARGETS[0]), pp.Sequence()
    a, b = variable(graph, (5, 9), "a"), variable(graph, (9,), "b")
    out = popops.map(graph, expr.select(expr._1 + expr._2 * 2.0, expr._2, expr._1 > 0), [a, b], program)
    positive = popops.map(graph, expr._1 > 0.5, [a], program)
    popops.map_in_place(graph, expr.clamp(expr._1, -1.0, 1.0), [a], program)
    got = run(graph, program, {"a": (a, arrays["a"]), "b": (b, arrays["b"])}, {"out": out, "p": positive, "clamped": a})
    x, y = arrays["a"], arrays["b"]
    np.testing.assert_allclose(got["out"], np.where(x > 0, x + y * 2, y), rtol=1e-6)
    np.testing.assert_array_equal(got["p"], x > 0.5)
    np.testing.assert_array_equal(got["clamped"], np.clip(x, -1, 1))


def test_the_rest_of_popops():
    array = np.linspace(-3, 3, 50).astype("f4")
    graph, program = pp.Graph(TARGETS[1]), pp.Sequence()
    x, y, z = variable(graph, (50,), "x"), variable(graph, (50,), "y"), variable(graph, (5, 10), "z")
    condition = popops.gt(graph, x, 0.0, program)
    popops.fill(graph, y, program, 2.5)
    popops.iota(graph, z, 3, program)
    outputs = {
        "select": popops.select(graph, x, 0.0, condition, program),
        "clamp": popops.clamp(graph, x, -1.0, 1.5, program),
        "cast": popops.cast(graph, x, pp.INT, program),
        "half": popops.cast(graph, x, pp.HALF, program),
        "all": popops.all_true(graph, condition, program),
        "y": popops.scaled_add_to(graph, y, x, 2.0, program),
        "z": z,
    }
    got = run(graph, program, {"x": (x, array)}, outputs)
    np.testing.assert_array_equal(got["select"], np.where(array > 0, array, 0))
    np.testing.assert_array_equal(got["clamp"], np.clip(array, -1, 1.5))
    np.testing.assert_array_equal(got["cast"], array.astype("i4"))
    np.testing.assert_array_equal(got["half"], array.astype("f2"))
    assert not got["all"]
    np.testing.assert_allclose(got["y"], 2.5 + 2 * array, rtol=1e-6)
    np.testing.assert_array_equal(got["z"], np.arange(3, 53, dtype="f4").reshape(5, 10))


def test_popnn():
    random = np.random.default_rng(6)
    logits, labels = random.normal(size=(6, 10)).astype("f4"), random.integers(0, 10, 6).astype("i4")
    graph, program = pp.Graph(TARGETS[0]), pp.Sequence()
    x, label = variable(graph, (6, 10), "x"), variable(graph, (6,), "label", pp.INT)
    loss, deltas = variable(graph, (6,), "loss"), variable(graph, (6, 10), "deltas")
    popnn.calc_loss(graph, x, label, loss, deltas, program)
    relu = popnn.non_linearity(graph, "relu", x, program)
    outputs = {
        "loss": loss,
        "deltas": deltas,
        "softmax": popnn.softmax(graph, x, program),
        "relu_gradient": popnn.non_linearity_input_gradient(graph, "relu", relu, x, program),
        "arg_max": popnn.arg_max(graph, x, program),
        "correct": popnn.calc_accuracy(graph, x, label, program),
    }
    got = run(graph, program, {"x": (x, logits), "label": (label, labels)}, outputs)
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    rows = np.arange(6)
    np.testing.assert_allclose(got["loss"], -np.log(p[rows, labels]), rtol=1e-5)
    np.testing.assert_allclose(got["softmax"], p, rtol=1e-5)
    p[rows, labels] -= 1
    np.testing.assert_allclose(got["deltas"], p, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(got["relu_gradient"], np.where(logits > 0, logits, 0))
    np.testing.assert_array_equal(got["arg_max"], logits.argmax(1))
    assert got["correct"] == (logits.argmax(1) == labels).sum()


def test_random_numbers_do_not_depend_on_the_tiles():
    results = []
    for target in TARGETS:
        graph, program = pp.Graph(target), pp.Sequence()
        x = variable(graph, (40, 50), "x")
        outputs = {
            "uniform": poprand.uniform(graph, 7, x, pp.FLOAT, -1.0, 1.0, program),
            "other": poprand.uniform(graph, 8, x, pp.FLOAT, -1.0, 1.0, program),
            "bernoulli": poprand.bernoulli(graph, 7, x, pp.FLOAT, 0.25, program),
            "dropout": poprand.dropout(graph, 7, x, 0.75, program),
        }
        results.append(run(graph, program, {"x": (x, np.ones((40, 50), "f4"))}, outputs))
    for name in results[0]:
        np.testing.assert_array_equal(results[0][name], results[1][name])
    got = results[0]
    assert not np.array_equal(got["uniform"], got["other"])
    assert abs(got["uniform"].mean()) < 0.05
    assert got["uniform"].min() >= -1
    assert got["uniform"].max() < 1
    assert abs(got["bernoulli"].mean() - 0.25) < 0.05
    assert abs(got["dropout"].mean() - 1) < 0.05
    assert set(np.unique(got["dropout"])) == {np.float32(0), np.float32(1) / np.float32(0.75)}


def test_linear_mapping():
    target = pp.Target.tiny(4)
    graph = pp.Graph(target)
    intervals = poputil.calc_linear_tile_mapping(graph, (10, 10), grain_size=8)
    assert len(intervals) == 4
    assert [e - b for tile in intervals for b, e in tile] == [24, 24, 24, 28]
    a, b = graph.add_variable(pp.FLOAT, (3, 1), name="a"), graph.add_variable(pp.FLOAT, (4,), name="b")
    assert [t.shape for t in poputil.broadcast_to_match(a, b)] == [(3, 4), (3, 4)]


def test_virtual_graph_stays_on_its_tiles():
    graph, program = pp.Graph(pp.Target.tiny(8)), pp.Sequence()
    part = graph.create_virtual_graph(4, 8)
    x = variable(part, (100,), "x")
    y = popops.add(part, x, 1.0, program)
    _, _, tile = graph.tile_mapping(y)
    assert set(tile) <= {4, 5, 6, 7}
    assert all(set(block.tile) <= {4, 5, 6, 7} for cs in graph.compute_sets for block in cs.blocks)
    np.testing.assert_array_equal(run(graph, program, {"x": (x, np.ones(100, "f4"))}, {"y": y})["y"], np.full(100, 2))


def test_errors_name_the_culprit():
    graph, program = pp.Graph(TARGETS[0]), pp.Sequence()
    a, b = variable(graph, (3, 4), "a"), variable(graph, (5,), "b")
    half = variable(graph, (3, 4), "h", pp.HALF)
    with pytest.raises(pp.ShapeError, match=r"a \[3, 4\], b \[5\]"):
        popops.add(graph, a, b, program)
    with pytest.raises(pp.TypeMismatch, match="cast one"):
        popops.add(graph, a, half, program)
    with pytest.raises(pp.InvalidOption, match="Did you mean 'relu'"):
        popnn.non_linearity(graph, "rleu", a, program)
    with pytest.raises(pp.InvalidOption, match="Did you mean 'add'"):
        popops.reduce(graph, a, pp.FLOAT, [0], "ad", program)
    unmapped = graph.add_variable(pp.FLOAT, (4,), name="lost")
    with pytest.raises(pp.InvalidTileMapping, match="lost"):
        popops.exp_in_place(graph, unmapped, program)
