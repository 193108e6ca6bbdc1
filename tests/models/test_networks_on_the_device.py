"""Networks of convolutions trained on the simulated device: against PyTorch, and on real digits."""

from __future__ import annotations

import numpy as np
import pytest

import poplar_py as pp
from poplar_py import training
from poplar_py.frontends import load_data

pytest.importorskip("torch")

from .test_networks_equal_torch import OPTIMISERS, TRAINED, batches, description, same_start, train_torch
from .torch_networks import from_torch


def train_on_device(executable, feed):
    """The losses of every step, and the engine."""
    engine = pp.Engine(executable)
    engine.load(pp.Device(executable.target))
    losses, images, labels = [], iter([x for x, _ in feed]), iter([y for _, y in feed])
    kind = executable.graph.streams["input"].dtype.np
    engine.connect_stream_to_callback(
        "input", lambda a: a.__setitem__(slice(None), next(images).reshape(-1).astype(kind))
    )
    engine.connect_stream_to_callback("labels", lambda a: a.__setitem__(slice(None), next(labels)))
    for name, stream in executable.graph.streams.items():
        if not stream.to_device:
            keep = (lambda a: losses.append(float(a[0]))) if name == "loss" else lambda a: None
            engine.connect_stream_to_callback(name, keep)
    return engine, losses


@pytest.mark.parametrize("model", TRAINED)
@pytest.mark.parametrize("optimiser", ["momentum and decay", "milestones and warm-up"])
@pytest.mark.parametrize("tiles", [16, 1472])
def test_the_loss_curve_of_the_device_equals_pytorchs(model, optimiser, tiles):
    ours, theirs, schedule = OPTIMISERS[optimiser]
    d, feed = description(model, ours), batches()
    _, net = same_start(model, d)
    engine, losses = train_on_device(pp.compile(d, pp.Target.gc200(num_tiles=tiles), training=True), feed)
    for _ in feed:
        engine.run(0)
    stepper = theirs(net.parameters())
    expected = train_torch(net, stepper, feed, schedule(stepper) if schedule else None)
    np.testing.assert_allclose(losses, expected, rtol=1e-3)
    for path, array in from_torch(net).items():
        np.testing.assert_allclose(
            engine.read_tensor(path), array, atol=2e-3 * max(np.abs(array).max(), 0.1), err_msg=path
        )


@pytest.mark.slow
def test_resnet8_reads_real_digits():
    executable = pp.compile("resnet8_digits", pp.Target.gc200(num_tiles=64), training=True)
    engine = pp.Engine(executable)
    engine.load(pp.Device(executable.target))
    model = training.Model.of(executable, load_data("mnist"))
    trained = training.train(engine, model)
    tested = training.evaluate(engine, model)
    assert trained.last < 0.1 < 2 < trained.first + 0.3
    assert tested.samples == 1500 and tested.accuracy >= 0.97
