"""Dropout: random elements become zero while training, the others grow so that the mean stays.

Which ones is a function of (seed, path, step, element), element being the row-major place: the gradient is the same op
on dy, and nothing but the step counter is kept. The step NOT_TRAINING leaves everything as it is: programs that only
evaluate run with it. The generator is that of the tile language, Philox with 4 words and 10
rounds (Salmon et al., SC11); here it is written for whole arrays.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from poplar_py.dtypes import UNSIGNED_INT
from poplar_py.errors import ModelError, TypeMismatch
from poplar_py.opgraph.gradients import gradient_name
from poplar_py.opgraph.op import (
    Op,
    Operand,
    Value,
    describe,
    floats,
    halfs,
    like,
    require_floating,
    sample,
    tensor_type,
)

NOT_TRAINING = 0xFFFFFFFF
COUNT = Operand(tensor_type(UNSIGNED_INT, ()), 0, 5)


def philox_bits(seed: int, path: int, step: int, index: np.ndarray) -> np.ndarray:
    """32 random bits for every index: key (seed, path), counter (index as two words, step, 0); uint32."""
    low, word = np.uint64(0xFFFFFFFF), np.uint64(32)
    index = np.asarray(index, np.uint64)
    c0, c1 = index & low, index >> word
    c2, c3 = np.full_like(c0, int(step) & 0xFFFFFFFF), np.zeros_like(c0)
    k0, k1 = np.uint64(seed & 0xFFFFFFFF), np.uint64(path & 0xFFFFFFFF)
    for _ in range(10):
        p0, p1 = c0 * np.uint64(0xD2511F53), c2 * np.uint64(0xCD9E8D57)
        c0, c1, c2, c3 = (p1 >> word) ^ c1 ^ k0, p1 & low, (p0 >> word) ^ c3 ^ k1, p0 & low
        k0, k1 = (k0 + np.uint64(0x9E3779B9)) & low, (k1 + np.uint64(0xBB67AE85)) & low
    return c0.astype(np.uint32)


def uniform(seed: int, path: int, step: int, shape: tuple[int, ...]) -> np.ndarray:
    """float32 in [0, 1), multiples of 2**-24, for the elements of an array of that shape."""
    index = np.arange(int(np.prod(shape, dtype=np.int64)), dtype=np.uint64).reshape(shape)
    return (philox_bits(seed, path, step, index) >> np.uint32(8)).astype(np.float32) * np.float32(2**-24)


class Dropout(Op):
    """y = x / (1 - rate) with probability 1 - rate, else 0; chosen anew at every step"""

    x: Value
    step: Value
    rate: float = 0.5
    seed: int = 0
    path: int = 0  # crc32 of the path of the layer
    y = like("x")
    in_place = ("x",)
    when_evaluating: ClassVar[dict[str, Any]] = {"step": NOT_TRAINING}
    samples = (
        sample(floats(4, 33), COUNT, rate=0.25, seed=3, path=77),
        sample(floats(7), COUNT, rate=0.0),
        sample(halfs(6, 20), COUNT, rate=0.5, path=4294967295),
        sample(floats(0, 2), COUNT),
    )

    def infer(self) -> Any:
        require_floating(self, "x")
        if self.step.dtype != UNSIGNED_INT or self.step.shape != ():
            raise TypeMismatch(f"{self}: the step is one UNSIGNED_INT; {describe(self.step)} is not")
        if not 0 <= self.rate < 1:
            raise ModelError(f"{self}: rate is {self.rate}; it is at least 0 and below 1")
        return super().infer()

    def reference(self, x: Any, step: Any) -> Any:
        if int(step) == NOT_TRAINING:
            return x
        kept = uniform(self.seed, self.path, int(step), x.shape) >= np.float32(self.rate)
        return np.where(kept, x / x.dtype.type(1 - np.float32(self.rate)), 0)

    def gradient(self, g: Any, dy: Value) -> Any:
        return g.add("dropout", dy, self.step, name=gradient_name(self.x), **self.attributes), None

    def lower(self, at: Any, x: Any, step: Any) -> Any:
        constants = {"seed": self.seed, "path": self.path, "rate": self.rate}
        return at.random("Dropout", at.variable_like(x, self.leaf), self.leaf, step=step, constants=constants, x=x)
