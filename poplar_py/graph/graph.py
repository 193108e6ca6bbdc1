"""The graph: variables, compute sets and vertices mapped to the tiles of a target.

Built by calls, then frozen by the compiler: after that it is columns, and writing raises. Names are paths joined by
`/`, from the scopes open when a thing is made: the same string stands in errors, profile and pictures.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ..codelet.library import Library
from ..dtypes import BOOL, HALF, DType, dtype
from ..errors import (
    GraphConnectionError,
    GraphObjectCreationError,
    InvalidTileMapping,
    PoplarError,
    ShapeError,
    TypeMismatch,
    UnknownField,
    did_you_mean,
)
from ..target import Device, Target
from .build import PendingVertices
from .remote import RemoteBuffer
from .tensor import Tensor, affine
from .variable import Variable, expand_runs
from .vertices import Block, FieldRef, Vertex, Vertices, make_block


class ComputeSet:
    """Vertices that run in the same compute phase; there is no order among them."""

    def __init__(self, graph: Graph, index: int, name: str):
        self.graph = graph
        self.index = index
        self.name = name
        self.blocks: list[Block] = []

    def add_vertices(self, codelet: str, *, tile: Any, **fields: Any) -> Block:
        """Add many vertices by one call; leading axes broadcast as in a numpy gufunc.

        A SCALAR field takes no trailing axis of its tensor, a VECTOR one, a MATRIX two; the axes before them, and
        `tile`, broadcast against each other and count the vertices. A field may also be `tensor.windows(...)`.
        Raises UnknownVertexType, UnknownField, GraphConnectionError, ShapeError, TypeMismatch.
        """
        return self.graph.add_vertices(self, codelet, tile, fields)

    @property
    def num_vertices(self) -> int:
        return sum(b.n for b in self.blocks) + self.graph.pending.count(self.index)

    def __repr__(self) -> str:
        return f"<ComputeSet {self.name} {self.num_vertices} vertices>"


class DataStream:
    """A stream between host and device, of `size` elements a transfer."""

    def __init__(self, handle: str, element_type: DType, size: int, to_device: bool):
        self.handle = handle
        self.dtype = element_type
        self.size = size
        self.to_device = to_device

    def __repr__(self) -> str:
        way = "host to device" if self.to_device else "device to host"
        return f"<DataStream {self.handle} {self.dtype} x{self.size} {way}>"


class Function:
    """A program in the graph once, run by any number of `Call`s. Its tensors are its own."""

    def __init__(self, index: int, program: Any, name: str):
        self.index = index
        self.program = program
        self.name = name


class Graph:
    """A tile-mapped graph of vertices and edges over variables."""

    def __init__(self, target: Target | Device, name: str = "graph"):
        if not isinstance(target, (Target, Device)):
            raise GraphObjectCreationError(f"a graph is made for a Target or a Device, not {target!r}")
        self.target = target.target if isinstance(target, Device) else target
        self.name = name
        self.library = Library.builtin().copy()
        self.variables: list[Variable] = []
        self.compute_sets: list[ComputeSet] = []
        self.functions: list[Function] = []
        self.streams: dict[str, DataStream] = {}
        self.remote_buffers: dict[str, RemoteBuffer] = {}
        self.host_writes: dict[str, Any] = {}  # tensors, and remote buffers for what lies off the chip
        self.host_reads: dict[str, Any] = {}
        self.pending = PendingVertices(self)
        self.vertices = Vertices(self)
        self.num_vertices = 0
        self.frozen = ""
        self._scope: list[str] = []
        self._bases: np.ndarray | None = None
        self._num_elements = 0

    def __repr__(self) -> str:
        return (
            f"<Graph {self.name} {self.target.name}: {len(self.variables)} variables,"
            f" {len(self.compute_sets)} compute sets, {self.num_vertices} vertices>"
        )

    # names -----------------------------------------------------------------------------------------------------

    @contextmanager
    def scope(self, name: str) -> Iterator[None]:
        """Everything made inside gets `name/` before its name."""
        self._scope.append(str(name))
        try:
            yield
        finally:
            self._scope.pop()

    def path(self, name: str) -> str:
        return "/".join([*self._scope, name])

    def _writing(self, what: str) -> None:
        if self.frozen:
            raise GraphObjectCreationError(f"graph is frozen (since {self.frozen}); {what} before that")

    # variables -------------------------------------------------------------------------------------------------

    def add_variable(self, element_type: Any, shape: Sequence[int], name: str = "", mapping: Any = None) -> Tensor:
        """Make storage of `shape`; its tiles are given by `set_tile_mapping`, or here by mapping='linear' or a tile."""
        self._writing("add variables")
        element_type = dtype(element_type)
        sizes: tuple[Any, ...] = tuple(shape) if isinstance(shape, Iterable) else (shape,)
        if any(isinstance(n, str) or not hasattr(n, "__int__") or int(n) != n or n < 0 for n in sizes):
            raise GraphObjectCreationError(f"variable '{name}': shape {list(sizes)} is not a list of sizes")
        shape = tuple(int(n) for n in sizes)
        if not isinstance(name, str):
            raise GraphObjectCreationError(f"a variable's name is a string, not {name!r}")
        path = self.path(name or f"variable{len(self.variables)}")
        variable = Variable(len(self.variables), path, element_type, shape, self._num_elements)
        self.variables.append(variable)
        self._num_elements += variable.size + 1  # a number nobody has, so that no run of numbers leaves its variable
        self._bases = None
        tensor = self.whole(variable)
        with self._taken_back(variable):
            if isinstance(mapping, str) and mapping == "linear":
                self._map_linear(tensor)
            elif mapping is not None:
                self.set_tile_mapping(tensor, mapping)
        return tensor

    @contextmanager
    def _taken_back(self, variable: Variable) -> Iterator[None]:
        """Where an error comes up inside, the variable just made was never there: a refused call leaves nothing."""
        try:
            yield
        except PoplarError:
            self.variables.pop()
            self._num_elements = variable.base
            raise

    def add_constant(self, element_type: Any, shape: Sequence[int], value: Any, name: str = "") -> Tensor:
        """A variable of fixed contents: a number, or an array of `shape`. It needs a tile mapping too."""
        tensor = self.add_variable(element_type, shape, name or f"constant{len(self.variables)}")
        variable = self.variables[-1]
        variable.is_constant = True
        with self._taken_back(variable):
            variable.data = self._storage(variable, value)
        return tensor

    def add_constant_half(self, element_type: Any, shape: Sequence[int], words: Any, name: str = "") -> Tensor:
        """A constant of type HALF from the 16-bit words of its numbers."""
        if dtype(element_type) is not HALF:
            raise TypeMismatch(f"constant '{name}': add_constant_half makes HALF, not {dtype(element_type)}")
        return self.add_constant(HALF, shape, np.asarray(words, np.uint16).view(np.float16), name)

    def is_constant(self, tensor: Tensor) -> bool:
        return _tensor(tensor, "is_constant").contains_constant

    def whole(self, variable: Variable) -> Tensor:
        return Tensor(self, variable.dtype, affine(variable.base, variable.shape))

    def _storage(self, variable: Variable, value: Any) -> np.ndarray:
        return to_storage(variable.dtype, value, variable.shape, variable.name)

    def set_initial_value(self, where: Tensor | FieldRef | RemoteBuffer, value: Any) -> None:
        """Contents of a whole variable or a remote buffer at load time, or the value of a vertex's constant field."""
        self._writing("set initial values")
        if isinstance(where, RemoteBuffer):
            rows = (where.repeats, where.num_elements)
            where.data = to_storage(where.dtype, value, rows, f"remote buffer '{where.handle}'").reshape(rows)
            return
        if isinstance(where, FieldRef):
            self.pending.connect(where, value)
            return
        _tensor(where, "set_initial_value")
        variables = where.variables()
        if len(variables) != 1 or not where.is_contiguous or where.size != variables[0].size:
            raise GraphConnectionError(f"set_initial_value takes a whole variable, not {where.name}")
        variables[0].data = to_storage(where.dtype, value, where.shape, where.name).reshape(variables[0].shape)

    def clone(self, tensor: Tensor, name: str = "", element_type: Any = None) -> Tensor:
        """A new variable of the tensor's shape and tile mapping."""
        _tensor(tensor, "clone")
        clone = self.add_variable(element_type or tensor.dtype, tensor.shape, name or f"clone{len(self.variables)}")
        start, stop, tile = self.tile_mapping(tensor)
        mapped = tile >= 0
        if tensor.size:
            self.variables[-1].assign(start[mapped], (stop - start)[mapped], tile[mapped])
        return clone

    def clone_n(self, tensor: Tensor, n: int, name: str = "") -> Tensor:
        """n clones as one tensor of shape (n, ...)."""
        from .tensor import concat

        return concat([self.clone(tensor, f"{name}{i}" if name else "").expand(0) for i in range(n)], 0)

    def variable_index(self, elements: np.ndarray) -> np.ndarray:
        """Index of the variable of each element number."""
        if self._bases is None or len(self._bases) != len(self.variables):
            self._bases = np.array([v.base for v in self.variables], np.int64)
        return np.searchsorted(self._bases, elements, side="right") - 1

    def describe(self, elements: np.ndarray) -> str:
        """Element numbers as text, `name[3:7]`, the first runs of them."""
        from .tensor import runs

        start, length = runs(np.asarray(elements).reshape(-1))
        parts = []
        for s, n in list(zip(start, length, strict=True))[:3]:
            v = self.variables[int(self.variable_index(np.array([s]))[0])]
            first = int(s) - v.base
            parts.append(
                v.name if n == v.size else f"{v.name}[{first}]" if n == 1 else f"{v.name}[{first}:{first + n}]"
            )
        return "+".join(parts) + ("+..." if len(start) > 3 else "")

    # tile mapping ----------------------------------------------------------------------------------------------

    def _check_tiles(self, tile: np.ndarray, what: str) -> np.ndarray:
        if tile.dtype.kind not in "iu":
            raise InvalidTileMapping(f"{what}: a tile is a whole number, not {tile.dtype}")
        bad = (tile < 0) | (tile >= self.target.num_tiles)
        if bad.any():
            raise InvalidTileMapping(
                f"{what}: tile {int(tile[bad].flat[0])} of {self.target.name}, which has tiles 0..{self.target.num_tiles - 1}"
            )
        return tile

    def set_tile_mapping(self, what: Tensor | Vertex, tile: Any) -> None:
        """Put a tensor's elements, or a vertex, on tiles.

        `tile` is a number; or an integer array that broadcasts against the tensor's leading axes; or, as in Poplar,
        a list per tile of (begin, end) intervals of the flattened tensor. Raises InvalidTileMapping.
        """
        self._writing("map tensors and vertices")
        if isinstance(what, Vertex):
            column = self._check_tiles(np.asarray(tile), f"vertex {what.index}")
            if column.size != 1:
                raise InvalidTileMapping(f"vertex {what.index}: it takes one tile, not {column.size}")
            self.pending.map(what, int(column.reshape(-1)[0]))
            return
        _tensor(what, "set_tile_mapping")
        if isinstance(tile, (list, tuple)) and any(isinstance(t, (list, tuple)) for t in tile):
            self._map_intervals(what, tile)
            return
        column = self._check_tiles(np.asarray(tile), what.name)
        if what.size == 0:
            return
        if column.ndim == 0:
            start, length = what.regions()
            self._assign(start, length, np.broadcast_to(column, start.shape))
            return
        try:
            leading = np.broadcast_to(column, what.shape[: column.ndim]).reshape(-1)
        except ValueError:
            raise InvalidTileMapping(
                f"{what.name} {list(what.shape)}: tiles of shape {list(column.shape)} do not fit its leading axes"
            ) from None
        each = what.size // leading.size
        if what.is_contiguous:
            start, _ = what.regions()
            self._assign(start[0] + np.arange(leading.size) * each, np.full(leading.size, each), leading)
        else:
            elements = what.index.reshape(-1)
            self._assign(elements, np.ones(elements.size, np.int64), np.repeat(leading, each))

    def _map_intervals(self, tensor: Tensor, per_tile: Sequence[Sequence[tuple[int, int]]]) -> None:
        try:
            rows = [(b, e, t) for t, intervals in enumerate(per_tile) for b, e in intervals]
        except (TypeError, ValueError):
            raise InvalidTileMapping(f"{tensor.name}: a mapping lists (begin, end) pairs for every tile") from None
        table = np.array(rows, np.int64).reshape(-1, 3)
        self._check_tiles(table[:, 2], tensor.name)
        if ((table[:, 0] < 0) | (table[:, 0] > table[:, 1]) | (table[:, 1] > tensor.size)).any():
            raise InvalidTileMapping(f"{tensor.name}: an interval lies outside its {tensor.size} elements")
        flat = tensor.flatten()
        length = table[:, 1] - table[:, 0]
        if tensor.is_contiguous:
            base = int(tensor.regions()[0][0]) if tensor.size else 0
            self._assign(base + table[:, 0], length, table[:, 2])
        else:
            elements = flat.index[expand_runs(table[:, 0], length)]
            self._assign(elements, np.ones(elements.size, np.int64), np.repeat(table[:, 2], length))

    def _assign(self, start: np.ndarray, length: np.ndarray, tile: np.ndarray) -> None:
        """Runs of element numbers to tiles; a run lies in one variable or in neighbours."""
        owner = self.variable_index(start)
        last = self.variable_index(start + np.maximum(length, 1) - 1)
        if (owner != last).any():  # a run across variables that happen to be neighbours: cut it element by element
            elements = expand_runs(start, length)
            tile = np.repeat(tile, length)
            start, length = elements, np.ones(elements.size, np.int64)
            owner = self.variable_index(start)
        for i in np.flatnonzero(np.bincount(owner)):
            mine = owner == i
            variable = self.variables[i]
            if mine.sum() == 1:
                at = int(np.flatnonzero(mine)[0])
                variable.assign(int(start[at]) - variable.base, int(length[at]), int(tile[at]))
            else:
                variable.assign(start[mine] - variable.base, length[mine], tile[mine])

    def _map_linear(self, tensor: Tensor, grain: int = 32) -> None:
        from .mapping import linear_runs

        start, stop, tile = linear_runs(tensor.size, self.target.num_tiles, grain)
        if len(start):
            self._assign(start + int(tensor.regions()[0][0]), stop - start, tile)

    def tile_mapping(self, tensor: Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Runs of the flattened tensor on one tile: (start, stop, tile), tile -1 where unmapped."""
        from .mapping import tensor_runs

        return tensor_runs(self, _tensor(tensor, "tile_mapping"))

    def get_target(self) -> Target:
        return self.target

    def get_num_vertices(self) -> int:
        return self.num_vertices

    def get_top_level_graph(self) -> Graph:
        """The graph that owns everything: this one, or the one a virtual graph is a view of."""
        return getattr(self, "top", self)

    def get_tile_mapping(self, tensor: Tensor) -> list[list[tuple[int, int]]]:
        """As in Poplar: for every tile the intervals of the flattened tensor that lie on it."""
        per_tile: list[list[tuple[int, int]]] = [[] for _ in range(self.target.num_tiles)]
        for begin, end, tile in zip(*(c.tolist() for c in self.tile_mapping(tensor)), strict=True):
            if tile >= 0:
                per_tile[tile].append((begin, end))
        return per_tile

    # vertices --------------------------------------------------------------------------------------------------

    def add_codelets(self, path: str | Path) -> None:
        """Load a file of codelets. Raises FileLoadError, CodeletError."""
        self._writing("add codelets")
        self.library.add_file(path)

    def has_codelet(self, name: str) -> bool:
        return name in self.library

    def add_compute_set(self, name: str = "") -> ComputeSet:
        self._writing("add compute sets")
        cs = ComputeSet(self, len(self.compute_sets), self.path(name or f"compute_set{len(self.compute_sets)}"))
        self.compute_sets.append(cs)
        return cs

    def add_vertices(self, cs: ComputeSet, codelet: str, tile: Any, fields: dict[str, Any]) -> Block:
        """See `ComputeSet.add_vertices`."""
        self._writing("add vertices")
        info = self.library[codelet]
        where = f"{cs.name}"
        self._known_fields(info, fields, where)
        if np.asarray(tile).size:
            self._check_tiles(np.asarray(tile), f"{where}: vertices of {codelet}")
        block = make_block(self, info, cs, tile, fields, True, where)
        block.index = np.arange(self.num_vertices, self.num_vertices + block.n)
        self.num_vertices += block.n
        cs.blocks.append(block)
        return block

    def _known_fields(self, info: Any, fields: Any, where: str) -> None:
        for name in fields:
            if name not in info.fields:
                raise UnknownField(
                    f"{where}: codelet {info.name} has no field '{name}'.{did_you_mean(name, info.fields)}"
                    f" Fields: {', '.join(info.fields)}"
                )

    def add_vertex(
        self, cs: ComputeSet, codelet: str, fields: dict[str, Any] | None = None, tile: Any = None
    ) -> Vertex:
        """Add one vertex; fields may be connected now or later by `connect`, its tile by `set_tile_mapping`."""
        self._writing("add vertices")
        if getattr(cs, "graph", None) is None or cs.graph.pending is not self.pending:
            raise GraphConnectionError(f"add_vertex takes a compute set of this graph, not {cs!r}")
        info = self.library[codelet]
        self._known_fields(info, fields or {}, cs.name)  # before the vertex exists: a refused call leaves none behind
        if tile is not None:
            self._check_tiles(np.asarray(tile), f"{cs.name}: vertex of {codelet}")
        vertex = self.pending.add(cs, info)
        for name, value in (fields or {}).items():
            self.connect(vertex[name], value)
        if tile is not None:
            self.set_tile_mapping(vertex, tile)
        return vertex

    def connect(self, field: FieldRef, value: Any) -> None:
        """Join a tensor to a vertex's field, or give a constant field its value."""
        self._writing("connect fields")
        if not isinstance(field, FieldRef):
            raise GraphConnectionError(f"connect takes a field, as vertex['name'], not {field!r}")
        self.pending.connect(field, value)

    def scalar_operand(self, info: Any, field: Any, name: str, value: Any, where: str, tile: int) -> Tensor:
        """A number or array connected to an input field: a constant on the tile of the first vertex that reads it."""
        mixed = isinstance(value, (list, tuple)) and any(isinstance(v, Tensor) for v in value)
        if field.direction != "in" or isinstance(value, str) or mixed:
            raise GraphConnectionError(f"{where}: field '{name}' of {info.name} takes a tensor, not {value!r}")
        array = np.asarray(value)
        kind = field.dtype or dtype("FLOAT" if array.dtype.kind == "f" else "INT")
        tensor = self.add_constant(kind, array.shape, array, name=f"{name}")
        self.set_tile_mapping(tensor, tile)
        return tensor

    # control and host ------------------------------------------------------------------------------------------

    def add_function(self, program: Any, name: str = "") -> Function:
        """A program that `Call` runs; it is in the executable once."""
        self._writing("add functions")
        function = Function(len(self.functions), program, self.path(name or f"function{len(self.functions)}"))
        self.functions.append(function)
        return function

    def _handle(self, handle: str, taken: dict, what: str) -> str:
        self._writing(f"create {what}s")
        if not isinstance(handle, str) or not handle:
            raise GraphObjectCreationError(f"a {what} handle is a non-empty string, not {handle!r}")
        if handle in taken:
            raise GraphObjectCreationError(f"{what} handle '{handle}' is already in use")
        return handle

    def _mine(self, tensor: Any, where: str) -> Tensor:
        if _tensor(tensor, where).graph.variables is not self.variables:
            raise GraphConnectionError(f"{where}: {tensor.name} belongs to another graph")
        return tensor

    def create_host_write(self, handle: str, tensor: Tensor | RemoteBuffer) -> None:
        """Let the host write `tensor`, or row 0 of a remote buffer, outside of runs, under `handle`."""
        handle = self._handle(handle, self.host_writes, "host write")
        if isinstance(tensor, RemoteBuffer):
            self.host_writes[handle] = tensor
            return
        self._mine(tensor, f"host write '{handle}'")
        if tensor.contains_aliases or tensor.contains_constant:
            raise GraphConnectionError(f"host write '{handle}': {tensor.name} cannot be written (aliases or constants)")
        self.host_writes[handle] = tensor

    def create_host_read(self, handle: str, tensor: Tensor | RemoteBuffer) -> None:
        """Let the host read `tensor`, or row 0 of a remote buffer, outside of runs, under `handle`."""
        handle = self._handle(handle, self.host_reads, "host read")
        remote = isinstance(tensor, RemoteBuffer)
        self.host_reads[handle] = tensor if remote else self._mine(tensor, f"host read '{handle}'")

    def add_host_to_device_fifo(self, handle: str, element_type: Any, size: int) -> DataStream:
        return self._add_stream(handle, element_type, size, True)

    def add_device_to_host_fifo(self, handle: str, element_type: Any, size: int) -> DataStream:
        return self._add_stream(handle, element_type, size, False)

    def _add_stream(self, handle: str, element_type: Any, size: int, to_device: bool) -> DataStream:
        handle = self._handle(handle, self.streams, "stream")
        if not isinstance(size, (int, np.integer)) or size < 0:
            raise GraphObjectCreationError(f"stream '{handle}': size {size!r} is not a number of elements")
        self.streams[handle] = DataStream(handle, dtype(element_type), int(size), to_device)
        return self.streams[handle]

    def add_remote_buffer(
        self,
        handle: str,
        element_type: Any,
        num_elements: int,
        repeats: int = 1,
        rearrange_on_host: bool = False,
        optimise_memory: bool = False,
        shape: Sequence[int] | None = None,
    ) -> RemoteBuffer:
        """Storage in streaming memory: `repeats` rows of `num_elements` elements, which programs copy from and to.

        rearrange_on_host: the host keeps a row in the order of the tiles, so that they need not put it in order;
        optimise_memory: as Poplar takes it, without effect here, where no copy needs memory of its own; shape: how the host
        sees a row. Raises GraphObjectCreationError for a handle in use, sizes below 1 and a target without streaming
        memory.
        """
        handle = self._handle(handle, self.remote_buffers, "remote buffer")
        for what, n in (("num_elements", num_elements), ("repeats", repeats)):
            if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 1:
                raise GraphObjectCreationError(f"remote buffer '{handle}': {what} {n!r} is not a number of at least 1")
        if not self.target.streaming_memory_bytes:
            raise GraphObjectCreationError(
                f"remote buffer '{handle}': {self.target.name} has no streaming memory; compile for gc200 or bow, or say"
                " how much there is with streaming_memory_bytes="
            )
        seen = None if shape is None else tuple(int(n) for n in shape)
        if seen is not None and int(np.prod(seen, dtype=np.int64)) != num_elements:
            raise ShapeError(
                f"remote buffer '{handle}': rows of shape {list(seen)} do not have {num_elements} elements"
            )
        kind = dtype(element_type)
        facts = (int(num_elements), int(repeats), bool(rearrange_on_host), bool(optimise_memory))
        self.remote_buffers[handle] = RemoteBuffer(handle, kind, *facts, seen)
        return self.remote_buffers[handle]

    def create_virtual_graph(self, tiles: Any, upper: int | None = None) -> Graph:
        """A view of this graph over a subset of its tiles: a count, (lower, upper), or a list of tile numbers."""
        from .virtual import VirtualGraph

        chosen = (
            np.arange(tiles, upper)
            if upper is not None
            else (np.arange(tiles) if isinstance(tiles, (int, np.integer)) else np.asarray(tiles))
        )
        self._check_tiles(chosen, "virtual graph")
        if len(chosen) == 0 or len(np.unique(chosen)) != len(chosen):
            raise InvalidTileMapping("a virtual graph takes one tile or more, each of them once")
        return VirtualGraph(self, chosen)

    # freezing --------------------------------------------------------------------------------------------------

    @property
    def blocks(self) -> list[Block]:
        return [b for cs in self.compute_sets for b in cs.blocks]

    @property
    def num_edges(self) -> int:
        self.freeze("its edges were counted")
        return sum(b.num_edges for b in self.blocks)

    def text(self) -> str:
        """The graph as text: a line a variable and a block of vertices."""
        from .text import graph_text

        self.freeze("it was printed")
        return graph_text(self)

    def freeze(self, since: str = "compile") -> None:
        """Turn single vertices into blocks; nothing can be added afterwards."""
        if self.frozen:
            return
        self.pending.make_blocks()
        self.frozen = since

    def thaw(self) -> None:
        """Let more be added after a compilation that failed; vertices there are already stay as they are."""
        self.frozen = ""
        self.vertices.forget()


def _tensor(thing: Any, where: str) -> Tensor:
    if not isinstance(thing, Tensor):
        raise GraphConnectionError(f"{where} takes a tensor, not {thing!r}")
    return thing


def fits(array: np.ndarray, kind: np.dtype) -> bool:
    """Whether every number of `array` lies in the range of the integer type `kind`; NaN does not."""
    if array.size == 0 or array.dtype == kind or array.dtype.kind == "b":
        return True
    low, high = array.min(), array.max()
    return bool(np.iinfo(kind).min <= low.item() and high.item() <= np.iinfo(kind).max)


def to_storage(element_type: DType, value: Any, shape: tuple[int, ...], name: str) -> np.ndarray:
    """`value`, a number or an array, as storage words of `shape`. Raises ShapeError, TypeMismatch."""
    try:
        array = np.asarray(value)
    except ValueError:
        raise ShapeError(f"{name} has shape {list(shape)}; the rows of the value differ in length") from None
    if array.dtype.kind not in "biuf":
        raise TypeMismatch(f"{name}: {value!r} is not numeric")
    if array.ndim and array.shape != shape:
        if array.size != int(np.prod(shape, dtype=np.int64)):
            raise ShapeError(f"{name} has shape {list(shape)}; the value has {list(array.shape)}")
        array = array.reshape(shape)
    if element_type.is_integral and not fits(array, element_type.np):
        raise TypeMismatch(f"{name} is {element_type}; a value lies outside its range")
    with np.errstate(over="ignore"):
        converted = (array != 0) if element_type is BOOL else array.astype(element_type.np)
    return np.ascontiguousarray(np.broadcast_to(converted, shape)).view(element_type.storage)
