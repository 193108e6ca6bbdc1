"""Local response normalisation: every element divided by the power of its neighbours along the channels.

`before` and `after` count the channels of the window on both sides of an element. The power is exp(beta log(.)).

Costs: PopLibs has no such vertex; costs add up its parts for one worker (popops tables, MIT): a multiplication and a
running sum a vector, logarithm and exponential as in the unary table, and the products.
"""

from poplar_py import FLOAT, MATRIX, Codelet, Constant, Input, Output, exp, log


def lrn_slots(target, x, taps, powers):
    """Worker slots of the rows of x: windows of `taps` channels, and `powers` powers of each element."""
    vectors = x.rows * -(-x.cols // target.vector_width(x.dtype.size))
    return 40 + 10 * x.rows + vectors * (6 + 2 * taps + 30 * powers)


class Lrn(Codelet):
    """y = x / (bias + share * the sum of the squares of the window) ** beta"""

    x = Input(MATRIX)
    y = Output(MATRIX)
    before = Constant(None, 1)
    after = Constant(None, 1)
    share = Constant(FLOAT, 1.0)
    beta = Constant(FLOAT, 0.75)
    bias = Constant(FLOAT, 1.0)

    def compute(x, y, before, after, share, beta, bias):
        channels = x.shape[1]
        for r in range(x.shape[0]):
            for c in range(channels):
                total = 0.0
                for j in range(max(c - before, 0), min(c + after + 1, channels)):
                    total += x[r, j] * x[r, j]
                y[r, c] = x[r, c] * exp(-beta * log(bias + share * total))

    def cycles(target, x, before, after):
        return lrn_slots(target, x, before + after + 1, 1)


class LrnGrad(Codelet):
    """dx from x and dy; `along` = dy x / (bias + share * sum) ** (beta + 1) is written on the way"""

    x = Input(MATRIX)
    dy = Input(MATRIX)
    along = Output(MATRIX, FLOAT)
    dx = Output(MATRIX)
    before = Constant(None, 1)
    after = Constant(None, 1)
    share = Constant(FLOAT, 1.0)
    beta = Constant(FLOAT, 0.75)
    bias = Constant(FLOAT, 1.0)

    def compute(x, dy, along, dx, before, after, share, beta, bias):
        channels = x.shape[1]
        for r in range(x.shape[0]):
            for c in range(channels):
                total = 0.0
                for j in range(max(c - before, 0), min(c + after + 1, channels)):
                    total += x[r, j] * x[r, j]
                scale = bias + share * total
                direct = dy[r, c] * exp(-beta * log(scale))
                dx[r, c] = direct
                along[r, c] = direct * x[r, c] / scale
            for c in range(channels):
                total = 0.0
                for j in range(max(c - after, 0), min(c + before + 1, channels)):
                    total += along[r, j]
                dx[r, c] -= 2 * beta * share * x[r, c] * total

    def cycles(target, x, before, after):
        return lrn_slots(target, x, 2 * (before + after + 1), 1) + 12 * x.rows * -(-x.cols // 2)
