"""Weights load and save by parameter path, in both formats."""

import numpy as np
import pytest

import poplar_py as pp
from poplar_py.weights import load_weights, read_weights, save_weights, write_weights

NET = """
name: net
batch: 4
input: {shape: [6]}
layers: [dense: {units: 5, activation: relu, name: fc1}, dense: {units: 3, name: fc2}]
training: {loss: softmax_cross_entropy, optimiser: {momentum: {learning_rate: 0.1, momentum: 0.9}}, batch: 4, epochs: 1}
"""


@pytest.fixture
def engine(tmp_path):
    path = tmp_path / "net.yaml"
    path.write_text(NET)
    engine = pp.Engine(pp.compile(path, pp.Target.tiny(4), training=True))
    engine.load(engine.executable.target)
    return engine


def arrays():
    rng = np.random.default_rng(0)
    shapes = {"fc1/weights": (6, 5), "fc1/bias": (5,), "fc2/weights": (5, 3), "fc2/bias": (3,)}
    return {n: rng.random(s).astype(np.float32) for n, s in shapes.items()}


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_there_and_back(engine, tmp_path, suffix):
    if suffix == ".safetensors":
        pytest.importorskip("safetensors")
    given, file, again = arrays(), tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
    write_weights(file, given)
    assert sorted(load_weights(engine, file)) == sorted(given)
    assert sorted(save_weights(engine, again)) == sorted(given)
    for name, array in read_weights(again).items():
        np.testing.assert_array_equal(array, given[name])
        np.testing.assert_array_equal(engine.read_tensor(name), given[name])
    everything = save_weights(engine, again, state=True)
    assert "fc1/weights-velocity" in everything and sorted(load_weights(engine, again)) == sorted(everything)


def test_what_does_not_fit_is_named(engine, tmp_path):
    file = tmp_path / "w.npz"
    for change, message in (
        ({"fc1/bias": None}, "has no 'fc1/bias'"),
        ({"fc1/bias": np.zeros(4, "f4")}, r"'fc1/bias' has shape \[4\], the model's has \[5\]"),
        ({"fc3/bias": np.zeros(4, "f4")}, "no parameter 'fc3/bias'"),
    ):
        changed = {n: a for n, a in {**arrays(), **change}.items() if a is not None}
        write_weights(file, changed)
        with pytest.raises(pp.DataError, match=message):
            load_weights(engine, file)
    file.write_bytes(b"nonsense")
    with pytest.raises(pp.FileLoadError, match="w.npz"):
        read_weights(file)
    with pytest.raises(pp.FileLoadError, match="no file"):
        read_weights(tmp_path / "none.npz")
    with pytest.raises(pp.FileLoadError, match=r"\.npz or \.safetensors"):
        read_weights(tmp_path / "w.txt")
