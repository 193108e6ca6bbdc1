"""Stored views: tensors seen in one order of axes and kept in another.

A value of a convolutional network is seen as (batch, channels, *field) and stored in blocks of channels; weights
likewise. Joining a block number and a place in the block to one axis is not affine, so such a view's element numbers
would fill an array as large as the tensor. They are only written out when someone asks for them: those who know work
on `stored` and never ask.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .tensor import Tensor
from .variable import Variable


class StoredView(Tensor):
    """`stored` with its axes in the order of `groups`, the axes of each group joined into one."""

    __slots__ = ("_written", "groups", "stored")

    def __init__(self, stored: Tensor, groups: Sequence[Sequence[int]]):
        self.graph = stored.graph
        self.dtype = stored.dtype
        self.stored = stored
        self.groups = tuple(tuple(g) for g in groups)
        self._known: dict[str, Any] = {}
        self._written: np.ndarray | None = None

    @property
    def _elements(self) -> np.ndarray:  # type: ignore[override]
        if self._written is None:
            index = self.stored.index.transpose([a for group in self.groups for a in group])
            self._written = np.ascontiguousarray(index.reshape(self.shape))
        return self._written

    @property
    def shape(self) -> tuple[int, ...]:
        sizes = self.stored.shape
        return tuple(int(np.prod([sizes[a] for a in group], dtype=np.int64)) for group in self.groups)

    @property
    def ndim(self) -> int:
        return len(self.groups)

    @property
    def size(self) -> int:
        return self.stored.size

    @property
    def is_affine(self) -> bool:
        return False

    @property
    def is_contiguous(self) -> bool:
        return self.size == 0

    @property
    def contains_aliases(self) -> bool:
        return self.stored.contains_aliases

    def variables(self) -> list[Variable]:
        return self.stored.variables()

    @property
    def order(self) -> tuple[int, ...]:
        """The axes of `stored` in the order they are seen in."""
        return tuple(a for group in self.groups for a in group)

    def like(self, stored: Tensor) -> StoredView:
        """Another tensor of the same stored shape, seen the same way."""
        return StoredView(stored, self.groups)

    def same_as(self, other: Tensor) -> bool:
        """Whether the other is seen and stored just so."""
        return isinstance(other, StoredView) and (self.groups, self.stored.shape) == (other.groups, other.stored.shape)

    def operand(self, t: Tensor) -> Tensor:
        """A tensor that broadcasts to this one, in the stored order: it broadcasts to `stored`. Free."""
        if self.same_as(t):
            return t.stored  # type: ignore[attr-defined]
        if t.size == 1:
            return t.reshape((1,) * self.stored.ndim)
        shape = (1,) * (self.ndim - t.ndim) + t.shape
        sizes = self.stored.shape
        split = [
            n
            for group, s in zip(self.groups, shape, strict=True)
            for n in ([sizes[a] for a in group] if s != 1 else [1] * len(group))
        ]
        return t.reshape(split).transpose(np.argsort(self.order).tolist())

    def array(self, value: np.ndarray) -> np.ndarray:
        """An array of this shape in the stored order."""
        sizes = self.stored.shape
        return value.reshape([sizes[a] for a in self.order]).transpose(np.argsort(self.order))

    def axes(self, axis: int) -> tuple[int, ...]:
        """The stored axes of an axis."""
        return self.groups[axis]


def as_stored(tensor: Tensor) -> Tensor:
    """The tensor as a stored view where its axes in another order are one run of the element space; else itself."""
    if isinstance(tensor, StoredView) or not tensor.is_affine or tensor.is_contiguous or min(tensor.strides) < 1:
        return tensor
    order = sorted(range(tensor.ndim), key=lambda axis: (-tensor.strides[axis], -tensor.shape[axis]))
    stored = tensor.transpose(order)
    return StoredView(stored, [[order.index(axis)] for axis in range(tensor.ndim)]) if stored.is_contiguous else tensor
