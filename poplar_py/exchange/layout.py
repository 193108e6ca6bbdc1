"""The layout of variables: which run of each lies on which tile, and where in its fragment there.

On a tile the runs of a variable form one fragment, in element order. Columns over all runs of all variables, sorted
by element number: `start` (element number), `tile`, `local` (place in the fragment, in elements), `variable`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import InvalidTileMapping
from ..graph import Graph


@dataclass
class Layout:
    """Runs as columns (int64), and per variable the fragments: tile and size in elements."""

    start: np.ndarray
    tile: np.ndarray
    local: np.ndarray
    variable: np.ndarray
    element_bytes: np.ndarray  # per variable
    fragment_variable: np.ndarray  # fragments: one a variable and tile, sorted by both
    fragment_tile: np.ndarray
    fragment_elements: np.ndarray
    num_tiles: int
    num_elements: int
    bucket: np.ndarray  # bucket[e >> shift]: the run that holds the first element of e's bucket
    shift: int

    @property
    def finding(self) -> tuple[np.ndarray, np.ndarray, int, int]:
        """What the compiled loops need to find the run of an element."""
        return self.start, self.bucket, self.shift, self.num_elements

    @property
    def columns(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, int, int]:
        """What the compiled loops need to find where an element lies: the columns of runs, and how to find its run."""
        return self.start, self.tile, self.local, self.variable, self.bucket, self.shift, self.num_elements

    def text(self) -> str:
        """Fragments by variable: how many tiles and bytes."""
        lines = [f"layout: {len(self.start)} runs, {len(self.fragment_tile)} fragments"]
        for v in range(len(self.element_bytes)):
            mine = self.fragment_elements[self.fragment_variable == v] * self.element_bytes[v]
            if len(mine):
                lines.append(f"  variable {v}: {len(mine)} fragments of {mine.min()}..{mine.max()} bytes")
        return "\n".join(lines) + "\n"

    def fragment_key(self, variable: np.ndarray, tile: np.ndarray) -> np.ndarray:
        """Row of the fragment of each (variable, tile); both must exist."""
        keys = self.fragment_variable * self.num_tiles + self.fragment_tile
        return np.searchsorted(keys, np.asarray(variable, np.int64) * self.num_tiles + tile)


def lay_out(graph: Graph) -> Layout:
    """Resolve every variable's mapping. Raises InvalidTileMapping for an element without a tile."""
    starts, lengths, tiles, variables = [], [], [], []
    for v in graph.variables:
        start, tile = v.runs()
        if (tile < 0).any():
            bare = int(start[np.flatnonzero(tile < 0)[0]])
            where = "/".join(map(str, np.unravel_index(bare, v.shape))) if v.shape else "0"
            missing = int(np.diff(np.append(start, v.size))[tile < 0].sum())
            raise InvalidTileMapping(
                f"{v.name} {list(v.shape)}: element [{where.replace('/', ', ')}] has no tile"
                f" ({missing} of {v.size} unmapped); call graph.set_tile_mapping"
            )
        starts.append(start + v.base)
        lengths.append(np.diff(np.append(start, v.size)))
        tiles.append(tile)
        variables.append(np.full(len(start), v.index, np.int64))
    empty = [np.zeros(0, np.int64)]
    start = np.concatenate(starts or empty).astype(np.int64)
    tile = np.concatenate(tiles or empty).astype(np.int64)
    variable = np.concatenate(variables or empty).astype(np.int64)
    length = np.concatenate(lengths or empty).astype(np.int64)
    total = sum(v.size + 1 for v in graph.variables)  # element numbers, the unused one after each variable included
    num_tiles = graph.target.num_tiles
    key = variable * num_tiles + tile
    order = np.argsort(key, kind="stable")
    sorted_key, sorted_length = key[order], length[order]
    running = np.cumsum(sorted_length) - sorted_length
    first = np.ones(len(order), bool)
    first[1:] = sorted_key[1:] != sorted_key[:-1]
    at = np.flatnonzero(first)
    group = np.cumsum(first) - 1
    local = np.empty(len(order), np.int64)
    local[order] = running - running[at][group] if len(order) else running
    fragments = sorted_key[at]
    sizes = np.add.reduceat(sorted_length, at) if len(at) else np.zeros(0, np.int64)
    shift = max(0, total.bit_length() - (4 * len(start) + 64).bit_length() + 1)
    while total >> shift > 4 * len(start) + 64:
        shift += 1
    bucket = np.searchsorted(start, np.arange((total >> shift) + 1, dtype=np.int64) << shift, side="right") - 1
    return Layout(
        start,
        tile,
        local,
        variable,
        np.array([v.dtype.size for v in graph.variables], np.int64),
        fragments // num_tiles,
        fragments % num_tiles,
        sizes,
        num_tiles,
        total,
        bucket,
        shift,
    )
