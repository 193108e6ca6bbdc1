"""What is gathered for several tiles lies on a desk once; pieces of work are done on any number of threads."""

import gc
import itertools
import threading
import time

import numpy as np
import pytest

import poplar_py as pp
from poplar_py.engine import desks, native, work
from poplar_py.engine.pieces import Pieces
from poplar_py.engine.team import Team


def columns(*rows):
    return tuple(np.array(c, np.int64) for c in zip(*rows, strict=True))


def test_units_of_equal_content_are_of_one_kind():
    #        tile  from  to  bytes
    tile, src, dst, size = columns(
        (0, 5, 100, 8), (0, 50, 108, 8), (1, 5, 204, 8), (1, 50, 212, 8), (2, 5, 300, 8), (2, 51, 308, 8)
    )
    looks = [(np.array([100, 204, 300]), np.array([16, 16, 16]))]
    units = desks.find_units(tile, src, dst, size, looks)
    assert units.start.tolist() == [100, 204, 300] and units.length.tolist() == [16, 16, 16]
    assert units.kind[0] == units.kind[1] != units.kind[2]
    assert units.of(np.array([215, 100])).tolist() == [1, 0]


def test_windows_that_overlap_are_one_unit_and_touching_ones_two():
    tile, src, dst, size = columns((0, 1, 100, 4), (0, 21, 104, 4), (0, 41, 108, 8), (0, 71, 116, 4))
    units = desks.find_units(tile, src, dst, size, [(np.array([100, 104, 112]), np.array([8, 4, 8]))])
    assert units.start.tolist() == [100, 108]
    assert units.row.tolist() == [0, 0, 1, 1]


def test_a_window_that_nothing_is_gathered_for_is_told():
    tile, src, dst, size = columns((0, 1, 100, 4))
    assert desks.find_units(tile, src, dst, size, [(np.array([100, 200]), np.array([4, 4]))]) is None


def test_equal_hashes_of_unlike_content_are_found_out(monkeypatch):
    monkeypatch.setattr(desks, "window_hash", lambda numbers, offset: np.zeros(len(offset) - 1, np.uint64))
    tile, src, dst, size = columns((0, 5, 100, 8), (1, 6, 200, 8), (2, 5, 300, 8))
    units = desks.find_units(tile, src, dst, size, [(np.array([100, 200, 300]), np.array([8, 8, 8]))])
    assert units.kind[0] == units.kind[2] != units.kind[1]


@pytest.mark.parametrize("limits", [[0, 4], [0, 2, 4], [0, 1, 2, 3, 4]])
def test_a_piece_of_work_gathers_each_kind_once(limits):
    rng = np.random.default_rng(3)
    tile = np.repeat(np.arange(4), 3)
    src = rng.integers(0, 2, 12) * 64
    dst = tile * 1000 + np.tile([0, 100, 200], 4)
    units = desks.find_units(tile, src, dst, np.full(12, 64), [(dst, np.full(12, 64))])
    limits = np.array(limits)
    for turn in desks.orders_of_work(units, 4):
        check(units, turn, limits, src)


def check(units, turn, limits, src):
    assert sorted(turn.tolist()) == [0, 1, 2, 3]
    laid = desks.lay(units, turn, limits)
    piece = np.searchsorted(limits, turn[units.tile], "right") - 1
    assert len(laid.rows) == len(set(zip(piece.tolist(), units.kind.tolist(), strict=True)))
    memory = {}
    for row, of in zip(laid.rows.tolist(), laid.piece[units.row[laid.rows]].tolist(), strict=True):
        at = (of, int(laid.place[units.row[row]]))
        assert at not in memory
        memory[at] = src[row]
    for row in range(12):  # every unit finds its own content at its place
        assert memory[int(piece[units.row[row]]), int(laid.place[units.row[row]])] == src[row]


def test_a_desk_that_is_too_small_is_told(monkeypatch):
    monkeypatch.setattr(desks, "DESK", 64)
    dst = np.array([0, 100])
    units = desks.find_units(np.array([0, 1]), np.array([0, 64]), dst, np.array([64, 64]), [(dst, np.array([64, 64]))])
    turn = np.arange(2)
    assert desks.lay(units, turn, np.array([0, 2])) is None
    assert desks.lay(units, turn, np.array([0, 1, 2])) is not None


def moves(memory, parts, rows=1000):
    source = np.arange(rows, dtype=np.int64) * 4
    arguments = (memory, memory.view(np.uint32), source, source + 4 * rows, np.full(rows, 4, np.int64))
    cuts = [rows * k // parts for k in range(parts + 1)]
    return [[(native.move, a, b, arguments)] for a, b in itertools.pairwise(cuts)]


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("desks_", [1, 2, 50])
def test_pieces_are_all_done_again_and_again(threads, desks_):
    memory = np.zeros(8000, np.uint8)
    do = Pieces(moves(memory, 50), desks_, Team(threads) if threads > 1 else None)
    for turn in range(20):
        memory.view(np.uint32)[:1000] = np.arange(1000) + turn
        do()
        np.testing.assert_array_equal(memory.view(np.uint32)[1000:], np.arange(1000) + turn)


def test_a_team_that_slept_wakes():
    memory = np.zeros(8000, np.uint8)
    do = Pieces(moves(memory, 4), 4, Team(2))
    for value in (1, 2):
        time.sleep(0.05)
        memory[:4000] = value
        do()
        assert (memory == value).all()


def test_threads_end_with_their_team():
    before = set(threading.enumerate())
    team = Team(3)
    Pieces(moves(np.zeros(8000, np.uint8), 4), 4, team)()
    started = set(threading.enumerate()) - before
    assert len(started) == 2
    del team
    gc.collect()
    for thread in started:
        thread.join(timeout=20)
        assert not thread.is_alive()


def test_calls_with_very_many_arguments_are_made_by_the_interpreter():
    seen = []

    def many(first, last, *arguments):
        seen.append((first, last, len(arguments)))

    class Compiled:
        fndesc = type("D", (), {"llvm_func_name": ""})
        library = type("L", (), {"get_pointer_to_function": staticmethod(lambda name: 1)})

    many.overloads = {(): Compiled}
    arguments = tuple(np.zeros(1, np.int64) for _ in range(native.WORDS // 7 + 1))
    Pieces([[(many, 0, 2, arguments)], [(many, 2, 3, arguments)]], 2, None)()
    assert seen == [(0, 2, len(arguments)), (2, 3, len(arguments))]


@pytest.mark.parametrize("threads", [1, 2])
def test_what_a_vertex_raises_comes_out(threads):
    from numba import njit, types

    column = types.Array(types.int64, 1, "A", readonly=True)

    @njit(types.void(types.int64, types.int64, column))
    def fails(first, last, values):
        for k in range(first, last):
            if values[k] == 7:
                raise ValueError("seven")

    team = Team(threads) if threads > 1 else None
    do = Pieces([[(fails, k, k + 1, (np.arange(20),))] for k in range(20)], 2, team)
    with pytest.raises(ValueError, match="seven"):
        do()
    memory = np.zeros(8000, np.uint8)
    memory[:4000] = 3
    Pieces(moves(memory, 8), 2, team)()  # the team is as good as before
    assert (memory == 3).all()


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_a_network_gives_the_same_bits_by_desks_and_without(threads, monkeypatch):
    monkeypatch.setattr(work, "CHUNK", 1 << 12)
    target = pp.Target.gc200().with_options(tiles_per_ipu=64)
    executable = pp.compile("resnet8_digits", target, batch=4)
    x = np.random.default_rng(0).standard_normal(executable.graph.streams["input"].size).astype("f4")
    outputs = []

    def run(engine):
        engine.load(pp.Device(target))
        outputs.append(np.zeros(executable.graph.streams["output"].size, "f4"))
        engine.connect_stream("input", x)
        engine.connect_stream("output", outputs[-1])
        engine.run(0)

    run(pp.ReferenceEngine(executable))
    run(pp.Engine(executable, threads=threads))
    monkeypatch.setattr(work, "find_units", lambda *_: None)
    run(pp.Engine(executable, threads=threads))
    assert outputs[0].any()
    np.testing.assert_allclose(outputs[1], outputs[0], rtol=1e-5)
    np.testing.assert_array_equal(outputs[1], outputs[2])
