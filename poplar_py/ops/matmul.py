"""Matrix products and the bias that follows them.

The gradients are products with an operand taken transposed, so that weights never leave their tiles: the three
products of a dense layer read and write the same blocks.
"""

from __future__ import annotations

from typing import Any

from poplar_py.errors import ShapeError
from poplar_py.opgraph.gradients import gradient_name
from poplar_py.opgraph.op import (
    Op,
    TensorType,
    Value,
    computed,
    describe,
    floats,
    halfs,
    like,
    require_floating,
    same_dtype,
    sample,
)


class Matmul(Op):
    """out (m, n) = a (m, k) . b (k, n); an operand marked transposed is given as (k, m) or (n, k)"""

    a: Value
    b: Value
    transpose_a: bool = False
    transpose_b: bool = False
    out = computed()
    laid_by = ()

    samples = (
        sample(floats(5, 7), floats(7, 3)),
        sample(floats(16, 40), floats(40, 24)),
        sample(floats(7, 5), floats(7, 3), transpose_a=True),
        sample(floats(5, 7), floats(3, 7), transpose_b=True),
        sample(floats(7, 5), floats(3, 7), transpose_a=True, transpose_b=True),
        sample(floats(1, 1), floats(1, 1)),
        sample(floats(4, 0), floats(0, 3)),
        sample(halfs(6, 20), halfs(20, 10)),
    )

    def infer(self) -> TensorType:
        require_floating(self, "a", "b")
        if self.a.ndim != 2 or self.b.ndim != 2:
            raise ShapeError(f"{self}: it multiplies matrices; {describe(self.a, self.b)} are not both of two axes")
        m, k = self.a.shape[::-1] if self.transpose_a else self.a.shape
        inner, n = self.b.shape[::-1] if self.transpose_b else self.b.shape
        if k != inner:
            raise ShapeError(f"{self}: {describe(self.a, self.b)} cannot be multiplied: {k} columns meet {inner} rows")
        return TensorType(same_dtype(self, "a", "b"), (m, n))

    @property
    def macs(self) -> int:
        return self.outputs[0].size * self.a.shape[0 if self.transpose_a else 1]

    def reference(self, a: Any, b: Any) -> Any:
        return (a.T if self.transpose_a else a) @ (b.T if self.transpose_b else b)

    def gradient(self, g: Any, dy: Value) -> Any:
        names = {"name": gradient_name(self.a)}, {"name": gradient_name(self.b)}
        if self.transpose_a:
            da = g.add("matmul", self.b, dy, transpose_a=self.transpose_b, transpose_b=True, **names[0])
        else:
            da = g.add("matmul", dy, self.b, transpose_b=not self.transpose_b, **names[0])
        if self.transpose_b:
            db = g.add("matmul", dy, self.a, transpose_a=True, transpose_b=self.transpose_a, **names[1])
        else:
            db = g.add("matmul", self.a, dy, transpose_a=not self.transpose_a, **names[1])
        return da, db

    def lower(self, at: Any, a: Any, b: Any) -> Any:
        return at.matmul(a, b, self.leaf, transpose_a=self.transpose_a, transpose_b=self.transpose_b)

    def create_operand(self, at: Any, field: str, name: str, **known: Any) -> Any:
        if field != "b":
            return None
        batch = self.outputs[0].shape[0]
        operand = None if self.transpose_a else known.get("a")
        if not self.transpose_b:
            return at.create_weights(self.b.dtype, self.b.shape, batch, name, operand=operand)
        return at.create_weights(self.b.dtype, self.b.shape[::-1], batch, name, operand=operand).transpose()


class AddBias(Op):
    """y = x + bias, the bias along the last axis"""

    x: Value
    bias: Value
    y = like("x")
    in_place = ("x",)

    samples = (
        sample(floats(5, 7), floats(7)),
        sample(floats(3, 1), floats(1)),
        sample(floats(0, 4), floats(4)),
        sample(halfs(6, 20), halfs(20)),
    )

    def infer(self) -> Any:
        same_dtype(self, "x", "bias")
        if self.bias.ndim != 1 or not self.x.ndim or self.x.shape[-1] != self.bias.shape[0]:
            raise ShapeError(f"{self}: {describe(self.x, self.bias)} do not fit: a bias has one element a column")
        return super().infer()

    def reference(self, x: Any, bias: Any) -> Any:
        return x + bias

    def gradient(self, g: Any, dy: Value) -> Any:
        axes = tuple(range(dy.ndim - 1))
        return dy, g.add("reduce_sum", dy, axes=axes, name=gradient_name(self.bias)) if axes else dy

    def lower(self, at: Any, x: Any, bias: Any) -> Any:
        return at.result("Add", x, self.leaf, x.dtype, x.shape, a=x, b=bias)
