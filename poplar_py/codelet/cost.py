"""The words cycle functions are written in. All take plain numbers and int64 columns alike.

They are in scope in every codelet file, with or without an import:

    def cycles(target, a, b, out):
        return OVERHEAD + 3 * vectors(target, a)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..dtypes import DType
from ..target import Target

OVERHEAD = 18  # worker slots of entry, loading the vertex state and exit: compiled tile code, measured (notes, V19)


@dataclass(frozen=True)
class Sized:
    """What a cycle function sees of a field: sizes as numbers or columns, and the element type."""

    rows: Any
    cols: Any
    dtype: DType

    @property
    def size(self) -> Any:
        return self.rows * self.cols

    @property
    def shape(self) -> tuple[Any, Any]:
        return (self.rows, self.cols)

    @property
    def bytes(self) -> Any:
        return self.size * self.dtype.size

    def __len__(self) -> int:
        return int(self.rows if self.rows != 1 else self.cols)


def ceil_div(a: Any, b: Any) -> Any:
    """a / b rounded up, for whole numbers."""
    return -(-a // b)


def size_of(x: Any) -> Any:
    """Elements of a field, or the number itself."""
    return x.size if isinstance(x, Sized) else x


def vectors(target: Target, x: Any, dtype: DType | None = None) -> Any:
    """64-bit vectors that the elements of field `x` fill (or x elements of `dtype`, 4 bytes each where not given)."""
    element = dtype or getattr(x, "dtype", None)
    size = element.size if isinstance(element, DType) else 4
    return ceil_div(size_of(x), target.vector_width(size))


def per_worker(target: Target, n: Any) -> Any:
    """Share of the worker with most of `n` things (a number, a column or a field's elements)."""
    return ceil_div(size_of(n), target.num_workers)


def maximum(a: Any, b: Any) -> Any:
    """The larger of two numbers, or of two columns entry by entry."""
    return np.maximum(a, b) if np.ndim(a) or np.ndim(b) else max(a, b)


def minimum(a: Any, b: Any) -> Any:
    """The smaller of two numbers, or of two columns entry by entry."""
    return np.minimum(a, b) if np.ndim(a) or np.ndim(b) else min(a, b)


def where(condition: Any, a: Any, b: Any) -> Any:
    """a where the condition holds, else b; numbers or columns."""
    return np.where(condition, a, b) if any(np.ndim(x) for x in (condition, a, b)) else (a if condition else b)


WORDS = {
    "OVERHEAD": OVERHEAD,
    "ceil_div": ceil_div,
    "vectors": vectors,
    "per_worker": per_worker,
    "maximum": maximum,
    "minimum": minimum,
    "where": where,
}
