"""Several tensors as one flat one, for programs that treat many alike: their regions stand one behind the other, and
element numbers are only written out when someone asks for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .tensor import Tensor


class Joined(Tensor):
    """The elements of `parts`, each in row-major order, one part behind the other. No two parts share a variable."""

    __slots__ = ("parts",)

    def __init__(self, parts: Sequence[Tensor]):
        self.graph = parts[0].graph
        self.dtype = parts[0].dtype
        self.parts = tuple(parts)
        self._known: dict[str, Any] = {}

    @property
    def _elements(self) -> np.ndarray:  # type: ignore[override]
        if "elements" not in self._known:
            self._known["elements"] = np.concatenate([t.index.reshape(-1) for t in self.parts])
        return self._known["elements"]

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.size,)

    @property
    def ndim(self) -> int:
        return 1

    @property
    def size(self) -> int:
        return sum(t.size for t in self.parts)

    @property
    def is_affine(self) -> bool:
        return False

    @property
    def is_contiguous(self) -> bool:
        return self.size == 0

    @property
    def contains_aliases(self) -> bool:
        return any(t.contains_aliases for t in self.parts)

    def _find_regions(self) -> tuple[np.ndarray, np.ndarray]:
        start, length = zip(*(t.regions() for t in self.parts), strict=True)
        return np.concatenate(start), np.concatenate(length)
