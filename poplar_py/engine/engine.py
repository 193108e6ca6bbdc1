"""The engine: tile-exact execution in one flat byte array, tile after tile.

Every superstep is prepared at load: its exchange as columns of byte moves, every block of vertices as one call of a
compiled driver with columns of addresses. Running is then calling those; large ones are cut into one range per
thread, which changes no bit since vertices of a compute set share nothing they write.
"""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numpy as np

from ..codelet.batch import Signature, driver
from ..codelet.codelet import MATRIX, SCALAR
from ..errors import RuntimeFault
from ..exchange.routes import Routes
from ..exchange.transfers import AREA, Transfers
from ..graph import Block, as_stored
from . import checks
from .base import BaseEngine
from .executable import Executable, HostPlan

PARALLEL_BYTES = 1 << 19  # moves below this are not worth a second thread
DESK = 1 << 20  # bytes of a place where what was gathered lies while a piece of work reads it
CHUNK = 1 << 19  # bytes moved and worker slots of a piece of work: about what a processor's second cache holds
_PIECE = 4096  # rows of a move that one thread takes at the least


def default_threads() -> int:
    """POPLAR_PY_THREADS, else the processors this process may use."""
    given = os.environ.get("POPLAR_PY_THREADS", "")
    return (
        max(1, int(given))
        if given.isdigit()
        else len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count() or 1
    )


class Engine(BaseEngine):
    """Runs an executable on a simulated device.

    check: poison dead memory (NaN / 0xDEAD patterns) and stop at reads of undefined data; slower.
    threads: how many threads execute a superstep (results do not depend on it).
    """

    def __init__(self, executable: Executable, check: bool = False, threads: int | None = None, **options: Any):
        super().__init__(executable, **options)
        self.check = check
        self.threads = threads or default_threads()
        self._pool: ThreadPoolExecutor | None = None

    def _load(self) -> None:
        from . import native

        self._native = native
        if not self.executable.memory.fits:
            plan = self.executable.memory
            raise RuntimeFault(
                f"the executable does not fit: tile {int(np.argmax(plan.tile_bytes))} needs"
                f" {plan.max_tile_bytes:,} bytes of {plan.capacity_bytes:,}; it was compiled with allow_out_of_memory,"
                " which gives cycles, profile and pictures but no numbers"
            )
        tiles_end = (self.executable.tile_stride * self.executable.target.num_tiles + 63) // 64 * 64
        self._desks = [tiles_end + DESK * k for k in range(1 if self.threads == 1 else 2 * self.threads)]
        self._held = [threading.Lock() for _ in self._desks]
        size = tiles_end + DESK * len(self._desks)
        raw = np.zeros(size + 64, np.uint8)
        skip = -raw.ctypes.data % 64
        self.memory = raw[skip : skip + size]
        self.words = self.memory.view(np.uint32)
        self.defined = np.zeros(len(self.memory), np.uint8) if self.check else None
        self._host: dict[str, Any] = {}
        if self.check:
            self.memory.view(np.uint16)[:] = checks.POISON
        if self.threads > 1 and self._pool is None:
            self._pool = ThreadPoolExecutor(self.threads - 1, thread_name_prefix="poplar_py")

    # host access -----------------------------------------------------------------------------------------------

    def _pieces(self, key: str, tensor: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(address, size, place in the row-major tensor) of each piece, prepared once a key."""
        if key not in self._host:
            plan: HostPlan = self.executable.host[key]
            address = self.executable.addresses(plan.tile, plan.owner, plan.place)
            self._host[key] = address, plan.size, np.cumsum(plan.size) - plan.size
        return self._host[key]

    def _transfer(
        self, source: np.ndarray, target: np.ndarray, src: np.ndarray, dst: np.ndarray, size: np.ndarray
    ) -> None:
        checks.copy_pieces(source, target, src, dst, size)

    def _read_words(self, key: str, tensor: Any) -> np.ndarray:
        address, size, place = self._pieces(key, tensor)
        words = np.empty(tensor.size, tensor.dtype.storage)
        self._transfer(self.memory, words.view(np.uint8), address, place, size)
        return words

    def _write_words(self, key: str, tensor: Any, words: np.ndarray) -> None:
        address, size, place = self._pieces(key, tensor)
        self._transfer(np.ascontiguousarray(words).view(np.uint8), self.memory, place, address, size)
        if self.defined is not None:
            self._native.fill(self.defined, address, size, 1)

    def _defined_words(self, key: str, tensor: Any) -> np.ndarray | None:
        if self.defined is None:
            return None
        tensor = as_stored(tensor)
        stored = getattr(tensor, "stored", tensor)
        address, size, place = self._pieces(key, stored)
        known = np.empty(stored.size_bytes, np.uint8)
        self._transfer(self.defined, known, address, place, size)
        words = np.asarray(known.reshape(stored.size, -1).all(axis=1))
        return words if stored is tensor else words.reshape(stored.shape).transpose(tensor.order).reshape(-1)

    def _undefine(self, key: str, tensor: Any, defined: np.ndarray) -> None:
        if self.defined is None:
            return
        address, size, place = self._pieces(key, tensor)
        known = np.repeat(defined.astype(np.uint8), tensor.dtype.size)
        self._transfer(known, self.defined, place, address, size)
        data = np.empty(known.size, np.uint8)
        self._transfer(self.memory, data, address, place, size)
        data[known == 0] = checks.POISON_BYTE
        self._transfer(data, self.memory, place, address, size)

    def _defined(self, key: str, tensor: Any, what: str) -> None:
        if self.defined is None:
            return
        address, size, _ = self._pieces(key, tensor)
        if not all(self.defined[a : a + n].all() for a, n in zip(address, size, strict=True)):
            raise RuntimeFault(f"{what} {tensor.name} is read, which nothing has written")

    # supersteps ------------------------------------------------------------------------------------------------

    def _ranged(self, function: Any, count: int, parallel: bool, arguments: tuple) -> Any:
        """A callable that runs function(first, last, *arguments) over `count` rows, on several threads if wished."""
        if not parallel or self._pool is None or count < 2:
            return lambda: function(0, count, *arguments)
        cuts = [count * k // self.threads for k in range(self.threads + 1)]
        submit = self._pool.submit

        def run() -> None:
            others = [submit(function, a, b, *arguments) for a, b in pairwise(cuts[1:])]
            function(cuts[0], cuts[1], *arguments)
            for other in others:
                other.result()

        return run

    def _move(self, transfers: Transfers, area: int) -> list[Any]:
        if not len(transfers):
            return []
        src, dst, size = self.executable.moves(transfers, area)
        parallel = transfers.bytes > PARALLEL_BYTES and len(size) > 2 * self.threads
        actions = [self._ranged(self._native.move, len(size), parallel, (self.memory, self.words, src, dst, size))]
        if self.defined is not None:
            words = self.defined.view(np.uint32)
            actions.append(lambda: self._native.move(0, len(size), self.defined, words, src, dst, size))
        return actions

    def _action(self, index: int) -> Any:
        step = self.executable.schedule.steps[index]
        actions = self._copy(index) if step.kind == "copy" else self._execute(step.compute_set, step.name)
        if self.check:
            actions += self._poison(index)
        if len(actions) == 1:
            return actions[0]

        def run() -> None:
            for action in actions:
                action()

        return run

    def _copy(self, index: int) -> list[Any]:
        plan = self.executable.copies[index]
        return self._move(plan.first, plan.area) + self._move(plan.second, plan.area)

    def _execute(self, compute_set: int, name: str) -> list[Any]:
        routes = self.executable.routes[compute_set]
        area = self.executable.route_area[compute_set]
        blocks = self.graph.compute_sets[compute_set].blocks
        if self.defined is None:
            return [self._by_tiles(blocks, routes, area), *self._move(routes.scatters, area)]
        actions = self._move(routes.gathers, area)
        before, after = [], []
        for number, block in enumerate(blocks):
            if block.n == 0:
                continue
            columns, windows = self._columns(number, block, routes, area)
            call = driver(Signature(block.info, block.dtypes))
            before.append(checks.reads(self, name, block, windows))
            after.append(self._ranged(call, block.n, False, (self.memory, *columns)))
            after.append(checks.writes(self, block, windows))
        return actions + before + after + self._move(routes.scatters, area)

    def _by_tiles(self, blocks: list[Block], routes: Routes, area: int) -> Any:
        """Gathering and computing, some tiles at a time, so that what was gathered is still in the processor's cache when
        it is read. No vertex of a compute set writes what another one's gather reads: that would be a race."""
        tiles = self.executable.target.num_tiles
        places = (routes.area_bytes + 63) // 64 * 64
        moved = np.bincount(routes.gathers.dst_tile, weights=routes.gathers.size, minlength=tiles)
        load = np.maximum(moved, places).astype(float)  # what a tile costs, in bytes moved
        present = [(number, block, *_by_tile(block.tile, tiles)) for number, block in enumerate(blocks) if block.n]
        for _, block, _, _ in present:
            slots = np.broadcast_to(np.asarray(block.cycles(self.executable.target)), (block.n,))
            load += np.bincount(block.tile, weights=slots, minlength=tiles)
        limits = self._limits(load)
        shift = self._to_desks(places, limits, area) if places.any() and not len(routes.scatters) else None
        calls: list[tuple[Any, tuple, np.ndarray]] = []
        if len(routes.gathers):
            order, first = _by_tile(routes.gathers.dst_tile, tiles)
            rows = routes.gathers if order is None else routes.gathers.take(order)
            src, dst, size = self.executable.moves(rows, area)
            if shift is not None:
                dst = dst + shift[rows.dst_tile]
            calls.append((self._native.move, (self.memory, self.words, src, dst, size), first))
        for number, block, order, first in present:
            columns, _ = self._columns(number, block, routes, area, shift)
            if order is not None:
                columns = [c if c.strides == (0,) else c[order] for c in columns]
            calls.append((driver(Signature(block.info, block.dtypes)), (self.memory, *columns), first))
        work = [
            [(call, int(first[a]), int(first[b]), arguments) for call, arguments, first in calls if first[a] < first[b]]
            for a, b in pairwise(limits.tolist())
        ]
        return self._in_turns(work)

    def _limits(self, load: np.ndarray) -> np.ndarray:
        """The first tile of every piece of work, and one past the last tile."""
        total, tiles = float(load.sum()), len(load)
        pieces = int(min(total // CHUNK + 1, tiles))
        cuts = np.searchsorted(np.cumsum(load), total * np.arange(1, pieces) / pieces)
        return np.unique(np.concatenate([[0], cuts, [tiles]]))

    def _to_desks(self, places: np.ndarray, limits: np.ndarray, area: int) -> np.ndarray | None:
        """For each tile the bytes from its gathering area to its place on the desk of its piece of work, or None where a
        desk is too small. On a desk, which one piece after another uses, what was gathered never leaves the processor's
        cache; in the areas of all tiles it would go out to memory, to be read by nobody again."""
        before = np.concatenate([[0], np.cumsum(places)])
        if (np.diff(before[limits]) > DESK).any():
            return None
        piece = np.repeat(np.arange(len(limits) - 1), np.diff(limits))
        desk = np.asarray(self._desks)[piece % len(self._desks)]
        own = np.arange(len(places)) * self.executable.tile_stride + self.executable.memory.area_address[area]
        return desk + before[:-1] - before[limits][piece] - own

    def _in_turns(self, work: list[list[tuple]]) -> Any:
        """A callable that does all pieces of work, each thread taking the next one that is left; a piece waits until the
        last one on its desk is done."""
        turns = [(self._held[k % len(self._held)], piece) for k, piece in enumerate(work)]

        def take(turn: Any) -> None:
            for desk, piece in turn:
                with desk:
                    for call, first, last, arguments in piece:
                        call(first, last, *arguments)

        if len(work) < 2 or self._pool is None:
            return lambda: take(turns)
        helpers = min(self.threads, len(work)) - 1
        submit = self._pool.submit

        def run() -> None:
            turn = _Turns(turns)
            others = [submit(take, turn) for _ in range(helpers)]
            take(turn)
            for other in others:
                other.result()

        return run

    def _columns(
        self, number: int, block: Block, routes: Any, area: int, shift: np.ndarray | None = None
    ) -> tuple[list[np.ndarray], dict[str, tuple]]:
        """The driver's columns in the codelet's field order, and per field its windows as byte columns; `shift`: what to
        add to addresses in the gathering area of each tile."""
        n = block.n
        columns: list[np.ndarray] = []
        windows: dict[str, tuple] = {}
        for field in block.info.fields.values():
            if field.direction == "constant":
                value = np.asarray(block.constants[field.name])
                columns.append(np.broadcast_to(value, (n,)))
                continue
            edges, placed = block.fields[field.name], routes.windows[number, field.name]
            start = self.executable.window_addresses(block.tile, placed, area)
            if shift is not None:
                start = np.where(placed.owner == AREA, start + shift[block.tile], start)
            rows, cols = (_column(c, n) for c in (edges.rows, edges.cols))
            columns.append(start)
            if field.kind == MATRIX:
                columns += [rows, cols, placed.row_stride]
            elif field.kind != SCALAR:
                columns.append(cols)
            each = edges.dtype.size
            windows[field.name] = (start, rows, cols * each, placed.row_stride * each)
        for column in columns:
            column.flags.writeable = False
        return columns, windows

    def _poison(self, index: int) -> list[Any]:
        """Actions that spoil the bytes of variables whose life ends with superstep `index`."""
        actions = []
        layout, memory = self.executable.layout, self.executable.memory
        for v in self.executable.dead_after.get(index, []):
            mine = np.flatnonzero(layout.fragment_variable == v)
            address = layout.fragment_tile[mine] * self.executable.tile_stride + memory.fragment_address[mine]
            size = layout.fragment_elements[mine] * layout.element_bytes[v]
            actions.append(checks.spoil(self, address, size))
        return actions


class _Turns:
    """An iterator that several threads draw from."""

    def __init__(self, things: list):
        self._next = iter(things).__next__

    def __iter__(self) -> _Turns:
        return self

    def __next__(self) -> Any:
        return self._next()  # one step of a list's iterator is never interrupted


def _by_tile(tile: np.ndarray, tiles: int) -> tuple[np.ndarray | None, np.ndarray]:
    """Rows in the order of their tile (None: they are), and the first row of every tile, one past the last at the end."""
    order = None if len(tile) < 2 or (tile[1:] >= tile[:-1]).all() else np.argsort(tile, kind="stable")
    return order, np.concatenate([[0], np.cumsum(np.bincount(tile, minlength=tiles))])


def _column(value: Any, n: int) -> np.ndarray:
    return np.broadcast_to(np.asarray(value, np.int64), (n,))
