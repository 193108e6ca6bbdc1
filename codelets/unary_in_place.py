"""Elementwise functions of one operand, in place.

Costs are PopLibs' (popops cycle estimators, MIT) for a vertex of one worker: 20 slots, then per element or vector as
the table entries say: (c, u) with u > 0: c slots for u elements; (c, NATURAL): c slots and 4 of loop for one 64-bit
vector; (c, SINGLE): the same for one element.
"""

from poplar_py import (
    BOOL,
    VECTOR,
    Codelet,
    InOut,
    ceil,
    cos,
    exp,
    floor,
    log,
    rint,
    rsqrt,
    sigmoid,
    sin,
    sqrt,
    tanh,
    trunc,
)

NATURAL = 0
SINGLE = -1


def unary(target, y, single, half):
    """Worker slots of y.size elements; `single` for float and integers, `half` for half and 16-bit integers."""
    cost, unroll = half if y.dtype.size == 2 else single
    width = target.vector_width(y.dtype.size)
    if unroll > 0:
        return 20 + cost * -(-y.size // unroll)
    if unroll == NATURAL:
        return 20 + (cost + 4) * -(-y.size // width)
    return 20 + (cost + 4) * y.size


class AbsInPlace(Codelet):
    """y = |y|"""

    y = InOut(VECTOR)

    def compute(y):
        for i in range(y.size):
            y[i] = abs(y[i])

    def cycles(target, y):
        return unary(target, y, (1, NATURAL), (1, NATURAL))


class NegInPlace(Codelet):
    """y = -y"""

    y = InOut(VECTOR)

    def compute(y):
        for i in range(y.size):
            y[i] = -y[i]

    def cycles(target, y):
        return unary(target, y, (3, 2), (3, 4))


class SquareInPlace(Codelet):
    """y = y * y"""

    y = InOut(VECTOR)

    def compute(y):
        for i in range(y.size):
            y[i] = y[i] * y[i]

    def cycles(target, y):
        return unary(target, y, (2, 2), (2, 4))


class ReluInPlace(Codelet):
    """y = max(y, 0)"""

    y = InOut(VECTOR)

    def compute(y):
        for i in range(y.size):
            y[i] = max(y[i], 0)

    def cycles(target, y):
        return unary(target, y, (2, 2), (2, 4))


class SqrtInPlace(Codelet):
    """y = the square root of y"""

    y = InOut(VECTOR)

    def compute(y):
        for i in range(y.size):
            y[i] = sqrt(y[i])

    def cycles(target, y):
        return unary(target, y, (10, 2), (23, 4))


class RsqrtInPlace(Codelet):
    """y = 1 / sqrt(y)"""

    y = InOut(VECTOR)

    def compute(y):
        for i in range(y.size):
            y[i] = rsqrt(y[i])

    def cycles(target, y):
        return unary(target, y, (8, 2), (19, 4))


class InverseInPlace(Codelet):
    """y = 1 / y"""

    y = InOut(VECTOR)

    def compute(y):
        for i in range(y.size):
            y[i] = 1 / y[i]

    def cycles(target, y):
        return unary(target, y, (6, 2), (15, 4))


class FloorInPlace(Codelet):
    """y = the largest whole number not above y"""

    y = InOut(VECTOR)

    def compute(y):
        for i in range(y.size):
            y[i] = floor(y[i])

    def cycles(target, y):
        return unary(target, y, (2, NATURAL), (2, NATURAL))


class CeilInPlace(Codelet):
    """y = the smallest whole number not below y"""

    y = InOut(VECTOR)

    def compute(y):
        for i in range(y.size):
            y[i] = ceil(y[i])

    def cycles(target, y):
        return unary(target, y, (2, NATURAL), (2, NATURAL))


class RoundInPlace(Codelet):
    """y = the nearest whole number, halves to even of y"""

    y = InOut(VECTOR)

    def compute(y):
        for i in range(y.size):
            y[i] = rint(y[i])

    def cycles(target, y):
        return unary(target, y, (2, NATURAL), (2, NATURAL))


class TruncInPlace(Codelet):
    """y = y without its fraction"""

    y = InOut(VECTOR)

    def compute(y):
        for i in range(y.size):
            y[i] = trunc(y[i])

    def cycles(target, y):
        return unary(target, y, (4, 2), (11, 4))


class SignInPlace(Codelet):
    """y = -1, 0 or 1 of y"""

    y = InOut(VECTOR)

    def compute(y):
        for i in range(y.size):
            y[i] = 1 if y[i] > 0 else -1 if y[i] < 0 else 0

    def cycles(target, y):
        return unary(target, y, (5, NATURAL), (5, NATURAL))


class ExpInPlace(Codelet):
    """y = e to the y"""

    y = InOut(VECTOR)

    def compute(y):
        for i in range(y.size):
            y[i] = exp(y[i])

    def cycles(target, y):
        return unary(target, y, (6, 2), (4, 4))


class LogInPlace(Codelet):
    """y = the natural logarithm of y"""

    y = InOut(VECTOR)

    def compute(y):
        for i in range(y.size):
            y[i] = log(y[i])

    def cycles(target, y):
        return unary(target, y, (14, 2), (6, 4))


class TanhInPlace(Codelet):
    """y = the hyperbolic tangent of y"""

    y = InOut(VECTOR)

    def compute(y):
        for i in range(y.size):
            y[i] = tanh(y[i])

    def cycles(target, y):
        return unary(target, y, (10, 2), (2, 4))


class SigmoidInPlace(Codelet):
    """y = 1 / (1 + exp(-y))"""

    y = InOut(VECTOR)

    def compute(y):
        for i in range(y.size):
            y[i] = sigmoid(y[i])

    def cycles(target, y):
        return unary(target, y, (10, 2), (4, 4))


class SinInPlace(Codelet):
    """y = the sine of y"""

    y = InOut(VECTOR)

    def compute(y):
        for i in range(y.size):
            y[i] = sin(y[i])

    def cycles(target, y):
        return unary(target, y, (2300, SINGLE), (25, 1))


class CosInPlace(Codelet):
    """y = the cosine of y"""

    y = InOut(VECTOR)

    def compute(y):
        for i in range(y.size):
            y[i] = cos(y[i])

    def cycles(target, y):
        return unary(target, y, (2300, SINGLE), (25, 1))


class LogicalNotInPlace(Codelet):
    """y = not y"""

    y = InOut(VECTOR, BOOL)

    def compute(y):
        for i in range(y.size):
            y[i] = not y[i]

    def cycles(target, y):
        return unary(target, y, (13, SINGLE), (13, SINGLE))
