"""Gradients of the elementwise non-linearities, by the value y that the forward pass stored.

Costs: PopLibs' NonLinearityGrad (popnn estimators, MIT): set-up 25 slots, then 3 a 64-bit vector.
"""

from poplar_py import VECTOR, Codelet, Input, Output


def gradient(target, y):
    """Worker slots of y.size elements."""
    return 26 + 3 * -(-y.size // target.vector_width(y.dtype.size))


class ReluGrad(Codelet):
    """dx = dy where y is above 0, else 0"""

    y = Input(VECTOR)
    dy = Input(VECTOR)
    dx = Output(VECTOR)

    def compute(y, dy, dx):
        for i in range(y.size):
            dx[i] = dy[i] if y[i] > 0 else 0

    def cycles(target, y, dy, dx):
        return gradient(target, y)


class SigmoidGrad(Codelet):
    """dx = dy * y * (1 - y)"""

    y = Input(VECTOR)
    dy = Input(VECTOR)
    dx = Output(VECTOR)

    def compute(y, dy, dx):
        for i in range(y.size):
            dx[i] = dy[i] * y[i] * (1 - y[i])

    def cycles(target, y, dy, dx):
        return gradient(target, y)


class TanhGrad(Codelet):
    """dx = dy * (1 - y * y)"""

    y = Input(VECTOR)
    dy = Input(VECTOR)
    dx = Output(VECTOR)

    def compute(y, dy, dx):
        for i in range(y.size):
            dx[i] = dy[i] * (1 - y[i] * y[i])

    def cycles(target, y, dy, dx):
        return gradient(target, y)
