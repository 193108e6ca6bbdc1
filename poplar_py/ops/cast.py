"""Conversion between element types."""

from __future__ import annotations

from typing import Any

from poplar_py.dtypes import BOOL, FLOAT, HALF, INT, UNSIGNED_CHAR, DType
from poplar_py.opgraph.gradients import gradient_name
from poplar_py.opgraph.op import Op, TensorType, Value, bools, computed, floats, halfs, ints, sample


class Cast(Op):
    """y = x in element type `to`: to narrower floats by nearest even, to integers towards zero"""

    x: Value
    to: DType
    y = computed()
    in_place = ("x",)
    samples = (
        sample(floats(4, 33), to=HALF),
        sample(halfs(7), to=FLOAT),
        sample(floats(7, low=-9, high=9), to=INT),
        sample(ints(7), to=FLOAT),
        sample(ints(7, low=0, high=200), to=UNSIGNED_CHAR),
        sample(bools(5), to=FLOAT),
        sample(ints(9, low=0, high=2), to=BOOL),
        sample(floats(3), to=FLOAT),
    )

    def infer(self) -> TensorType:
        return TensorType(self.to, self.x.shape)

    def reference(self, x: Any) -> Any:
        return x if self.to.is_floating and x.dtype.kind == "f" else x.astype(self.to.np)

    def gradient(self, g: Any, dy: Value) -> Any:
        if not (self.x.dtype.is_floating and self.to.is_floating):
            return None
        return g.add("cast", dy, to=self.x.dtype, name=gradient_name(self.x))

    def lower(self, at: Any, x: Any) -> Any:
        return at.cast(x, self.to, self.leaf)
