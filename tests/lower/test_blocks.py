"""Networks of convolutions, pooling, norms and merges: values stored in blocks of channels, forward and backward."""

import numpy as np
import pytest

import poplar_py as pp
from poplar_py.opgraph.evaluate import Evaluation
from poplar_py.opgraph.gradients import add_gradients
from poplar_py.opgraph.graph import OpGraph


def network(channels: int, batch: int, norm: str, field: tuple[int, ...] = (10, 9)) -> OpGraph:
    """Two convolutions with all that stands around them, and the gradients of every parameter and the input."""
    random = np.random.default_rng(7)
    g = OpGraph("blocks")
    ones, twos = (1,) * len(field), (2,) * len(field)

    def parameter(name, *shape, scale=0.3):
        return g.add_parameter(name, "float", shape, initial=(random.normal(size=shape) * scale).astype(np.float32))

    x = g.add_input("x", "float", (batch, 3, *field))
    kernel = (3,) * len(field)
    y = g.add("conv", x, parameter("w1", channels, 3, *kernel), padding_lower=ones, padding_upper=ones, name="conv1")
    y = g.add("add", y, parameter("b1", channels, *ones), name="bias1")
    y = g.add("relu", y, name="relu1")
    y = g.add("max_pool", y, kernel=twos, stride=twos, name="pool1")
    a = g.add(
        "conv", y, parameter("w2", channels, channels, *kernel), padding_lower=ones, padding_upper=ones, name="conv2"
    )
    if norm == "group":
        a = g.add("group_norm", a, parameter("gamma", channels), parameter("beta", channels), groups=2, name="norm")[0]
    elif norm == "batch":
        a = g.add("batch_norm", a, parameter("gamma", channels), parameter("beta", channels), name="norm")[0]
    y = g.add("add", a, y, name="join")
    z = g.add("concat", (y, g.add("mul", y, y, name="squares")), axis=1, name="both")
    z = g.add("avg_pool", z, kernel=z.shape[2:], name="average")
    z = g.add("reshape", z, shape=(batch, 2 * channels), name="flat")
    flat = g.add("reshape", y, shape=(batch, int(np.prod(y.shape[1:]))), name="flat2")
    z = g.add("matmul", z, parameter("wf", 2 * channels, 5), name="dense")
    z = g.add("add", z, g.add("matmul", flat, parameter("wg", flat.shape[1], 5, scale=0.1), name="dense2"), name="sum")
    loss = g.add("reduce_mean", g.add("mul", z, z, name="square"), name="loss")
    g.set_output("z", z)
    g.set_output("loss", loss)
    with g.phase("backward"):
        wanted = [p.value for p in g.parameters] + [x]
        for value, gradient in add_gradients(g, loss, wanted).items():
            g.set_output(f"d_{value.name}", gradient)
    return g


@pytest.mark.parametrize(
    ("channels", "batch", "norm", "tiles"),
    [
        (32, 2, "batch", 16),
        (48, 3, "group", 16),
        (20, 1, "", 64),
        (16, 2, "batch", 1),
        (64, 1, "batch", 64),
        (32, 2, "", 5),
    ],
)
def test_networks_of_blocks_equal_numpy(channels, batch, norm, tiles):
    g = network(channels, batch, norm)
    run_and_compare(g, tiles, "worker")


@pytest.mark.parametrize("grain", ["row", "tile"])
@pytest.mark.parametrize(
    ("channels", "norm", "field"), [(32, "batch", (10, 9)), (16, "group", (6, 5, 4)), (48, "", (21,))]
)
def test_other_grains_equal_numpy(grain, channels, norm, field):
    run_and_compare(network(channels, 2, norm, field), 16, grain)


def run_and_compare(g, tiles, grain):
    x = np.random.default_rng(3).normal(size=g.inputs[0].shape).astype(np.float32)
    wanted = Evaluation(g).run({"x": x})
    target = pp.Target.gc200(num_tiles=tiles, bytes_per_tile=4 << 20)
    executable = pp.compile(g, target, options={"streams": False, "grain": grain})
    engine = pp.Engine(executable, check=True)
    engine.load(pp.Device(executable.target))
    engine.write_tensor("x", x)
    engine.run(0)
    for name, array in wanted.items():
        scale = max(np.abs(array).max(), 1e-3)
        np.testing.assert_allclose(engine.read_tensor(name) / scale, array / scale, atol=2e-5, err_msg=name)
