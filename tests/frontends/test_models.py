"""The models that ship: they build, and plain numpy learns with them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from poplar_py.frontends import build_opgraph, load_data, read_description
from poplar_py.frontends.build import prepare_input
from poplar_py.frontends.data import batch_rows
from poplar_py.opgraph.evaluate import Evaluation

MODELS = Path(__file__).resolve().parents[2] / "models"


def train(name, epochs=None, dtype=None):
    """Train a model in numpy; (loss of every step, output on the test part, test images as prepared, data)."""
    d = read_description(MODELS / f"{name}.yaml")
    g, data = build_opgraph(d, training=True, dtype=dtype), load_data(d.data)
    x, oracle, losses = prepare_input(g.info, data.train_x), Evaluation(g), []
    for epoch in range(epochs or d.training.epochs):
        for rows in batch_rows(len(x), g.info["batch"], g.info["seed"], epoch):
            inputs = {"input": x[rows], "labels": data.train_y[rows]}
            losses.append(float(oracle.run({v.name: inputs[v.name] for v in g.inputs})["loss"]))
    test = prepare_input(g.info, data.test_x)
    forward = build_opgraph(d, batch=len(test), dtype=dtype)
    state = {p.name: oracle.state[p.name] for p in forward.parameters}
    return losses, Evaluation(forward, state).run({"input": test})["output"], test, data


@pytest.mark.parametrize("path", sorted(MODELS.glob("*.yaml")), ids=lambda p: p.stem)
@pytest.mark.parametrize("dtype", ["float", "half"])
def test_every_model_builds(path, dtype):
    d = read_description(path)
    assert d.name == path.stem and d.description
    assert (d.data is None) == (d.input.shape[-2:] in ((224, 224), (227, 227)))  # photographs do not travel with us
    for training in (False, True):
        g = build_opgraph(d, training=training, dtype=dtype)
        assert g.outputs and g.text()
    assert build_opgraph(d, batch=2).inputs[0].shape[0] == 2


def test_mnist_small_reads_digits():
    losses, said, _, data = train("mnist_small")
    assert len(losses) == 850
    assert np.mean(said.argmax(1) == data.test_y) >= 0.955


def test_mnist_small_reads_digits_in_half():
    losses, said, _, data = train("mnist_small", epochs=2, dtype="half")
    assert np.mean(losses[-20:]) < 0.3 and np.mean(said.argmax(1) == data.test_y) >= 0.92


def test_the_autoencoder_learns_to_draw():
    losses, drawn, test, _ = train("autoencoder", epochs=1)
    assert losses[0] > 0.2 and np.mean(losses[-10:]) < 0.035
    assert np.mean((drawn - test) ** 2) < 0.5 * np.mean((test - test.mean(0)) ** 2)  # half the variance is explained
