"""Codelets whose neighbours may, and may not, be one loop."""

from poplar_py import MATRIX, VECTOR, Codelet, Constant, InOut, Input, Output


class Plain(Codelet):
    """y = k x, or k where x is negative"""

    x = Input(VECTOR)
    s = Input()
    y = Output(VECTOR)
    k = Constant(default=2.0)

    def compute(x, s, y, k):
        """Has a text."""
        for i in range(x.size):
            if x[i] > s:
                v = x[i] * k
            else:
                v = k
            y[i] = v


class Rows(Codelet):
    """m += v, row by row"""

    m = InOut(MATRIX)
    v = Input(VECTOR)

    def compute(m, v):
        for r in range(m.rows):
            for c in range(v.size):
                m[r, c] += v[c]


class Carries(Codelet):
    """y = the running sum of x"""

    x = Input(VECTOR)
    y = Output(VECTOR)

    def compute(x, y):
        for i in range(x.size):
            if i == 0:
                total = 0.0
            total += x[i]
            y[i] = total


class Remembers(Codelet):
    """y = x where it is positive, else the last that was"""

    x = Input(VECTOR)
    y = Output(VECTOR)

    def compute(x, y):
        for i in range(x.size):
            if x[i] > 0:
                last = x[i]
            y[i] = last


class Neighbour(Codelet):
    """y = x of the place before"""

    x = Input(VECTOR)
    y = Output(VECTOR)

    def compute(x, y):
        for i in range(y.size):
            y[i] = x[i + 1]


class Counts(Codelet):
    """y = i x"""

    x = Input(VECTOR)
    y = Output(VECTOR)

    def compute(x, y):
        for i in range(x.size):
            y[i] = x[i] * i


class Sizes(Codelet):
    """y = x / n"""

    x = Input(VECTOR)
    y = Output(VECTOR)

    def compute(x, y):
        for i in range(x.size):
            y[i] = x[i] / x.size


class Before(Codelet):
    """y = x + 1, with something before the loop"""

    x = Input(VECTOR)
    y = Output(VECTOR)

    def compute(x, y):
        one = 1.0
        for i in range(x.size):
            y[i] = x[i] + one


class Sums(Codelet):
    """v = the sum of rows"""

    m = Input(MATRIX)
    v = InOut(VECTOR)

    def compute(m, v):
        for r in range(m.rows):
            for c in range(m.cols):
                v[c] += m[r, c]


class Total(Codelet):
    """t = the sum of x"""

    x = Input(VECTOR)
    t = InOut()

    def compute(x, t):
        for i in range(x.size):
            t[0] += x[i]


class Stops(Codelet):
    """y = x up to the first that is negative"""

    x = Input(VECTOR)
    y = Output(VECTOR, partial=True)

    def compute(x, y):
        for i in range(x.size):
            if x[i] < 0:
                break
            y[i] = x[i]


class Transposed(Codelet):
    """n = m turned"""

    m = Input(MATRIX)
    n = Output(MATRIX)

    def compute(m, n):
        for r in range(m.rows):
            for c in range(m.cols):
                n[c, r] = m[r, c]


class Columns(Codelet):
    """m doubled, column by column"""

    m = InOut(MATRIX)

    def compute(m):
        for c in range(m.cols):
            for r in range(m.rows):
                m[r, c] = m[r, c] * 2


class Borrowed(Codelet):
    """y = x of another row"""

    m = Input(MATRIX)
    v = Input(VECTOR)
    n = Output(MATRIX)

    def compute(m, v, n):
        for r in range(m.rows):
            for c in range(m.cols):
                n[r, c] = m[r, c] * v[r]
