"""Elementwise arithmetic and logic of two operands, written over the first.

Costs are PopLibs' (popops cycle estimators, MIT) for a vertex of one worker: 20 slots, then per element or vector
as the table entries say: (c, u) with u > 0: c slots for u elements; (c, NATURAL): c slots and 2 or 5 of loop for one 64-bit
vector. Integers of any width take the third entry.
"""

from poplar_py import BOOL, VECTOR, Codelet, InOut, Input, fmod

NATURAL = 0


def binary(target, a, single, half, whole, loop=5):
    """Worker slots of a.size elements; `single` for float, `half` for half, `whole` for integers and bool."""
    cost, unroll = whole if not a.dtype.is_floating else half if a.dtype.size == 2 else single
    if unroll > 0:
        return 20 + cost * -(-a.size // unroll)
    return 20 + (cost + loop) * -(-a.size // target.vector_width(a.dtype.size))


class AddInPlace(Codelet):
    """a = a + b"""

    a = InOut(VECTOR)
    b = Input(VECTOR)

    def compute(a, b):
        for i in range(a.size):
            a[i] = a[i] + b[i]

    def cycles(target, a, b):
        return binary(target, a, (1, NATURAL), (1, NATURAL), (7, 1), loop=2)


class SubInPlace(Codelet):
    """a = a - b"""

    a = InOut(VECTOR)
    b = Input(VECTOR)

    def compute(a, b):
        for i in range(a.size):
            a[i] = a[i] - b[i]

    def cycles(target, a, b):
        return binary(target, a, (1, NATURAL), (1, NATURAL), (7, 1), loop=2)


class MulInPlace(Codelet):
    """a = a * b"""

    a = InOut(VECTOR)
    b = Input(VECTOR)

    def compute(a, b):
        for i in range(a.size):
            a[i] = a[i] * b[i]

    def cycles(target, a, b):
        return binary(target, a, (1, NATURAL), (1, NATURAL), (7, 1), loop=2)


class DivInPlace(Codelet):
    """a = a / b; whole numbers: rounded towards zero"""

    a = InOut(VECTOR)
    b = Input(VECTOR)

    def compute(a, b):
        for i in range(a.size):
            a[i] = a[i] / b[i]

    def cycles(target, a, b):
        return binary(target, a, (10, 2), (21, 4), (277, 1))


class MaxInPlace(Codelet):
    """a = the larger"""

    a = InOut(VECTOR)
    b = Input(VECTOR)

    def compute(a, b):
        for i in range(a.size):
            a[i] = max(a[i], b[i])

    def cycles(target, a, b):
        return binary(target, a, (4, 2), (4, 4), (8, 1))


class MinInPlace(Codelet):
    """a = the smaller"""

    a = InOut(VECTOR)
    b = Input(VECTOR)

    def compute(a, b):
        for i in range(a.size):
            a[i] = min(a[i], b[i])

    def cycles(target, a, b):
        return binary(target, a, (4, 2), (4, 4), (8, 1))


class PowInPlace(Codelet):
    """a = a to the power b"""

    a = InOut(VECTOR)
    b = Input(VECTOR)

    def compute(a, b):
        for i in range(a.size):
            a[i] = a[i] ** b[i]

    def cycles(target, a, b):
        return binary(target, a, (312, 1), (325, 1), (23, 1))


class RemainderInPlace(Codelet):
    """a = the remainder of a / b, with the sign of a"""

    a = InOut(VECTOR)
    b = Input(VECTOR)

    def compute(a, b):
        for i in range(a.size):
            a[i] = fmod(a[i], b[i])

    def cycles(target, a, b):
        return binary(target, a, (93, 2), (225, 4), (280, 1))


class BitwiseAndInPlace(Codelet):
    """a = a and b, bit by bit"""

    a = InOut(VECTOR)
    b = Input(VECTOR)

    def compute(a, b):
        for i in range(a.size):
            a[i] = a[i] & b[i]

    def cycles(target, a, b):
        return binary(target, a, (7, 1), (7, 1), (7, 1), loop=2)


class BitwiseOrInPlace(Codelet):
    """a = a or b, bit by bit"""

    a = InOut(VECTOR)
    b = Input(VECTOR)

    def compute(a, b):
        for i in range(a.size):
            a[i] = a[i] | b[i]

    def cycles(target, a, b):
        return binary(target, a, (7, 1), (7, 1), (7, 1), loop=2)


class BitwiseXorInPlace(Codelet):
    """a = a or b but not both, bit by bit"""

    a = InOut(VECTOR)
    b = Input(VECTOR)

    def compute(a, b):
        for i in range(a.size):
            a[i] = a[i] ^ b[i]

    def cycles(target, a, b):
        return binary(target, a, (7, 1), (7, 1), (7, 1), loop=2)


class ShiftLeftInPlace(Codelet):
    """a = a with its bits moved up by b"""

    a = InOut(VECTOR)
    b = Input(VECTOR)

    def compute(a, b):
        for i in range(a.size):
            a[i] = a[i] << b[i]

    def cycles(target, a, b):
        return binary(target, a, (7, 1), (7, 1), (7, 1), loop=2)


class ShiftRightInPlace(Codelet):
    """a = a with its bits moved down by b, the sign kept"""

    a = InOut(VECTOR)
    b = Input(VECTOR)

    def compute(a, b):
        for i in range(a.size):
            a[i] = a[i] >> b[i]

    def cycles(target, a, b):
        return binary(target, a, (7, 1), (7, 1), (7, 1), loop=2)


class LogicalAndInPlace(Codelet):
    """a = a and b"""

    a = InOut(VECTOR, BOOL)
    b = Input(VECTOR, BOOL)

    def compute(a, b):
        for i in range(a.size):
            a[i] = a[i] and b[i]

    def cycles(target, a, b):
        return binary(target, a, (4, 4), (4, 4), (4, 4))


class LogicalOrInPlace(Codelet):
    """a = a or b"""

    a = InOut(VECTOR, BOOL)
    b = Input(VECTOR, BOOL)

    def compute(a, b):
        for i in range(a.size):
            a[i] = a[i] or b[i]

    def cycles(target, a, b):
        return binary(target, a, (4, 4), (4, 4), (4, 4))
