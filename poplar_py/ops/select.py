"""Choices: one of two operands by a condition, and limits."""

from __future__ import annotations

from typing import Any

import numpy as np

from poplar_py.dtypes import BOOL
from poplar_py.errors import ModelError, ShapeError, TypeMismatch
from poplar_py.opgraph.gradients import gradient_name
from poplar_py.opgraph.op import (
    Op,
    TensorType,
    Value,
    bools,
    computed,
    describe,
    floats,
    halfs,
    like,
    require_floating,
    same_dtype,
    sample,
)

from .binary import sum_to


class Select(Op):
    """out = a where condition, else b; all three broadcast"""

    a: Value
    b: Value
    condition: Value
    out = computed()

    in_place = ("a", "b")
    samples = (
        sample(floats(4, 5), floats(4, 5), bools(4, 5)),
        sample(floats(4, 5), floats(), bools(4, 5)),
        sample(halfs(5), halfs(4, 5), bools(4, 1)),
    )

    def infer(self) -> TensorType:
        if self.condition.dtype != BOOL:
            raise TypeMismatch(f"{self}: condition {describe(self.condition)} is not BOOL")
        try:
            shape = np.broadcast_shapes(self.a.shape, self.b.shape, self.condition.shape)
        except ValueError:
            operands = describe(self.a, self.b, self.condition)
            raise ShapeError(f"{self}: {operands} do not broadcast to one shape") from None
        return TensorType(same_dtype(self, "a", "b"), shape)

    def reference(self, a: Any, b: Any, condition: Any) -> Any:
        return np.where(condition, a, b)

    def gradient(self, g: Any, dy: Value) -> Any:
        zero = g.constant(0.0, dy.dtype)
        da, db = g.add("select", dy, zero, self.condition), g.add("select", zero, dy, self.condition)
        name = f"{self.leaf}-gradient"
        return sum_to(g, da, self.a, f"{name}-a"), sum_to(g, db, self.b, f"{name}-b"), None

    def lower(self, at: Any, a: Any, b: Any, condition: Any) -> Any:
        result = self.outputs[0]
        source = next((t for t in (a, b, condition) if t.shape == result.shape), None)
        if source is None:
            out = at.variable(result.dtype, result.shape, self.leaf)
        else:
            out = at.variable_like(source, self.leaf, result.dtype)
        return at.elementwise("Select", out, self.leaf, a=a, b=b, c=condition)


class Clamp(Op):
    """y = x, not below low and not above high"""

    x: Value
    low: float = 0.0
    high: float = 1.0
    y = like("x")

    in_place = ("x",)
    samples = (
        sample(floats(4, 33, distinct=True), low=-0.5, high=1.2),
        sample(halfs(9), low=0.0, high=6.0),
        sample(floats(0), low=0.0, high=6.0),
    )

    def infer(self) -> Any:
        require_floating(self, "x")
        if self.low > self.high:
            raise ModelError(f"{self}: low {self.low} is above high {self.high}")
        return super().infer()

    def reference(self, x: Any) -> Any:
        return np.clip(x, x.dtype.type(self.low), x.dtype.type(self.high))

    def gradient(self, g: Any, dy: Value) -> Any:
        inside = g.add("equal", self.x, self.outputs[0])
        return g.add("select", dy, g.constant(0.0, dy.dtype), inside, name=gradient_name(self.x))

    def lower(self, at: Any, x: Any) -> Any:
        limits = {"low": self.low, "high": self.high}
        return at.elementwise("ClampBetween", at.variable_like(x, self.leaf), self.leaf, x=x, constants=limits)
