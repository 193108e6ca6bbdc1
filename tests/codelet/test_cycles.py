"""Prices: columns cost what their rows cost one by one, and derived cycles follow the instructions."""

import numpy as np
import pytest

from poplar_py.codelet import MATRIX, SCALAR, Library
from poplar_py.codelet.cost import ceil_div, per_worker, vectors
from poplar_py.dtypes import FLOAT, HALF, INT
from poplar_py.errors import CodeletError
from poplar_py.target import Target

TARGET = Target.gc200()
DOT = """
class Dot(Codelet):
    a = Input(VECTOR)
    b = Input(VECTOR)
    out = Output()

    def compute(a, b, out):
        total = 0.0
        for i in range(a.size):
            total += a[i] * b[i]
        out[0] = total
"""
UNPRICED = """
def near(v, k):
    return v * k if v > k else v

class Blur(Codelet):
    a = Input(MATRIX)
    out = Output(MATRIX)
    k = Constant(INT, 2)

    def compute(a, out, k):
        margin = k // 2
        for r in range(margin, a.rows - margin):
            for c in range(a.cols):
                total = 0.0
                for j in range(-margin, margin + 1):
                    total += near(a[r + j, c], k)
                if total > 0:
                    out[r, c] = total / (2 * margin + 1)
                else:
                    out[r, c] = exp(total)
        out[0] = 0
"""


def price(info, rows, cols, element=FLOAT, constants=None):
    sizes = {}
    for name, field in info.fields.items():
        if field.direction != "constant":
            sizes[name] = (rows if field.kind == MATRIX else 1, 1 if field.kind == SCALAR else cols)
    types = {name: field.dtype or element for name, field in info.fields.items()}
    constants = constants or {
        n: 1 if f.default is None else f.default for n, f in info.fields.items() if f.direction == "constant"
    }
    return info.cycles(TARGET, sizes, constants, types)


def test_a_plain_dot_costs_four_slots_an_element(load):
    info = load(DOT)["Dot"]
    assert [price(info, 1, n) for n in (0, 1, 143)] == [18, 22, 18 + 4 * 143]
    assert not info.has_cycles


@pytest.mark.parametrize("element", [FLOAT, HALF, INT], ids=str)
def test_columns_cost_what_their_rows_cost(load, element):
    rng = np.random.default_rng(0)
    rows, cols = rng.integers(0, 20, 30), rng.integers(0, 50, 30)
    for info in (load(DOT)["Dot"], load(UNPRICED)["Blur"], *Library.builtin().values()):
        column = np.broadcast_to(price(info, rows, cols, element), 30)
        assert column.tolist() == [price(info, int(r), int(c), element) for r, c in zip(rows, cols, strict=True)], info


def test_derived_cycles_never_fall_as_sizes_grow(load):
    info = load(UNPRICED)["Blur"]
    sizes = np.arange(60)
    assert (np.diff(price(info, sizes, 40)) >= 0).all() and (np.diff(price(info, 7, sizes)) > 0).all()
    assert price(info, 20, 20, constants={"k": 6}) > price(info, 20, 20, constants={"k": 2})


def test_cycles_that_ask_if_are_priced_size_by_size(load):
    text = DOT + "    def cycles(target, a, out):\n        return 5 if a.size > 8 else max(a.size, 2)\n"
    assert price(load(text)["Dot"], 1, np.array([1, 7, 9, 7])).tolist() == [2, 7, 5, 7]


def test_words_of_cycle_functions_need_no_import(load):
    text = (
        DOT + "    def cycles(target, a):\n        return OVERHEAD + 2 * vectors(target, a) + per_worker(target, a)\n"
    )
    info = load(text)["Dot"]
    assert price(info, 1, 13) == 18 + 2 * 7 + 3 and price(info, 1, 13, HALF) == 18 + 2 * 4 + 3


def test_words():
    column = np.array([0, 1, 12, 13])
    assert ceil_div(column, 6).tolist() == [0, 1, 2, 3] and per_worker(TARGET, 13) == 3
    assert vectors(TARGET, column, HALF).tolist() == [0, 1, 3, 4]


def test_cycles_must_be_a_number(load):
    info = load(DOT + "    def cycles(target, a):\n        return 'many'\n")["Dot"]
    with pytest.raises(CodeletError, match="cycles gave"):
        price(info, 1, 4)


def test_scratch(load):
    text = DOT + "    def scratch(target, a):\n        return 4 * a.size\n"
    types = {"a": FLOAT, "b": FLOAT, "out": FLOAT}
    sizes = {"a": (1, np.array([3, 5])), "b": (1, np.array([3, 5])), "out": (1, 1)}
    assert load(text)["Dot"].scratch(TARGET, sizes, {}, types).tolist() == [12, 20]
    assert load(DOT)["Dot"].scratch(TARGET, sizes, {}, types) == 0


def test_instructions_are_counted(load):
    assert 15 < load(DOT)["Dot"].instructions < load(UNPRICED)["Blur"].instructions < 80
