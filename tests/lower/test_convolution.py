"""poplin.convolution and its gradients against a direct evaluation in numpy (direct_conv.py)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import poplar_py as pp
from poplar_py import poplin

from .direct_conv import Direct, close, random_params, run_all

IT, KT, OT = poplin.InputTransform, poplin.KernelTransform, poplin.OutputTransform
SAME = IT(padding_lower=(1, 1), padding_upper=(1, 1))


def small(tiles: int) -> pp.Target:
    return pp.Target.gc200(num_tiles=tiles, bytes_per_tile=8 << 20)


# as another suite would state them: what it is, and the parameters
TABLE = {
    "1-D": (2, (30,), (5,), 4, 6, 1, IT(padding_lower=(2,), padding_upper=(2,)), KT(), OT(stride=(3,))),
    "1-D dilated both ways": (1, (9,), (3,), 8, 16, 1, IT(dilation=(3,)), KT(dilation=(4,)), OT()),
    "2-D same": (1, (12, 12), (3, 3), 16, 16, 1, SAME, KT(), OT()),
    "2-D odd strides": (2, (13, 11), (5, 3), 3, 8, 1, IT(padding_lower=(2, 1), padding_upper=(2, 1)), KT(), OT(stride=(3, 2))),
    "stride past the kernel": (1, (15, 15), (2, 2), 4, 4, 1, IT(), KT(), OT(stride=(4, 5))),
    "3-D": (1, (5, 6, 7), (3, 2, 3), 4, 8, 1, IT(padding_lower=(1, 0, 1), padding_upper=(1, 1, 1)), KT(), OT(stride=(2, 1, 2))),
    "3-D groups": (2, (4, 4, 4), (2, 2, 2), 3, 2, 3, IT(), KT(flip=(True, False, True)), OT()),
    "groups": (1, (8, 8), (3, 3), 8, 16, 4, SAME, KT(), OT()),
    "groups of odd channels": (1, (7, 7), (3, 3), 5, 3, 3, SAME, KT(), OT()),
    "depthwise": (2, (9, 9), (3, 3), 1, 1, 32, SAME, KT(), OT(stride=(2, 2))),
    "depthwise, two results a channel": (1, (6, 6), (3, 3), 1, 2, 17, SAME, KT(), OT()),
    "negative padding by truncation": (1, (10, 10), (3, 3), 4, 8, 1, IT((2, 0), (0, 3)), KT(), OT()),
    "truncated and padded": (1, (8, 8), (3, 3), 4, 8, 1, IT((1, 2), (0, 1), (1, 1), (3, 0), (0, 2)), KT(), OT()),
    "truncated weights": (1, (8, 8), (4, 5), 4, 8, 1, IT(), KT((1, 0), (0, 2)), OT()),
    "padded weights": (1, (9, 9), (2, 2), 4, 8, 1, IT(), KT(padding_lower=(1, 0), padding_upper=(2, 1)), OT()),
    "flipped input": (1, (7, 6), (3, 2), 4, 8, 1, IT(flip=(True, True)), KT(), OT(stride=(2, 1))),
    "flipped input, dilated": (1, (9, 11), (4, 1), 16, 48, 1, IT((), (), (2, 3), (1, 0), (2, 1), (False, True)), KT(), OT(stride=(3, 1))),
    "flipped weights": (1, (7, 6), (3, 2), 16, 16, 1, IT(), KT(flip=(True, True), dilation=(1, 2)), OT()),
    "flipped and padded unevenly": (1, (6, 6), (3, 3), 2, 2, 1, IT(padding_lower=(3, 0), padding_upper=(0, 1), flip=(True, False)), KT(), OT()),
    "output transform": (1, (9, 9), (3, 3), 4, 4, 1, IT(), KT(), OT((1, 0), (2, 1), (2, 3), (1, 2), (0, 3))),
    "kernel larger than the field": (2, (2, 3), (7, 5), 8, 8, 1, IT(padding_lower=(4, 3), padding_upper=(4, 3)), KT(), OT()),
    "transposed convolution": (1, (4, 5), (4, 4), 8, 4, 1, IT((), (), (2, 2), (2, 2), (2, 2)), KT(), OT()),
    "one channel": (4, (8, 8), (3, 3), 1, 1, 1, IT(), KT(), OT()),
    "many channels, one place": (3, (1, 1), (1, 1), 100, 70, 1, IT(), KT(), OT()),
    "no batch": (0, (5, 5), (3, 3), 4, 4, 1, IT(), KT(), OT()),
    "no channels in": (2, (5, 5), (3, 3), 0, 4, 1, IT(), KT(), OT()),
    "no channels out": (2, (5, 5), (3, 3), 4, 0, 1, IT(), KT(), OT()),
    "nothing left of the input": (2, (4,), (4,), 4, 4, 1, IT((4,), (0,), (1,), (5,)), KT(), OT()),
    "nothing of the field but padding": (2, (0, 5), (3, 3), 4, 4, 1, IT(padding_lower=(3, 0)), KT(), OT()),
    "nothing of the weights but padding": (2, (5, 5), (0, 3), 4, 4, 1, IT(), KT(padding_lower=(1, 0)), OT()),
    "nothing left of the output": (2, (4, 4), (3, 3), 4, 4, 1, IT(), KT(), OT(truncation_upper=(2, 2))),
    "nothing of the output but padding": (2, (4, 4), (3, 3), 4, 4, 1, IT(), KT(), OT((0, 0), (2, 2), (1, 1), (2, 3))),
}  # fmt: skip


@pytest.mark.parametrize("element_type", ["float", "half"])
@pytest.mark.parametrize("name", TABLE)
def test_stated_convolutions(name, element_type):
    for tiles in (1, 16, 64):
        run_all(poplin.ConvParams(element_type, *TABLE[name]), small(tiles), made=tiles != 16, check=tiles == 16)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(st.integers(10_000, 1 << 30), st.sampled_from([1, 16, 64]), st.booleans(), st.booleans())
def test_any_convolution(seed, tiles, made, half):
    run_all(random_params(seed, "half" if half else "float"), small(tiles), made=made, seed=seed, check=seed % 2 == 0)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(8))
def test_a_thousand_convolutions(part):
    for seed in range(125 * part, 125 * (part + 1)):
        tiles = (1, 16, 64)[seed % 3]
        options = {"available_memory_proportion": 0.05} if seed % 5 == 0 else {}
        if seed % 7 == 0:
            options["partials_type"] = "half"
        p = random_params(seed, "half" if seed % 4 == 0 else "float")
        run_all(p, small(tiles), made=seed % 2 == 0, seed=seed, check=seed % 3 == 0, options=options)


@pytest.mark.parametrize("element_type", ["float", "half"])
def test_convolutions_on_the_full_gc200(element_type):
    for shape in (
        (2, (28, 28), (3, 3), 32, 64, 1, SAME),
        (1, (14, 14), (3, 3), 1, 1, 96, SAME),
        (1, (300,), (9,), 20, 36, 2),
    ):
        run_all(poplin.ConvParams(element_type, *shape), pp.Target.gc200())


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(40))
def test_random_convolutions_on_the_full_gc200(seed):
    run_all(
        random_params(77_000 + seed, "half" if seed % 2 else "float"), pp.Target.gc200(), made=seed % 3 > 0, seed=seed
    )


@pytest.mark.parametrize("proportion", [0.05, 0.1, 0.3, 1.0])
@pytest.mark.parametrize("partials", ["half", "float"])
def test_memory_and_partials(proportion, partials):
    p = poplin.ConvParams("half", 1, (12, 12), (3, 3), 64, 96, 1, SAME)
    target = pp.Target.gc200(num_tiles=16)
    options = {"available_memory_proportion": proportion, "partials_type": partials}
    run_all(p, target, options=options, check=True)
    plan = poplin.plan_convolution(pp.Graph(target), p, options)
    assert plan.problem.partials == pp.dtypes.dtype(partials)
    assert plan.temp_bytes <= proportion * target.bytes_per_tile


def test_several_passes():
    p = poplin.ConvParams("half", 2, (12, 12), (3, 3), 64, 160, 1)
    target, options = pp.Target.gc200(num_tiles=4), {"available_memory_proportion": 0.05}
    assert poplin.plan_convolution(pp.Graph(target), p, options).passes > 1
    run_all(p, target, options=options, gradients=False)
    # where no plan fits the proportion, the one of least memory is taken
    assert poplin.plan_convolution(pp.Graph(target), p, {"available_memory_proportion": 0.001}).temp_bytes < 30_000


@pytest.mark.parametrize("kinds", [("half", "float"), pytest.param(("float", "half"), marks=pytest.mark.slow)])
def test_types_of_operand_and_result(kinds):
    run_all(poplin.ConvParams(*kinds, 2, (8, 8), (3, 3), 16, 32, 1), small(16))


def test_constructors():
    sizes = (2, (8, 9), (3, 3), 16, 32, 4)
    p = poplin.ConvParams("half", *sizes)
    assert p == poplin.ConvParams("half", "half", *sizes) == poplin.ConvParams(pp.HALF, *sizes, IT(2), KT(2), OT(2))
    assert p == poplin.ConvParams(
        data_type=np.float16, batch_size=2, input_field_shape=[8, 9], kernel_shape=[3, 3],
        input_channels_per_conv_group=16, output_channels_per_conv_group=32, num_conv_groups=4,
        input_transform=poplin.ConvParams.InputTransform([0, 0], [0, 0], [1, 1], [0, 0], [0, 0], [False, False]),
    )  # fmt: skip
    assert (p.input_type, p.output_type) == (pp.HALF, pp.HALF)
    assert poplin.ConvParams("half", "float", *sizes).output_type == pp.FLOAT
    assert (p.input_shape, p.weights_shape) == ((2, 64, 8, 9), (4, 32, 16, 3, 3))
    assert (p.output_shape, p.output_field_shape, p.num_field_dims) == ((2, 128, 6, 7), (6, 7), 2)
    assert (p.num_input_chans, p.num_output_chans) == (64, 128)
    assert replace(p, batch_size=3).batch_size == 3
    assert len({p, replace(p)}) == 1


@pytest.mark.parametrize(
    ("arguments", "named", "says"),
    [
        (("float", 1, (8, 8), (3, 3), 4), {}, "output_channels_per_conv_group is not given"),
        (("float", 1, (8, 8), (3, 3), 4, 4), {"num_conv_group": 2}, "Did you mean 'num_conv_groups'"),
        (("float", 1, (8, 8), (3, 3), 4, 4, 1), {"num_groups": 2}, "num_conv_groups is given twice"),
        (("float", 1, (8, 8), (3,), 4, 4), {}, r"the field is \[8, 8\], the weights \[3\]"),
        (("float", 1, (8, 8, 8, 8), (1, 1, 1, 1), 4, 4), {}, "1 to 3 field axes"),
        (("float", 1, (2, 2), (3, 3), 4, 4), {}, "a window of 3 does not fit axis 0"),
        (("float", -1, (2, 2), (1, 1), 4, 4), {}, "batch_size is -1"),
        (("float", 1, (2, 2), (1, 1), 4, 4, 0), {}, "num_conv_groups is 0"),
        (("float", 1, (2, 2), (1.5, 1), 4, 4), {}, "kernel_shape"),
        (("int", 1, (2, 2), (1, 1), 4, 4), {}, "HALF or FLOAT, not INT"),
        (("float", 1, (4, 4), (1, 1), 4, 4, 1, IT((3, 0), (2, 0))), {}, r"truncation 3\+2 is more than axis 0 has, 4"),
        (("float", 1, (4, 4), (1, 1), 4, 4, 1, IT(padding_lower=(-1, 0))), {}, "what is cut off is truncation"),
        (("float", 1, (4, 4), (1, 1), 4, 4, 1, IT(padding_lower=(1,))), {}, "2 numbers"),
        (("float", 1, (4, 4), (1, 1), 4, 4, 1, IT(3)), {}, "is for 3 field axes"),
        (("float", 1, (4, 4), (1, 1), 4, 4, 1, OT()), {}, "takes poplin.InputTransform"),
        (("float", 1, (4, 4), (1, 1), 4, 4, 1, IT(), KT((1, 0))), {}, "nothing is left of axis 0 of the weights"),
        (("float", 1, (4, 4), (1, 1), 4, 4, 1, IT(), KT(), OT(stride=(0, 1))), {}, "at least 1"),
        (
            ("float", 1, (4, 4), (1, 1), 4, 4, 1, IT(), KT(), OT((5, 0))),
            {},
            r"truncation 5\+0 is more than axis 0 has, 4",
        ),
    ],
)
def test_parameters_that_do_not_fit_are_named(arguments, named, says):
    with pytest.raises(pp.PoplarError, match=says) as problem:
        poplin.ConvParams(*arguments, **named)
    assert "\n" not in str(problem.value)


def test_bad_operands_and_options_are_named():
    graph, program = pp.Graph(pp.Target.gc200(num_tiles=4)), pp.Sequence()
    p = poplin.ConvParams("float", 1, (8, 8), (3, 3), 4, 4)
    x, w = poplin.create_input(graph, p), poplin.create_weights(graph, p)
    half = graph.add_variable(pp.HALF, p.input_shape, name="half")

    def fails(says: str, **more: object) -> None:
        with pytest.raises(pp.PoplarError, match=says) as problem:
            poplin.convolution(graph, more.pop("x", x), w, p, False, program, options=more)
        assert "\n" not in str(problem.value)

    fails("Did you mean 'partials_type'", partials_typ="half")
    fails("it is 'half' or 'float'", partials_type="int")
    fails(r"it lies in \(0, 1\]", available_memory_proportion=0.0)
    fails("Did you mean 'training_bwd'", **{"pass": "training_bw"})
    fails(r"\[1, 4, 8, 8\]", x=x[:, :2])
    fails("is HALF; the parameters say FLOAT", x=half)
    fails("Did you mean 'field0'", plan_constraints={"fieldd0": 2})
    fails("no axis 'field2'", plan_constraints={"field2": 2})
    fails("takes a number of pieces", plan_constraints={"y": 0})
    fails("Did you mean 'batch_split'", plan_constraints={"0": {"partition": {"batchSplits": 2}}})
    fails("no method 'AMX'.*Did you mean 'AMP'", plan_constraints={"method": "AMX"})
    fails("no field axis '2'", plan_constraints={"0": {"partition": {"fieldSplit": {"2": 2}}}})
    fails("cannot be cut into 5", plan_constraints={"y": 5})
    fails("outermost axis", plan_constraints={"0": {"partition": {"kernelSplit": {"1": 3}}}})
    fails("kernel of this product is 3 long", plan_constraints={"kernel": 4})
    with pytest.raises(pp.InvalidOption, match="one block of channels in; here that takes 'a': 4"):
        deep = poplin.ConvParams("float", 1, (8, 8), (3, 3), 64, 32, 1, SAME)
        poplin.plan_convolution(pp.Graph(pp.Target.gc200()), deep, {"plan_constraints": {"kernel": 3, "a": 2}})
    fails("does not do this product", plan_constraints={"method": "SLIC"})
    fails("over 4 tiles", plan_constraints={"field0": 6})


def test_constraints():
    graph = pp.Graph(pp.Target.gc200())
    p = poplin.ConvParams("half", 1, (56, 56), (3, 3), 64, 64, 1, SAME)
    ours = {"a": 2, "field0": 4, "method": "AMP"}
    theirs = {
        "method": {"type": "AMP"},
        "0": {"partition": {"fieldSplit": {"0": 4}, "inChanSplit": {"parallel": "2", "serial": 1}}, "transform": {}},
    }
    for constraints in (ours, theirs):
        plan = poplin.plan_convolution(graph, p, {"plan_constraints": constraints})
        assert (plan.parts[2], plan.parts[5]) == (4, 2)
        assert "field0 4" in plan.report() and plan.report().split("piece")[1].count("field0") == 1
    plan = poplin.plan_convolution(
        graph, p, {"plan_constraints": {"0": {"partition": {"outChanSplit": {"serial": 2}}}}}
    )
    assert plan.passes == 2
    assert "Horizontal" in poplin.plan_convolution(graph, p, {"plan_constraints": {"method": "HMAC"}}).report()
    deep = poplin.ConvParams("half", 1, (28, 28), (3, 3), 1, 1, 64, SAME)
    for method, codelet in (("SLIC", "ConvPartialSlicTogether"), ("VMAC", "ConvPartialTogether")):
        assert codelet in poplin.plan_convolution(graph, deep, {"plan_constraints": {"method": method}}).report()


def test_constrained_plans_compute_the_same():
    p = poplin.ConvParams("float", 2, (8, 8), (3, 3), 32, 64, 1, SAME)
    for constraints in (
        {"a": 2, "y": 2},
        {"batch": 2, "field0": 4},
        {"field1": 8},
        {"y": 1, "passes": 2},
        {"method": "HMAC"},
    ):
        run_all(p, small(16), options={"plan_constraints": constraints}, gradients=False)


CUT = ("1-D", "1-D dilated both ways", "2-D same", "2-D odd strides", "stride past the kernel", "3-D", "3-D groups", "groups",
    "groups of odd channels", "depthwise", "truncated weights", "padded weights", "flipped input, dilated",
    "flipped weights", "output transform", "kernel larger than the field", "transposed convolution")  # fmt: skip


@pytest.mark.parametrize("element_type", ["float", "half"])
@pytest.mark.parametrize("name", CUT)
def test_kernels_cut_over_tiles_compute_the_same(name, element_type):
    p = poplin.ConvParams(element_type, *TABLE[name])
    taps = next(n for n in p.kernel_shape if n > 1)
    for pieces in {2, taps}:
        graph = pp.Graph(small(64))
        options = {"plan_constraints": {"kernel": pieces}}
        assert poplin.plan_convolution(graph, p, options).parts[7] == pieces
        run_all(p, small(64), options=options, made=pieces == 2)


def test_kernels_cut_in_rows_and_by_memory():
    p = poplin.ConvParams("half", 1, (12, 12), (3, 3), 64, 96, 1, SAME)
    options = {"plan_constraints": {"kernel": 3}, "available_memory_proportion": 0.02}
    run_all(p, small(64), options=options, gradients=False)


def test_the_planner_cuts_kernels_where_it_pays():
    target = pp.Target.gc200()
    p = poplin.ConvParams("float", 1, (7, 7), (3, 3), 128, 32, 1, SAME)
    plan = poplin.plan_convolution(pp.Graph(target), p)
    whole = poplin.plan_convolution(pp.Graph(target), p, {"plan_constraints": {"kernel": 1}})
    assert plan.parts[7] == 3 and whole.parts[7] == 1
    assert "kernel 3" in plan.report()
    assert sum(plan.cycles.values()) < 0.6 * sum(whole.cycles.values())
    theirs = {"0": {"partition": {"kernelSplit": {"0": 3, "1": 1}}}}
    assert poplin.plan_convolution(pp.Graph(target), p, {"plan_constraints": theirs}).parts == plan.parts


def test_plans_are_kept():
    graph = pp.Graph(pp.Target.gc200())
    p = poplin.ConvParams("half", 1, (14, 14), (3, 3), 64, 64, 1, SAME)
    assert poplin.plan_convolution(graph, p) is poplin.plan_convolution(graph, p)
    cache = poplin.PlanningCache()
    plan = poplin.plan_convolution(graph, p, cache=cache)
    assert plan is poplin.plan_convolution(graph, p, cache=cache) and cache.size == 1
    poplin.plan_convolution(graph, p, {"pass": "training_wu"}, cache)
    assert len(cache) == 2


def test_canonical_parameters_mean_the_same():
    for seed in range(80):
        p = random_params(seed)
        q = p.canonicalize()
        assert q.output_field_shape == p.output_field_shape
        assert q == q.canonicalize()
        r = np.random.default_rng(seed)
        x, w = r.normal(size=p.input_shape), r.normal(size=p.weights_shape)
        np.testing.assert_allclose(Direct(p).forward(x, w), Direct(q).forward(x, w), atol=1e-12)


def test_gradients_as_convolutions():
    """What the parameters of both gradients say, in numpy: no part of poplar_py but the parameters."""
    for seed in range(120):
        p = random_params(seed)
        direct, r = Direct(p), np.random.default_rng(seed)
        x, w, dy = (r.normal(size=s) for s in (p.input_shape, p.weights_shape, p.output_shape))
        back = poplin.get_gradient_params(p)
        turned = np.flip(np.swapaxes(w, 1, 2), tuple(range(3, w.ndim)))
        np.testing.assert_allclose(Direct(back).forward(dy, turned), direct.input_gradient(dy, w), atol=1e-9)
        update = poplin.get_weight_update_params(p)
        g, o, i = p.weights_shape[:3]
        acts = x.reshape(p.batch_size, g, i, *x.shape[2:])
        acts = np.moveaxis(acts, 2, 0).swapaxes(1, 2).reshape(i, g * p.batch_size, *x.shape[2:])
        deltas = np.moveaxis(dy.reshape(p.batch_size, g, o, *dy.shape[2:]), 0, 2)
        found = Direct(update).forward(acts, deltas).reshape(i, g, o, *p.kernel_shape)
        np.testing.assert_allclose(np.moveaxis(found, 0, 2), direct.weights_gradient(x, dy), atol=1e-9)


def test_the_rest_of_a_layer():
    """Biases, updates in place, results in given tensors."""
    p = poplin.ConvParams("float", 2, (6, 7), (3, 3), 4, 8, 1, SAME)
    graph, program = pp.Graph(small(8)), pp.Sequence()
    x, w = poplin.create_input(graph, p, "x"), poplin.create_weights(graph, p, "w")
    out = poplin.create_conv_output(graph, p, "out")
    bias = poplin.create_biases(graph, out, "bias")
    poplin.convolution_with_output(graph, x, w, out, p, False, program)
    poplin.add_bias(graph, out, bias, program)
    poplin.convolution_weight_update(graph, out, w, x, p, -0.5, program)
    poplin.convolution_bias_update(graph, out, bias, -0.25, program)
    r = np.random.default_rng(0)
    arrays = {n: r.normal(size=t.shape).astype("f4") for n, t in (("x", x), ("w", w), ("bias", bias))}
    for name, t in (("x", x), ("w", w), ("bias", bias)):
        graph.create_host_write(name, t)
        graph.create_host_read(name, t)
    graph.create_host_read("out", out)
    engine = pp.Engine(pp.compile_graph(graph, program))
    engine.load(pp.Device(graph.target))
    for name, array in arrays.items():
        engine.write_tensor(name, array)
    engine.run(0)
    direct = Direct(p)
    y = direct.forward(arrays["x"], arrays["w"]) + arrays["bias"][:, None, None]
    np.testing.assert_allclose(engine.read_tensor("out"), y, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(
        engine.read_tensor("w"), arrays["w"] - 0.5 * direct.weights_gradient(arrays["x"], y), rtol=1e-4, atol=1e-4
    )
    np.testing.assert_allclose(
        engine.read_tensor("bias"), arrays["bias"] - 0.25 * y.sum((0, 2, 3)), rtol=1e-4, atol=1e-4
    )
    with pytest.raises(pp.ShapeError, match="a bias for each"):
        poplin.add_bias(graph, x, bias, program)


def test_counts_of_work():
    p = poplin.ConvParams("half", 1, (4, 4), (3, 3), 16, 32, 1, SAME)
    # a 3x3 window centred on each place of 4x4: 2 + 3 + 3 + 2 = 10 taps inside along each axis
    assert poplin.fwd_flops(p) == poplin.bwd_flops(p) == poplin.wu_flops(p) == 2 * 10 * 10 * 16 * 32
    assert poplin.perfect_cycle_count(pp.Graph(pp.Target.gc200()), p) == pytest.approx(10 * 10 * 16 * 32 / (64 * 1472))


@pytest.mark.parametrize("element_type", ["float", "half"])
@pytest.mark.parametrize("shape", [(3, 5, 7, 4), (8, 16, 64, 16), (1, 20, 30, 10), (2, 1, 1, 1), (12, 33, 2, 5)])
def test_grouped_products(shape, element_type):
    g, m, k, n = shape
    r, kind = np.random.default_rng(0), pp.dtypes.dtype(element_type)
    a, b = r.normal(size=(g, m, k)).astype(kind.np), r.normal(size=(g, k, n)).astype(kind.np)
    graph, program = pp.Graph(small(16)), pp.Sequence()
    left = poplin.create_mat_mul_grouped_input_lhs(graph, kind, a.shape, b.shape, "a")
    right = poplin.create_mat_mul_grouped_input_rhs(graph, kind, a.shape, b.shape, "b")
    linear = graph.add_variable(kind, (g, n, k), name="linear", mapping="linear")
    c = graph.add_variable(kind, (g, m, n), name="c", mapping="linear")
    out = poplin.mat_mul_grouped(graph, left, right, program)
    wide = poplin.mat_mul_grouped(graph, left, right, program, pp.FLOAT, "wide")
    other = poplin.mat_mul_grouped(graph, left, poplin.transpose_grouped_matrix(linear), program, "other")
    assert poplin.mat_mul_grouped_acc(graph, c, 2.0, left, right, program) is c
    assert wide.dtype == pp.FLOAT and out.shape == (g, m, n)
    given = {
        "a": (left, a),
        "b": (right, b),
        "linear": (linear, b.swapaxes(1, 2)),
        "c": (c, np.ones((g, m, n), kind.np)),
    }
    for name, (t, _) in given.items():
        graph.create_host_write(name, t)
    for name, t in (("out", out), ("wide", wide), ("other", other), ("c", c)):
        graph.create_host_read(name, t)
    engine = pp.Engine(pp.compile_graph(graph, program))
    engine.load(pp.Device(graph.target))
    for name, (_, array) in given.items():
        engine.write_tensor(name, array)
    engine.run(0)
    wanted, size = a.astype("f8") @ b.astype("f8"), abs(a).astype("f8") @ abs(b).astype("f8")
    close(engine.read_tensor("out"), wanted, size, kind)
    close(engine.read_tensor("wide"), wanted, size, pp.FLOAT)
    close(engine.read_tensor("other"), wanted, size, kind)
    np.testing.assert_allclose(
        engine.read_tensor("c").astype("f8"), 1 + 2 * wanted, rtol=4e-3, atol=2e-2 if kind == pp.HALF else 1e-5
    )
    assert "convolution" in poplin.report_plan(graph, a.shape, b.shape, kind)


def test_grouped_products_that_do_not_fit_are_named():
    graph = pp.Graph(small(4))
    a, b = graph.add_variable(pp.FLOAT, (2, 3, 4), name="a"), graph.add_variable(pp.FLOAT, (2, 5, 6), name="b")
    with pytest.raises(pp.ShapeError, match=r"\[2, 3, 4\] and \[2, 5, 6\]"):
        poplin.mat_mul_grouped(graph, a, b, pp.Sequence())
