"""The memory checker finds what is wrong with a plan, and agrees with the planner where nothing is."""

import itertools

import numpy as np
import pytest

import poplar_py as pp
from poplar_py.memory.check import check_memory, lifetimes
from poplar_py.memory.liveness import find_liveness
from tests.pipeline.test_stages import hand_made


@pytest.fixture
def executable():
    graph, program = hand_made()
    return pp.compile_graph(graph, program)


def test_a_good_plan_passes(executable):
    assert check_memory(executable) >= 0


def test_two_things_at_one_place_are_found(executable):
    plan = executable.memory
    always = np.flatnonzero(plan.thing_tile == 3)
    plan.thing_address[always] = plan.thing_address[always].min()
    with pytest.raises(pp.InternalError, match="live at once"):
        check_memory(executable)


@pytest.mark.parametrize(
    "drop",
    [
        lambda plan, e: int(np.flatnonzero(plan.thing_entity < len(e.graph.variables))[0]),
        lambda plan, e: int(np.flatnonzero(plan.thing_entity >= len(e.graph.variables))[0]),
    ],
    ids=["fragment", "area"],
)
def test_a_missing_place_is_found(executable, drop):
    plan = executable.memory
    keep = np.arange(len(plan.thing_tile)) != drop(plan, executable)
    for column in ("thing_tile", "thing_entity", "thing_bytes", "thing_address"):
        setattr(plan, column, getattr(plan, column)[keep])
    with pytest.raises(pp.InternalError, match="has no place on tile"):
        check_memory(executable)


def test_an_address_the_engine_does_not_use_is_found(executable):
    plan = executable.memory
    plan.thing_address[plan.thing_tile == 3] += 64  # apart still, but elsewhere
    plan.tile_bytes[3] += 64
    plan.by_category["gaps"][3] += 64
    with pytest.raises(pp.InternalError, match="is not where the engine looks for it on tile 3"):
        check_memory(executable)


def test_many_entities_are_compared_without_a_table(executable, monkeypatch):
    compared = check_memory(executable)
    monkeypatch.setattr("poplar_py.memory.check.MOST_ENTITIES", 0)
    assert check_memory(executable) == compared
    plan = executable.memory
    always = np.flatnonzero(plan.thing_tile == 3)
    plan.thing_address[always] = plan.thing_address[always].min()
    with pytest.raises(pp.InternalError, match="live at once"):
        check_memory(executable)


def test_a_place_that_is_too_small_is_found(executable):
    plan = executable.memory
    plan.thing_bytes[np.argmax(plan.thing_bytes)] -= 4
    with pytest.raises(pp.InternalError, match="is larger than its place"):
        check_memory(executable)


def test_calls_do_not_mix(executable):
    """What one call is followed by is not alive before another call: both analyses follow calls back to their callers."""
    graph = pp.Graph(pp.Target.tiny(1))
    a, b, c, d = (graph.add_variable(pp.FLOAT, (100,), name=n, mapping=0) for n in "abcd")
    graph.create_host_write("a", a)
    graph.create_host_read("d", d)
    move = graph.add_function(pp.Copy(b, c))
    program = pp.Sequence([pp.Copy(a, b), pp.Call(move), pp.Copy(c, d), pp.Copy(d, b), pp.Call(move), pp.Copy(c, d)])
    executable = pp.compile_graph(graph, program)
    check_memory(executable)
    planned = find_liveness(graph, executable.schedule)
    np.testing.assert_array_equal(planned.alive, lifetimes(executable))
    steps = [s.name for s in executable.schedule.steps]
    before_second = steps.index("copy(d->b)")
    assert not planned.alive[before_second, c.variables()[0].index]  # read after the first call, written by the second


def test_bytes_that_do_not_add_up_are_found(executable):
    executable.memory.by_category["gaps"][2] += 4
    with pytest.raises(pp.InternalError, match="do not add up"):
        check_memory(executable)


def test_lifetimes_share_memory():
    """Two variables that follow one another use the same bytes; the checker's lifetimes say so."""
    graph = pp.Graph(pp.Target.tiny(1))
    x, out = (graph.add_variable(pp.FLOAT, (100,), name=n, mapping=0) for n in ("x", "out"))
    chain = [graph.add_variable(pp.FLOAT, (100,), name=f"t{i}", mapping=0) for i in range(6)]
    graph.create_host_write("x", x)
    graph.create_host_read("out", out)
    steps = [x, *chain, out]
    executable = pp.compile_graph(graph, pp.Sequence([pp.Copy(a, b) for a, b in itertools.pairwise(steps)]))
    check_memory(executable)
    assert executable.memory.by_category["variables"][0] == 4 * 400  # x and out, and two of the chain at a time
    alive = lifetimes(executable)
    assert alive[:, chain[2].variables()[0].index].tolist() == [False, False, True, True, False, False, False]
