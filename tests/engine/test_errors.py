"""Errors at compile time and while running name tensor, tile, shape, and the way out."""

import numpy as np
import pytest

import poplar_py as pp

from .conftest import floats


def compiled(b, program, **options):
    return pp.compile_graph(b.graph, program, options or None)


def test_unmapped_element(build):
    b = build()
    x = b.graph.add_variable(pp.FLOAT, (2, 3), name="x")
    b.graph.set_tile_mapping(x[0], 1)
    with pytest.raises(pp.InvalidTileMapping, match=r"x \[2, 3\]: element \[1, 0\] has no tile \(3 of 6 unmapped\)"):
        compiled(b, pp.Sequence())


def test_unmapped_vertex(build):
    b = build()
    x = b.variable("x", (2,))
    cs = b.graph.add_compute_set("cs")
    b.graph.add_vertex(cs, "AddConstant", {"a": x, "k": 1.0})
    with pytest.raises(pp.InvalidTileMapping, match=r"cs: vertex 0 \(AddConstant\) has no tile"):
        compiled(b, pp.Execute(cs))


@pytest.mark.parametrize("remote", [False, True])
def test_two_writers(build, remote):
    b = build()
    x, y = b.variable("x", (4,)), b.variable("y", (2,))
    cs = b.graph.add_compute_set("race")
    cs.add_vertices(
        "Dot", a=x.reshape(2, 2), b=x.reshape(2, 2), out=y[0].broadcast_to((2,)), tile=[0, 1] if remote else 0
    )
    with pytest.raises(
        pp.GraphProgramCompilationError, match=r"race: vertex 0 .*Dot.out.* and vertex 1 .* both write y\[0\]"
    ):
        compiled(b, pp.Execute(cs))


def test_writer_and_reader(build):
    b = build()
    x = b.variable("x", (4,))
    with pytest.raises(pp.GraphProgramCompilationError, match=r"sum: vertex 0 .*write and read x\[1\]"):
        compiled(b, b.execute("Sum", 0, a=x[:2].expand(0), b=x[2:].expand(0), out=x[1:3].expand(0)))


def test_one_region_in_two_inout_fields_is_one_place(build):
    b = build()
    x = b.variable("x", (4,), [0, 0, 1, 1])
    b.graph.library.add_source(
        "from poplar_py import *\n"
        "class Twice(Codelet):\n"
        "    a = InOut(VECTOR); b = InOut(VECTOR)\n"
        "    def compute(a, b):\n"
        "        for i in range(a.size):\n"
        "            a[i] += 1\n"
        "            b[i] *= 2\n",
        "twice",
    )
    program = b.execute("Twice", [0, 1], a=x.reshape(2, 2), b=x.reshape(2, 2))
    away = b.execute("Twice", [1, 0], a=x.reshape(2, 2), b=x.reshape(2, 2))
    executable = compiled(b, pp.Sequence([program, away]))
    for kind in (pp.ReferenceEngine, pp.Engine):
        engine = kind(executable)
        engine.load(b.target)
        engine.write_tensor("x", np.arange(4, dtype="f4"))
        engine.run()
        np.testing.assert_array_equal(engine.read_tensor("x"), ((np.arange(4) + 1) * 2 + 1) * 2)


def test_constants_are_not_written(build):
    b = build()
    c = b.graph.add_constant(pp.FLOAT, (2,), 0.0, name="c")
    b.graph.set_tile_mapping(c, 0)
    with pytest.raises(pp.GraphProgramCompilationError, match="addconstant: a vertex writes the constant c"):
        compiled(b, b.execute("AddConstant", 0, a=c.expand(0), k=1.0))
    with pytest.raises(pp.GraphConnectionError, match="c is constant"):
        pp.Copy(c, c)


def test_names_that_do_not_exist(build):
    b = build()
    x = b.variable("x", (2,))
    cs = b.graph.add_compute_set("cs")
    with pytest.raises(pp.UnknownVertexType, match="'Dott'.*Did you mean 'Dot'"):
        cs.add_vertices("Dott", a=x, tile=0)
    with pytest.raises(pp.UnknownField, match="no field 'outt'.*Did you mean 'out'"):
        cs.add_vertices("Dot", a=x, b=x, outt=x, tile=0)
    with pytest.raises(pp.GraphConnectionError, match="field 'out' of Dot is not connected"):
        cs.add_vertices("Dot", a=x.expand(0), b=x.expand(0), tile=0)


def test_shapes_and_types_of_fields(build):
    b = build()
    x = b.variable("x", (2, 3))
    y = b.variable("y", (2,))
    cs = b.graph.add_compute_set("cs")
    with pytest.raises(pp.ShapeError, match=r"vertex axes of Dot do not agree: a \[2\], b \[3\]"):
        cs.add_vertices("Dot", a=x, b=x.transpose(), out=y, tile=0)
    with pytest.raises(
        pp.GraphConnectionError, match="'m' of MatVec is a matrix and needs 2 axes|'m' of MatVec is a MATRIX"
    ):
        cs.add_vertices("MatVec", m=y, x=y, y=y, tile=0)
    with pytest.raises(pp.GraphConnectionError, match="'out' of Dot is a single element; y"):
        b.graph.add_vertex(cs, "Dot", {"a": x, "b": x, "out": y}, tile=0)
        b.graph.freeze()


def test_nothing_is_added_after_compiling(build):
    b = build()
    compiled(b, pp.Sync())
    with pytest.raises(pp.GraphObjectCreationError, match=r"graph is frozen \(since compile\)"):
        b.graph.add_variable(pp.FLOAT, (2,))


def test_copies(build):
    b = build()
    x, y = b.variable("x", (4,)), b.variable("y", (4,), dtype=pp.INT)
    with pytest.raises(pp.TypeMismatch, match="FLOAT to INT"):
        pp.Copy(x, y)
    with pytest.raises(pp.ShapeError, match=r"\[4\] and \[3\]"):
        pp.Copy(x, x[:3])
    with pytest.raises(pp.GraphConnectionError, match="an element twice"):
        pp.Copy(x, x[:2].broadcast(2, 0))
    stream = b.graph.add_host_to_device_fifo("in", pp.FLOAT, 3)
    with pytest.raises(pp.ShapeError, match="stream in moves 3 elements, x has 4"):
        pp.Copy(stream, x)
    with pytest.raises(pp.GraphConnectionError, match="other way"):
        pp.Copy(x[:3], stream)


def test_a_function_that_calls_itself(build):
    b = build()
    body = pp.Sequence()
    function = b.graph.add_function(body, name="f")
    body.add(pp.Call(function))
    with pytest.raises(pp.GraphRecursionError, match="f calls itself: f -> f"):
        compiled(b, pp.Call(function))


def test_memory_that_is_too_small(build):
    b = build(4, bytes_per_tile=10_000)
    b.variable("big", (4, 2000), [0, 1, 1, 3])
    with pytest.raises(
        pp.GraphMemoryAllocationError,
        match=r"Out of memory on tile 1: \d+ bytes used but tiles only have 10000 bytes of memory \(tiny\).*big 16000 \(always live\)",
    ):
        compiled(b, pp.Sync())
    executable = compiled_again = pp.compile_graph(b.graph, pp.Sync(), {"allow_out_of_memory": True})
    assert not executable.memory.fits and compiled_again.memory.tile_bytes[1] > 10_000
    with pytest.raises(pp.RuntimeFault, match="does not fit"):
        pp.Engine(executable).load(b.target)


def test_streams_and_handles_at_run_time(build):
    b = build()
    x = b.variable("x", (4,))
    stream = b.graph.add_host_to_device_fifo("feed", pp.FLOAT, 4)
    engine = pp.Engine(compiled(b, pp.Copy(stream, x)))
    with pytest.raises(pp.PoplarError, match="not loaded"):
        engine.run()
    engine.load(b.target)
    with pytest.raises(pp.StreamConnectionError, match="'feed' is not connected"):
        engine.run()
    with pytest.raises(pp.StreamConnectionError, match="no stream 'fed'. Did you mean 'feed'"):
        engine.connect_stream("fed", floats(4))
    with pytest.raises(pp.StreamConnectionError, match="FLOAT, the array is float64"):
        engine.connect_stream("feed", np.zeros(4))
    with pytest.raises(pp.StreamConnectionError, match="4 elements at a time, the array has 3"):
        engine.connect_stream("feed", floats(3))
    with pytest.raises(pp.TensorIOError, match="'y'.*Handles: x"):
        engine.write_tensor("y", floats(4))
    with pytest.raises(pp.TensorIOError, match="FLOAT, the array is float64"):
        engine.write_tensor("x", np.zeros(4))
    with pytest.raises(pp.TensorIOError, match=r"shape \[4\], the array has \[5\]"):
        engine.write_tensor("x", floats(5))
    with pytest.raises(pp.PoplarError, match="no program 3"):
        engine.run(3)


def test_undefined_reads_are_found(build):
    b = build()
    x = b.variable("x", (4,), np.arange(4))
    y = b.variable("y", (1,), 2, write=False)
    engine = pp.Engine(compiled(b, b.execute("Dot", 3, a=x.expand(0), b=x.expand(0), out=y)), check=True)
    engine.load(b.target)
    with pytest.raises(pp.RuntimeFault, match=r"dot: vertex 0 \(Dot.a\) on tile 3 reads x, which nothing has written"):
        engine.run()
    engine.write_tensor("x", floats(4))
    engine.run()


def test_unknown_options_and_stages(build):
    b = build()
    with pytest.raises(pp.InvalidOption, match="allow_out_of_memory"):
        pp.compile_graph(b.graph, pp.Sync(), {"alow_out_of_memory": True})
    with pytest.raises(pp.InvalidOption, match="no stage 'memry'. Did you mean 'memory'"):
        pp.compile_graph(b.graph, pp.Sync(), stop_after="memry")
    with pytest.raises(pp.InvalidOption, match="no figure 'tile_clock'"):
        pp.Target.gc200(tile_clock=1)
    with pytest.raises(pp.InvalidOption, match="Did you mean 'gc200'"):
        pp.Target.named("gc20")
