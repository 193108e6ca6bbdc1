"""What someone who knows only the contract tries: graphs, views and mistakes; each once went wrong."""

import subprocess
import sys

import numpy as np
import pytest

import poplar_py as pp

from .conftest import CODELETS, floats


def test_a_concatenation_of_neighbouring_variables_is_both(build, engine_of):
    b = build()
    x = b.variable("x", (8,), 0)
    p, q, r = (b.variable(n, (4,), 0, write=False) for n in "pqr")
    y, z = b.variable("y", (8,), 1, write=False), b.variable("z", (4,), 0, write=False)
    both = pp.concat([p, q])
    assert [v.name for v in both.variables()] == ["p", "q"] and both.get_contiguous_regions() == [(0, 4), (4, 8)]
    program = pp.Sequence(
        [
            pp.Copy(x[:4], p),
            pp.Copy(x[4:], q),
            pp.Copy(x[2:6], r),
            pp.Copy(r, z),
            b.execute("Sum", 1, a=both.expand(0), b=both.expand(0), out=y.expand(0)),
            pp.Copy(pp.concat([p[1:], q]), pp.concat([p, q[:3]])),
        ]
    )
    a = floats(8)
    engine = engine_of(b.graph, program, {"x": a})
    engine.run()
    np.testing.assert_array_equal(engine.read_tensor("y"), 2 * a)
    np.testing.assert_array_equal(engine.read_tensor("z"), a[2:6])
    np.testing.assert_array_equal(engine.read_tensor("p"), a[1:5])
    np.testing.assert_array_equal(engine.read_tensor("q"), [*a[5:], a[7]])


def test_a_constant_beside_a_variable_is_not_written(build):
    g = build().graph
    a = g.add_variable(pp.FLOAT, (2,), "a", mapping=0)
    k = g.add_constant(pp.FLOAT, (2,), 1.0, "k")
    with pytest.raises(pp.GraphConnectionError, match="constant"):
        pp.Copy(g.add_variable(pp.FLOAT, (4,), "x"), pp.concat([a, k]))
    with pytest.raises(pp.GraphConnectionError, match="constants"):
        g.create_host_write("w", pp.concat([a, k]))


def test_what_failed_to_compile_can_be_mended(build, engine_of):
    b = build()
    x = b.variable("x", (4,), 0)
    y = b.graph.add_variable(pp.FLOAT, (4,), name="y")
    b.graph.create_host_read("y", y)
    cs = b.graph.add_compute_set("sum")
    v = b.graph.add_vertex(cs, "Sum", {"a": x, "b": x, "out": y}, tile=1)
    assert v.tile == 1 and v.codelet == "Sum" and not b.graph.frozen
    with pytest.raises(pp.InvalidTileMapping, match="y .* no tile"):
        pp.compile_graph(b.graph, pp.Execute(cs))
    b.graph.set_tile_mapping(y, 2)
    engine = engine_of(
        b.graph, pp.Sequence([pp.Execute(cs), b.execute("AddConstant", 0, a=y.expand(0), k=1)]), {"x": floats(4)}
    )
    engine.run()
    np.testing.assert_array_equal(engine.read_tensor("y"), 2 * floats(4) + 1)
    assert v.tile == 1 and b.graph.vertices[1].codelet == "AddConstant"


def test_a_refused_vertex_leaves_nothing_behind(build):
    b = build()
    x = b.variable("x", (4,), 0)
    cs = b.graph.add_compute_set("cs")
    with pytest.raises(pp.UnknownField):
        b.graph.add_vertex(cs, "Sum", {"aa": x})
    with pytest.raises(pp.InvalidTileMapping):
        b.graph.add_vertex(cs, "AddConstant", {"a": x, "k": 1}, tile=99)
    assert b.graph.get_num_vertices() == 0


def test_numbers_connected_in_a_virtual_graph_stay_on_its_tiles(build, engine_of):
    b = build(8)
    part = b.graph.create_virtual_graph(4, 8)
    o = part.add_variable(pp.BOOL, (), "o", mapping=1)
    cs = part.add_compute_set("less")
    part.set_tile_mapping(part.add_vertex(cs, "Less", {"a": 1.0, "b": 2.0, "out": o}), 3)
    part.create_host_read("o", o)
    engine = engine_of(b.graph, pp.Execute(cs))
    engine.run()
    assert engine.read_tensor("o")
    assert not engine.executable.memory.by_category["constants"][:4].any()
    with pytest.raises(pp.InvalidTileMapping, match="once"):
        b.graph.create_virtual_graph([1, 1])


def test_constants_out_of_range_and_raw_halves(build, engine_of):
    g = build().graph
    for kind, value in ((pp.CHAR, 300), (pp.UNSIGNED_INT, -1), (pp.INT, float("nan")), (pp.SHORT, [0, 1 << 20])):
        with pytest.raises(pp.TypeMismatch, match="range"):
            g.add_constant(kind, np.shape(value), value)
    b = build()
    numbers = b.graph.add_constant(pp.HALF, (3,), np.array([1, 2, 3], np.uint16), "numbers")
    words = b.graph.add_constant_half(pp.HALF, (2,), [0x3C00, 0x4000], "words")
    for t in (numbers, words):
        b.graph.set_tile_mapping(t, 0)
        b.graph.create_host_read(t.name, t)
    engine = engine_of(b.graph, pp.Sequence())
    assert engine.read_tensor("numbers").tolist() == [1, 2, 3] and engine.read_tensor("words").tolist() == [1, 2]


def test_host_access_refuses_wrong_shapes_and_values(build, engine_of):
    b = build()
    b.variable("x", (2, 3), 0)
    b.variable("i", (3,), 0, dtype=pp.INT)
    engine = engine_of(b.graph, pp.Sequence())
    for handle, value in (
        ("x", np.zeros((3, 2), "f4")),
        ("x", [[1, 2, 3], [4, 5]]),
        ("x", np.zeros(7, "f4")),
        ("i", [1 << 40, 0, 0]),
    ):
        with pytest.raises(pp.TensorIOError, match=handle):
            engine.write_tensor(handle, value)
    engine.write_tensor("x", np.arange(6, dtype="f4"))
    with pytest.raises(pp.TensorIOError, match="read into"):
        engine.read_tensor("x", np.zeros((3, 3), "f4"))
    np.testing.assert_array_equal(engine.read_tensor("x"), np.arange(6).reshape(2, 3))


def test_streams_of_no_elements_and_of_other_graphs(build, engine_of):
    b, other = build(), build()
    nothing = b.variable("nothing", (0,), 0)
    stream = b.graph.add_host_to_device_fifo("in", pp.FLOAT, 0)
    engine = engine_of(b.graph, pp.Copy(stream, nothing))
    engine.connect_stream("in", np.zeros(0, "f4"))
    engine.run()
    assert engine.list_streams() == ["in"]
    x = other.variable("x", (0,), 0)
    with pytest.raises(pp.GraphProgramCompilationError, match="another graph"):
        pp.compile_graph(other.graph, pp.Copy(stream, x))
    for size in (-1, 2.5, "x"):
        with pytest.raises(pp.GraphObjectCreationError, match="number of elements"):
            other.graph.add_device_to_host_fifo(f"out{size}", pp.FLOAT, size)


def test_a_predicate_nobody_wrote_is_found(build):
    b = build()
    flag = b.graph.add_variable(pp.BOOL, (), "flag", mapping=0)
    x = b.variable("x", (), 0)
    for program in (pp.If(flag, b.execute("Increment", 0, x=x)), pp.AbortOnCondition(flag)):
        engine = pp.Engine(pp.compile_graph(b.graph, program), check=True)
        engine.load(pp.Device(b.target))
        with pytest.raises(pp.RuntimeFault, match="flag .* nothing has written"):
            engine.run()


def test_a_vertex_that_leaves_its_fields_is_named(build):
    b = build()
    x, o = b.variable("x", (8,), 0), b.variable("o", (), 0)
    engine = pp.ReferenceEngine(pp.compile_graph(b.graph, b.execute("Dot", 0, a=x, b=x[:3], out=o)))
    engine.load(pp.Device(b.target))
    with pytest.raises(pp.RuntimeFault, match=r"dot: vertex 0 \(Dot\) on tile 0"):
        engine.run()


def test_another_process_asks_for_trust(build, tmp_path):
    b = build()
    x = b.variable("x", (), 0)
    path = tmp_path / "user.pop"
    pp.compile_graph(b.graph, b.execute("Increment", 0, x=x)).serialize(path)
    script = (
        "import sys, poplar_py as pp\n"
        "for given in ({}, {'trust': True}, {'codelets': sys.argv[2]}):\n"
        "    for engine in (pp.Engine, pp.ReferenceEngine):\n"
        "        try:\n"
        "            e = engine(pp.Executable.deserialize(sys.argv[1], **given))\n"
        "            e.load(pp.Device(e.executable.target))\n"
        "            e.write_tensor('x', 1.0)\n"
        "            e.run()\n"
        "            print(e.read_tensor('x'))\n"
        "        except pp.UntrustedCodelet:\n"
        "            print('refused')\n"
    )
    done = subprocess.run([sys.executable, "-c", script, path, CODELETS], capture_output=True, text=True)
    assert done.stdout.split() == ["refused"] * 2 + ["2.0"] * 4, done.stderr


def test_views_that_cannot_be(build):
    x = build().graph.add_variable(pp.FLOAT, (4, 6), "x")
    for view in (
        lambda: x.slice([0], [1, 2]),
        lambda: x.reshape(-2, -12),
        lambda: x.dim_roll(0, 7),
        lambda: x.dim_shuffle_partial([0], [9]),
        lambda: x.dim_shuffle_partial([0, 1], [1]),
        lambda: x.broadcast(-1, 0),
        lambda: x.broadcast_to(7),
        lambda: x.upsample(-1, 0),
        lambda: x.flatten(0, 9),
        lambda: x[::0],
        lambda: x["a"],
        lambda: pp.concat([x, 3]),
    ):
        with pytest.raises(pp.PoplarError):
            view()
    assert pp.concat(x, x, 1).shape == (4, 12)
    assert x[0].intersects_with(x[:, 5]) and not x[0].intersects_with(x[1])


def test_programs_that_cannot_be(build):
    b = build()
    i = b.variable("i", (), 0, dtype=pp.INT)
    itself = pp.Sequence()
    itself.add(pp.Repeat(2, itself))
    for program in (
        lambda: pp.Repeat("a", pp.Sequence()),
        lambda: pp.Repeat(None, pp.Sequence()),
        lambda: pp.Sequence(3),
        lambda: pp.WriteUndef(3),
        lambda: pp.Switch(i, [3]),
        lambda: pp.Switch(i, [("a", pp.Sequence())]),
        lambda: pp.compile_graph(b.graph, itself),
        lambda: pp.compile_graph(b.graph, 3),
        lambda: pp.compile_graph(3, pp.Sequence()),
    ):
        with pytest.raises(pp.PoplarError):
            program()


def test_graphs_and_engines_refuse_what_is_none(build):
    b = build()
    g, x = b.graph, b.variable("x", (4,), 0)
    cs = g.add_compute_set("cs")
    for call in (
        lambda: pp.Graph("gc200"),
        lambda: g.add_variable(pp.FLOAT, "ab"),
        lambda: g.add_variable(pp.FLOAT, None),
        lambda: g.add_constant(pp.FLOAT, (2, 2), [[1], [2, 3]]),
        lambda: g.set_tile_mapping(3, 0),
        lambda: g.set_tile_mapping(cs, 0),
        lambda: g.set_tile_mapping(x, [[3]]),
        lambda: g.set_initial_value(3, 1),
        lambda: g.clone(3),
        lambda: g.get_tile_mapping(3),
        lambda: g.connect(3, x),
        lambda: g.add_vertex("cs", "Dot"),
        lambda: cs.add_vertices("Dot", a=[x, 3], b=x, out=x[0], tile=0),
        lambda: g.create_host_read("r", None),
        lambda: g.create_host_write("w", build().variable("y", (1,), 0)),
    ):
        with pytest.raises(pp.PoplarError):
            call()
    executable = pp.compile_graph(g, pp.Sequence())
    for call in (
        lambda: pp.Engine(g),
        lambda: pp.Engine(executable, chek=True),
        lambda: pp.Engine(executable).load(3),
        lambda: pp.Engine(executable).load_and_run(b.target, "a"),
    ):
        with pytest.raises(pp.PoplarError):
            call()
