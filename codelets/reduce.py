"""Reductions: the rows of a matrix of partial results into one row, and a vector into one element.

Sums of half are kept in float until they are stored; the order is that of the rows, so it does not depend on threads.
The Scaled forms multiply the result by a number; integers have only the plain ones. There is at least one row.

Costs: PopLibs' strided reduce, contiguous reduce and (for a vertex on all workers) the reduction of convolution
partials (popops and poplin estimators, MIT).
"""

from poplar_py import BOOL, FLOAT, MATRIX, MULTI, SCALAR, VECTOR, Codelet, Constant, Input, Output


def accumulators(x):
    """Elements added in one slot: 4 float, 8 half."""
    return 8 if x.dtype.size == 2 else 4


def columns(target, partials):
    """Worker slots of the strided reduce: a pass down the rows for every group of accumulators."""
    if not partials.dtype.is_floating:
        return 24 + 8 + partials.rows * 22 + 6 * partials.rows * partials.cols
    groups = -(-partials.cols // target.vector_width(partials.dtype.size))
    return 16 + groups * (6 + 3 + (partials.rows - 1))


def along(target, x):
    """Worker slots of one contiguous run to one element."""
    if not x.dtype.is_floating:
        return 24 + 6 * x.size
    return 22 + -(-x.size // target.vector_width(x.dtype.size))


def on_all_workers(target, partials):
    """Tile cycles of a reduction shared by the workers: 33 + W (20 + (2 depth + 9) groups of a worker)."""
    workers = target.num_workers
    groups = -(-(partials.cols // accumulators(partials) + 1) // workers)
    return 33 + workers * (20 + (2 * partials.rows + 9) * groups)


class ReduceAdd(Codelet):
    """out[c] = the sum of column c of partials"""

    partials = Input(MATRIX)
    out = Output(VECTOR)

    def compute(partials, out):
        for c in range(partials.shape[1]):
            total = partials[0, c]
            for r in range(1, partials.shape[0]):
                total += partials[r, c]
            out[c] = total

    def cycles(target, partials, out):
        return columns(target, partials)


class ReduceAddVector(Codelet):
    """out = the sum of x"""

    x = Input(VECTOR)
    out = Output(SCALAR)

    def compute(x, out):
        total = x[0]
        for i in range(1, x.size):
            total += x[i]
        out[0] = total

    def cycles(target, x, out):
        return along(target, x)


class ReduceAddScaled(Codelet):
    """out[c] = the sum of column c of partials, times scale"""

    partials = Input(MATRIX)
    out = Output(VECTOR)
    scale = Constant(FLOAT)

    def compute(partials, out, scale):
        for c in range(partials.shape[1]):
            total = partials[0, c]
            for r in range(1, partials.shape[0]):
                total += partials[r, c]
            out[c] = total * scale

    def cycles(target, partials, out, scale):
        return columns(target, partials)


class ReduceAddVectorScaled(Codelet):
    """out = the sum of x, times scale"""

    x = Input(VECTOR)
    out = Output(SCALAR)
    scale = Constant(FLOAT)

    def compute(x, out, scale):
        total = x[0]
        for i in range(1, x.size):
            total += x[i]
        out[0] = total * scale

    def cycles(target, x, out, scale):
        return along(target, x)


class ReduceMul(Codelet):
    """out[c] = the product of column c of partials"""

    partials = Input(MATRIX)
    out = Output(VECTOR)

    def compute(partials, out):
        for c in range(partials.shape[1]):
            total = partials[0, c]
            for r in range(1, partials.shape[0]):
                total *= partials[r, c]
            out[c] = total

    def cycles(target, partials, out):
        return columns(target, partials)


class ReduceMulVector(Codelet):
    """out = the product of x"""

    x = Input(VECTOR)
    out = Output(SCALAR)

    def compute(x, out):
        total = x[0]
        for i in range(1, x.size):
            total *= x[i]
        out[0] = total

    def cycles(target, x, out):
        return along(target, x)


class ReduceSquareAdd(Codelet):
    """out[c] = the sum of the squares of column c of partials"""

    partials = Input(MATRIX)
    out = Output(VECTOR)

    def compute(partials, out):
        for c in range(partials.shape[1]):
            total = partials[0, c] * partials[0, c]
            for r in range(1, partials.shape[0]):
                total += partials[r, c] * partials[r, c]
            out[c] = total

    def cycles(target, partials, out):
        return columns(target, partials)


class ReduceSquareAddVector(Codelet):
    """out = the sum of the squares of x"""

    x = Input(VECTOR)
    out = Output(SCALAR)

    def compute(x, out):
        total = x[0] * x[0]
        for i in range(1, x.size):
            total += x[i] * x[i]
        out[0] = total

    def cycles(target, x, out):
        return along(target, x)


class ReduceSquareAddScaled(Codelet):
    """out[c] = the sum of the squares of column c of partials, times scale"""

    partials = Input(MATRIX)
    out = Output(VECTOR)
    scale = Constant(FLOAT)

    def compute(partials, out, scale):
        for c in range(partials.shape[1]):
            total = partials[0, c] * partials[0, c]
            for r in range(1, partials.shape[0]):
                total += partials[r, c] * partials[r, c]
            out[c] = total * scale

    def cycles(target, partials, out, scale):
        return columns(target, partials)


class ReduceSquareAddVectorScaled(Codelet):
    """out = the sum of the squares of x, times scale"""

    x = Input(VECTOR)
    out = Output(SCALAR)
    scale = Constant(FLOAT)

    def compute(x, out, scale):
        total = x[0] * x[0]
        for i in range(1, x.size):
            total += x[i] * x[i]
        out[0] = total * scale

    def cycles(target, x, out, scale):
        return along(target, x)


class ReduceMax(Codelet):
    """out[c] = the largest of column c of partials"""

    partials = Input(MATRIX)
    out = Output(VECTOR)

    def compute(partials, out):
        for c in range(partials.shape[1]):
            total = partials[0, c]
            for r in range(1, partials.shape[0]):
                total = max(total, partials[r, c])
            out[c] = total

    def cycles(target, partials, out):
        return columns(target, partials)


class ReduceMaxVector(Codelet):
    """out = the largest of x"""

    x = Input(VECTOR)
    out = Output(SCALAR)

    def compute(x, out):
        total = x[0]
        for i in range(1, x.size):
            total = max(total, x[i])
        out[0] = total

    def cycles(target, x, out):
        return along(target, x)


class ReduceMin(Codelet):
    """out[c] = the smallest of column c of partials"""

    partials = Input(MATRIX)
    out = Output(VECTOR)

    def compute(partials, out):
        for c in range(partials.shape[1]):
            total = partials[0, c]
            for r in range(1, partials.shape[0]):
                total = min(total, partials[r, c])
            out[c] = total

    def cycles(target, partials, out):
        return columns(target, partials)


class ReduceMinVector(Codelet):
    """out = the smallest of x"""

    x = Input(VECTOR)
    out = Output(SCALAR)

    def compute(x, out):
        total = x[0]
        for i in range(1, x.size):
            total = min(total, x[i])
        out[0] = total

    def cycles(target, x, out):
        return along(target, x)


class ReduceLogicalAnd(Codelet):
    """out[c] = whether all are true of column c of partials"""

    partials = Input(MATRIX, BOOL)
    out = Output(VECTOR, BOOL)

    def compute(partials, out):
        for c in range(partials.shape[1]):
            total = partials[0, c]
            for r in range(1, partials.shape[0]):
                total = total and partials[r, c]
            out[c] = total

    def cycles(target, partials, out):
        return columns(target, partials)


class ReduceLogicalAndVector(Codelet):
    """out = whether all are true of x"""

    x = Input(VECTOR, BOOL)
    out = Output(SCALAR, BOOL)

    def compute(x, out):
        total = x[0]
        for i in range(1, x.size):
            total = total and x[i]
        out[0] = total

    def cycles(target, x, out):
        return along(target, x)


class ReduceLogicalOr(Codelet):
    """out[c] = whether any is true of column c of partials"""

    partials = Input(MATRIX, BOOL)
    out = Output(VECTOR, BOOL)

    def compute(partials, out):
        for c in range(partials.shape[1]):
            total = partials[0, c]
            for r in range(1, partials.shape[0]):
                total = total or partials[r, c]
            out[c] = total

    def cycles(target, partials, out):
        return columns(target, partials)


class ReduceLogicalOrVector(Codelet):
    """out = whether any is true of x"""

    x = Input(VECTOR, BOOL)
    out = Output(SCALAR, BOOL)

    def compute(x, out):
        total = x[0]
        for i in range(1, x.size):
            total = total or x[i]
        out[0] = total

    def cycles(target, x, out):
        return along(target, x)


class ReducePartialsAdd(Codelet):
    """out[c] = the sum of column c of partials; shared by all workers of the tile"""

    kind = MULTI

    partials = Input(MATRIX)
    out = Output(VECTOR)

    def compute(partials, out):
        for c in range(partials.shape[1]):
            total = partials[0, c]
            for r in range(1, partials.shape[0]):
                total += partials[r, c]
            out[c] = total

    def cycles(target, partials, out):
        return on_all_workers(target, partials)
