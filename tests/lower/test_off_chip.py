"""Optimiser state, activations and weights in streaming memory: the same training to the last bit, less tile memory."""

import numpy as np
import pytest

import poplar_py as pp
from poplar_py.memory.check import check_memory
from tests.lower.test_in_place import after_steps

CASES = [
    ("mnist_small", 8, {"batch": 8}),
    pytest.param("lenet5", 8, {"batch": 4}, marks=pytest.mark.slow),
    ("resnet8_digits", 8, {"batch": 2}),
]
WHERE = ["optimiser", "activations", "weights", "optimiser,activations,weights"]


def made(model, tiles, off_chip, **options):
    target = pp.Target.gc200(num_tiles=tiles, bytes_per_tile=4 << 20)
    executable = pp.compile(model, target, training=True, options={"off_chip": off_chip}, **options)
    check_memory(executable)
    return executable


@pytest.mark.parametrize(("model", "tiles", "options"), CASES, ids=["mnist_small", "lenet5", "resnet8_digits"])
def test_training_is_the_same_and_tiles_hold_less(model, tiles, options):
    on_chip = made(model, tiles, "none", **options)
    wanted = after_steps(on_chip, steps=2)
    for where in WHERE:
        executable = made(model, tiles, where, **options)
        found = after_steps(executable, steps=2)
        assert found.keys() == wanted.keys()
        for name in wanted:
            np.testing.assert_array_equal(found[name], wanted[name], err_msg=f"{where}: {name}")
        assert executable.graph.remote_buffers
        if where != "activations" or model != "mnist_small":  # a perceptron's peak is in the gradient of its weights
            assert executable.memory.live_bytes.max() < on_chip.memory.live_bytes.max(), where


def test_state_is_off_the_tiles_and_at_its_path():
    """Momentum doubles what a network keeps; off the chip it is alive only while its own weights are updated."""
    on_chip, off = (made("mnist_mlp", 64, where, batch=4) for where in ("none", "optimiser"))
    state = sum(b.size_bytes for b in off.graph.remote_buffers.values())
    assert state > 0.9 * sum(v.size * 4 for v in on_chip.graph.variables if "velocity" in v.name)
    assert on_chip.memory.always_live_bytes - off.memory.always_live_bytes > 0.9 * state
    engine = pp.Engine(off)
    engine.load(off.target)
    name = next(iter(off.graph.remote_buffers))
    assert not engine.read_tensor(name).any()
    value = np.ones(off.graph.host_reads[name].shape, np.float32)
    engine.write_tensor(name, value)
    np.testing.assert_array_equal(engine.read_tensor(name), value)


def test_a_saved_executable_trains_on(tmp_path):
    executable = made("mnist_small", 8, "optimiser,weights", batch=8)
    wanted = after_steps(executable)
    executable.save(tmp_path / "off.pop")
    found = after_steps(pp.Executable.load(tmp_path / "off.pop"))
    for name in wanted:
        np.testing.assert_array_equal(found[name], wanted[name])


def test_evaluating_needs_nothing_more():
    """The forward program runs between training steps, whatever lies where."""
    found = {}
    for where in ("none", WHERE[-1]):
        executable = made("resnet8_digits", 8, where, batch=2)
        engine = pp.Engine(executable, check=True)
        engine.load(executable.target)
        for stream in executable.graph.streams.values():
            engine.connect_stream(stream.handle, np.ones(stream.size, stream.dtype.np))
        for program in (1, 0, 1, 0):
            engine.run(program)
        found[where] = engine.read_tensor("loss")
    assert len({f.tobytes() for f in found.values()}) == 1


def test_mistakes_are_named():
    with pytest.raises(pp.InvalidOption, match="off_chip has no 'activation'. Did you mean 'activations'"):
        pp.compile("mnist_small", pp.Target.tiny(), options={"off_chip": "optimizer,activation"})
    with pytest.raises(pp.GraphObjectCreationError, match="gc2 has no streaming memory"):
        pp.compile("mnist_small", pp.Target.gc2(), training=True, options={"off_chip": "optimiser"})
