"""The clock: the compiled, the closed and the plain form agree with a schedule written out by hand."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from poplar_py.cost import clock
from poplar_py.target import Target

GC200 = Target.gc200()


def by_hand(target, tile, slots, num_tiles):
    """Each vertex, in order, to the worker of its tile that is free first."""
    loads = [[0] * target.num_workers for _ in range(num_tiles)]
    for t, s in zip(tile, slots, strict=True):
        row = loads[t]
        row[row.index(min(row))] += s
    launch = target.supervisor_cycles + 2 * target.num_workers
    busy = set(tile)
    return [target.num_workers * max(row) + launch * (t in busy) for t, row in enumerate(loads)]


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 50)), max_size=60))
def test_list_schedule(pairs):
    tile, slots = [p[0] for p in pairs], [p[1] for p in pairs]
    given_cycles = clock.compute_cycles(GC200, np.array(tile, np.int32), np.array(slots, np.int64), False, 5)
    assert given_cycles.tolist() == by_hand(GC200, tile, slots, 5)


def test_compiled_schedule_equals_plain_one(monkeypatch):
    rng = np.random.default_rng(0)
    tile, slots = rng.integers(0, 37, 6000), rng.integers(1, 900, 6000)
    compiled = clock.busiest_worker(tile, slots, 6, 40)
    monkeypatch.setattr(clock, "_FEW", 10**9)
    assert np.array_equal(clock.busiest_worker(tile, slots, 6, 40), compiled)


@given(st.integers(0, 40), st.integers(0, 99))
def test_equal_vertices_have_a_closed_form(n, slots):
    tile = np.zeros(n, np.int32)
    closed = clock.compute_cycles(GC200, tile, slots, False, 1)
    assert closed.tolist() == by_hand(GC200, [0] * n, [slots] * n, 1)
    column = np.broadcast_to(np.int64(slots), n)
    assert np.array_equal(closed, clock.compute_cycles(GC200, tile, column, False, 1))


def test_vertices_on_all_workers_follow_one_another():
    tile = np.array([2, 0, 2])
    assert clock.compute_cycles(GC200, tile, np.array([10, 20, 30]), True, 3).tolist() == [20, 0, 40]
    assert clock.compute_cycles(GC200, tile, 7, True, 3).tolist() == [7, 0, 14]


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 50)), min_size=1, max_size=40), st.integers(1, 50))
def test_more_work_is_never_quicker_where_it_comes_last(pairs, more):
    tile, slots = np.array([p[0] for p in pairs]), np.array([p[1] for p in pairs])
    before = clock.compute_cycles(GC200, tile, slots, False, 3)
    after = clock.compute_cycles(GC200, np.append(tile, 1), np.append(slots, more), False, 3)
    assert (after >= before).all()


def test_compiled_user_code_as_measured():
    """V19: the tutorial's compiled matrix-vector product, 28,300.3 compute cycles on hardware."""
    dots = clock.compute_cycles(GC200, np.zeros(48, np.int32), 18 + 4 * 143, False, 1)
    assert dots[0] == pytest.approx(28_300.3, rel=0.005)


def test_exchange():
    words_in, words_out = np.array([0, 6793, 10, 0]), np.array([0, 0, 40, 1])
    cycles = clock.exchange_cycles(GC200, words_in, words_out, np.array([0, 1, 3, 1]), np.array([0, 0, 2, 1]))
    start = GC200.exchange_start_cycles
    assert cycles.tolist() == [0, start + 6793, start + 40 + 6, start + 1 + 3]
    assert (clock.exchange_cycles(GC200.with_options(exchange_bytes_per_cycle=8), words_in, words_out) <= cycles).all()


def test_exchange_as_measured():
    """V18: laying out 40 MB over all tiles took 8,743 cycles, of which this phase moves 6,793 words a tile."""
    words = np.full(GC200.num_tiles, 40_000_000 // GC200.num_tiles // 4)
    assert clock.exchange_cycles(GC200, words, 0, 1).max() == pytest.approx(6793 + 121, abs=2)


def test_copies_within_a_tile():
    cycles = clock.copy_cycles(GC200, np.array([0, 8, 8192]), np.array([0, 1, 3]))
    assert cycles.tolist() == [0, 288 + 1, 288 + 1024]
    assert cycles[2] == pytest.approx(1308, rel=0.01)  # V125: 8 KiB copied in 1,308 cycles


def test_superstep():
    compute, sent = np.array([100, 5]), np.array([0, 30])
    sync = GC200.sync_cycles
    assert clock.superstep(GC200, compute) == sync + 100
    assert clock.superstep(GC200, compute, exchange_in=np.array([0, 200])) == sync + 205
    assert clock.superstep(GC200, compute, exchange_out=sent) == 2 * sync + 130
    two = Target.gc200(num_ipus=2)
    assert clock.superstep(two, compute) == two.external_sync_cycles + 100


def test_no_vertices():
    none = np.zeros(0, np.int32)
    assert clock.compute_cycles(GC200, none, np.zeros(0, np.int64), False, 4).tolist() == [0] * 4
    assert clock.compute_cycles(GC200, none, 5, True, 4).tolist() == [0] * 4
