"""Vertices: instances of codelets, kept as blocks of columns.

The parts and how one leads to another:

    Graph.compute_sets --> ComputeSet.blocks --> Block --.fields[name]--> Edges --.starts()--> element numbers
    Graph.vertices[i]  --> Vertex (graph, index) --.block, .row--> a row of a Block

One `add_vertices` call makes one Block: one codelet, one compute set, n vertices. Single `add_vertex` calls are kept
as rows while the graph is built and become blocks when it is frozen, rows alike in compute set, codelet and element
types together; their public indices stay.

Columns of a block: `tile` int32[n]; for every field an `Edges`; for every constant a number or a column. Edges come
in two forms. *Regular*: window v is `rows[v]` runs of `cols[v]` elements, run j starting at `start[v] + j*stride[v]`;
each run is one edge (all together are one where they continue one another). *Scattered*: runs of `width` elements (1, or as long as the window's rows) begin at the numbers
in `elements`, those of window v at [offset[v], offset[v+1]); runs of a window that continue one another are one edge.
Scattered windows that do not lie in order on their tile are gathered into a contiguous place before the compute set
runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..codelet.codelet import MATRIX, SCALAR
from ..dtypes import FLOAT, INT, DType
from ..errors import GraphConnectionError, InvalidTileMapping, ShapeError, TypeMismatch
from .tensor import Tensor, Windows
from .variable import expand_runs

if TYPE_CHECKING:
    from ..codelet.library import CodeletInfo
    from .graph import ComputeSet, Graph


class Edges:
    """The edges of one field of a block; see the head of this file."""

    __slots__ = ("cols", "dtype", "elements", "n", "num_edges", "offset", "rows", "start", "stride", "width")

    def __init__(
        self, element_type: DType, n: int, start=None, rows=1, cols=1, stride=0, elements=None, offset=None, width=1
    ):
        self.dtype = element_type
        self.n = n
        self.rows = compact(rows)
        self.cols = compact(cols)
        self.start = start
        self.stride = compact(stride)
        self.elements = elements
        self.offset = offset
        self.width = compact(width)
        self.num_edges = self._count()

    @property
    def is_scattered(self) -> bool:
        return self.elements is not None

    def _count(self) -> int:
        if self.is_scattered:
            return int(np.count_nonzero(self.run_begins()))
        rows = np.where(np.asarray(self.stride) == self.cols, np.minimum(self.rows, 1), self.rows)  # one run
        rows = np.where(np.asarray(self.cols) > 0, rows, 0)
        return int(rows) * self.n if rows.ndim == 0 else int(rows.sum())

    def listed_width(self) -> Any:
        """Elements each number in `elements` stands for: a number, or a column of them."""
        return self.width if np.ndim(self.width) == 0 else np.repeat(self.width, np.diff(self.offset))

    def run_begins(self) -> np.ndarray:
        """Which of `elements` begin an edge: all but those that continue the run before in their window."""
        begins = np.ones(self.elements.size, bool)
        if begins.size:
            width = self.listed_width()
            begins[1:] = np.diff(self.elements) != (width if np.ndim(width) == 0 else width[:-1])
            inside = self.offset[:-1]
            begins[inside[inside < begins.size]] = True
        return begins

    def sizes(self) -> tuple[Any, Any]:
        """(rows, cols) of the windows: numbers, or int64 columns where they vary."""
        return self.rows, self.cols

    def starts(self, first: int = 0, last: int | None = None) -> np.ndarray:
        """Element numbers where the runs of vertices [first, last) start, as (vertices, runs); scattered: first only."""
        last = self.n if last is None else last
        if self.is_scattered:
            at = np.minimum(self.offset[first:last], max(self.elements.size - 1, 0))
            return self.elements[at][:, None] if self.elements.size else np.zeros((last - first, 0), np.int64)
        start = self.start[first:last, None]
        rows = int(np.max(self.rows)) if self.n else 0
        stride = self.stride if np.ndim(self.stride) == 0 else self.stride[first:last, None]
        return start + np.arange(rows) * stride

    def window(self, v: int) -> np.ndarray:
        """Element numbers of window v, of shape (rows, cols)."""
        rows, cols = int(pick(self.rows, v)), int(pick(self.cols, v))
        if self.is_scattered:
            listed = self.elements[self.offset[v] : self.offset[v + 1], None]
            return (listed + np.arange(pick(self.width, v))).reshape(rows, cols)
        return int(self.start[v]) + np.arange(rows)[:, None] * int(pick(self.stride, v)) + np.arange(cols)[None, :]

    def runs(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """All edges as (vertex, start, length) columns; runs of one window that continue one another are joined."""
        if self.is_scattered:
            if self.elements.size == 0:
                nothing = np.zeros(0, np.int64)
                return nothing, nothing, nothing
            vertex = np.repeat(np.arange(self.n), np.diff(self.offset))
            at = np.flatnonzero(self.run_begins())
            width = self.listed_width()
            if np.ndim(width) == 0:
                return vertex[at], self.elements[at], np.diff(np.append(at, self.elements.size)) * width
            return vertex[at], self.elements[at], np.add.reduceat(width, at)
        rows, cols, stride = self.rows, self.cols, self.stride
        if all(np.ndim(c) == 0 for c in (rows, cols, stride)) and (rows == 1 or stride == cols):
            length = int(rows) * int(cols)
            count = self.n if length else 0
            return np.arange(count), self.start[:count], np.broadcast_to(np.int64(length), (count,))
        rows = np.broadcast_to(np.where(np.broadcast_to(cols, self.n) > 0, rows, 0), (self.n,)).astype(np.int64)
        vertex = np.repeat(np.arange(self.n), rows)
        j = expand_runs(np.zeros(self.n, np.int64), rows)
        start = self.start[vertex] + j * pick(stride, vertex)
        return vertex, start, np.broadcast_to(pick(cols, vertex), start.shape)


class Block:
    """n vertices of one codelet in one compute set."""

    __slots__ = ("codelet", "compute_set", "constants", "fields", "index", "info", "n", "name", "tile")

    def __init__(self, info: CodeletInfo, compute_set: ComputeSet, n: int, tile: np.ndarray, index: np.ndarray):
        self.info = info
        self.codelet = info.name
        self.compute_set = compute_set.index
        self.name = compute_set.name
        self.n = n
        self.tile = tile
        self.index = index  # public vertex numbers
        self.fields: dict[str, Edges] = {}
        self.constants: dict[str, np.ndarray] = {}

    @property
    def num_edges(self) -> int:
        return sum(e.num_edges for e in self.fields.values())

    @property
    def dtypes(self) -> dict[str, DType]:
        """Element type of every field, constants included, in the codelet's order."""
        found = {name: e.dtype for name, e in self.fields.items()}
        found |= {name: constant_dtype(self.info.fields[name], value) for name, value in self.constants.items()}
        return {name: found[name] for name in self.info.fields}

    def cycles(self, target: Any) -> Any:
        """Worker slots (tile cycles of MULTI codelets) of the vertices: a number or a column."""
        sizes = {name: e.sizes() for name, e in self.fields.items()}
        return self.info.cycles(target, sizes, self.constants, self.dtypes)

    def __repr__(self) -> str:
        return f"<Block {self.name} {self.codelet} x{self.n}>"


class Vertex:
    """A row of the graph: for people, not for passes. While the graph is being built, also the handle to connect."""

    __slots__ = ("graph", "index")

    def __init__(self, graph: Graph, index: int):
        self.graph = graph
        self.index = index

    def __getitem__(self, field: str) -> FieldRef:
        return FieldRef(self, field)

    def _row(self) -> tuple[Block, int]:
        return self.graph.vertices.locate(self.index)

    @property
    def codelet(self) -> str:
        pending = self.graph.pending.rows.get(self.index)
        return pending.info.name if pending else self._row()[0].codelet

    @property
    def tile(self) -> int:
        """Its tile; -1 while it has none."""
        pending = self.graph.pending.rows.get(self.index)
        if pending:
            return pending.tile
        block, row = self._row()
        return int(block.tile[row])

    @property
    def compute_set(self) -> str:
        pending = self.graph.pending.rows.get(self.index)
        return pending.compute_set.name if pending else self._row()[0].name

    def __repr__(self) -> str:
        if not self.graph.frozen:
            return f"<Vertex {self.index}>"
        block, row = self._row()
        parts = []
        for name, edges in block.fields.items():
            window = edges.window(row).reshape(-1)
            text = self.graph.describe(window)
            parts.append(f"{name}={text}")
        parts += [f"{name}={pick(value, row)}" for name, value in block.constants.items()]
        return f"<Vertex {self.index} {block.codelet} tile={self.tile} {' '.join(parts)}>"


class FieldRef:
    """A field of a vertex, for `connect` and `set_initial_value`."""

    __slots__ = ("field", "vertex")

    def __init__(self, vertex: Vertex, field: str):
        self.vertex = vertex
        self.field = field


class Vertices:
    """All vertices of a graph as a sequence; indexes are in order of creation."""

    def __init__(self, graph: Graph):
        self.graph = graph
        self._lookup: tuple[np.ndarray, np.ndarray] | None = None

    def __len__(self) -> int:
        return self.graph.num_vertices

    def __getitem__(self, index: int) -> Vertex:
        if not -len(self) <= index < len(self):
            raise IndexError(f"vertex {index} of {len(self)}")
        return Vertex(self.graph, int(index) % len(self))

    def forget(self) -> None:
        """Vertices may be added again: what was found by looking at all of them no longer holds."""
        self._lookup = None

    def locate(self, index: int) -> tuple[Block, int]:
        self.graph.freeze("its vertices were read")
        if self._lookup is None:
            number = np.concatenate([b.index for b in self.graph.blocks] or [np.zeros(0, np.int64)])
            order = np.argsort(number, kind="stable")
            self._lookup = order, np.cumsum([0] + [b.n for b in self.graph.blocks])
        order, first = self._lookup
        at = int(order[index])
        block = int(np.searchsorted(first, at, side="right")) - 1
        return self.graph.blocks[block], at - int(first[block])

    @property
    def tile(self) -> np.ndarray:
        """Tile of every vertex, int32, in order of creation."""
        self.graph.freeze("its vertices were read")
        column = np.empty(len(self), np.int32)
        for block in self.graph.blocks:
            column[block.index] = block.tile
        return column


def compact(column: Any) -> Any:
    """A column as a plain int where all its entries are equal."""
    column = np.asarray(column, np.int64)
    if column.ndim == 0:
        return int(column)
    if column.size and (column == column[0]).all():
        return int(column[0])
    return column if column.size else 0


def pick(column: Any, at: Any) -> Any:
    """Entry or entries `at` of a column, or the number itself where the column is constant."""
    return column if np.ndim(column) == 0 else column[at]


def constant_dtype(field: Any, value: np.ndarray) -> DType:
    if field.dtype is not None:
        return field.dtype
    return FLOAT if np.asarray(value).dtype.kind == "f" else INT


def make_block(
    graph: Graph, info: CodeletInfo, cs: ComputeSet, tile: Any, given: dict[str, Any], strict: bool, where: str
) -> Block:
    """Build a block from fields and constants; vertex axes broadcast as in a numpy gufunc."""
    edge_fields: dict[str, tuple[Tensor | Windows, tuple[int, ...]]] = {}
    constants: dict[str, np.ndarray] = {}
    for name, field in info.fields.items():
        if field.direction == "constant":
            constants[name] = _constant_value(info, field, name, given.get(name, field.default), where)
        elif name not in given:
            raise GraphConnectionError(f"{where}: field '{name}' of {info.name} is not connected")
        else:
            first = int(np.asarray(tile).flat[0]) if np.size(tile) and np.asarray(tile).dtype.kind in "iu" else 0
            edge_fields[name] = _vertex_axes(graph, info, field, name, given[name], strict, where, first)
    shapes = [axes for _, axes in edge_fields.values()] + [c.shape for c in constants.values()]
    tile_column = np.asarray(tile)
    if tile_column.size and (tile_column.dtype.kind not in "iu"):
        raise InvalidTileMapping(f"{where}: tiles must be whole numbers, not {tile_column.dtype}")
    try:
        axes = np.broadcast_shapes(*shapes, tile_column.shape)
    except ValueError:
        listed = ", ".join(f"{n} {list(a)}" for n, (_, a) in edge_fields.items())
        raise ShapeError(
            f"{where}: vertex axes of {info.name} do not agree: {listed}, tile {list(tile_column.shape)}"
        ) from None
    n = int(np.prod(axes, dtype=np.int64))
    column = np.broadcast_to(tile_column, axes).reshape(-1).astype(np.int32)
    block = Block(info, cs, n, column, np.zeros(0, np.int64))
    for name, (value, _) in edge_fields.items():
        block.fields[name] = _edges(info.fields[name], value, axes, n)
    for name, number in constants.items():
        block.constants[name] = number if number.ndim == 0 else np.broadcast_to(number, axes).reshape(-1)
    return block


def _constant_value(info: CodeletInfo, field: Any, name: str, value: Any, where: str) -> np.ndarray:
    if value is None:
        raise GraphConnectionError(f"{where}: constant '{name}' of {info.name} has no value")
    array = np.asarray(value)
    if array.dtype.kind not in "biuf":
        raise TypeMismatch(f"{where}: constant '{name}' of {info.name} is {value!r}; it takes numbers")
    wanted = constant_dtype(field, array)
    return array.astype(wanted.compute if wanted.compute.kind != "b" else np.uint8)


def _vertex_axes(graph, info, field, name, value, strict, where, tile):
    """The field's value as Tensor or Windows, and the axes that count vertices."""
    inner = {SCALAR: 0, MATRIX: 2}.get(field.kind, 1)
    if isinstance(value, Windows):
        tensor, axes = value.tensor, (value.n,)
        if (value.rows is not None) != (inner == 2) or inner == 0:
            raise GraphConnectionError(f"{where}: field '{name}' of {info.name} is {field.kind}; windows do not fit it")
    else:
        if isinstance(value, (list, tuple)) and value and all(isinstance(t, Tensor) for t in value):
            from .tensor import concat

            value = concat([t.flatten().expand(0) for t in value], 0)
        if not isinstance(value, Tensor):
            value = graph.scalar_operand(info, field, name, value, where, tile)
        tensor = value
        if not strict:
            value = tensor = _fit(info, field, name, tensor, inner, where)
        if tensor.ndim < inner:
            raise GraphConnectionError(
                f"{where}: field '{name}' of {info.name} is a {field.kind} and needs {inner} axes;"
                f" {tensor.name} has shape {list(tensor.shape)}"
            )
        axes = tensor.shape[: tensor.ndim - inner]
    if tensor.graph is not graph:
        raise GraphConnectionError(f"{where}: {tensor.name} belongs to another graph")
    if field.dtype is not None and tensor.dtype != field.dtype:
        raise TypeMismatch(
            f"{where}: field '{name}' of {info.name} takes {field.dtype}; {tensor.name} is {tensor.dtype}"
        )
    return value, axes


def _fit(info, field, name, tensor, inner, where):
    """A tensor as one vertex of the field sees it: scalars have one element, vectors any shape, matrices rank 2."""
    if inner == 0:
        if tensor.size != 1:
            raise GraphConnectionError(
                f"{where}: field '{name}' of {info.name} is a single element;"
                f" {tensor.name} {list(tensor.shape)} has {tensor.size}"
            )
        return tensor.reshape(())
    if inner == 1:
        return tensor.flatten()
    if tensor.ndim != 2:
        raise GraphConnectionError(
            f"{where}: field '{name}' of {info.name} is a MATRIX; {tensor.name} has shape {list(tensor.shape)}"
        )
    return tensor


def _edges(field: Any, value: Tensor | Windows, axes: tuple[int, ...], n: int) -> Edges:
    if isinstance(value, Windows):
        return _listed_edges(value, n) if value.listed is not None else _window_edges(value, axes, n)
    inner = {SCALAR: 0, MATRIX: 2}.get(field.kind, 1)
    tensor = value
    outer = tensor.ndim - inner
    shape = tensor.shape[outer:]
    rows, cols = (1, 1) if inner == 0 else (1, shape[0]) if inner == 1 else shape
    whole = tensor.broadcast_to(axes + shape)
    if n == 0 or rows == 0 or cols == 0:
        return Edges(tensor.dtype, n, np.zeros(n, np.int64), rows, cols, cols)
    if tensor.is_affine and (inner == 0 or cols == 1 or tensor.strides[-1] == 1):
        corner = whole[(Ellipsis,) + (0,) * inner] if inner else whole
        stride = tensor.strides[outer] if inner == 2 and rows > 1 else cols
        if stride >= 0:
            return Edges(tensor.dtype, n, np.ascontiguousarray(corner.index).reshape(-1), rows, cols, stride)
    index = np.ascontiguousarray(whole.index).reshape(n, rows, cols)
    if cols == 1 or (np.diff(index, axis=2) == 1).all():
        step = np.diff(index[:, :, 0], axis=1)
        if rows == 1 or ((step == step[:, :1]).all() and (step >= 0).all()):
            return Edges(tensor.dtype, n, index[:, 0, 0].copy(), rows, cols, step[:, 0] if rows > 1 else cols)
    return Edges(tensor.dtype, n, None, rows, cols, cols, index.reshape(-1), np.arange(n + 1) * (rows * cols))


def _listed_edges(value: Windows, n: int) -> Edges:
    tensor = value.tensor
    assert value.listed is not None and value.rows is not None
    rows = np.broadcast_to(value.rows, (n,))
    cols = value.length if value.length.size != 1 else int(value.length.reshape(-1)[0])
    offset = np.concatenate(([0], np.cumsum(rows)))
    if tensor.is_contiguous:
        base = tensor.offset if tensor.is_affine else int(tensor.index[0]) if tensor.size else 0
        return Edges(tensor.dtype, n, None, rows, cols, cols, value.listed + base, offset, width=cols)
    width = np.broadcast_to(cols, (n,))
    elements = tensor.index[expand_runs(value.listed, np.repeat(width, rows))]
    return Edges(tensor.dtype, n, None, rows, cols, cols, elements, np.concatenate(([0], np.cumsum(rows * width))))


def _window_edges(value: Windows, axes: tuple[int, ...], n: int) -> Edges:
    tensor = value.tensor
    start, cols, stride = (np.broadcast_to(c, (n,)) for c in (value.start, value.length, value.stride))
    rows = np.broadcast_to(1 if value.rows is None else value.rows, (n,))
    stride = stride if value.rows is not None else cols
    if tensor.is_contiguous:
        base = tensor.offset if tensor.is_affine else int(tensor.index[0]) if tensor.size else 0
        return Edges(tensor.dtype, n, start + base, rows, cols, stride)
    each = rows * cols
    vertex = np.repeat(np.arange(n), rows)
    row_start = start[vertex] + expand_runs(np.zeros(n, np.int64), rows) * stride[vertex]
    flat = tensor.index[expand_runs(row_start, cols[vertex])]
    first = np.concatenate(([0], np.cumsum(each)))
    joined = np.ones(max(flat.size - 1, 0), bool)
    joined[first[1:-1][(first[1:-1] > 0) & (first[1:-1] < flat.size)] - 1] = False
    if value.rows is None and flat.size and (np.diff(flat)[joined] == 1).all():
        at = np.minimum(first[:-1], flat.size - 1)
        return Edges(tensor.dtype, n, flat[at], 1, cols, cols)
    return Edges(tensor.dtype, n, None, rows, cols, cols, flat, first)
