"""Transfers: columns of byte moves between places on tiles."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from .layout import Layout

AREA = -1  # owner of bytes that belong to a superstep's gathering area rather than to a variable


@dataclass
class Transfers:
    """Row i moves `size[i]` bytes. A place is a tile, an owner (variable index or AREA) and a byte offset in what the
    owner has on that tile. Columns are int32 or int64."""

    src_tile: np.ndarray
    src_owner: np.ndarray
    src: np.ndarray
    dst_tile: np.ndarray
    dst_owner: np.ndarray
    dst: np.ndarray
    size: np.ndarray

    def __len__(self) -> int:
        return len(self.size)

    @property
    def bytes(self) -> int:
        return int(self.size.sum())

    @classmethod
    def none(cls) -> Transfers:
        return cls(*(np.zeros(0, np.int64) for _ in range(7)))

    @classmethod
    def joined(cls, parts: list[Transfers]) -> Transfers:
        parts = [p for p in parts if len(p)]
        if not parts:
            return cls.none()
        return cls(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(cls)))

    def take(self, rows: np.ndarray) -> Transfers:
        return Transfers(*(getattr(self, f.name)[rows] for f in fields(Transfers)))

    def merged(self) -> Transfers:
        """Rows that continue one another joined into longer ones; order is kept."""
        if len(self) < 2:
            return self
        from .native import join_pieces

        first = join_pieces(self.src_tile, self.src_owner, self.src, self.dst_tile, self.dst_owner, self.dst, self.size)
        at = np.flatnonzero(first)
        if len(at) == len(self):
            return self
        joined = self.take(at)
        joined.size = np.add.reduceat(self.size, at)
        return joined

    def reversed(self) -> Transfers:
        return Transfers(self.dst_tile, self.dst_owner, self.dst, self.src_tile, self.src_owner, self.src, self.size)


def fetch(
    layout: Layout, start: np.ndarray, length: np.ndarray, dst_tile: np.ndarray, dst: np.ndarray, size: np.ndarray
) -> Transfers:
    """Transfers that bring element regions (`start`, `length`) to byte `dst` of the area of `dst_tile`.

    `size` is the bytes of an element of each region.
    """
    from .native import fetch_rows

    if len(start) == 0:
        return Transfers.none()
    src_tile, owner, src, to_tile, to, count = fetch_rows(
        start,
        length,
        dst_tile,
        dst,
        size,
        *layout.columns,
    )
    return Transfers(src_tile, owner, src, to_tile, np.broadcast_to(np.int32(AREA), src.shape), to, count)
