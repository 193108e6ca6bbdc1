"""Elementwise arithmetic of two operands.

Costs are PopLibs' (popops cycle estimators, MIT) for a vertex of one worker: 5 slots, then per element or vector
as the table entries say: (c, u) with u > 0: c slots for u elements; (c, NATURAL): c slots and 2 or 5 of loop for one 64-bit
vector. Integers of any width take the third entry.
"""

from poplar_py import VECTOR, Codelet, Input, Output, fmod

NATURAL = 0


def binary(target, a, single, half, whole, loop=5):
    """Worker slots of a.size elements; `single` for float, `half` for half, `whole` for integers and bool."""
    cost, unroll = whole if not a.dtype.is_floating else half if a.dtype.size == 2 else single
    if unroll > 0:
        return 5 + cost * -(-a.size // unroll)
    return 5 + (cost + loop) * -(-a.size // target.vector_width(a.dtype.size))


class Add(Codelet):
    """out = a + b"""

    a = Input(VECTOR)
    b = Input(VECTOR)
    out = Output(VECTOR)
    mirror = "Add"  # the same with a and b exchanged

    def compute(a, b, out):
        for i in range(a.size):
            out[i] = a[i] + b[i]

    def cycles(target, a, b, out):
        return binary(target, a, (1, NATURAL), (1, NATURAL), (7, 1), loop=2)


class Sub(Codelet):
    """out = a - b"""

    a = Input(VECTOR)
    b = Input(VECTOR)
    out = Output(VECTOR)
    mirror = "ReverseSub"  # the same with a and b exchanged

    def compute(a, b, out):
        for i in range(a.size):
            out[i] = a[i] - b[i]

    def cycles(target, a, b, out):
        return binary(target, a, (1, NATURAL), (1, NATURAL), (7, 1), loop=2)


class Mul(Codelet):
    """out = a * b"""

    a = Input(VECTOR)
    b = Input(VECTOR)
    out = Output(VECTOR)
    mirror = "Mul"  # the same with a and b exchanged

    def compute(a, b, out):
        for i in range(a.size):
            out[i] = a[i] * b[i]

    def cycles(target, a, b, out):
        return binary(target, a, (1, NATURAL), (1, NATURAL), (7, 1), loop=2)


class Div(Codelet):
    """out = a / b; whole numbers: rounded towards zero"""

    a = Input(VECTOR)
    b = Input(VECTOR)
    out = Output(VECTOR)
    mirror = "ReverseDiv"  # the same with a and b exchanged

    def compute(a, b, out):
        for i in range(a.size):
            out[i] = a[i] / b[i]

    def cycles(target, a, b, out):
        return binary(target, a, (10, 2), (21, 4), (277, 1))


class Max(Codelet):
    """out = the larger"""

    a = Input(VECTOR)
    b = Input(VECTOR)
    out = Output(VECTOR)
    mirror = "Max"  # the same with a and b exchanged

    def compute(a, b, out):
        for i in range(a.size):
            out[i] = max(a[i], b[i])

    def cycles(target, a, b, out):
        return binary(target, a, (4, 2), (4, 4), (8, 1))


class Min(Codelet):
    """out = the smaller"""

    a = Input(VECTOR)
    b = Input(VECTOR)
    out = Output(VECTOR)
    mirror = "Min"  # the same with a and b exchanged

    def compute(a, b, out):
        for i in range(a.size):
            out[i] = min(a[i], b[i])

    def cycles(target, a, b, out):
        return binary(target, a, (4, 2), (4, 4), (8, 1))


class Pow(Codelet):
    """out = a to the power b"""

    a = Input(VECTOR)
    b = Input(VECTOR)
    out = Output(VECTOR)
    mirror = "ReversePow"  # the same with a and b exchanged

    def compute(a, b, out):
        for i in range(a.size):
            out[i] = a[i] ** b[i]

    def cycles(target, a, b, out):
        return binary(target, a, (312, 1), (325, 1), (23, 1))


class Remainder(Codelet):
    """out = the remainder of a / b, with the sign of a"""

    a = Input(VECTOR)
    b = Input(VECTOR)
    out = Output(VECTOR)
    mirror = "ReverseRemainder"  # the same with a and b exchanged

    def compute(a, b, out):
        for i in range(a.size):
            out[i] = fmod(a[i], b[i])

    def cycles(target, a, b, out):
        return binary(target, a, (93, 2), (225, 4), (280, 1))


class BitwiseAnd(Codelet):
    """out = a and b, bit by bit"""

    a = Input(VECTOR)
    b = Input(VECTOR)
    out = Output(VECTOR)
    mirror = "BitwiseAnd"  # the same with a and b exchanged

    def compute(a, b, out):
        for i in range(a.size):
            out[i] = a[i] & b[i]

    def cycles(target, a, b, out):
        return binary(target, a, (7, 1), (7, 1), (7, 1), loop=2)


class BitwiseOr(Codelet):
    """out = a or b, bit by bit"""

    a = Input(VECTOR)
    b = Input(VECTOR)
    out = Output(VECTOR)
    mirror = "BitwiseOr"  # the same with a and b exchanged

    def compute(a, b, out):
        for i in range(a.size):
            out[i] = a[i] | b[i]

    def cycles(target, a, b, out):
        return binary(target, a, (7, 1), (7, 1), (7, 1), loop=2)


class BitwiseXor(Codelet):
    """out = a or b but not both, bit by bit"""

    a = Input(VECTOR)
    b = Input(VECTOR)
    out = Output(VECTOR)
    mirror = "BitwiseXor"  # the same with a and b exchanged

    def compute(a, b, out):
        for i in range(a.size):
            out[i] = a[i] ^ b[i]

    def cycles(target, a, b, out):
        return binary(target, a, (7, 1), (7, 1), (7, 1), loop=2)


class ShiftLeft(Codelet):
    """out = a with its bits moved up by b"""

    a = Input(VECTOR)
    b = Input(VECTOR)
    out = Output(VECTOR)
    mirror = "ReverseShiftLeft"  # the same with a and b exchanged

    def compute(a, b, out):
        for i in range(a.size):
            out[i] = a[i] << b[i]

    def cycles(target, a, b, out):
        return binary(target, a, (7, 1), (7, 1), (7, 1), loop=2)


class ShiftRight(Codelet):
    """out = a with its bits moved down by b, the sign kept"""

    a = Input(VECTOR)
    b = Input(VECTOR)
    out = Output(VECTOR)
    mirror = "ReverseShiftRight"  # the same with a and b exchanged

    def compute(a, b, out):
        for i in range(a.size):
            out[i] = a[i] >> b[i]

    def cycles(target, a, b, out):
        return binary(target, a, (7, 1), (7, 1), (7, 1), loop=2)
