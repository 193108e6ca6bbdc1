"""Layers over fields: what they build, and errors with file and line."""

from __future__ import annotations

import numpy as np
import pytest

from poplar_py.errors import ModelError
from poplar_py.frontends import build_opgraph
from poplar_py.frontends.description import parse_description
from poplar_py.opgraph.evaluate import Evaluation


def built(layer, shape="[3, 9, 8]"):
    text = f"name: m\nbatch: 2\ninput: {{shape: {shape}}}\nlayers:\n  - {layer}\n"
    return build_opgraph(parse_description(text, "m.yaml"))


@pytest.mark.parametrize(
    "layer, shape",
    [
        ("max_pool2d: {kernel: 2}", (2, 3, 4, 4)),
        ("max_pool2d: {kernel: 2, ceil: true}", (2, 3, 5, 4)),
        ("max_pool2d: {kernel: 3, stride: 2, padding: 1}", (2, 3, 5, 4)),
        ("max_pool2d: {kernel: 1, stride: 3, padding: 0, ceil: true}", (2, 3, 3, 3)),
        ("avg_pool2d: {kernel: [2, 3], stride: [1, 2], count_include_pad: false}", (2, 3, 8, 3)),
        ("sum_pool2d: {kernel: [2, 3], stride: [1, 2]}", (2, 3, 8, 3)),
        ("global_sum_pool", (2, 3)),
        ("global_avg_pool", (2, 3)),
        ("global_max_pool", (2, 3)),
        ("batch_norm", (2, 3, 9, 8)),
        ("group_norm: {groups: 3}", (2, 3, 9, 8)),
        ("instance_norm", (2, 3, 9, 8)),
        ("layer_norm", (2, 3, 9, 8)),
        ("lrn: {size: 3}", (2, 3, 9, 8)),
        ("pad: {size: [1, 2], mode: reflect}", (2, 3, 11, 12)),
        ("upsample: {scale: 2}", (2, 3, 18, 16)),
    ],
)
def test_the_shape_of_the_result(layer, shape):
    g = built(layer)
    assert g.outputs["output"].shape == shape
    x = np.random.default_rng(0).standard_normal((2, 3, 9, 8)).astype("f4")
    assert np.isfinite(Evaluation(g).run({"input": x})["output"]).all()


@pytest.mark.parametrize(
    "layer, words",
    [
        (
            "max_pool2d: {kernel: [2, 2, 2]}",
            "m.yaml:5: .*kernel has 3 entries; it takes one number, or one for each of 2",
        ),
        ("max_pool2d: {kernel: two}", "m.yaml:5: .*found 'two'; it takes a whole number, or a list"),
        ("max_pool2d: {stride: 2}", "'kernel' is missing"),
        ("max_pool2d: {kernel: 20}", "m.yaml:5: .*a window of 20 does not fit axis 0"),
        ("max_pool1d: {kernel: 2}", r"takes \(batch, channels, length\); its input is \[2, 3, 9, 8\]"),
        ("group_norm: {groups: 2}", "3 channels do not make 2 equal groups"),
        ("pad: {size: 1, mode: mirror}", "found 'mirror'"),
    ],
)
def test_errors_name_file_line_and_numbers(layer, words):
    with pytest.raises(ModelError if "entries" in words or "found" in words else Exception, match=words):
        built(layer)
