"""Local response normalisation across channels, as in AlexNet and ONNX, with its gradient."""

from __future__ import annotations

from typing import Any

import numpy as np

from poplar_py.dtypes import FLOAT
from poplar_py.errors import ModelError, ShapeError
from poplar_py.lower.normalise import as_rows
from poplar_py.opgraph.gradients import gradient_name
from poplar_py.opgraph.op import Op, Value, describe, floats, halfs, like, require_floating, same_dtype, sample

VALUES = (
    (floats(2, 7, 3, 3), {"size": 5, "alpha": 0.5}),
    (floats(1, 96, 4), {"size": 5, "alpha": 0.1, "bias": 2.0}),
    (floats(3, 4), {"size": 2, "alpha": 1.0, "beta": 0.5}),
    (halfs(2, 8, 3, 3), {"size": 3, "alpha": 0.3}),
    (floats(2, 3, 2, 2), {"size": 9}),
)  # fmt: skip


class _Lrn(Op):
    x: Value
    size: int = 5
    alpha: float = 1e-4
    beta: float = 0.75
    bias: float = 1.0

    def infer(self) -> Any:
        require_floating(self, "x")
        if self.x.ndim < 2 or self.x.size == 0:
            raise ShapeError(f"{self}: {describe(self.x)}: it takes (batch, channels, ...) with at least one element")
        if self.size < 1 or self.bias <= 0 or self.alpha < 0:
            settings = f"size {self.size}, bias {self.bias}, alpha {self.alpha}"
            raise ModelError(f"{self}: {settings}; size is at least 1, bias above 0, alpha at least 0")
        return super().infer()

    @property
    def constants(self) -> dict[str, Any]:
        """As the codelets take them."""
        sides = {"before": (self.size - 1) // 2, "after": self.size // 2}
        return {**sides, "share": self.alpha / self.size, "beta": self.beta, "bias": self.bias}

    def window_sums(self, v: Any, before: int, after: int) -> Any:
        """The sums of windows along the channels."""
        total = np.zeros_like(v)
        for shift in range(-before, after + 1):
            here = slice(max(-shift, 0), min(v.shape[1] - shift, v.shape[1]))
            there = slice(max(shift, 0), min(v.shape[1] + shift, v.shape[1]))
            if here.start < here.stop:
                total[:, here] += v[:, there]
        return total

    def scale(self, x: Any) -> Any:
        """bias + alpha / size * the sum of the squares of the window"""
        c, kind = self.constants, x.dtype.type
        return kind(self.bias) + kind(c["share"]) * self.window_sums(x * x, c["before"], c["after"])


class Lrn(_Lrn):
    """y = x / (bias + alpha / size * the sum of the squares of `size` neighbouring channels) ** beta"""

    y = like("x")
    laid_by = ("x",)
    samples = tuple(sample(x, **more) for x, more in VALUES)

    def reference(self, x: Any) -> Any:
        return x * self.scale(x) ** x.dtype.type(-self.beta)

    def gradient(self, g: Any, dy: Value) -> Any:
        return g.add("lrn_grad", self.x, dy, name=gradient_name(self.x), **self.attributes)

    def lower(self, at: Any, x: Any) -> Any:
        rows = as_rows(at, x, whole=True)
        shares, y = rows.shares, rows.result(at, self.leaf)
        at.execute("Lrn", self.leaf, shares.tile, x=shares.rows(rows.flat), y=shares.rows(y), **self.constants)
        return rows.seen(y)


class LrnGrad(_Lrn):
    """The gradient of x of a local response normalisation, from that of y"""

    dy: Value
    dx = like("x")
    laid_by = ("x",)
    samples = tuple(sample(x, x, **more) for x, more in VALUES)

    def infer(self) -> Any:
        same_dtype(self, "x", "dy")
        if self.x.shape != self.dy.shape:
            raise ShapeError(f"{self}: {describe(self.x, self.dy)} differ in shape")
        return super().infer()

    def reference(self, x: Any, dy: Any) -> Any:
        c, kind, scale = self.constants, x.dtype.type, self.scale(x)
        direct = dy * scale ** kind(-self.beta)
        around = self.window_sums(direct * x / scale, c["after"], c["before"])
        return direct - kind(2 * self.beta * c["share"]) * x * around

    def lower(self, at: Any, x: Any, dy: Any) -> Any:
        rows = as_rows(at, x, whole=True)
        shares, dx = rows.shares, rows.result(at, self.leaf)
        along = rows.result(at, f"{self.leaf}/along", FLOAT)
        fields = {"x": rows.flat, "dy": rows.beside(dy), "along": along, "dx": dx}
        windows = {name: shares.rows(tensor) for name, tensor in fields.items()}
        at.execute("LrnGrad", self.leaf, shares.tile, **windows, **self.constants)
        return rows.seen(dx)
