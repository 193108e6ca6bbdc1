"""Elementwise arithmetic of two operands, the second of one element, written over the first.

Costs are PopLibs' (popops cycle estimators, MIT) for a vertex of one worker: 20 slots, then per element or vector
as the table entries say: (c, u) with u > 0: c slots for u elements; (c, NATURAL): c slots and 1 or 4 of loop for one 64-bit
vector. Integers of any width take the third entry.
"""

from poplar_py import SCALAR, VECTOR, Codelet, InOut, Input, fmod

NATURAL = 0


def binary(target, a, single, half, whole, loop=4):
    """Worker slots of a.size elements; `single` for float, `half` for half, `whole` for integers and bool."""
    cost, unroll = whole if not a.dtype.is_floating else half if a.dtype.size == 2 else single
    if unroll > 0:
        return 20 + cost * -(-a.size // unroll)
    return 20 + (cost + loop) * -(-a.size // target.vector_width(a.dtype.size))


class AddScalarInPlace(Codelet):
    """a = a + b"""

    a = InOut(VECTOR)
    b = Input(SCALAR)

    def compute(a, b):
        for i in range(a.size):
            a[i] = a[i] + b[0]

    def cycles(target, a, b):
        return binary(target, a, (1, NATURAL), (1, NATURAL), (6, 1), loop=1)


class SubScalarInPlace(Codelet):
    """a = a - b"""

    a = InOut(VECTOR)
    b = Input(SCALAR)

    def compute(a, b):
        for i in range(a.size):
            a[i] = a[i] - b[0]

    def cycles(target, a, b):
        return binary(target, a, (1, NATURAL), (1, NATURAL), (6, 1), loop=1)


class MulScalarInPlace(Codelet):
    """a = a * b"""

    a = InOut(VECTOR)
    b = Input(SCALAR)

    def compute(a, b):
        for i in range(a.size):
            a[i] = a[i] * b[0]

    def cycles(target, a, b):
        return binary(target, a, (1, NATURAL), (1, NATURAL), (6, 1), loop=1)


class DivScalarInPlace(Codelet):
    """a = a / b; whole numbers: rounded towards zero"""

    a = InOut(VECTOR)
    b = Input(SCALAR)

    def compute(a, b):
        for i in range(a.size):
            a[i] = a[i] / b[0]

    def cycles(target, a, b):
        return binary(target, a, (6, 2), (8, 2), (277, 1))


class MaxScalarInPlace(Codelet):
    """a = the larger"""

    a = InOut(VECTOR)
    b = Input(SCALAR)

    def compute(a, b):
        for i in range(a.size):
            a[i] = max(a[i], b[0])

    def cycles(target, a, b):
        return binary(target, a, (3, 2), (3, 4), (8, 1))


class MinScalarInPlace(Codelet):
    """a = the smaller"""

    a = InOut(VECTOR)
    b = Input(SCALAR)

    def compute(a, b):
        for i in range(a.size):
            a[i] = min(a[i], b[0])

    def cycles(target, a, b):
        return binary(target, a, (3, 2), (3, 4), (8, 1))


class PowScalarInPlace(Codelet):
    """a = a to the power b"""

    a = InOut(VECTOR)
    b = Input(SCALAR)

    def compute(a, b):
        for i in range(a.size):
            a[i] = a[i] ** b[0]

    def cycles(target, a, b):
        return binary(target, a, (312, 1), (325, 1), (23, 1))


class RemainderScalarInPlace(Codelet):
    """a = the remainder of a / b, with the sign of a"""

    a = InOut(VECTOR)
    b = Input(SCALAR)

    def compute(a, b):
        for i in range(a.size):
            a[i] = fmod(a[i], b[0])

    def cycles(target, a, b):
        return binary(target, a, (93, 2), (225, 4), (280, 1))


class BitwiseAndScalarInPlace(Codelet):
    """a = a and b, bit by bit"""

    a = InOut(VECTOR)
    b = Input(SCALAR)

    def compute(a, b):
        for i in range(a.size):
            a[i] = a[i] & b[0]

    def cycles(target, a, b):
        return binary(target, a, (6, 1), (6, 1), (6, 1), loop=1)


class BitwiseOrScalarInPlace(Codelet):
    """a = a or b, bit by bit"""

    a = InOut(VECTOR)
    b = Input(SCALAR)

    def compute(a, b):
        for i in range(a.size):
            a[i] = a[i] | b[0]

    def cycles(target, a, b):
        return binary(target, a, (6, 1), (6, 1), (6, 1), loop=1)


class BitwiseXorScalarInPlace(Codelet):
    """a = a or b but not both, bit by bit"""

    a = InOut(VECTOR)
    b = Input(SCALAR)

    def compute(a, b):
        for i in range(a.size):
            a[i] = a[i] ^ b[0]

    def cycles(target, a, b):
        return binary(target, a, (6, 1), (6, 1), (6, 1), loop=1)


class ShiftLeftScalarInPlace(Codelet):
    """a = a with its bits moved up by b"""

    a = InOut(VECTOR)
    b = Input(SCALAR)

    def compute(a, b):
        for i in range(a.size):
            a[i] = a[i] << b[0]

    def cycles(target, a, b):
        return binary(target, a, (6, 1), (6, 1), (6, 1), loop=1)


class ShiftRightScalarInPlace(Codelet):
    """a = a with its bits moved down by b, the sign kept"""

    a = InOut(VECTOR)
    b = Input(SCALAR)

    def compute(a, b):
        for i in range(a.size):
            a[i] = a[i] >> b[0]

    def cycles(target, a, b):
        return binary(target, a, (6, 1), (6, 1), (6, 1), loop=1)


class ReverseSubScalarInPlace(Codelet):
    """a = b - a"""

    a = InOut(VECTOR)
    b = Input(SCALAR)

    def compute(a, b):
        for i in range(a.size):
            a[i] = b[0] - a[i]

    def cycles(target, a, b):
        return binary(target, a, (1, NATURAL), (1, NATURAL), (6, 1), loop=1)


class ReverseDivScalarInPlace(Codelet):
    """a = b / a"""

    a = InOut(VECTOR)
    b = Input(SCALAR)

    def compute(a, b):
        for i in range(a.size):
            a[i] = b[0] / a[i]

    def cycles(target, a, b):
        return binary(target, a, (6, 2), (8, 2), (277, 1))


class ReversePowScalarInPlace(Codelet):
    """a = b to the power a"""

    a = InOut(VECTOR)
    b = Input(SCALAR)

    def compute(a, b):
        for i in range(a.size):
            a[i] = b[0] ** a[i]

    def cycles(target, a, b):
        return binary(target, a, (312, 1), (325, 1), (23, 1))


class ReverseRemainderScalarInPlace(Codelet):
    """a = the remainder of b / a, with the sign of b"""

    a = InOut(VECTOR)
    b = Input(SCALAR)

    def compute(a, b):
        for i in range(a.size):
            a[i] = fmod(b[0], a[i])

    def cycles(target, a, b):
        return binary(target, a, (93, 2), (225, 4), (280, 1))


class ReverseShiftLeftScalarInPlace(Codelet):
    """a = b with its bits moved up by a"""

    a = InOut(VECTOR)
    b = Input(SCALAR)

    def compute(a, b):
        for i in range(a.size):
            a[i] = b[0] << a[i]

    def cycles(target, a, b):
        return binary(target, a, (6, 1), (6, 1), (6, 1), loop=1)


class ReverseShiftRightScalarInPlace(Codelet):
    """a = b with its bits moved down by a, the sign kept"""

    a = InOut(VECTOR)
    b = Input(SCALAR)

    def compute(a, b):
        for i in range(a.size):
            a[i] = b[0] >> a[i]

    def cycles(target, a, b):
        return binary(target, a, (6, 1), (6, 1), (6, 1), loop=1)
