"""Tensor views against numpy: the same operations on an array of element numbers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import poplar_py as pp


@pytest.fixture
def graph():
    return pp.Graph(pp.Target.tiny(4))


def same(tensor, array):
    assert tensor.shape == array.shape
    np.testing.assert_array_equal(tensor.index, array)
    starts, lengths = tensor.regions()
    flat = np.concatenate([np.arange(s, s + n) for s, n in zip(starts, lengths, strict=True)] or [np.zeros(0, int)])
    np.testing.assert_array_equal(flat, array.reshape(-1))


def test_a_variable_is_its_elements_in_order(graph):
    graph.add_variable(pp.FLOAT, (5,))
    t = graph.add_variable(pp.FLOAT, (2, 3, 4))
    same(t, np.arange(6, 30).reshape(2, 3, 4))  # one number lies between two variables
    assert t.is_contiguous and t.size == 24 and len(t) == 2


CASES = {
    "index": (lambda t: t[1], lambda a: a[1]),
    "scalar": (lambda t: t[1, 2, 3], lambda a: a[1, 2, 3]),
    "slice": (lambda t: t[0:1, 1:], lambda a: a[0:1, 1:]),
    "step": (lambda t: t[:, ::2], lambda a: a[:, ::2]),
    "negative step": (lambda t: t[::-1, :, ::-2], lambda a: a[::-1, :, ::-2]),
    "new axis": (lambda t: t[None, ..., None], lambda a: a[None, ..., None]),
    "array": (lambda t: t[:, np.array([2, 0, 2])], lambda a: a[:, np.array([2, 0, 2])]),
    "transpose": (lambda t: t.transpose(), lambda a: a.T),
    "dim_shuffle": (lambda t: t.dim_shuffle([2, 0, 1]), lambda a: a.transpose(2, 0, 1)),
    "dim_roll": (lambda t: t.dim_roll(2), lambda a: np.moveaxis(a, 2, 0)),
    "reshape": (lambda t: t.reshape(6, -1), lambda a: a.reshape(6, -1)),
    "reshape after transpose": (lambda t: t.transpose().reshape(3, 8), lambda a: a.T.reshape(3, 8)),
    "flatten part": (lambda t: t.flatten(0, 2), lambda a: a.reshape(6, 4)),
    "broadcast": (lambda t: t.broadcast(2, 1), lambda a: np.concatenate([a, a], 1)),
    "upsample": (lambda t: t.upsample(3, 2), lambda a: a.repeat(3, 2)),
    "expand": (lambda t: t.expand([0, 2]), lambda a: a[None, :, :, None] if False else a.reshape(1, 2, 3, 1, 4)),
    "squeeze": (lambda t: t[:1].squeeze([0]), lambda a: a[0]),
    "reverse": (lambda t: t.reverse(1), lambda a: a[:, ::-1]),
    "sub_sample": (lambda t: t.sub_sample(2, 2), lambda a: a[..., ::2]),
    "slice method": (lambda t: t.slice(1, 3, 1), lambda a: a[:, 1:3]),
    "concat": (lambda t: pp.concat([t, t[:, :1]], 1), lambda a: np.concatenate([a, a[:, :1]], 1)),
    "append": (lambda t: pp.append(t, t[0], 0), lambda a: np.concatenate([a, a[:1]], 0)),
    "empty": (lambda t: t[0:0], lambda a: a[0:0]),
}


@pytest.mark.parametrize("case", CASES)
def test_views_are_numpy_views(graph, case):
    t = graph.add_variable(pp.FLOAT, (2, 3, 4))
    view, expected = CASES[case]
    same(view(t), expected(np.arange(24).reshape(2, 3, 4)))


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_random_chains_of_views(data):
    graph = pp.Graph(pp.Target.tiny(2))
    graph.add_variable(pp.INT, (7,))
    shape = data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    t = graph.add_variable(pp.INT, shape)
    a = np.arange(8, 8 + int(np.prod(shape))).reshape(shape)
    for _ in range(data.draw(st.integers(1, 5))):
        kind = data.draw(st.sampled_from(["slice", "transpose", "reshape", "broadcast", "reverse", "concat"]))
        axis = data.draw(st.integers(0, a.ndim - 1)) if a.ndim else 0
        if kind == "slice" and a.ndim:
            lo = data.draw(st.integers(0, a.shape[axis]))
            hi = data.draw(st.integers(lo, a.shape[axis]))
            key = (slice(None),) * axis + (
                slice(lo, hi, data.draw(st.sampled_from([1, 2, -1]) if lo == 0 else st.just(1))),
            )
            t, a = t[key], a[key]
        elif kind == "transpose":
            order = data.draw(st.permutations(range(a.ndim)))
            t, a = t.dim_shuffle(order), a.transpose(order)
        elif kind == "reshape":
            t, a = t.flatten(), a.reshape(-1)
        elif kind == "broadcast" and a.ndim and a.size < 500:
            t, a = t.broadcast(2, axis), np.concatenate([a, a], axis)
        elif kind == "reverse" and a.ndim:
            t, a = t.reverse(axis), np.flip(a, axis)
        elif kind == "concat" and a.ndim and a.size < 500:
            t, a = pp.concat([t, t], axis), np.concatenate([a, a], axis)
    same(t, a)
    aliased = np.unique(a).size != a.size
    assert t.contains_aliases == aliased


def test_errors_name_tensor_and_numbers(graph):
    t = graph.add_variable(pp.FLOAT, (2, 3), name="w")
    with pytest.raises(pp.ShapeError, match=r"w \[2, 3\] has 6 elements; it cannot become \[4, 2\]"):
        t.reshape(4, 2)
    with pytest.raises(pp.IndexOutOfRange, match=r"slice \[1, 9\) of axis 1 of w"):
        t.slice(1, 9, 1)
    with pytest.raises(pp.IndexOutOfRange, match="w"):
        t[5]
    with pytest.raises(pp.TypeMismatch, match="w is FLOAT"):
        t.reinterpret(pp.HALF)
    with pytest.raises(pp.TypeMismatch, match="concat"):
        pp.concat([t, graph.add_variable(pp.INT, (2, 3))])


def test_reinterpret_keeps_elements(graph):
    t = graph.add_variable(pp.FLOAT, (3,))
    assert t.reinterpret(pp.UNSIGNED_INT).dtype == pp.UNSIGNED_INT
    same(t.reinterpret("INT"), np.arange(3))
