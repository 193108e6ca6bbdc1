"""Random numbers: functions of (seed, path, step, element), never of an order of execution.

`seed` and `path` are the key (the path is the crc32 of the name of the op or vertex), `step` counts calls, and the
element is its row-major place in the whole tensor: `first` is that of this vertex's first element. So threads, tile
counts and recomputation change no number. Costs: PopLibs' dropout, uniform and Bernoulli vertices (poprand
estimators, MIT), one worker's share: 24 slots of set-up and 4 a 64-bit vector.
"""

from poplar_py import FLOAT, LONGLONG, SCALAR, UNSIGNED_INT, VECTOR, Codelet, Constant, Input, Output, random_uniform


def random_slots(target, x):
    """Worker slots of x.size elements."""
    return 24 + 4 * -(-x.size // target.vector_width(x.dtype.size))


class Dropout(Codelet):
    """y = x / (1 - rate) with probability 1 - rate, else 0"""

    x = Input(VECTOR)
    step = Input(SCALAR, UNSIGNED_INT)
    y = Output(VECTOR)
    seed = Constant(UNSIGNED_INT)
    path = Constant(UNSIGNED_INT)
    first = Constant(LONGLONG, 0)
    rate = Constant(FLOAT)

    def compute(x, step, y, seed, path, first, rate):
        if step[0] == 4294967295:  # a program that evaluates: nothing is dropped
            for i in range(x.size):
                y[i] = x[i]
        else:
            for i in range(x.size):
                keep = random_uniform(seed, path, step[0], first + i) >= rate
                y[i] = x[i] / (1 - rate) if keep else 0

    def cycles(target, x):
        return random_slots(target, x)


class Uniform(Codelet):
    """y = numbers spread evenly over [low, high)"""

    step = Input(SCALAR, UNSIGNED_INT)
    y = Output(VECTOR)
    seed = Constant(UNSIGNED_INT)
    path = Constant(UNSIGNED_INT)
    first = Constant(LONGLONG, 0)
    low = Constant(FLOAT, 0.0)
    high = Constant(FLOAT, 1.0)

    def compute(step, y, seed, path, first, low, high):
        for i in range(y.size):
            y[i] = low + (high - low) * random_uniform(seed, path, step[0], first + i)

    def cycles(target, y):
        return random_slots(target, y)


class Bernoulli(Codelet):
    """y = 1 with that probability, else 0"""

    step = Input(SCALAR, UNSIGNED_INT)
    y = Output(VECTOR)
    seed = Constant(UNSIGNED_INT)
    path = Constant(UNSIGNED_INT)
    first = Constant(LONGLONG, 0)
    probability = Constant(FLOAT, 0.5)

    def compute(step, y, seed, path, first, probability):
        for i in range(y.size):
            y[i] = 1 if random_uniform(seed, path, step[0], first + i) < probability else 0

    def cycles(target, y):
        return random_slots(target, y)
