"""Cutting patterns: which vertex works on which elements.

An elementwise operation is cut where the result's tile changes, then into even shares for the workers of each tile.
The order of cutting is that of the result in memory, not of its axes, so a laid out weight is one run a tile. Where an
operand is broadcast or lies in another order, pieces also end where its elements stop being consecutive (a window
must be one run) or stop being the same (it becomes a scalar); an operand in too many pieces is gathered instead.
All of it is done on columns: one `add_vertices` call a compute set.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..errors import InvalidTileMapping, ShapeError
from ..graph import Graph, Tensor, Windows
from .layout import element_space, layouts_of, stored_order
from .mapping import top_of

MIN_AVERAGE_RUN = 4  # elements; below this a vertex a run costs more than gathering the operand


@dataclass
class Pieces:
    """n pieces of an elementwise operation: the tile of each, and what each field sees of its tensor.

    `position` is the row-major position of each piece's first element, where asked for.
    """

    tile: np.ndarray
    fields: dict[str, Tensor | Windows]
    scalar: set[str] = field(default_factory=set)
    position: np.ndarray | None = None

    @property
    def n(self) -> int:
        return len(self.tile)


def split_runs(
    start: np.ndarray, stop: np.ndarray, tile: np.ndarray, grain: int, workers: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Runs on tiles cut into shares of whole grains, `workers` even shares a tile: (start, length, tile)."""
    length = stop - start
    used = length > 0
    start, length, tile = start[used], length[used], tile[used]
    if not start.size:
        return start, length, tile
    total = np.bincount(tile, weights=length).astype(np.int64)
    share = -(-total // workers)
    share = (-(-share // grain) * grain)[tile]
    pieces = -(-length // share)
    run = np.repeat(np.arange(len(start)), pieces)
    which = np.arange(len(run)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    begin = start[run] + which * share[run]
    return begin, np.minimum(share[run], start[run] + length[run] - begin), tile[run]


def cut_elementwise(
    graph: Graph,
    out: Tensor,
    operands: Mapping[str, Tensor],
    *,
    can_be_scalar: frozenset[str] | set[str] = frozenset(),
    must_be_scalar: frozenset[str] | set[str] = frozenset(),
    workers: int | None = None,
    positions: bool = False,
    row: int = 0,
) -> Pieces:
    """Cut an operation on `operands` (by field; broadcast to `out`) by the tiles of `out`, into shares of its workers or,
    where `row` is given, wherever a row of so many elements ends.

    Fields in `can_be_scalar` may be given one element a piece, those in `must_be_scalar` always are.
    `out` has at least one element. Raises ShapeError where an operand does not broadcast and InvalidTileMapping where `out` lacks tiles.
    """
    top = top_of(graph)
    workers = workers or graph.target.num_workers
    for name, t in operands.items():
        try:
            fits = np.broadcast_shapes(t.shape, out.shape) == out.shape
        except ValueError:
            fits = False
        if not fits:
            raise ShapeError(f"operand '{name}' {t.name} {list(t.shape)} does not broadcast to {list(out.shape)}")
    grain = max(graph.target.vector_width(t.dtype.size) for t in (out, *operands.values()))
    scalar = {n for n, t in operands.items() if t.size == 1 and (out.size > 1 or n in must_be_scalar)}
    scalar &= set(can_be_scalar) | set(must_be_scalar)
    flats = None if positions and not out.is_contiguous else _same_order(top, out, operands, scalar)
    if flats is not None:
        return _cut_flat(top, out, flats, operands, scalar, grain, workers, row)
    return _cut_by_element(
        top, out, operands, scalar, set(can_be_scalar), set(must_be_scalar), grain, workers, positions
    )


def _same_order(graph: Graph, out: Tensor, operands: Mapping[str, Tensor], scalar: set[str]) -> dict | None:
    """Flat tensors of `out` (key "") and of the operands in one common order, or None where they have none."""
    full = {"": out} | {n: t for n, t in operands.items() if n not in scalar}
    if any(t.shape != out.shape for t in full.values()):
        return None
    if all(t.is_contiguous for t in full.values()):
        return {n: t.flatten() for n, t in full.items()}
    order = stored_order(out)
    if order is not None and all(t.transpose(order).is_contiguous for t in full.values()):
        return {n: t.transpose(order).flatten() for n, t in full.items()}
    found = {n: layouts_of(graph).find(t) for n, t in full.items()}
    placed = {n: p for n, p in found.items() if p is not None}
    if len(placed) < len(found) or not all(p.layout.same_as(placed[""].layout) for p in placed.values()):
        return None
    return {n: p.flat for n, p in placed.items()}


def _mapped(out: Tensor, tile: np.ndarray) -> None:
    if (tile < 0).any():
        raise InvalidTileMapping(
            f"{out.name} has elements without a tile; map it first (graph.set_tile_mapping, poputil.map_tensor_linearly)"
        )


def split_at(begin: np.ndarray, end: np.ndarray, tile: np.ndarray, every: int) -> tuple[np.ndarray, ...]:
    """Runs cut at the multiples of `every`: (begin, end, tile)."""
    pieces = (end - 1) // every - begin // every + 1
    which = np.repeat(np.arange(len(begin)), pieces)
    number = np.arange(len(which)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    first = np.maximum(begin[which], (begin[which] // every + number) * every)
    return first, np.minimum(end[which], (begin[which] // every + number + 1) * every), tile[which]


def _cut_flat(graph, out, flats, operands, scalar, grain, workers, row) -> Pieces:
    start, stop, tile = graph.tile_mapping(flats[""])
    _mapped(out, tile)
    if row:
        start, stop, tile = split_at(start, stop, tile, row)
        length = stop - start
    else:
        start, length, tile = split_runs(start, stop, tile, grain, workers)
    fields: dict[str, Any] = {}
    for name, t in operands.items():
        fields[name] = t.reshape(()) if name in scalar else flats[name].windows(start, length)
    return Pieces(tile, fields, set(scalar), start)


def _cut_by_element(graph, out, operands, scalar, can_be_scalar, must_be_scalar, grain, workers, positions) -> Pieces:
    ids = out.index.reshape(-1)
    order = None if ids.size < 2 or (np.diff(ids) > 0).all() else np.argsort(ids, kind="stable")
    if order is not None:
        ids = ids[order]
    _, stop, run_tile = graph.tile_mapping(Tensor(graph, out.dtype, ids))
    _mapped(out, run_tile)
    breaks = np.zeros(ids.size - 1, bool)
    breaks[stop[:-1] - 1] = True
    if positions and order is not None:
        breaks |= np.diff(order) != 1
    limit = ids.size // MIN_AVERAGE_RUN + 1
    elements: dict[str, np.ndarray] = {}
    mode: dict[str, str] = {}
    for name, t in operands.items():
        if name in scalar:
            mode[name] = "one"
            continue
        column = np.ascontiguousarray(t.broadcast_to(out.shape).index).reshape(-1)
        elements[name] = column = column if order is None else column[order]
        step = np.diff(column)
        ends = {"run": step != 1}
        if name in can_be_scalar or name in must_be_scalar:
            ends["same"] = step != 0
        if name in must_be_scalar:
            del ends["run"]
        counts = {m: int(np.count_nonzero(e)) for m, e in ends.items()}
        mode[name] = min(counts, key=counts.__getitem__)
        if counts[mode[name]] > limit and name not in must_be_scalar:
            mode[name] = "gathered"
            continue
        breaks |= ends[mode[name]]
        if mode[name] == "same":
            can_be_scalar = set()  # a vertex has one scalar operand
    cuts = np.flatnonzero(breaks) + 1
    begin = np.concatenate(([0], cuts))
    end = np.append(cuts, ids.size)
    tile = run_tile[np.searchsorted(stop, begin, side="right")]
    start, length, tile = split_runs(begin, end, tile, grain, workers)
    fields: dict[str, Any] = {}
    for name, t in operands.items():
        if mode[name] == "one":
            fields[name] = t.reshape(())
        elif mode[name] == "same":
            fields[name] = Tensor(graph, t.dtype, elements[name][start])
        elif mode[name] == "run":
            fields[name] = element_space(graph, t.dtype).windows(elements[name][start], length)
        else:
            fields[name] = Tensor(graph, t.dtype, elements[name]).windows(start, length)
    position = start if order is None else order[start]
    return Pieces(tile, fields, {n for n, m in mode.items() if m in ("one", "same")}, position)
