"""Elementwise functions of three operands. Costs: PopLibs' Select and Clamp (popops estimators, MIT)."""

from poplar_py import BOOL, SCALAR, VECTOR, Codelet, Constant, InOut, Input, Output


class Select(Codelet):
    """out = a where c is true, else b"""

    a = Input(VECTOR)
    b = Input(VECTOR)
    c = Input(VECTOR, BOOL)
    out = Output(VECTOR)

    def compute(a, b, c, out):
        for i in range(a.size):
            out[i] = a[i] if c[i] else b[i]

    def cycles(target, a, b, c, out):
        return 11 + 5 * a.size


class SelectInPlace(Codelet):
    """a = a where c is true, else b"""

    a = InOut(VECTOR)
    b = Input(VECTOR)
    c = Input(VECTOR, BOOL)

    def compute(a, b, c):
        for i in range(a.size):
            if not c[i]:
                a[i] = b[i]

    def cycles(target, a, b, c):
        return 11 + 5 * a.size


def clamp_slots(target, x):
    """Worker slots: two a 64-bit vector, seven an integer."""
    if x.dtype.is_floating:
        return 11 + 2 * -(-x.size // target.vector_width(x.dtype.size))
    return 11 + 7 * x.size


class Clamp(Codelet):
    """out = x, not below low and not above high (tensors of one element)"""

    x = Input(VECTOR)
    low = Input(SCALAR)
    high = Input(SCALAR)
    out = Output(VECTOR)

    def compute(x, low, high, out):
        for i in range(x.size):
            out[i] = min(max(x[i], low[0]), high[0])

    def cycles(target, x, low, high, out):
        return clamp_slots(target, x)


class ClampBetween(Codelet):
    """out = x, not below low and not above high (numbers known when compiled)"""

    x = Input(VECTOR)
    out = Output(VECTOR)
    low = Constant()
    high = Constant()

    def compute(x, out, low, high):
        for i in range(x.size):
            out[i] = min(max(x[i], low), high)

    def cycles(target, x, out, low, high):
        return clamp_slots(target, x)


class ClampInPlace(Codelet):
    """y = y, not below low and not above high (tensors of one element)"""

    y = InOut(VECTOR)
    low = Input(SCALAR)
    high = Input(SCALAR)

    def compute(y, low, high):
        for i in range(y.size):
            y[i] = min(max(y[i], low[0]), high[0])

    def cycles(target, y, low, high):
        return clamp_slots(target, y)
