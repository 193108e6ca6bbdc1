"""What repeats is lowered once and called: the same numbers, bit for bit, from fewer vertices."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import poplar_py as pp
from poplar_py.frontends.models import read_model
from poplar_py.opgraph.evaluate import Evaluation
from poplar_py.opgraph.gradients import add_gradients
from poplar_py.opgraph.graph import OpGraph
from poplar_py.opgraph.outline import find_bodies

TARGET = pp.Target.gc200(num_tiles=24)


def residual_network(blocks: int, training: bool, channels: int = 32, norm: bool = True) -> OpGraph:
    random = np.random.default_rng(5)
    g = OpGraph("blocks")
    wanted = []

    def parameter(name, *shape, value=None):
        initial = random.normal(size=shape) * 0.2 if value is None else np.full(shape, value)
        wanted.append(g.add_parameter(name, "float", shape, initial=initial.astype(np.float32)))
        return wanted[-1]

    x = g.add_input("x", "float", (2, channels, 12, 10))
    for n in range(blocks):
        y = x
        for part in "ab":
            name = f"block{n}/{part}"
            w = parameter(f"{name}/w", channels, channels, 3, 3)
            y = g.add("conv", y, w, padding_lower=(1, 1), padding_upper=(1, 1), name=f"{name}/conv")
            if norm:
                ones = parameter(f"{name}/gamma", channels, value=1), parameter(f"{name}/beta", channels, value=0)
                y = g.add("batch_norm", y, *ones, name=f"{name}/norm")[0]
            y = g.add("relu", y, name=f"{name}/relu")
        x = g.add("add", y, x, name=f"block{n}/join")
    loss = g.add("reduce_mean", g.add("square", x, name="square"), name="loss")
    g.set_output("y", x)
    g.set_output("loss", loss)
    if training:
        rate = g.add_parameter("rate", "float", (), initial=np.float32(0.05), trainable=False)
        with g.phase("backward"):
            gradients = add_gradients(g, loss, wanted)
        with g.phase("update"):
            for value, gradient in gradients.items():
                g.add("sgd", value, gradient, rate, name=f"{value.name}-update")
    return g


def run(g: OpGraph, outline: bool, steps: int = 2):
    executable = pp.compile(g, TARGET, options={"outline": outline, "streams": False})
    engine = pp.Engine(executable, check=True)
    engine.load(pp.Device(TARGET))
    values = {v.name: np.random.default_rng(2).normal(size=v.shape).astype(np.float32) for v in g.inputs}
    for name, array in values.items():
        engine.write_tensor(name, array)
    for _ in range(steps):
        engine.run(0)
    return executable, {name: engine.read_tensor(name) for name in executable.graph.host_reads}


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("norm", [False, True])
def test_called_blocks_give_the_same_bits_from_fewer_vertices(training, norm):
    g = residual_network(5, training, norm=norm)
    plain, wanted = run(g, False)
    outlined, found = run(g, True)
    assert outlined.num_vertices < (0.75 if training else 0.5) * plain.num_vertices
    assert any(body["calls"] >= 5 for body in outlined.info["outlined"])
    assert wanted.keys() == found.keys()
    for name, array in wanted.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)


def test_bodies_do_not_overlap_and_are_alike():
    g = residual_network(6, True)
    used: set[int] = set()
    for body in find_bodies(g, 1472):
        assert len(body.starts) >= 2
        for start in body.starts:
            window = range(start, start + body.length)
            assert not used & set(window)
            used |= set(window)
        first, *others = ([op.kind for op in g.ops[s : s + body.length]] for s in body.starts)
        assert all(kinds == first for kinds in others)


@pytest.mark.parametrize("alike", [False, True])
def test_norms_of_values_cut_otherwise_over_tiles_are_not_called_as_one(alike):
    """A norm adds up where its operand lies, which a convolution of another kernel puts elsewhere; relu may be shared."""
    random = np.random.default_rng(1)
    g = OpGraph("norms")
    x = g.add_input("x", "float", (2, 16, 40, 40))
    for n, size in enumerate((1, 1 if alike else 5)):
        w = g.add_parameter(f"{n}/w", "float", (16, 16, size, size), initial=random.normal(size=(16, 16, size, size)))
        x = g.add("conv", x, w, padding_lower=(size // 2,) * 2, padding_upper=(size // 2,) * 2, name=f"{n}/conv")
        x = g.add("relu", x, name=f"{n}/before")
        ones = (g.add_parameter(f"{n}/{v}", "float", (16,), initial=np.ones(16)) for v in ("gamma", "beta"))
        x = g.add("batch_norm", x, *ones, name=f"{n}/norm")[0]
        x = g.add("relu", x, name=f"{n}/after")
    g.set_output("y", x)
    called = {g.ops[s + i].kind for body in find_bodies(g, 24) for s in body.starts for i in range(body.length)}
    assert ("batch_norm" in called) == alike and "relu" in called


def test_what_changes_state_or_draws_numbers_is_left_alone():
    g = residual_network(4, True)
    for body in find_bodies(g, 1472):
        for start in body.starts:
            assert not any(op.updates or op.kind == "dropout" for op in g.ops[start : start + body.length])


@given(st.data())
@settings(max_examples=12, deadline=None)
def test_random_graphs_with_repeats(data):
    """Chains of random parts, parts repeated in random order: same bits with and without outlining."""
    random = np.random.default_rng(data.draw(st.integers(0, 99)))
    g = OpGraph("random")
    x = g.add_input("x", "float", (2, 16, 40, 40))
    kept = [x]
    parts = [
        [
            data.draw(st.sampled_from(["relu", "conv", "conv3", "norm", "add", "mul", "tanh"]))
            for _ in range(data.draw(st.integers(1, 3)))
        ]
        for _ in range(2)
    ]
    for n in range(data.draw(st.integers(2, 7))):
        for k, kind in enumerate(parts[data.draw(st.integers(0, 1))]):
            name = f"part{n}/{k}"
            if kind.startswith("conv"):
                size = 3 if kind == "conv3" else 1
                initial = (random.normal(size=(16, 16, size, size)) * 0.3).astype("f4")
                w = g.add_parameter(f"{name}/w", "float", initial.shape, initial=initial)
                x = g.add("conv", x, w, padding_lower=(size // 2,) * 2, padding_upper=(size // 2,) * 2, name=name)
            elif kind == "norm":  # sums whose order depends on where its operand lies
                vectors = (
                    g.add_parameter(f"{name}/{v}", "float", (16,), initial=random.normal(size=16).astype("f4"))
                    for v in ("gamma", "beta")
                )
                x = g.add("batch_norm", x, *vectors, name=name)[0]
            elif kind in ("add", "mul"):
                x = g.add(kind, x, kept[data.draw(st.integers(0, len(kept) - 1))], name=name)
            else:
                x = g.add(kind, x, name=name)
            kept.append(x)
    g.set_output("y", x)
    g.set_output("middle", kept[len(kept) // 2])
    (_, wanted), (_, found) = run(g, False, 1), run(g, True, 1)
    for name, array in wanted.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)


def test_views_of_what_a_call_made_move_with_it():
    """U-Net joins channels without a copy: half of the joined value lies where a later call of relu writes its result,
    and the weights' gradient still reads it. Against numpy: a wrong gradient is off by a hundredth."""
    sizes = {"size": 32, "width": 4, "width2": 6, "width3": 8, "width4": 10, "width5": 12}
    g = read_model("unet", batch=1, training=True, settings=sizes)
    random = np.random.default_rng(8)
    arrays = {"input": random.random((1, 3, 32, 32), np.float32), "labels": random.integers(0, 2, (1, 32, 32))}
    expected = Evaluation(g)
    expected.run(arrays)
    executable = pp.compile(g, pp.Target.gc200(num_tiles=32), options={"streams": False})
    assert any(body["path"].endswith("relu1") and body["calls"] > 2 for body in executable.info["outlined"])
    engine = pp.Engine(executable)
    engine.load(pp.Device(executable.target))
    for name, array in arrays.items():
        engine.write_tensor(name, array.astype(np.float32 if name == "input" else np.int32))
    engine.run(0)
    for name, array in expected.state.items():
        np.testing.assert_allclose(engine.read_tensor(name), array, rtol=1e-3, atol=2e-4, err_msg=name)
