"""Elementwise work on values whose axes are exchanged views: it stays where the value lies, in its order."""

from __future__ import annotations

import numpy as np
import pytest

import poplar_py as pp
from poplar_py.lower import Lowering
from poplar_py.lower.layout import stored_order

from .running import run


@pytest.mark.parametrize(
    "order, wanted", [((0, 1, 2, 3), None), ((0, 3, 1, 2), (0, 2, 3, 1)), ((3, 2, 1, 0), (3, 2, 1, 0))]
)
def test_the_order_of_axes_in_memory(order, wanted):
    graph = pp.Graph(pp.Target.tiny(4))
    t = graph.add_variable(pp.FLOAT, (2, 3, 4, 5), name="t").transpose(order)
    assert stored_order(t) == wanted
    assert stored_order(t[:, 1:]) is None


def test_a_view_with_its_channels_forward_is_worked_on_in_place():
    graph, program = pp.Graph(pp.Target.tiny(4)), pp.Sequence()
    at = Lowering(graph, program)
    stored = at.variable(pp.FLOAT, (2, 5, 5, 8), "x")
    view = stored.dim_roll(3, 1)
    y = at.elementwise("Relu", at.variable_like(view, "y"), "relu", x=view)
    for here, there in zip(graph.tile_mapping(stored), graph.tile_mapping(y.dim_roll(1, 3)), strict=True):
        np.testing.assert_array_equal(here, there)
    (block,) = graph.compute_sets[-1].blocks
    assert block.num_edges == 2 * block.n <= 2 * 4 * 6
    a = np.random.default_rng(0).standard_normal((2, 5, 5, 8)).astype("f4")
    found = run(graph, program, {"x": (stored, a)}, {"y": y})["y"]
    np.testing.assert_array_equal(found, np.maximum(a, 0).transpose(0, 3, 1, 2))
