"""Convolutions of one tile's piece, on all its workers.

`a` is a value and `w` weights in blocks of channels, `shape` the sizes and places that meet (poplar_py/codelet/convolve.py).
`taps` and `groups` are numbers of shape that costs need, `width` the channels of a block of what the weights' rows are for.
The Horizontal forms do the same by dot products, which suits few channels; the Together forms take groups of few channels,
several to a block.
"""

from poplar_py import (
    INT,
    MATRIX,
    MULTI,
    VECTOR,
    WORKER,
    Codelet,
    Constant,
    Input,
    Output,
    amp_convolution,
    amp_product,
    amp_row,
    convolve,
    horizontal_mac,
    maximum,
    slic,
    vertical_mac,
)


class ConvPartial(Codelet):
    """out = a convolved with w"""

    kind = MULTI
    reassociate = True
    a = Input(MATRIX)
    w = Input(MATRIX)
    shape = Input(VECTOR, INT)
    out = Output(MATRIX)
    groups = Constant(INT)
    width = Constant(INT)
    taps = Constant(INT)
    lines = Constant(INT)

    def compute(a, w, shape, out):
        convolve(out, a, w, shape, 0)

    def cycles(target, a, w, out, groups, width, taps, lines):
        places = out.size // maximum(w.rows * width, 1)
        k, n = w.cols // (width * taps), w.rows // groups * width
        return amp_convolution(target, places, lines, taps, k, n, groups, a.dtype, out.dtype)


class ConvPartialHorizontal(Codelet):
    """out = a convolved with w"""

    kind = MULTI
    reassociate = True
    a = Input(MATRIX)
    w = Input(MATRIX)
    shape = Input(VECTOR, INT)
    out = Output(MATRIX)
    groups = Constant(INT)
    width = Constant(INT)
    taps = Constant(INT)
    lines = Constant(INT)

    def compute(a, w, shape, out):
        convolve(out, a, w, shape, 0)

    def cycles(target, a, w, out, groups, width, taps, lines):
        places = out.size // maximum(w.rows * width, 1)
        k, n = w.cols // (width * taps), w.rows // groups * width
        return horizontal_mac(target, places, lines, taps, k, n, groups, a.dtype, out.dtype)


class ConvPartialTogether(Codelet):
    """out = a convolved with w, groups of few channels"""

    kind = MULTI
    reassociate = True
    a = Input(MATRIX)
    w = Input(MATRIX)
    shape = Input(VECTOR, INT)
    out = Output(MATRIX)
    groups = Constant(INT)
    width = Constant(INT)
    taps = Constant(INT)
    lines = Constant(INT)

    def compute(a, w, shape, out):
        convolve(out, a, w, shape, 3)

    def cycles(target, a, w, out, groups, width, taps, lines):
        places = out.size // maximum(w.rows * width, 1)
        each = w.cols // (width * taps)
        return vertical_mac(target, places, lines, taps, width, each, w.rows, a.dtype, out.dtype)


class ConvPartialSlicTogether(Codelet):
    """out = a convolved with w, groups of 1, 2 or 4 channels on the sliding-window units"""

    kind = MULTI
    reassociate = True
    a = Input(MATRIX)
    w = Input(MATRIX)
    shape = Input(VECTOR, INT)
    out = Output(MATRIX)
    groups = Constant(INT)
    width = Constant(INT)
    taps = Constant(INT)
    lines = Constant(INT)

    def compute(a, w, shape, out):
        convolve(out, a, w, shape, 3)

    def cycles(target, a, w, out, groups, width, taps, lines):
        places = out.size // maximum(w.rows * width, 1)
        each = w.cols // (width * taps)
        return slic(target, places, lines, taps, width, each, w.rows, a.dtype)


class ConvInputGradient(Codelet):
    """out = a convolved with w turned round: the gradient of a convolution's input, a that of its output"""

    kind = MULTI
    reassociate = True
    a = Input(MATRIX)
    w = Input(MATRIX)
    shape = Input(VECTOR, INT)
    out = Output(MATRIX)
    groups = Constant(INT)
    width = Constant(INT)
    taps = Constant(INT)
    lines = Constant(INT)

    def compute(a, w, shape, out):
        convolve(out, a, w, shape, 1)

    def cycles(target, a, w, out, groups, width, taps, lines):
        n, k = w.cols // (width * taps), w.rows // groups * width
        places = out.size // maximum(groups * n, 1)
        return amp_convolution(target, places, lines, taps, k, n, groups, a.dtype, out.dtype)


class ConvInputGradientTogether(Codelet):
    """out = a convolved with w turned round, groups of few channels"""

    kind = MULTI
    reassociate = True
    a = Input(MATRIX)
    w = Input(MATRIX)
    shape = Input(VECTOR, INT)
    out = Output(MATRIX)
    groups = Constant(INT)
    width = Constant(INT)
    taps = Constant(INT)
    lines = Constant(INT)

    def compute(a, w, shape, out):
        convolve(out, a, w, shape, 4)

    def cycles(target, a, w, out, groups, width, taps, lines):
        places = out.size // maximum(w.rows * width, 1)
        each = w.cols // (width * taps)
        return vertical_mac(target, places, lines, taps, width, each, w.rows, a.dtype, out.dtype)


class ConvWeightsGradient(Codelet):
    """out = the sum over places of a times dy where they meet: the gradient of weights"""

    kind = MULTI
    reassociate = True
    a = Input(MATRIX)
    dy = Input(MATRIX)
    shape = Input(VECTOR, INT)
    out = Output(MATRIX)
    groups = Constant(INT)
    width = Constant(INT)
    taps = Constant(INT)
    lines = Constant(INT)

    def compute(a, dy, shape, out):
        convolve(out, a, dy, shape, 2)

    def cycles(target, a, dy, out, groups, width, taps, lines):
        places = dy.size // maximum(out.rows * width, 1)
        return groups * amp_product(target, out.cols // width, places, out.rows // groups * width, a.dtype, out.dtype)


class ConvWeightsGradientTogether(Codelet):
    """out = the gradient of weights, groups of few channels"""

    kind = MULTI
    reassociate = True
    a = Input(MATRIX)
    dy = Input(MATRIX)
    shape = Input(VECTOR, INT)
    out = Output(MATRIX)
    groups = Constant(INT)
    width = Constant(INT)
    taps = Constant(INT)
    lines = Constant(INT)

    def compute(a, dy, shape, out):
        convolve(out, a, dy, shape, 5)

    def cycles(target, a, dy, out, groups, width, taps, lines):
        places = dy.size // maximum(out.rows * width, 1)
        each = out.cols // (width * taps)
        return vertical_mac(target, places, lines, taps, width, each, out.rows, a.dtype, out.dtype)


class ConvPartialRow(Codelet):
    """a row of out = a convolved with w, by one worker"""

    kind = WORKER
    reassociate = True
    a = Input(MATRIX)
    w = Input(MATRIX)
    shape = Input(VECTOR, INT)
    out = Output(MATRIX)
    groups = Constant(INT)
    width = Constant(INT)
    taps = Constant(INT)
    lines = Constant(INT)

    def compute(a, w, shape, out):
        convolve(out, a, w, shape, 0)

    def cycles(target, a, w, out, groups, width, taps, lines):
        places = out.size // maximum(w.rows * width, 1)
        k, n = w.cols // (width * taps), w.rows // groups * width
        return amp_row(target, places, taps, k, n, a.dtype)


class ConvInputGradientRow(Codelet):
    """a row of out = a convolved with w turned round, by one worker"""

    kind = WORKER
    reassociate = True
    a = Input(MATRIX)
    w = Input(MATRIX)
    shape = Input(VECTOR, INT)
    out = Output(MATRIX)
    groups = Constant(INT)
    width = Constant(INT)
    taps = Constant(INT)
    lines = Constant(INT)

    def compute(a, w, shape, out):
        convolve(out, a, w, shape, 1)

    def cycles(target, a, w, out, groups, width, taps, lines):
        n, k = w.cols // (width * taps), w.rows // groups * width
        places = out.size // maximum(groups * n, 1)
        return amp_row(target, places, taps, k, n, a.dtype)


class ConvWeightsGradientRow(Codelet):
    """out = the sum over places of a times dy where they meet, by one worker"""

    kind = WORKER
    reassociate = True
    a = Input(MATRIX)
    dy = Input(MATRIX)
    shape = Input(VECTOR, INT)
    out = Output(MATRIX)
    groups = Constant(INT)
    width = Constant(INT)
    taps = Constant(INT)
    lines = Constant(INT)

    def compute(a, dy, shape, out):
        convolve(out, a, dy, shape, 2)

    def cycles(target, a, dy, out, groups, width, taps, lines):
        places = dy.size // maximum(out.rows * width, 1)
        return amp_row(target, out.cols // width, 1, places, out.rows // groups * width, a.dtype)
