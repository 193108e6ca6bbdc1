"""Optimisers: one step on one parameter, in place, in one pass. The arithmetic is float whatever the storage.

`rate` is a FLOAT of one element on the device, so the host can change it while training. Nothing here has a gradient.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from poplar_py.dtypes import UNSIGNED_INT
from poplar_py.errors import ShapeError, TypeMismatch
from poplar_py.opgraph.op import (
    Op,
    Operand,
    Value,
    describe,
    floats,
    halfs,
    ints,
    require_floating,
    sample,
    tensor_type,
)

RATE = floats(low=0.01, high=0.1)
COUNT = Operand(tensor_type(UNSIGNED_INT, ()), 1, 9)


class _Optimizer(Op):
    weights: Value
    if TYPE_CHECKING:
        grad: Value
        rate: Value
    state: ClassVar[tuple[str, ...]] = ()

    def infer(self) -> Any:
        require_floating(self, "weights", "grad", "rate")
        for name in (*self.state, "grad"):
            value = getattr(self, name)
            if value.shape != self.weights.shape:
                raise ShapeError(f"{self}: {describe(self.weights, value)} differ in shape")
        if self.rate.shape != ():
            raise ShapeError(f"{self}: the rate is one element; {describe(self.rate)} is not")
        return ()


class Sgd(_Optimizer):
    """weights = weights - rate * (grad + decay * weights)"""

    grad: Value
    rate: Value
    decay: float = 0.0
    updates = ("weights",)
    samples = (
        sample(floats(4, 33), floats(4, 33), RATE),
        sample(floats(7), floats(7), RATE, decay=0.01),
        sample(halfs(6, 5), halfs(6, 5), RATE),
        sample(floats(0), floats(0), RATE),
    )

    def reference(self, weights: Any, grad: Any, rate: Any) -> Any:
        return weights - rate * (grad + self.decay * weights)

    def lower(self, at: Any, weights: Any, grad: Any, rate: Any) -> None:
        constants = {"decay": self.decay}
        at.elementwise("SgdUpdate", weights, self.leaf, gradient=grad, rate=rate, constants=constants)


class Momentum(_Optimizer):
    """velocity = momentum * velocity + grad + decay * weights; weights = weights - rate * velocity"""

    velocity: Value
    grad: Value
    rate: Value
    momentum: float = 0.9
    decay: float = 0.0
    updates = ("weights", "velocity")
    state = ("velocity",)
    samples = (
        sample(floats(4, 33), floats(4, 33), floats(4, 33), RATE),
        sample(floats(7), floats(7), floats(7), RATE, momentum=0.5, decay=0.01),
        sample(halfs(6, 5), floats(6, 5), halfs(6, 5), RATE),
        sample(floats(0), floats(0), floats(0), RATE),
    )

    def reference(self, weights: Any, velocity: Any, grad: Any, rate: Any) -> Any:
        speed = self.momentum * velocity + grad + self.decay * weights
        return weights - rate * speed, speed

    def lower(self, at: Any, weights: Any, velocity: Any, grad: Any, rate: Any) -> None:
        constants = {"momentum": self.momentum, "decay": self.decay}
        fields = {"velocity": velocity, "gradient": grad, "rate": rate}
        at.elementwise("MomentumUpdate", weights, self.leaf, constants=constants, **fields)


class Adam(_Optimizer):
    """Running means of the gradient and of its square, both corrected for their start at zero; `step` counts from 1.

    weights = weights - rate * (mean' / (sqrt(variance') + epsilon) + decay * weights)
    """

    mean: Value
    variance: Value
    grad: Value
    rate: Value
    step: Value
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    decay: float = 0.0
    updates = ("weights", "mean", "variance")
    state = ("mean", "variance")
    samples = tuple(
        sample(o(*shape), floats(*shape), floats(*shape, low=0.1), o(*shape), RATE, COUNT, **more)
        for o, shape, more in (
            (floats, (4, 33), {}),
            (floats, (7,), {"decay": 0.01, "beta1": 0.8}),
            (halfs, (6, 5), {}),
        )
    )

    def infer(self) -> Any:
        if not self.step.dtype.is_integral or self.step.shape != ():
            raise TypeMismatch(f"{self}: the step is one integer; {describe(self.step)} is not")
        return super().infer()

    def reference(self, weights: Any, mean: Any, variance: Any, grad: Any, rate: Any, step: Any) -> Any:
        kind = weights.dtype.type
        mean = self.beta1 * mean + (1 - self.beta1) * grad
        variance = self.beta2 * variance + (1 - self.beta2) * grad * grad
        corrected_mean = mean / (1 - kind(self.beta1) ** kind(step))
        corrected_variance = variance / (1 - kind(self.beta2) ** kind(step))
        change = corrected_mean / (np.sqrt(corrected_variance) + kind(self.epsilon))
        return weights - rate * (change + self.decay * weights), mean, variance

    def lower(self, at: Any, weights: Any, mean: Any, variance: Any, grad: Any, rate: Any, step: Any) -> None:
        fields = {"mean": mean, "variance": variance, "gradient": grad, "rate": rate, "step": step}
        at.elementwise("AdamUpdate", weights, self.leaf, constants=self.attributes, **fields)


class Increment(Op):
    """count = count + amount"""

    count: Value
    amount: int = 1
    updates = ("count",)
    samples = (sample(ints()), sample(COUNT, amount=5))

    def infer(self) -> Any:
        if not self.count.dtype.is_integral or self.count.shape != ():
            raise TypeMismatch(f"{self}: it counts in one integer; {describe(self.count)} is not")
        return ()

    def reference(self, count: Any) -> Any:
        return count + count.dtype.type(self.amount)

    def lower(self, at: Any, count: Any) -> None:
        at.rows("Increment", self.leaf, count=count, constants={"step": self.amount})


class Decay(Op):
    """x = x * factor, a learning rate that falls a little at every step"""

    x: Value
    factor: float
    updates = ("x",)
    samples = (sample(floats(), factor=0.99), sample(floats(5), factor=0.5))

    def infer(self) -> Any:
        require_floating(self, "x")
        return ()

    def reference(self, x: Any) -> Any:
        return x * x.dtype.type(self.factor)

    def lower(self, at: Any, x: Any) -> None:
        at.elementwise("MulInPlace", x, self.leaf, b=self.factor)


class Shrink(Op):
    """x = x * factor, with a factor known on the device: weight decay apart from the gradient"""

    x: Value
    factor: Value
    updates = ("x",)
    samples = (sample(floats(4, 33), RATE), sample(halfs(7), RATE), sample(floats(0), RATE))

    def infer(self) -> Any:
        require_floating(self, "x", "factor")
        if self.factor.shape != ():
            raise ShapeError(f"{self}: the factor is one element; {describe(self.factor)} is not")
        return ()

    def reference(self, x: Any, factor: Any) -> Any:
        return x * factor

    def lower(self, at: Any, x: Any, factor: Any) -> None:
        at.elementwise("MulInPlace", x, self.leaf, b=factor)


class Accumulate(Op):
    """total = total + new: gradients of small batches added up to that of a large one"""

    total: Value
    new: Value
    updates = ("total",)
    samples = (sample(floats(4, 33), floats(4, 33)), sample(floats(7), halfs(7)), sample(floats(0), floats(0)))

    def infer(self) -> Any:
        require_floating(self, "total", "new")
        if self.total.shape != self.new.shape:
            raise ShapeError(f"{self}: {describe(self.total, self.new)} differ in shape")
        return ()

    def reference(self, total: Any, new: Any) -> Any:
        return total + new

    def lower(self, at: Any, total: Any, new: Any) -> None:
        at.elementwise("AddInPlace", total, self.leaf, b=new)


class Clear(Op):
    """x = 0"""

    x: Value
    updates = ("x",)
    samples = (sample(floats(4, 33)), sample(halfs(7)), sample(floats(0)))

    def infer(self) -> Any:
        require_floating(self, "x")
        return ()

    def reference(self, x: Any) -> Any:
        return np.zeros_like(x)

    def lower(self, at: Any, x: Any) -> None:
        at.fill(x, 0.0, self.leaf)
