"""Runs of tensors on tiles: linear mapping, and the mapping of views."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .graph import Graph
    from .tensor import Tensor


def linear_runs(size: int, num_tiles: int, grain: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Elements 0..size spread evenly in order, whole grains a tile, the first tiles one grain more where uneven."""
    grains = -(-size // grain)
    tiles = min(num_tiles, grains)
    if tiles == 0:
        empty = np.zeros(0, np.int64)
        return empty, empty, empty
    bounds = np.minimum((np.arange(tiles + 1) * grains + tiles - 1) // tiles * grain, size)
    return bounds[:-1], bounds[1:], np.arange(tiles)


def tensor_runs(graph: Graph, tensor: Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Maximal runs of the flattened tensor on one tile: (start, stop, tile)."""
    if tensor.size == 0:
        empty = np.zeros(0, np.int64)
        return empty, empty, empty
    region_start, _ = tensor.regions()
    if len(region_start) == 1:
        variable = graph.variables[int(graph.variable_index(region_start)[0])]
        first = int(region_start[0]) - variable.base
        if first + tensor.size <= variable.size:
            start, tile = variable.runs()
            lo = int(np.searchsorted(start, first, side="right")) - 1
            hi = int(np.searchsorted(start, first + tensor.size, side="left"))
            begin = np.maximum(start[lo:hi] - first, 0)
            return begin, np.append(begin[1:], tensor.size), tile[lo:hi].astype(np.int64)
    elements = tensor.index.reshape(-1)
    tile = element_tiles(graph, elements)
    change = np.concatenate(([0], np.flatnonzero(np.diff(tile)) + 1))
    return change, np.append(change[1:], tile.size), tile[change].astype(np.int64)


def element_tiles(graph: Graph, elements: np.ndarray) -> np.ndarray:
    """Tile of each element number, -1 where unmapped."""
    owner = graph.variable_index(elements)
    tile = np.empty(elements.size, np.int32)
    for i in np.flatnonzero(np.bincount(owner)):
        mine = owner == i
        start, run_tile = graph.variables[i].runs()
        tile[mine] = run_tile[np.searchsorted(start, elements[mine] - graph.variables[i].base, side="right") - 1]
    return tile
