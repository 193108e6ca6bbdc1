"""The books balance: every byte of every tile is in one category, counted again here one thing at a time."""

import json

import numpy as np
import pytest

import poplar_py as pp
from poplar_py.exchange.plan import plan_exchange
from poplar_py.memory.account import CATEGORIES
from poplar_py.memory.code import code_bytes
from poplar_py.memory.liveness import find_liveness


@pytest.fixture(scope="module")
def executable():
    target = pp.Target.gc200(num_tiles=8, bytes_per_tile=4 << 20)
    return pp.compile("lenet5", target, batch=2, training=True)


def recount(executable):
    """Per tile: bytes by category at its fullest superstep, and the always-live part, in plain Python."""
    graph, layout, schedule = executable.graph, executable.layout, executable.schedule
    liveness, exchange = find_liveness(graph, schedule), plan_exchange(graph, schedule, layout)
    steps = len(schedule.steps)
    fixed = code_bytes(graph, exchange, steps)
    for tile in range(graph.target.num_tiles):
        things = []  # (category, bytes, supersteps, always)
        for v, t, n in zip(layout.fragment_variable, layout.fragment_tile, layout.fragment_elements, strict=True):
            variable = graph.variables[v]
            if t == tile:
                category = "constants" if variable.is_constant else "variables"
                alive = set(np.flatnonzero(liveness.alive[:, v]).tolist())
                things.append((category, int(n) * variable.dtype.size, alive, bool(liveness.always[v])))
        for area in exchange.areas:
            if area.tile_bytes[tile]:
                own = int(area.rearranged_bytes[tile])
                things.append(("rearrangements", own, set(area.steps), False))
                things.append(("exchange", int(area.tile_bytes[tile]) - own, set(area.steps), False))
        sums = [sum(n for _, n, alive, always in things if always or s in alive) for s in range(steps)]
        fullest = sums.index(max(sums))
        found = dict.fromkeys(CATEGORIES, 0) | {c: int(column[tile]) for c, column in fixed.items()}
        lasting = dict(found)
        for category, n, alive, always in things:
            found[category] += n if always or fullest in alive else 0
            lasting[category] += n if always else 0
        yield tile, fullest, found, lasting


def test_every_byte_is_counted_once(executable):
    plan = executable.memory
    assert list(plan.by_category) == list(CATEGORIES)
    for tile, fullest, found, lasting in recount(executable):
        assert plan.peak_step[tile] == fullest
        for category in CATEGORIES[:-1]:
            assert plan.by_category[category][tile] == found[category], (tile, category)
            assert plan.always_by_category[category][tile] == lasting[category], (tile, category)
        used = sum(found.values())
        assert plan.bytes_without_gaps[tile] == used
        assert plan.by_category["gaps"][tile] == plan.tile_bytes[tile] - used >= 0
        assert sum(c[tile] for c in plan.always_by_category.values()) == plan.always_live_tile_bytes[tile]


def test_the_end_of_a_tile_is_the_highest_byte_of_its_things(executable):
    plan = executable.memory
    for tile in range(8):
        mine = plan.thing_tile == tile
        assert plan.tile_bytes[tile] == (plan.thing_address + plan.thing_bytes)[mine].max()


def test_what_is_alive_at_a_step_adds_up(executable):
    plan = executable.memory
    fixed = sum(
        int(plan.by_category[c].sum())
        for c in ("vertex_state", "vertex_code", "control_code", "exchange_code", "stacks")
    )
    for step in range(0, len(executable.steps), 7):
        alive = plan.alive_at(step)
        assert sum(a.bytes for a in alive) + fixed == plan.live_bytes[step]
        assert sum(a.bytes for t in range(8) for a in plan.alive_at(step, t)) + fixed == plan.live_bytes[step]
        assert all(a.always or any(first <= step <= last for first, last in a.runs) for a in alive)
        assert [a.bytes for a in alive] == sorted((a.bytes for a in alive), reverse=True)


def test_rearrangements_are_told_from_exchange():
    """A tile that puts its own elements in another order moves as many bytes as it has; what comes from others is
    exchange."""
    graph = pp.Graph(pp.Target.tiny(2))
    x = graph.add_variable(pp.FLOAT, (10, 10), name="x", mapping=0)
    far = graph.add_variable(pp.FLOAT, (30,), name="far", mapping=1)
    out = graph.add_variable(pp.FLOAT, (10, 10), name="out", mapping=0)
    y = graph.add_variable(pp.FLOAT, (30,), name="y", mapping=0)
    cs = graph.add_compute_set("turn")
    cs.add_vertices("Neg", x=x.transpose().flatten().expand(0), y=out.flatten().expand(0), tile=0)
    cs.add_vertices("Neg", x=far.expand(0), y=y.expand(0), tile=0)
    for tensor, name in ((x, "x"), (far, "far")):
        graph.create_host_write(name, tensor)
    for tensor, name in ((out, "out"), (y, "y")):
        graph.create_host_read(name, tensor)
    plan = pp.compile_graph(graph, pp.Execute(cs)).memory
    assert plan.by_category["rearrangements"].tolist() == [400, 0]
    assert plan.by_category["exchange"].tolist() == [120, 0]


def test_lifetimes_are_sets_of_intervals():
    """A variable written anew after a pause is not alive in between, and says so."""
    graph = pp.Graph(pp.Target.tiny(1))
    a, b, c = (graph.add_variable(pp.FLOAT, (10,), name=n, mapping=0) for n in "abc")
    graph.create_host_write("a", a)
    graph.create_host_read("c", c)
    steps = [(a, b), (b, c), (a, c), (a, c), (c, b), (b, c)]
    plan = pp.compile_graph(graph, pp.Sequence([pp.Copy(x, y) for x, y in steps])).memory
    found = next(t for t in plan.alive_at(0) if t.name == "b")
    assert found.runs == ((0, 1), (4, 5)) and found.span == "live 0..1, 4..5"
    assert not [t for t in plan.alive_at(2) if t.name == "b"]


def test_the_books_are_in_the_report_and_in_files(executable, tmp_path):
    executable.save(tmp_path / "lenet.pop")
    plan = pp.Executable.load(tmp_path / "lenet.pop").memory
    assert plan.alive_at(3) == executable.memory.alive_at(3)
    report = pp.report.Report.of_program(executable)
    data = json.loads(report.to_json())["compilation"]
    assert data["memory"]["byCategory"]["rearrangements"] == int(plan.by_category["rearrangements"].sum())
    tiles = data["tiles"]["memory"]
    live = np.array(tiles["alwaysLive"]) + np.array(tiles["notAlwaysLive"])
    np.testing.assert_array_equal(live, tiles["total"]["excludingGaps"])
    fullest = max(data["livenessProgramSteps"], key=lambda s: s["bytes"])
    assert fullest["bytes"] == fullest["alwaysLiveBytes"] + fullest["notAlwaysLiveMemory"]["bytes"]
    things = fullest["notAlwaysLiveMemory"]["variables"]
    assert things and sum(t["size"] for t in things) <= fullest["notAlwaysLiveMemory"]["bytes"]
