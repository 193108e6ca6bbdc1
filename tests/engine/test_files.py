"""Saved executables: the same numbers in another process, trust for user code, and damage that is noticed."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import poplar_py as pp

from .conftest import CODELETS, floats

READ_AND_RUN = """
import sys, numpy as np, poplar_py as pp
executable = pp.Executable.load(sys.argv[1], **eval(sys.argv[2]))
engine = pp.Engine(executable)
engine.load(pp.Device(executable.target))
engine.write_tensor("x", np.arange(12, dtype="f4").reshape(4, 3))
engine.run(0)
print(engine.read_tensor("y").tolist())
"""


@pytest.fixture
def saved(build, tmp_path):
    b = build()
    x = b.variable("x", (4, 3), [3, 1, 2, 0])
    y = b.variable("y", (4,), np.arange(4), write=False)
    w = b.graph.add_constant(pp.FLOAT, (3,), [1.0, 2.0, 3.0], name="w")
    b.graph.set_tile_mapping(w, 2)
    twice = b.graph.add_function(b.execute("AddConstant", 1, a=y.expand(0), k=0.5), name="half")
    program = pp.Sequence(
        [b.execute("Dot", np.arange(4), a=x, b=w, out=y), pp.Repeat(2, pp.Call(twice)), pp.Copy(y[:2], y[1:3])]
    )
    executable = pp.compile_graph(b.graph, program, name="dots")
    path = tmp_path / "dots.pop"
    executable.save(path)
    return executable, path


def test_another_process_gives_the_same_numbers(saved):
    _, path = saved
    for how in ("{'trust': True}", f"{{'codelets': {str(CODELETS)!r}}}"):
        out = subprocess.run(
            [sys.executable, "-c", READ_AND_RUN, str(path), how], capture_output=True, text=True, check=True
        )
        y = np.arange(12).reshape(4, 3) @ [1, 2, 3] + 1.0
        y[1:3] = y[:2].copy()
        assert out.stdout.strip() == str(y.tolist())


def test_what_is_read_back_equals_what_was_saved(saved):
    executable, path = saved
    again = pp.Executable.load(path, trust=True)
    assert (again.name, again.num_vertices, again.num_edges) == ("dots", executable.num_vertices, executable.num_edges)
    assert again.target == executable.target
    assert again.schedule.text() == executable.schedule.text()
    np.testing.assert_array_equal(again.memory.tile_bytes, executable.memory.tile_bytes)
    assert [s.cycles for s in again.steps] == [s.cycles for s in executable.steps]
    assert repr(again.graph.vertices[2]) == repr(executable.graph.vertices[2])
    second = path.with_name("again.pop")
    again.save(second)
    assert second.read_bytes() == path.read_bytes()


def test_user_code_needs_trust(saved):
    _, path = saved
    sealed = pp.Executable.load(path)
    assert sealed.num_vertices == 5 and sealed.steps
    engine = pp.Engine(sealed)
    with pytest.raises(pp.UntrustedCodelet, match="codelet .* trust=True"):
        engine.load(pp.Device(sealed.target))


def test_codelets_that_changed_are_refused(saved, tmp_path):
    _, path = saved
    other = tmp_path / "other.py"
    other.write_text(CODELETS.read_text().replace("a[i] += k", "a[i] -= k"))
    with pytest.raises(pp.FileLoadError, match="differs"):
        pp.Executable.load(path, codelets=[other])


@pytest.mark.parametrize(
    "harm", ["missing", "empty", "foreign", "cut in the header", "cut in the columns", "changed header"]
)
def test_damage_is_a_clear_error(saved, harm):
    _, path = saved
    whole = path.read_bytes()
    bad = path.with_name("bad.pop")
    contents = {
        "empty": b"",
        "foreign": b"PK\x03\x04" + whole,
        "cut in the header": whole[:200],
        "cut in the columns": whole[: len(whole) - 100],
        "changed header": whole[:60] + b"?" + whole[61:],
    }
    if harm != "missing":
        bad.write_bytes(contents[harm])
    with pytest.raises(pp.FileLoadError, match="bad.pop"):
        pp.Executable.load(bad)


def test_saving_where_one_cannot(saved):
    executable, path = saved
    with pytest.raises(pp.FileLoadError, match="cannot write"):
        executable.save(path / "below" / "a.pop")


def test_device_must_be_the_target(saved):
    executable, _ = saved
    with pytest.raises(pp.PoplarError, match=r"compiled for tiny \(4 tiles\), the device is tiny \(5 tiles\)"):
        pp.Engine(executable).load(pp.Device(pp.Target.tiny(5)))


def test_results_do_not_depend_on_the_file(saved):
    executable, path = saved
    values = []
    for e in (executable, pp.Executable.load(path, trust=True)):
        engine = pp.Engine(e)
        engine.load(pp.Device(e.target))
        engine.write_tensor("x", floats(4, 3))
        engine.run()
        values.append(engine.read_tensor("y"))
    np.testing.assert_array_equal(*values)
    assert Path(path).stat().st_size < 100_000
