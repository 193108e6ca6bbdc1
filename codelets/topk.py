"""The k largest or smallest elements of a row, in order, with their places; equals stand in the order of places.

Costs: PopLibs' heap of the largest (popnn estimators, MIT): 35 + 8 k slots and 13 + 20 ln k an element, the logarithm
taken in whole steps of log2.
"""

from poplar_py import INT, VECTOR, Codelet, Constant, Input, Output


def heap_slots(n, k):
    """Worker slots of choosing k of n elements."""
    steps = sum(1 * (k > 2**i) for i in range(20))
    return 35 + n * (13 + 14 * steps) + 8 * k


class TopK(Codelet):
    """values = the k best elements of x, the best first; places = first + where they stand in it"""

    x = Input(VECTOR)
    values = Output(VECTOR)
    places = Output(VECTOR, INT)
    largest = Constant(None, 1)
    first = Constant(None, 0)

    def compute(x, values, places, largest, first):
        k = values.size
        for i in range(x.size):
            j = min(i, k)
            seeking = True
            while seeking:
                seeking = False
                if j > 0:
                    better = x[i] > values[j - 1] if largest != 0 else x[i] < values[j - 1]
                    if better:
                        if j < k:
                            values[j] = values[j - 1]
                            places[j] = places[j - 1]
                        j -= 1
                        seeking = True
            if j < k:
                values[j] = x[i]
                places[j] = first + i

    def cycles(target, x, values):
        return heap_slots(x.size, values.size)


class TopKMerge(Codelet):
    """The k best of elements that were chosen before, with the places they had"""

    x = Input(VECTOR)
    given = Input(VECTOR, INT)
    values = Output(VECTOR)
    places = Output(VECTOR, INT)
    largest = Constant(None, 1)

    def compute(x, given, values, places, largest):
        k = values.size
        for i in range(x.size):
            j = min(i, k)
            seeking = True
            while seeking:
                seeking = False
                if j > 0:
                    better = x[i] > values[j - 1] if largest != 0 else x[i] < values[j - 1]
                    if better:
                        if j < k:
                            values[j] = values[j - 1]
                            places[j] = places[j - 1]
                        j -= 1
                        seeking = True
            if j < k:
                values[j] = x[i]
                places[j] = given[i]

    def cycles(target, x, values):
        return 10 + heap_slots(x.size, values.size)


class PlaceInRow(Codelet):
    """dx = 0 but at `places`, where dvalues is"""

    places = Input(VECTOR, INT)
    dvalues = Input(VECTOR)
    dx = Output(VECTOR)

    def compute(places, dvalues, dx):
        for i in range(dx.size):
            dx[i] = 0
        for j in range(places.size):
            dx[places[j]] = dvalues[j]

    def cycles(target, places, dx):
        return 30 + -(-dx.size // target.vector_width(dx.dtype.size)) + 8 * places.size
