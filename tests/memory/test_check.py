"""The memory checker finds what is wrong with a plan, and agrees with the planner where nothing is."""

import itertools

import numpy as np
import pytest

import poplar_py as pp
from poplar_py.memory.check import check_memory, lifetimes
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
