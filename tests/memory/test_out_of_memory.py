"""The error of a tile that is over: Poplar's words, fields for programs, and remedies that do what they say."""

import re

import numpy as np
import pytest

import poplar_py as pp

TARGET = pp.Target.gc200(num_tiles=16)


def refused(model="lenet5", target=TARGET, **how):
    with pytest.raises(pp.GraphMemoryAllocationError) as caught:
        pp.compile(model, target, **how)
    return caught.value


@pytest.fixture(scope="module")
def error():
    return refused(batch=128, training=True)


def test_the_message_begins_as_poplars_does(error):
    """What programs in the field read: regular expressions on this very sentence."""
    found = re.match(
        r"Out of memory on tile (\d+): (\d+) bytes used but tiles only have (\d+) bytes of memory", str(error)
    )
    assert [int(n) for n in found.groups()] == [error.tile, error.bytes_needed, error.bytes_available]
    assert error.bytes_available == 638976
    assert "\n" not in str(error)
    assert isinstance(error, MemoryError)


def test_the_fields_are_those_of_the_plan(error):
    plan = pp.compile("lenet5", TARGET, batch=128, training=True, options={"allow_out_of_memory": True}).memory
    over = plan.tile_bytes - plan.capacity_bytes
    assert error.tile == int(np.argmax(plan.tile_bytes)) and error.bytes_needed == plan.max_tile_bytes
    assert error.num_tiles_over == int((over > 0).sum()) and error.bytes_over == int(over[over > 0].sum())
    assert error.live_bytes == int(plan.bytes_without_gaps[error.tile])
    assert sum(error.by_category.values()) == error.bytes_needed
    assert error.step == plan.step_names[error.step_index] and error.step_index == plan.peak_step[error.tile]
    assert error.largest == plan.alive_at(error.step_index, error.tile)[: len(error.largest)]
    assert error.worst_tiles[error.tile] == error.bytes_needed
    for word in (error.step, error.largest[0].name, str(error.largest[0].bytes), error.largest[0].span):
        assert word in str(error)


def test_every_remedy_does_what_it_says(error):
    assert len(error.remedies) == 3 and error.remedies[0].fits
    for remedy in error.remedies:
        changes = {"batch": 128, "options": {"allow_out_of_memory": True}}
        target = TARGET
        if remedy.kind == "batch":
            changes["batch"] = remedy.setting
        elif remedy.kind == "num_ipus":
            target = TARGET.with_options(num_ipus=remedy.setting)
        else:
            changes["options"][remedy.kind] = remedy.setting
        plan = pp.compile("lenet5", target, training=True, **changes).memory
        assert plan.max_tile_bytes == remedy.bytes and plan.fits == remedy.fits, remedy
        assert f"{remedy.text}: {remedy.bytes} bytes" in str(error)
    assert [r.fits for r in error.remedies] == sorted((r.fits for r in error.remedies), reverse=True)


def test_remedies_can_be_done_without():
    quick = refused(batch=128, training=True, options={"remedies": False})
    assert not [r for r in quick.remedies if r.kind == "batch"]
    assert "allow_out_of_memory" in str(quick)


def hand_made(tiles):
    graph = pp.Graph(pp.Target.tiny(8, bytes_per_tile=40_000))
    big = graph.add_variable(pp.FLOAT, (40, 500), name="big")
    graph.set_tile_mapping(big, np.arange(40) % tiles)
    small = graph.add_variable(pp.FLOAT, (8, 1000), name="small")
    graph.set_tile_mapping(small, np.arange(8))
    for name, tensor in (("big", big), ("small", small)):
        graph.create_host_write(name, tensor)
    return graph


def test_a_graph_made_by_hand_is_told_how_to_map_it():
    with pytest.raises(pp.GraphMemoryAllocationError) as caught:
        pp.compile_graph(hand_made(2), pp.Sync())
    kinds = {r.kind: r for r in caught.value.remedies}
    assert kinds["mapping"].fits and kinds["mapping"].setting > 2
    assert pp.compile_graph(hand_made(kinds["mapping"].setting), pp.Sync()).memory.fits
    with pytest.raises(pp.GraphMemoryAllocationError):
        pp.compile_graph(hand_made(kinds["mapping"].setting - 1), pp.Sync())
    assert not kinds["remote buffer"].fits or kinds["remote buffer"].bytes <= 40_000
    assert len(caught.value.remedies) == 3


def test_a_profile_goes_through_and_numbers_are_refused():
    executable = pp.compile_graph(hand_made(2), pp.Sync(), {"allow_out_of_memory": True})
    report = pp.report.Report.of_program(executable)
    assert not report.fits and "does not fit" in report.summary()
    with pytest.raises(pp.RuntimeFault, match="compiled with allow_out_of_memory, which gives cycles, profile"):
        pp.Engine(executable).load(executable.target)
