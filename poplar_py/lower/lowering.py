"""The lowering vocabulary: what ops say to put their work on tiles.

`at`, the `Lowering` an op's `lower` method is given, makes variables with tile mappings, cuts elementwise work over
tiles and workers, reduces in stages and multiplies by plan. Everything goes into `at.program` in order. The same
vocabulary serves `popops`, `poplin` and `popnn` on graphs made by hand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from ..codelet.codelet import MATRIX, MULTI, SCALAR, VECTOR
from ..codelet.library import OURS, Library
from ..dtypes import BOOL, FLOAT, HALF, UNSIGNED_INT, DType, dtype
from ..errors import GraphConnectionError, InvalidOption, ShapeError, UnknownField, did_you_mean
from ..graph import Graph, RemoteBuffer, StoredView, Tensor, concat
from ..graph.tensor import as_matrix
from ..program import Copy, Execute
from ..program import Sequence as Program
from . import matmul as products
from . import reduce as reductions
from .channels import channel_sums
from .conv_plan import ConvPlan
from .joins import HomeOffer, JoinTarget, map_like
from .layout import add_placed, layouts_of, stored_order
from .mapping import linear_bounds, map_linearly, map_rows, map_runs, row_tiles, tiles_of, top_of
from .partition import MATMUL_OPTIONS, Plan, partials_dtype, read_matmul_options
from .patterns import cut_elementwise
from .rowwise import add_vectors
from .stored import blocks_of, field_view

GRAINS = ("row", "worker", "tile")


class Lowering:
    """Builds vertices on `graph` and appends their execution to `program`.

    options: those of matrix products (`available_memory_proportion`, `partials_type`), `training` and `grain`: how finely
    work is cut into vertices, "worker" (one a worker's share), "tile" (one a tile) or "row" (one a row of a field and
    block of channels). `plans` keeps the plan of every product by path.
    """

    def __init__(self, graph: Graph, program: Program, options: Mapping[str, Any] | None = None):
        self.graph = graph
        self.top = top_of(graph)
        self.target = graph.target
        self.tiles = tiles_of(graph)
        self.program = program
        self.options = dict(options or {})
        self.matmul_options = read_matmul_options({k: v for k, v in self.options.items() if k in MATMUL_OPTIONS})
        self.grain = str(self.options.get("grain", "worker"))
        if self.grain not in GRAINS:
            raise InvalidOption(
                f"no grain '{self.grain}'.{did_you_mean(self.grain, GRAINS)} There are {', '.join(GRAINS)}"
            )
        self.may_take: list[Tensor] = []  # operands of the op being lowered over which its result may be written
        self.taken: Tensor | None = None  # the one of them that `result` wrote over
        self.leading: Tensor | None = None  # the operand its result lies like, whether written over it or not
        self.home: HomeOffer | None = None  # the place in a concatenation that its result has
        self.joined: JoinTarget | None = None  # where the concatenation being lowered goes
        self._starts: dict[str, int] = {}  # of each layer, the tile its small vectors begin at
        self._next_start = self._next_spread = 0
        self.plans: dict[str, Plan | ConvPlan] = {}
        self.kept_tiles: dict[tuple, np.ndarray] = layouts_of(graph).kept_tiles

    @property
    def library(self) -> Any:
        """Our codelets; the user's may have the same names."""
        return Library.builtin()

    def scope(self, name: str) -> AbstractContextManager:
        """Names made inside start with `name/`."""
        return self.graph.scope(name)

    # variables -------------------------------------------------------------------------------------------------

    def variable(self, element_type: Any, shape: Sequence[int], name: str, mapping: Any = "linear") -> Tensor:
        """A new variable. mapping: 'linear' (even runs over the tiles), 'rows' (whole rows), a tile or an array of
        tiles for the leading axes, or None (mapped later)."""
        tensor = self.graph.add_variable(element_type, tuple(shape), name=name)
        if isinstance(mapping, str):
            if mapping not in ("linear", "rows"):
                raise InvalidOption(
                    f"{tensor.name}: no mapping '{mapping}'.{did_you_mean(mapping, ['linear', 'rows'])}"
                )
            if tensor.size and mapping == "linear":
                map_linearly(self.graph, tensor, first_tile=self._first_tile(tensor))
            elif tensor.size:
                map_rows(self.graph, tensor)
        elif mapping is not None:
            self.graph.set_tile_mapping(tensor, mapping)
        return tensor

    def output(self, element_type: DType, shape: Sequence[int], name: str, flat: bool = False) -> Tensor:
        """A tensor for the op's first result as it is stored, mapped by the caller: its place in a concatenation where it
        has one, else a new variable. `flat`: with one axis."""
        place = None if self.home is None else self.home.take(element_type, tuple(shape))
        if place is not None:
            return place.flatten() if flat else place
        shape = (int(np.prod(shape, dtype=np.int64)),) if flat else shape
        return self.variable(element_type, shape, name, mapping=None)

    def _at_home(self, like: Tensor, element_type: Any) -> Tensor | None:
        """The result's place in a concatenation, on the tiles of a tensor stored alike; None where it has none."""
        stored = None if self.home is None or like.ndim < 3 else blocks_of(like)
        if self.home is None or stored is None or stored.shape != self.home.shape or not stored.is_contiguous:
            return None
        place = self.home.take(dtype(element_type), stored.shape)
        if place is None:
            return None
        map_like(self, place, stored)
        return field_view(place)

    def _first_tile(self, tensor: Tensor) -> int:
        """Where a spread that needs few of the tiles begins: behind those of other layers, so that the first tiles do not
        hold the small vectors of every layer; in one layer they begin together, to be computed with each other."""
        pieces = len(linear_bounds(tensor.size, len(self.tiles))) - 1
        if 2 * pieces > len(self.tiles):
            return 0
        layer = "/".join(self.top._scope) or tensor.name.rpartition("/")[0]
        if layer not in self._starts:
            self._starts[layer] = self._next_start % len(self.tiles)
            self._next_start += pieces
        return self._starts[layer]

    def spread_over_tiles(self, count: int) -> np.ndarray:
        """A tile for each of `count` things, evenly apart; where that leaves tiles out, other ones at every call."""
        place = np.arange(count, dtype=np.int64) * len(self.tiles) // max(count, 1)
        if count < len(self.tiles):
            place = (place + self._next_spread) % len(self.tiles)
            self._next_spread += 1
        return self.tiles[place]

    def variable_like(self, tensor: Tensor, name: str, element_type: Any = None) -> Tensor:
        """A new variable of the tensor's shape, tile mapping and, where it is laid out in blocks or its axes are only
        exchanged, memory order."""
        if isinstance(tensor, StoredView):
            return tensor.like(self.variable_like(tensor.stored, name, element_type))
        placed = layouts_of(self.graph).find(tensor)
        if placed is None:
            order = stored_order(tensor)
            if order is not None:
                stored = self.variable_like(tensor.transpose(order), name, element_type)
                return stored.transpose(tuple(int(axis) for axis in np.argsort(order)))
            if tensor.contains_aliases or (self.top.tile_mapping(tensor)[2] < 0).any():
                return self.variable(element_type or tensor.dtype, tensor.shape, name)
            return self.top.clone(tensor, name, element_type)
        copy = add_placed(self.graph, element_type or tensor.dtype, placed.layout, name)
        if placed.layout.tile is None:
            start, stop, tile = self.top.tile_mapping(placed.flat)
            map_runs(self.graph, copy.flat, start, stop, tile)
        return copy.view

    def constant(self, element_type: Any, shape: Sequence[int], value: Any, name: str) -> Tensor:
        """A constant tensor, spread linearly."""
        tensor = self.graph.add_constant(element_type, tuple(shape), value, name=name)
        if tensor.size:
            map_linearly(self.graph, tensor)
        return tensor

    def set_initial_value(self, tensor: Tensor, value: Any) -> None:
        """Contents of a variable when the program is loaded, given as an array of the tensor's shape."""
        value = np.broadcast_to(np.asarray(value), tensor.shape)
        if tensor.size == 0:
            return
        if isinstance(tensor, StoredView):
            self.top.set_initial_value(tensor.stored, np.ascontiguousarray(tensor.array(value)))
            return
        placed = layouts_of(self.graph).find(tensor)
        if placed is None or placed.view.is_contiguous:
            self.top.set_initial_value(tensor, value)
            return
        from ..graph.native import put

        flat = np.empty(tensor.size, value.dtype)
        words = f"u{value.dtype.itemsize}"  # compiled loops do not know half
        put(flat.view(words), as_matrix(tensor.index), placed.flat.offset, as_matrix(value).view(words))
        self.top.set_initial_value(placed.flat, flat)

    def accumulator(self, element_type: DType) -> DType:
        """The type partial results are kept in: float for half."""
        return FLOAT if element_type == HALF else element_type

    def partials(self, element_type: DType, options: Mapping[str, Any]) -> DType:
        """The type of a product's partial results."""
        return partials_dtype(element_type, options)

    # tiles -----------------------------------------------------------------------------------------------------

    def take_tiles(self, count: int) -> np.ndarray:
        """Tiles for `count` blocks, starting where the last call ended, so that small layers do not pile up."""
        record = layouts_of(self.graph)
        tiles = self.tiles[(record.next_tile + np.arange(count)) % len(self.tiles)]
        record.next_tile = (record.next_tile + count) % len(self.tiles)
        return tiles

    def tiles_of_elements(self, tensor: Tensor) -> np.ndarray:
        """Tile of every element of a flat tensor, -1 where it has none."""
        start, stop, tile = self.top.tile_mapping(tensor)
        return np.repeat(tile, stop - start)

    # vertices --------------------------------------------------------------------------------------------------

    def execute(self, codelet: str, name: str, tile: Any, **fields: Any) -> None:
        """One compute set of one block of vertices, run next."""
        if np.size(tile) == 0:
            return
        cs = self.top.add_compute_set(name)
        cs.add_vertices(OURS + codelet, tile=tile, **fields)
        self.program.add(Execute(cs))

    @property
    def shares(self) -> int:
        """Shares a tile's elements are cut into."""
        return 1 if self.grain == "tile" else self.target.num_workers

    def elementwise(
        self, codelet: str, out: Tensor, name: str, *, constants: Mapping[str, Any] | None = None, **operands: Any
    ) -> Tensor:
        """Run `codelet` over the elements of `out`, cut by its tiles; operands broadcast to it. Returns `out`.

        `out` is the codelet's first output (or in-place) field not among the operands. Operands may be numbers. Where
        one is a single element, or the same for a whole piece, the codelet's Scalar form is used if there is one.
        """
        return self._elementwise(codelet, out, name, constants, operands, 0)

    def result(
        self,
        codelet: str,
        like: Tensor | None,
        name: str,
        element_type: Any,
        shape: Sequence[int],
        *,
        constants: Mapping[str, Any] | None = None,
        **operands: Any,
    ) -> Tensor:
        """Elementwise work (see `elementwise`) into a new variable laid out as `like` (None: spread linearly), or over an
        operand that `may_take` offers, where the codelet has a form in place: itself with one operand `InOut`. With a
        `leading` operand the result lies like that one either way: sums over it then have one order, whatever else
        lies in the operands' memory."""
        if self.leading is not None:
            like = self.leading
        home = None if like is None else self._at_home(like, element_type)
        for tensor in self.may_take if home is None else ():
            form = self._form_in_place(codelet, operands, tensor)
            if form is not None and (self.leading is None or self._lie_alike(tensor, self.leading)):
                rest = {n: t for n, t in operands.items() if t is not tensor}
                if len(rest) == 1 and set(rest) == {"a"}:
                    rest = {"b": rest["a"]}
                self.taken, self.may_take = tensor, []
                return self.elementwise(form, tensor, name, constants=constants, **rest)
        if home is not None:
            out = home
        elif like is None:
            out = self.variable(element_type, shape, name)
        else:
            out = self.variable_like(like, name, element_type)
        return self.elementwise(codelet, out, name, constants=constants, **operands)

    def _lie_alike(self, a: Tensor, b: Tensor) -> bool:
        """Whether tensors of one shape are stored in the same order and on the same tiles."""
        if a is b:
            return True
        if isinstance(a, StoredView) or isinstance(b, StoredView):
            if not (isinstance(a, StoredView) and a.same_as(b)):
                return False
            a, b = a.stored, b.stored  # type: ignore[attr-defined]
        if not (a.is_contiguous and b.is_contiguous):
            return False
        pairs = zip(self.top.tile_mapping(a), self.top.tile_mapping(b), strict=True)
        return all(np.array_equal(x, y) for x, y in pairs)

    def _form_in_place(self, codelet: str, operands: Mapping[str, Any], tensor: Tensor) -> str | None:
        """The codelet that writes over the operand that `tensor` is; a and b change places where they may."""
        mine = [n for n, t in operands.items() if t is tensor]
        if len(mine) != 1:
            return None
        if mine == ["b"] and set(operands) == {"a", "b"}:
            mirror = getattr(self.library[codelet].cls, "mirror", None)
            if mirror is None:
                return None
            codelet, mine = mirror, ["a"]
        form = f"{codelet}InPlace"
        if form not in self.library:
            return None
        fields = self.library[form].fields
        written = [n for n, f in fields.items() if f.direction == "inout"]
        left = {n for n, f in fields.items() if f.direction == "in"}
        wanted = {"b"} if set(operands) == {"a", "b"} else set(operands) - set(mine)
        return form if len(written) == 1 and left == wanted and (written == mine or not left) else None

    def _elementwise(
        self, codelet: str, out: Tensor, name: str, given: Mapping[str, Any] | None, operands: dict[str, Any], row: int
    ) -> Tensor:
        constants = dict(given or {})
        out_field = self._out_field(codelet, operands)
        if out.size == 0:
            return out
        operands = {n: t if isinstance(t, Tensor) else self._number(t, out, n) for n, t in operands.items()}
        codelet, operands = self._second_scalar(codelet, out, operands)
        if isinstance(out, StoredView):
            self._in_stored_order(codelet, out, name, constants, operands)
            return out
        info = self.library[codelet]
        wants_scalar = {n for n, f in info.fields.items() if f.direction != "constant" and f.kind == SCALAR}
        wants_scalar &= set(operands)
        form = scalar_form(codelet)
        can = {"b"} if "b" in operands and "b" not in wants_scalar and self._knows(form) else set()
        pieces = cut_elementwise(
            self.graph,
            out,
            {out_field: out} | operands,
            can_be_scalar=can,
            must_be_scalar=wants_scalar,
            workers=1 if info.kind == MULTI else self.shares,
            row=row if self.grain == "row" else 0,
        )
        self.execute(form if pieces.scalar & can else codelet, name, pieces.tile, **pieces.fields, **constants)
        return out

    def _in_stored_order(
        self, codelet: str, out: StoredView, name: str, constants: dict[str, Any], operands: dict[str, Tensor]
    ) -> None:
        """Elementwise work on what is stored otherwise than seen, in the order it is stored."""
        if not add_vectors(self, codelet, out, name, constants, operands):
            stored = {n: out.operand(t) for n, t in operands.items()}
            row = out.stored.shape[-2] * out.stored.shape[-1] if blocks_of(out) is not None else 0
            self._elementwise(codelet, out.stored, name, constants, stored, row)

    def _out_field(self, codelet: str, operands: Mapping[str, Any]) -> str:
        fields = self.library[codelet].fields
        for name in operands:
            if name not in fields:
                raise UnknownField(
                    f"codelet {codelet} has no field '{name}'.{did_you_mean(name, fields)} Fields: {', '.join(fields)}"
                )
        for name, field in fields.items():
            if field.direction in ("out", "inout") and name not in operands:
                return name
        raise GraphConnectionError(f"codelet {codelet} has no output besides {', '.join(operands)}")

    def create_operand(self, element_type: Any, batch: int, weights: Tensor, name: str) -> Tensor:
        """A (batch, k) matrix stored in the pieces that products with these weights read; see lower/matmul.py."""
        return products.create_operand(self, dtype(element_type), batch, weights, name)

    def _knows(self, codelet: str) -> bool:
        return codelet in self.library

    def _number(self, value: Any, out: Tensor, field: str) -> Tensor:
        array = np.asarray(value)
        kind = out.dtype if out.dtype != BOOL else dtype(np.float32 if array.dtype.kind == "f" else np.int32)
        return self.constant(kind, array.shape, array, f"{field}_constant")

    def _second_scalar(self, codelet: str, out: Tensor, operands: dict[str, Tensor]) -> tuple[str, dict[str, Tensor]]:
        """Exchange a and b where a is the smaller one and the codelet has a mirrored form."""
        a, b = operands.get("a"), operands.get("b")
        if a is None or b is None or set(operands) != {"a", "b"} or a.size >= b.size or out.size == 1:
            return codelet, operands
        mirror = getattr(self.library[codelet].cls, "mirror", None)
        if mirror is None or not (self._knows(mirror) or (a.size == 1 and self._knows(scalar_form(mirror)))):
            return codelet, operands
        codelet = mirror if self._knows(mirror) else scalar_form(mirror)
        return codelet, {"a": b, "b": a}

    def fill(self, tensor: Tensor, value: Any, name: str = "fill") -> None:
        """Write `value` everywhere."""
        self.elementwise("Fill", tensor, name, constants={"value": value})

    def cast(self, x: Tensor, element_type: Any, name: str) -> Tensor:
        """x in another element type; x itself where it has it."""
        element_type = dtype(element_type)
        if x.dtype == element_type:
            return x
        return self.elementwise("Cast", self.variable_like(x, name, element_type), name, x=x)

    def copy(self, source: Tensor | RemoteBuffer, destination: Tensor, name: str = "") -> None:
        """Copy a tensor, or a row of streaming memory, to a tensor of the same shape."""
        if isinstance(destination, StoredView) and isinstance(source, Tensor) and destination.same_as(source):
            source, destination = source.stored, destination.stored  # type: ignore[attr-defined]
        self.program.add(Copy(source, destination, name=name))

    def duplicate(self, source: Tensor, name: str) -> Tensor:
        """A copy of a tensor in a variable of its own."""
        copy = self.variable_like(source, name)
        self.copy(source, copy, name)
        return copy

    def rows(
        self, codelet: str, name: str, *, constants: Mapping[str, Any] | None = None, tile: Any = None, **fields: Tensor
    ) -> None:
        """One vertex a row. VECTOR fields take the rows of a tensor (all axes but the last are rows), SCALAR fields
        one element a row or one for all, MATRIX fields a whole tensor. Vertices are where the first output's rows
        begin, or spread evenly where that is not mapped to more than one tile."""
        info = self.library[codelet]
        shaped: dict[str, Tensor] = {}
        count = 0
        for field, tensor in fields.items():
            if field not in info.fields:
                known = info.fields
                raise UnknownField(f"codelet {codelet} has no field '{field}'.{did_you_mean(field, known)}")
            kind = info.fields[field].kind
            if kind == VECTOR:
                tensor = tensor.reshape(-1, tensor.shape[-1]) if tensor.size else tensor
                count = max(count, tensor.shape[0])
            elif kind == SCALAR:
                tensor = tensor.reshape(()) if tensor.size == 1 else tensor.flatten()
                count = max(count, tensor.size if tensor.ndim else 1)
            shaped[field] = tensor
        if any(t.size == 0 for t in shaped.values()):
            return
        for field, tensor in shaped.items():
            if info.fields[field].kind != MATRIX and tensor.ndim and tensor.shape[0] not in (1, count):
                raise ShapeError(f"{codelet}: field '{field}' has {tensor.shape[0]} rows, others {count}")
        if tile is None:
            tile = self._row_tiles(info, shaped, count)
        self.execute(codelet, name, tile, **shaped, **dict(constants or {}))

    def _row_tiles(self, info: Any, shaped: Mapping[str, Tensor], count: int) -> np.ndarray:
        even = row_tiles(count, self.tiles)
        for field, tensor in shaped.items():
            if info.fields[field].direction == "constant" or info.fields[field].direction == "in":
                continue
            if tensor.ndim and tensor.shape[0] == count:
                first = tensor if tensor.ndim == 1 else tensor[:, 0]
                tile = self.tiles_of_elements(first)
                if (tile >= 0).all() and np.unique(tile).size * 2 >= np.unique(even).size:
                    return tile
        return even

    # reductions, products, random numbers ----------------------------------------------------------------------

    def reduce(
        self, x: Tensor, axes: Any, operation: str, name: str, dtype: DType | None = None, scale: float = 1.0
    ) -> Tensor:
        """Reduce axes of x (all where None); see lower/reduce.py."""
        if isinstance(x, StoredView) and x.size and axes is not None and operation == "add":
            gone = sorted({int(a) % x.ndim for a in np.atleast_1d(axes)})
            blocks = blocks_of(x)
            if gone == [0, *range(2, x.ndim)] and blocks is not None:
                return channel_sums(self, blocks, name, dtype or x.dtype, scale)
        return reductions.reduce(self, x, axes, operation, name, dtype=dtype, scale=scale)

    def in_order(self, x: Tensor, name: str) -> Tensor:
        """x stored in the order it is seen in: x itself, or rearranged by a copy."""
        if not isinstance(x, StoredView):
            return x
        rearranged = self.variable(x.dtype, x.shape, f"{name}/rearranged")
        self.copy(x, rearranged, f"{name}/rearrange")
        return rearranged

    def concat(self, parts: Sequence[Tensor], axis: int, name: str) -> Tensor:
        """Tensors one after another: a view, or for values in blocks of channels, joined by channels, one variable, into
        which the parts are copied that were not made there (joins.py)."""
        if self.joined is not None and self.joined.join(self, parts, name):
            return field_view(self.joined.run)
        stored = [s for t in parts if isinstance(t, StoredView) and (s := blocks_of(t)) is not None]
        if axis != 1 or len(stored) < len(parts) or len({s.shape[-1] for s in stored}) != 1:
            return concat([self.in_order(t, f"{name}/{i}") for i, t in enumerate(parts)], axis)
        first = stored[0]
        shape = (first.shape[0], sum(s.shape[1] for s in stored), *first.shape[2:])
        whole, at = self.variable(first.dtype, shape, name), 0
        for s in stored:
            self.copy(s, whole[:, at : at + s.shape[1]], name)
            at += s.shape[1]
        return field_view(whole)

    def part(self, x: Tensor, slices: Sequence[slice]) -> Tensor:
        """x[slices], a view: of whole blocks of channels of a batch of one, stored like x."""
        if isinstance(x, StoredView) and (stored := blocks_of(x)) is not None and stored.shape[0] == 1:
            channels, width = slices[1], stored.shape[-1]
            others = [s.indices(n) == (0, n, 1) for i, (s, n) in enumerate(zip(slices, x.shape, strict=True)) if i != 1]
            whole = channels.start % width == channels.stop % width == 0 and channels.step == 1
            if all(others) and whole and channels.stop > channels.start:
                return field_view(stored[:, channels.start // width : channels.stop // width])
        return x[tuple(slices)]

    def matmul(
        self,
        a: Tensor,
        b: Tensor,
        name: str,
        *,
        transpose_a: bool = False,
        transpose_b: bool = False,
        out_dtype: DType | None = None,
        plan: Plan | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> Tensor:
        """a (m, k) . b (k, n), either stored transposed; see lower/matmul.py."""
        return products.multiply(
            self,
            a,
            b,
            name,
            transpose_a=transpose_a,
            transpose_b=transpose_b,
            out_dtype=out_dtype,
            plan=plan,
            options=options,
        )

    def create_weights(
        self, element_type: Any, shape: Sequence[int], batch: int, name: str, *, operand: Tensor | None = None
    ) -> Tensor:
        """A (k, n) matrix in blocks that stay on their tiles forward and backward; see lower/matmul.py."""
        training = bool(self.options.get("training", True))
        k, n = shape
        return products.create_weights(
            self, dtype(element_type), (k, n), batch, name, operand=operand, training=training
        )

    def indexed(
        self,
        codelet: str,
        out: Tensor,
        name: str,
        *,
        constants: Mapping[str, Any] | None = None,
        index_field: str = "first",
        scale: Any = 1,
        **operands: Any,
    ) -> Tensor:
        """Elementwise work that depends on an element's place: the constant `index_field` of each vertex is set to
        (its value in `constants`, or 0) + scale * the row-major place of the vertex's first element in `out`."""
        constants = dict(constants or {})
        out_field = self._out_field(codelet, operands)
        if out.size == 0:
            return out
        operands = {n: t if isinstance(t, Tensor) else self._number(t, out, n) for n, t in operands.items()}
        fields = self.library[codelet].fields
        pieces = cut_elementwise(
            self.graph,
            out,
            {out_field: out} | operands,
            must_be_scalar={n for n in operands if fields[n].kind == SCALAR},
            positions=True,
        )
        constants[index_field] = constants.get(index_field, 0) + scale * pieces.position
        self.execute(codelet, name, pieces.tile, **pieces.fields, **constants)
        return out

    def iota(self, tensor: Tensor, start: Any, name: str, step: Any = 1) -> Tensor:
        """Write start, start + step, ... in row-major order."""
        return self.indexed("Iota", tensor, name, constants={"first": start, "step": step}, scale=step)

    def random(
        self, codelet: str, out: Tensor, name: str, *, step: Any = 0, constants: Mapping[str, Any], **operands: Any
    ) -> Tensor:
        """Run a random codelet (codelets/random.py) over `out`: `step` the count of calls (a tensor of one unsigned
        number, or a number), `constants` its seed, path and parameters."""
        if not isinstance(step, Tensor):
            step = self.constant(UNSIGNED_INT, (), step, f"{name}_step")
        return self.indexed(codelet, out, name, constants=constants, step=step, **operands)


def scalar_form(codelet: str) -> str:
    """Name of the form of a binary codelet whose second operand is one element."""
    if codelet.endswith("InPlace"):
        return codelet.removesuffix("InPlace") + "ScalarInPlace"
    return codelet + "Scalar"
