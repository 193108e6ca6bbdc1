"""Elementwise arithmetic, comparison and logic of two operands, broadcast as in numpy.

A gradient towards a broadcast operand is the sum over the axes it was broadcast along.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from poplar_py.dtypes import BOOL
from poplar_py.errors import TypeMismatch
from poplar_py.opgraph.op import Op, Value, bools, broadcast, describe, floats, halfs, ints, sample

PAIRS = (
    sample(floats(7), floats(7)),
    sample(floats(4, 33), floats(33)),
    sample(floats(4, 1), floats(1, 5)),
    sample(floats(), floats(3, 2)),
    sample(halfs(2, 3, 5), halfs(3, 1)),
    sample(floats(3, 0), floats(1, 1)),
)
WHOLE = (sample(ints(7), ints(7)), sample(ints(2, 5), ints()))
POSITIVE = (
    sample(floats(7, low=0.3), floats(7, low=0.3)),
    sample(floats(4, 33, low=0.3), floats(33, low=0.3)),
    sample(floats(low=0.3), floats(3, 2, low=0.3)),
    sample(halfs(2, 3, 5, low=0.3), halfs(3, 1, low=0.3)),
)


def sum_to(g: Any, gradient: Value, operand: Value, name: str) -> Value:
    """The sum of `gradient` over the axes that `operand` was broadcast along."""
    if gradient.shape == operand.shape:
        return gradient
    new = gradient.ndim - operand.ndim
    axes = (*range(new), *(i + new for i, n in enumerate(operand.shape) if n == 1 and gradient.shape[i + new] != 1))
    if axes:
        gradient = g.add("reduce_sum", gradient, axes=axes, name=name)
    return gradient if gradient.shape == operand.shape else g.add("reshape", gradient, shape=operand.shape)


class _Binary(Op):
    a: Value
    b: Value
    out = broadcast("a", "b")
    in_place = ("a", "b")
    codelet: ClassVar[str] = ""

    def infer(self) -> Any:
        types = super().infer()
        if self.a.dtype == BOOL:
            raise TypeMismatch(f"{self}: {describe(self.a)} is BOOL; cast it")
        return types

    def lower(self, at: Any, a: Any, b: Any) -> Any:
        result = self.outputs[0]
        source = next((t for t in (a, b) if t.shape == result.shape), None)
        codelet = self.codelet or type(self).__name__
        return at.result(codelet, source, self.leaf, result.dtype, result.shape, a=a, b=b)

    def to_both(self, g: Any, da: Value, db: Value) -> tuple[Value, Value]:
        """Gradients of the broadcast operands, summed to their own shapes."""
        name = f"{self.leaf}-gradient"
        return sum_to(g, da, self.a, f"{name}-a"), sum_to(g, db, self.b, f"{name}-b")


class Add(_Binary):
    """out = a + b"""

    samples = PAIRS + WHOLE

    def reference(self, a: Any, b: Any) -> Any:
        return a + b

    def gradient(self, g: Any, dy: Value) -> Any:
        return self.to_both(g, dy, dy)


class Sub(_Binary):
    """out = a - b"""

    samples = PAIRS + WHOLE

    def reference(self, a: Any, b: Any) -> Any:
        return a - b

    def gradient(self, g: Any, dy: Value) -> Any:
        return self.to_both(g, dy, g.add("neg", dy))


class Mul(_Binary):
    """out = a * b"""

    samples = PAIRS + WHOLE

    def reference(self, a: Any, b: Any) -> Any:
        return a * b

    def gradient(self, g: Any, dy: Value) -> Any:
        return self.to_both(g, g.add("mul", dy, self.b), g.add("mul", dy, self.a))


class Div(_Binary):
    """out = a / b (floats)"""

    samples = POSITIVE

    def infer(self) -> Any:
        if not self.a.dtype.is_floating:
            raise TypeMismatch(f"{self}: {describe(self.a)} is not FLOAT or HALF; cast it")
        return super().infer()

    def reference(self, a: Any, b: Any) -> Any:
        return a / b

    def gradient(self, g: Any, dy: Value) -> Any:
        da = g.add("div", dy, self.b)
        return self.to_both(g, da, g.add("neg", g.add("mul", da, self.outputs[0])))


class Pow(_Binary):
    """out = a to the power b"""

    samples = POSITIVE

    def reference(self, a: Any, b: Any) -> Any:
        return a**b

    def gradient(self, g: Any, dy: Value) -> Any:
        less = g.add("pow", self.a, g.add("sub", self.b, g.constant(1.0, self.b.dtype)))
        da = g.add("mul", dy, g.add("mul", self.b, less))
        db = g.add("mul", dy, g.add("mul", self.outputs[0], g.add("log", self.a)))
        return self.to_both(g, da, db)


class _Extreme(_Binary):
    samples = (
        sample(floats(4, 33, low=-2, high=0.5), floats(33, low=0.6, high=2)),
        sample(floats(9, low=1, high=2), floats(9, low=-1, high=0.9)),
        sample(halfs(5), halfs(5)),
        *WHOLE,
    )
    comparison: ClassVar[str] = ""

    def gradient(self, g: Any, dy: Value) -> Any:
        """dy goes to the operand that was taken, to `b` where they are equal."""
        taken = g.add(self.comparison, self.a, self.b)
        zero = g.constant(0.0, dy.dtype)
        return self.to_both(g, g.add("select", dy, zero, taken), g.add("select", zero, dy, taken))


class Max(_Extreme):
    """out = the larger of a and b"""

    comparison = "greater"

    def reference(self, a: Any, b: Any) -> Any:
        return np.maximum(a, b)


class Min(_Extreme):
    """out = the smaller of a and b"""

    comparison = "less"

    def reference(self, a: Any, b: Any) -> Any:
        return np.minimum(a, b)


class _Comparison(_Binary):
    out = broadcast("a", "b", dtype=BOOL)
    samples = (
        sample(ints(40, low=-2, high=3), ints(40, low=-2, high=3)),
        sample(floats(4, 33), floats(33)),
        sample(halfs(5), halfs()),
    )

    def gradient(self, g: Any, dy: Any) -> Any:
        return None, None


class Equal(_Comparison):
    """out = whether a = b"""

    def reference(self, a: Any, b: Any) -> Any:
        return a == b


class NotEqual(_Comparison):
    """out = whether a and b differ"""

    def reference(self, a: Any, b: Any) -> Any:
        return a != b


class Less(_Comparison):
    """out = whether a < b"""

    def reference(self, a: Any, b: Any) -> Any:
        return a < b


class LessEqual(_Comparison):
    """out = whether a <= b"""

    def reference(self, a: Any, b: Any) -> Any:
        return a <= b


class Greater(_Comparison):
    """out = whether a > b"""

    def reference(self, a: Any, b: Any) -> Any:
        return a > b


class GreaterEqual(_Comparison):
    """out = whether a >= b"""

    def reference(self, a: Any, b: Any) -> Any:
        return a >= b


class _Logic(_Binary):
    samples = (sample(bools(7), bools(7)), sample(bools(4, 5), bools(5)))

    def infer(self) -> Any:
        if self.a.dtype != BOOL:
            raise TypeMismatch(f"{self}: {describe(self.a)} is not BOOL; compare it with something")
        return Op.infer(self)


class LogicalAnd(_Logic):
    """out = whether both are true"""

    def reference(self, a: Any, b: Any) -> Any:
        return a & b


class LogicalOr(_Logic):
    """out = whether one or both are true"""

    def reference(self, a: Any, b: Any) -> Any:
        return a | b
