"""Single vertices while the graph is being built, and their merging into blocks when it is frozen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import GraphConnectionError, InvalidTileMapping, UnknownField, did_you_mean
from .tensor import Tensor
from .vertices import Block, Edges, FieldRef, Vertex, make_block

if TYPE_CHECKING:
    from ..codelet.library import CodeletInfo
    from .graph import ComputeSet, Graph


class _Row:
    __slots__ = ("compute_set", "fields", "index", "info", "tile")

    def __init__(self, compute_set: ComputeSet, info: CodeletInfo, index: int):
        self.compute_set = compute_set
        self.info = info
        self.index = index
        self.fields: dict[str, Any] = {}
        self.tile = -1


class PendingVertices:
    """The vertices added one at a time, keyed by public index."""

    def __init__(self, graph: Graph):
        self.graph = graph
        self.rows: dict[int, _Row] = {}
        self.in_compute_set: dict[int, int] = {}

    def count(self, compute_set: int) -> int:
        return self.in_compute_set.get(compute_set, 0)

    def add(self, cs: ComputeSet, info: CodeletInfo) -> Vertex:
        index = self.graph.num_vertices
        self.rows[index] = _Row(cs, info, index)
        self.in_compute_set[cs.index] = self.count(cs.index) + 1
        self.graph.num_vertices += 1
        return Vertex(self.graph, index)

    def _row(self, vertex: Vertex) -> _Row:
        if vertex.index not in self.rows:
            raise GraphConnectionError(
                f"vertex {vertex.index} cannot be changed: add_vertices connects and maps at once, compiling fixes the rest"
            )
        return self.rows[vertex.index]

    def connect(self, ref: FieldRef, value: Any) -> None:
        row = self._row(ref.vertex)
        fields = row.info.fields
        where = f"{row.compute_set.name}: vertex {row.index}"
        if ref.field not in fields:
            raise UnknownField(
                f"{where}: codelet {row.info.name} has no field '{ref.field}'.{did_you_mean(ref.field, fields)}"
                f" Fields: {', '.join(fields)}"
            )
        constant = fields[ref.field].direction == "constant"
        if ref.field in row.fields and not constant:
            raise GraphConnectionError(f"{where}: field '{ref.field}' of {row.info.name} is connected already")
        if constant and isinstance(value, Tensor):
            raise GraphConnectionError(
                f"{where}: field '{ref.field}' of {row.info.name} is a constant; give it a number"
            )
        row.fields[ref.field] = value

    def map(self, vertex: Vertex, tile: int) -> None:
        self._row(vertex).tile = tile

    def make_blocks(self) -> None:
        """Give every compute set the blocks of its single vertices: those alike in codelet and types become one."""
        groups: dict[tuple, list[tuple[_Row, Block]]] = {}
        for row in self.rows.values():
            where = f"{row.compute_set.name}: vertex {row.index}"
            if row.tile < 0:
                raise InvalidTileMapping(
                    f"{where} ({row.info.name}) has no tile; call graph.set_tile_mapping(vertex, tile)"
                )
            block = make_block(self.graph, row.info, row.compute_set, row.tile, row.fields, False, where)
            if block.n != 1:
                raise GraphConnectionError(
                    f"{where}: a constant of {row.info.name} is an array; one vertex takes numbers"
                )
            alike = (
                (row.compute_set.index, row.info.name)
                + tuple(block.dtypes.values())
                + tuple(e.is_scattered for e in block.fields.values())
            )
            groups.setdefault(alike, []).append((row, block))
        for members in groups.values():
            self._merge(members)
        self.rows = {}
        self.in_compute_set = {}

    def _merge(self, members: list[tuple[_Row, Block]]) -> None:
        first = members[0][0]
        tile = np.array([row.tile for row, _ in members], np.int32)
        index = np.array([row.index for row, _ in members], np.int64)
        merged = Block(first.info, first.compute_set, len(members), tile, index)
        for name in members[0][1].fields:
            parts = [block.fields[name] for _, block in members]
            rows, cols, stride = (np.array([getattr(p, c) for p in parts]) for c in ("rows", "cols", "stride"))
            if parts[0].is_scattered:
                offset = np.concatenate(([0], np.cumsum([p.elements.size for p in parts])))
                elements = np.concatenate([p.elements for p in parts])
                width = np.array([p.width for p in parts])
                merged.fields[name] = Edges(
                    parts[0].dtype, len(parts), None, rows, cols, stride, elements, offset, width
                )
            else:
                start = np.array([p.start[0] for p in parts], np.int64)
                merged.fields[name] = Edges(parts[0].dtype, len(parts), start, rows, cols, stride)
        for name in members[0][1].constants:
            values = np.array([np.asarray(block.constants[name]).reshape(-1)[0] for _, block in members])
            merged.constants[name] = values[0] if (values == values[0]).all() else values
        first.compute_set.blocks.append(merged)
