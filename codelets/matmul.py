"""Matrix products of one tile's block, on all its workers.

One vertex multiplies a (m, k) by b (k, n) into out (m, n). The Transposed forms take an operand as it lies in memory,
(k, m) or (n, k), so that no operand is ever transposed: the backward products of a layer read the very blocks of the
forward one. Accumulating forms add to what out holds.

Cost: `amp_product`, the AMP 1x1 vertex (poplar_py/codelet/amp.py).
"""

from poplar_py import MATRIX, MULTI, Codelet, InOut, Input, Output, amp_product, multiply_accumulate


class MatMulPartial(Codelet):
    """out = a . b"""

    kind = MULTI
    reassociate = True
    a = Input(MATRIX)
    b = Input(MATRIX)
    out = Output(MATRIX)

    def compute(a, b, out):
        multiply_accumulate(out, a, b, accumulate=False)

    def cycles(target, a, b, out):
        return amp_product(target, a.rows, a.cols, b.cols, a.dtype, out.dtype)


class MatMulPartialTransposedA(Codelet):
    """out = a' . b"""

    kind = MULTI
    reassociate = True
    a = Input(MATRIX)
    b = Input(MATRIX)
    out = Output(MATRIX)

    def compute(a, b, out):
        multiply_accumulate(out, a, b, transpose_a=True, accumulate=False)

    def cycles(target, a, b, out):
        return amp_product(target, a.cols, a.rows, b.cols, a.dtype, out.dtype)


class MatMulPartialTransposedB(Codelet):
    """out = a . b'"""

    kind = MULTI
    reassociate = True
    a = Input(MATRIX)
    b = Input(MATRIX)
    out = Output(MATRIX)

    def compute(a, b, out):
        multiply_accumulate(out, a, b, transpose_b=True, accumulate=False)

    def cycles(target, a, b, out):
        return amp_product(target, a.rows, a.cols, b.rows, a.dtype, out.dtype)


class MatMulPartialTransposedAB(Codelet):
    """out = a' . b'"""

    kind = MULTI
    reassociate = True
    a = Input(MATRIX)
    b = Input(MATRIX)
    out = Output(MATRIX)

    def compute(a, b, out):
        multiply_accumulate(out, a, b, transpose_a=True, transpose_b=True, accumulate=False)

    def cycles(target, a, b, out):
        return amp_product(target, a.cols, a.rows, b.rows, a.dtype, out.dtype)


class MatMulAccumulate(Codelet):
    """out = out + a . b"""

    kind = MULTI
    reassociate = True
    a = Input(MATRIX)
    b = Input(MATRIX)
    out = InOut(MATRIX)

    def compute(a, b, out):
        multiply_accumulate(out, a, b)

    def cycles(target, a, b, out):
        return amp_product(target, a.rows, a.cols, b.cols, a.dtype, out.dtype)


class MatMulAccumulateTransposedA(Codelet):
    """out = out + a' . b"""

    kind = MULTI
    reassociate = True
    a = Input(MATRIX)
    b = Input(MATRIX)
    out = InOut(MATRIX)

    def compute(a, b, out):
        multiply_accumulate(out, a, b, transpose_a=True)

    def cycles(target, a, b, out):
        return amp_product(target, a.cols, a.rows, b.cols, a.dtype, out.dtype)


class MatMulAccumulateTransposedB(Codelet):
    """out = out + a . b'"""

    kind = MULTI
    reassociate = True
    a = Input(MATRIX)
    b = Input(MATRIX)
    out = InOut(MATRIX)

    def compute(a, b, out):
        multiply_accumulate(out, a, b, transpose_b=True)

    def cycles(target, a, b, out):
        return amp_product(target, a.rows, a.cols, b.rows, a.dtype, out.dtype)


class MatMulAccumulateTransposedAB(Codelet):
    """out = out + a' . b'"""

    kind = MULTI
    reassociate = True
    a = Input(MATRIX)
    b = Input(MATRIX)
    out = InOut(MATRIX)

    def compute(a, b, out):
        multiply_accumulate(out, a, b, transpose_a=True, transpose_b=True)

    def cycles(target, a, b, out):
        return amp_product(target, a.cols, a.rows, b.rows, a.dtype, out.dtype)
