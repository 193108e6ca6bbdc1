"""Hand-made graphs run on every engine and give numpy's numbers."""

import io
import subprocess
import sys

import numpy as np
import pytest

import poplar_py as pp

from .conftest import floats


def test_the_design_example(build, engine_of):
    b = build(8)
    g = b.graph
    x = b.variable("x", (4, 256), np.arange(4))
    y = b.variable("y", (4,), np.arange(4), write=False)
    w = g.add_constant(pp.FLOAT, (256,), np.ones(256, "f4"), name="w")
    g.set_tile_mapping(w, 0)
    cs = g.add_compute_set("dots")
    v = g.add_vertex(cs, "Dot", {"a": x[0], "b": w, "out": y[0]})
    g.set_tile_mapping(v, 0)
    cs.add_vertices("Dot", a=x[1:], b=w, out=y[1:], tile=[1, 2, 3])
    a = floats(4, 256)
    engine = engine_of(g, [pp.Execute(cs)], {"x": a})
    engine.run(0)
    np.testing.assert_array_equal(engine.read_tensor("y"), a.sum(1))
    assert engine.executable.num_vertices == 4 and engine.executable.num_edges == 12
    assert repr(g.vertices[0]) == "<Vertex 0 Dot tile=0 a=x[0:256] b=w out=y[0]>"


def test_scattered_views_meet_contiguous_fields(build, engine_of):
    b = build()
    x = b.variable("x", (8, 8), np.arange(8) % 4)
    y = b.variable("y", (4,), [3, 2, 1, 0], write=False)
    z = b.variable("z", (4,), 1, write=False)
    program = pp.Sequence(
        [
            b.execute("Dot", [0, 1, 2, 3], a=x[:, ::2].transpose(), b=x[::-1, 0], out=y),
            b.execute("MatVec", 2, m=x[::2, 1:4].expand(0), x=x[5, ::3].expand(0), y=z.expand(0)),
        ]
    )
    a = floats(8, 8)
    engine = engine_of(b.graph, program, {"x": a})
    engine.run()
    np.testing.assert_array_equal(engine.read_tensor("y"), a[:, ::2].T @ a[::-1, 0])
    np.testing.assert_array_equal(engine.read_tensor("z"), a[::2, 1:4] @ a[5, ::3])


def test_in_place_fields_here_and_on_other_tiles(build, engine_of):
    b = build()
    x = b.variable("x", (4, 6), np.arange(4))
    program = pp.Sequence(
        [
            b.execute("AddConstant", [0, 1, 3, 2], a=x, k=[1.0, 2.0, 3.0, 4.0]),
            b.execute("Swap", 0, m=x.expand(0)),
            b.execute("AddConstant", 3, a=x[:, ::2].reshape(1, 12), k=10.0),
        ]
    )
    a = floats(4, 6)
    engine = engine_of(b.graph, program, {"x": a})
    engine.run()
    expected = (a + np.array([[1], [2], [3], [4]], "f4"))[::-1].copy()
    expected[:, ::2] += 10
    np.testing.assert_array_equal(engine.read_tensor("x"), expected)


def test_partly_written_outputs_keep_the_rest(build, engine_of):
    b = build()
    x = b.variable("x", (4, 3), 0)
    y = b.variable("y", (4, 3), np.arange(4))
    engine = engine_of(
        b.graph, b.execute("FirstOnly", [3, 1, 2, 0], a=x, out=y), {"x": floats(4, 3), "y": floats(4, 3, seed=1)}
    )
    engine.run()
    expected = floats(4, 3, seed=1)
    expected[:, 0] = floats(4, 3)[:, 0]
    np.testing.assert_array_equal(engine.read_tensor("y"), expected)


def test_copies_between_overlapping_views(build, engine_of):
    b = build()
    x = b.variable("x", (4, 8), np.arange(4))
    program = pp.Sequence(
        [
            pp.Copy(x[0, 0:6], x[0, 2:8]),
            pp.Copy(x[0:3], x[1:4]),
            pp.Copy(x.reverse(1), x),
            pp.Copy(x[:, 0].broadcast(2, 0), x[2:4].reshape(2, 8)[:, 3:7].flatten()),
        ]
    )
    a = floats(4, 8)
    engine = engine_of(b.graph, program, {"x": a})
    engine.run()
    e = a.copy()
    e[0, 2:8] = e[0, 0:6].copy()
    e[1:4] = e[0:3].copy()
    e = e[:, ::-1].copy()
    e[2:4, 3:7] = np.concatenate([e[:, 0], e[:, 0]]).reshape(2, 4)
    np.testing.assert_array_equal(engine.read_tensor("x"), e)


def test_types_have_their_widths(build, engine_of):
    b = build()
    cases = {
        "SHORT": np.array([32767, -5, 7], np.int16),
        "UNSIGNED_SHORT": np.array([65535, 1, 2], np.uint16),
        "CHAR": np.array([127, -128, 3], np.int8),
        "UNSIGNED_CHAR": np.array([255, 1, 2], np.uint8),
        "INT": np.array([2**31 - 1, -1, 5], np.int32),
        "UNSIGNED_INT": np.array([2**32 - 1, 1, 9], np.uint32),
        "LONGLONG": np.array([2**62, -1, 2**40], np.int64),
        "HALF": np.array([0.1, 1024.5, 65504], np.float16),
        "FLOAT": np.array([1e-8, 16777216, 0.1], np.float32),
        "BOOL": np.array([True, False, True]),
    }
    program = pp.Sequence()
    for name, value in cases.items():
        x = b.variable(name, value.shape, 1, dtype=name)
        y = b.variable("sum" + name, value.shape, 2, dtype=name, write=False)
        program.add(b.execute("Sum", 3, a=x.expand(0), b=x[::-1].expand(0), out=y.expand(0)))
    engine = engine_of(b.graph, program, cases)
    engine.run()
    with np.errstate(all="ignore"):
        for name, value in cases.items():
            expected = value + value[::-1] if name != "BOOL" else value | value[::-1]
            got = engine.read_tensor("sum" + name)
            assert got.dtype == value.dtype
            np.testing.assert_array_equal(got, expected, err_msg=name)


def test_control_flow_nested(build, engine_of):
    b = build()
    count = b.variable("count", (), 0, dtype=pp.INT)
    total = b.variable("total", (), 1, dtype=pp.INT)
    limit = b.graph.add_constant(pp.INT, (), 5, name="limit")
    b.graph.set_tile_mapping(limit, 3)
    below = b.variable("below", (), 2, dtype=pp.BOOL)
    check = b.execute("Less", 2, a=count, b=limit, out=below)
    bump = b.execute("Increment", 3, x=count)
    add = b.execute("Increment", 0, x=total)
    function = b.graph.add_function(pp.Sequence([add, add]), name="twice")
    program = pp.Sequence(
        [
            pp.RepeatWhileTrue(
                check,
                below,
                pp.Sequence(
                    [
                        bump,
                        pp.Repeat(2, pp.Call(function)),
                        pp.Switch(count, [(2, add), (4, pp.Repeat(10, add))], pp.Sequence()),
                    ]
                ),
            ),
            pp.If(below, pp.Repeat(1000, add), pp.Call(function)),
        ]
    )
    other = pp.RepeatWhileFalse(bump, below, pp.Sequence([check, pp.If(below, pp.Sequence(), add)]))
    engine = engine_of(b.graph, [program, pp.Repeat(0, add), other], {"count": np.int32(0), "total": np.int32(0)})
    engine.run(0)
    assert engine.read_tensor("count") == 5
    assert engine.read_tensor("total") == 5 * 4 + 1 + 10 + 2
    engine.run(1)
    assert engine.read_tensor("total") == 33
    engine.write_tensor("below", np.bool_(True))
    engine.run(2)
    assert engine.read_tensor("count") == 6 and engine.read_tensor("total") == 33


def test_streams_circle_and_call_back(build, engine_of):
    b = build()
    x = b.variable("x", (4,), np.arange(4), write=False)
    y = b.variable("y", (4,), 0, write=False)
    feed = b.graph.add_host_to_device_fifo("in", pp.FLOAT, 4)
    other = b.graph.add_host_to_device_fifo("other", pp.FLOAT, 4)
    out = b.graph.add_device_to_host_fifo("out", pp.FLOAT, 4)
    tap = b.graph.add_device_to_host_fifo("tap", pp.FLOAT, 4)
    cs = b.graph.add_compute_set("sum")
    cs.add_vertices("Sum", a=x.expand(0), b=y.expand(0), out=x.expand(0), tile=0) if False else None
    s = b.variable("s", (4,), 2, write=False)
    program = pp.Repeat(
        3,
        pp.Sequence(
            [
                pp.Copy(feed, x),
                pp.Copy(other, y),
                b.execute("Sum", 1, a=x.expand(0), b=y.expand(0), out=s.expand(0)),
                pp.Copy(s, out),
                pp.Copy(s[::-1], tap),
            ]
        ),
    )
    engine = engine_of(b.graph, program)
    source = np.arange(10, dtype="f4")
    collected, tapped, calls = np.zeros(12, "f4"), [], []

    def fill(array):
        calls.append(1)
        array[:] = len(calls)

    engine.connect_stream("in", source)
    engine.connect_stream_to_callback("other", fill)
    engine.connect_stream("out", collected)
    engine.connect_stream_to_callback("tap", lambda a: tapped.append(a.copy()))
    engine.run()
    expected = np.resize(source, 12).reshape(3, 4) + np.array([[1], [2], [3]], "f4")
    np.testing.assert_array_equal(collected.reshape(3, 4), expected)
    np.testing.assert_array_equal(np.array(tapped), expected[:, ::-1])
    engine.connect_stream_to_callback("other", lambda: np.zeros(4, "f4"))
    engine.run()
    np.testing.assert_array_equal(collected[:2], source[2:4])


def test_print_abort_and_sync(build, engine_of):
    b = build()
    x = b.variable("x", (3,), 0, dtype=pp.INT)
    bad = b.variable("bad", (), 1, dtype=pp.BOOL)
    program = pp.Sequence([pp.PrintTensor("x is", x), pp.Sync(), pp.AbortOnCondition(bad, "bad is set")])
    engine = engine_of(b.graph, program, {"x": np.array([1, 2, 3], "i4"), "bad": np.bool_(False)})
    text = io.StringIO()
    engine.set_print_stream(text)
    engine.run()
    assert text.getvalue() == "x is: [1,2,3]\n"
    engine.write_tensor("bad", np.bool_(True))
    with pytest.raises(pp.RuntimeFault, match="bad is set"):
        engine.run()


def test_zero_sizes_are_legal(build, engine_of):
    b = build()
    x = b.variable("x", (0, 4), 0)
    y = b.variable("y", (2,), 0)
    e = b.variable("e", (0,), 0)
    program = pp.Sequence(
        [
            b.execute("Dot", 0, a=x, b=x, out=e),
            b.execute("Dot", [0, 1], a=e.broadcast_to((2, 0)), b=e.broadcast_to((2, 0)), out=y),
            pp.Copy(x, x),
            pp.Sequence(),
        ]
    )
    engine = engine_of(b.graph, program, {"y": floats(2)})
    engine.run()
    np.testing.assert_array_equal(engine.read_tensor("y"), [0, 0])
    assert engine.read_tensor("x").shape == (0, 4)


def test_thousands_of_single_vertices_become_one_block(build, engine_of):
    b = build(16)
    n = 500
    x = b.variable("x", (n, 3), np.arange(n) % 16)
    y = b.variable("y", (n,), np.arange(n) % 16, write=False)
    cs = b.graph.add_compute_set("dots")
    made = [b.graph.add_vertex(cs, "Dot", {"a": x[i], "b": x[i], "out": y[i]}, tile=i % 16) for i in range(n)]
    a = floats(n, 3)
    engine = engine_of(b.graph, pp.Execute(cs), {"x": a})
    engine.run()
    np.testing.assert_array_equal(engine.read_tensor("y"), (a * a).sum(1))
    assert len(cs.blocks) == 1 and made[7].tile == 7 and made[7].codelet == "Dot"
    assert b.graph.vertices[499].index == 499


def test_write_undef_and_remote_everything(build, engine_of):
    b = build()
    x = b.variable("x", (4, 4), [3, 2, 1, 0])
    y = b.variable("y", (4, 4), [0, 1, 2, 3], write=False)
    t = b.graph.add_variable(pp.FLOAT, (4, 4), name="t")
    b.graph.set_tile_mapping(t, [1, 1, 2, 2])
    program = pp.Sequence(
        [
            pp.WriteUndef(t),
            b.execute("Sum", [2, 3, 0, 1], a=x, b=x.transpose(), out=t),
            b.execute("Sum", [0, 0, 0, 0], a=t, b=t[::-1], out=y),
            pp.WriteUndef(t),
        ]
    )
    a = floats(4, 4)
    engine = engine_of(b.graph, program, {"x": a})
    engine.run()
    s = a + a.T
    np.testing.assert_array_equal(engine.read_tensor("y"), s + s[::-1])


def test_naming_an_engine_compiles_nothing():
    """numba takes most of a second to import; it is there once an engine loads."""
    code = "import sys, poplar_py as pp; pp.Engine, pp.compile; print('numba' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "False\n", done.stdout + done.stderr
