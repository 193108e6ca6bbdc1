"""Remote buffers: storage in streaming memory, off the chip, read and written by rows.

A remote buffer is `repeats` rows of `num_elements` elements. A program copies rows to a tensor and back (`Copy`); the host
reads and writes rows outside of runs (`engine.copy_to_remote_buffer`, `copy_from_remote_buffer`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..dtypes import DType


class RemoteBuffer:
    """`repeats` rows of `num_elements` elements in streaming memory.

    `shape` is how the host sees a row where the compiler put a parameter there, else (num_elements,). `data` is what the
    rows hold when an executable is loaded (storage words, repeats x num_elements), None for zeros that nobody wrote.
    """

    def __init__(
        self,
        handle: str,
        element_type: DType,
        num_elements: int,
        repeats: int = 1,
        rearrange_on_host: bool = False,
        optimise_memory: bool = False,
        shape: tuple[int, ...] | None = None,
    ):
        self.handle = handle
        self.dtype = element_type
        self.num_elements = num_elements
        self.repeats = repeats
        self.rearrange_on_host = rearrange_on_host
        self.optimise_memory = optimise_memory
        self.shape = (num_elements,) if shape is None else shape
        self.data: np.ndarray | None = None

    @property
    def size(self) -> int:
        """Elements of a row."""
        return self.num_elements

    def variables(self) -> list[Any]:
        """None: it lies on no tile."""
        return []

    @property
    def size_bytes(self) -> int:
        """Bytes of all rows."""
        return self.num_elements * self.repeats * self.dtype.size

    @property
    def name(self) -> str:
        """The handle: what errors and pictures call it."""
        return self.handle

    def facts(self) -> list[Any]:
        """What tells it apart, without its contents."""
        return [
            self.handle,
            self.dtype.name,
            self.num_elements,
            self.repeats,
            self.rearrange_on_host,
            self.optimise_memory,
            list(self.shape),
        ]

    def __repr__(self) -> str:
        return f"<RemoteBuffer {self.handle} {self.dtype} {self.repeats} x {self.num_elements}>"
