"""Routes of a compute set: which windows lie on their tile already, what is gathered before, what is sent after.

In: a compute set's blocks and the layout.  Out: `Routes`: for every field of every block where its windows are, the
gathers before the vertices run, the scatters after, and the bytes of the gathering area on each tile. A region read
from other tiles is gathered once per tile, overlapping and touching regions as one place that all windows there
share. A window of scattered data, or of rows that cannot keep one row stride, gets a place of its own: a
rearrangement, counted apart. Outputs on other tiles are computed in a place of their own and sent afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..graph import Block, Edges
from ..graph.variable import expand_runs
from ..graph.vertices import pick
from .layout import Layout
from .transfers import AREA, Transfers, fetch

ALIGN = 8  # bytes; places start where a worker's widest load may
NOTHING = -2  # owner of a window without elements


@dataclass
class Placed:
    """Where the windows of a field are: owner (variable index, AREA or NOTHING), byte offset there, row stride in elements."""

    owner: np.ndarray
    place: np.ndarray
    row_stride: np.ndarray


@dataclass
class Routes:
    """The exchange of one compute set."""

    windows: dict[tuple[int, str], Placed] = field(default_factory=dict)
    gathers: Transfers = field(default_factory=Transfers.none)
    scatters: Transfers = field(default_factory=Transfers.none)
    area_bytes: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))  # per tile
    rearranged: list[str] = field(default_factory=list)  # block/field names with rearrangements
    rearranged_bytes: int = 0


@dataclass
class _Regions:
    """Regions to gather or send: `window` numbers refer to the chosen windows of one field."""

    block: int
    name: str  # of the field
    chosen: np.ndarray  # vertex rows
    edges: Edges
    direction: str
    twins: list[_Regions] = field(default_factory=list)  # other InOut fields with the very same windows


def plan_routes(layout: Layout, blocks: list[Block]) -> Routes:
    """Plan the exchange of the vertices of one compute set."""
    routes = Routes(area_bytes=np.zeros(layout.num_tiles, np.int64))
    shared: list[_Regions] = []
    private: list[_Regions] = []
    for number, block in enumerate(blocks):
        tile = block.tile.astype(np.int64)
        for name, edges in block.fields.items():
            placed = _direct(layout, tile, edges)
            routes.windows[number, name] = placed
            chosen = np.flatnonzero(placed.owner == AREA)
            if not len(chosen):
                continue
            direction = block.info.fields[name].direction
            if direction == "out" and block.info.fields[name].partial:
                direction = "inout"
            regions = _Regions(number, name, chosen, edges, direction)
            (shared if direction == "in" and not edges.is_scattered else private).append(regions)
    private += _gather_shared(layout, blocks, routes, shared)
    _place_private(layout, blocks, routes, private)
    return routes


def _direct(layout: Layout, tile: np.ndarray, edges: Edges) -> Placed:
    """Windows that lie contiguous (rows at one stride) in one fragment of their tile; the others are left to AREA."""
    from .native import place_windows

    n = edges.n
    if edges.is_scattered:
        return _direct_scattered(layout, tile, edges)
    rows, cols, stride = (
        np.broadcast_to(np.asarray(c, np.int64), (n,)) for c in (edges.rows, edges.cols, edges.stride)
    )
    start = np.asarray(edges.start, np.int64)
    if len(layout.start) == 0:
        return Placed(np.full(n, NOTHING, np.int64), np.zeros(n, np.int64), cols.copy())
    owner, place, row_stride = place_windows(
        tile,
        start,
        rows,
        cols,
        stride,
        *layout.columns,
    )
    return Placed(owner, place * edges.dtype.size, row_stride)


def _direct_scattered(layout: Layout, tile: np.ndarray, edges: Edges) -> Placed:
    """Scattered windows may still be contiguous in their fragment, as every fourth element on one tile is."""
    n, offset = edges.n, edges.offset
    cols = np.broadcast_to(np.asarray(edges.cols, np.int64), (n,))
    size = np.diff(offset)
    nothing = (size == 0) | (np.broadcast_to(edges.width, (n,)) == 0)
    placed = Placed(np.where(nothing, NOTHING, AREA), np.zeros(n, np.int64), cols.copy())
    if edges.elements.size == 0 or nothing.all():
        return placed
    from .native import place_listed

    first = np.zeros(n, np.int64)
    owner = placed.owner.copy()
    width = np.broadcast_to(np.asarray(edges.listed_width(), np.int64), edges.elements.shape)
    place_listed(
        owner,
        first,
        tile,
        offset,
        edges.elements,
        width,
        *layout.columns,
    )
    placed.owner[~nothing] = owner[~nothing]
    placed.place[~nothing] = first[~nothing] * edges.dtype.size
    return placed


def _rows_of(edges: Edges, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The runs of the chosen windows as (window, start, length), and the rows of each window (0 where scattered)."""
    if edges.is_scattered:
        size = np.diff(edges.offset)[chosen]
        flat = edges.elements[expand_runs(edges.offset[chosen], size)]
        window = np.repeat(np.arange(len(chosen)), size)
        width = np.broadcast_to(pick(edges.width, chosen[window]), flat.shape)
        first = np.ones(flat.size, bool)
        first[1:] = (np.diff(flat) != width[:-1]) | (window[1:] != window[:-1])
        at = np.flatnonzero(first)
        length = np.add.reduceat(width, at) if len(at) else np.zeros(0, np.int64)
        return window[at], flat[at], length, np.zeros(len(chosen), np.int64)
    from .native import list_rows

    rows, cols, stride = (
        np.broadcast_to(np.asarray(pick(c, chosen), np.int64), chosen.shape)
        for c in (edges.rows, edges.cols, edges.stride)
    )
    window, start, length = np.empty((3, int(rows.sum())), np.int64)
    list_rows(window, start, length, edges.start[chosen], rows, cols, stride)
    return window, start, length, rows


def _gather_shared(layout: Layout, blocks: list[Block], routes: Routes, shared: list[_Regions]) -> list[_Regions]:
    """Gather remote input regions once per tile; returns windows whose rows ended up unevenly spaced."""
    if not shared:
        return []
    from .native import matrix_stride, unite

    parts = [_rows_of(r.edges, r.chosen) for r in shared]
    tile = np.concatenate(
        [blocks[r.block].tile[r.chosen][window].astype(np.int64) for r, (window, *_) in zip(shared, parts, strict=True)]
    )
    start = np.concatenate([p[1] for p in parts])
    length = np.concatenate([p[2] for p in parts])
    size = np.concatenate(
        [np.full(len(p[1]), r.edges.dtype.size, np.int64) for r, p in zip(shared, parts, strict=True)]
    )
    key = tile * layout.num_elements + start
    order = np.arange(len(key)) if (key[1:] >= key[:-1]).all() else np.argsort(key, kind="stable")
    place, united, area_tile, area_start, area_length, area_place, region_bytes = unite(
        order, tile, start, length, size, ALIGN
    )
    uneven: list[_Regions] = []
    used = np.zeros(len(start), bool)
    done = 0
    for r, (_, _, _, rows) in zip(shared, parts, strict=True):
        mine = place[done : done + int(rows.sum())]
        first = np.cumsum(rows) - rows
        stride = matrix_stride(first, rows, mine)
        each = r.edges.dtype.size
        even = (stride >= 0) & (stride % each == 0)
        placed = routes.windows[r.block, r.name]
        placed.place[r.chosen] = mine[first]
        placed.row_stride[r.chosen] = np.where(rows > 1, stride // each, placed.row_stride[r.chosen])
        used[done : done + len(mine)] = np.repeat(even, rows)
        done += len(mine)
        if not even.all():
            uneven.append(_Regions(r.block, r.name, r.chosen[~even], r.edges, "in"))
    if not used.all():  # drop what only windows that moved to places of their own had asked for
        wanted = np.zeros(len(area_start), bool)
        wanted[united[used]] = True
        area_tile, area_start, area_length, area_place, region_bytes = (
            c[wanted] for c in (area_tile, area_start, area_length, area_place, region_bytes)
        )
    last = np.flatnonzero(np.diff(area_tile, append=-1))  # places grow with start: a tile's last region ends its area
    routes.area_bytes[area_tile[last]] = (area_place + area_length * region_bytes)[last]
    routes.gathers = fetch(layout, area_start, area_length, area_tile, area_place, region_bytes)
    return uneven


def _place_private(layout: Layout, blocks: list[Block], routes: Routes, private: list[_Regions]) -> None:
    """Places of their own for scattered inputs and remote outputs, after the shared part of each tile's area."""
    gathers, scatters = [routes.gathers], []
    private = _without_twins(routes, private)
    for r in private:
        window, start, length, _ = _rows_of(r.edges, r.chosen)
        each = r.edges.dtype.size
        tile = blocks[r.block].tile[r.chosen].astype(np.int64)
        window_bytes = np.bincount(window, weights=length, minlength=len(r.chosen)).astype(np.int64) * each
        leader = _leaders(r, tile)
        placed_bytes = np.where(leader == np.arange(len(leader)), (window_bytes + ALIGN - 1) // ALIGN * ALIGN, 0)
        order = np.argsort(tile, kind="stable")
        running = np.cumsum(placed_bytes[order]) - placed_bytes[order]
        first = np.ones(len(order), bool)
        first[1:] = tile[order][1:] != tile[order][:-1]
        running -= running[np.flatnonzero(first)][np.cumsum(first) - 1]
        base = (routes.area_bytes + ALIGN - 1) // ALIGN * ALIGN
        place = np.empty(len(order), np.int64)
        place[order] = running + base[tile[order]]
        place = place[leader]
        grown = base + np.bincount(tile, weights=placed_bytes, minlength=layout.num_tiles).astype(np.int64)
        routes.area_bytes = np.where(np.bincount(tile, minlength=layout.num_tiles) > 0, grown, routes.area_bytes)
        placed = routes.windows[r.block, r.name]
        placed.place[r.chosen] = place
        placed.row_stride[r.chosen] = np.broadcast_to(pick(r.edges.cols, r.chosen), r.chosen.shape)
        for twin in r.twins:
            routes.windows[r.block, twin.name] = placed
        mine = leader[window] == window
        window, start, length = window[mine], start[mine], length[mine]
        within = np.cumsum(length) - length
        opening = np.ones(len(window), bool)
        opening[1:] = window[1:] != window[:-1]
        within -= within[np.flatnonzero(opening)][np.cumsum(opening) - 1] if len(window) else 0
        moves = fetch(
            layout, start, length, tile[window], place[window] + within * each, np.full(len(start), each, np.int64)
        )
        moves = moves.merged()
        if r.direction in ("in", "inout"):
            gathers.append(moves)
        if r.direction in ("out", "inout"):
            scatters.append(moves.reversed())
        if r.direction == "in":
            routes.rearranged.append(f"{blocks[r.block].name}/{r.name}.rearranged")
            routes.rearranged_bytes += moves.bytes
    routes.gathers = Transfers.joined(gathers)
    routes.scatters = Transfers.joined(scatters)


def _without_twins(routes: Routes, private: list[_Regions]) -> list[_Regions]:
    """InOut fields that name the very windows of another InOut field of their block share that field's places."""
    kept: list[_Regions] = []
    for r in private:
        first = next((k for k in kept if r.direction == "inout" and _same_windows(k, r)), None)
        if first is None:
            kept.append(r)
        else:
            first.twins.append(r)
    return kept


def _same_windows(a: _Regions, b: _Regions) -> bool:
    if a.block != b.block or a.direction != "inout" or a.edges.is_scattered != b.edges.is_scattered:
        return False
    columns = ("elements", "offset", "width") if a.edges.is_scattered else ("start", "rows", "cols", "stride")
    return all(np.array_equal(getattr(a.edges, c), getattr(b.edges, c)) for c in columns)


def _leaders(r: _Regions, tile: np.ndarray) -> np.ndarray:
    """For each window the first that sees the same elements on the same tile: they share a place.

    Only inputs of scattered data are worth the search, and InOut windows must share where they are the same.
    """
    alone = np.arange(len(r.chosen))
    if r.direction == "out" or len(r.chosen) < 2:
        return alone
    if r.edges.is_scattered:
        from .native import window_hash

        digest = window_hash(r.edges.elements, r.edges.offset)[r.chosen]
        sizes = np.diff(r.edges.offset)[r.chosen] * 1_000_003 + pick(r.edges.width, r.chosen)
    else:
        digest = r.edges.start[r.chosen].astype(np.uint64)
        sizes = np.broadcast_to(
            pick(r.edges.rows, r.chosen) * pick(r.edges.cols, r.chosen) * 1_000_003 + pick(r.edges.stride, r.chosen),
            r.chosen.shape,
        )
    keys = np.stack([tile.astype(np.uint64), digest, sizes.astype(np.uint64)], axis=1)
    _, first, inverse = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    leader = first[inverse.reshape(-1)]
    if r.edges.is_scattered and (leader != alone).any():
        follower = np.flatnonzero(leader != alone)
        size = np.diff(r.edges.offset)[r.chosen][follower]
        a = r.edges.elements[expand_runs(r.edges.offset[r.chosen[follower]], size)]
        b = r.edges.elements[expand_runs(r.edges.offset[r.chosen[leader[follower]]], size)]
        if a.shape != b.shape or (a != b).any():  # two windows with one hash: give up sharing rather than share wrongly
            return alone
    return leader
