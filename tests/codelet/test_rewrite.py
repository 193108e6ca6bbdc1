"""Rewriting and batching: the compiled driver and plain Python give the same bits for random small codelets."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from poplar_py.codelet.batch import Signature, interpreted, rewritten
from poplar_py.dtypes import ALL, BOOL, FLOAT, HALF, INT, UNSIGNED_LONGLONG
from poplar_py.errors import CodeletError

ELEMENT = ["x[i]", "z[i]", "w", "k", "t", "i", "x.size", "2", "3.5", "-7", "True", "x[0]", "c"]
BINARY = ["+", "-", "*", "/", "//", "%", "&", "|", "^", "<<", ">>", "**", "<", ">=", "==", "!=", "and", "or"]
ONE = [
    "-{}",
    "abs({})",
    "not {}",
    "int({})",
    "float({})",
    "bool({})",
    "exp({})",
    "sqrt({})",
    "floor({})",
    "~{}",
    "round({})",
    "np.int16({})",
]
TWO = ["max({}, {})", "min({}, {})", "fmod({}, {})", "({} if {} else 1)", "twist({}, {})"]


@st.composite
def expressions(draw, depth=3):
    choice = draw(st.integers(0, 9)) if depth else 0
    if choice < 3:
        return draw(st.sampled_from(ELEMENT))
    part = expressions(depth=depth - 1)
    if choice < 7:
        return f"({draw(part)} {draw(st.sampled_from(BINARY))} {draw(part)})"
    if choice < 8:
        return "(" + draw(st.sampled_from(ONE)).format(draw(part)) + ")"
    return draw(st.sampled_from(TWO)).format(draw(part), draw(part))


TEXT = """
import numpy as np

def twist(a, b):
    if a > b:
        return a - b
    return b

class Random(Codelet):
    x = Input(VECTOR)
    z = Input(VECTOR)
    w = Input(SCALAR)
    y = Output(VECTOR)
    s = InOut(SCALAR)
    k = Constant(None, 3)

    def compute(x, z, w, y, s, k):
        t = {start}
        c = 0
        for i in range(x.size):
            if {test}:
                t = {first}
                c += 1
            else:
                t {op}= {second}
            y[i] = {third}
        s = t
"""


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_compiled_equals_plain(load, both, data):
    draw = data.draw
    text = TEXT.format(
        start=draw(st.sampled_from(["0", "0.0", "x[0]", "w"])),
        test=draw(expressions(depth=1)), first=draw(expressions(depth=2)), second=draw(expressions(depth=2)),
        third=draw(expressions()), op=draw(st.sampled_from(["+", "*", "-", "/", "//", "%"])),
    )  # fmt: skip
    types = {name: draw(st.sampled_from(ALL)) for name in "xzwys"} | {"k": draw(st.sampled_from([FLOAT, INT, BOOL]))}
    info = load(text)["Random"]
    try:
        rewritten(Signature(info, types))
    except CodeletError:
        return  # bits of floats and the like: refused alike by both
    assert both(info, types, seed=draw(st.integers(0, 99))).agree(), text


@pytest.mark.parametrize("element", ALL, ids=str)
def test_whole_matrix_statements(load, both, element):
    text = """
class Rows(Codelet):
    a = Input(MATRIX)
    b = Input(VECTOR)
    out = Output(MATRIX)
    last = Output(VECTOR, partial=True)

    def compute(a, b, out, last):
        out[:] = a
        rows, cols = a.shape
        for r in range(rows):
            row = out[r]
            if r == 1:
                row[:] = b
            for v in a[r]:
                last[0] = v
            out[r][0] = a[r, cols - 1]
        last[1:3] = 1
        out[0, :] = out[rows - 1]
"""
    types = dict.fromkeys(("a", "b", "out", "last"), element)
    assert both(load(text)["Rows"], types, n=3, sizes={"a": (4, 5), "out": (4, 5), "b": (1, 5), "last": (1, 5)}).agree()


def test_while_break_continue_and_unpacking(load, both):
    text = """
LIMIT = 6
class Collatz(Codelet):
    x = Input(VECTOR, INT)
    y = Output(VECTOR, INT)

    def compute(x, y):
        for i in range(x.size - 1, -1, -1):
            n, steps = abs(x[i]) % 1000 + 1, 0
            y[i] = -1
            if i == 2:
                continue
            while True:
                if n == 1:
                    break
                n = n // 2 if n % 2 == 0 else 3 * n + 1
                steps += 1
                if steps > LIMIT * 20:
                    return
            y[i] = steps
"""
    assert both(load(text)["Collatz"], {"x": INT, "y": INT}, n=5, sizes={"x": (1, 9), "y": (1, 9)}).agree()


def run(load, body, x, element, y_element=None, fields=""):
    text = f"class C(Codelet):\n    x = Input(VECTOR)\n    y = Output(VECTOR)\n    def compute(x, y):\n        {body}\n"
    out = np.zeros(len(x), (y_element or element).compute)
    info = load(text)["C"]
    interpreted(Signature(info, {"x": element, "y": y_element or element}))(x=np.asarray(x, element.compute), y=out)
    return out.tolist()


def test_rules_of_arithmetic(load):
    each = "for i in range(x.size): y[i] = "
    assert run(load, each + "x[i] // 0 + x[i] % 0", [5, -5], INT) == [0, 0]
    assert run(load, each + "x[i] // 3", [7, -7], INT) == [2, -3]
    assert run(load, each + "x[i] / 2", [7, -7], INT) == [3, -3]  # stored in whole numbers: exact, towards zero
    assert run(load, each + "x[i] / 2", [7, -7], INT, FLOAT) == [3.5, -3.5]
    assert run(load, each + "x[i] + 1", [2**31 - 1], INT) == [-(2**31)]
    assert run(load, each + "x[i] * 1e10", [1, -1], FLOAT, INT) == [2**31 - 1, -(2**31)]
    assert run(load, each + "x[i] - 0.1", [0.3], FLOAT) == [float(np.float32(0.3) - np.float32(0.1))]
    assert run(load, each + "x[i] / 0", [1, -1], FLOAT) == [float("inf"), float("-inf")]
    assert run(load, each + "(x[i] > 0) - (x[i] < 0)", [3, -2, 0], FLOAT) == [1, -1, 0]
    assert run(load, each + "x[i] >> 70", [-1, 5], INT) == [-1, 0]
    assert run(load, each + "x[i] ** 2 + 2 ** x[i]", [3, 0], INT) == [17, 1]
    assert run(load, each + "x[i] - 1", [0], UNSIGNED_LONGLONG) == [2**64 - 1]


def test_a_local_from_a_literal_is_32_bits(load):
    text = rewritten(
        Signature(
            load(
                "class C(Codelet):\n x = Input(VECTOR)\n y = Output()\n def compute(x, y):\n  t = 0\n  f = 0.0\n  y[0] = t + f + x[0]"
            )["C"],
            {"x": HALF, "y": HALF},
        )
    ).text
    assert "t = __i32(0)" in text and "f = __f32(0.0)" in text
