"""Placement of things in a tile's memory: arrays in, arrays out.

Greedy: always-live things first, one after another; then the rest by size, largest first, each at the lowest address
where it meets nothing placed before that lives at the same time.
"""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def place_tiles(first, entity, size, always, conflict, base, align):
    """Offsets for the things of many tiles.

    first: int64[tiles + 1], where each tile's things start; entity, size: a thing's row of `conflict` and its bytes,
    those of a tile sorted by falling size; always: per entity; conflict: bool[entities, entities]; base: bytes in use
    at the start of each tile. Returns (offset per thing, end per tile, end of the always-live part per tile).
    """
    tiles = first.size - 1
    offset = np.zeros(size.size, np.int64)
    end = np.zeros(tiles, np.int64)
    floor = np.zeros(tiles, np.int64)
    longest = 0
    for t in range(tiles):
        longest = max(longest, first[t + 1] - first[t])
    placed = np.empty(longest, np.int64)  # things already placed, by offset
    for t in range(tiles):
        cursor = base[t]
        for i in range(first[t], first[t + 1]):
            if always[entity[i]]:
                cursor = (cursor + align - 1) // align * align
                offset[i] = cursor
                cursor += size[i]
        floor[t] = cursor
        top = cursor
        low = (cursor + align - 1) // align * align
        count = 0
        for i in range(first[t], first[t + 1]):
            e = entity[i]
            if always[e]:
                continue
            at = low
            for k in range(count):
                j = placed[k]
                if conflict[e, entity[j]] and offset[j] < at + size[i] and at < offset[j] + size[j]:
                    at = (offset[j] + size[j] + align - 1) // align * align
            offset[i] = at
            top = max(top, at + size[i])
            k = count
            while k > 0 and offset[placed[k - 1]] > at:
                placed[k] = placed[k - 1]
                k -= 1
            placed[k] = i
            count += 1
        end[t] = top
    return offset, end, floor
