"""Normalisation over rows of channel vectors: sums down the rows, what follows from them, and rows scaled and shifted.

Sums are taken of x less `about`, a row of x itself, so that the variance of values far from zero keeps its digits.
Everything but x, y and the gradients of x is float.

Costs: PopLibs builds these from strided reduces and vector-inner broadcasts (popops estimators, MIT); the fused forms
here take one slot more a 64-bit vector for every extra operand. Inverse standard deviation: PopLibs' InverseStdDev.
"""

from poplar_py import FLOAT, MATRIX, SCALAR, UNSIGNED_INT, VECTOR, Codelet, Constant, InOut, Input, Output, rsqrt


def vectors(target, x):
    """64-bit vectors of the rows of x."""
    return x.rows * -(-x.cols // target.vector_width(x.dtype.size))


def by_channel(target, x, each):
    """Worker slots of arithmetic on x.size channels, `each` a 64-bit vector."""
    return 24 + each * -(-x.size // target.vector_width(4))


class NormSums(Codelet):
    """sums = [the sums of x - about down the rows, those of its squares]"""

    x = Input(MATRIX)
    about = Input(VECTOR)
    sums = Output(MATRIX, FLOAT)

    def compute(x, about, sums):
        for c in range(x.shape[1]):
            sums[0, c] = 0
            sums[1, c] = 0
        for r in range(x.shape[0]):
            for c in range(x.shape[1]):
                d = x[r, c] - about[c]
                sums[0, c] += d
                sums[1, c] += d * d

    def cycles(target, x):
        return 40 + 4 * x.rows + 4 * vectors(target, x)


class NormGradSums(Codelet):
    """sums = [the sums of dy down the rows, those of dy * (x - about)]"""

    x = Input(MATRIX)
    dy = Input(MATRIX)
    about = Input(VECTOR)
    sums = Output(MATRIX, FLOAT)

    def compute(x, dy, about, sums):
        for c in range(x.shape[1]):
            sums[0, c] = 0
            sums[1, c] = 0
        for r in range(x.shape[0]):
            for c in range(x.shape[1]):
                sums[0, c] += dy[r, c]
                sums[1, c] += dy[r, c] * (x[r, c] - about[c])

    def cycles(target, x):
        return 40 + 4 * x.rows + 5 * vectors(target, x)


class BatchMoments(Codelet):
    """mean and variance of every channel, from sums over 1 / share rows of x - about and of its squares"""

    total = Input(VECTOR)
    square = Input(VECTOR)
    about = Input(VECTOR)
    mean = Output(VECTOR)
    variance = Output(VECTOR)
    share = Constant(FLOAT, 1.0)

    def compute(total, square, about, mean, variance, share):
        for c in range(total.size):
            d = total[c] * share
            mean[c] = about[c] + d
            variance[c] = max(square[c] * share - d * d, 0)

    def cycles(target, total):
        return by_channel(target, total, 8)


class BatchMomentsOrKept(Codelet):
    """The same while training; the kept mean and variance in a program that evaluates (step 4294967295)"""

    total = Input(VECTOR)
    square = Input(VECTOR)
    about = Input(VECTOR)
    kept_mean = Input(VECTOR)
    kept_variance = Input(VECTOR)
    step = Input(SCALAR, UNSIGNED_INT)
    mean = Output(VECTOR)
    variance = Output(VECTOR)
    share = Constant(FLOAT, 1.0)

    def compute(total, square, about, kept_mean, kept_variance, step, mean, variance, share):
        evaluating = step[0] == 4294967295
        for c in range(total.size):
            d = total[c] * share
            mean[c] = kept_mean[c] if evaluating else about[c] + d
            variance[c] = kept_variance[c] if evaluating else max(square[c] * share - d * d, 0)

    def cycles(target, total):
        return by_channel(target, total, 10)


class RunningAverage(Codelet):
    """kept = kept + rate * (scale * new - kept); nothing in a program that evaluates (step 4294967295)"""

    kept = InOut(VECTOR)
    new = Input(VECTOR)
    step = Input(SCALAR, UNSIGNED_INT)
    rate = Constant(FLOAT, 0.1)
    scale = Constant(FLOAT, 1.0)

    def compute(kept, new, step, rate, scale):
        if step[0] != 4294967295:
            for c in range(new.size):
                kept[c] += rate * (scale * new[c] - kept[c])

    def cycles(target, new):
        return by_channel(target, new, 5)


class NormCoefficients(Codelet):
    """scale = gamma / sqrt(variance + epsilon); shift = beta - mean * scale"""

    mean = Input(VECTOR)
    variance = Input(VECTOR)
    gamma = Input(VECTOR)
    beta = Input(VECTOR)
    scale = Output(VECTOR)
    shift = Output(VECTOR)
    epsilon = Constant(FLOAT, 1e-5)

    def compute(mean, variance, gamma, beta, scale, shift, epsilon):
        for c in range(mean.size):
            s = gamma[c] * rsqrt(variance[c] + epsilon)
            scale[c] = s
            shift[c] = beta[c] - mean[c] * s

    def cycles(target, mean):
        return by_channel(target, mean, 24)


class BatchGradCoefficients(Codelet):
    """The p, q, r of dx = p dy + q x + r, and dgamma, from sums over 1 / share rows of dy and of dy * (x - about)"""

    total = Input(VECTOR)
    product = Input(VECTOR)
    about = Input(VECTOR)
    mean = Input(VECTOR)
    variance = Input(VECTOR)
    gamma = Input(VECTOR)
    p = Output(VECTOR)
    q = Output(VECTOR)
    r = Output(VECTOR)
    dgamma = Output(VECTOR)
    epsilon = Constant(FLOAT, 1e-5)
    share = Constant(FLOAT, 1.0)

    def compute(total, product, about, mean, variance, gamma, p, q, r, dgamma, epsilon, share):
        for c in range(total.size):
            inverse = rsqrt(variance[c] + epsilon)
            along = (product[c] - (mean[c] - about[c]) * total[c]) * inverse
            scale = gamma[c] * inverse
            slope = -scale * inverse * along * share
            dgamma[c] = along
            p[c] = scale
            q[c] = slope
            r[c] = -scale * total[c] * share - slope * mean[c]

    def cycles(target, total):
        return by_channel(target, total, 40)


class GroupMoments(Codelet):
    """mean and variance of a group of channels of one sample, from sums over `rows` rows of x - about and its squares"""

    total = Input(VECTOR)
    square = Input(VECTOR)
    about = Input(VECTOR)
    mean = Output(SCALAR)
    variance = Output(SCALAR)
    rows = Constant(FLOAT, 1.0)

    def compute(total, square, about, mean, variance, rows):
        count = rows * total.size
        middle = 0.0
        for c in range(total.size):
            middle += total[c] + rows * about[c]
        middle /= count
        spread = 0.0
        for c in range(total.size):
            d = middle - about[c]
            spread += square[c] - 2 * d * total[c] + rows * d * d
        mean[0] = middle
        variance[0] = max(spread / count, 0)

    def cycles(target, total):
        return 40 + by_channel(target, total, 12)


class GroupCoefficients(Codelet):
    """scale and shift of a group's channels from its mean and variance"""

    mean = Input(SCALAR)
    variance = Input(SCALAR)
    gamma = Input(VECTOR)
    beta = Input(VECTOR)
    scale = Output(VECTOR)
    shift = Output(VECTOR)
    epsilon = Constant(FLOAT, 1e-5)

    def compute(mean, variance, gamma, beta, scale, shift, epsilon):
        inverse = rsqrt(variance[0] + epsilon)
        for c in range(gamma.size):
            s = gamma[c] * inverse
            scale[c] = s
            shift[c] = beta[c] - mean[0] * s

    def cycles(target, gamma):
        return 30 + by_channel(target, gamma, 6)


class GroupGradCoefficients(Codelet):
    """The p, q, r of dx = p dy + q x + r for a group's channels, and what its sample adds to dgamma"""

    total = Input(VECTOR)
    product = Input(VECTOR)
    about = Input(VECTOR)
    mean = Input(SCALAR)
    variance = Input(SCALAR)
    gamma = Input(VECTOR)
    p = Output(VECTOR)
    q = Output(VECTOR)
    r = Output(VECTOR)
    dgamma = Output(VECTOR)
    epsilon = Constant(FLOAT, 1e-5)
    rows = Constant(FLOAT, 1.0)

    def compute(total, product, about, mean, variance, gamma, p, q, r, dgamma, epsilon, rows):
        inverse = rsqrt(variance[0] + epsilon)
        flat = 0.0
        along = 0.0
        for c in range(total.size):
            a = (product[c] - (mean[0] - about[c]) * total[c]) * inverse
            dgamma[c] = a
            along += gamma[c] * a
            flat += gamma[c] * total[c]
        share = inverse / (rows * total.size)
        slope = -inverse * along * share
        for c in range(total.size):
            p[c] = gamma[c] * inverse
            q[c] = slope
            r[c] = -flat * share - slope * mean[0]

    def cycles(target, total):
        return 60 + by_channel(target, total, 16)


class ScaleShiftRows(Codelet):
    """y = x * scale + shift, the same vectors for every row"""

    x = Input(MATRIX)
    scale = Input(VECTOR)
    shift = Input(VECTOR)
    y = Output(MATRIX)

    def compute(x, scale, shift, y):
        for r in range(x.shape[0]):
            for c in range(x.shape[1]):
                y[r, c] = x[r, c] * scale[c] + shift[c]

    def cycles(target, x):
        return 22 + 7 * x.rows + 3 * vectors(target, x)


class NormGradRows(Codelet):
    """dx = p * dy + q * x + r, the same vectors for every row"""

    x = Input(MATRIX)
    dy = Input(MATRIX)
    p = Input(VECTOR)
    q = Input(VECTOR)
    r = Input(VECTOR)
    dx = Output(MATRIX)

    def compute(x, dy, p, q, r, dx):
        for i in range(x.shape[0]):
            for c in range(x.shape[1]):
                dx[i, c] = p[c] * dy[i, c] + q[c] * x[i, c] + r[c]

    def cycles(target, x):
        return 26 + 7 * x.rows + 5 * vectors(target, x)


class LayerNorm(Codelet):
    """y = (x - mean) / sqrt(variance + epsilon) * gamma + beta of one row"""

    x = Input(VECTOR)
    gamma = Input(VECTOR)
    beta = Input(VECTOR)
    y = Output(VECTOR)
    epsilon = Constant(FLOAT, 1e-5)

    def compute(x, gamma, beta, y, epsilon):
        mean = 0.0
        for i in range(x.size):
            mean += x[i]
        mean /= x.size
        variance = 0.0
        for i in range(x.size):
            variance += (x[i] - mean) * (x[i] - mean)
        inverse = rsqrt(variance / x.size + epsilon)
        for i in range(x.size):
            y[i] = (x[i] - mean) * inverse * gamma[i] + beta[i]

    def cycles(target, x):
        return 80 + 8 * -(-x.size // target.vector_width(x.dtype.size))


class LayerNormGrad(Codelet):
    """dx of one row, and normal = dy * (x - mean) / sqrt(variance + epsilon), which adds up to dgamma"""

    x = Input(VECTOR)
    gamma = Input(VECTOR)
    dy = Input(VECTOR)
    dx = Output(VECTOR)
    normal = Output(VECTOR)
    epsilon = Constant(FLOAT, 1e-5)

    def compute(x, gamma, dy, dx, normal, epsilon):
        mean = 0.0
        for i in range(x.size):
            mean += x[i]
        mean /= x.size
        variance = 0.0
        for i in range(x.size):
            variance += (x[i] - mean) * (x[i] - mean)
        inverse = rsqrt(variance / x.size + epsilon)
        flat = 0.0
        along = 0.0
        for i in range(x.size):
            n = dy[i] * (x[i] - mean) * inverse
            normal[i] = n
            along += gamma[i] * n
            flat += gamma[i] * dy[i]
        flat /= x.size
        along /= x.size
        for i in range(x.size):
            dx[i] = inverse * (gamma[i] * dy[i] - flat - (x[i] - mean) * inverse * along)

    def cycles(target, x):
        return 110 + 17 * -(-x.size // target.vector_width(x.dtype.size))
