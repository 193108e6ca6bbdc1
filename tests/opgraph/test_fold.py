"""Batch norms folded into weights: the same numbers with fewer ops."""

from __future__ import annotations

import numpy as np
import pytest

import poplar_py as pp
from poplar_py.errors import InvalidOption, ModelError
from poplar_py.frontends import build_opgraph
from poplar_py.frontends.description import parse_description
from poplar_py.frontends.models import read_model
from poplar_py.opgraph.evaluate import Evaluation
from poplar_py.opgraph.fold import fold_arrays, fold_norms

LAYERS = {
    "conv": "conv2d: {filters: 6, kernel: 3, bias: false}",
    "padded, with bias": "conv2d: {filters: 6, kernel: 3, padding: 1}",
    "groups": "conv2d: {filters: 8, kernel: 3, groups: 2, stride: 2, padding: same}",
    "depthwise": "depthwise_conv2d: {kernel: 3, multiplier: 2}",
    "transposed": "conv2d_transpose: {filters: 6, kernel: 3, stride: 2}",
    "transposed, groups": "conv2d_transpose: {filters: 6, kernel: 3, stride: 2, groups: 2}",
}


def drawn(g, seed=2):
    """Parameters as after training."""
    random = np.random.default_rng(seed)
    wide = {"running_variance": (0.5, 2), "gamma": (0.5, 1.5)}
    return {
        p.name: random.uniform(*wide.get(p.value.leaf, (-0.5, 0.5)), p.type.shape).astype("f4") for p in g.parameters
    }


def model(*layers):
    lines = "".join(f"  - {layer}\n" for layer in layers)
    return build_opgraph(
        parse_description(f"name: m\nbatch: 2\ninput: {{shape: [4, 9, 8]}}\nlayers:\n{lines}", "m.yaml")
    )


@pytest.mark.parametrize("layer", LAYERS.values(), ids=list(LAYERS))
def test_a_folded_norm_gives_the_same_numbers(layer):
    g = model(layer, "batch_norm: {epsilon: 0.01, name: norm}", "relu")
    arrays = drawn(g)
    folded = fold_norms(g.with_values(arrays))
    kinds = [op.kind for op in folded.ops]
    assert "batch_norm_inference" not in kinds and len(folded.parameters) == 2
    x = np.random.default_rng(0).standard_normal((2, 4, 9, 8)).astype("f4")
    expected = Evaluation(g, arrays).run({"input": x})["output"]
    np.testing.assert_allclose(Evaluation(folded).run({"input": x})["output"], expected, rtol=1e-5, atol=1e-5)
    later = fold_arrays(folded.info["folded"], arrays)  # the same from a file of weights
    assert set(later) == {p.name for p in folded.parameters}
    again = Evaluation(folded, later).run({"input": x})["output"]
    assert np.array_equal(again, Evaluation(folded).run({"input": x})["output"])


def test_a_dense_layer_is_folded_too():
    g = model("flatten", "dense: {units: 5}", "batch_norm")
    arrays = drawn(g)
    folded = fold_norms(g.with_values(arrays))
    assert [op.kind for op in folded.ops] == ["reshape", "matmul", "add_bias"]
    x = np.random.default_rng(0).standard_normal((2, 4, 9, 8)).astype("f4")
    expected = Evaluation(g, arrays).run({"input": x})["output"]
    np.testing.assert_allclose(Evaluation(folded).run({"input": x})["output"], expected, rtol=1e-5, atol=1e-5)


def test_what_others_read_is_not_folded():
    g = model(
        "conv2d: {filters: 4, kernel: 3, padding: 1, bias: false, name: conv}", "batch_norm", "add: {others: [conv]}"
    )
    assert fold_norms(g) is g
    g = model("relu", "batch_norm: {name: first}")  # no product before it
    assert fold_norms(g) is g
    with pytest.raises(ModelError, match="trains"):
        fold_norms(read_model("resnet8_digits", training=True))


@pytest.mark.parametrize("settings", [{}, {"depth": 18}])
def test_resnets_fold_wholly(settings):
    g = read_model("resnet50", settings=settings | {"size": 64})
    arrays = drawn(g)
    for name, array in arrays.items():
        if name.endswith("weights"):  # so that numbers neither grow nor fade on their way
            arrays[name] = array * np.float32(np.sqrt(12 * 1.5 / array[0].size if array.ndim == 4 else 1))
    folded = fold_norms(g.with_values(arrays))
    norms = sum(op.kind == "batch_norm_inference" for op in g.ops)
    assert len(folded.info["folded"]) == norms == (20 if settings else 53)
    x = np.random.default_rng(0).random(g.inputs[0].shape, np.float32)
    oracle, other = Evaluation(g, arrays), Evaluation(folded)
    oracle.run({"input": x})
    other.run({"input": x})
    for name, value in other.values.items():
        if name.endswith("batch_norm_inference"):
            expected = oracle.values[name]
            assert np.abs(value - expected).max() <= 1e-5 * np.abs(expected).max(), name


def test_on_the_device_and_from_a_file(tmp_path):
    from poplar_py.weights import load_weights, write_weights

    g = read_model("resnet8_digits", batch=3)
    arrays = drawn(g)
    write_weights(tmp_path / "w.npz", arrays)
    x = np.random.default_rng(0).random((3, 1, 28, 28), np.float32)
    expected = Evaluation(g, arrays).run({"input": x})["output"]
    target, how = pp.Target.gc200(num_tiles=16), {"streams": False, "fold_norms": True}
    said = []
    for given in (tmp_path / "w.npz", arrays, None):
        executable = pp.compile("resnet8_digits", target, batch=3, weights=given, options=how)
        engine = pp.Engine(executable)
        engine.load(pp.Device(target))
        if given is None:
            load_weights(engine, tmp_path / "w.npz")
        engine.write_tensor("input", x)
        engine.run(0)
        said.append(engine.read_tensor("output"))
        np.testing.assert_allclose(said[-1], expected, atol=1e-5)
    assert np.array_equal(said[0], said[1]) and np.array_equal(said[0], said[2])
    with pytest.raises(InvalidOption, match="inference"):
        pp.compile("resnet8_digits", target, training=True, options={"fold_norms": True})
