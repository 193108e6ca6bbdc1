"""Data sets: the digits that ship with the package, IDX files, and the errors of what cannot be had."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from poplar_py.data import load_data, read_idx
from poplar_py.errors import DataError


def idx(array: np.ndarray) -> bytes:
    head = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    return head + array.astype(np.uint8).tobytes()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for prefix, count in (("train", 6), ("t10k", 2)):
        images = np.arange(count * 4, dtype=np.uint8).reshape(count, 2, 2) * 10
        (tmp_path / f"{prefix}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(images)))
        (tmp_path / f"{prefix}-labels-idx1-ubyte").write_bytes(idx(np.arange(count) % 3))
    return tmp_path


def test_the_digits_in_the_package_are_the_real_ones() -> None:
    data = load_data("mnist")
    assert len(data.training) == 8500 and len(data.test) == 1500
    assert data.training.images.shape == (8500, 28, 28) and data.training.images.dtype == np.float32
    assert data.num_classes == 10
    assert data.training.images.min() == 0 and data.training.images.max() == 1
    assert 0.12 < data.training.images.mean() < 0.14  # MNIST's mean is 0.1307
    assert np.bincount(data.test.labels, minlength=10).min() > 100


def test_idx_files_plain_and_gzipped(folder: Path) -> None:
    data = load_data(f"idx:{folder}")
    assert data.training.images.shape == (6, 2, 2) and data.test.labels.tolist() == [0, 1]
    assert data.training.images[0, 0, 1] == pytest.approx(10 / 255)


def test_digits_of_scikit_learn() -> None:
    pytest.importorskip("sklearn")
    data = load_data("digits")
    assert len(data.training) == 1437 and len(data.test) == 360 and data.training.images.max() == 1


@pytest.mark.parametrize(
    ("name", "words"),
    [("mnits", "Did you mean 'mnist'"), ("idx:/nowhere", "no folder"), ("cifar10", "Data sets: mnist")],
)
def test_what_cannot_be_had_is_said(name: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        load_data(name)


def test_a_missing_file_is_named(folder: Path) -> None:
    (folder / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match="t10k-labels-idx1-ubyte"):
        load_data(f"idx:{folder}")


@pytest.mark.parametrize("content", [b"", b"\0\0\x08", b"PK\x03\x04abcdefgh", b"\x1f\x8bxx", idx(np.ones((2, 2)))[:-1]])
def test_a_damaged_idx_file_is_an_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x-idx"
    path.write_bytes(content)
    with pytest.raises(DataError, match="x-idx"):
        read_idx(path)
