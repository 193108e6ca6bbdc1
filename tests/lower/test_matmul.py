"""Matrix products: plans, layouts, the three products of a layer, and products of anything with anything."""

from __future__ import annotations

import numpy as np
import pytest

import poplar_py as pp
from poplar_py import poplin, poputil
from poplar_py.lower import Lowering
from poplar_py.lower.layout import Layout, add_placed, layouts_of
from poplar_py.lower.mapping import part_bounds
from poplar_py.lower.partition import plan_matmul, plan_weights

from .running import run

TARGETS = [pp.Target.tiny(4), pp.Target.tiny(13), pp.Target.tiny(60)]


@pytest.mark.parametrize(("size", "parts", "grain"), [(10, 3, 1), (10, 3, 4), (1500, 47, 16), (5, 9, 1), (0, 3, 4)])
def test_part_bounds(size, parts, grain):
    bounds = part_bounds(size, parts, grain)
    assert bounds[0] == 0
    assert bounds[-1] == size
    assert len(bounds) <= parts + 1
    assert (bounds[:-1] % grain == 0).all()
    if size:
        assert (np.diff(bounds) > 0).all()
        assert np.diff(-(-bounds // grain)).max() - np.diff(-(-bounds // grain)).min() <= 1


def test_layout_is_a_permutation_with_whole_blocks():
    layout = Layout(np.array([0, 3, 5]), np.array([0, 4, 6, 11]), np.arange(6).reshape(2, 3))
    order = layout.order()
    assert sorted(order.reshape(-1)) == list(range(55))
    np.testing.assert_array_equal(order[3:5, 4:6].reshape(-1), layout.offsets[1, 1] + np.arange(4))
    graph = pp.Graph(pp.Target.tiny(6))
    placed = add_placed(graph, pp.FLOAT, layout, "w")
    assert layouts_of(graph).find(placed.view) is placed
    assert layouts_of(graph).find(placed.view.transpose().transpose()) is placed
    assert layouts_of(graph).find(placed.view[:, :5]) is None
    _, _, tile = graph.tile_mapping(placed.view[3:5, 4:6])
    assert list(tile) == [4]


@pytest.mark.parametrize("target", TARGETS, ids=lambda t: f"{t.num_tiles}tiles")
@pytest.mark.parametrize("shape", [(5, 7, 3), (32, 200, 100), (1, 300, 1), (64, 8, 90), (40, 40, 40)])
@pytest.mark.parametrize("turn", [(False, False), (True, False), (False, True), (True, True)])
def test_any_product(target, shape, turn):
    m, k, n = shape
    random = np.random.default_rng(0)
    a, b = random.normal(size=(m, k)).astype("f4"), random.normal(size=(k, n)).astype("f4")
    graph, program = pp.Graph(target), pp.Sequence()
    left = graph.add_variable(pp.FLOAT, (k, m) if turn[0] else (m, k), name="a")
    right = graph.add_variable(pp.FLOAT, (n, k) if turn[1] else (k, n), name="b")
    for t in (left, right):
        poputil.map_tensor_linearly(graph, t)
    out = poplin.mat_mul(graph, left.transpose() if turn[0] else left, right.transpose() if turn[1] else right, program)
    inputs = {"a": (left, a.T if turn[0] else a), "b": (right, b.T if turn[1] else b)}
    np.testing.assert_allclose(run(graph, program, inputs, {"out": out})["out"], a @ b, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("target", TARGETS, ids=lambda t: f"{t.num_tiles}tiles")
@pytest.mark.parametrize(("batch", "k", "n"), [(6, 20, 17), (32, 196, 96), (3, 1, 5), (16, 100, 10)])
def test_the_three_products_of_a_layer(target, batch, k, n):
    random = np.random.default_rng(1)
    x, w, dy = (random.normal(size=s).astype("f4") for s in ((batch, k), (k, n), (batch, n)))
    graph, program = pp.Graph(target), pp.Sequence()
    weights = poplin.create_mat_mul_input_rhs(graph, pp.FLOAT, (batch, k), (k, n), "w")
    data = poplin.create_mat_mul_input_lhs(graph, pp.FLOAT, (batch, k), (k, n), "x")
    error = graph.add_variable(pp.FLOAT, (batch, n), name="dy")
    poputil.map_tensor_linearly(graph, error)
    outputs = {
        "y": poplin.mat_mul(graph, data, weights, program),
        "dx": poplin.mat_mul(graph, error, weights.transpose(), program),
        "dw": poplin.mat_mul(graph, data.transpose(), error, program),
        "w": weights,
    }
    placed, gradient = layouts_of(graph).find(weights), layouts_of(graph).find(outputs["dw"])
    assert gradient is not None
    assert gradient.layout is placed.layout
    got = run(graph, program, {"x": (data, x), "w": (weights, w), "dy": (error, dy)}, outputs)
    for name, want in (("y", x @ w), ("dx", dy @ w.T), ("dw", x.T @ dy), ("w", w)):
        np.testing.assert_allclose(got[name], want, rtol=1e-4, atol=1e-4, err_msg=name)


def test_weights_never_move():
    """In a training step of a dense layer nothing of the size of the weights is exchanged."""
    batch, k, n = 4, 256, 256
    graph, program = pp.Graph(pp.Target.tiny(64)), pp.Sequence()
    at = Lowering(graph, program)
    weights = at.create_weights(pp.FLOAT, (k, n), batch, "w")
    x, dy = at.variable(pp.FLOAT, (batch, k), "x"), at.variable(pp.FLOAT, (batch, n), "dy")
    rate = at.constant(pp.FLOAT, (), 0.1, "rate")
    at.matmul(x, weights, "y")
    at.matmul(dy, weights, "dx", transpose_b=True)
    dw = at.matmul(x, dy, "dw", transpose_a=True)
    state = at.variable_like(weights, "velocity")
    at.elementwise("MomentumUpdate", weights, "update", velocity=state, gradient=dw, rate=rate)
    for t in (x, dy, weights, state):
        graph.create_host_write(t.name, t)
    executable = pp.compile_graph(graph, [program])
    update = next(s for s in executable.steps if s.name.startswith("update"))
    assert update.bytes_received.sum() == 4 * (64 - 1)  # the rate, to every other tile
    products = [s for s in executable.steps if s.name.endswith("product")]
    assert len(products) == 3
    for step in products:  # slices of the operands only
        assert step.bytes_received.max() <= 4 * batch * (k + n) // 4


def test_several_passes_when_memory_is_short():
    random = np.random.default_rng(2)
    x, w, dy = (random.normal(size=s).astype("f4") for s in ((300, 40), (40, 24), (300, 24)))
    graph, program = pp.Graph(pp.Target.tiny(4, bytes_per_tile=96 * 1024)), pp.Sequence()
    options = {"available_memory_proportion": 0.08}
    weights = poplin.create_mat_mul_input_rhs(graph, pp.FLOAT, x.shape, w.shape, "w", options=options)
    data, error = graph.add_variable(pp.FLOAT, x.shape, "x"), graph.add_variable(pp.FLOAT, dy.shape, "dy")
    for t in (data, error):
        poputil.map_tensor_linearly(graph, t)
    y = poplin.mat_mul(graph, data, weights, program, options=options)
    dw = poplin.mat_mul(graph, data.transpose(), error, program, options=options)
    assert sum("product" in cs.name for cs in graph.compute_sets) > 2
    got = run(graph, program, {"x": (data, x), "w": (weights, w), "dy": (error, dy)}, {"y": y, "dw": dw})
    np.testing.assert_allclose(got["y"], x @ w, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(got["dw"], x.T @ dy, rtol=1e-4, atol=1e-3)


def test_half_with_float_partials():
    random = np.random.default_rng(3)
    a, b = random.normal(size=(8, 64)).astype("f2"), random.normal(size=(64, 16)).astype("f2")
    graph, program = pp.Graph(pp.Target.tiny(16)), pp.Sequence()
    left, right = graph.add_variable(pp.HALF, a.shape, "a"), graph.add_variable(pp.HALF, b.shape, "b")
    for t in (left, right):
        poputil.map_tensor_linearly(graph, t)
    out = poplin.mat_mul(graph, left, right, program)
    assert out.dtype == pp.HALF
    got = run(graph, program, {"a": (left, a), "b": (right, b)}, {"out": out})["out"]
    np.testing.assert_allclose(got.astype("f4"), a.astype("f4") @ b.astype("f4"), rtol=2e-3, atol=2e-3)


def test_plan_is_readable_and_within_the_machine():
    plan = plan_weights(pp.Target.gc200(), 32, 784, 1500, pp.FLOAT)
    assert plan.num_tiles <= 1472
    assert plan.num_tiles > 1000
    assert "split" in plan.report()
    assert "weight gradient: compute" in plan.report()
    small = plan_weights(pp.Target.gc200(), 32, 1500, 1500, pp.FLOAT, k_bounds=plan.n_bounds, training=False)
    assert "weight gradient: compute" not in small.cycles
    free = plan_matmul(pp.Target.gc200(), 1024, 1024, 1024, pp.HALF)
    assert free.num_tiles > 1000
    # 64 multiply-adds a tile and cycle is the most there is
    assert free.cycles["compute"] >= 1024**3 / 1472 / 64
    assert "cycles" in poplin.report_plan(pp.Graph(pp.Target.tiny(16)), (64, 64), (64, 64), pp.FLOAT)


def test_errors():
    graph, program = pp.Graph(pp.Target.tiny(4)), pp.Sequence()
    a, b = graph.add_variable(pp.FLOAT, (3, 4), "a"), graph.add_variable(pp.FLOAT, (5, 6), "b")
    with pytest.raises(pp.ShapeError, match=r"a \[3, 4\] and b \[5, 6\]"):
        poplin.mat_mul(graph, a, b, program)
    with pytest.raises(pp.InvalidOption, match="Did you mean 'partials_type'"):
        poplin.mat_mul(graph, a, b, program, options={"partial_type": "half"})
    with pytest.raises(pp.InvalidOption, match="available_memory_proportion"):
        poplin.mat_mul(graph, a, b, program, options={"available_memory_proportion": 1.5})


def test_passes_over_the_columns_of_a_wide_operand():
    random = np.random.default_rng(5)
    a, b = random.normal(size=(24, 64)).astype("f4"), random.normal(size=(64, 2000)).astype("f4")
    target, options = pp.Target.gc200(num_tiles=4, bytes_per_tile=400 * 1024), {"available_memory_proportion": 0.2}
    graph, program = pp.Graph(target), pp.Sequence()
    plan = poplin.mat_mul_plan(graph, a.shape, b.shape, pp.FLOAT, options)
    assert plan.shape == (24, 64, 2000) and len(plan.columns) > 2
    assert f"{len(plan.columns) - 1} over n" in plan.report()
    left, right = graph.add_variable(pp.FLOAT, a.shape, "a"), graph.add_variable(pp.FLOAT, b.shape, "b")
    for t in (left, right):
        poputil.map_tensor_linearly(graph, t)
    out = poplin.mat_mul(graph, left, right, program, options=options)
    got = run(graph, program, {"a": (left, a), "b": (right, b)}, {"out": out})["out"]
    np.testing.assert_allclose(got, a @ b, rtol=1e-4, atol=1e-4)
