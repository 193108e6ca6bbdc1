"""Gradients of the elementwise non-linearities, written over the gradient dy that comes in, by the value y.

Costs: PopLibs' NonLinearityGrad (popnn estimators, MIT): set-up 25 slots, then 3 a 64-bit vector.
"""

from poplar_py import VECTOR, Codelet, InOut, Input


def gradient(target, y):
    """Worker slots of y.size elements."""
    return 26 + 3 * -(-y.size // target.vector_width(y.dtype.size))


class ReluGradInPlace(Codelet):
    """dy = dy where y is above 0, else 0"""

    y = Input(VECTOR)
    dy = InOut(VECTOR)

    def compute(y, dy):
        for i in range(y.size):
            dy[i] = dy[i] if y[i] > 0 else 0

    def cycles(target, y, dy):
        return gradient(target, y)


class SigmoidGradInPlace(Codelet):
    """dy = dy * y * (1 - y)"""

    y = Input(VECTOR)
    dy = InOut(VECTOR)

    def compute(y, dy):
        for i in range(y.size):
            dy[i] = dy[i] * y[i] * (1 - y[i])

    def cycles(target, y, dy):
        return gradient(target, y)


class TanhGradInPlace(Codelet):
    """dy = dy * (1 - y * y)"""

    y = Input(VECTOR)
    dy = InOut(VECTOR)

    def compute(y, dy):
        for i in range(y.size):
            dy[i] = dy[i] * (1 - y[i] * y[i])

    def cycles(target, y, dy):
        return gradient(target, y)
