"""Virtual graphs: a graph seen through a subset of its tiles.

Variables, compute sets and vertices made through the view belong to the parent; only tile numbers are translated.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import InvalidTileMapping
from .graph import Graph


class VirtualGraph(Graph):
    """A view of `parent` whose tile i is tile `tiles[i]` of the parent's."""

    def __init__(self, parent: Graph, tiles: np.ndarray):
        object.__setattr__(self, "_parent", parent)
        object.__setattr__(self, "_tiles", tiles)
        object.__setattr__(self, "target", parent.target.with_options(tiles_per_ipu=len(tiles), num_ipus=1))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._parent, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._parent, name, value)

    @property
    def top(self) -> Graph:
        """The graph that owns everything."""
        return self._parent.top if isinstance(self._parent, VirtualGraph) else self._parent

    def _translate(self, tile: Any) -> np.ndarray:
        local = self._check_tiles(np.asarray(tile), "virtual graph")
        return self._tiles[local]

    def whole(self, variable: Any) -> Any:
        return self.top.whole(variable)

    def set_tile_mapping(self, what: Any, tile: Any) -> None:
        if isinstance(tile, (list, tuple)) and any(isinstance(t, (list, tuple)) for t in tile):
            if len(tile) > len(self._tiles):
                raise InvalidTileMapping(f"intervals for {len(tile)} tiles; the virtual graph has {len(self._tiles)}")
            per_tile: list[list] = [[] for _ in range(self._parent.target.num_tiles)]
            for local, intervals in enumerate(tile):
                per_tile[int(self._tiles[local])] = list(intervals)
            self._parent.set_tile_mapping(what, per_tile)
        else:
            self._parent.set_tile_mapping(what, self._translate(tile))

    def add_vertices(self, cs: Any, codelet: str, tile: Any, fields: dict[str, Any]) -> Any:
        return self._parent.add_vertices(cs, codelet, self._translate(tile), fields)

    def add_compute_set(self, name: str = "") -> Any:
        cs = self._parent.add_compute_set(name)
        return _VirtualComputeSet(self, cs)

    def get_tile_mapping(self, tensor: Any) -> list[list[tuple[int, int]]]:
        per_tile = self._parent.get_tile_mapping(tensor)
        return [per_tile[int(t)] for t in self._tiles]

    def _map_linear(self, tensor: Any, grain: int = 32) -> None:
        from .mapping import linear_runs

        start, stop, tile = linear_runs(tensor.size, len(self._tiles), grain)
        if len(start):
            self.top._assign(start + int(tensor.regions()[0][0]), stop - start, self._top_tiles()[tile])

    def _top_tiles(self) -> np.ndarray:
        parent = self._parent
        return parent._top_tiles()[self._tiles] if isinstance(parent, VirtualGraph) else self._tiles


class _VirtualComputeSet:
    """A compute set of the parent that takes the view's tile numbers."""

    def __init__(self, graph: VirtualGraph, compute_set: Any):
        self._compute_set = compute_set
        self._graph = graph

    def __getattr__(self, name: str) -> Any:
        return getattr(self._compute_set, name)

    def add_vertices(self, codelet: str, *, tile: Any, **fields: Any) -> Any:
        return self._graph.add_vertices(self._compute_set, codelet, tile, fields)
