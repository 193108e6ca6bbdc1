"""Recurrent layers over sequences, (batch, steps, features).

As in layers.py, a class is the layer of its name in snake case. A layer is unrolled: a step is a few ops of its own in
the scope `stepN`, all on the same weights.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from ..opgraph.initialise import INITIALISERS
from ..opgraph.op import Value
from ..ops.lstm import GATES
from .layers import Builder, Layer
from .schema import field


@dataclass(frozen=True, kw_only=True)
class Lstm(Layer):
    """Long short-term memory (Hochreiter and Schmidhuber 1997, with forget gates), from a state of zeros.

        i, f, g, o = x . weights + h . recurrent + bias       weights (features, 4 * units), recurrent (units, 4 * units)
        c = sigmoid(f) * c + sigmoid(i) * tanh(g);  h = sigmoid(o) * tanh(c)

    The result is h of the last step (batch, units); with `sequences`, of all steps (batch, steps, units). The gates stand
    in PyTorch's order, whose two biases are one here. Of several `layers` each reads the h of the one before, step by
    step: all of them take a step before any takes the next, so that little is alive between two steps. Parameters are
    NAME/weights, NAME/recurrent and NAME/bias, of several layers NAME/0/weights and so on.
    """

    units: int = field(at_least=1)
    layers: int = field(1, at_least=1)
    sequences: bool = field(False)
    bias: bool = field(True)
    initialiser: str = field("glorot_uniform", choices=tuple(INITIALISERS))

    def build(self, b: Builder, x: Value) -> Value:
        if x.ndim != 3:
            raise self.error(f"lstm takes (batch, steps, features); its input is {list(x.shape)}")
        g, (batch, steps, _) = b.g, x.shape
        with g.scope(b.name(self)):
            cells = [_Cell(self, b, x, number) for number in range(self.layers)]
            results = []
            for step in range(steps):
                h = _row(b, x, step)
                for cell in cells:
                    h = cell.step(b, h, step)
                results.append(h)
            if not self.sequences:
                return results[-1]
            rows = [g.add("reshape", r, shape=(batch, 1, self.units), name=f"row{i}") for i, r in enumerate(results)]
            sequence: Value = g.add("concat", tuple(rows), axis=1, name="sequence")
            b.steps[sequence] = tuple(results)
            return sequence


class _Cell:
    """A layer of cells on its way through the steps."""

    def __init__(self, layer: Lstm, b: Builder, x: Value, number: int):
        self.layer, self.number = layer, number
        wide = GATES * layer.units
        initial, seed = layer.initialiser, b.seed
        with self.scope(b):
            features = layer.units if number else x.shape[2]
            self.weights = b.g.add_parameter("weights", x.dtype, (features, wide), initial, seed=seed)
            self.recurrent = b.g.add_parameter("recurrent", x.dtype, (layer.units, wide), initial, seed=seed)
            self.bias = b.g.add_parameter("bias", x.dtype, (wide,)) if layer.bias else None
            zero = b.g.constant(0.0, x.dtype, name="zero")
            self.c = b.g.add("broadcast_to", zero, shape=(x.shape[0], layer.units), name="state")
            self.h: Value | None = None

    def scope(self, b: Builder) -> AbstractContextManager:
        """Of one layer that of the whole."""
        return b.g.scope(str(self.number)) if self.layer.layers > 1 else nullcontext()

    def step(self, b: Builder, x: Value, number: int) -> Value:
        """h of the next step, where x (batch, features) goes in."""
        g = b.g
        with self.scope(b), g.scope(f"step{number}"):
            gates = g.add("matmul", x, self.weights, name="matmul")
            if self.h is not None:  # before the first step it is zero, and so is its product
                gates = g.add("add", gates, g.add("matmul", self.h, self.recurrent, name="recurrent"), name="add")
            if self.bias is not None:
                gates = g.add("add_bias", gates, self.bias, name="add_bias")
            self.h, self.c = g.add("lstm_cell", gates, self.c, name="cell")
            return self.h


def _row(b: Builder, x: Value, step: int) -> Value:
    """A step of a sequence: where a layer made it of rows the row itself, so that nothing hangs on the whole."""
    if x in b.steps:
        return b.steps[x][step]
    batch, _, features = x.shape
    now = b.g.add("slice", x, begin=(0, step, 0), end=(batch, step + 1, features), name=f"x{step}")
    row: Value = b.g.add("reshape", now, shape=(batch, features), name=f"x{step}-row")
    return row
