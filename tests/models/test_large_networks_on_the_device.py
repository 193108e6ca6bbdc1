"""AlexNet and ResNet-50 on a full gc200: outputs against onnxruntime and PyTorch, losses of training against PyTorch."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import poplar_py as pp
from poplar_py.frontends.description import parse_description
from poplar_py.frontends.models import find_description

torch = pytest.importorskip("torch")

from .test_networks_equal_torch import train_torch  # noqa: E402
from .test_networks_on_the_device import train_on_device  # noqa: E402
from .torch_networks import NETWORKS, draw_norms, from_torch, to_torch  # noqa: E402

pytestmark = pytest.mark.slow
TOOLS = str(Path(__file__).resolve().parent.parent.parent / "tools")


def drawn(model: str) -> tuple[Any, dict[str, np.ndarray]]:
    """A PyTorch network with statistics of norms as after training, and its parameters by our paths."""
    torch.manual_seed(3)
    net = NETWORKS[model][0]().eval()
    draw_norms(net)
    return net, from_torch(net)


def image(model: str, batch: int = 1, seed: int = 1) -> np.ndarray:
    side = {"alexnet": 227, "resnet50": 224}[model]
    return np.random.default_rng(seed).random((batch, 3, side, side), np.float32)


def device_output(executable: Any, x: np.ndarray) -> np.ndarray:
    engine = pp.Engine(executable)
    engine.load(pp.Device(executable.target))
    kind = executable.graph.streams["input"].dtype.np
    result = np.zeros(executable.graph.streams["output"].size, executable.graph.streams["output"].dtype.np)
    engine.connect_stream("input", x.astype(kind).reshape(-1))
    engine.connect_stream("output", result)
    engine.run(0)
    return result.astype(np.float64)


def onnxruntime_output(g: Any, weights: dict[str, np.ndarray], x: np.ndarray) -> np.ndarray:
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    sys.path.insert(0, TOOLS)
    try:
        model = importlib.import_module("onnx_of").onnx_of(g, weights)
    finally:
        sys.path.remove(TOOLS)
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return session.run(None, {"input": x})[0].astype(np.float64).reshape(-1)


def centred(probabilities: np.ndarray) -> np.ndarray:
    """The logits, but for a constant that softmax drops: zero on average."""
    logits = np.log(probabilities)
    return logits - logits.mean()


@pytest.mark.parametrize("model", ["alexnet", "resnet50"])
def test_outputs_in_float_equal_onnxruntimes(model: str) -> None:
    net, weights = drawn(model)
    x = image(model)
    executable = pp.compile(model, pp.Target.gc200(), batch=1, weights=weights, options={"fold_norms": False})
    found = device_output(executable, x)
    expected = onnxruntime_output(executable.op_graph, weights, x)
    np.testing.assert_allclose(found, expected, rtol=1e-3)
    assert np.array_equal(np.argsort(-found)[:5], np.argsort(-expected)[:5])
    with torch.no_grad():
        logits = net(torch.from_numpy(x)).numpy().astype(np.float64).reshape(-1)
    logits -= logits.mean()
    assert np.abs(centred(found) - logits).max() <= 1e-3 * np.abs(logits).max()


@pytest.mark.parametrize("model", ["alexnet", "resnet50"])
def test_folded_norms_give_the_same_outputs(model: str) -> None:
    net, weights = drawn(model)
    x = image(model)
    found = device_output(pp.compile(model, pp.Target.gc200(), batch=1, weights=weights), x)
    with torch.no_grad():
        expected = torch.softmax(net(torch.from_numpy(x)).double(), 1).numpy().reshape(-1)
    np.testing.assert_allclose(found, expected, rtol=2e-3)
    assert np.array_equal(np.argsort(-found)[:5], np.argsort(-expected)[:5])


@pytest.mark.parametrize("model", ["alexnet", "resnet50"])
def test_outputs_in_half_are_within_its_rounding(model: str) -> None:
    net, weights = drawn(model)
    x = image(model)
    found = device_output(pp.compile(model, pp.Target.gc200(), batch=1, dtype="half", weights=weights), x)
    with torch.no_grad():
        logits = net(torch.from_numpy(x)).numpy().astype(np.float64).reshape(-1)
    logits -= logits.mean()
    # a rounding of 2^-11 in every layer, of which errors add as in a random walk: 2^-8 of the largest logit; and the
    # probabilities are rounded to half themselves
    allowed = 2**-8 * np.abs(logits).max() + 2**-10
    assert np.abs(centred(found) - logits).max() <= allowed


TRAINING = {  # options with which batch 4 fits a gc200, and a rate at which rounding errors do not grow: at 2e-5 PyTorch's own
    # losses in float and in double part by 2 % within twenty steps of ResNet-50
    "alexnet": ({"off_chip": "optimiser"}, 1e-5),
    "resnet50": ({"recompute": "optimal", "off_chip": "optimiser"}, 1e-6),
}


@pytest.mark.parametrize("model", TRAINING)
def test_the_loss_curve_of_twenty_steps_equals_pytorchs(model: str) -> None:
    options, rate = TRAINING[model]
    optimiser = f"momentum: {{learning_rate: {rate}, momentum: 0.9, weight_decay: 0.0005}}"
    text = Path(find_description(model)).read_text().split("\ntraining:")[0].replace("rate: 0.5", "rate: 0.0")
    text += f"\ntraining: {{loss: softmax_cross_entropy, optimiser: {{{optimiser}}}}}\n"
    random = np.random.default_rng(2)
    feed = [(image(model, 4, k) - 0.5, random.integers(0, 10, 4).astype(np.int32)) for k in range(20)]
    executable = pp.compile(
        parse_description(text, f"{model}.yaml"), pp.Target.gc200(), batch=4, training=True, options=options
    )
    net = NETWORKS[model][0]().train()
    for module in net.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    start = {p.name: p.initial_value() for p in executable.op_graph.parameters}
    to_torch(net, start)
    engine, losses = train_on_device(executable, feed)
    for _ in feed:
        engine.run(0)
    stepper = torch.optim.SGD(net.parameters(), lr=rate, momentum=0.9, weight_decay=5e-4)
    expected = train_torch(net, stepper, feed, None)
    np.testing.assert_allclose(losses, expected, rtol=1e-3)
    apart = moved = 0.0
    for path, array in from_torch(net).items():
        if "running" not in path and "mean" not in path and "variance" not in path:
            apart += float(np.square(engine.read_tensor(path) - array, dtype=np.float64).sum())
            moved += float(np.square(array - start[path], dtype=np.float64).sum())
    assert 0 < apart < 0.02 * moved  # the way that all weights went is the same within a seventh: rounding sways it so
