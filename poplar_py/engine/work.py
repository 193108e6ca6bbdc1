"""Work: a compute set cut into pieces of some tiles each, which gather and compute while what they read is in cache.

No vertex of a compute set writes what another one's gather reads, that would be a race; so pieces may be done in any
order and on any thread.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from ..codelet.batch import Signature, driver
from ..exchange.routes import Routes
from ..exchange.transfers import AREA
from ..graph import Block
from .desks import Laid, Units, bytes_by_turn, find_units, lay, orders_of_work
from .joining import join
from .pieces import Pieces

if TYPE_CHECKING:
    from .engine import Engine

CHUNK = 1 << 19  # bytes moved and worker slots of a piece of work: about what a processor's second cache holds
LEAST = 1 << 14  # of both, for which a second thread is worth its while
_ROW_BYTES = 64  # what a row of a move costs beside its bytes
_EACH = 4  # pieces for every thread, so that one that comes late holds nobody up

Call = tuple[Callable[..., None], tuple, np.ndarray]  # a compiled loop, its columns, the first row of every piece


def by_pieces(engine: Engine, blocks: list[Block], routes: Routes, area: int) -> Callable[[], None]:
    """A callable that gathers for the vertices of a compute set and computes them, on the engine's threads."""
    tiles = engine.executable.target.num_tiles
    slots = np.zeros(tiles)
    present = []
    for number, block in enumerate(blocks):
        if block.n:
            present.append((block, *engine.columns(number, block, routes, area)))
            cycles = np.broadcast_to(np.asarray(block.cycles(engine.executable.target)), (block.n,))
            slots += np.bincount(block.tile, weights=cycles, minlength=tiles)
    rows = engine.executable.moves(routes.gathers, area)
    to = np.asarray(routes.gathers.dst_tile)
    shared = _on_desks(engine, to, rows, slots, present) if len(to) and not len(routes.scatters) else None
    moves, turn, limits = shared or _in_areas(engine, to, rows, slots)
    calls = [moves]
    for block, columns, _ in present:
        mine = turn[block.tile]
        order = _order(mine)
        if order is not None:
            columns, mine = [c if c.strides == (0,) else c[order] for c in columns], mine[order]
        columns, mine = join(block, columns, mine)
        first = np.searchsorted(mine, limits)
        calls.append((driver(Signature(block.info, block.dtypes)), (engine.memory, *columns), first))
    work = [
        [
            (call, int(first[k]), int(first[k + 1]), arguments)
            for call, arguments, first in calls
            if first[k] < first[k + 1]
        ]
        for k in range(len(limits) - 1)
    ]
    return Pieces(work, len(work) if shared is None else len(engine.desks), engine.team)


def _limits(load: np.ndarray, threads: int, chunk: int = CHUNK) -> np.ndarray:
    """The first turn of every piece of work, and one past the last turn."""
    total, turns = float(load.sum()), len(load)
    pieces = int(max(total // chunk, min(total // LEAST, _EACH * threads)))
    pieces = min(max(pieces, 1), turns)
    cuts = np.searchsorted(np.cumsum(load), total * np.arange(1, pieces) / pieces)
    return np.unique(np.concatenate([[0], cuts, [turns]]))


def _in_areas(
    engine: Engine, tile: np.ndarray, moves: tuple[np.ndarray, ...], slots: np.ndarray
) -> tuple[Call, np.ndarray, np.ndarray]:
    """Gathers to the areas of their tiles: the moves, the turn of every tile, the limits of the pieces."""
    tiles = len(slots)
    limits = _limits(slots + np.bincount(tile, weights=moves[2], minlength=tiles), engine.threads)
    order = _order(tile)
    if order is not None:
        moves, tile = tuple(c[order] for c in moves), tile[order]
    call = engine.native.move, (engine.memory, engine.words, *moves), np.searchsorted(tile, limits)
    return call, np.arange(tiles), limits


def _on_desks(
    engine: Engine, tile: np.ndarray, moves: tuple[np.ndarray, ...], slots: np.ndarray, present: list
) -> tuple[Call, np.ndarray, np.ndarray] | None:
    """Gathers that bring to desks what pieces of work read, each thing once: the moves, the turn of every tile, the limits
    of the pieces. The windows there are moved with it. None where that cannot be.

    In the areas of all tiles what is gathered would go out to memory, to be read by nobody again."""
    src, dst, size = moves
    windows = [w for _, _, w in present]
    looking = [
        (start[owner == AREA], ((rows - 1) * stride + cols)[owner == AREA])
        for of_block in windows
        for start, rows, cols, stride, owner in of_block.values()
    ]
    units = find_units(tile, src, dst, size, looking)
    if units is None:
        return None
    tried = (_lay(engine, units, turn, slots) for turn in orders_of_work(units, len(slots)))
    found = [f for f in tried if f is not None]
    if not found:
        return None
    laid, turn, limits = min(found, key=lambda f: int((size[f[0].rows] + _ROW_BYTES).sum()))
    desk = np.asarray(engine.desks)
    shift = desk[laid.piece % len(desk)] + laid.place - units.start
    for of_block in windows:
        for start, _, _, _, owner in of_block.values():
            mine = np.flatnonzero(owner == AREA)
            start[mine] += shift[units.of(start[mine])]
    rows, unit = laid.rows, units.row[laid.rows]
    first = np.searchsorted(laid.piece[unit], np.arange(len(limits)))
    columns = src[rows], dst[rows] + shift[unit], size[rows]
    return (engine.native.move, (engine.memory, engine.words, *columns), first), turn, limits


def _lay(
    engine: Engine, units: Units, turn: np.ndarray, slots: np.ndarray
) -> tuple[Laid, np.ndarray, np.ndarray] | None:
    """Units on desks for an order of work, the order, and the limits of its pieces; None where no piece is small enough."""
    load = bytes_by_turn(units, turn)
    load[turn] += slots
    chunk = CHUNK
    limits = _limits(load, engine.threads)
    while (laid := lay(units, turn, limits)) is None:
        chunk //= 2
        finer = _limits(load, engine.threads, chunk)
        if len(finer) == len(limits) == len(slots) + 1 or not chunk:
            return None
        limits = finer
    return laid, turn, limits


def _order(turn: np.ndarray) -> np.ndarray | None:
    """Rows in the order of their turn; None where they are."""
    return None if (turn[1:] >= turn[:-1]).all() else np.argsort(turn, kind="stable")
