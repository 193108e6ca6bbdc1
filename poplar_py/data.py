"""Real labelled images by name, split into what one trains on and what one tests on. Nothing is ever made up.

    mnist      10,000 real MNIST digits that ship with the package: rows 0-8499 to train on, 8500-9999 to test on
    idx:DIR    MNIST, Fashion-MNIST or alike: the four IDX files of DIR, plain or gzipped
    digits     1,797 digits of 8x8 points from scikit-learn, where that is installed: the last 360 to test on
"""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .errors import DataError, MissingTool, did_you_mean

NAMES = ("mnist", "digits", "idx:DIR")
_PACKAGE = Path(__file__).resolve().parent
_MNIST = "mnist10k.npz"
_MNIST_TRAINING_ROWS = 8500
_DIGITS_TEST_ROWS = 360
_IDX_TYPES = {0x08: np.uint8, 0x09: np.int8, 0x0B: np.dtype(">i2"), 0x0C: np.dtype(">i4"), 0x0D: np.dtype(">f4")}


@dataclass(frozen=True)
class Split:
    """Samples: images float32 (n, height, width) of values 0..1, labels int32 (n,)."""

    images: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class DataSet:
    """A named set of labelled images in two parts that share no sample."""

    name: str
    training: Split
    test: Split
    source: str

    @property
    def num_classes(self) -> int:
        return int(max(self.training.labels.max(initial=0), self.test.labels.max(initial=0))) + 1


def load_data(name: str) -> DataSet:
    """The data set of that name. Raises DataError where it is unknown, missing or damaged, MissingTool where the
    package that holds it is not installed."""
    if name.startswith("idx:"):
        return _idx_folder(Path(name[4:]), name)
    if name == "mnist":
        return _mnist()
    if name == "digits":
        return _digits()
    raise DataError(f"no data set '{name}'.{did_you_mean(name, NAMES)} Data sets: {', '.join(NAMES)}")


def _part(images: np.ndarray, labels: np.ndarray, largest: float) -> Split:
    return Split((images / np.float32(largest)).astype(np.float32), labels.astype(np.int32))


def _mnist() -> DataSet:
    places = [_PACKAGE / "_models", _PACKAGE.parent / "models"]
    found = [path for place in places for path in sorted(place.rglob(_MNIST))]
    if not found:
        raise DataError(f"the MNIST digits ({_MNIST}) are not in {' or '.join(map(str, places))}; install poplar_py again")
    try:
        with np.load(found[0], allow_pickle=False) as file:
            images, labels = file["images"], file["labels"]
    except (OSError, KeyError, ValueError, EOFError, zlib.error) as problem:
        raise DataError(f"{found[0]} is damaged ({problem}); install poplar_py again") from None
    cut = _MNIST_TRAINING_ROWS
    source = f"MNIST, {len(labels):,} digits: {cut:,} to train on, {len(labels) - cut:,} to test on"
    return DataSet("mnist", _part(images[:cut], labels[:cut], 255), _part(images[cut:], labels[cut:], 255), source)


def _digits() -> DataSet:
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise MissingTool("data set 'digits' comes with scikit-learn; pip install scikit-learn") from None
    found = load_digits()
    cut = len(found.target) - _DIGITS_TEST_ROWS
    parts = _part(found.images[:cut], found.target[:cut], 16), _part(found.images[cut:], found.target[cut:], 16)
    return DataSet("digits", *parts, f"scikit-learn digits, {cut:,} to train on, {_DIGITS_TEST_ROWS:,} to test on")


# IDX files -----------------------------------------------------------------------------------------------------


def _idx_folder(folder: Path, name: str) -> DataSet:
    if not folder.is_dir():
        raise DataError(f"{name}: there is no folder {folder}")
    parts = []
    for prefix in ("train", "t10k"):
        images, labels = _idx_part(folder, f"{prefix}-images-idx3-ubyte"), _idx_part(folder, f"{prefix}-labels-idx1-ubyte")
        if images.ndim != 3 or labels.ndim != 1 or len(images) != len(labels):
            raise DataError(f"{name}: {prefix} has images {list(images.shape)} and labels {list(labels.shape)}")
        parts.append(_part(images, labels, 255))
    source = f"{folder}, {len(parts[0]):,} to train on, {len(parts[1]):,} to test on"
    return DataSet(name, parts[0], parts[1], source)


def _idx_part(folder: Path, stem: str) -> np.ndarray:
    names = [f"{stem}{end}" for end in ("", ".gz")] + [stem.replace("-idx", ".idx", 1) + end for end in ("", ".gz")]
    for name in names:
        if (folder / name).is_file():
            return read_idx(folder / name)
    raise DataError(f"{folder} has no {stem} or {stem}.gz")


def read_idx(path: str | Path) -> np.ndarray:
    """The array of an IDX file, gzipped or not. Raises DataError where it is damaged."""
    try:
        raw = Path(path).read_bytes()
        if raw[:2] == b"\x1f\x8b":
            raw = gzip.decompress(raw)
    except (OSError, EOFError, zlib.error) as problem:
        raise DataError(f"cannot read {path}: {problem}") from None
    if len(raw) < 4 or raw[:2] != b"\0\0" or raw[2] not in _IDX_TYPES or len(raw) < 4 + 4 * raw[3]:
        raise DataError(f"{path} is not an IDX file")
    shape = np.frombuffer(raw, ">u4", raw[3], 4).astype(np.int64)
    kind = np.dtype(_IDX_TYPES[raw[2]])
    begin, wanted = 4 + 4 * raw[3], int(shape.prod()) * kind.itemsize
    if len(raw) != begin + wanted:
        raise DataError(f"{path} is cut short or too long: {len(raw) - begin:,} bytes of data, {wanted:,} expected")
    return np.frombuffer(raw, kind, offset=begin).reshape(shape)
