"""The engine: tile-exact execution in one flat byte array, tile after tile.

Every superstep is prepared at load: its exchange as columns of byte moves, every block of vertices as columns of
addresses for a compiled driver, both cut into pieces of work of some tiles each (work.py). Running goes through tables
of pieces on all threads (pieces.py, team.py), which changes no bit, since vertices of a compute set share nothing they
write. What several tiles of a piece gather is gathered once (desks.py).
"""

from __future__ import annotations

import os
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from ..codelet.batch import Signature, driver
from ..codelet.codelet import MATRIX, SCALAR
from ..errors import RuntimeFault
from ..exchange.transfers import Transfers
from ..graph import Block, as_stored
from . import checks
from .base import BaseEngine
from .executable import Executable, HostPlan

if TYPE_CHECKING:
    from .team import Team

PARALLEL_BYTES = 1 << 18  # moves below this are not worth a second thread
_PARTS = 4  # of a move for every thread, so that one that comes late holds nobody up


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
        self.team: Team | None = None

    def _load(self) -> None:
        from . import native
        from .desks import DESK
        from .team import Team

        self.native = native
        if not self.executable.memory.fits:
            plan = self.executable.memory
            raise RuntimeFault(
                f"the executable does not fit: tile {int(np.argmax(plan.tile_bytes))} needs"
                f" {plan.max_tile_bytes:,} bytes of {plan.capacity_bytes:,}; it was compiled with allow_out_of_memory,"
                " which gives cycles, profile and pictures but no numbers"
            )
        tiles_end = (self.executable.tile_stride * self.executable.target.num_tiles + 63) // 64 * 64
        self.desks = [tiles_end + DESK * k for k in range(1 if self.threads == 1 else 2 * self.threads)]
        size = tiles_end + DESK * len(self.desks)
        raw = np.zeros(size + 64, np.uint8)
        skip = -raw.ctypes.data % 64
        self.memory = raw[skip : skip + size]
        self.words = self.memory.view(np.uint32)
        self.defined = np.zeros(len(self.memory), np.uint8) if self.check else None
        self._host: dict[str, Any] = {}
        if self.check:
            self.memory.view(np.uint16)[:] = checks.POISON
        if self.threads > 1 and self.team is None:
            self.team = Team(self.threads)

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
            self.native.fill(self.defined, address, size, 1)

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
        from .pieces import Pieces

        parts = min(_PARTS * self.threads, count) if parallel else 1
        cuts = pairwise(count * k // parts for k in range(parts + 1))
        return Pieces([[(function, first, last, arguments)] for first, last in cuts], parts, self.team)

    def _move(self, transfers: Transfers, area: int) -> list[Any]:
        if not len(transfers):
            return []
        src, dst, size = self.executable.moves(transfers, area)
        parallel = transfers.bytes > PARALLEL_BYTES and len(size) > 2 * self.threads
        actions = [self._ranged(self.native.move, len(size), parallel, (self.memory, self.words, src, dst, size))]
        if self.defined is not None:
            words = self.defined.view(np.uint32)
            actions.append(lambda: self.native.move(0, len(size), self.defined, words, src, dst, size))
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
        from .work import by_pieces

        routes = self.executable.routes[compute_set]
        area = self.executable.route_area[compute_set]
        blocks = self.graph.compute_sets[compute_set].blocks
        if self.defined is None:
            return [by_pieces(self, blocks, routes, area), *self._move(routes.scatters, area)]
        actions = self._move(routes.gathers, area)
        before, after = [], []
        for number, block in enumerate(blocks):
            if block.n == 0:
                continue
            columns, windows = self.columns(number, block, routes, area)
            call = driver(Signature(block.info, block.dtypes))
            before.append(checks.reads(self, name, block, windows))
            after.append(self._ranged(call, block.n, False, (self.memory, *columns)))
            after.append(checks.writes(self, block, windows))
        return actions + before + after + self._move(routes.scatters, area)

    def columns(self, number: int, block: Block, routes: Any, area: int) -> tuple[list[np.ndarray], dict[str, tuple]]:
        """The driver's columns in the codelet's field order, and per field its windows: first byte, rows, then
        columns and row stride in bytes, and what they lie in."""
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
            rows, cols = (_column(c, n) for c in (edges.rows, edges.cols))
            columns.append(start)
            if field.kind == MATRIX:
                columns += [rows, cols, placed.row_stride]
            elif field.kind != SCALAR:
                columns.append(cols)
            each = edges.dtype.size
            windows[field.name] = start, rows, cols * each, placed.row_stride * each, placed.owner
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


def _column(value: Any, n: int) -> np.ndarray:
    return np.broadcast_to(np.asarray(value, np.int64), (n,))
