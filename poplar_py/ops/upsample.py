"""Upsampling: every element of a field repeated along its axes; the gradient sums what was repeated."""

from __future__ import annotations

from typing import Any

from poplar_py.errors import ShapeError
from poplar_py.opgraph.gradients import gradient_name
from poplar_py.opgraph.op import Op, TensorType, Value, computed, describe, floats, halfs, ints, sample

from .pad import stored_field


class Upsample(Op):
    """y = x with every element repeated scale[i] times along field axis i (nearest neighbour)"""

    x: Value
    scale: tuple[int, ...]
    y = computed()
    samples = (
        sample(floats(2, 3, 4, 5), scale=(2, 3)),
        sample(floats(1, 4, 3), scale=(4,)),
        sample(floats(1, 2, 2, 3, 2), scale=(2, 1, 2)),
        sample(halfs(2, 2, 3, 3), scale=(2, 2)),
        sample(ints(1, 2, 3), scale=(2,)),
    )

    def infer(self) -> TensorType:
        field = self.x.shape[2:]
        if not 1 <= len(field) <= 3 or len(self.scale) != len(field) or min(self.scale) < 1:
            raise ShapeError(
                f"{self}: {describe(self.x)} and scale {list(self.scale)}: it takes (batch, channels, field of 1 to 3"
                " axes) and a number of at least 1 for each of these"
            )
        shape = (*self.x.shape[:2], *(n * s for n, s in zip(field, self.scale, strict=True)))
        return TensorType(self.x.dtype, shape)

    def reference(self, x: Any) -> Any:
        for axis, times in enumerate(self.scale):
            x = x.repeat(times, axis=axis + 2)
        return x

    def gradient(self, g: Any, dy: Value) -> Any:
        return g.add("sum_pool", dy, kernel=self.scale, name=gradient_name(self.x))

    def lower(self, at: Any, x: Any) -> Any:
        y = stored_field(at, x.dtype, self.outputs[0].shape, self.leaf)
        for axis, times in enumerate(self.scale):
            x = x.upsample(times, axis + 2)
        at.copy(x, y, self.leaf)
        return y
