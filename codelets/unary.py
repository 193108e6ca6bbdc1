"""Elementwise functions of one operand.

Costs are PopLibs' (popops cycle estimators, MIT) for a vertex of one worker: 20 slots, then per element or vector as
the table entries say: (c, u) with u > 0: c slots for u elements; (c, NATURAL): c slots and 4 of loop for one 64-bit
vector; (c, SINGLE): the same for one element.
"""

from poplar_py import (
    BOOL,
    VECTOR,
    Codelet,
    Input,
    Output,
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


def unary(target, x, single, half):
    """Worker slots of x.size elements; `single` for float and integers, `half` for half and 16-bit integers."""
    cost, unroll = half if x.dtype.size == 2 else single
    width = target.vector_width(x.dtype.size)
    if unroll > 0:
        return 20 + cost * -(-x.size // unroll)
    if unroll == NATURAL:
        return 20 + (cost + 4) * -(-x.size // width)
    return 20 + (cost + 4) * x.size


class Abs(Codelet):
    """y = |x|"""

    x = Input(VECTOR)
    y = Output(VECTOR)

    def compute(x, y):
        for i in range(x.size):
            y[i] = abs(x[i])

    def cycles(target, x, y):
        return unary(target, x, (1, SINGLE), (1, SINGLE))


class Neg(Codelet):
    """y = -x"""

    x = Input(VECTOR)
    y = Output(VECTOR)

    def compute(x, y):
        for i in range(x.size):
            y[i] = -x[i]

    def cycles(target, x, y):
        return unary(target, x, (2, 2), (2, 4))


class Square(Codelet):
    """y = x * x"""

    x = Input(VECTOR)
    y = Output(VECTOR)

    def compute(x, y):
        for i in range(x.size):
            y[i] = x[i] * x[i]

    def cycles(target, x, y):
        return unary(target, x, (2, 2), (2, 4))


class Relu(Codelet):
    """y = max(x, 0)"""

    x = Input(VECTOR)
    y = Output(VECTOR)

    def compute(x, y):
        for i in range(x.size):
            y[i] = max(x[i], 0)

    def cycles(target, x, y):
        return unary(target, x, (3, 2), (3, 4))


class Sqrt(Codelet):
    """y = the square root"""

    x = Input(VECTOR)
    y = Output(VECTOR)

    def compute(x, y):
        for i in range(x.size):
            y[i] = sqrt(x[i])

    def cycles(target, x, y):
        return unary(target, x, (10, 2), (23, 4))


class Rsqrt(Codelet):
    """y = 1 / sqrt(x)"""

    x = Input(VECTOR)
    y = Output(VECTOR)

    def compute(x, y):
        for i in range(x.size):
            y[i] = rsqrt(x[i])

    def cycles(target, x, y):
        return unary(target, x, (8, 2), (19, 4))


class Inverse(Codelet):
    """y = 1 / x"""

    x = Input(VECTOR)
    y = Output(VECTOR)

    def compute(x, y):
        for i in range(x.size):
            y[i] = 1 / x[i]

    def cycles(target, x, y):
        return unary(target, x, (6, 2), (15, 4))


class Floor(Codelet):
    """y = the largest whole number not above x"""

    x = Input(VECTOR)
    y = Output(VECTOR)

    def compute(x, y):
        for i in range(x.size):
            y[i] = floor(x[i])

    def cycles(target, x, y):
        return unary(target, x, (2, NATURAL), (2, NATURAL))


class Ceil(Codelet):
    """y = the smallest whole number not below x"""

    x = Input(VECTOR)
    y = Output(VECTOR)

    def compute(x, y):
        for i in range(x.size):
            y[i] = ceil(x[i])

    def cycles(target, x, y):
        return unary(target, x, (2, NATURAL), (2, NATURAL))


class Round(Codelet):
    """y = the nearest whole number, halves to even"""

    x = Input(VECTOR)
    y = Output(VECTOR)

    def compute(x, y):
        for i in range(x.size):
            y[i] = rint(x[i])

    def cycles(target, x, y):
        return unary(target, x, (2, NATURAL), (2, NATURAL))


class Trunc(Codelet):
    """y = x without its fraction"""

    x = Input(VECTOR)
    y = Output(VECTOR)

    def compute(x, y):
        for i in range(x.size):
            y[i] = trunc(x[i])

    def cycles(target, x, y):
        return unary(target, x, (3, 2), (11, 4))


class Sign(Codelet):
    """y = -1, 0 or 1"""

    x = Input(VECTOR)
    y = Output(VECTOR)

    def compute(x, y):
        for i in range(x.size):
            y[i] = 1 if x[i] > 0 else -1 if x[i] < 0 else 0

    def cycles(target, x, y):
        return unary(target, x, (5, NATURAL), (5, NATURAL))


class Exp(Codelet):
    """y = e to the x"""

    x = Input(VECTOR)
    y = Output(VECTOR)

    def compute(x, y):
        for i in range(x.size):
            y[i] = exp(x[i])

    def cycles(target, x, y):
        return unary(target, x, (6, 2), (4, 4))


class Log(Codelet):
    """y = the natural logarithm"""

    x = Input(VECTOR)
    y = Output(VECTOR)

    def compute(x, y):
        for i in range(x.size):
            y[i] = log(x[i])

    def cycles(target, x, y):
        return unary(target, x, (12, 2), (4, 4))


class Tanh(Codelet):
    """y = the hyperbolic tangent"""

    x = Input(VECTOR)
    y = Output(VECTOR)

    def compute(x, y):
        for i in range(x.size):
            y[i] = tanh(x[i])

    def cycles(target, x, y):
        return unary(target, x, (12, 2), (4, 4))


class Sigmoid(Codelet):
    """y = 1 / (1 + exp(-x))"""

    x = Input(VECTOR)
    y = Output(VECTOR)

    def compute(x, y):
        for i in range(x.size):
            y[i] = sigmoid(x[i])

    def cycles(target, x, y):
        return unary(target, x, (12, 2), (6, 4))


class Sin(Codelet):
    """y = the sine"""

    x = Input(VECTOR)
    y = Output(VECTOR)

    def compute(x, y):
        for i in range(x.size):
            y[i] = sin(x[i])

    def cycles(target, x, y):
        return unary(target, x, (2300, SINGLE), (25, 1))


class Cos(Codelet):
    """y = the cosine"""

    x = Input(VECTOR)
    y = Output(VECTOR)

    def compute(x, y):
        for i in range(x.size):
            y[i] = cos(x[i])

    def cycles(target, x, y):
        return unary(target, x, (2300, SINGLE), (25, 1))


class LogicalNot(Codelet):
    """y = not x"""

    x = Input(VECTOR, BOOL)
    y = Output(VECTOR, BOOL)

    def compute(x, y):
        for i in range(x.size):
            y[i] = not x[i]

    def cycles(target, x, y):
        return unary(target, x, (13, SINGLE), (13, SINGLE))


class IsNan(Codelet):
    """y = whether x is not a number"""

    x = Input(VECTOR)
    y = Output(VECTOR, BOOL)

    def compute(x, y):
        for i in range(x.size):
            y[i] = x[i] != x[i]

    def cycles(target, x, y):
        return unary(target, x, (3, NATURAL), (3, NATURAL))


class IsFinite(Codelet):
    """y = whether x is a finite number"""

    x = Input(VECTOR)
    y = Output(VECTOR, BOOL)

    def compute(x, y):
        for i in range(x.size):
            y[i] = x[i] - x[i] == 0

    def cycles(target, x, y):
        return unary(target, x, (5, NATURAL), (5, NATURAL))


class BitwiseNot(Codelet):
    """y = every bit of x turned over"""

    x = Input(VECTOR)
    y = Output(VECTOR)

    def compute(x, y):
        for i in range(x.size):
            y[i] = ~x[i]

    def cycles(target, x, y):
        return unary(target, x, (1, NATURAL), (1, NATURAL))
