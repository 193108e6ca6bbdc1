"""Copies: the transfers of Copy programs and of streams.

In: source and destination tensors.  Out: transfers between fragments. Where source and destination share elements
the bytes pass through a gathering area, since a copy reads everything before it writes anything.
"""

from __future__ import annotations

import numpy as np

from ..graph import StoredView, Tensor, as_stored
from ..graph.variable import expand_runs
from .layout import Layout
from .transfers import AREA, Transfers


def _pieces(layout: Layout, tensor: Tensor) -> tuple[np.ndarray, ...]:
    """The flattened tensor as pieces within one run each: (length, tile, variable, byte place)."""
    from .native import split_by_runs

    start, length = tensor.regions()
    if len(start) == 0:
        return tuple(np.zeros(0, np.int64) for _ in range(4))
    _, piece, count, run = split_by_runs(start, length, *layout.finding)
    place = (layout.local[run] + piece - layout.start[run]) * tensor.dtype.size
    return count, layout.tile[run], layout.variable[run], place


def plan_copy(layout: Layout, source: Tensor, destination: Tensor) -> tuple[Transfers, Transfers, np.ndarray]:
    """Transfers of a tensor copy: (first, second, area bytes per tile).

    Without shared elements `first` does it all. With them `first` brings every piece to the area of its destination
    tile and `second` moves it from there into place.
    """
    from .native import pair_pieces

    size = source.dtype.size
    no_area = np.zeros(layout.num_tiles, np.int64)
    if source.size == 0:
        return Transfers.none(), Transfers.none(), no_area
    a_length, a_tile, a_owner, a_place = _pieces(layout, source)
    b_length, b_tile, b_owner, b_place = _pieces(layout, destination)
    columns = np.empty((5, len(a_length) + len(b_length)), np.int64)
    filled = pair_pieces(columns[0], columns[1], columns[2], columns[3], columns[4], a_length, b_length)
    a, b, in_a, in_b, length = (column[:filled] for column in columns)
    moves = Transfers(
        a_tile[a], a_owner[a], a_place[a] + in_a * size, b_tile[b], b_owner[b], b_place[b] + in_b * size, length * size
    ).merged()
    if not _share(source, destination):
        return moves, Transfers.none(), no_area
    order = np.argsort(moves.dst_tile, kind="stable")
    moves = moves.take(order)
    room = (moves.size + 7) // 8 * 8
    place = np.cumsum(room) - room
    first = np.ones(len(moves), bool)
    first[1:] = moves.dst_tile[1:] != moves.dst_tile[:-1]
    place -= place[np.flatnonzero(first)][np.cumsum(first) - 1]
    area = np.bincount(moves.dst_tile, weights=room, minlength=layout.num_tiles).astype(np.int64)
    owner = np.full(len(moves), AREA, np.int64)
    bring = Transfers(moves.src_tile, moves.src_owner, moves.src, moves.dst_tile, owner, place, moves.size)
    put = Transfers(moves.dst_tile, owner, place, moves.dst_tile, moves.dst_owner, moves.dst, moves.size)
    return bring, put, area


def plan_ordering(layout: Layout, tensor: Tensor | None) -> np.ndarray:
    """Bytes that each tile moves to put what it has of a tensor in the tensor's order, or to undo that: all it has, where
    that is not one piece already. int64 per tile."""
    if tensor is None or tensor.size == 0:
        return np.zeros(layout.num_tiles, np.int64)
    length, tile, owner, place = _pieces(layout, tensor)
    order = np.argsort(tile, kind="stable")
    tile, owner, place, size = tile[order], owner[order], place[order], length[order] * tensor.dtype.size
    breaks = (tile[1:] == tile[:-1]) & ((owner[1:] != owner[:-1]) | (place[1:] != place[:-1] + size[:-1]))
    scattered = np.bincount(tile[1:][breaks], minlength=layout.num_tiles) > 0
    return np.where(scattered, np.bincount(tile, weights=size, minlength=layout.num_tiles), 0).astype(np.int64)


def _share(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors have an element in common."""
    if not {v.index for v in a.variables()} & {v.index for v in b.variables()}:
        return False
    a_start, a_length = a.regions()
    b_start, b_length = b.regions()
    if len(a_start) > 1 or len(b_start) > 1:
        return bool(np.intersect1d(expand_runs(a_start, a_length), expand_runs(b_start, b_length)).size)
    return bool(a_start[0] < b_start[0] + b_length[0] and b_start[0] < a_start[0] + a_length[0])


def plan_stream(layout: Layout, tensor: Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The flattened tensor as pieces for host transfers: (bytes, tile, owner, byte place), in the order in which the
    tensor is seen, or stored where it is one in another order (the host exchanges the order then)."""
    tensor = as_stored(tensor)
    tensor = tensor.stored if isinstance(tensor, StoredView) else tensor
    length, tile, owner, place = _pieces(layout, tensor)
    return length * tensor.dtype.size, tile, owner, place
