"""Data sets: real or an error."""

from __future__ import annotations

import builtins
import gzip
import struct

import numpy as np
import pytest

from poplar_py.errors import DataError, MissingTool
from poplar_py.frontends import load_data
from poplar_py.frontends.build import prepare_input
from poplar_py.frontends.data import batch_rows, read_idx


def test_mnist_ships_with_the_package():
    data = load_data("mnist")
    assert (
        data.train_x.shape == (8500, 28, 28) and data.train_x.dtype == np.uint8 and data.test_x.shape == (1500, 28, 28)
    )
    assert data.train_y.dtype == np.int32 and data.num_classes == 10 and "MIT" in data.provenance
    assert np.bincount(data.test_y, minlength=10).min() > 100
    assert 30 < data.train_x.mean() < 36  # the mean of MNIST is 33.3


def test_digits_of_scikit_learn():
    pytest.importorskip("sklearn")
    data = load_data("digits")
    assert data.train_x.shape == (1497, 8, 8) and len(data.test_y) == 300 and data.train_x.max() == 16


def test_digits_without_scikit_learn(monkeypatch):
    real = builtins.__import__

    def no_sklearn(name, *args, **more):
        if name.startswith("sklearn"):
            raise ImportError(name)
        return real(name, *args, **more)

    monkeypatch.setattr(builtins, "__import__", no_sklearn)
    with pytest.raises(MissingTool, match="pip install scikit-learn"):
        load_data("digits")


def test_unknown_names():
    with pytest.raises(
        DataError, match=r"no data set 'minst'. Did you mean 'mnist'\? There are: mnist, digits, idx:DIR"
    ):
        load_data("minst")


def idx(array, code=0x08):
    return b"\0\0" + bytes([code, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def write_mnist(folder, zipped, mark="-", rows=(5, 3)):
    for prefix, n in zip(("train", "t10k"), rows, strict=True):
        images = np.arange(n * 4, dtype=np.uint8).reshape(n, 2, 2)
        for name, array in ((f"images{mark}idx3", images), (f"labels{mark}idx1", np.arange(n, dtype=np.uint8))):
            content = idx(array)
            path = folder / f"{prefix}-{name}-ubyte{'.gz' if zipped else ''}"
            path.write_bytes(gzip.compress(content) if zipped else content)


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("mark", ["-", "."])
def test_idx_files(tmp_path, zipped, mark):
    write_mnist(tmp_path, zipped, mark)
    data = load_data(f"idx:{tmp_path}")
    assert data.train_x.shape == (5, 2, 2) and data.test_y.tolist() == [0, 1, 2] and data.train_x[1, 0, 1] == 5


def test_idx_folders_that_are_wrong(tmp_path):
    with pytest.raises(DataError, match="there is no folder"):
        load_data(f"idx:{tmp_path}/nowhere")
    with pytest.raises(DataError, match="no file train-images-idx3-ubyte"):
        load_data(f"idx:{tmp_path}")
    write_mnist(tmp_path, False)
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx(np.zeros(4, np.uint8)))
    with pytest.raises(DataError, match=r"t10k images \[3, 2, 2\] and labels \[4\] do not fit"):
        load_data(f"idx:{tmp_path}")


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "not an IDX file: it starts with nothing"),
        (b"PK\3\4 some zip", "not an IDX file: it starts with 50 4b 03 04"),
        (b"\0\0\x08\x03\0\0", "truncated: 6 bytes, its header alone has 16"),
        (idx(np.zeros((3, 4), np.uint8))[:-1], r"truncated: 23 bytes; an array \[3, 4\] of uint8 takes 24"),
        (idx(np.zeros((3, 4), np.uint8)) + b"x", "too long: 25 bytes"),
        (b"\0\0\x08\x02" + b"\xff" * 8, "truncated"),
        (gzip.compress(idx(np.zeros(9, np.uint8)), mtime=0)[:-6], "cannot be read"),
    ],
)
def test_idx_files_that_are_wrong(tmp_path, content, message):
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_idx(path)


def test_idx_numbers_are_big_endian(tmp_path):
    (tmp_path / "f").write_bytes(b"\0\0\x0b\x01" + struct.pack(">I2h", 2, 1, -2))
    assert read_idx(tmp_path / "f").tolist() == [1, -2]


def test_batches_are_a_function_of_seed_and_epoch():
    rows = batch_rows(10, 3, seed=1, epoch=2)
    expected = np.random.Generator(np.random.PCG64([1, 2])).permutation(10)[:9].reshape(3, 3)
    np.testing.assert_array_equal(rows, expected)
    assert len(set(rows.ravel().tolist())) == 9 and not np.array_equal(rows, batch_rows(10, 3, 1, 3))


def test_samples_that_do_not_fit_the_model():
    info = {"name": "m", "input": {"shape": [6], "dtype": "HALF", "scale": 0.5}}
    prepared = prepare_input(info, np.full((4, 2, 3), 3, np.uint8))
    assert prepared.shape == (4, 6) and prepared.dtype == np.float16 and prepared[0, 0] == 1.5
    with pytest.raises(DataError, match=r"model 'm' takes samples of \[6\]; a row of the data is \[5\]"):
        prepare_input(info, np.zeros((4, 5)))
