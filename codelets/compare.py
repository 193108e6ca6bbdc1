"""Elementwise comparisons and logic of two operands.

Costs are PopLibs' (popops cycle estimators, MIT) for a vertex of one worker: 5 slots, then per element or vector
as the table entries say: (c, u) with u > 0: c slots for u elements; (c, NATURAL): c slots and 5 of loop for one 64-bit
vector. Integers of any width take the third entry.
"""

from poplar_py import BOOL, VECTOR, Codelet, Input, Output

NATURAL = 0


def binary(target, a, single, half, whole, loop=5):
    """Worker slots of a.size elements; `single` for float, `half` for half, `whole` for integers and bool."""
    cost, unroll = whole if not a.dtype.is_floating else half if a.dtype.size == 2 else single
    if unroll > 0:
        return 5 + cost * -(-a.size // unroll)
    return 5 + (cost + loop) * -(-a.size // target.vector_width(a.dtype.size))


class Equal(Codelet):
    """out = whether a = b"""

    a = Input(VECTOR)
    b = Input(VECTOR)
    out = Output(VECTOR, BOOL)
    mirror = "Equal"  # the same with a and b exchanged

    def compute(a, b, out):
        for i in range(a.size):
            out[i] = a[i] == b[i]

    def cycles(target, a, b, out):
        return binary(target, a, (14, 4), (9, 4), (16, 4))


class NotEqual(Codelet):
    """out = whether a and b differ"""

    a = Input(VECTOR)
    b = Input(VECTOR)
    out = Output(VECTOR, BOOL)
    mirror = "NotEqual"  # the same with a and b exchanged

    def compute(a, b, out):
        for i in range(a.size):
            out[i] = a[i] != b[i]

    def cycles(target, a, b, out):
        return binary(target, a, (20, 4), (11, 4), (16, 4))


class Less(Codelet):
    """out = whether a < b"""

    a = Input(VECTOR)
    b = Input(VECTOR)
    out = Output(VECTOR, BOOL)
    mirror = "Greater"  # the same with a and b exchanged

    def compute(a, b, out):
        for i in range(a.size):
            out[i] = a[i] < b[i]

    def cycles(target, a, b, out):
        return binary(target, a, (14, 4), (9, 4), (16, 4))


class LessEqual(Codelet):
    """out = whether a <= b"""

    a = Input(VECTOR)
    b = Input(VECTOR)
    out = Output(VECTOR, BOOL)
    mirror = "GreaterEqual"  # the same with a and b exchanged

    def compute(a, b, out):
        for i in range(a.size):
            out[i] = a[i] <= b[i]

    def cycles(target, a, b, out):
        return binary(target, a, (14, 4), (9, 4), (20, 4))


class Greater(Codelet):
    """out = whether a > b"""

    a = Input(VECTOR)
    b = Input(VECTOR)
    out = Output(VECTOR, BOOL)
    mirror = "Less"  # the same with a and b exchanged

    def compute(a, b, out):
        for i in range(a.size):
            out[i] = a[i] > b[i]

    def cycles(target, a, b, out):
        return binary(target, a, (14, 4), (9, 4), (16, 4))


class GreaterEqual(Codelet):
    """out = whether a >= b"""

    a = Input(VECTOR)
    b = Input(VECTOR)
    out = Output(VECTOR, BOOL)
    mirror = "LessEqual"  # the same with a and b exchanged

    def compute(a, b, out):
        for i in range(a.size):
            out[i] = a[i] >= b[i]

    def cycles(target, a, b, out):
        return binary(target, a, (14, 4), (9, 4), (20, 4))


class LogicalAnd(Codelet):
    """out = whether a and b"""

    a = Input(VECTOR, BOOL)
    b = Input(VECTOR, BOOL)
    out = Output(VECTOR, BOOL)
    mirror = "LogicalAnd"  # the same with a and b exchanged

    def compute(a, b, out):
        for i in range(a.size):
            out[i] = a[i] and b[i]

    def cycles(target, a, b, out):
        return binary(target, a, (4, 4), (4, 4), (4, 4))


class LogicalOr(Codelet):
    """out = whether a or b"""

    a = Input(VECTOR, BOOL)
    b = Input(VECTOR, BOOL)
    out = Output(VECTOR, BOOL)
    mirror = "LogicalOr"  # the same with a and b exchanged

    def compute(a, b, out):
        for i in range(a.size):
            out[i] = a[i] or b[i]

    def cycles(target, a, b, out):
        return binary(target, a, (4, 4), (4, 4), (4, 4))
