"""Running a codelet both ways on the same random memory."""

from __future__ import annotations

import numpy as np
import pytest

from poplar_py.codelet import MATRIX, SCALAR, Library
from poplar_py.codelet.batch import Signature, driver, interpreted
from poplar_py.dtypes import BOOL, FLOAT, HALF


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory):
    """Drivers of a test session go to a directory of its own, unless POPLAR_PY_CACHE says where."""
    import os

    if os.environ.get("POPLAR_PY_CACHE"):
        yield
        return
    os.environ["POPLAR_PY_CACHE"] = str(tmp_path_factory.mktemp("drivers"))
    yield
    del os.environ["POPLAR_PY_CACHE"]


def words_of(element, rng, count, tame=False):
    """Random words of an element type, specials among them unless `tame`."""
    if element is BOOL:
        return rng.integers(0, 2, count).astype(np.uint8)
    if element in (FLOAT, HALF):
        values = rng.standard_normal(count) * 10.0 ** rng.integers(-3, 4, count)
        values = np.where(rng.random(count) < 0.2, np.rint(values), values)
        if not tame:
            special = rng.choice([0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 1e-42, 6e-8, 65504.0, 1e30], count)
            values = np.where(rng.random(count) < 0.15, special, values)
        with np.errstate(over="ignore"):
            return values.astype(element.np).view(element.storage)
    info = np.iinfo(element.storage)
    small = rng.integers(max(info.min, -5), 6, count).astype(element.storage)
    wide = rng.integers(info.min, info.max, count, endpoint=True, dtype=element.storage)
    return np.where(rng.random(count) < (0.9 if tame else 0.5), small, wide)


def to_compute(element, words):
    if element is HALF:
        return words.view(np.float16).astype(np.float32)
    return words != 0 if element is BOOL else words.view(element.compute).copy()


def to_storage(element, array):
    if element is HALF:
        with np.errstate(over="ignore"):
            return array.astype(np.float16).view(np.uint16)
    return array.astype(np.uint8) if element is BOOL else array.view(element.storage)


class Both:
    """One codelet on `n` vertices with windows of the given (rows, cols), in both engines."""

    def __init__(self, info, dtypes, n=3, sizes=None, constants=None, seed=0, tame=False):
        self.signature = Signature(info, dtypes)
        rng = np.random.default_rng(seed)
        place, chunks, self.windows, self.columns, self.constants = 0, [], {}, [], {}
        for name, field in info.fields.items():
            element = self.signature.dtypes[name]
            if field.direction == "constant":
                value = (constants or {}).get(name)
                value = to_compute(element, words_of(element, rng, n, True)) if value is None else np.full(n, value)
                value = value.astype(np.uint8 if element is BOOL else element.compute)
                self.constants[name] = value
                self.columns.append(value)
                continue
            rows, cols = (sizes or {}).get(name, (1, 5))
            rows, cols = (1, 1) if field.kind == SCALAR else (rows if field.kind == MATRIX else 1, cols)
            stride = cols + 2 if field.kind == MATRIX else cols
            extent = rows * stride
            starts = np.empty(n, np.int64)
            for v in range(n):
                place = -(-place // 8) * 8
                starts[v] = place
                words = words_of(element, rng, extent, tame)
                chunks.append((place, words.view(np.uint8)))
                place += extent * element.size
            self.windows[name] = (starts, rows, cols, stride)
            self.columns.append(starts)
            fixed = (rows, cols, stride) if field.kind == MATRIX else () if field.kind == SCALAR else (cols,)
            self.columns += [np.broadcast_to(np.int64(x), n) for x in fixed]
        self.n = n
        self.memory = np.zeros(place + 8, np.uint8)
        for at, piece in chunks:
            self.memory[at : at + piece.size] = piece

    def compiled(self):
        memory = self.memory.copy()
        driver(self.signature)(0, self.n, memory, *self.columns)
        return memory

    def plain(self):
        memory, compute = self.memory.copy(), interpreted(self.signature)
        for v in range(self.n):
            arguments, outputs = {n: c[v] for n, c in self.constants.items()}, []
            for name, (starts, rows, cols, stride) in self.windows.items():
                element, field = self.signature.dtypes[name], self.signature.info.fields[name]
                at = starts[v] + element.size * (np.arange(rows)[:, None] * stride + np.arange(cols))
                at = at[..., None] + np.arange(element.size)
                words = memory[at].reshape(rows, cols * element.size).view(element.storage)
                array = to_compute(element, words)
                arguments[name] = array if field.kind == MATRIX else array.reshape(-1)
                if field.direction != "in":
                    outputs.append((at, element, arguments[name], words))
            compute(**arguments)
            for at, element, array, words in outputs:
                array = np.ascontiguousarray(array)
                memory[at] = to_storage(element, array).view(np.uint8).reshape(at.shape)
        return memory

    def agree(self):
        """Whether both give the same bytes, where any NaN equals any other."""
        fast, slow = self.compiled(), self.plain()
        if (fast == slow).all():
            return True
        for name, (starts, rows, cols, stride) in self.windows.items():
            element = self.signature.dtypes[name]
            at = starts[:, None] + element.size * (np.arange(rows)[:, None] * stride + np.arange(cols)).reshape(-1)
            at = at[..., None] + np.arange(element.size)
            one, other = (m[at].reshape(-1).view(element.np) for m in (fast, slow))
            both_nan = (one != one) & (other != other)
            bad = (one.view(element.storage) != other.view(element.storage)) & ~both_nan
            if bad.any():
                print(f"{self.signature}: {name} compiled {one[bad][:5]} plain {other[bad][:5]}")
                return False
        return True


@pytest.fixture(scope="session")
def both():
    return Both


@pytest.fixture
def load():
    """Codelets from source text: load(text) -> library."""

    def from_text(text, name="test.py"):
        library = Library()
        library.add_source("from poplar_py import *\n" + text, name)
        return library

    return from_text
