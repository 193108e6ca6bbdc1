"""Work: a compute set cut into pieces of some tiles each, which gather and compute while what they read is in cache.

No vertex of a compute set writes what another one's gather reads, that would be a race; so pieces may be done in any
order and on any thread.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..codelet.batch import Signature, driver
from ..exchange.routes import Routes
from ..exchange.transfers import AREA
from ..graph import Block
from .desks import bytes_by_turn, find_units, lay, order_of_work
from .team import Turns

if TYPE_CHECKING:
    from .engine import Engine

CHUNK = 1 << 19  # bytes moved and worker slots of a piece of work: about what a processor's second cache holds

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
    turn = np.arange(tiles)
    moves: Call | None = None
    if len(routes.gathers):
        rows = engine.executable.moves(routes.gathers, area)
        to = np.asarray(routes.gathers.dst_tile)
        shared = None if len(routes.scatters) else _on_desks(engine, to, rows, slots, present)
        if shared is not None:
            moves, turn, limits = shared
        else:
            limits = _limits(slots + np.bincount(to, weights=rows[2], minlength=tiles))
            order, first = _by_turn(to, tiles)
            moves = (
                engine.native.move,
                tuple(c if order is None else c[order] for c in rows),
                first[limits],
            )
    else:
        limits = _limits(slots)
    calls = [] if moves is None else [(moves[0], (engine.memory, engine.words, *moves[1]), moves[2])]
    for block, columns, _ in present:
        order, first = _by_turn(turn[block.tile], tiles)
        if order is not None:
            columns = [c if c.strides == (0,) else c[order] for c in columns]
        calls.append((driver(Signature(block.info, block.dtypes)), (engine.memory, *columns), first[limits]))
    for _, arguments, _ in calls:
        for column in arguments:
            if column is not engine.memory and column is not engine.words:
                column.flags.writeable = False
    work = [
        [
            (call, int(first[k]), int(first[k + 1]), arguments)
            for call, arguments, first in calls
            if first[k] < first[k + 1]
        ]
        for k in range(len(limits) - 1)
    ]
    return _in_turns(engine, work)


def _limits(load: np.ndarray, chunk: int = CHUNK) -> np.ndarray:
    """The first turn of every piece of work, and one past the last turn."""
    total, turns = float(load.sum()), len(load)
    pieces = int(min(total // chunk + 1, turns))
    cuts = np.searchsorted(np.cumsum(load), total * np.arange(1, pieces) / pieces)
    return np.unique(np.concatenate([[0], cuts, [turns]]))


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
    turn = order_of_work(units, len(slots))
    load = bytes_by_turn(units, turn)
    load[turn] += slots
    chunk = CHUNK
    limits = _limits(load)
    laid = lay(units, turn, limits)
    while laid is None:
        chunk //= 2
        finer = _limits(load, chunk)
        if len(finer) == len(limits) == len(slots) + 1 or not chunk:
            return None
        limits = finer
        laid = lay(units, turn, limits)
    desk = np.asarray(engine.desks)
    piece_of_unit = np.searchsorted(limits, turn[units.tile], "right") - 1
    shift = desk[piece_of_unit % len(desk)] + laid.place - units.start
    for of_block in windows:
        for start, _, _, _, owner in of_block.values():
            mine = np.flatnonzero(owner == AREA)
            start[mine] += shift[units.of(start[mine])]
    rows = laid.rows
    first = np.concatenate([[0], np.cumsum(np.bincount(laid.piece, minlength=len(limits) - 1))])
    moved = src[rows], dst[rows] + shift[units.row[rows]], size[rows]
    return (engine.native.move, moved, first), turn, limits


def _in_turns(engine: Engine, work: list[list[tuple]]) -> Callable[[], None]:
    """A callable that does all pieces of work, each thread taking the next one that is left; a piece waits until the
    last one on its desk is done."""
    turns = [(engine.held[k % len(engine.held)], piece) for k, piece in enumerate(work)]

    def take(turn: Any) -> None:
        for desk, piece in turn:
            with desk:
                for call, first, last, arguments in piece:
                    call(first, last, *arguments)

    team = engine.team
    if len(work) < 2 or team is None:
        return lambda: take(turns)

    def run() -> None:
        turn = Turns(turns)
        team.do(lambda: take(turn))

    return run


def _by_turn(turn: np.ndarray, turns: int) -> tuple[np.ndarray | None, np.ndarray]:
    """Rows in the order of their turn (None: they are), and the first row of every turn, one past the last at the end."""
    order = None if len(turn) < 2 or (turn[1:] >= turn[:-1]).all() else np.argsort(turn, kind="stable")
    return order, np.concatenate([[0], np.cumsum(np.bincount(turn, minlength=turns))])
