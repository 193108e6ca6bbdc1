"""a = a + k b. Costs: PopLibs' scaled add (popops estimators, MIT): 24 slots, then k a 64-bit vector, k by types."""

from poplar_py import FLOAT, SCALAR, VECTOR, Codelet, Constant, InOut, Input, Output


def scaled(target, a, b):
    """Worker slots: 3 a vector of equal types, 5 where a wider b is added to half, 9 an integer."""
    if not a.dtype.is_floating:
        return 30 + 9 * a.size
    width = target.vector_width(max(a.dtype.size, b.dtype.size))
    rate = 3 if a.dtype.size == b.dtype.size else 4 if a.dtype.size > b.dtype.size else 5
    return 32 + rate * -(-a.size // width)


class ScaledAddInPlace(Codelet):
    """a = a + k b, k a number known when compiled"""

    a = InOut(VECTOR)
    b = Input(VECTOR)
    k = Constant(FLOAT)

    def compute(a, b, k):
        for i in range(a.size):
            a[i] += k * b[i]

    def cycles(target, a, b, k):
        return scaled(target, a, b)


class ScaledAddByInPlace(Codelet):
    """a = a + k b, k a tensor of one element"""

    a = InOut(VECTOR)
    b = Input(VECTOR)
    k = Input(SCALAR)

    def compute(a, b, k):
        for i in range(a.size):
            a[i] += k[0] * b[i]

    def cycles(target, a, b, k):
        return 6 + scaled(target, a, b)


class ScaledSubtractByInPlace(Codelet):
    """a = a - k b, k a tensor of one element"""

    a = InOut(VECTOR)
    b = Input(VECTOR)
    k = Input(SCALAR)

    def compute(a, b, k):
        for i in range(a.size):
            a[i] -= k[0] * b[i]

    def cycles(target, a, b, k):
        return 13 + scaled(target, a, b)


class ScaledAdd(Codelet):
    """out = j a + k b, j and k numbers known when compiled"""

    a = Input(VECTOR)
    b = Input(VECTOR)
    out = Output(VECTOR)
    j = Constant(FLOAT, 1.0)
    k = Constant(FLOAT, 1.0)

    def compute(a, b, out, j, k):
        for i in range(a.size):
            out[i] = j * a[i] + k * b[i]

    def cycles(target, a, b, out, j, k):
        return 12 + scaled(target, a, b)
