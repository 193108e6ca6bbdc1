"""Elementwise arithmetic of two operands, the second of one element.

Costs are PopLibs' (popops cycle estimators, MIT) for a vertex of one worker: 20 slots, then per element or vector
as the table entries say: (c, u) with u > 0: c slots for u elements; (c, NATURAL): c slots and 1 or 4 of loop for one 64-bit
vector. Integers of any width take the third entry.
"""

from poplar_py import SCALAR, VECTOR, Codelet, Input, Output, fmod

NATURAL = 0


def binary(target, a, single, half, whole, loop=4):
    """Worker slots of a.size elements; `single` for float, `half` for half, `whole` for integers and bool."""
    cost, unroll = whole if not a.dtype.is_floating else half if a.dtype.size == 2 else single
    if unroll > 0:
        return 20 + cost * -(-a.size // unroll)
    return 20 + (cost + loop) * -(-a.size // target.vector_width(a.dtype.size))


class AddScalar(Codelet):
    """out = a + b"""

    a = Input(VECTOR)
    b = Input(SCALAR)
    out = Output(VECTOR)

    def compute(a, b, out):
        for i in range(a.size):
            out[i] = a[i] + b[0]

    def cycles(target, a, b, out):
        return binary(target, a, (1, NATURAL), (1, NATURAL), (6, 1), loop=1)


class SubScalar(Codelet):
    """out = a - b"""

    a = Input(VECTOR)
    b = Input(SCALAR)
    out = Output(VECTOR)

    def compute(a, b, out):
        for i in range(a.size):
            out[i] = a[i] - b[0]

    def cycles(target, a, b, out):
        return binary(target, a, (1, NATURAL), (1, NATURAL), (6, 1), loop=1)


class MulScalar(Codelet):
    """out = a * b"""

    a = Input(VECTOR)
    b = Input(SCALAR)
    out = Output(VECTOR)

    def compute(a, b, out):
        for i in range(a.size):
            out[i] = a[i] * b[0]

    def cycles(target, a, b, out):
        return binary(target, a, (1, NATURAL), (1, NATURAL), (6, 1), loop=1)


class DivScalar(Codelet):
    """out = a / b; whole numbers: rounded towards zero"""

    a = Input(VECTOR)
    b = Input(SCALAR)
    out = Output(VECTOR)

    def compute(a, b, out):
        for i in range(a.size):
            out[i] = a[i] / b[0]

    def cycles(target, a, b, out):
        return binary(target, a, (6, 2), (8, 2), (277, 1))


class MaxScalar(Codelet):
    """out = the larger"""

    a = Input(VECTOR)
    b = Input(SCALAR)
    out = Output(VECTOR)

    def compute(a, b, out):
        for i in range(a.size):
            out[i] = max(a[i], b[0])

    def cycles(target, a, b, out):
        return binary(target, a, (3, 2), (3, 4), (8, 1))


class MinScalar(Codelet):
    """out = the smaller"""

    a = Input(VECTOR)
    b = Input(SCALAR)
    out = Output(VECTOR)

    def compute(a, b, out):
        for i in range(a.size):
            out[i] = min(a[i], b[0])

    def cycles(target, a, b, out):
        return binary(target, a, (3, 2), (3, 4), (8, 1))


class PowScalar(Codelet):
    """out = a to the power b"""

    a = Input(VECTOR)
    b = Input(SCALAR)
    out = Output(VECTOR)

    def compute(a, b, out):
        for i in range(a.size):
            out[i] = a[i] ** b[0]

    def cycles(target, a, b, out):
        return binary(target, a, (312, 1), (325, 1), (23, 1))


class RemainderScalar(Codelet):
    """out = the remainder of a / b, with the sign of a"""

    a = Input(VECTOR)
    b = Input(SCALAR)
    out = Output(VECTOR)

    def compute(a, b, out):
        for i in range(a.size):
            out[i] = fmod(a[i], b[0])

    def cycles(target, a, b, out):
        return binary(target, a, (93, 2), (225, 4), (280, 1))


class BitwiseAndScalar(Codelet):
    """out = a and b, bit by bit"""

    a = Input(VECTOR)
    b = Input(SCALAR)
    out = Output(VECTOR)

    def compute(a, b, out):
        for i in range(a.size):
            out[i] = a[i] & b[0]

    def cycles(target, a, b, out):
        return binary(target, a, (6, 1), (6, 1), (6, 1), loop=1)


class BitwiseOrScalar(Codelet):
    """out = a or b, bit by bit"""

    a = Input(VECTOR)
    b = Input(SCALAR)
    out = Output(VECTOR)

    def compute(a, b, out):
        for i in range(a.size):
            out[i] = a[i] | b[0]

    def cycles(target, a, b, out):
        return binary(target, a, (6, 1), (6, 1), (6, 1), loop=1)


class BitwiseXorScalar(Codelet):
    """out = a or b but not both, bit by bit"""

    a = Input(VECTOR)
    b = Input(SCALAR)
    out = Output(VECTOR)

    def compute(a, b, out):
        for i in range(a.size):
            out[i] = a[i] ^ b[0]

    def cycles(target, a, b, out):
        return binary(target, a, (6, 1), (6, 1), (6, 1), loop=1)


class ShiftLeftScalar(Codelet):
    """out = a with its bits moved up by b"""

    a = Input(VECTOR)
    b = Input(SCALAR)
    out = Output(VECTOR)

    def compute(a, b, out):
        for i in range(a.size):
            out[i] = a[i] << b[0]

    def cycles(target, a, b, out):
        return binary(target, a, (6, 1), (6, 1), (6, 1), loop=1)


class ShiftRightScalar(Codelet):
    """out = a with its bits moved down by b, the sign kept"""

    a = Input(VECTOR)
    b = Input(SCALAR)
    out = Output(VECTOR)

    def compute(a, b, out):
        for i in range(a.size):
            out[i] = a[i] >> b[0]

    def cycles(target, a, b, out):
        return binary(target, a, (6, 1), (6, 1), (6, 1), loop=1)


class ReverseSubScalar(Codelet):
    """out = b - a"""

    a = Input(VECTOR)
    b = Input(SCALAR)
    out = Output(VECTOR)

    def compute(a, b, out):
        for i in range(a.size):
            out[i] = b[0] - a[i]

    def cycles(target, a, b, out):
        return binary(target, a, (1, NATURAL), (1, NATURAL), (6, 1), loop=1)


class ReverseDivScalar(Codelet):
    """out = b / a"""

    a = Input(VECTOR)
    b = Input(SCALAR)
    out = Output(VECTOR)

    def compute(a, b, out):
        for i in range(a.size):
            out[i] = b[0] / a[i]

    def cycles(target, a, b, out):
        return binary(target, a, (6, 2), (8, 2), (277, 1))


class ReversePowScalar(Codelet):
    """out = b to the power a"""

    a = Input(VECTOR)
    b = Input(SCALAR)
    out = Output(VECTOR)

    def compute(a, b, out):
        for i in range(a.size):
            out[i] = b[0] ** a[i]

    def cycles(target, a, b, out):
        return binary(target, a, (312, 1), (325, 1), (23, 1))


class ReverseRemainderScalar(Codelet):
    """out = the remainder of b / a, with the sign of b"""

    a = Input(VECTOR)
    b = Input(SCALAR)
    out = Output(VECTOR)

    def compute(a, b, out):
        for i in range(a.size):
            out[i] = fmod(b[0], a[i])

    def cycles(target, a, b, out):
        return binary(target, a, (93, 2), (225, 4), (280, 1))


class ReverseShiftLeftScalar(Codelet):
    """out = b with its bits moved up by a"""

    a = Input(VECTOR)
    b = Input(SCALAR)
    out = Output(VECTOR)

    def compute(a, b, out):
        for i in range(a.size):
            out[i] = b[0] << a[i]

    def cycles(target, a, b, out):
        return binary(target, a, (6, 1), (6, 1), (6, 1), loop=1)


class ReverseShiftRightScalar(Codelet):
    """out = b with its bits moved down by a, the sign kept"""

    a = Input(VECTOR)
    b = Input(SCALAR)
    out = Output(VECTOR)

    def compute(a, b, out):
        for i in range(a.size):
            out[i] = b[0] >> a[i]

    def cycles(target, a, b, out):
        return binary(target, a, (6, 1), (6, 1), (6, 1), loop=1)
