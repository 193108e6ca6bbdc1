"""poplin.convolution and its gradients: random parameters on targets of several sizes against a direct sum in numpy."""

from dataclasses import replace

import numpy as np
import pytest

import poplar_py as pp
from poplar_py import poplin


def transformed(a, t, axes):
    """An array's last axes truncated, dilated, padded and flipped as PopLibs describes it, one after the other."""
    for d in range(axes):
        axis = a.ndim - axes + d
        a = np.moveaxis(a, axis, -1)
        a = a[..., t.truncation_lower[d] : a.shape[-1] - t.truncation_upper[d]]
        wide = np.zeros((*a.shape[:-1], (a.shape[-1] - 1) * t.dilation[d] + 1), a.dtype)
        wide[..., :: t.dilation[d]] = a
        a = np.pad(wide, [(0, 0)] * (a.ndim - 1) + [(t.padding_lower[d], t.padding_upper[d])])
        a = np.moveaxis(a[..., ::-1] if t.flip[d] else a, -1, axis)
    return a


def direct(x, w, p):
    """The convolution in float64, tap by tap at stride 1, then truncated, strided and padded."""
    axes, y = len(p.kernel_shape), p.output_transform
    x = transformed(x.astype(np.float64), p.input_transform, axes).reshape(
        p.batch_size, p.num_groups, p.input_channels_per_group, -1
    )
    field = transformed(np.zeros((1, *p.input_field_shape)), p.input_transform, axes).shape[1:]
    x = x.reshape(*x.shape[:3], *field)
    w = transformed(w.astype(np.float64), p.kernel_transform, axes)
    size = [f - k + 1 for f, k in zip(field, w.shape[3:], strict=True)]
    out = np.zeros((p.batch_size, p.num_groups, p.output_channels_per_group, *size))
    for tap in np.ndindex(*w.shape[3:]):
        part = x[(..., *(slice(t, t + n) for t, n in zip(tap, size, strict=True)))]
        out += np.einsum("ngc...,goc->ngo...", part, w[(..., *tap)])
    cut = tuple(
        slice(y.truncation_lower[d], n - y.truncation_upper[d])[:]
        if False
        else slice(y.truncation_lower[d], n - y.truncation_upper[d], y.stride[d])
        for d, n in enumerate(size)
    )
    out = out[(..., *cut)]
    out = np.pad(out, [(0, 0)] * 3 + [(y.padding_lower[d], y.padding_upper[d]) for d in range(axes)])
    return out.reshape(p.output_shape)


def random_params(seed, element_type):
    """Parameters that fit each other."""
    r = np.random.default_rng(seed)
    axes = int(r.integers(1, 4))
    most = (30, 12, 7)[axes - 1]

    def some(low, high, odds=0.5):
        return tuple(int(n) for n in np.where(r.random(axes) < odds, r.integers(low, high, axes), low))

    while True:
        try:
            return poplin.ConvParams(
                element_type, int(r.integers(1, 4)), r.integers(1, most, axes).tolist(), r.integers(1, 5, axes).tolist(),
                int(r.choice([1, 2, 3, 8, 16, 20, 32])), int(r.choice([1, 2, 4, 8, 16, 24, 48])),
                int(r.choice([1, 1, 1, 2, 5, 8])),
                poplin.InputTransform(some(0, 3, 0.2), some(0, 3, 0.2), some(1, 4, 0.3), some(0, 4), some(0, 4), some(0, 2, 0.2)),
                poplin.KernelTransform(some(0, 2, 0.2), some(0, 2, 0.1), some(1, 3, 0.3), some(0, 2, 0.2), some(0, 2, 0.2), some(0, 2, 0.2)),
                poplin.OutputTransform(some(0, 2, 0.2), some(0, 2, 0.2), some(1, 4, 0.4), some(0, 2, 0.2), some(0, 3, 0.2)),
            )  # fmt: skip
        except pp.PoplarError:
            continue


def run(p, tiles, made, seed=0, check=True):
    """Output, input gradient by transposed weights and weight gradient, on the simulator; and the operands."""
    target = pp.Target.gc200(num_tiles=tiles, bytes_per_tile=8 << 20) if tiles else pp.Target.gc200()
    graph, program = pp.Graph(target), pp.Sequence()
    x = (
        poplin.create_input(graph, p, "x")
        if made
        else graph.add_variable(p.input_type, p.input_shape, name="x", mapping="linear")
    )
    w = (
        poplin.create_weights(graph, p, "w")
        if made
        else graph.add_variable(p.input_type, p.weights_shape, name="w", mapping="linear")
    )
    dy = graph.add_variable(p.input_type, p.output_shape, name="dy", mapping="linear")
    graph.create_host_write("x", x)
    graph.create_host_write("w", w)
    graph.create_host_write("dy", dy)
    y = poplin.convolution(graph, x, w, p, False, program, "forward")
    graph.create_host_read("y", y)
    graph.create_host_read("dw", poplin.calculate_weight_deltas(graph, dy, x, p, program, "update"))
    if not any(p.input_transform.flip):
        back = poplin.gradient_params(p)
        turned = poplin.create_weights(graph, back, "turned")
        poplin.weights_transpose_chans_flip_xy(graph, w, turned, program)
        graph.create_host_read("dx", poplin.convolution(graph, dy, turned, back, False, program, "backward"))
        graph.create_host_read("dx2", poplin.convolution(graph, dy, w, back, True, program, "backward2"))
    engine = pp.Engine(pp.compile_graph(graph, program), check=check)
    engine.load(pp.Device(target))
    r = np.random.default_rng(seed)
    kind = p.input_type.np
    given = {
        n: r.integers(-3, 4, s).astype(kind)
        for n, s in (("x", p.input_shape), ("w", p.weights_shape), ("dy", p.output_shape))
    }
    for name, array in given.items():
        engine.write_tensor(name, array)
    engine.run(0)
    return given, {name: engine.read_tensor(name) for name in graph.host_reads}


def slope(p, given):
    """Gradients of sum(y * dy) for x and w: y is linear in each, so they follow from values of unit operands."""
    x, w, dy = (given[n].astype(np.float64) for n in ("x", "w", "dy"))
    dw = np.zeros(w.shape)
    for place in np.ndindex(*w.shape):
        unit = np.zeros(w.shape)
        unit[place] = 1
        dw[place] = (direct(x, unit, p) * dy).sum()
    return dw


@pytest.mark.parametrize("tiles", [1, 16, 64])
@pytest.mark.parametrize("element_type", ["float", "half"])
@pytest.mark.parametrize("seed", range(12))
def test_random_convolutions_equal_a_direct_sum(seed, element_type, tiles):
    p = random_params(1000 * tiles + seed, element_type)
    given, found = run(p, tiles, made=bool(seed % 2), seed=seed)
    # operands are small whole numbers: sums are exact in both types while they stay below 2048
    wanted = direct(given["x"], given["w"], p)
    np.testing.assert_array_equal(found["y"].astype(np.float64), wanted.astype(p.input_type.np).astype(np.float64))
    # <y(x, w), dy> = <x, dx> = <w, dw>: the gradients of a bilinear form
    product = (wanted * given["dy"].astype(np.float64)).sum()
    if element_type == "float":
        assert (given["w"].astype(np.float64) * found["dw"].astype(np.float64)).sum() == pytest.approx(
            product, abs=1e-3
        )
        if "dx" in found:
            assert (given["x"].astype(np.float64) * found["dx"].astype(np.float64)).sum() == pytest.approx(
                product, abs=1e-3
            )
    if "dx" in found:
        np.testing.assert_array_equal(found["dx"], found["dx2"])
    if np.prod(p.weights_shape) <= 300:
        np.testing.assert_allclose(
            found["dw"].astype(np.float64), slope(p, given), rtol=2e-3 if element_type == "half" else 1e-6
        )


def test_a_convolution_on_the_full_gc200():
    p = poplin.ConvParams(
        "float", 2, (28, 28), (3, 3), 32, 64, 1, poplin.InputTransform(padding_lower=(1, 1), padding_upper=(1, 1))
    )
    given, found = run(p, 0, made=True, check=False)
    np.testing.assert_array_equal(found["y"], direct(given["x"], given["w"], p))


def test_bad_input_is_named():
    graph, program = pp.Graph(pp.Target.gc200(num_tiles=4)), pp.Sequence()
    p = poplin.ConvParams("float", 1, (8, 8), (3, 3), 4, 4)
    x, w = poplin.create_input(graph, p), poplin.create_weights(graph, p)
    with pytest.raises(pp.PoplarError, match="did you mean|Did you mean"):
        poplin.convolution(graph, x, w, p, False, program, options={"partials_typ": "half"})
    with pytest.raises(pp.PoplarError, match=r"\[1, 4, 8, 8\]"):
        poplin.convolution(graph, x[:, :2], w, p, False, program)
    with pytest.raises(pp.PoplarError, match="no axis 'fieldd0'"):
        poplin.convolution(graph, x, w, p, False, program, options={"plan_constraints": {"fieldd0": 2}})
    with pytest.raises(pp.PoplarError, match="does not fit"):
        poplin.ConvParams("float", 1, (2, 2), (3, 3), 1, 1)
    with pytest.raises(pp.PoplarError, match="truncation"):
        poplin.ConvParams("float", 1, (4, 4), (1, 1), 1, 1, input_transform=poplin.InputTransform((2, 0), (2, 0)))


def test_constraints_and_reports():
    graph = pp.Graph(pp.Target.gc200())
    p = poplin.ConvParams(
        "half", 1, (56, 56), (3, 3), 64, 64, 1, poplin.InputTransform(padding_lower=(1, 1), padding_upper=(1, 1))
    )
    plan = poplin.plan_convolution(graph, p, {"plan_constraints": {"a": 2, "field1": 4}})
    assert plan.parts[5] == 2 and plan.parts[2] == 4
    text = poplin.report_plan(graph, p)
    assert "exchange of operands" in text and "cycles" in text and "bytes" in text
    for kind in ("training_bwd", "training_wu"):
        assert poplin.plan_convolution(graph, p, {"pass": kind}).num_tiles <= 1472


def test_canonical_parameters_mean_the_same():
    for seed in range(40):
        p = random_params(seed, "float")
        q = p.canonicalize()
        assert q.output_field_shape == p.output_field_shape
        assert q == q.canonicalize()
        r = np.random.default_rng(seed)
        x, w = r.normal(size=p.input_shape), r.normal(size=p.weights_shape)
        np.testing.assert_allclose(direct(x, w, p), direct(x, w, q), atol=1e-12)
        assert replace(p) == p


def test_the_weight_update_as_a_convolution():
    done = 0
    for seed in range(60):
        p = random_params(seed, "float")
        if p.num_groups > 1 or any(p.input_transform.flip) or any(p.kernel_transform.flip):
            continue
        q = poplin.weight_update_params(p)
        r = np.random.default_rng(seed)
        x, dy = r.integers(-3, 4, p.input_shape), r.integers(-3, 4, p.output_shape)
        given = {"x": x, "dy": dy, "w": np.zeros(p.weights_shape)}
        if np.prod(p.weights_shape) <= 200:
            found = direct(np.swapaxes(x, 0, 1), np.swapaxes(dy, 0, 1)[None], q)  # (in, out, *kernel)
            np.testing.assert_allclose(np.swapaxes(found, 0, 1)[None], slope(p, given))
            done += 1
    assert done >= 5
