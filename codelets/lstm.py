"""The cell of an LSTM after the products: the gates' functions, the new state and the output, in one pass.

Gates come before their functions: i, f and o of the input, forget and output gate, g of the candidate. Arithmetic is
float whatever the storage. Costs: the sigmoids and tanhs at PopLibs' slots for pairs of float (4 of half), see unary.py,
and a slot for every load, store and product of 64-bit vectors around them.
"""

from poplar_py import VECTOR, Codelet, Input, Output, sigmoid, tanh


def cell(target, h, functions, others):
    """Worker slots of h.size elements: `functions` sigmoids or tanhs and `others` loads, stores and products a vector."""
    half = h.dtype.size == 2
    each = 6 if half else 12
    return 30 + (functions * each + others) * -(-h.size // (4 if half else 2))


class LstmCell(Codelet):
    """c = sigmoid(f) * c_before + sigmoid(i) * tanh(g); h = sigmoid(o) * tanh(c)"""

    i = Input(VECTOR)
    f = Input(VECTOR)
    g = Input(VECTOR)
    o = Input(VECTOR)
    c_before = Input(VECTOR)
    h = Output(VECTOR)
    c = Output(VECTOR)

    def compute(i, f, g, o, c_before, h, c):
        for n in range(h.size):
            state = sigmoid(f[n]) * c_before[n] + sigmoid(i[n]) * tanh(g[n])
            c[n] = state
            h[n] = sigmoid(o[n]) * tanh(state)

    def cycles(target, i, f, g, o, c_before, h, c):
        return cell(target, h, 5, 11)


class LstmCellGrad(Codelet):
    """Gradients of the gates and of the state before, from those of the output (dh) and of the state behind (dc)."""

    i = Input(VECTOR)
    f = Input(VECTOR)
    g = Input(VECTOR)
    o = Input(VECTOR)
    c_before = Input(VECTOR)
    dh = Input(VECTOR)
    dc = Input(VECTOR)
    dc_before = Output(VECTOR)
    di = Output(VECTOR)
    df = Output(VECTOR)
    dg = Output(VECTOR)
    do = Output(VECTOR)

    def compute(i, f, g, o, c_before, dh, dc, dc_before, di, df, dg, do):
        for n in range(dh.size):
            now = sigmoid(i[n])
            keep = sigmoid(f[n])
            new = tanh(g[n])
            out = sigmoid(o[n])
            state = tanh(keep * c_before[n] + now * new)
            through = dc[n] + dh[n] * out * (1 - state * state)
            dc_before[n] = through * keep
            di[n] = through * new * now * (1 - now)
            df[n] = through * c_before[n] * keep * (1 - keep)
            dg[n] = through * now * (1 - new * new)
            do[n] = dh[n] * state * out * (1 - out)

    def cycles(target, i, f, g, o, c_before, dh, dc, dc_before, di, df, dg, do):
        return cell(target, dh, 5, 32)
