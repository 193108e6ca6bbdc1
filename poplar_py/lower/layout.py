"""Layouts: matrices stored block by block, so that what one tile holds is one run of memory.

A matrix cut into row pieces and column pieces is kept in a flat variable, block after block (all blocks of the first
row piece, then of the second), each block row-major. The tensor others see is a (rows, cols) view of that variable,
so the host reads and writes a plain matrix while every tile's block is a single interval and a window on a block has
rows of constant stride. Weights, their gradients and optimiser state share one layout; activations lie in column
slices that the next product reads whole.

Which tensors are laid out so is remembered per graph, by the view itself, and found again through a transpose.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import InternalError
from ..graph import Graph, Tensor
from ..graph.tensor import affine
from .mapping import map_runs, top_of


@dataclass(frozen=True, eq=False)
class Layout:
    """A matrix cut at `row_bounds` and `col_bounds` (int64, from 0 to the size); `tile` (row pieces, column pieces)
    is where each block lies, or None where the elements of a block are spread otherwise."""

    row_bounds: np.ndarray
    col_bounds: np.ndarray
    tile: np.ndarray | None = None

    @property
    def shape(self) -> tuple[int, int]:
        return int(self.row_bounds[-1]), int(self.col_bounds[-1])

    @property
    def tile_of_blocks(self) -> np.ndarray:
        """`tile` of a layout whose blocks lie on one tile each. Raises InternalError where they are spread."""
        if self.tile is None:
            raise InternalError(f"the blocks of a {list(self.shape)} matrix that stays on its tiles lie on none")
        return self.tile

    @property
    def heights(self) -> np.ndarray:
        return np.diff(self.row_bounds)

    @property
    def widths(self) -> np.ndarray:
        return np.diff(self.col_bounds)

    @property
    def offsets(self) -> np.ndarray:
        """Where each block starts in the flat variable: int64 (row pieces, column pieces)."""
        return self.row_bounds[:-1, None] * self.shape[1] + self.heights[:, None] * self.col_bounds[None, :-1]

    def order(self, first: int = 0) -> np.ndarray:
        """Place of every element of the matrix in the flat variable, whose first place is `first`: int64 of `shape`."""
        from ..graph.native import number_blocks

        order = np.empty(self.shape, np.int64)
        number_blocks(order, self.row_bounds, self.col_bounds, first)
        return order

    def same_as(self, other: Layout) -> bool:
        """Whether both store a matrix in the same order."""
        return np.array_equal(self.row_bounds, other.row_bounds) and np.array_equal(self.col_bounds, other.col_bounds)


@dataclass(frozen=True, eq=False)
class Placed:
    """A laid out matrix: its flat variable and the (rows, cols) view of it. Products with a `stationary` one come to
    its tiles; others are fetched."""

    layout: Layout
    flat: Tensor
    view: Tensor
    stationary: bool = False


class Layouts:
    """The laid out matrices of one graph, which operand each weight was multiplied with, and whose turn it is
    among the tiles."""

    def __init__(self) -> None:
        self.next_tile = 0
        self.kept_tiles: dict[tuple, np.ndarray] = {}  # where plans run, by path and plan
        self._placed: dict[tuple, Placed] = {}
        self._used: dict[tuple, tuple[Tensor, list[Placed]]] = {}  # the tensor is kept so that its key stays its own

    def add(self, placed: Placed) -> None:
        self._placed[view_key(placed.view)] = placed

    def find(self, tensor: Tensor) -> Placed | None:
        """The laid out matrix that `tensor` is, whole and untransposed."""
        return self._placed.get(view_key(tensor))

    def note_use(self, operand: Tensor, weights: Placed) -> None:
        """Remember that `operand` (m, k) was multiplied with `weights` (k, n), for the gradient of the weights."""
        _, seen = self._used.setdefault(view_key(operand), (operand, []))
        if not any(p is weights for p in seen):
            seen.append(weights)

    def note_again(self, first: Tensor, again: Tensor) -> None:
        """Remember that `again` holds the numbers of `first`: gradients from it are planned as from the first, so that
        they sum in the same order."""
        if view_key(first) in self._used:
            self._used.setdefault(view_key(again), (again, self._used[view_key(first)][1]))

    def operand_of(self, weights: Placed) -> Placed | None:
        """The first laid out matrix that `weights` were multiplied with."""
        found = (self.find(operand) for operand, seen in self._used.values() if any(p is weights for p in seen))
        return next((p for p in found if p is not None), None)

    def weights_used_with(self, operand: Tensor, shape: tuple[int, int]) -> Placed | None:
        """The first weights of `shape` that `operand` was multiplied with."""
        _, seen = self._used.get(view_key(operand), (operand, []))
        return next((p for p in seen if p.layout.shape == shape), None)


def layouts_of(graph: Graph) -> Layouts:
    """The record of laid out matrices of this graph, which lives as long as the graph does: it holds its tensors."""
    kept = vars(top_of(graph))
    return kept.setdefault("_layouts", Layouts())


def view_key(tensor: Tensor) -> tuple:
    """Equal for views of the same elements in the same arrangement (views keep the arrays they were made from)."""
    elements = tensor._elements
    strides = tuple(s if n != 1 else 0 for n, s in zip(elements.shape, elements.strides, strict=True))
    return elements.__array_interface__["data"][0], elements.shape, strides, tensor.dtype.name


def stored_order(tensor: Tensor) -> tuple[int, ...] | None:
    """The order of axes in which a tensor is one run of memory, as a view with its channels moved forward is; None
    where no order of them is, or where it is one as it stands."""
    if not tensor.is_affine or tensor.size == 0 or tensor.is_contiguous:
        return None
    steps = [stride if n > 1 else 0 for n, stride in zip(tensor.shape, tensor.strides, strict=True)]
    order = tuple(sorted(range(tensor.ndim), key=lambda axis: -steps[axis]))
    return order if tensor.transpose(order).is_contiguous else None


def add_placed(graph: Graph, dtype: Any, layout: Layout, name: str, stationary: bool = False) -> Placed:
    """Make a variable of that layout. Blocks are mapped where the layout gives tiles, else the caller maps `flat`."""
    rows, cols = layout.shape
    flat = graph.add_variable(dtype, (rows * cols,), name=name)
    if layout.tile is not None and flat.size:
        start = layout.offsets.reshape(-1)
        stop = start + (layout.heights[:, None] * layout.widths[None, :]).reshape(-1)
        map_runs(graph, flat, start, stop, np.asarray(layout.tile).reshape(-1))
    if len(layout.widths) == 1:
        view = flat.reshape(rows, cols)
    else:
        view = Tensor(top_of(graph), flat.dtype, layout.order(int(flat.offset)))
    placed = Placed(layout, flat, view, stationary)
    layouts_of(graph).add(placed)
    return placed


def element_space(graph: Graph, dtype: Any) -> Tensor:
    """The whole element space of a graph as a flat tensor of that type: windows on it start at element numbers."""
    last = graph.variables[-1]
    return Tensor(top_of(graph), dtype, affine(0, (last.base + last.size,)))
