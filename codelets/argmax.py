"""Places of extremes, and rows picked by number.

Costs: PopLibs' arg-max gather, multi-slice and one-hot vertices (popnn and popops estimators, MIT).
"""

from poplar_py import FLOAT, INT, MATRIX, SCALAR, VECTOR, Codelet, Constant, Input, Output


class ArgMax(Codelet):
    """index = the place of the largest element of x, the first of equals"""

    x = Input(VECTOR)
    index = Output(SCALAR, INT)

    def compute(x, index):
        best = 0
        for i in range(1, x.size):
            if x[i] > x[best]:
                best = i
        index[0] = best

    def cycles(target, x, index):
        return 30 + 3 * x.size


class ArgMin(Codelet):
    """index = the place of the smallest element of x, the first of equals"""

    x = Input(VECTOR)
    index = Output(SCALAR, INT)

    def compute(x, index):
        best = 0
        for i in range(1, x.size):
            if x[i] < x[best]:
                best = i
        index[0] = best

    def cycles(target, x, index):
        return 30 + 3 * x.size


class CountCorrect(Codelet):
    """correct = 1 where the largest element of x stands at place `label`, else 0"""

    x = Input(VECTOR)
    label = Input(SCALAR)
    correct = Output(SCALAR)

    def compute(x, label, correct):
        best = 0
        for i in range(1, x.size):
            if x[i] > x[best]:
                best = i
        correct[0] = 1 if best == label[0] else 0

    def cycles(target, x, label, correct):
        return 34 + 3 * x.size


class Gather(Codelet):
    """out = row `index` of table, zeros where there is no such row"""

    table = Input(MATRIX)
    index = Input(SCALAR)
    out = Output(VECTOR)

    def compute(table, index, out):
        row = index[0]
        known = row >= 0 and row < table.shape[0]
        for i in range(out.size):
            out[i] = table[row, i] if known else 0

    def cycles(target, table, index, out):
        return 30 + 19 + 2 * -(-out.size // target.vector_width(out.dtype.size))


class OneHot(Codelet):
    """out = value at place `index`, 0 elsewhere"""

    index = Input(SCALAR)
    out = Output(VECTOR)
    value = Constant(FLOAT, 1.0)

    def compute(index, out, value):
        for i in range(out.size):
            out[i] = value if i == index[0] else 0

    def cycles(target, index, out, value):
        return 11 + 74 + -(-out.size // target.vector_width(out.dtype.size))
