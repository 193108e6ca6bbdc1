"""Convolution layers against PyTorch's, and errors with file and line."""

from __future__ import annotations

import numpy as np
import pytest

from poplar_py.errors import ModelError, PoplarError
from poplar_py.frontends import build_opgraph
from poplar_py.frontends.description import parse_description
from poplar_py.opgraph.evaluate import Evaluation
from poplar_py.opgraph.graph import OpGraph

torch = pytest.importorskip("torch")
nn = torch.nn


def built(layer: str, shape: tuple[int, ...], batch: int = 2) -> OpGraph:
    text = f"name: m\nbatch: {batch}\ninput: {{shape: {list(shape)}}}\nlayers:\n  - {layer}\n"
    return build_opgraph(parse_description(text, "m.yaml"))


CASES = {
    "conv1d: {filters: 6, kernel: 5, stride: 3, padding: 2}": (nn.Conv1d(4, 6, 5, 3, 2), (4, 17)),
    "conv2d: {filters: 6, kernel: 3, bias: false}": (nn.Conv2d(4, 6, 3, bias=False), (4, 9, 8)),
    "conv2d: {filters: 6, kernel: [3, 2], stride: [2, 1], padding: [1, 0], dilation: [1, 3]}": (
        nn.Conv2d(4, 6, (3, 2), (2, 1), (1, 0), (1, 3)),
        (4, 9, 8),
    ),
    "conv2d: {filters: 6, kernel: 3, padding: same, dilation: 2}": (
        nn.Conv2d(4, 6, 3, padding="same", dilation=2),
        (4, 9, 8),
    ),
    "conv2d: {filters: 6, kernel: 4, padding: valid, groups: 2}": (nn.Conv2d(4, 6, 4, groups=2), (4, 9, 8)),
    "conv3d: {filters: 5, kernel: [1, 2, 3], stride: 2, padding: 1}": (nn.Conv3d(2, 5, (1, 2, 3), 2, 1), (2, 4, 5, 6)),
    "depthwise_conv1d: {kernel: 3}": (nn.Conv1d(4, 4, 3, groups=4), (4, 9)),
    "depthwise_conv2d: {kernel: 3, multiplier: 2, padding: 1}": (nn.Conv2d(4, 8, 3, padding=1, groups=4), (4, 9, 8)),
    "conv1d_transpose: {filters: 6, kernel: 4, stride: 3}": (nn.ConvTranspose1d(4, 6, 4, 3), (4, 9)),
    "conv2d_transpose: {filters: 6, kernel: 3, stride: 2, padding: 1, output_padding: 1}": (
        nn.ConvTranspose2d(4, 6, 3, 2, 1, 1),
        (4, 5, 6),
    ),
    "conv2d_transpose: {filters: 6, kernel: [3, 2], groups: 2, dilation: 2, bias: false}": (
        nn.ConvTranspose2d(4, 6, (3, 2), groups=2, dilation=2, bias=False),
        (4, 5, 6),
    ),
    "conv2d_transpose: {filters: 6, kernel: 4, stride: 2, padding: same}": (
        nn.ConvTranspose2d(4, 6, 4, 2, 1),
        (4, 5, 6),
    ),
    "conv3d_transpose: {filters: 3, kernel: 2, stride: 2}": (nn.ConvTranspose3d(2, 3, 2, 2), (2, 3, 4, 2)),
}


@pytest.mark.parametrize("layer", CASES)
def test_equal_to_pytorch(layer):
    module, shape = CASES[layer]
    g = built(layer, shape)
    arrays = {
        p.name: getattr(module, {"weights": "weight"}.get(p.value.leaf, "bias")).detach().numpy() for p in g.parameters
    }
    assert len(arrays) == len(list(module.parameters()))
    x = np.random.default_rng(0).standard_normal((2, *shape)).astype("f4")
    with torch.no_grad():
        expected = module(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(Evaluation(g, arrays).run({"input": x})["output"], expected, atol=1e-5)


@pytest.mark.parametrize("size", [8, 9, 10])
@pytest.mark.parametrize("kernel, stride", [(3, 2), (4, 2), (5, 3), (1, 2), (2, 1)])
def test_same_is_the_size_over_the_stride_rounded_up(size, kernel, stride):
    """And what is odd goes to the end, as in TensorFlow: the taps of the last output reach the end or past it."""
    g = built(f"conv2d: {{filters: 3, kernel: {kernel}, stride: {stride}, padding: same}}", (2, size, 7))
    assert g.outputs["output"].shape == (2, 3, -(-size // stride), -(-7 // stride))
    op = next(op for op in g.ops if op.kind == "conv")
    assert all(0 <= up - low <= 1 for low, up in zip(op.padding_lower, op.padding_upper, strict=True))
    t = built(f"conv2d_transpose: {{filters: 3, kernel: {kernel}, stride: {stride}, padding: same}}", (2, size, 7))
    assert t.outputs["output"].shape == (2, 3, size * stride, 7 * stride)


def test_initial_weights_go_by_what_an_output_is_made_of():
    g = built("conv2d: {filters: 200, kernel: 5, groups: 2, initialiser: he_normal, activation: relu}", (32, 9, 9))
    weights = g.parameters[0].initial_value()
    assert weights.shape == (200, 16, 5, 5) and abs(weights.std() / np.sqrt(2 / 400) - 1) < 0.02
    g = built("conv2d: {filters: 64, kernel: 3, initialiser: glorot_uniform}", (32, 9, 9))
    assert abs(np.abs(g.parameters[0].initial_value()).max() / np.sqrt(6 / (9 * 96)) - 1) < 0.01
    again = OpGraph.from_dict(g.to_dict())
    assert np.array_equal(again.parameters[0].initial_value(), g.parameters[0].initial_value())


@pytest.mark.parametrize(
    "layer, words",
    [
        ("conv2d: {filters: 3}", "m.yaml:5: .*'kernel' is missing"),
        ("conv2d: {filters: 0, kernel: 3}", "m.yaml:5: .*found 0; it takes a whole number of at least 1"),
        ("conv2d: {filters: 3, kernel: 0}", r"m.yaml:5: .*found \[0\]; each is at least 1"),
        ("conv2d: {filters: 3, kernel: 3, padding: full}", "found 'full'; it takes same, valid"),
        ("conv2d: {filters: 3, kernel: 3, groups: 3}", "4 channels and 3 filters do not make 3 equal groups"),
        ("conv2d: {filters: 3, kernel: 11}", "m.yaml:5: .*does not fit|m.yaml:5: .*11"),
        ("conv1d: {filters: 3, kernel: 3}", r"takes \(batch, channels, length\); its input is \[2, 4, 9, 8\]"),
        ("conv2d: {filters: 3, kernel: [3, 3, 3]}", "kernel has 3 entries"),
        ("conv2d: {filters: 3, kernels: 3}", "unknown key 'kernels'. Did you mean 'kernel'"),
        ("depthwise_conv2d: {kernel: 3, filters: 4}", "unknown key 'filters'"),
        ("conv2d_transpose: {filters: 3, kernel: 3, output_padding: 1}", "output_padding .* is below the stride"),
        ("conv2d_transpose: {filters: 3, kernel: 1, padding: 5}", "leaves nothing"),
        ("conv2d: {filters: 3, kernel: 3, initialiser: he}", "found 'he'.* Allowed: .*he_normal"),
    ],
)
def test_errors_name_file_line_and_numbers(layer, words):
    with pytest.raises(ModelError if "11" not in layer else PoplarError, match=words):
        built(layer, (4, 9, 8))
