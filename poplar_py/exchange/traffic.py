"""Traffic of transfers: what each tile sends and receives, with multicast recognised.

One send reaches any number of listeners (hardware notes 1.5): rows with the same source place and size leave their
tile once. Rows whose source and destination are one tile are on-tile copies and use no exchange.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .transfers import Transfers


@dataclass
class Traffic:
    """Per tile: words of 4 bytes in and out, fragments in and out, fragments shorter than 3 words, on-tile bytes."""

    words_in: np.ndarray
    words_out: np.ndarray
    fragments_in: np.ndarray
    fragments_out: np.ndarray
    short_fragments: np.ndarray
    local_bytes: np.ndarray
    local_copies: np.ndarray
    bytes_in: np.ndarray
    bytes_out: np.ndarray
    multicast_bytes_saved: int = 0

    @property
    def num_regions(self) -> int:
        return int(self.fragments_in.sum())


def measure(moves: Transfers, num_tiles: int) -> Traffic:
    """Count the traffic of one exchange phase."""
    zeros = np.zeros(num_tiles, np.int64)
    if not len(moves):
        return Traffic(zeros, zeros, zeros, zeros, zeros, zeros, zeros, zeros, zeros)
    local = moves.src_tile == moves.dst_tile
    local_bytes = _sum(moves.dst_tile[local], moves.size[local], num_tiles)
    local_copies = np.bincount(moves.dst_tile[local], minlength=num_tiles)
    away = moves if not local.any() else moves.take(np.flatnonzero(~local))
    words = (away.size + 3) // 4
    fragments_in = np.bincount(away.dst_tile, minlength=num_tiles)
    short = np.bincount(away.dst_tile[words < 3], minlength=num_tiles)
    unique = _one_of_each(away)
    total = int(away.size.sum())
    sent = away.size[unique]
    return Traffic(
        _sum(away.dst_tile, words, num_tiles),
        _sum(away.src_tile[unique], words[unique], num_tiles),
        fragments_in,
        np.bincount(away.src_tile[unique], minlength=num_tiles),
        short,
        local_bytes,
        local_copies,
        _sum(away.dst_tile, away.size, num_tiles),
        _sum(away.src_tile[unique], sent, num_tiles),
        total - int(sent.sum()),
    )


def _sum(tile: np.ndarray, amount: np.ndarray, num_tiles: int) -> np.ndarray:
    return np.bincount(tile, weights=amount, minlength=num_tiles).astype(np.int64)


def _one_of_each(moves: Transfers) -> np.ndarray:
    """Rows of which each source place and size is one."""
    if not len(moves):
        return np.zeros(0, np.int64)
    reach = int(moves.src.max()) + 1
    owners = int(moves.src_owner.max()) + 2
    key = (moves.src_tile.astype(np.int64) * owners + moves.src_owner + 1) * reach + moves.src
    order = np.argsort(key, kind="stable")  # which merges the runs that there are
    key, size = key[order], moves.size[order]
    new = np.ones(len(key), bool)
    new[1:] = (key[1:] != key[:-1]) | (size[1:] != size[:-1])
    return order[new]
