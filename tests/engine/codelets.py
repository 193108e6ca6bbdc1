"""Codelets for the engine tests."""

from poplar_py import MATRIX, VECTOR, Codelet, Constant, InOut, Input, Output


class Dot(Codelet):
    """out = a . b"""

    a = Input(VECTOR)
    b = Input(VECTOR)
    out = Output()

    def compute(a, b, out):
        total = 0.0
        for i in range(a.size):
            total += a[i] * b[i]
        out[0] = total

    def cycles(target, a, b, out):
        return 12 + 2 * a.size


class MatVec(Codelet):
    """y = m x"""

    m = Input(MATRIX)
    x = Input(VECTOR)
    y = Output(VECTOR)

    def compute(m, x, y):
        for i in range(m.rows):
            total = 0.0
            for j in range(m.cols):
                total += m[i, j] * x[j]
            y[i] = total


class AddConstant(Codelet):
    """a += k"""

    a = InOut(VECTOR)
    k = Constant()

    def compute(a, k):
        for i in range(a.size):
            a[i] += k


class Sum(Codelet):
    """out = a + b, elementwise, any type"""

    a = Input(VECTOR)
    b = Input(VECTOR)
    out = Output(VECTOR)

    def compute(a, b, out):
        for i in range(a.size):
            out[i] = a[i] + b[i]


class Less(Codelet):
    """out = a < b"""

    a = Input()
    b = Input()
    out = Output()

    def compute(a, b, out):
        out[0] = a[0] < b[0]


class Increment(Codelet):
    """x += 1"""

    x = InOut()

    def compute(x):
        x[0] += 1


class FirstOnly(Codelet):
    """out[0] = a[0]; the rest of out keeps what it held."""

    a = Input(VECTOR)
    out = Output(VECTOR, partial=True)

    def compute(a, out):
        out[0] = a[0]


class Swap(Codelet):
    """Rows of a block reversed in place."""

    m = InOut(MATRIX)

    def compute(m):
        for i in range(m.rows // 2):
            for j in range(m.cols):
                keep = m[i, j]
                m[i, j] = m[m.rows - 1 - i, j]
                m[m.rows - 1 - i, j] = keep
