"""Results written over operands: the same numbers to the last bit, less memory, and a reason wherever it is refused."""

import numpy as np
import pytest

import poplar_py as pp
from poplar_py.frontends.models import read_model
from poplar_py.lower.walk import lower
from poplar_py.memory.check import check_memory
from poplar_py.opgraph.graph import OpGraph


def executables(model, tiles, **options):
    target = pp.Target.gc200(num_tiles=tiles, bytes_per_tile=4 << 20)
    made = {}
    for wanted in (False, True):
        made[wanted] = pp.compile(model, target, options={"in_place": wanted, **options.pop("options", {})}, **options)
        check_memory(made[wanted])
    return made


def after_steps(executable, steps=3, seed=0):
    """Everything the host can read after training on random batches."""
    engine = pp.Engine(executable, check=True)
    engine.load(executable.target)
    random = np.random.default_rng(seed)
    graph, given = executable.graph, {}
    for stream in graph.streams.values():
        if stream.to_device:
            whole = stream.dtype.is_integral
            values = random.integers(0, 5, (steps, stream.size)) if whole else random.random((steps, stream.size))
            given[stream.handle] = np.ascontiguousarray(values.astype(stream.dtype.np))
            engine.connect_stream(stream.handle, given[stream.handle])
        else:
            given[stream.handle] = np.zeros(stream.size, stream.dtype.np)
            engine.connect_stream(stream.handle, given[stream.handle])
    for _ in range(steps):
        engine.run(0)
    return {name: engine.read_tensor(name) for name in graph.host_reads}


@pytest.mark.parametrize(
    ("model", "tiles", "options"),
    [
        ("mnist_small", 16, {"batch": 8}),
        ("lenet5", 8, {"batch": 2}),
        ("resnet8_digits", 8, {"batch": 2}),
        ("autoencoder", 16, {"batch": 2, "dtype": "half"}),
    ],
)
def test_training_in_place_is_the_same_to_the_last_bit(model, tiles, options):
    made = executables(model, tiles, training=True, **options)
    apart, over = (after_steps(made[wanted]) for wanted in (False, True))
    assert apart.keys() == over.keys()
    for name in apart:
        np.testing.assert_array_equal(apart[name], over[name], err_msg=name)
    assert made[True].info["in_place"]["taken"] and not made[False].info["in_place"]["taken"]


def test_memory_falls_where_activations_are_what_is_live():
    """LeNet: tanh and biases over the products they follow. Bytes alive for a while at the fullest step."""
    made = executables("lenet5", 16, training=True)
    passing = {w: int(e.memory.live_bytes.max()) - e.memory.always_live_bytes for w, e in made.items()}
    assert passing[True] < 0.95 * passing[False]
    assert len(made[True].graph.variables) < len(made[False].graph.variables)


def small():
    g = OpGraph("small")
    x = g.add_input("x", pp.FLOAT, (4, 8))
    a = g.add("relu", x, name="a")  # x is the caller's
    b = g.add("exp", a, name="b")
    c = g.add("mul", a, b, name="c")  # over a or b: both end here
    d = g.add("reshape", c, shape=(8, 4), name="d")
    e = g.add("neg", c, name="e")  # d lies in c and is read later
    f = g.add("sub", e, g.add("reshape", d, shape=(4, 8), name="back"), name="f")
    h = g.add("greater", f, e, name="h")  # another type
    k = g.add("sub", b, f, name="k")  # b is over; f has no mirrored form in place
    g.set_output("h", h)
    g.set_output("k", k)
    return g


def test_what_is_taken_and_why_not():
    notes = lower(small(), pp.Target.tiny()).in_place
    assert notes.refused["a"] == "x is an input of the model"
    assert notes.refused["b"] == "a is read later"
    assert notes.taken["c"] == "a"
    assert notes.refused["e"] == "d, which is read later, lies in the memory of c"
    assert notes.refused["f"] == "sub has no form in place"  # that writes over b; a is read later
    assert notes.refused["h"] == "no operand has its shape and type"
    assert notes.taken["k"] == "b"
    assert "in place c over a" in lower(small(), pp.Target.tiny()).text()


def test_a_hand_made_graph_of_ops_equals_numpy():
    lowered = lower(small(), pp.Target.tiny())
    executable = pp.compile_graph(lowered.graph, lowered.program)
    engine = pp.Engine(executable, check=True)
    engine.load(executable.target)
    x = np.random.default_rng(1).normal(size=(4, 8)).astype(np.float32)
    engine.connect_stream("x", x)
    out = {"h": np.zeros((4, 8), bool), "k": np.zeros((4, 8), np.float32)}
    for name, array in out.items():
        engine.connect_stream(name, array)
    engine.run(0)
    a = np.maximum(x, 0)
    b = np.exp(a)
    c = a * b
    f = -c - c
    np.testing.assert_allclose(out["k"], b - f, rtol=1e-6)
    np.testing.assert_array_equal(out["h"], f > -c)


def test_the_ops_of_a_repeated_block_are_written_in_place_too():
    lowered = lower(read_model("resnet8_digits", 2, True), pp.Target.gc200(num_tiles=64))
    assert any("relu" in name for name in lowered.in_place.taken)
