"""Type conversion and constant contents. Costs: PopLibs' Cast and Fill (popops estimators, MIT)."""

from poplar_py import VECTOR, Codelet, Constant, Input, Output


class Cast(Codelet):
    """y = x in the type of y: to narrower floats by nearest even, to integers towards zero"""

    x = Input(VECTOR)
    y = Output(VECTOR)

    def compute(x, y):
        for i in range(x.size):
            y[i] = x[i]

    def cycles(target, x, y):
        if x.dtype.is_floating and y.dtype.is_floating:
            per_vector = 2 if y.dtype.size < x.dtype.size else 1
            return 32 + per_vector * -(-x.size // target.vector_width(max(x.dtype.size, y.dtype.size)))
        return 30 + 2 * x.size


class Fill(Codelet):
    """y = value everywhere"""

    y = Output(VECTOR)
    value = Constant()

    def compute(y, value):
        for i in range(y.size):
            y[i] = value

    def cycles(target, y, value):
        return 23 + -(-y.size // target.vector_width(y.dtype.size))


class Iota(Codelet):
    """y[i] = first + i * step, first being the value of this vertex's first element"""

    y = Output(VECTOR)
    first = Constant()
    step = Constant(None, 1)

    def compute(y, first, step):
        for i in range(y.size):
            y[i] = first + i * step

    def cycles(target, y, first, step):
        return 10 + 4 + 3 * -(-y.size // target.vector_width(y.dtype.size))
