"""Tile mappings of variables and views."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import poplar_py as pp


def tiles_of(graph, tensor):
    start, stop, tile = graph.tile_mapping(tensor)
    return np.repeat(tile, stop - start)


def test_later_assignments_win():
    graph = pp.Graph(pp.Target.tiny(4))
    t = graph.add_variable(pp.FLOAT, (8,))
    graph.set_tile_mapping(t, 0)
    graph.set_tile_mapping(t[2:5], 3)
    graph.set_tile_mapping(t[4], 1)
    np.testing.assert_array_equal(tiles_of(graph, t), [0, 0, 3, 3, 1, 0, 0, 0])
    assert graph.get_tile_mapping(t) == [[(0, 2), (5, 8)], [(4, 5)], [], [(2, 4)]]


def test_leading_axes_and_interval_lists():
    graph = pp.Graph(pp.Target.tiny(4))
    t = graph.add_variable(pp.FLOAT, (3, 2))
    graph.set_tile_mapping(t, np.array([2, 0, 1]))
    np.testing.assert_array_equal(tiles_of(graph, t), [2, 2, 0, 0, 1, 1])
    np.testing.assert_array_equal(tiles_of(graph, t.transpose()), [2, 0, 1, 2, 0, 1])
    graph.set_tile_mapping(t, [[(0, 1)], [(1, 6)]])
    np.testing.assert_array_equal(tiles_of(graph, t), [0, 1, 1, 1, 1, 1])
    graph.set_tile_mapping(t.transpose(), np.array([3, 2]))
    np.testing.assert_array_equal(tiles_of(graph, t), [3, 2] * 3)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 19), st.integers(0, 20), st.integers(0, 3), st.booleans()), max_size=8))
def test_random_assignments(rows):
    graph = pp.Graph(pp.Target.tiny(4))
    graph.add_variable(pp.FLOAT, (3,))
    t = graph.add_variable(pp.FLOAT, (20,))
    dense = np.full(20, -1)
    for lo, hi, tile, strided in rows:
        view, part = (t[lo:hi:2], dense[lo:hi:2]) if strided else (t[lo:hi], dense[lo:hi])
        graph.set_tile_mapping(view, tile)
        part[:] = tile
    np.testing.assert_array_equal(tiles_of(graph, t), dense)
    np.testing.assert_array_equal(tiles_of(graph, t[::-3]), dense[::-3])


def test_clone_keeps_shape_and_mapping():
    graph = pp.Graph(pp.Target.tiny(4))
    t = graph.add_variable(pp.FLOAT, (4, 3), name="t")
    graph.set_tile_mapping(t, np.arange(4))
    c = graph.clone(t.transpose(), name="c", element_type=pp.HALF)
    assert c.shape == (3, 4) and c.dtype == pp.HALF and c.name == "c"
    np.testing.assert_array_equal(tiles_of(graph, c), [0, 1, 2, 3] * 3)


def test_linear_mapping_spreads_grains():
    graph = pp.Graph(pp.Target.tiny(4))
    t = graph.add_variable(pp.FLOAT, (1000,), mapping="linear")
    counts = np.bincount(tiles_of(graph, t), minlength=4)
    assert counts.sum() == 1000 and counts.max() - counts.min() <= 32 + 32


def test_virtual_graphs_translate_tiles():
    graph = pp.Graph(pp.Target.tiny(8))
    part = graph.create_virtual_graph([5, 2, 7])
    assert part.target.num_tiles == 3
    t = part.add_variable(pp.FLOAT, (3,), name="t")
    part.set_tile_mapping(t, np.arange(3))
    np.testing.assert_array_equal(tiles_of(graph, t), [5, 2, 7])
    u = part.add_variable(pp.FLOAT, (96,), mapping="linear")
    assert set(tiles_of(graph, u)) == {5, 2, 7}
    inner = part.create_virtual_graph(1, 3)
    inner.set_tile_mapping(t, 1)
    np.testing.assert_array_equal(tiles_of(graph, t), [7, 7, 7])
    with pytest.raises(pp.InvalidTileMapping, match=r"tile 3"):
        part.set_tile_mapping(t, 3)


def test_errors():
    graph = pp.Graph(pp.Target.tiny(4))
    t = graph.add_variable(pp.FLOAT, (4,), name="t")
    with pytest.raises(pp.InvalidTileMapping, match=r"t: tile 4 of tiny, which has tiles 0..3"):
        graph.set_tile_mapping(t, 4)
    with pytest.raises(pp.InvalidTileMapping, match="whole number"):
        graph.set_tile_mapping(t, 1.5)
    with pytest.raises(pp.InvalidTileMapping, match="leading axes"):
        graph.set_tile_mapping(t, np.arange(3))
    with pytest.raises(pp.GraphObjectCreationError, match="list of sizes"):
        graph.add_variable(pp.FLOAT, (-1,))
