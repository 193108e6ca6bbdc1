"""Elementwise functions of one operand. The gradients of relu, sigmoid, tanh and exp read the result, not the operand."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from poplar_py.dtypes import BOOL
from poplar_py.errors import TypeMismatch
from poplar_py.opgraph.gradients import gradient_name
from poplar_py.opgraph.op import (
    Op,
    Sample,
    TensorType,
    Value,
    bools,
    describe,
    floats,
    halfs,
    ints,
    like,
    require_floating,
    sample,
)

ANY = (sample(floats(7)), sample(floats(4, 33)), sample(halfs(2, 3, 5)), sample(floats(3, 0)), sample(floats(1)))
POSITIVE = tuple(sample(o) for o in (floats(7, low=0.2), floats(4, 33, low=0.2), halfs(2, 3, 5, low=0.2), floats()))
AWAY_FROM_ZERO = (sample(floats(4, 33, distinct=True)), *ANY[2:4])


class _Unary(Op):
    x: Value
    y = like("x")
    in_place = ("x",)
    codelet: ClassVar[str] = ""
    floating: ClassVar[bool] = True  # whether integers are refused

    def infer(self) -> Any:
        if self.floating:
            require_floating(self, "x")
        elif self.x.dtype == BOOL:
            raise TypeMismatch(f"{self}: {describe(self.x)} is BOOL; cast it")
        return super().infer()

    def lower(self, at: Any, x: Any) -> Any:
        y = self.outputs[0]
        return at.result(self.codelet or type(self).__name__, x, self.leaf, y.dtype, y.shape, x=x)


class _FromResult(Op):
    """dx from dy and the result y."""

    y: Value
    dy: Value
    dx = like("y")
    in_place = ("dy", "y")

    def lower(self, at: Any, y: Any, dy: Any) -> Any:
        return at.result(type(self).__name__, y, self.leaf, y.dtype, y.shape, y=y, dy=dy)

    samples: ClassVar[tuple[Sample, ...]] = (
        sample(floats(4, 33, low=0.1, high=0.9), floats(4, 33)),
        sample(halfs(5, low=0.1, high=0.9), halfs(5)),
    )


class Relu(_Unary):
    """y = max(x, 0)"""

    samples = (*AWAY_FROM_ZERO, sample(ints(5, 2)))
    floating = False

    def reference(self, x: Any) -> Any:
        return np.maximum(x, 0)

    def gradient(self, g: Any, dy: Value) -> Any:
        return g.add("relu_grad", self.outputs[0], dy, name=gradient_name(self.x))


class ReluGrad(_FromResult):
    """dx = dy where y is above 0, else 0"""

    samples = (sample(floats(4, 33), floats(4, 33)), sample(halfs(5), halfs(5)), sample(floats(0, 2), floats(0, 2)))

    def reference(self, y: Any, dy: Any) -> Any:
        return np.where(y > 0, dy, 0)


class Sigmoid(_Unary):
    """y = 1 / (1 + exp(-x))"""

    samples = ANY

    def reference(self, x: Any) -> Any:
        return 1 / (1 + np.exp(-x))

    def gradient(self, g: Any, dy: Value) -> Any:
        return g.add("sigmoid_grad", self.outputs[0], dy, name=gradient_name(self.x))


class SigmoidGrad(_FromResult):
    """dx = dy * y * (1 - y)"""

    def reference(self, y: Any, dy: Any) -> Any:
        return dy * y * (1 - y)


class Tanh(_Unary):
    """y = the hyperbolic tangent of x"""

    samples = ANY

    def reference(self, x: Any) -> Any:
        return np.tanh(x)

    def gradient(self, g: Any, dy: Value) -> Any:
        return g.add("tanh_grad", self.outputs[0], dy, name=gradient_name(self.x))


class TanhGrad(_FromResult):
    """dx = dy * (1 - y * y)"""

    def reference(self, y: Any, dy: Any) -> Any:
        return dy * (1 - y * y)


class Exp(_Unary):
    """y = e to the power x"""

    samples = ANY

    def reference(self, x: Any) -> Any:
        return np.exp(x)

    def gradient(self, g: Any, dy: Value) -> Any:
        return g.add("mul", dy, self.outputs[0], name=gradient_name(self.x))


class Log(_Unary):
    """y = the natural logarithm of x"""

    samples = POSITIVE

    def reference(self, x: Any) -> Any:
        return np.log(x)

    def gradient(self, g: Any, dy: Value) -> Any:
        return g.add("div", dy, self.x, name=gradient_name(self.x))


class Sqrt(_Unary):
    """y = the square root of x"""

    samples = POSITIVE

    def reference(self, x: Any) -> Any:
        return np.sqrt(x)

    def gradient(self, g: Any, dy: Value) -> Any:
        half = g.add("mul", dy, g.constant(0.5, dy.dtype), name=f"{self.leaf}-gradient-half")
        return g.add("div", half, self.outputs[0], name=gradient_name(self.x))


class Rsqrt(_Unary):
    """y = 1 / the square root of x"""

    samples = POSITIVE

    def reference(self, x: Any) -> Any:
        return 1 / np.sqrt(x)

    def gradient(self, g: Any, dy: Value) -> Any:
        slope = g.add("mul", g.add("div", self.outputs[0], self.x), g.constant(-0.5, dy.dtype))
        return g.add("mul", dy, slope, name=gradient_name(self.x))


class Square(_Unary):
    """y = x * x"""

    samples = (*ANY, sample(ints(7)))
    floating = False

    def reference(self, x: Any) -> Any:
        return x * x

    def gradient(self, g: Any, dy: Value) -> Any:
        twice = g.add("mul", self.x, g.constant(2.0, dy.dtype), name=f"{self.leaf}-gradient-slope")
        return g.add("mul", dy, twice, name=gradient_name(self.x))


class Neg(_Unary):
    """y = -x"""

    samples = (*ANY, sample(ints(7)))
    floating = False

    def reference(self, x: Any) -> Any:
        return -x

    def gradient(self, g: Any, dy: Value) -> Any:
        return g.add("neg", dy, name=gradient_name(self.x))


class Abs(_Unary):
    """y = |x|"""

    samples = (*AWAY_FROM_ZERO, sample(ints(7)))
    floating = False

    def reference(self, x: Any) -> Any:
        return np.abs(x)

    def gradient(self, g: Any, dy: Value) -> Any:
        return g.add("mul", dy, g.add("sign", self.x), name=gradient_name(self.x))


class Sign(_Unary):
    """y = -1, 0 or 1 as x is below, at or above zero"""

    samples = (*AWAY_FROM_ZERO, sample(ints(7)))
    floating = False

    def reference(self, x: Any) -> Any:
        return np.sign(x)

    def gradient(self, g: Any, dy: Value) -> Any:
        return None


class Inverse(_Unary):
    """y = 1 / x"""

    samples = POSITIVE

    def reference(self, x: Any) -> Any:
        return 1 / x

    def gradient(self, g: Any, dy: Value) -> Any:
        slope = g.add("neg", g.add("square", self.outputs[0]))
        return g.add("mul", dy, slope, name=gradient_name(self.x))


class Sin(_Unary):
    """y = the sine of x"""

    samples = ANY

    def reference(self, x: Any) -> Any:
        return np.sin(x)

    def gradient(self, g: Any, dy: Value) -> Any:
        return g.add("mul", dy, g.add("cos", self.x), name=gradient_name(self.x))


class Cos(_Unary):
    """y = the cosine of x"""

    samples = ANY

    def reference(self, x: Any) -> Any:
        return np.cos(x)

    def gradient(self, g: Any, dy: Value) -> Any:
        return g.add("neg", g.add("mul", dy, g.add("sin", self.x)), name=gradient_name(self.x))


class Floor(_Unary):
    """y = the largest whole number not above x"""

    samples = AWAY_FROM_ZERO

    def reference(self, x: Any) -> Any:
        return np.floor(x)

    def gradient(self, g: Any, dy: Value) -> Any:
        return None


class LogicalNot(Op):
    """y = whether x is false"""

    x: Value
    y = like("x", BOOL)

    samples = (sample(bools(7)), sample(bools(2, 3, 4)))

    def infer(self) -> TensorType | tuple:
        if self.x.dtype != BOOL:
            raise TypeMismatch(f"{self}: {describe(self.x)} is not BOOL; compare it with something")
        return super().infer()

    def reference(self, x: Any) -> Any:
        return ~x

    def lower(self, at: Any, x: Any) -> Any:
        return at.elementwise("LogicalNot", at.variable_like(x, self.leaf), self.leaf, x=x)
