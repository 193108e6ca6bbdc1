"""Small pieces of control: counters. Logical reductions for predicates are in reduce.py."""

from poplar_py import SCALAR, Codelet, Constant, InOut


class Increment(Codelet):
    """count = count + step"""

    count = InOut(SCALAR)
    step = Constant(None, 1)

    def compute(count, step):
        count[0] += step

    def cycles(target, count, step):
        return 8
