"""Tile mappings: which tile every element of a new variable lies on.

Everything here works on columns (start, stop, tile) of runs of the flattened tensor; nothing walks over tiles. Tile
numbers are those of the top-level graph; `tiles_of` gives the ones a virtual graph may use.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import InvalidTileMapping
from ..graph import Graph, Tensor

LINEAR_GRAIN = 32  # elements; PopLibs' default for poputil.map_tensor_linearly is of this order


def top_of(graph: Graph) -> Graph:
    """The graph that owns the variables: the graph itself, or the one a virtual graph is a view of."""
    return getattr(graph, "top", graph)


def tiles_of(graph: Graph) -> np.ndarray:
    """Top-level numbers of the tiles the graph may use: int64."""
    from ..graph.virtual import VirtualGraph

    if isinstance(graph, VirtualGraph):
        return np.asarray(graph._top_tiles(), np.int64)
    return np.arange(graph.target.num_tiles, dtype=np.int64)


def part_bounds(size: int, parts: int, grain: int = 1) -> np.ndarray:
    """Where `size` elements are cut into at most `parts` even pieces of whole grains: int64[pieces + 1], 0 first.

    Only the last piece may end inside a grain; there are never more pieces than grains.
    """
    grains = -(-size // grain)
    parts = max(1, min(parts, grains))
    return np.minimum(np.arange(parts + 1, dtype=np.int64) * grains // parts * grain, size)


def linear_bounds(size: int, num_tiles: int, grain: int = LINEAR_GRAIN, min_elements: int = 1) -> np.ndarray:
    """Bounds of an even spread of `size` elements in order over tiles, at least `min_elements` (or all) on each."""
    if size == 0:
        return np.zeros(1, np.int64)
    return part_bounds(size, min(num_tiles, max(1, size // max(1, min_elements))), grain)


def map_linearly(
    graph: Graph, tensor: Tensor, *, min_elements: int = 1, grain: int = LINEAR_GRAIN, first_tile: int = 0
) -> None:
    """Spread the tensor's elements, in row-major order, evenly over the tiles from `first_tile` on (wrapping)."""
    tiles = tiles_of(graph)
    bounds = linear_bounds(tensor.size, len(tiles), grain, min_elements)
    map_runs(graph, tensor, bounds[:-1], bounds[1:], tiles[(np.arange(len(bounds) - 1) + first_tile) % len(tiles)])


def map_runs(graph: Graph, tensor: Tensor, start: np.ndarray, stop: np.ndarray, tile: np.ndarray) -> None:
    """Put elements [start, stop) of the flattened tensor on `tile`: columns. Raises InvalidTileMapping."""
    tile = np.asarray(tile, np.int64)
    num_tiles = top_of(graph).target.num_tiles
    bad = (tile < 0) | (tile >= num_tiles)
    if bad.any():
        raise InvalidTileMapping(f"{tensor.name}: tile {int(tile[bad][0])}, but the target has {num_tiles} tiles")
    length = np.asarray(stop, np.int64) - start
    used = length > 0
    start, length, tile = np.asarray(start, np.int64)[used], length[used], tile[used]
    if not start.size:
        return
    if tensor.is_contiguous:
        origin = int(tensor.regions()[0][0])
        owner = tensor.variables()
        if len(owner) == 1:
            owner[0].assign(start + origin - owner[0].base, length, tile)
            return
    flat = tensor.flatten()
    for variable in tensor.variables():  # a view over several variables: element by element
        index = flat.index - variable.base
        per_element = np.full(flat.size, -1, np.int64)
        per_element[_expand(start, length)] = np.repeat(tile, length)
        mine = (index >= 0) & (index < variable.size) & (per_element >= 0)
        variable.assign(index[mine], np.ones(int(mine.sum()), np.int64), per_element[mine])


def map_rows(graph: Graph, tensor: Tensor, first_tile: int = 0) -> None:
    """Whole rows (entries of the first axis), spread evenly over all tiles."""
    rows = tensor.shape[0] if tensor.ndim else 1
    each = tensor.size // max(rows, 1)
    start = np.arange(rows, dtype=np.int64) * each
    map_runs(graph, tensor, start, start + each, row_tiles(rows, tiles_of(graph), first_tile))


def row_tiles(rows: int, tiles: np.ndarray, first_tile: int = 0) -> np.ndarray:
    """A tile for each of `rows` rows: neighbours share a tile where there are more rows than tiles."""
    each = max(-(-rows // len(tiles)), 1)
    return tiles[(np.arange(rows, dtype=np.int64) // each + first_tile) % len(tiles)]


def interval_lists(mapping: Sequence[Sequence[tuple[int, int]]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Poplar's form of a mapping (a list of (begin, end) per tile) as columns (start, stop, tile), sorted by start."""
    table = np.array([(b, e, t) for t, runs in enumerate(mapping) for b, e in runs], np.int64).reshape(-1, 3)
    table = table[np.argsort(table[:, 0], kind="stable")]
    return table[:, 0], table[:, 1], table[:, 2]


def to_interval_lists(
    start: np.ndarray, stop: np.ndarray, tile: np.ndarray, num_tiles: int
) -> list[list[tuple[int, int]]]:
    """Columns (start, stop, tile) in Poplar's form, for people."""
    lists: list[list[tuple[int, int]]] = [[] for _ in range(num_tiles)]
    for b, e, t in zip(start.tolist(), stop.tolist(), tile.tolist(), strict=True):
        lists[t].append((b, e))
    return lists


def _expand(start: np.ndarray, length: np.ndarray) -> np.ndarray:
    ends = np.cumsum(length)
    return np.repeat(start - (ends - length), length) + np.arange(int(ends[-1]) if ends.size else 0, dtype=np.int64)
