"""Matrix products of one tile's block, on all its workers.

One vertex multiplies a (m, k) by b (k, n) into out (m, n). The Transposed forms take an operand as it lies in memory,
(k, m) or (n, k), so that no operand is ever transposed: the backward products of a layer read the very blocks of the
forward one. Accumulating forms add to what out holds.

Cost: the AMP 1x1 vertex of PopLibs (poplin performance estimation, MIT) plus the call cost measured on hardware. With
U units and c channels a unit (16 half or 8 float), b is loaded in panels of c x U and every worker streams its rows of
a past it: k is padded to c and n to U. The formula reproduces measured products to 4 %; where a table entry of the
original falls by a few slots as rows grow, the larger of the two is taken.
"""

from poplar_py import MATRIX, MULTI, Codelet, InOut, Input, Output, multiply_accumulate


def larger(a, b):
    """The larger of two numbers, or of two columns entry by entry."""
    return a + (b - a) * (b > a)


def half_slots(m, at_two):
    """Slots of a worker that streams m rows past one panel of half weights; `at_two` those of two rows."""
    return 20 * (m == 0) + 31 * (m == 1) + (m >= 2) * larger(at_two, 36 + 4 * (m - 3))


def float_slots(m, at_two):
    """The same for a panel of float weights, where one to three rows cost alike."""
    return 20 * (m == 0) + (m >= 1) * larger(46, 46 + 8 * (m - 3))


def panel(target, most, least, slots, first):
    """Tile cycles of one panel, the workers having between `least` and `most` rows; `first`: also clears the sums.

    In the original table two rows cost 40 slots and three cost 36: the slowest worker is taken to need 40 in both
    cases, the quickest 36, which keeps the cost from falling as rows are added.
    """
    slowest = slots(most, 40) + first(most)
    quickest = slots(least, 36) + first(least)
    return larger(target.num_workers * slowest, target.num_workers * quickest + 14)


def product(target, m, k, n, in_type, out_type):
    """Tile cycles of an (m, k) x (k, n) block."""
    workers = target.num_workers
    half = in_type.size <= 2
    units = target.conv_units_half if half else target.conv_units_float
    channels = target.weights_per_unit_half if half else target.weights_per_unit_float
    load = units * channels * in_type.size // target.weight_load_bytes_per_cycle
    inner, outer = -(-k // channels), -(-n // 16)
    passes = -(-16 // units)
    most, least = -(-m // workers), m // workers
    if half:
        retained = workers * (7 + 3 * (inner - 1))
        later = panel(target, most, least, half_slots, lambda m: 2 - 7)
        first = panel(target, most, least, half_slots, lambda m: 1 - 7)
    else:
        retained = 0
        clear = 8 if units == 16 else 4
        later = panel(target, most, least, float_slots, lambda m: 0)
        first = panel(target, most, least, float_slots, lambda m: 2 + clear * m)
    one_outer = 18 + passes * (7 + load + first)
    all_later = (inner - 1) * (15 + outer * (19 + passes * (6 + load + later)))
    return 50 + retained + 13 + all_later + 11 + outer * one_outer + target.vertex_call_cycles


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
        return product(target, a.rows, a.cols, b.cols, a.dtype, out.dtype)


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
        return product(target, a.cols, a.rows, b.cols, a.dtype, out.dtype)


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
        return product(target, a.rows, a.cols, b.rows, a.dtype, out.dtype)


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
        return product(target, a.cols, a.rows, b.rows, a.dtype, out.dtype)


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
        return product(target, a.rows, a.cols, b.cols, a.dtype, out.dtype)


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
        return product(target, a.cols, a.rows, b.cols, a.dtype, out.dtype)


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
        return product(target, a.rows, a.cols, b.rows, a.dtype, out.dtype)


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
        return product(target, a.cols, a.rows, b.rows, a.dtype, out.dtype)
