"""What shares memory, how long it lives, and that nothing alive is ever overwritten."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poplar_py.dtypes import FLOAT, HALF
from poplar_py.opgraph import OpGraph
from poplar_py.opgraph.evaluate import Evaluation
from poplar_py.opgraph.liveness import Liveness, arrange, size_bytes
from poplar_py.opgraph.op import load_ops
from poplar_py.opgraph.order import ordered
from poplar_py.opgraph.recompute import recompute

from .graphs import arrays_for, random_graph, run_in_memory

SEEDS = st.integers(0, 10**6)


def small() -> tuple[OpGraph, list]:
    g = OpGraph("small")
    x = g.add_input("x", FLOAT, (4, 8))
    return g, [x]


def test_an_elementwise_op_takes_the_memory_of_what_dies() -> None:
    g, (x,) = small()
    a = g.add("tanh", x)
    b = g.add("relu", a)
    g.set_output("y", g.add("exp", b))
    alive = Liveness(g)
    assert [s.bytes for s in alive.places.storages] == [128, 128]  # the input, and all three values
    assert alive.live.tolist() == [256, 128, 128] and alive.peak_op is g.ops[0]
    assert Liveness(g, in_place=False).total == 4 * 128
    assert Liveness(g, in_place=False).live.tolist() == [256, 256, 256]


def test_what_is_read_later_is_not_overwritten() -> None:
    g, (x,) = small()
    a = g.add("tanh", x)
    b = g.add("relu", a)
    g.set_output("y", g.add("add", a, b))
    assert [op.kind for op, _ in Liveness(g).places.overwrites] == ["add"]


def test_inputs_outputs_and_parameters_are_not_overwritten() -> None:
    g, (x,) = small()
    w = g.add_parameter("w", FLOAT, (4, 8))
    a = g.add("relu", g.add("reshape", x, shape=(8, 4)))
    g.set_output("a", a)
    g.set_output("b", g.add("exp", a))
    g.set_output("c", g.add("neg", w))
    assert not Liveness(g).places.overwrites
    assert Liveness(g).always == {"parameters": 128, "state": 0, "constants": 0}


def test_views_lie_in_what_they_are_views_of() -> None:
    g, (x,) = small()
    a, b = g.add("tanh", x), g.add("exp", x)
    both = g.add("concat", (a, b))
    part = g.add("slice", both, begin=(2, 0), end=(6, 8))
    g.set_output("y", g.add("relu", part))
    alive = Liveness(g)
    assert sorted(s.bytes for s in alive.places.storages) == [128, 128, 128, 128]
    assert {s.name for s in alive.places.of[part]} == {a.name, b.name}
    assert not alive.places.overwrites  # a part of two storages is no storage


def test_a_concatenation_can_be_overwritten_whole() -> None:
    g, (x,) = small()
    both = g.add("concat", (g.add("tanh", x), g.add("exp", x)))
    g.set_output("y", g.add("relu", both))
    assert Liveness(g).peak == 3 * 128
    g, (x,) = small()
    a = g.add("tanh", x)
    g.set_output("y", g.add("relu", g.add("concat", (a, a))))
    assert not Liveness(g).places.overwrites


def test_an_operand_read_in_another_arrangement_is_not_overwritten() -> None:
    g = OpGraph("square")
    a = g.add("tanh", g.add_input("x", FLOAT, (4, 4)))
    g.set_output("y", g.add("add", a, g.add("transpose", a)))
    assert not Liveness(g).places.overwrites
    g = OpGraph("twice")
    a = g.add("tanh", g.add_input("x", FLOAT, (4, 4)))
    g.set_output("y", g.add("add", a, a))
    assert len(Liveness(g).places.overwrites) == 1


def test_another_size_needs_memory_of_its_own() -> None:
    g, (x,) = small()
    g.set_output("y", g.add("cast", g.add("tanh", x), to=HALF))
    assert not Liveness(g).places.overwrites


def test_categories_add_up_and_the_largest_come_first() -> None:
    g = random_graph(3)
    alive = Liveness(g)
    step = alive.peak_step
    assert sum(alive.by_category(step).values()) == alive.peak == alive.live[step]
    largest = alive.largest(step, 5)
    assert [s.bytes for s in largest] == sorted((s.bytes for s in largest), reverse=True)
    for category in ("inputs", "activations", "gradients"):
        assert alive.places.live(category)[step] == alive.by_category(step)[category]


def test_a_graph_without_ops() -> None:
    alive = Liveness(OpGraph("empty"))
    assert alive.peak == alive.total == alive.placed() == 0 and alive.peak_op is None and alive.largest(0, 3) == []


@given(SEEDS, st.integers(1, 25))
@settings(max_examples=60, deadline=None)
def test_liveness_is_that_of_brute_force(seed: int, size: int) -> None:
    """Without sharing: a value is alive at a step if it is there and something at that step or later reads it."""
    g = random_graph(seed, size)
    alive = Liveness(g, in_place=False)
    for i in range(len(g.ops)):
        later = {v for op in g.ops[i:] for v in op.inputs} | set(g.outputs.values())
        there = {v for op in g.ops[:i] for v in op.outputs if op.kind != "constant"} | set(g.inputs)
        now = {v for v in g.ops[i].outputs if g.ops[i].kind != "constant"}
        assert alive.live[i] == sum(map(size_bytes, (there & later) | now)), i


@given(SEEDS, st.integers(1, 25))
@settings(max_examples=60, deadline=None)
def test_nothing_alive_is_overwritten(seed: int, size: int) -> None:
    """Run in one memory, every value at its place, dead memory poisoned: the numbers of the oracle."""
    g = ordered(random_graph(seed, size))
    inputs = arrays_for(g, seed)
    outputs, state = run_in_memory(g, inputs)
    oracle = Evaluation(g)
    expected = oracle.run(inputs)
    for name, array in expected.items():
        np.testing.assert_array_equal(outputs[name], array)
    for name, array in oracle.state.items():
        np.testing.assert_array_equal(state[name], array)


@pytest.mark.parametrize("setting", ["standard", "sqrt", "optimal"])
@given(seed=SEEDS, size=st.integers(8, 30))
@settings(max_examples=15, deadline=None)
def test_nothing_alive_is_overwritten_where_parts_are_repeated(setting: str, seed: int, size: int) -> None:
    g = random_graph(seed, size)
    inputs = arrays_for(g, seed)
    outputs, state = run_in_memory(recompute(g, setting), inputs)
    oracle = Evaluation(g)
    expected = oracle.run(inputs)
    np.testing.assert_array_equal(outputs["loss"], expected["loss"])
    for name, array in oracle.state.items():
        np.testing.assert_array_equal(state[name], array)


@given(SEEDS, st.integers(1, 25))
@settings(max_examples=30, deadline=None)
def test_sharing_makes_less_of_all_together(seed: int, size: int) -> None:
    """Though not always a lower peak: a view that lives on keeps all of what it is a view of."""
    g = random_graph(seed, size)
    apart, together = Liveness(g, in_place=False), Liveness(g)
    assert apart.peak <= apart.total and together.total <= apart.total
    assert together.peak <= together.placed() <= together.total


@given(SEEDS, st.integers(1, 25))
@settings(max_examples=30, deadline=None)
def test_an_arrangement_never_puts_two_living_things_together(seed: int, size: int) -> None:
    storages = Liveness(random_graph(seed, size)).places.storages
    offset, top = arrange(storages)
    for i, a in enumerate(storages):
        assert offset[i] >= 0 and offset[i] + a.bytes <= top
        for j, b in enumerate(storages[:i]):
            if a.first <= b.last and b.first <= a.last:
                assert offset[i] + a.bytes <= offset[j] or offset[j] + b.bytes <= offset[i]


def test_what_ops_say_of_themselves_names_operands() -> None:
    for kind, op in load_ops().items():
        for name in (*op.in_place, *op.only_evaluating, *filter(None, [op.view_of])):
            assert name in op.operand_fields, (kind, name)
        assert not (op.view_of and op.in_place), kind
