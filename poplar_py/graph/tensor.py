"""Tensors: views of variables.

A tensor is an array of element numbers of the graph-wide element space, with an element type. While those numbers
are affine (offset + index . strides) they are never written out: the array is a numpy array over memory that does
not exist, so numpy itself does slicing, transposing and reshaping, and only its strides are ever looked at. Where a
view is not affine (a concatenation, a reshape after a slice) the element numbers stand in a real int64 array. Every
view operation is free at construction; what a scattered view costs on the chip is decided when it is used.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..dtypes import DType, dtype
from ..errors import IndexOutOfRange, ShapeError, TypeMismatch
from .variable import MANY

if TYPE_CHECKING:
    from .graph import Graph
    from .variable import Variable

_ORIGIN = 1 << 50  # address of element 0 of the phantom memory; never read


class _Phantom:
    """Hands numpy a shape and strides over memory that does not exist."""

    def __init__(self, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]):
        self.__array_interface__ = {
            "data": (_ORIGIN + offset, False),
            "shape": shape,
            "strides": strides,
            "typestr": "|i1",
            "version": 3,
        }


def affine(offset: int, shape: Sequence[int], strides: Sequence[int] | None = None) -> np.ndarray:
    """A phantom array of element numbers `offset + index . strides` (row-major where no strides are given)."""
    shape = tuple(int(n) for n in shape)
    if strides is None:
        strides = [1] * len(shape)
        for axis in range(len(shape) - 2, -1, -1):
            strides[axis] = strides[axis + 1] * max(shape[axis + 1], 1)
    return np.asarray(_Phantom(int(offset), shape, tuple(int(s) for s in strides)))


class Tensor:
    """A view of the elements of one or more variables. Made by `Graph`; immutable."""

    __slots__ = ("_elements", "_known", "dtype", "graph")

    def __init__(self, graph: Graph, element_type: DType, elements: np.ndarray):
        self.graph = graph
        self.dtype = element_type
        self._elements = elements
        self._known: dict[str, Any] = {}  # facts found by looking at every element, kept

    # what it is ------------------------------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        return self._elements.shape

    @property
    def ndim(self) -> int:
        return self._elements.ndim

    rank = ndim

    @property
    def size(self) -> int:
        """Number of elements."""
        return self._elements.size

    num_elements = size

    @property
    def size_bytes(self) -> int:
        return self.size * self.dtype.size

    @property
    def element_type(self) -> DType:
        return self.dtype

    def dim(self, axis: int) -> int:
        return self.shape[self._axis(axis)]

    @property
    def is_affine(self) -> bool:
        """Whether the element numbers are offset + index . strides."""
        return self._elements.dtype.itemsize == 1

    @property
    def offset(self) -> int:
        """Element number of the first element of an affine tensor."""
        return self._elements.__array_interface__["data"][0] - _ORIGIN

    @property
    def strides(self) -> tuple[int, ...]:
        """Steps in elements along each axis of an affine tensor."""
        return self._elements.strides

    @property
    def index(self) -> np.ndarray:
        """The element numbers, an int64 array of this tensor's shape."""
        if not self.is_affine:
            return self._elements
        index = np.full((1,) * self.ndim, self.offset, np.int64)
        for axis, (n, stride) in enumerate(zip(self.shape, self.strides, strict=True)):
            index = index + (np.arange(n, dtype=np.int64) * stride).reshape((-1,) + (1,) * (self.ndim - axis - 1))
        return np.broadcast_to(index, self.shape)

    @property
    def is_contiguous(self) -> bool:
        """Whether the elements, in row-major order, are one run of the element space."""
        if self.is_affine:
            return self.size == 0 or self._elements.flags.c_contiguous
        if "contiguous" not in self._known:
            self._known["contiguous"] = self.size == 0 or self._is_one_run()
        return self._known["contiguous"]

    def _is_one_run(self) -> bool:
        """Whether the element numbers, not affine and some, follow one another."""
        ends = self._elements.item(0), self._elements.item(self.size - 1)
        return ends[1] - ends[0] == self.size - 1 and len(self.regions()[0]) == 1

    def regions(self) -> tuple[np.ndarray, np.ndarray]:
        """Contiguous runs in row-major order: (start, length), int64."""
        if "regions" not in self._known:
            self._known["regions"] = self._find_regions()
        return self._known["regions"]

    def _find_regions(self) -> tuple[np.ndarray, np.ndarray]:
        if self.size == 0:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        if self.is_affine and self.is_contiguous:
            return np.array([self.offset], np.int64), np.array([self.size], np.int64)
        return runs(self.index)

    def get_contiguous_regions(self) -> list[tuple[int, int]]:
        """Intervals [begin, end) of the flattened tensor that are contiguous in the element space, in order."""
        ends = np.cumsum(self.regions()[1]).tolist()
        return list(zip([0, *ends[:-1]], ends, strict=True)) if ends else []

    def intersects_with(self, other: Tensor) -> bool:
        """Whether some element stands in both tensors."""
        return bool(np.intersect1d(self.index, other.index).size)

    def shape_to_string(self) -> str:
        return str(list(self.shape))

    @property
    def contains_aliases(self) -> bool:
        """Whether some element stands in the tensor twice."""
        if self.is_contiguous:
            return False
        if "aliases" not in self._known:
            whole = self._known.get("whole")
            self._known["aliases"] = whole.contains_aliases if whole is not None else _has_twice(self.index)
        return self._known["aliases"]

    @property
    def is_parallel_writeable(self) -> bool:
        return not self.contains_aliases and not self.contains_constant

    def variables(self) -> list[Variable]:
        """The variables this tensor has elements of, in order of their index."""
        if "whole" in self._known:
            return self._known["whole"].variables()
        if "variables" not in self._known:
            owner = self.graph.variable_index(self.regions()[0])
            self._known["variables"] = np.flatnonzero(np.bincount(owner)).tolist()
        return [self.graph.variables[i] for i in self._known["variables"]]

    @property
    def contains_constant(self) -> bool:
        return any(v.is_constant for v in self.variables())

    @property
    def name(self) -> str:
        """Path of the variable, with `[...]` where the tensor is a part of it, joined by + over several."""
        names = [v.name for v in self.variables()]
        whole = len(names) == 1 and self.size == self.variables()[0].size
        text = "+".join(names[:3]) + ("+..." if len(names) > 3 else "")
        return text if whole else f"{text}[{'x'.join(map(str, self.shape)) or 'scalar'}]"

    def __repr__(self) -> str:
        return f"<Tensor {self.name} {self.dtype} {list(self.shape)}>"

    def __len__(self) -> int:
        if not self.ndim:
            raise TypeError("len() of a tensor of rank 0")
        return self.shape[0]

    def __iter__(self) -> Iterable[Tensor]:
        return (self[i] for i in range(len(self)))

    # views -----------------------------------------------------------------------------------------------------

    def _view(self, elements: np.ndarray) -> Tensor:
        return Tensor(self.graph, self.dtype, elements)

    def _turned(self, elements: np.ndarray) -> Tensor:
        """A view of the very same elements in another arrangement: what does not depend on it need be found once."""
        view = self._view(elements)
        if not view.is_affine:
            view._known["whole"] = self._known.get("whole", self)
        return view

    def _axis(self, axis: int) -> int:
        if not -self.ndim <= axis < self.ndim:
            raise IndexOutOfRange(f"{self.name} has rank {self.ndim}; there is no axis {axis}")
        return axis % self.ndim

    def __getitem__(self, key: Any) -> Tensor:
        keys = key if isinstance(key, tuple) else (key,)
        basic = all(k is None or k is Ellipsis or isinstance(k, (int, np.integer, slice)) for k in keys)
        elements = self._elements if basic else self.index
        if not any(k is Ellipsis for k in keys):
            keys += (Ellipsis,)  # without it numpy would read a scalar, and phantom memory cannot be read
        try:
            picked = elements[keys]
        except (IndexError, TypeError, ValueError) as problem:
            raise IndexOutOfRange(f"{self.name} {list(self.shape)}: {problem}") from None
        return self._view(picked)

    def slice(self, begin: Any, end: Any, dim: int = 0) -> Tensor:
        """Elements [begin, end) along `dim`; or begins and ends for the leading axes.

        Raises IndexOutOfRange unlike Python slices, as Poplar does.
        """
        if isinstance(begin, (int, np.integer)):
            pairs = [(begin, end, dim)]
        elif len(begin) == len(end):
            pairs = [(b, e, axis) for axis, (b, e) in enumerate(zip(begin, end, strict=True))]
        else:
            raise IndexOutOfRange(f"slice of {self.name}: {len(begin)} begins and {len(end)} ends")
        view = self
        for b, e, axis in pairs:
            axis = self._axis(axis)
            if not 0 <= b <= e <= self.shape[axis]:
                raise IndexOutOfRange(f"slice [{b}, {e}) of axis {axis} of {self.name} {list(self.shape)}")
            view = view[(slice(None),) * axis + (slice(int(b), int(e)),)]
        return view

    def slices(self, intervals: Iterable[tuple[int, int]], dim: int = 0) -> list[Tensor]:
        return [self.slice(b, e, dim) for b, e in intervals]

    def reshape(self, *shape: Any) -> Tensor:
        """The same elements in row-major order in another shape; one entry may be -1."""
        wanted = tuple(shape[0]) if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape
        fixed = 1
        for n in wanted:
            fixed *= n if n != -1 else 1
        if (
            (wanted.count(-1) > 1)
            or any(n < -1 for n in wanted)
            or (-1 not in wanted and fixed != self.size)
            or (-1 in wanted and (fixed == 0 or self.size % fixed))
        ):
            raise ShapeError(
                f"{self.name} {list(self.shape)} has {self.size} elements; it cannot become {list(wanted)}"
            )
        try:
            return self._turned(np.reshape(self._elements, wanted, copy=False))
        except ValueError:
            return self._turned(self.index.reshape(wanted))

    def reshape_partial(self, begin: int, end: int, shape: Sequence[int]) -> Tensor:
        """Axes [begin, end) replaced by `shape`."""
        return self.reshape(self.shape[:begin] + tuple(shape) + self.shape[end:])

    def flatten(self, begin: int = 0, end: int | None = None) -> Tensor:
        """One axis in place of axes [begin, end), by default of all."""
        end = self.ndim if end is None else end
        if not 0 <= begin <= end <= self.ndim:
            raise IndexOutOfRange(f"flatten axes [{begin}, {end}): {self.name} has rank {self.ndim}")
        joined = int(np.prod(self.shape[begin:end], dtype=np.int64))
        return self.reshape(self.shape[:begin] + (joined,) + self.shape[end:])

    def transpose(self, permutation: Sequence[int] | None = None) -> Tensor:
        """Axes reversed, or in the order given."""
        if permutation is not None and sorted(permutation) != list(range(self.ndim)):
            raise ShapeError(f"{list(permutation)} is no permutation of the {self.ndim} axes of {self.name}")
        return self._turned(self._elements.transpose(permutation))

    def dim_shuffle(self, permutation: Sequence[int]) -> Tensor:
        """Axis i of the result is axis permutation[i] of this tensor."""
        return self.transpose(permutation)

    def dim_shuffle_partial(self, source: Sequence[int], destination: Sequence[int]) -> Tensor:
        """Axes `source` moved to places `destination`; the others keep their order."""
        if len(source) != len(destination):
            raise ShapeError(f"{self.name}: {len(source)} axes cannot move to {len(destination)} places")
        places = [[self._axis(a) for a in axes] for axes in (source, destination)]
        if any(len(set(axes)) != len(axes) for axes in places):
            raise ShapeError(f"{self.name}: axes {list(source)} to {list(destination)} name an axis twice")
        return self._turned(np.moveaxis(self._elements, *places))

    def dim_roll(self, dim: int, new_index: int = 0) -> Tensor:
        return self._turned(np.moveaxis(self._elements, self._axis(dim), self._axis(new_index)))

    def broadcast(self, n: int, dim: int) -> Tensor:
        """The tensor repeated n times along `dim` (whole, one after another), without storage."""
        axis = self._axis(dim)
        if n < 0:
            raise ShapeError(f"{self.name} cannot be broadcast {n} times")
        repeated = np.broadcast_to(
            np.expand_dims(self._elements, axis), self.shape[:axis] + (int(n),) + self.shape[axis:]
        )
        return self._view(repeated).flatten(axis, axis + 2)

    def broadcast_to(self, shape: Sequence[int]) -> Tensor:
        """As numpy.broadcast_to. Raises ShapeError where the shapes do not agree."""
        try:
            return self._view(np.broadcast_to(self._elements, shape))
        except ValueError:
            raise ShapeError(f"{self.name} {list(self.shape)} cannot be broadcast to {shape}") from None

    def upsample(self, scale: int, dim: int) -> Tensor:
        """Every element along `dim` repeated `scale` times."""
        axis = self._axis(dim)
        if scale < 0:
            raise ShapeError(f"{self.name} cannot be upsampled {scale} times")
        wide = np.broadcast_to(
            np.expand_dims(self._elements, axis + 1), self.shape[: axis + 1] + (int(scale),) + self.shape[axis + 1 :]
        )
        return self._view(wide).flatten(axis, axis + 2)

    def expand(self, dims: int | Sequence[int]) -> Tensor:
        """Axes of size 1 put before the axes named (numbers refer to this tensor), as Poplar's expand."""
        dims = [dims] if isinstance(dims, (int, np.integer)) else list(dims)
        shape: list[int] = []
        for axis in range(self.ndim + 1):
            shape += [1] * dims.count(axis)
            shape += [self.shape[axis]] if axis < self.ndim else []
        if len(shape) != self.ndim + len(dims):
            raise IndexOutOfRange(f"expand {dims}: {self.name} has rank {self.ndim}")
        return self.reshape(shape)

    def squeeze(self, dims: int | Sequence[int]) -> Tensor:
        """The axes named removed; each must have size 1."""
        dims = [self._axis(d) for d in ([dims] if isinstance(dims, (int, np.integer)) else dims)]
        for axis in dims:
            if self.shape[axis] != 1:
                raise ShapeError(f"squeeze: axis {axis} of {self.name} {list(self.shape)} is not 1")
        return self.reshape([n for axis, n in enumerate(self.shape) if axis not in dims])

    def reverse(self, dim: int) -> Tensor:
        axis = self._axis(dim)
        return self[(slice(None),) * axis + (slice(None, None, -1),)]

    def sub_sample(self, stride: int, dim: int) -> Tensor:
        """Every stride-th element along `dim`."""
        if stride < 1:
            raise IndexOutOfRange(f"sub_sample stride is {stride}; it must be at least 1")
        axis = self._axis(dim)
        return self[(slice(None),) * axis + (slice(None, None, stride),)]

    def reinterpret(self, element_type: Any) -> Tensor:
        """The same bytes read as another type of the same size."""
        other = dtype(element_type)
        if other.size != self.dtype.size:
            raise TypeMismatch(f"{self.name} is {self.dtype} ({self.dtype.size} bytes); {other} has {other.size}")
        return Tensor(self.graph, other, self._elements)

    def windows(self, start: Any, length: Any, rows: Any = None, stride: Any = 0) -> Windows:
        """One window a vertex on the flattened tensor; see `Windows`."""
        return Windows(self.flatten(), start, length, rows, stride)

    def listed_rows(self, first: Any, rows: Any, length: Any) -> Windows:
        """One MATRIX window a vertex on the flattened tensor: `rows` rows of `length` elements (numbers or columns), the
        rows of all vertices one after another beginning at the places `first`."""
        return Windows(self.flatten(), 0, length, rows, 0, listed=first)

    @property
    def T(self) -> Tensor:
        return self.transpose()


class Windows:
    """A column of windows on a tensor of rank 1: what n vertices see of it.

    Window i is elements [start[i], start[i] + length[i]) for a VECTOR field, or, with `rows`, rows[i] such runs
    `stride[i]` apart for a MATRIX field. Every argument is a number or a column of n numbers. With `listed`, rows begin
    at those places instead: rows[0] of them are window 0's, the next rows[1] window 1's.
    """

    __slots__ = ("length", "listed", "n", "rows", "start", "stride", "tensor")

    def __init__(self, tensor: Tensor, start: Any, length: Any, rows: Any, stride: Any, listed: Any = None):
        self.tensor = tensor
        self.listed = None if listed is None else np.asarray(listed, np.int64).reshape(-1)
        columns = [np.asarray(c, np.int64) for c in (start, length, 1 if rows is None else rows, stride)]
        self.n = max(int(c.size) for c in columns)
        if any(c.ndim > 1 or c.size not in (1, self.n) for c in columns):
            raise ShapeError(f"windows on {tensor.name}: columns of sizes {[int(c.size) for c in columns]}")
        if any(c.size == 0 for c in columns):
            self.n = 0
            columns = [c[:0] if c.ndim else np.zeros(0, np.int64) for c in columns]
        self.start, self.length, count, self.stride = columns
        self.rows = None if rows is None else count
        if self.listed is not None:
            self._check_listed()
        elif self.n:
            last = self.start + np.maximum(count - 1, 0) * self.stride + self.length
            empty = (self.length == 0) | (count == 0)
            outside = ~empty & ((self.start < 0) | (self.length < 0) | (last > tensor.size))
            if outside.any():
                i = int(np.flatnonzero(np.broadcast_to(outside, (self.n,)))[0])
                raise IndexOutOfRange(
                    f"window {i} on {tensor.name} ends at {int(np.broadcast_to(last, self.n)[i])}"
                    f" of {tensor.size} elements"
                )

    def _check_listed(self) -> None:
        """The rows listed must be as many as the windows have, and inside the tensor."""
        assert self.listed is not None and self.rows is not None
        rows = np.broadcast_to(self.rows, (self.n,))
        if int(rows.sum()) != self.listed.size:
            raise ShapeError(f"windows on {self.tensor.name}: {self.listed.size} rows are listed for {int(rows.sum())}")
        length = np.repeat(np.broadcast_to(self.length, (self.n,)), rows)
        outside = (self.listed < 0) | (length < 0) | (self.listed + length > self.tensor.size)
        if outside.any():
            at = int(np.flatnonzero(outside)[0])
            raise IndexOutOfRange(
                f"row {at} listed on {self.tensor.name} is [{int(self.listed[at])}, {int((self.listed + length)[at])})"
                f" of {self.tensor.size} elements"
            )


def as_matrix(numbers: np.ndarray) -> np.ndarray:
    """The same numbers in the same order as a matrix, not copied where their strides allow."""
    return numbers if numbers.ndim == 2 else numbers.reshape(1, -1)


def runs(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Maximal runs of consecutive numbers, in row-major order: (start, length)."""
    if numbers.size == 0:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    if numbers.size >= MANY:
        from .native import count_runs, find_runs

        matrix = as_matrix(numbers)
        start, length = np.empty((2, count_runs(matrix)), np.int64)
        find_runs(matrix, start, length)
        return start, length
    flat = numbers.reshape(-1)
    first = np.concatenate(([0], np.flatnonzero(np.diff(flat) != 1) + 1))
    return flat[first], np.diff(np.append(first, flat.size))


def _has_twice(numbers: np.ndarray) -> bool:
    """Whether some number stands twice among them; there are some."""
    low, high = int(numbers.min()), int(numbers.max())
    if high - low >= 8 * numbers.size:
        ordered = np.sort(numbers, axis=None)
        return bool((ordered[1:] == ordered[:-1]).any())
    if numbers.size < MANY:
        return bool(np.bincount(numbers.reshape(-1) - low).max() > 1)
    from .native import has_twice

    return bool(has_twice(as_matrix(numbers), low, high))


def concat(tensors: Sequence[Tensor] | Tensor, axis: Any = 0, *more: int) -> Tensor:
    """The tensors one after another along `axis`; also Poplar's `concat(first, second, axis)`.

    Raises ShapeError where the other axes differ and TypeMismatch where the element types do.
    """
    if isinstance(tensors, Tensor):
        tensors, axis = [tensors, axis], more[0] if more else 0
    tensors = list(tensors)
    if not tensors:
        raise ShapeError("concat of no tensors")
    for t in tensors:
        if not isinstance(t, Tensor):
            raise TypeMismatch(f"concat joins tensors, not {t!r}")
    first = tensors[0]
    for t in tensors[1:]:
        if t.dtype != first.dtype:
            raise TypeMismatch(f"concat: {first.name} is {first.dtype}, {t.name} is {t.dtype}")
        if t.graph is not first.graph:
            raise ShapeError(f"concat: {first.name} and {t.name} belong to different graphs")
    if len(tensors) == 1:
        return first
    joined = _joined(tensors, axis)
    if joined is not None:
        return joined
    try:
        return first._view(np.concatenate([t.index for t in tensors], axis))
    except (ValueError, np.exceptions.AxisError):
        raise ShapeError(f"concat along {axis}: shapes {[list(t.shape) for t in tensors]}") from None


def _joined(tensors: Sequence[Tensor], axis: int) -> Tensor | None:
    """The concatenation as an affine tensor where the parts continue one another, else None."""
    first = tensors[0]
    if not all(t.is_affine and t.ndim == first.ndim for t in tensors) or not -first.ndim <= axis < first.ndim:
        return None
    axis %= first.ndim
    total, stride = 0, first.strides[axis]
    for t in tensors:
        same = all(
            a == axis or (t.shape[a] == first.shape[a] and t.strides[a] == first.strides[a]) for a in range(first.ndim)
        )
        if not same or t.strides[axis] != stride or t.offset != first.offset + total * stride:
            return None
        total += t.shape[axis]
    shape = first.shape[:axis] + (total,) + first.shape[axis + 1 :]
    return first._view(affine(first.offset, shape, first.strides))


def append(first: Tensor, second: Tensor, axis: int = 0) -> Tensor:
    """`second`, of one axis less, put after the last index of `first` along `axis`."""
    return concat([first, second.expand([axis])], axis)
