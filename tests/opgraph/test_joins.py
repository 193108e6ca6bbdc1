"""Concatenation into place: what has a home, what it does to the peak, and that nothing alive is ever written over."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from poplar_py.dtypes import FLOAT
from poplar_py.frontends.models import read_model
from poplar_py.opgraph import OpGraph
from poplar_py.opgraph.evaluate import Evaluation
from poplar_py.opgraph.joins import Home, all_homes, find_homes, worthwhile
from poplar_py.opgraph.liveness import Liveness, size_bytes
from poplar_py.opgraph.order import ordered
from poplar_py.opgraph.recompute import recompute

from .graphs import arrays_for, joining_graph, random_graph, run_in_memory

SEEDS = st.integers(0, 10**6)
MB = 10**6


def check(g: OpGraph, seed: int, joins: dict) -> None:
    """The numbers of the oracle, in one memory by the plan."""
    inputs = arrays_for(g, seed)
    outputs, state = run_in_memory(g, inputs, joins)
    oracle = Evaluation(g)
    for name, array in oracle.run(inputs).items():
        np.testing.assert_array_equal(outputs[name], array)
    for name, array in oracle.state.items():
        np.testing.assert_array_equal(state[name], array)


def two_parts() -> tuple[OpGraph, list]:
    g = OpGraph("parts")
    x = g.add_input("x", FLOAT, (4, 8))
    return g, [x, g.add("tanh", x), g.add("exp", x)]


def test_a_joined_value_is_there_from_its_first_part_on() -> None:
    g, (_, a, b) = two_parts()
    g.set_output("y", g.add("concat", (a, b)))
    y = g.outputs["y"]
    homes = all_homes(g)
    assert homes == {y: Home(y, 0), a: Home(y, 0), b: Home(y, 4)}
    alive = Liveness(g, joins=homes)
    assert [(s.bytes, s.first, s.last) for s in alive.places.storages] == [(128, 0, 1), (256, 0, 2)]
    assert alive.live.tolist() == [384, 384, 256]
    copied = Liveness(g, joins={})
    assert copied.live.tolist() == [256, 384, 512] and copied.peak == 512  # both parts and the result of the copy
    assert worthwhile(g, homes) == homes


def test_inputs_twins_and_parts_of_others_are_copied() -> None:
    g, (x, a, b) = two_parts()
    p = g.add_parameter("p", FLOAT, (4, 8))
    first = g.add("concat", (a, x, p, a))
    second = g.add("concat", (a, b))
    g.set_output("first", first)
    g.set_output("second", second)
    homes = all_homes(g)
    assert homes == {first: Home(first, 0), second: Home(second, 0), a: Home(first, 0), b: Home(second, 4)}
    places = Liveness(g, joins=homes).places
    assert [s.bytes for s in places.storages] == [128, 512, 256]  # x, all of first, all of second
    check(g, 1, homes)


def test_joined_values_have_their_place_in_what_they_are_joined_to() -> None:
    g, (x, a, b) = two_parts()
    both = g.add("concat", (a, b))
    more = g.add("concat", (g.add("neg", both), both))
    g.set_output("y", g.add("concat", (more, g.add("square", x))))
    homes = all_homes(g)
    y = g.outputs["y"]
    assert {h.whole for h in homes.values()} == {y}
    assert (homes[both].begin, homes[a].begin, homes[b].begin, homes[y.op.inputs[1]].begin) == (8, 8, 12, 16)
    assert [s.bytes for s in Liveness(g, joins=homes).places.storages] == [128, 5 * 128]
    check(g, 2, homes)


def test_what_is_written_over_where_a_part_lies_has_its_home() -> None:
    g, (_, a, b) = two_parts()
    over = g.add("relu", b)
    read = g.add("sigmoid", a)  # a is read by this one and joined after it: neither may be written over
    g.set_output("y", g.add("concat", (a, over)))
    g.set_output("z", read)
    homes = all_homes(g)
    assert homes[b] == homes[over] and read not in homes
    places = Liveness(g, joins=homes).places
    assert [(op.outputs[0], v) for op, v in places.overwrites] == [(over, b)]
    check(g, 3, homes)


def test_a_whole_that_is_there_too_early_is_given_up() -> None:
    """A small part is made long before the large one, and much is alive in between."""
    g = OpGraph("early")
    x = g.add_input("x", FLOAT, (1, 8))
    small = g.add("tanh", x)
    high = g.add("exp", g.add("broadcast_to", x, shape=(64, 8)))
    low = g.add("reduce_sum", g.add("matmul", high, g.add_parameter("w", FLOAT, (8, 64))), axes=(0,), keepdims=True)
    large = g.add("exp", g.add("broadcast_to", g.add("reshape", low, shape=(8, 8)), shape=(8, 8)))
    g.set_output("y", g.add("concat", (small, large)))
    homes = all_homes(g)
    assert homes and not worthwhile(g, homes)
    assert Liveness(g, joins={}).peak < Liveness(g, joins=homes).peak


def test_a_choice_of_concatenations() -> None:
    g, (_, a, b) = two_parts()
    g.set_output("y", g.add("concat", (a, b)))
    assert find_homes(g, lambda op: None, lambda op: False) == {}


@given(SEEDS, st.integers(1, 25))
@settings(max_examples=60, deadline=None)
def test_nothing_alive_is_written_over_in_training_graphs(seed: int, size: int) -> None:
    g = ordered(random_graph(seed, size))
    check(g, seed, all_homes(g))
    check(g, seed, {})


@given(SEEDS, st.integers(1, 25))
@settings(max_examples=200, deadline=None)
def test_nothing_alive_is_written_over_where_much_is_joined(seed: int, size: int) -> None:
    g = joining_graph(seed, size)
    homes = all_homes(g)
    check(g, seed, homes)
    check(g, seed, worthwhile(g, homes))
    check(g, seed, find_homes(g, lambda op: None))  # parts only, not what they are written over


@given(SEEDS, st.integers(1, 25))
@settings(max_examples=60, deadline=None)
def test_homes_never_raise_the_peak_and_parts_do_not_overlap(seed: int, size: int) -> None:
    g = joining_graph(seed, size)
    homes = all_homes(g)
    chosen = worthwhile(g, homes)
    assert Liveness(g, joins=chosen).peak <= min(Liveness(g, joins=homes).peak, Liveness(g, joins={}).peak)
    for whole in {h.whole for h in homes.values()}:
        parts = [(h.begin, v) for v, h in homes.items() if h.whole is whole and not v.op.view_of]
        size_of = {begin: {size_bytes(v) for b, v in parts if b == begin} for begin, _ in parts}
        assert all(len(sizes) == 1 for sizes in size_of.values())
        assert sum(sizes.pop() for sizes in size_of.values()) <= size_bytes(whole)


def test_figures_of_the_networks_that_join() -> None:
    """Of docs/memory.md, by which MXNet's DenseNet, which copies, is explained: 4,367 MB."""
    peaks = {}
    for name, training in (("densenet121", True), ("unet", True), ("unet", False)):
        g = ordered(read_model(name, batch=32, training=training))
        chosen = worthwhile(g, all_homes(g))
        peaks[name, training] = [Liveness(g, joins={}).peak, Liveness(g, joins=chosen).peak, Liveness(g).peak]
    assert [round(p / MB) for p in peaks["densenet121", True]] == [4035, 2872, 2872]
    assert [round(p / MB) for p in peaks["unet", True]] == [8459, 7688, 7688]
    assert [round(p / MB) for p in peaks["unet", False]] == [1644, 1593, 1233]


def test_a_repeated_concatenation_joins_again() -> None:
    g = recompute(read_model("densenet121", batch=2, training=True, settings={"size": 32, "classes": 10}), "standard")
    homes = all_homes(g)
    again = set(g.info["recompute"]["ops"])
    assert any(h.whole.op.name in again for h in homes.values())
    assert Liveness(g, joins=worthwhile(g, homes)).peak < Liveness(g, joins={}).peak
