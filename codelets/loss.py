"""Losses of rows and their gradients, one row a vertex.

Costs: PopLibs' loss vertices (popnn estimators, MIT): 26 slots and 9 an element of float or two of half, and for
cross entropy of logits the softmax before it (see softmax.py).
"""

from poplar_py import FLOAT, SCALAR, VECTOR, Codelet, Constant, Input, Output, exp, log


def cross_entropy_slots(target, x):
    """Worker slots of one row, softmax included."""
    vectors = -(-x.size // target.vector_width(x.dtype.size))
    return 26 + 60 + vectors * (3 + (12 if x.dtype.size == 4 else 4) + 2 + 3)


class SoftmaxCrossEntropy(Codelet):
    """loss = -scale * log(softmax(logits)[label]); label is an integer class number"""

    logits = Input(VECTOR)
    label = Input(SCALAR)
    loss = Output(SCALAR)
    scale = Constant(FLOAT, 1.0)

    def compute(logits, label, loss, scale):
        top = logits[0]
        for i in range(1, logits.size):
            top = max(top, logits[i])
        total = 0.0
        for i in range(logits.size):
            total += exp(logits[i] - top)
        loss[0] = scale * (log(total) + top - logits[label[0]])

    def cycles(target, logits, label, loss, scale):
        return cross_entropy_slots(target, logits)


class SoftmaxCrossEntropyGrad(Codelet):
    """dlogits = scale * (softmax(logits) - one_hot(label))"""

    logits = Input(VECTOR)
    label = Input(SCALAR)
    dlogits = Output(VECTOR)
    scale = Constant(FLOAT, 1.0)

    def compute(logits, label, dlogits, scale):
        top = logits[0]
        for i in range(1, logits.size):
            top = max(top, logits[i])
        total = 0.0
        for i in range(logits.size):
            total += exp(logits[i] - top)
        for i in range(logits.size):
            hot = 1.0 if i == label[0] else 0.0
            dlogits[i] = scale * (exp(logits[i] - top) / total - hot)

    def cycles(target, logits, label, dlogits, scale):
        return cross_entropy_slots(target, logits)


class SoftmaxCrossEntropyGradBy(Codelet):
    """dlogits = scale * dloss * (softmax(logits) - one_hot(label)), dloss the gradient of the (summed) loss"""

    logits = Input(VECTOR)
    label = Input(SCALAR)
    dloss = Input(SCALAR)
    dlogits = Output(VECTOR)
    scale = Constant(FLOAT, 1.0)

    def compute(logits, label, dloss, dlogits, scale):
        top = logits[0]
        for i in range(1, logits.size):
            top = max(top, logits[i])
        total = 0.0
        for i in range(logits.size):
            total += exp(logits[i] - top)
        factor = scale * dloss[0]
        for i in range(logits.size):
            hot = 1.0 if i == label[0] else 0.0
            dlogits[i] = factor * (exp(logits[i] - top) / total - hot)

    def cycles(target, logits, label, dloss, dlogits, scale):
        return 4 + cross_entropy_slots(target, logits)


class SquaredError(Codelet):
    """loss = scale * sum((x - wanted) ** 2)"""

    x = Input(VECTOR)
    wanted = Input(VECTOR)
    loss = Output(SCALAR)
    scale = Constant(FLOAT, 1.0)

    def compute(x, wanted, loss, scale):
        total = 0.0
        for i in range(x.size):
            difference = x[i] - wanted[i]
            total += difference * difference
        loss[0] = scale * total

    def cycles(target, x, wanted, loss, scale):
        return 26 + 4 * -(-x.size // target.vector_width(x.dtype.size))


class SquaredErrorGrad(Codelet):
    """dx = 2 * scale * (x - wanted)"""

    x = Input(VECTOR)
    wanted = Input(VECTOR)
    dx = Output(VECTOR)
    scale = Constant(FLOAT, 1.0)

    def compute(x, wanted, dx, scale):
        for i in range(x.size):
            dx[i] = 2 * scale * (x[i] - wanted[i])

    def cycles(target, x, wanted, dx, scale):
        return 26 + 4 * -(-x.size // target.vector_width(x.dtype.size))


class SquaredErrorGradBy(Codelet):
    """dx = 2 * scale * dloss * (x - wanted), dloss the gradient of the (summed) loss"""

    x = Input(VECTOR)
    wanted = Input(VECTOR)
    dloss = Input(SCALAR)
    dx = Output(VECTOR)
    scale = Constant(FLOAT, 1.0)

    def compute(x, wanted, dloss, dx, scale):
        factor = 2 * scale * dloss[0]
        for i in range(x.size):
            dx[i] = factor * (x[i] - wanted[i])

    def cycles(target, x, wanted, dloss, dx, scale):
        return 30 + 4 * -(-x.size // target.vector_width(x.dtype.size))
