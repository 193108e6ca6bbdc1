"""popnn over fields on graphs made by hand, whatever the layout and mapping of the operands."""

from __future__ import annotations

import numpy as np
import pytest

import poplar_py as pp
from poplar_py import popnn

from .running import run

SHAPE = (2, 6, 8, 7)


def operand(graph, layout, name, shape=SHAPE):
    """A tensor of `shape` stored in that layout: (the tensor, how to store an array)."""
    if layout == "channels first":
        t = graph.add_variable(pp.FLOAT, shape, name=name)
        graph.set_tile_mapping(t, np.arange(shape[0])[:, None] % graph.target.num_tiles)
        return t
    if layout == "channels last":
        t = graph.add_variable(pp.FLOAT, (shape[0], *shape[2:], shape[1]), name=name)
        graph.set_tile_mapping(t, np.arange(shape[2])[None, :] % graph.target.num_tiles)
        return t.dim_roll(t.ndim - 1, 1)
    groups, width = shape[1] // 2, 2  # channels in groups, each a field of its own, on one tile
    t = graph.add_variable(pp.FLOAT, (shape[0], groups, *shape[2:], width), name=name)
    graph.set_tile_mapping(t, np.arange(groups)[None, :] % graph.target.num_tiles)
    return t.dim_roll(t.ndim - 1, 2).reshape(shape)


LAYOUTS = ("channels first", "channels last", "grouped")


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("kind", popnn.POOLINGS)
def test_pooling_of_any_layout(layout, kind):
    graph, program = pp.Graph(pp.Target.tiny(5)), pp.Sequence()
    x = operand(graph, layout, "x")
    settings = {"stride": (2, 1), "padding_lower": (1, 0)}
    y = popnn.pool(graph, x, kind, (3, 2), program, **settings)
    dx = popnn.pool_input_gradient(graph, x, y, y, kind, (3, 2), program, **settings)
    a = np.random.default_rng(0).permutation(x.size).reshape(SHAPE).astype("f4")
    padded = np.pad(a, ((0, 0), (0, 0), (1, 0), (0, 0)), constant_values=-np.inf if kind == "max" else 0)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 2), (2, 3))[:, :, ::2]
    wanted = {"max": windows.max((4, 5)), "sum": windows.sum((4, 5)), "avg": windows.mean((4, 5))}[kind]
    found = run(graph, program, {"x": (x, a)}, {"y": y, "dx": dx})
    np.testing.assert_allclose(found["y"], wanted, rtol=1e-6)
    assert y.shape[2:] == popnn.pool_output_field_shape(SHAPE[2:], (3, 2), **settings)
    if kind == "max":
        assert found["dx"].sum() == pytest.approx(wanted.sum(), rel=1e-6)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_batch_norm_of_any_layout(layout):
    graph, program, random = pp.Graph(pp.Target.tiny(5)), pp.Sequence(), np.random.default_rng(1)
    x, dy = operand(graph, layout, "x"), operand(graph, LAYOUTS[0], "dy")
    vectors = {name: graph.add_variable(pp.FLOAT, (6,), name=name, mapping="linear") for name in ("gamma", "beta")}
    mean, variance = popnn.batch_norm_statistics(graph, x, program)
    y = popnn.batch_normalise(graph, x, *vectors.values(), mean, variance, 1e-5, program)
    dx, dgamma, dbeta = popnn.batch_norm_gradients(graph, x, vectors["gamma"], mean, variance, dy, 1e-5, program)
    a, b = random.standard_normal(SHAPE).astype("f4"), random.standard_normal(SHAPE).astype("f4")
    gamma, beta = random.standard_normal(6).astype("f4"), random.standard_normal(6).astype("f4")
    inputs = {"x": (x, a), "dy": (dy, b), "gamma": (vectors["gamma"], gamma), "beta": (vectors["beta"], beta)}
    found = run(graph, program, inputs, {"y": y, "dx": dx, "dgamma": dgamma, "dbeta": dbeta})
    normal = (a - a.mean((0, 2, 3), keepdims=True)) / np.sqrt(a.var((0, 2, 3), keepdims=True) + 1e-5)
    wide = [v[:, None, None] for v in (gamma, beta)]
    np.testing.assert_allclose(found["y"], normal * wide[0] + wide[1], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found["dbeta"], b.sum((0, 2, 3)), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found["dgamma"], (b * normal).sum((0, 2, 3)), rtol=1e-4, atol=1e-4)
    assert abs(found["dx"].sum((0, 2, 3))).max() < 1e-3  # a shift of a channel changes nothing


@pytest.mark.parametrize("name, groups", [("layer_norm", 1), ("instance_norm", 6)])
def test_group_norms_by_name(name, groups):
    graph, program = pp.Graph(pp.Target.tiny(5)), pp.Sequence()
    x = operand(graph, "grouped", "x")
    ones = graph.add_constant(pp.FLOAT, (6,), np.ones(6, "f4"), name="ones")
    zeros = graph.add_constant(pp.FLOAT, (6,), np.zeros(6, "f4"), name="zeros")
    for t in (ones, zeros):
        graph.set_tile_mapping(t, 0)
    y, mean, variance = getattr(popnn, name)(graph, x, ones, zeros, 1e-5, program)
    dx, _, _ = popnn.group_norm_gradients(graph, x, ones, mean, variance, y, 1e-5, program)
    a = np.random.default_rng(2).standard_normal(SHAPE).astype("f4")
    found = run(graph, program, {"x": (x, a)}, {"y": y, "dx": dx})
    g = a.reshape(2, groups, -1)
    wanted = (g - g.mean(2, keepdims=True)) / np.sqrt(g.var(2, keepdims=True) + 1e-5)
    np.testing.assert_allclose(found["y"], wanted.reshape(SHAPE), rtol=1e-4, atol=1e-5)
    assert abs(found["dx"]).max() < 1e-3  # y of length fixed does not change along itself


def test_wrong_words_get_suggestions():
    graph, program = pp.Graph(pp.Target.tiny(2)), pp.Sequence()
    x = operand(graph, "channels last", "x")
    with pytest.raises(pp.InvalidOption, match="no pooling 'mox'. Did you mean 'max'"):
        popnn.pool(graph, x, "mox", (2, 2), program)
    with pytest.raises(pp.InvalidOption, match="no setting 'strides'. Did you mean 'stride'"):
        popnn.pool(graph, x, "max", (2, 2), program, strides=(1, 1))
