"""Pooling: windows over rows of channel vectors.

A row of x is a run of positions of the inner field axis, each a vector of channels; rows are the taps of the window
along the outer axis. Position o of the result meets taps k at x positions o * stride + k * dilation - offset; those
outside the row are padding. The gradients run the same rows the other way: position i of dx meets tap k of the window
o where o * stride = i + offset - k * dilation.

Costs: PopLibs' pooling vertices (popnn estimators, MIT): a work item 25 + 23 slots, a row 15, and for every 64-bit
vector of channels of a position 4 + 3 k (largest), 5 + 3 k (sums) or 7 + 5 k (gradients), k the taps it meets.
"""

from poplar_py import FLOAT, MATRIX, Codelet, Constant, Input, Output


def pool_slots(target, x, y, taps, first, each):
    """Worker slots of y.rows positions that meet x.rows * taps taps."""
    vectors = y.rows * -(-y.cols // target.vector_width(y.dtype.size))
    return 48 + 15 * x.rows + vectors * (first + each * x.rows * taps)


class MaxPool(Codelet):
    """y = the largest of the window"""

    x = Input(MATRIX)
    y = Output(MATRIX)
    taps = Constant(None, 1)
    stride = Constant(None, 1)
    dilation = Constant(None, 1)
    offset = Constant(None, 0)

    def compute(x, y, taps, stride, dilation, offset):
        channels = y.shape[1]
        for o in range(y.shape[0]):
            known = False
            for k in range(taps):
                p = (o * stride + k * dilation - offset) * channels
                if p >= 0 and p < x.shape[1]:
                    if not known:
                        for c in range(channels):
                            y[o, c] = x[0, p + c]
                        known = True
                    for r in range(x.shape[0]):
                        for c in range(channels):
                            y[o, c] = max(y[o, c], x[r, p + c])

    def cycles(target, x, y, taps):
        return pool_slots(target, x, y, taps, 4, 3)


class MaxPoolPlace(Codelet):
    """place = the number of the tap, row by row, that first holds y, the largest; `none` where y is not there"""

    x = Input(MATRIX)
    y = Input(MATRIX)
    place = Output(MATRIX)
    taps = Constant(None, 1)
    stride = Constant(None, 1)
    dilation = Constant(None, 1)
    offset = Constant(None, 0)
    first = Constant(None, 0)
    none = Constant(None, 0)

    def compute(x, y, place, taps, stride, dilation, offset, first, none):
        channels = y.shape[1]
        rows = x.shape[0]
        for o in range(y.shape[0]):
            for c in range(channels):
                place[o, c] = none
            for down in range(rows):
                r = rows - 1 - down
                for back in range(taps):
                    k = taps - 1 - back
                    p = (o * stride + k * dilation - offset) * channels
                    if p >= 0 and p < x.shape[1]:
                        for c in range(channels):
                            if x[r, p + c] == y[o, c]:
                                place[o, c] = first + r * taps + k

    def cycles(target, x, y, taps):
        return pool_slots(target, x, y, taps, 4, 4)


class SumPool(Codelet):
    """y = scale * the sum of the window"""

    x = Input(MATRIX)
    y = Output(MATRIX)
    taps = Constant(None, 1)
    stride = Constant(None, 1)
    dilation = Constant(None, 1)
    offset = Constant(None, 0)
    scale = Constant(FLOAT, 1.0)

    def compute(x, y, taps, stride, dilation, offset, scale):
        channels = y.shape[1]
        for o in range(y.shape[0]):
            for c in range(channels):
                y[o, c] = 0
            for k in range(taps):
                p = (o * stride + k * dilation - offset) * channels
                if p >= 0 and p < x.shape[1]:
                    for r in range(x.shape[0]):
                        for c in range(channels):
                            y[o, c] += x[r, p + c]
            for c in range(channels):
                y[o, c] *= scale

    def cycles(target, x, y, taps):
        return pool_slots(target, x, y, taps, 5, 3)


class MeanPool(Codelet):
    """y = the mean of the elements in the window that are not padding"""

    x = Input(MATRIX)
    y = Output(MATRIX)
    taps = Constant(None, 1)
    stride = Constant(None, 1)
    dilation = Constant(None, 1)
    offset = Constant(None, 0)

    def compute(x, y, taps, stride, dilation, offset):
        channels = y.shape[1]
        for o in range(y.shape[0]):
            for c in range(channels):
                y[o, c] = 0
            count = 0
            for k in range(taps):
                p = (o * stride + k * dilation - offset) * channels
                if p >= 0 and p < x.shape[1]:
                    count += x.shape[0]
                    for r in range(x.shape[0]):
                        for c in range(channels):
                            y[o, c] += x[r, p + c]
            for c in range(channels):
                y[o, c] /= count

    def cycles(target, x, y, taps):
        return pool_slots(target, x, y, taps, 5, 3)


class MaxPoolGrad(Codelet):
    """dx = the sum of dy over the windows whose largest element stands here

    Row r of dy and place belongs to the taps numbered from first + r * step on.
    """

    dy = Input(MATRIX)
    place = Input(MATRIX)
    dx = Output(MATRIX)
    taps = Constant(None, 1)
    stride = Constant(None, 1)
    dilation = Constant(None, 1)
    offset = Constant(None, 0)
    first = Constant(None, 0)
    step = Constant(None, 0)

    def compute(dy, place, dx, taps, stride, dilation, offset, first, step):
        channels = dx.shape[1]
        for i in range(dx.shape[0]):
            for c in range(channels):
                dx[i, c] = 0
            for k in range(taps):
                t = i + offset - k * dilation
                if t >= 0 and t % stride == 0:
                    p = t // stride * channels
                    if p < dy.shape[1]:
                        for r in range(dy.shape[0]):
                            tap = first + r * step + k
                            for c in range(channels):
                                dx[i, c] += dy[r, p + c] if place[r, p + c] == tap else 0

    def cycles(target, dy, dx, taps, stride):
        return pool_slots(target, dy, dx, -(-taps // stride), 7, 5)


class SumPoolGrad(Codelet):
    """dx = scale * the sum of dy over the windows that see this element"""

    dy = Input(MATRIX)
    dx = Output(MATRIX)
    taps = Constant(None, 1)
    stride = Constant(None, 1)
    dilation = Constant(None, 1)
    offset = Constant(None, 0)
    scale = Constant(FLOAT, 1.0)

    def compute(dy, dx, taps, stride, dilation, offset, scale):
        channels = dx.shape[1]
        for i in range(dx.shape[0]):
            for c in range(channels):
                dx[i, c] = 0
            for k in range(taps):
                t = i + offset - k * dilation
                if t >= 0 and t % stride == 0:
                    p = t // stride * channels
                    if p < dy.shape[1]:
                        for r in range(dy.shape[0]):
                            for c in range(channels):
                                dx[i, c] += dy[r, p + c]
            for c in range(channels):
                dx[i, c] *= scale

    def cycles(target, dy, dx, taps, stride):
        return pool_slots(target, dy, dx, -(-taps // stride), 7, 5)
