"""The codelet of tutorial 3."""

from poplar_py import VECTOR, Codelet, Input, Output


class SumVertex(Codelet):
    """out[i] = the sum of input[i:]; going from the end it is a running sum"""

    input = Input(VECTOR)
    out = Output(VECTOR)

    def compute(input, out):
        total = 0.0
        for k in range(input.size):
            i = input.size - 1 - k
            total += input[i]
            out[i] = total

    def cycles(target, input):
        return 20 + 4 * input.size
