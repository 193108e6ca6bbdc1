"""Arrays known when compiled."""

from __future__ import annotations

from typing import Any

import numpy as np

from poplar_py.opgraph.op import Op, TensorType, computed, sample, tensor_type


class Constant(Op):
    """y = value"""

    value: np.ndarray
    y = computed()

    def infer(self) -> TensorType:
        return tensor_type(self.value.dtype, self.value.shape)

    def reference(self) -> np.ndarray:
        return self.value

    def gradient(self, g: Any, dy: Any) -> tuple:
        return ()

    def lower(self, at: Any) -> Any:
        return at.constant(self.outputs[0].dtype, self.value.shape, self.value, self.leaf)

    samples = (
        sample(value=np.array(2.5, np.float32)),
        sample(value=np.arange(6, dtype=np.int32).reshape(2, 3)),
        sample(value=np.array([0.1, 65504.0], np.float16)),
        sample(value=np.zeros((0, 3), np.float32)),
    )
