"""Rows of a matrix with one vector: a bias added, a scale multiplied.

Costs: PopLibs' vector-outer broadcast (popops estimators, MIT): a row costs 7 slots and (c + 1) a 64-bit vector.
"""

from poplar_py import MATRIX, VECTOR, Codelet, InOut, Input, Output


def by_row(target, x):
    """Worker slots of x.rows rows of x.cols elements."""
    return 15 + x.rows * (7 + 2 * -(-x.cols // target.vector_width(x.dtype.size)))


class AddRows(Codelet):
    """out = a + b, the same b for every row"""

    a = Input(MATRIX)
    b = Input(VECTOR)
    out = Output(MATRIX)

    def compute(a, b, out):
        for r in range(a.shape[0]):
            for c in range(a.shape[1]):
                out[r, c] = a[r, c] + b[c]

    def cycles(target, a, b, out):
        return by_row(target, a)


class AddRowsInPlace(Codelet):
    """a = a + b, the same b for every row"""

    a = InOut(MATRIX)
    b = Input(VECTOR)

    def compute(a, b):
        for r in range(a.shape[0]):
            for c in range(a.shape[1]):
                a[r, c] += b[c]

    def cycles(target, a, b):
        return by_row(target, a)


class MulRows(Codelet):
    """out = a * b, the same b for every row"""

    a = Input(MATRIX)
    b = Input(VECTOR)
    out = Output(MATRIX)

    def compute(a, b, out):
        for r in range(a.shape[0]):
            for c in range(a.shape[1]):
                out[r, c] = a[r, c] * b[c]

    def cycles(target, a, b, out):
        return by_row(target, a)


class MulRowsInPlace(Codelet):
    """a = a * b, the same b for every row"""

    a = InOut(MATRIX)
    b = Input(VECTOR)

    def compute(a, b):
        for r in range(a.shape[0]):
            for c in range(a.shape[1]):
                a[r, c] *= b[c]

    def cycles(target, a, b):
        return by_row(target, a)
