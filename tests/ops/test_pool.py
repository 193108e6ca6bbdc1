"""Pooling beyond the samples: equals, wide targets, channels-innermost operands, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

import poplar_py as pp
from poplar_py.lower.walk import lower
from poplar_py.lower.windows import Taps
from poplar_py.opgraph import OpGraph
from poplar_py.opgraph.evaluate import Evaluation

IMAGENET = {"kernel": (3, 3), "stride": (2, 2), "padding_lower": (1, 1), "padding_upper": (1, 1)}


def on_device(g, inputs, target):
    lowered = lower(g, target, {"streams": False})
    engine = pp.Engine(pp.compile_graph(lowered.graph, list(lowered.programs.values())))
    engine.load(pp.Device(target))
    for name, array in inputs.items():
        engine.write_tensor(name, array)
    engine.run(0)
    return {name: engine.read_tensor(name) for name in g.outputs}


def test_the_gradient_of_the_largest_goes_to_the_first_of_equals():
    g = OpGraph("equals")
    x = g.add_input("x", pp.FLOAT, (1, 1, 4, 4))
    y = g.add("max_pool", x, kernel=(2, 2))
    g.set_output("dx", g.add("max_pool_grad", x, y, g.add_input("dy", pp.FLOAT, y.shape), kernel=(2, 2)))
    inputs = {"x": np.ones((1, 1, 4, 4), "f4"), "dy": np.arange(1, 5, dtype="f4").reshape(1, 1, 2, 2)}
    wanted = np.zeros((1, 1, 4, 4), "f4")
    wanted[0, 0, ::2, ::2] = inputs["dy"][0, 0]
    np.testing.assert_array_equal(on_device(g, inputs, pp.Target.tiny(4))["dx"], wanted)
    np.testing.assert_array_equal(Evaluation(g).run(inputs)["dx"], wanted)


@pytest.mark.parametrize("shape", [(1, 16, 28, 28), (2, 6, 9, 5)])
@pytest.mark.parametrize("kind", ["max", "avg"])
def test_channels_innermost_on_a_full_target(kind, shape):
    random = np.random.default_rng(1)
    x = random.permutation(int(np.prod(shape))).astype("f4").reshape(shape)
    g = OpGraph("innermost")
    stored = g.add_input("x", pp.FLOAT, (shape[0], *shape[2:], shape[1]))
    view = g.add("transpose", stored, permutation=(0, 3, 1, 2))
    y = g.add(f"{kind}_pool", view, **IMAGENET)
    dy = g.add_input("dy", pp.FLOAT, y.shape)
    g.set_output("y", y)
    g.set_output("dx", y.op.gradient(g, dy))
    inputs = {"x": x.transpose(0, 2, 3, 1), "dy": random.standard_normal(y.shape).astype("f4")}
    found, wanted = on_device(g, inputs, pp.Target.gc200()), Evaluation(g).run(inputs)
    for name, array in wanted.items():
        np.testing.assert_allclose(found[name], array, rtol=1e-5, atol=1e-5)


def test_pooling_a_stored_field_moves_rows_not_elements():
    g = OpGraph("rows")
    view = g.add("transpose", g.add_input("x", pp.FLOAT, (2, 112, 112, 64)), permutation=(0, 3, 1, 2))
    g.set_output("y", g.add("max_pool", view, **IMAGENET))
    graph = lower(g, pp.Target.gc200(), {"streams": False}).graph
    (block,) = graph.compute_sets[0].blocks
    assert not any(edges.is_scattered for edges in block.fields.values())
    assert block.n >= pp.Target.gc200().num_tiles


@pytest.mark.parametrize(
    "settings, words",
    [
        ({"kernel": (9, 9)}, "does not fit axis 0"),
        ({"kernel": (2, 2), "padding_upper": (3, 0)}, "see only padding"),
        ({"kernel": (2,)}, "2 numbers of at least 1"),
        ({"kernel": (2, 0)}, "at least 1"),
        ({"kernel": (2, 2), "padding_lower": (-1, 0)}, "at least 0"),
    ],
)
def test_windows_that_do_not_fit_are_refused(settings, words):
    g = OpGraph("refused")
    with pytest.raises(pp.ShapeError, match=words):
        g.add("max_pool", g.add_input("x", pp.FLOAT, (1, 2, 6, 6)), **settings)


@pytest.mark.parametrize("stride, dilation, padding", [(1, 1, 0), (2, 1, 1), (3, 2, 2), (2, 3, 0), (4, 6, 5)])
def test_windows_and_the_places_they_see_are_two_sides_of_one_relation(stride, dilation, padding):
    taps = Taps(17, (17 + padding - 2 * dilation - 1) // stride + 1, 3, stride, dilation, padding)
    seen = {(w, k): w * stride + k * dilation - padding for w in range(taps.windows) for k in range(3)}
    first, count, step, tap, tap_step = taps.rows_seeing(np.arange(17))
    for place in range(17):
        listed = [(first[place] + j * step, tap[place] + j * tap_step) for j in range(count[place])]
        assert listed == sorted(key for key, p in seen.items() if p == place)


@pytest.mark.parametrize("kind", ["max", "avg", "sum"])
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_any_window_pools_as_in_torch(kind, axes):
    """Random windows, strides, padding and, for the largest, dilation; the value and its gradient."""
    torch = pytest.importorskip("torch")
    from poplar_py import popnn

    r = np.random.default_rng(axes)
    name = f"{'max' if kind == 'max' else 'avg'}_pool{axes}d"
    for _ in range(6):
        kernel, stride = ([int(n) for n in r.integers(1, high, axes)] for high in (5, 4))
        padding = [int(r.integers(0, k // 2 + 1)) for k in kernel]
        dilation = [int(n) for n in r.integers(1, 3, axes)] if kind == "max" else [1] * axes
        field = [int(r.integers((k - 1) * d + 2, (30, 14, 9)[axes - 1])) for k, d in zip(kernel, dilation, strict=True)]
        shape = (int(r.integers(1, 3)), int(r.choice([1, 3, 16, 20, 33])), *field)
        graph, program = pp.Graph(pp.Target.gc200(num_tiles=16, bytes_per_tile=8 << 20)), pp.Sequence()
        settings = {"stride": stride, "padding_lower": padding, "padding_upper": padding, "dilation": dilation}
        x = graph.add_variable(pp.FLOAT, shape, name="x", mapping="linear")
        y = popnn.pool(graph, x, kind, kernel, program, **settings)
        dy = graph.add_variable(pp.FLOAT, y.shape, name="dy", mapping="linear")
        dx = popnn.pool_input_gradient(graph, x, y, dy, kind, kernel, program, **settings)
        for handle, t in (("x", x), ("dy", dy)):
            graph.create_host_write(handle, t)
        for handle, t in (("y", y), ("dx", dx)):
            graph.create_host_read(handle, t)
        engine = pp.Engine(pp.compile_graph(graph, program))
        engine.load(pp.Device(graph.target))
        a, b = r.normal(size=shape).astype("f4"), r.normal(size=y.shape).astype("f4")
        engine.write_tensor("x", a)
        engine.write_tensor("dy", b)
        engine.run(0)
        given = torch.tensor(a, requires_grad=True)
        more = {"dilation": dilation} if kind == "max" else {"count_include_pad": True}
        wanted = getattr(torch.nn.functional, name)(given, kernel, stride, padding, **more)
        wanted = wanted * float(np.prod(kernel)) if kind == "sum" else wanted
        wanted.backward(torch.tensor(b))
        np.testing.assert_allclose(engine.read_tensor("y"), wanted.detach().numpy(), atol=1e-5)
        np.testing.assert_allclose(engine.read_tensor("dx"), given.grad.numpy(), atol=1e-5)
