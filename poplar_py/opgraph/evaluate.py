"""Running op graphs in numpy: the oracle that every simulated result is compared with.

Each op runs by its `reference`. Half operands are widened to float32 first and every output is rounded to its own
type, which is where the device rounds; products and sums accumulate in float32.

    oracle = Evaluation(g)
    oracle.run({"input": x, "labels": y})["loss"]     # state lives in oracle.state between runs
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ..dtypes import HALF
from ..errors import InternalError, TensorIOError, did_you_mean
from .graph import OpGraph
from .op import Op, Value


class Evaluation:
    """An op graph being run in numpy. `state` holds the contents of its parameters by name.

    `precision` (numpy.float64) replaces every floating type and its rounding, for gradient checks.
    """

    def __init__(self, g: OpGraph, state: Mapping[str, Any] | None = None, precision: Any = None):
        self.g = g
        self.precision = None if precision is None else np.dtype(precision)
        self.state = {p.name: self._stored(p.value, p.initial_value()) for p in g.parameters}
        for name, array in (state or {}).items():
            self.write(name, array)
        self.values: dict[str, np.ndarray] = {}

    def write(self, name: str, array: Any) -> None:
        """Replace the contents of parameter `name`."""
        self.state[name] = self._stored(self.g.parameter(name).value, np.asarray(array))

    def run(
        self, inputs: Mapping[str, Any] | None = None, phases: Iterable[str] | None = None
    ) -> dict[str, np.ndarray]:
        """Run once and return the outputs by name; those of phases left out are missing.

        `values` holds every value of the run afterwards. Raises TensorIOError for a missing, unknown or wrongly
        shaped input.
        """
        inputs = dict(inputs or {})
        values: dict[str, np.ndarray] = {}
        for value in self.g.inputs:
            if value.name not in inputs:
                raise TensorIOError(f"op graph '{self.g.name}' needs an input '{value.name}' {value.type}")
            values[value.name] = self._stored(value, np.asarray(inputs.pop(value.name)))
        if inputs:
            name = next(iter(inputs))
            raise TensorIOError(
                f"op graph '{self.g.name}' has no input '{name}'.{did_you_mean(name, [v.name for v in self.g.inputs])}"
            )
        values |= self.state
        chosen = None if phases is None else set(phases)
        for op in self.g.ops:
            if chosen is None or op.phase in chosen:
                self._apply(op, values)
        self.state = {name: values[name] for name in self.state}
        self.values = values
        return {name: values[value.name] for name, value in self.g.outputs.items() if value.name in values}

    def _apply(self, op: Op, values: dict[str, np.ndarray]) -> None:
        operands = op.regroup([self._widened(v, values[v.name]) for v in op.inputs])
        results = apply_reference(op, operands)
        targets = op.updated if op.updates else op.outputs
        if len(results) != len(targets):
            raise InternalError(f"{op}: reference gives {len(results)} arrays for {len(targets)}")
        for value, array in zip(targets, results, strict=True):
            values[value.name] = self._stored(value, np.asarray(array))

    def _widened(self, value: Value, array: np.ndarray) -> np.ndarray:
        return array.astype(np.float32) if value.dtype == HALF and self.precision is None else array

    def _stored(self, value: Value, array: np.ndarray) -> np.ndarray:
        if array.shape != value.shape:
            raise TensorIOError(f"'{value.name}' is {value.type}; the array given is {list(array.shape)}")
        kind = self.precision if self.precision is not None and value.dtype.is_floating else value.dtype.np
        with np.errstate(over="ignore", invalid="ignore"):
            return array.astype(kind, copy=False)


def apply_reference(op: Op, operands: tuple[Any, ...]) -> tuple[np.ndarray, ...]:
    """`op.reference` on arrays grouped as the operand fields, always as a tuple; floating errors are values."""
    with np.errstate(all="ignore"):
        results = op.reference(*operands)
    return results if isinstance(results, tuple) else (results,)


def evaluate(g: OpGraph, inputs: Mapping[str, Any] | None = None, **how: Any) -> dict[str, np.ndarray]:
    """The outputs of one run from the initial state."""
    return Evaluation(g, **how).run(inputs)
