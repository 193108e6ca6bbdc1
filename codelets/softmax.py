"""Softmax of rows, one row a vertex, stable under large values.

PopLibs has no such vertex; costs add up its parts for one worker (popops tables, MIT): a maximum, a subtraction with
exponential, a sum and a multiplication, each a pass of 64-bit vectors.
"""

from poplar_py import VECTOR, Codelet, Input, Output, exp, log


def softmax_slots(target, x):
    """Worker slots of one row."""
    vectors = -(-x.size // target.vector_width(x.dtype.size))
    exponential = 12 if x.dtype.size == 4 else 4
    return 60 + vectors * (3 + exponential + 2 + 3)


class Softmax(Codelet):
    """y = exp(x) / sum(exp(x))"""

    x = Input(VECTOR)
    y = Output(VECTOR)

    def compute(x, y):
        top = x[0]
        for i in range(1, x.size):
            top = max(top, x[i])
        total = 0.0
        for i in range(x.size):
            total += exp(x[i] - top)
        for i in range(x.size):
            y[i] = exp(x[i] - top) / total

    def cycles(target, x, y):
        return softmax_slots(target, x)


class LogSoftmax(Codelet):
    """y = x - log(sum(exp(x)))"""

    x = Input(VECTOR)
    y = Output(VECTOR)

    def compute(x, y):
        top = x[0]
        for i in range(1, x.size):
            top = max(top, x[i])
        total = 0.0
        for i in range(x.size):
            total += exp(x[i] - top)
        shift = top + log(total)
        for i in range(x.size):
            y[i] = x[i] - shift

    def cycles(target, x, y):
        return 20 + softmax_slots(target, x)


class SoftmaxGrad(Codelet):
    """dx = y * (dy - sum(y * dy)), for y = softmax(x)"""

    y = Input(VECTOR)
    dy = Input(VECTOR)
    dx = Output(VECTOR)

    def compute(y, dy, dx):
        total = 0.0
        for i in range(y.size):
            total += y[i] * dy[i]
        for i in range(y.size):
            dx[i] = y[i] * (dy[i] - total)

    def cycles(target, y, dy, dx):
        return 30 + 6 * -(-y.size // target.vector_width(y.dtype.size))


class LogSoftmaxGrad(Codelet):
    """dx = dy - exp(y) * sum(dy), for y = log_softmax(x)"""

    y = Input(VECTOR)
    dy = Input(VECTOR)
    dx = Output(VECTOR)

    def compute(y, dy, dx):
        total = 0.0
        for i in range(y.size):
            total += dy[i]
        for i in range(y.size):
            dx[i] = dy[i] - exp(y[i]) * total

    def cycles(target, y, dy, dx):
        return 30 + 16 * -(-y.size // target.vector_width(y.dtype.size))
