"""Training on the device against the same training written out in numpy, from the same weights and batches."""

import numpy as np
import pytest

import poplar_py as pp
from poplar_py.frontends.data import load_data

RATE, MOMENTUM, BATCH = 0.1, 0.9, 50
HALF_RATE = 0.02  # at 0.1 the order of sums alone moves a hundred steps in half by several per cent


@pytest.fixture(scope="module")
def batches():
    data = load_data("mnist")
    order = np.random.default_rng(7).permutation(8500)
    x = (data.train_x.reshape(8500, 784)[order] / np.float32(255)).astype(np.float32)
    y = data.train_y[order].astype(np.int32)
    return [(x[i * BATCH : (i + 1) * BATCH], y[i * BATCH : (i + 1) * BATCH]) for i in range(100)]


def description(tmp_path, units, optimiser, dtype):
    path = tmp_path / "net.yaml"
    path.write_text(
        f"name: net\ndtype: {dtype}\nbatch: {BATCH}\nseed: 5\ninput: {{shape: [784]}}\nlayers:\n"
        f"  - dense: {{units: {units}, activation: relu, name: fc1}}\n  - dense: {{units: 10, name: fc2}}\n"
        f"training: {{loss: softmax_cross_entropy, optimiser: {optimiser}, batch: {BATCH}, epochs: 1}}\n"
    )
    return path


def train_on_device(path, batches, target):
    """Weights before, weights after, losses."""
    executable = pp.compile(path, target, training=True)
    engine = pp.Engine(executable)
    engine.load(pp.Device(executable.target))
    names = [h for h in executable.graph.host_reads if h.startswith("fc") and h.count("/") == 1]
    weights = {n: engine.read_tensor(n) for n in names if n.endswith(("weights", "bias"))}
    kind = executable.graph.streams["input"].dtype.np
    feed, losses = iter(batches), []
    current = {}

    def images(array):
        current["batch"] = next(feed)
        array[:] = current["batch"][0].reshape(-1).astype(kind)

    engine.connect_stream_to_callback("input", images)
    engine.connect_stream_to_callback("labels", lambda array: array.__setitem__(slice(None), current["batch"][1]))
    for name, stream in executable.graph.streams.items():
        if not stream.to_device:
            engine.connect_stream_to_callback(
                name, (lambda a: losses.append(float(a[0]))) if name == "loss" else lambda a: None
            )
    for _ in batches:
        engine.run(0)
    return weights, {n: engine.read_tensor(n) for n in weights}, np.array(losses)


class NumpyNet:
    """Two dense layers, softmax cross entropy, momentum; every stored value is rounded to `kind`."""

    def __init__(self, weights, kind=np.float32, rate=RATE):
        self.kind = kind
        self.rate = np.float32(rate)
        self.p = {n: w.astype(np.float32) for n, w in weights.items()}
        self.v = {n: np.zeros_like(w) for n, w in self.p.items()}

    def store(self, x):
        return np.asarray(x, np.float32).astype(self.kind).astype(np.float32)

    def step(self, x, y):
        r, p, n = self.store, self.p, len(y)
        x = r(x)
        h = r(r(x @ p["fc1/weights"]) + p["fc1/bias"])
        a = np.maximum(h, 0)
        z = r(r(a @ p["fc2/weights"]) + p["fc2/bias"])
        e = np.exp(z - z.max(1, keepdims=True))
        q = e / e.sum(1, keepdims=True)
        loss = float(-np.log(q[np.arange(n), y]).mean())
        dz = q.copy()
        dz[np.arange(n), y] -= 1
        dz = r(dz / n)
        da = r(dz @ p["fc2/weights"].T)
        dh = da * (a > 0)
        gradients = {
            "fc1/weights": r(x.T @ dh),
            "fc1/bias": r(dh.sum(0)),
            "fc2/weights": r(a.T @ dz),
            "fc2/bias": r(dz.sum(0)),
        }
        for name, g in gradients.items():
            self.v[name] = r(np.float32(MOMENTUM) * self.v[name] + g)
            p[name] = r(p[name] - self.rate * self.v[name])
        return loss


@pytest.mark.parametrize("target", [pp.Target.gc200(), pp.Target.tiny(5)], ids=["gc200", "5 tiles"])
def test_float_weights_after_a_hundred_steps(tmp_path, batches, target):
    path = description(tmp_path, 128, f"{{momentum: {{learning_rate: {RATE}, momentum: {MOMENTUM}}}}}", "float")
    start, end, losses = train_on_device(path, batches, target)
    net = NumpyNet(start)
    expected = np.array([net.step(x, y) for x, y in batches])
    for name in start:
        assert not np.array_equal(start[name], end[name])
        np.testing.assert_allclose(end[name], net.p[name], rtol=0, atol=1e-4, err_msg=name)
    np.testing.assert_allclose(losses, expected, rtol=1e-4, atol=1e-5)


def test_half_rounds_at_the_same_points(tmp_path, batches):
    """One step gives numpy's bits; after a hundred, where the order of sums has had its say, numpy's loss."""
    path = description(tmp_path, 128, f"{{momentum: {{learning_rate: {HALF_RATE}, momentum: {MOMENTUM}}}}}", "half")
    start, after_one, _ = train_on_device(path, batches[:1], pp.Target.gc200())
    net = NumpyNet(start, np.float16, HALF_RATE)
    net.step(*batches[0])
    for name in start:
        assert start[name].dtype == np.float16
        difference = np.abs(after_one[name].astype("f4") - net.p[name])
        last_place = np.spacing(np.abs(net.p[name]).astype(np.float16)).astype("f4")
        assert (difference <= last_place).all() and (difference > 0).mean() < 0.001, name
    _, end, losses = train_on_device(path, batches, pp.Target.gc200())
    net = NumpyNet(start, np.float16, HALF_RATE)
    expected = [net.step(x, y) for x, y in batches]
    assert abs(losses[-10:].mean() / np.mean(expected[-10:]) - 1) <= 0.02
    x, y = (np.concatenate(part) for part in zip(*batches, strict=True))
    assert abs(loss_of(end, x, y) / loss_of(net.p, x, y) - 1) <= 0.02


def loss_of(p, x, y):
    """Loss over many samples in float64: that of one batch is noise after so many roundings."""
    p = {n: w.astype(np.float64) for n, w in p.items()}
    z = np.maximum(x @ p["fc1/weights"] + p["fc1/bias"], 0) @ p["fc2/weights"] + p["fc2/bias"]
    z -= z.max(1, keepdims=True)
    return float((np.log(np.exp(z).sum(1)) - z[np.arange(len(y)), y]).mean())
