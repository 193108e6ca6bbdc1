"""Networks of convolutions against PyTorch: outputs of the same weights, and losses of the same training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from poplar_py.frontends import Description, build_opgraph, load_data
from poplar_py.frontends.build import prepare_input
from poplar_py.frontends.description import parse_description
from poplar_py.frontends.models import find_description, read_model
from poplar_py.opgraph.evaluate import Evaluation

torch = pytest.importorskip("torch")

from .torch_networks import NETWORKS, draw_norms, from_torch, to_torch  # noqa: E402

BIG = {"vgg16", "resnet34", "resnet101"}
PARAMETERS = {
    "lenet5": 61_706,
    "alexnet": 60_965_224,  # two groups, as in the paper
    "alexnet, one tower, lrn": 61_100_840,  # torchvision.models.alexnet
    "vgg16": 138_357_544,
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
}  # published by torchvision beside its weights


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow if n in BIG else ()) for n in NETWORKS])
def test_outputs_equal_pytorch(name):
    make, model, settings = NETWORKS[name]
    torch.manual_seed(3)
    net = make().eval()
    draw_norms(net)
    g = read_model(model, batch=2, settings=settings)
    count = sum(p.value.size for p in g.parameters if p.trainable)
    assert count == sum(p.numel() for p in net.parameters())
    assert count == PARAMETERS.get(name, count)
    x = np.random.default_rng(1).random(g.inputs[0].shape, np.float32)
    oracle = Evaluation(g, from_torch(net))
    probabilities = oracle.run({"input": x})["output"]
    logits = oracle.values[g.outputs["output"].op.inputs[0].name]
    with torch.no_grad():
        expected = net(torch.from_numpy(x)).numpy()
    assert np.abs(logits - expected).max() <= 1e-3 * np.abs(expected).max()
    top = np.argsort(-expected, axis=1)[:, :5]
    assert np.array_equal(np.argsort(-probabilities, axis=1)[:, :5], top)


STEPS, BATCH, RATE = 20, 16, 0.05
TRAINED = ("lenet5", "resnet8_digits")


def batches(steps=STEPS, batch=BATCH):
    """Real digits: [(images, labels)]."""
    data = load_data("mnist")
    rows = np.random.default_rng(11).permutation(len(data.train_y))[: steps * batch].reshape(steps, batch)
    return [(prepare_input(INFO, data.train_x[r]), data.train_y[r]) for r in rows]


INFO = {"name": "digits", "input": {"shape": [1, 28, 28], "dtype": "FLOAT", "scale": 1 / 255}}


def description(model: str, optimiser: str, more: str = "") -> Description:
    """A model that ships, trained otherwise."""
    text = Path(find_description(model)).read_text().split("\ntraining:")[0]
    text += f"\ntraining: {{loss: softmax_cross_entropy, optimiser: {{{optimiser}}}, batch: {BATCH}{more}}}\n"
    return parse_description(text, f"{model}.yaml")


def train_torch(net, optimiser, feed, schedule=None):
    """Losses of training in PyTorch."""
    losses, net = [], net.train()
    kind = next(net.parameters()).dtype
    for x, y in feed:
        optimiser.zero_grad()
        loss = torch.nn.functional.cross_entropy(net(torch.from_numpy(x).to(kind)), torch.from_numpy(y).long())
        loss.backward()
        optimiser.step()
        if schedule:
            schedule.step()
        losses.append(loss.item())
    return np.array(losses)


OPTIMISERS = {
    "momentum and decay": (
        f"momentum: {{learning_rate: {RATE}, momentum: 0.9, weight_decay: 0.0005}}",
        lambda p: torch.optim.SGD(p, RATE, momentum=0.9, weight_decay=5e-4),
        None,
    ),
    "sgd, decay, step schedule": (
        f"sgd: {{learning_rate: {RATE}, weight_decay: 0.01, schedule: {{steps: {{every: 5, factor: 0.3}}}}}}",
        lambda p: torch.optim.SGD(p, RATE, weight_decay=0.01),
        lambda o: torch.optim.lr_scheduler.StepLR(o, 5, 0.3),
    ),
    "cosine": (
        f"momentum: {{learning_rate: {RATE}, schedule: {{cosine: {{steps: 15, to: 0.1}}}}}}",
        lambda p: torch.optim.SGD(p, RATE, momentum=0.9),
        lambda o: torch.optim.lr_scheduler.LambdaLR(
            o, lambda t: 0.1 + 0.9 * 0.5 * (1 + np.cos(np.pi * min(t, 15) / 15))
        ),
    ),
    "milestones and warm-up": (
        f"momentum: {{learning_rate: {RATE}, warm_up: 5, schedule: {{milestones: {{at: [8, 14], factor: 0.1}}}}}}",
        lambda p: torch.optim.SGD(p, RATE, momentum=0.9),
        lambda o: torch.optim.lr_scheduler.LambdaLR(o, lambda t: min((t + 1) / 5, 1) * 0.1 ** ((t >= 8) + (t >= 14))),
    ),
    "linear": (
        f"sgd: {{learning_rate: {RATE}, schedule: {{linear: {{steps: 25, to: 0.2}}}}}}",
        lambda p: torch.optim.SGD(p, RATE),
        lambda o: torch.optim.lr_scheduler.LinearLR(o, 1.0, 0.2, 25),
    ),
    "adam, decay, cosine": (
        "adam: {learning_rate: 0.002, weight_decay: 0.1, schedule: {cosine: {steps: 20}}}",
        lambda p: torch.optim.AdamW(p, 0.002, weight_decay=0.1),
        lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 20),
    ),
}


def same_start(model, d):
    """Our op graph of training and a PyTorch network of the same weights."""
    g = build_opgraph(d, training=True)
    net = NETWORKS[model][0]()
    to_torch(net, {p.name: p.initial_value() for p in g.parameters})
    return g, net


@pytest.mark.parametrize("model", TRAINED)
@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_the_loss_curve_equals_pytorchs(model, optimiser):
    ours, theirs, schedule = OPTIMISERS[optimiser]
    g, net = same_start(model, description(model, ours))
    double = ours.startswith("adam")  # it makes full steps of the smallest gradients, so of rounding errors, in float
    net = net.double() if double else net
    oracle, feed = Evaluation(g, precision=np.float64 if double else None), batches()
    losses = np.array([float(oracle.run({"input": x, "labels": y})["loss"]) for x, y in feed])
    stepper = theirs(net.parameters())
    expected = train_torch(net, stepper, feed, schedule(stepper) if schedule else None)
    np.testing.assert_allclose(losses, expected, rtol=1e-3)
    for path, array in from_torch(net).items():
        np.testing.assert_allclose(oracle.state[path], array, atol=2e-3 * max(np.abs(array).max(), 0.1), err_msg=path)


def accumulated(oracle, feed, parts):
    """Losses of training with every batch in parts: forward and backward for each, then one update."""
    losses = []
    for x, y in feed:
        for xs, ys in zip(np.split(x, parts), np.split(y, parts), strict=True):
            losses.append(float(oracle.run({"input": xs, "labels": ys}, phases=("forward", "backward"))["loss"]))
        oracle.run({"input": xs, "labels": ys}, phases=("update",))
    return np.array(losses).reshape(len(feed), parts).mean(axis=1)


@pytest.mark.parametrize("optimiser", ["momentum and decay", "sgd, decay, step schedule", "adam, decay, cosine"])
def test_accumulated_gradients_are_those_of_the_large_batch(optimiser):
    """Four parts of 4 train as 16 at once; seen in float64, so that only the meaning can differ."""
    settings = OPTIMISERS[optimiser][0]
    whole = Evaluation(build_opgraph(description("lenet5", settings), training=True), precision=np.float64)
    d = description("lenet5", settings, ", accumulate: 4, loss_scale: 64")
    parts = Evaluation(build_opgraph(d, batch=BATCH // 4, training=True), precision=np.float64)
    feed = batches(10)
    expected = [float(whole.run({"input": x, "labels": y})["loss"]) for x, y in feed]
    np.testing.assert_allclose(accumulated(parts, feed, 4), expected, rtol=1e-5)
    for name in (p.name for p in whole.g.parameters if p.trainable):
        np.testing.assert_allclose(parts.state[name], whole.state[name], atol=1e-6, err_msg=name)


def test_decay_apart_from_the_velocity_and_not_of_vectors():
    """weights -= rate * decay * weights, then a step of momentum that knows nothing of it."""
    text = "momentum: {learning_rate: 0.1, momentum: 0.9, weight_decay: 0.2, decoupled: true, decay_vectors: false}"
    plain = "momentum: {learning_rate: 0.1, momentum: 0.9}"
    decayed, bare = (
        Evaluation(build_opgraph(description("lenet5", o), training=True), precision=np.float64) for o in (text, plain)
    )
    ((x, y),) = batches(1)
    start = dict(bare.state)
    for oracle in (decayed, bare):
        oracle.run({"input": x, "labels": y})
    moved = bare.state["fc5/weights"] - start["fc5/weights"]
    np.testing.assert_allclose(decayed.state["fc5/weights"], start["fc5/weights"] * (1 - 0.1 * 0.2) + moved, atol=1e-8)
    np.testing.assert_array_equal(decayed.state["fc5/bias"], bare.state["fc5/bias"])
    np.testing.assert_array_equal(decayed.state["fc5/weights-velocity"], bare.state["fc5/weights-velocity"])
