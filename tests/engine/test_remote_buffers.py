"""Remote buffers: rows in streaming memory, copied by programs and by the host, on both engines; numpy is the judge."""

import math

import numpy as np
import pytest

import poplar_py as pp

from .conftest import floats


def world(b, repeats=3, **how):
    """A tensor of one row spread over all tiles in an order of its own, and a remote buffer of rows like it."""
    x = b.variable("x", (2, 6), np.arange(12).reshape(2, 6) % 4)
    return x.transpose(), b.graph.add_remote_buffer("rows", pp.FLOAT, 12, repeats, **how)


@pytest.mark.parametrize("how", [{}, {"rearrange_on_host": True}, {"optimise_memory": True}])
def test_a_row_comes_and_goes(build, engine_of, how):
    b = build()
    x, rows = world(b, **how)
    add = b.execute("AddConstant", np.arange(6) % 4, a=x, k=1.0)
    engine = engine_of(b.graph, pp.Sequence([pp.Copy(rows, x), add, pp.Copy(x, rows)]))
    given = floats(12, seed=1)
    engine.copy_to_remote_buffer(given, "rows")
    for turn in (1, 2):
        engine.run()
        np.testing.assert_array_equal(engine.copy_from_remote_buffer("rows"), given + turn)
    np.testing.assert_array_equal(engine.read_tensor("x"), (given + 2).reshape(6, 2).T)


def test_rows_by_offset(build, engine_of):
    """Offsets are data: they change from turn to turn, in any order, one a row."""
    b = build()
    pages = b.graph.add_remote_buffer("pages", pp.HALF, 3, 5)
    y = b.variable("y", (2, 3), [0, 3], dtype=pp.HALF)
    where, there = (b.variable(n, (2,), [1, 2], dtype=pp.UNSIGNED_INT) for n in ("where", "there"))
    engine = engine_of(b.graph, pp.Sequence([pp.Copy(pages, y, where), pp.Copy(y, pages, there)]))
    expected = floats(5, 3).astype(np.float16)
    for i, row in enumerate(expected):
        engine.copy_to_remote_buffer(row, "pages", i)
    for read, written in (([4, 1], [0, 2]), ([2, 2], [3, 1]), ([0, 3], [4, 4])):
        engine.write_tensor("where", np.array(read, np.uint32))
        engine.write_tensor("there", np.array(written, np.uint32))
        engine.run()
        moved = expected[read]
        expected[written] = moved  # numpy too keeps the later of two
        np.testing.assert_array_equal(engine.read_tensor("y"), moved)
        out = np.empty(3, np.float16)
        for i, row in enumerate(expected):
            np.testing.assert_array_equal(engine.copy_from_remote_buffer("pages", out, i), row)


def test_first_rows_without_offset_and_initial_contents(build, engine_of):
    b = build()
    rows = b.graph.add_remote_buffer("rows", pp.INT, 2, 4)
    given = np.arange(8, dtype=np.int32).reshape(4, 2)
    b.graph.set_initial_value(rows, given)
    b.graph.create_host_write("last", b.graph.add_remote_buffer("apart", pp.INT, 2, shape=(1, 2)))
    y = b.variable("y", (3, 2), [0, 1, 2], dtype=pp.INT)
    engine = engine_of(b.graph, pp.Copy(rows, y))
    engine.run()
    np.testing.assert_array_equal(engine.read_tensor("y"), given[:3])
    engine.write_tensor("last", np.array([[7, 8]], np.int32))
    np.testing.assert_array_equal(engine.copy_from_remote_buffer("apart"), [[7, 8]])
    assert engine.list_remote_buffers() == ["rows", "apart"]


def test_a_loop_pages_through_more_than_a_tile_holds(build, engine_of):
    """4 tiles of 20 kB add up 40 rows of 4,000 bytes a tile: streaming memory holds what the tiles cannot."""
    b = build(4, bytes_per_tile=20_000)
    pages = b.graph.add_remote_buffer("pages", pp.FLOAT, 4000, 40)
    page = b.graph.add_variable(pp.FLOAT, (4, 1000), name="page")
    b.graph.set_tile_mapping(page, np.arange(4))
    total = b.variable("total", (4, 1000), np.arange(4))
    number = b.variable("number", (1,), 0, dtype=pp.UNSIGNED_INT)
    b.graph.library.add_source(
        "from poplar_py import *\n"
        "class Accumulate(Codelet):\n"
        "    a = Input(VECTOR); out = InOut(VECTOR)\n"
        "    def compute(a, out):\n"
        "        for i in range(a.size):\n"
        "            out[i] += a[i]\n",
        "accumulate",
    )
    turn = [
        pp.Copy(pages, page, number),
        b.execute("Accumulate", np.arange(4), a=page, out=total),
        b.execute("Increment", 0, x=number),
    ]
    engine = engine_of(b.graph, pp.Repeat(40, pp.Sequence(turn)))
    given = floats(40, 4000, seed=2)
    for i, row in enumerate(given):
        engine.copy_to_remote_buffer(row, "pages", i)
    engine.write_tensor("number", np.zeros(1, np.uint32))
    engine.write_tensor("total", np.zeros((4, 1000), np.float32))
    engine.run()
    np.testing.assert_array_equal(engine.read_tensor("total").ravel(), given.sum(axis=0))
    assert given.nbytes > 4 * 20_000
    assert "page" in engine.executable.memory.text()


def test_what_a_transfer_costs(build):
    """Bytes at the rate of streaming memory (reference: about 20 GB/s), and tiles that put a row in order (rule R9)."""
    cycles = {}
    for host in (False, True):
        b = build(4, streaming_bytes_per_second=1e9, streaming_latency_cycles=50)
        x = b.variable("x", (1000, 4), np.arange(4)[None] + np.zeros((1000, 1), int))
        rows = b.graph.add_remote_buffer("rows", pp.FLOAT, 4000, rearrange_on_host=host)
        executable = pp.compile_graph(b.graph, pp.Sequence([pp.Copy(rows, x), pp.Copy(x.transpose(), rows)]))
        come, go = executable.steps
        assert come.host_cycles == go.host_cycles == 50 + math.ceil(16_000 * 1.33e9 / 1e9)
        cycles[host] = come.cycles, go.cycles
    assert cycles[True] == (come.host_cycles + b.target.external_sync_cycles,) * 2
    assert cycles[False] == cycles[True]  # a tile's elements are one piece for it, in order


def test_scattered_pieces_are_put_in_order_by_the_tiles(build):
    b = build(2)
    x = b.variable("x", (8, 100), np.arange(8) % 2)
    rows = {h: b.graph.add_remote_buffer(f"rows{h}", pp.FLOAT, 800, rearrange_on_host=h) for h in (False, True)}
    turned = x.reshape(4, 2, 100).transpose((2, 1, 0))
    programs = [pp.Copy(rows[False], turned), pp.Copy(rows[True], turned), pp.Copy(turned, rows[False])]
    come, free, go = pp.compile_graph(b.graph, pp.Sequence(programs)).steps
    ordered = b.target.memcpy_call_cycles + 1600 // b.target.memcpy_bytes_per_cycle
    assert come.cycles - free.cycles == go.cycles - free.cycles == ordered


def test_lifetimes_know_transfers(build):
    """What a row is copied over holds nothing before; what is stored is free afterwards: both share bytes."""
    b = build(1)
    rows = b.graph.add_remote_buffer("rows", pp.FLOAT, 500)
    one, two = (b.graph.add_variable(pp.FLOAT, (500,), name=n, mapping=0) for n in ("one", "two"))
    executable = pp.compile_graph(
        b.graph, pp.Sequence([pp.Copy(rows, one), pp.Copy(one, rows), pp.Copy(rows, two), pp.Copy(two, rows)])
    )
    assert executable.memory.by_category["variables"][0] == 2000
    from poplar_py.memory.check import check_memory, lifetimes

    check_memory(executable)
    assert lifetimes(executable).T.tolist() == [[True, True, False, False], [False, False, True, True]]


def test_a_saved_executable_keeps_its_rows(build, tmp_path):
    b = build()
    x, rows = world(b)
    b.graph.set_initial_value(rows, floats(3, 12))
    which = b.variable("which", (1,), 3, dtype=pp.INT)
    pp.compile_graph(b.graph, pp.Copy(rows, x, which)).save(tmp_path / "rows.pop")
    engine = pp.Engine(pp.Executable.load(tmp_path / "rows.pop"))
    engine.load(b.target)
    engine.write_tensor("which", np.array([2], np.int32))
    engine.run()
    np.testing.assert_array_equal(engine.read_tensor("x").T.ravel(), floats(3, 12)[2])


# errors --------------------------------------------------------------------------------------------------------


def test_errors_when_built(build):
    b = build()
    x, rows = world(b)
    half = b.variable("half", (12,), dtype=pp.HALF)
    flag = b.variable("flag", (1,), dtype=pp.FLOAT)
    two = b.variable("two", (2,), dtype=pp.INT)
    with pytest.raises(pp.GraphObjectCreationError, match="'rows' is already in use"):
        b.graph.add_remote_buffer("rows", pp.FLOAT, 1)
    with pytest.raises(pp.GraphObjectCreationError, match="'none': num_elements 0 is not"):
        b.graph.add_remote_buffer("none", pp.FLOAT, 0)
    with pytest.raises(pp.GraphObjectCreationError, match="gc2 has no streaming memory; compile for gc200"):
        pp.Graph(pp.Target.gc2()).add_remote_buffer("rows", pp.FLOAT, 1)
    with pytest.raises(pp.TypeMismatch, match="remote buffer rows is FLOAT, half is HALF"):
        pp.Copy(rows, half)
    with pytest.raises(pp.ShapeError, match="rows of remote buffer rows have 12 elements, .* has 7"):
        pp.Copy(x.flatten()[:7], rows)
    with pytest.raises(pp.ShapeError, match="has 4 rows, remote buffer rows 3"):
        pp.Copy(b.variable("y", (4, 12)), rows)
    with pytest.raises(pp.TypeMismatch, match="offset is a tensor of INT or UNSIGNED_INT, not FLOAT"):
        pp.Copy(x, rows, flag)
    with pytest.raises(pp.ShapeError, match="has 1 rows of remote buffer rows, the offset two has 2"):
        pp.Copy(rows, x, two)
    with pytest.raises(pp.GraphConnectionError, match="offset says which rows of a remote buffer"):
        pp.Copy(x, x, two)
    with pytest.raises(pp.GraphConnectionError, match="an element twice"):
        pp.Copy(rows, x.flatten()[:6].broadcast(2, 0))


def test_errors_when_compiled(build):
    b = build(4, streaming_memory_bytes=1000)
    b.graph.add_remote_buffer("small", pp.FLOAT, 50)
    b.graph.add_remote_buffer("large", pp.FLOAT, 100, 5)
    with pytest.raises(pp.GraphMemoryAllocationError, match="need 2200 bytes.* has 1000; the largest is large"):
        pp.compile_graph(b.graph, pp.Sync())
    other = build()
    x = other.variable("x", (12,))
    with pytest.raises(pp.GraphProgramCompilationError, match="remote buffer rows belongs to another graph"):
        pp.compile_graph(other.graph, pp.Copy(build().graph.add_remote_buffer("rows", pp.FLOAT, 12), x))


def test_errors_when_run(build, engine_of):
    b = build()
    x, rows = world(b)
    which = b.variable("which", (1,), 2, dtype=pp.INT)
    engine = engine_of(b.graph, pp.Copy(x, rows, which))
    with pytest.raises(pp.TensorIOError, match="no remote buffer 'row'. Did you mean 'rows'"):
        engine.copy_from_remote_buffer("row")
    with pytest.raises(pp.TensorIOError, match=r"has rows 0..2; repeat index 3"):
        engine.copy_to_remote_buffer(floats(12), "rows", 3)
    with pytest.raises(pp.TensorIOError, match=r"row 0 of remote buffer 'rows' has shape \[12\]"):
        engine.copy_to_remote_buffer(floats(13), "rows")
    with pytest.raises(pp.TensorIOError, match="is float32"):
        engine.copy_to_remote_buffer(floats(12), "rows")
        engine.copy_from_remote_buffer("rows", np.empty(12, np.int32))
    engine.write_tensor("x", floats(2, 6))
    for bad in (3, -1):
        engine.write_tensor("which", np.array([bad], np.int32))
        with pytest.raises(
            pp.RuntimeFault, match=rf"offset {bad} is no row of remote buffer rows, which has rows 0..2"
        ):
            engine.run()


def test_a_checking_engine_finds_rows_nobody_wrote(build):
    b = build()
    x, rows = world(b)
    add = b.execute("AddConstant", np.arange(6) % 4, a=x, k=1.0)
    executable = pp.compile_graph(b.graph, [pp.Sequence([pp.Copy(rows, x), add]), pp.Copy(x, rows)])
    engine = pp.Engine(executable, check=True)
    engine.load(b.target)
    with pytest.raises(pp.RuntimeFault, match=r"reads x.*, which nothing has written"):
        engine.run(0)
    engine.run(1)  # what is undefined may lie there
    with pytest.raises(pp.RuntimeFault, match="row 0 of remote buffer rows is read, which nothing has written"):
        engine.copy_from_remote_buffer("rows")
    engine.copy_to_remote_buffer(floats(12), "rows")
    engine.run(0)
