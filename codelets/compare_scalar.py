"""Elementwise comparisons and logic of two operands, the second of one element.

Costs are PopLibs' (popops cycle estimators, MIT) for a vertex of one worker: 20 slots, then per element or vector
as the table entries say: (c, u) with u > 0: c slots for u elements; (c, NATURAL): c slots and 4 of loop for one 64-bit
vector. Integers of any width take the third entry.
"""

from poplar_py import BOOL, SCALAR, VECTOR, Codelet, Input, Output

NATURAL = 0


def binary(target, a, single, half, whole, loop=4):
    """Worker slots of a.size elements; `single` for float, `half` for half, `whole` for integers and bool."""
    cost, unroll = whole if not a.dtype.is_floating else half if a.dtype.size == 2 else single
    if unroll > 0:
        return 20 + cost * -(-a.size // unroll)
    return 20 + (cost + loop) * -(-a.size // target.vector_width(a.dtype.size))


class EqualScalar(Codelet):
    """out = whether a = b"""

    a = Input(VECTOR)
    b = Input(SCALAR)
    out = Output(VECTOR, BOOL)

    def compute(a, b, out):
        for i in range(a.size):
            out[i] = a[i] == b[0]

    def cycles(target, a, b, out):
        return binary(target, a, (12, 4), (8, 4), (16, 4))


class NotEqualScalar(Codelet):
    """out = whether a and b differ"""

    a = Input(VECTOR)
    b = Input(SCALAR)
    out = Output(VECTOR, BOOL)

    def compute(a, b, out):
        for i in range(a.size):
            out[i] = a[i] != b[0]

    def cycles(target, a, b, out):
        return binary(target, a, (18, 4), (10, 4), (16, 4))


class LessScalar(Codelet):
    """out = whether a < b"""

    a = Input(VECTOR)
    b = Input(SCALAR)
    out = Output(VECTOR, BOOL)

    def compute(a, b, out):
        for i in range(a.size):
            out[i] = a[i] < b[0]

    def cycles(target, a, b, out):
        return binary(target, a, (12, 4), (8, 4), (16, 4))


class LessEqualScalar(Codelet):
    """out = whether a <= b"""

    a = Input(VECTOR)
    b = Input(SCALAR)
    out = Output(VECTOR, BOOL)

    def compute(a, b, out):
        for i in range(a.size):
            out[i] = a[i] <= b[0]

    def cycles(target, a, b, out):
        return binary(target, a, (12, 4), (8, 4), (20, 4))


class GreaterScalar(Codelet):
    """out = whether a > b"""

    a = Input(VECTOR)
    b = Input(SCALAR)
    out = Output(VECTOR, BOOL)

    def compute(a, b, out):
        for i in range(a.size):
            out[i] = a[i] > b[0]

    def cycles(target, a, b, out):
        return binary(target, a, (12, 4), (8, 4), (16, 4))


class GreaterEqualScalar(Codelet):
    """out = whether a >= b"""

    a = Input(VECTOR)
    b = Input(SCALAR)
    out = Output(VECTOR, BOOL)

    def compute(a, b, out):
        for i in range(a.size):
            out[i] = a[i] >= b[0]

    def cycles(target, a, b, out):
        return binary(target, a, (12, 4), (8, 4), (20, 4))


class LogicalAndScalar(Codelet):
    """out = whether a and b"""

    a = Input(VECTOR, BOOL)
    b = Input(SCALAR, BOOL)
    out = Output(VECTOR, BOOL)

    def compute(a, b, out):
        for i in range(a.size):
            out[i] = a[i] and b[0]

    def cycles(target, a, b, out):
        return binary(target, a, (4, 4), (4, 4), (4, 4))


class LogicalOrScalar(Codelet):
    """out = whether a or b"""

    a = Input(VECTOR, BOOL)
    b = Input(SCALAR, BOOL)
    out = Output(VECTOR, BOOL)

    def compute(a, b, out):
        for i in range(a.size):
            out[i] = a[i] or b[0]

    def cycles(target, a, b, out):
        return binary(target, a, (4, 4), (4, 4), (4, 4))
