"""The codelets of tutorials 5 and 6."""

from poplar_py import MATRIX, VECTOR, Codelet, Input, Output


class DotProduct(Codelet):
    """out = a . b"""

    a = Input(VECTOR)
    b = Input(VECTOR)
    out = Output()

    def compute(a, b, out):
        total = 0.0
        for i in range(a.size):
            total += a[i] * b[i]
        out[0] = total

    def cycles(target, a):
        # an inner loop written by hand takes two elements a slot and half; compiled code takes four slots an element
        return 5 + (a.size + 1) // 2


class SumPartials(Codelet):
    """out = the sum of a row of partial results"""

    partials = Input(VECTOR)
    out = Output()

    def compute(partials, out):
        total = 0.0
        for i in range(partials.size):
            total += partials[i]
        out[0] = total

    def cycles(target, partials):
        return 2 + partials.size


class MatrixRows(Codelet):
    """y = m x for some rows"""

    m = Input(MATRIX)
    x = Input(VECTOR)
    y = Output(VECTOR)

    def compute(m, x, y):
        for i in range(m.rows):
            total = 0.0
            for j in range(m.cols):
                total += m[i, j] * x[j]
            y[i] = total
