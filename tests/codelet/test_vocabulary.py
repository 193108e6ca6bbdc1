"""Functions of tile code: their accuracy, the bits of both engines, random numbers and matrix products."""

import math

import numpy as np
import pytest

from poplar_py.codelet import Library
from poplar_py.codelet.batch import Signature, driver, interpreted
from poplar_py.codelet.vocabulary import multiply_accumulate, random_bits, random_uniform
from poplar_py.dtypes import FLOAT, HALF, INT, UNSIGNED_INT

ONE = [
    "exp",
    "exp2",
    "log",
    "log2",
    "log10",
    "tanh",
    "sigmoid",
    "rsqrt",
    "sin",
    "cos",
    "tan",
    "asin",
    "acos",
    "atan",
    "sinh",
    "cosh",
    "expm1",
    "log1p",
    "erf",
]
TWO = {"pow": "x[i] ** y[i]", "fmod": "fmod(x[i], y[i])", "atan2": "atan2(x[i], y[i])", "hypot": "hypot(x[i], y[i])"}


def elementwise(load, expression):
    return load(
        "class F(Codelet):\n    x = Input(VECTOR)\n    y = InOut(VECTOR)\n    def compute(x, y):\n"
        f"        for i in range(x.size):\n            y[i] = {expression}\n"
    )["F"]


def exact(name, x):
    """The function in float64, by the C library."""
    own = {
        "sigmoid": lambda v: 1 / (1 + math.exp(-v)) if v > -700 else 0.0, "rsqrt": lambda v: 1 / math.sqrt(v),
        "exp2": lambda v: 2.0**v,
    }  # fmt: skip
    try:
        return (own.get(name) or getattr(math, name))(x)
    except (ValueError, OverflowError, ZeroDivisionError):
        return None


@pytest.mark.parametrize("name", ONE)
def test_functions_are_rounded_once(load, name):
    rng = np.random.default_rng(0)
    x = (rng.standard_normal(800) * 10.0 ** rng.integers(-6, 3, 800)).astype(np.float32)
    x = np.concatenate([x, np.linspace(-1, 1, 101, dtype=np.float32), np.float32([0, 1, 2, 8, 88.7, -103, 1e-44])])
    memory = np.concatenate([x, np.zeros_like(x)]).view(np.uint8)
    n = np.array([x.size])
    driver(Signature(elementwise(load, f"{name}(x[i])"), {"x": FLOAT, "y": FLOAT}))(0, 1, memory, n * 0, n, n * 4, n)
    for argument, found in zip(x.tolist(), memory.view(np.float32)[x.size :].tolist(), strict=True):
        value = exact(name, argument)
        if value is not None and abs(value) < 3e38:
            unit = float(np.spacing(np.float32(abs(value))))
            assert abs(found - value) <= 0.501 * unit, (name, argument)


@pytest.mark.parametrize("expression", [*(f"{n}(x[i])" for n in ONE), *TWO.values(), "x[i] % y[i]", "x[i] // y[i]"])
def test_both_engines_have_the_same_bits(load, both, expression):
    info = elementwise(load, expression)
    assert both(info, {"x": FLOAT, "y": FLOAT}, n=2, sizes={"x": (1, 300), "y": (1, 300)}, seed=5).agree()


def test_special_values(load):
    def at(expression, *values):
        x = np.array(values, np.float32)
        y = x[::-1].copy()
        interpreted(Signature(elementwise(load, expression), {"x": FLOAT, "y": FLOAT}))(x=x, y=y)
        return y.tolist()

    inf, nan = math.inf, pytest.approx(math.nan, nan_ok=True)
    assert at("log(x[i])", 0, -1, inf, 1) == [-inf, nan, inf, 0]
    assert at("exp(x[i])", -inf, inf, math.nan, 0) == [0, inf, nan, 1]
    assert at("tanh(x[i])", inf, -inf, 0) == [1, -1, 0]
    assert at("x[i] ** -1.0", 0, 4, -inf) == [inf, 0.25, 0]
    assert at("log1p(x[i])", -1, -2) == [-inf, nan]
    assert at("sqrt(x[i])", -1, 4) == [nan, 2]
    assert at("isnan(x[i]) + 2 * isinf(x[i]) + 4 * isfinite(x[i])", math.nan, inf, 3) == [1, 2, 4]


def test_random_bits_are_philox():
    """The published vectors of Philox4x32-10: counter and key all zeros, all ones."""
    ones = 0xFFFFFFFF
    assert random_bits(0, 0, 0, 0) == 0x6627E8D5
    assert random_bits(ones, ones, 0, ones) != random_bits(ones, ones, 1, ones)


def test_random_numbers_are_a_function_of_place(load):
    text = """
class Draw(Codelet):
    bits = Output(VECTOR, UNSIGNED_INT)
    unit = Output(VECTOR, FLOAT)
    first = Constant(INT)

    def compute(bits, unit, first):
        for i in range(bits.size):
            bits[i] = random_bits(7, 11, 3, first + i)
            unit[i] = random_uniform(7, 11, 3, first + i)
"""
    types = {"bits": UNSIGNED_INT, "unit": FLOAT, "first": INT}
    call = driver(Signature(load(text)["Draw"], types))

    def draw(cuts):
        memory = np.zeros(8000, np.uint8)
        begin, size = np.array(cuts[:-1]), np.diff(cuts)
        call(0, len(size), memory, begin * 4, size, 4000 + begin * 4, size, begin.astype(np.int32))
        return memory[:4000].view(np.uint32), memory[4000:].view(np.float32)

    bits, unit = draw([0, 1000])
    again, _ = draw([0, 1, 500, 503, 1000])
    assert np.array_equal(bits, again)
    assert bits[:3].tolist() == [int(random_bits(7, 11, 3, i)) for i in range(3)]
    assert unit[5] == random_uniform(7, 11, 3, 5)
    assert unit.min() >= 0 and unit.max() < 1 and abs(unit.mean() - 0.5) < 0.03 and len(set(bits.tolist())) > 990


@pytest.mark.parametrize("element", [FLOAT, HALF, INT], ids=str)
@pytest.mark.parametrize("m, k, n", [(1, 1, 1), (3, 2, 5), (8, 16, 8), (17, 9, 1), (1, 40, 33), (4, 0, 3), (0, 3, 3)])
@pytest.mark.parametrize("ta", [False, True])
@pytest.mark.parametrize("tb", [False, True])
def test_matrix_products(element, m, k, n, ta, tb):
    name = "MatMulAccumulate" + ("Transposed" + "A" * ta + "B" * tb if ta or tb else "")
    rng = np.random.default_rng(m * k + n)
    a = rng.integers(-4, 5, (k, m) if ta else (m, k)).astype(element.np)
    b = rng.integers(-4, 5, (n, k) if tb else (k, n)).astype(element.np)
    out = rng.integers(-4, 5, (m, n)).astype(element.np)
    places, memory = [], np.zeros(0, np.uint8)
    for x in (a, b, out):  # rows two elements apart
        padded = np.zeros((x.shape[0], x.shape[1] + 2), element.np)
        padded[:, : x.shape[1]] = x
        places += [np.array([v]) for v in (memory.size, *x.shape, x.shape[1] + 2)]
        memory = np.concatenate([memory, padded.view(np.uint8).reshape(-1), np.zeros(-padded.nbytes % 8, np.uint8)])
    driver(Signature(Library.builtin()[name], dict.fromkeys(("a", "b", "out"), element)))(0, 1, memory, *places)
    found = memory[places[8][0] :][: m * (n + 2) * element.size].view(element.np).reshape(m, n + 2)
    wanted = out.astype(np.float64) + (a.T if ta else a).astype(np.float64) @ (b.T if tb else b).astype(np.float64)
    assert np.array_equal(found[:, :n].astype(np.float64), wanted)
    assert not found[:, n:].any()


def test_matrix_product_of_rows_that_overlap():
    """A row stride of 0, as of a broadcast operand, is beyond BLAS and works all the same."""
    x = np.arange(64, dtype=np.float32)
    memory = np.concatenate([x, np.ones(64, np.float32), np.zeros(64, np.float32)]).view(np.uint8)
    column = [np.array([v]) for v in (0, 8, 8, 0, 256, 8, 8, 8, 512, 8, 8, 8)]
    driver(Signature(Library.builtin()["MatMulAccumulate"], dict.fromkeys(("a", "b", "out"), FLOAT)))(
        0, 1, memory, *column
    )
    assert (memory[512:].view(np.float32) == 28).all()


def test_plain_product_may_replace():
    out = np.ones((2, 2), np.float32)
    multiply_accumulate(out, np.eye(2, dtype=np.float32), out.copy(), accumulate=False)
    assert (out == 1).all()
