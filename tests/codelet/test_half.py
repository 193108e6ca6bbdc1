"""Half precision: compiled conversions equal numpy's, bit for bit."""

import numpy as np
import pytest

from poplar_py.codelet import native
from poplar_py.codelet.batch import Signature, driver
from poplar_py.dtypes import FLOAT, HALF

COPY = """
class Move(Codelet):
    x = Input(VECTOR)
    y = Output(VECTOR)

    def compute(x, y):
        for i in range(x.size):
            y[i] = x[i]
"""


def move(load, source, target, words, size):
    """Words of `source` as compiled tile code stores them in `target`, in windows of `size`."""
    call = driver(Signature(load(COPY)["Move"], {"x": source, "y": target}))
    n = -(-words.size // size)
    begin = np.arange(n) * size
    length = np.minimum(size, words.size - begin)
    memory = np.zeros(words.size * (source.size + target.size) + 8, np.uint8)
    memory[: words.nbytes] = words.view(np.uint8)
    offset = words.nbytes
    call(0, n, memory, begin * source.size, length, offset + begin * target.size, length)
    return memory[offset : offset + words.size * target.size].view(target.storage)


def hard_floats():
    """Floats around every half, every midpoint between halves, and random ones."""
    halves = np.arange(65536, dtype=np.uint16).view(np.float16).astype(np.float32)
    with np.errstate(all="ignore"):
        middle = ((halves.astype("f8") + np.roll(halves, -1)) / 2).astype("f4")
        near = [halves, middle, np.nextafter(middle, np.float32(9e9)), np.nextafter(middle, np.float32(-9e9))]
    rng = np.random.default_rng(1)
    any_bits = rng.integers(0, 2**32, 200_000, dtype=np.uint32).view(np.float32)
    edge = np.float32([65503.9, 65519.99, 65520, 65536, 1e30, np.inf, 2**-24, 2**-25, 2.0**-25 * 1.0001, 1e-45, -0.0])
    floats = np.concatenate([*near, any_bits, edge, -edge])
    return floats[~np.isnan(floats)]


@pytest.mark.parametrize("size", [1, 7, 8, 65536])
def test_every_half_widens_as_in_numpy(load, size):
    halves = np.arange(65536, dtype=np.uint16)
    floats = move(load, HALF, FLOAT, halves, size)
    expected = halves.view(np.float16).astype(np.float32)
    both_nan = np.isnan(expected) & np.isnan(floats)
    assert np.array_equal(np.isnan(expected), np.isnan(floats))
    assert np.array_equal(floats.view(np.uint32)[~both_nan], expected.view(np.uint32)[~both_nan])


@pytest.mark.parametrize("size", [1, 7, 1 << 20])
def test_floats_round_to_half_as_in_numpy(load, size):
    floats = hard_floats()
    with np.errstate(over="ignore"):
        expected = floats.astype(np.float16).view(np.uint16)
    assert np.array_equal(move(load, FLOAT, HALF, floats.view(np.uint32).view(np.float32), size), expected)


def test_every_half_survives_a_copy(load):
    halves = np.arange(65536, dtype=np.uint16)
    copied = move(load, HALF, HALF, halves, 100)
    numbers = ~np.isnan(halves.view(np.float16))
    assert np.array_equal(copied[numbers], halves[numbers])
    assert np.isnan(copied.view(np.float16)[~numbers]).all()


def test_conversion_without_the_instruction():
    """What machines without F16C run."""
    from numba import njit

    widen = njit(native._half_to_float_by_bits)
    narrow = njit(native._float_to_half_by_bits)
    halves = np.arange(65536, dtype=np.uint16)
    floats = np.array([widen(w) for w in halves], np.float32)
    expected = halves.view(np.float16).astype(np.float32)
    numbers = ~np.isnan(expected)
    assert np.array_equal(floats.view(np.uint32)[numbers], expected.view(np.uint32)[numbers])
    assert np.isnan(floats[~numbers]).all()
    hard = hard_floats()[::3]
    with np.errstate(over="ignore"):
        wanted = hard.astype(np.float16).view(np.uint16)
    assert np.array_equal(np.array([narrow(x) for x in hard], np.uint16), wanted)


def test_one_region_in_two_inout_fields_is_one_place(load):
    text = """
class Twice(Codelet):
    x = InOut(VECTOR)
    y = InOut(VECTOR)

    def compute(x, y):
        for i in range(x.size):
            x[i] += 1
            y[i] *= 2
"""
    call = driver(Signature(load(text)["Twice"], {"x": HALF, "y": HALF}))
    memory = np.arange(6).astype(np.float16).view(np.uint8).copy()
    column = np.array([0, 6]), np.array([3, 3])
    call(0, 2, memory, *column, *column)
    assert memory.view(np.float16).tolist() == [2, 4, 6, 8, 10, 12]


def test_accumulate_in_half_rounds_after_every_operation(load):
    text = """
class Sum(Codelet):
    accumulate = HALF
    x = Input(VECTOR)
    out = Output(SCALAR, FLOAT)

    def compute(x, out):
        total = 0.0
        for i in range(x.size):
            total += x[i]
        out[0] = total
"""
    values = np.full(3000, 1.0, np.float16)
    memory = np.concatenate([np.zeros(4, np.uint8), values.view(np.uint8)])
    call = driver(Signature(load(text)["Sum"], {"x": HALF, "out": FLOAT}))
    call(0, 1, memory, np.array([4]), np.array([3000]), np.array([0]))
    assert memory[:4].view(np.float32)[0] == 2048  # 2048 + 1 is no half
