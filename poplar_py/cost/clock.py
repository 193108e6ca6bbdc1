"""The clock: vertex cycles and exchanged words in, tile cycles and superstep time out.

The only file that turns slots into time; the engine's profile and the planners call the same functions. Columns in,
int64[num_tiles] out. Rules and constants are those of the hardware notes:

R1  A worker gets one issue slot every `num_workers` cycles, whether the other slots are used or not. Worker vertices
    of a compute set are started in the order they stand in, each on the worker that is free first, so a tile's time is
    num_workers x its busiest worker. Starting and joining the workers costs the supervisor `supervisor_cycles`, a
    `run` (num_workers cycles: every slot comes by once) and a `sync` (the same): once a tile and batch of vertices.
    A MULTI vertex owns all workers; its `cycles` are tile cycles and include its own start (PopLibs' formulae contain
    it, plus `vertex_call_cycles` where calibrated); such vertices run one after another.
R3  An exchange takes a tile start offset + max(words in, words out) + 3 instructions for every fragment shorter than 3
    words (the control of longer ones is hidden behind their words). Tiles that exchange nothing are not delayed.
R9  Rearranging on a tile: `memcpy_bytes_per_cycle`, and `memcpy_call_cycles` where there is anything to move.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from ..target import Target

_FEW = 4096  # below this many vertices loading numba costs more than it saves


def launch_cycles(target: Target) -> int:
    """Supervisor cycles of starting and joining the workers of a tile once."""
    return target.supervisor_cycles + 2 * target.num_workers


def compute_cycles(target: Target, tile: Any, slots: Any, multi: bool, num_tiles: int) -> np.ndarray:
    """Tile cycles of a batch of vertices of one compute set, int64[num_tiles].

    tile: a tile number per vertex; slots: one number for all or a column: worker slots, or tile cycles where `multi`.
    """
    tile = np.asarray(tile)
    slots = np.asarray(slots, np.int64)
    if tile.size == 0:
        return np.zeros(num_tiles, np.int64)
    count = np.bincount(tile, minlength=num_tiles).astype(np.int64)
    uniform = slots.ndim == 0 or (slots.strides == (0,)) or bool((slots == slots.flat[0]).all())
    if uniform:
        each = int(slots if slots.ndim == 0 else slots.flat[0])
        if multi:
            return count * each
        return -(-count // target.num_workers) * (each * target.num_workers) + (count > 0) * launch_cycles(target)
    if multi:
        return _sum_by_tile(tile, slots, num_tiles)
    busiest = busiest_worker(tile, slots, target.num_workers, num_tiles)
    return busiest * target.num_workers + (count > 0) * launch_cycles(target)


def busiest_worker(tile: np.ndarray, slots: np.ndarray, num_workers: int, num_tiles: int) -> np.ndarray:
    """Slots of each tile's busiest worker when vertices go, in order, to the worker that is free first."""
    loads = np.zeros((num_tiles, num_workers), np.int64)
    if tile.size > _FEW:
        _compiled()(tile.astype(np.int64, copy=False), slots, loads)
        return loads.max(axis=1)
    order = np.argsort(tile, kind="stable")
    tile, slots = tile[order], slots[order]
    first = np.flatnonzero(np.r_[True, tile[1:] != tile[:-1]])
    count = np.diff(np.append(first, tile.size))
    rows = tile[first]
    for turn in range(int(count.max())):  # the k-th vertex of every tile at once
        there = count > turn
        row, load = rows[there], slots[first[there] + turn]
        loads[row, loads[row].argmin(axis=1)] += load
    return loads.max(axis=1)


def _sum_by_tile(tile: np.ndarray, amount: np.ndarray, num_tiles: int) -> np.ndarray:
    return np.rint(np.bincount(tile, weights=amount, minlength=num_tiles)).astype(np.int64)


@lru_cache
def _compiled() -> Any:
    from numba import njit

    @njit("void(int64[:], int64[:], int64[:, ::1])", nogil=True)
    def list_schedule(tile, slots, loads):
        workers = loads.shape[1]
        for v in range(tile.size):
            row = loads[tile[v]]
            least = 0
            for w in range(1, workers):
                if row[w] < row[least]:
                    least = w
            row[least] += slots[v]

    return list_schedule


def exchange_cycles(
    target: Target, words_in: Any, words_out: Any, fragments: Any = 0, short_fragments: Any = 0
) -> np.ndarray:
    """Tile cycles of an exchange phase by rule R3, int64 per tile.

    words_in, words_out: 4-byte words each tile receives and sends (a multicast is sent once); fragments: how many
    pieces they come in (a tile with none takes no part); short_fragments: those shorter than 3 words.
    """
    words_in, words_out, fragments, short = np.broadcast_arrays(
        *(np.asarray(x, np.int64) for x in (words_in, words_out, fragments, short_fragments))
    )
    busiest = np.maximum(words_in, words_out)
    transfer = np.ceil(busiest * (4 / target.exchange_bytes_per_cycle)).astype(np.int64)
    takes_part = (busiest > 0) | (fragments > 0)
    return takes_part * (target.exchange_start_cycles + transfer + target.exchange_fragment_cycles * short)


def copy_cycles(target: Target, num_bytes: Any, copies: Any = 1) -> np.ndarray:
    """Tile cycles of moving `num_bytes` within each tile, int64 per tile; a tile with no `copies` takes none."""
    num_bytes = np.asarray(num_bytes, np.int64)
    moves = (num_bytes > 0) & (np.asarray(copies) > 0)
    return moves * (target.memcpy_call_cycles + -(-num_bytes // target.memcpy_bytes_per_cycle))


def sync_cycles(target: Target) -> int:
    """Cycles of a sync of all tiles: external where there are several chips (rule R4)."""
    return target.sync_cycles if target.num_ipus == 1 else target.external_sync_cycles


def superstep(
    target: Target, compute: Any = 0, exchange_in: Any = 0, exchange_out: Any = 0, *, sync: int | None = None
) -> int:
    """Chip cycles of a superstep: sync, exchange in, compute, and where anything is sent after it a sync and exchange
    out. A tile computes as soon as its own exchange is done; all meet at the next sync."""
    sync = sync_cycles(target) if sync is None else sync
    exchange_in, compute, exchange_out = (np.asarray(x, np.int64) for x in (exchange_in, compute, exchange_out))
    total = sync + int((exchange_in + compute).max(initial=0))
    if exchange_out.any():
        total += sync + int(exchange_out.max())
    return total
