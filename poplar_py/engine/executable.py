"""The executable: everything a device needs to run, and a reader to see, what was compiled.

Byte places inside it are relative (tile, owner, offset); `addresses` turns them into places in the flat memory of a
device, tile after tile.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..exchange.layout import Layout
from ..exchange.plan import CopyPlan
from ..exchange.routes import Placed, Routes
from ..exchange.transfers import AREA, Transfers
from ..graph import Graph
from ..memory.plan import MemoryPlan
from ..program.supersteps import Schedule
from ..target import Target


@dataclass
class Step:
    """A static superstep with its price. Columns are per tile (int64), in tile cycles or bytes.

    `cycles` is what the chip spends on one execution: sync, exchange in, compute, and exchange out with its sync.
    """

    index: int
    kind: str
    name: str
    compute_set: int
    compute_cycles: np.ndarray
    exchange_cycles: np.ndarray
    exchange_out_cycles: np.ndarray
    bytes_received: np.ndarray
    bytes_sent: np.ndarray
    sync_cycles: int = 0
    host_cycles: int = 0
    cycles: int = 0
    num_exchange_regions: int = 0
    multicast_bytes_saved: int = 0
    rearranged_bytes: int = 0
    rearranged: list[str] = field(default_factory=list)


@dataclass
class HostPlan:
    """A tensor's bytes in row-major order as pieces on tiles, for host transfers."""

    size: np.ndarray
    tile: np.ndarray
    owner: np.ndarray
    place: np.ndarray


@dataclass
class Executable:
    """A compiled graph with its programs. Save with `save`, read back with `Executable.load`."""

    name: str
    graph: Graph
    schedule: Schedule
    layout: Layout
    routes: dict[int, Routes]  # by compute set
    route_area: dict[int, int]  # by compute set: its area in the memory plan, -1 without
    copies: dict[int, CopyPlan]  # by superstep
    host: dict[str, HostPlan]  # by "write:handle", "read:handle", "step:index", "initial:variable"
    memory: MemoryPlan
    steps: list[Step]
    op_graph: Any = None
    info: dict[str, Any] = field(default_factory=dict)  # what the front half wants to find again
    dead_after: dict[int, list[int]] = field(default_factory=dict)  # by superstep: variables whose life ends there

    @property
    def target(self) -> Target:
        return self.graph.target

    @property
    def num_vertices(self) -> int:
        return self.graph.num_vertices

    @property
    def num_edges(self) -> int:
        return self.graph.num_edges

    @property
    def tile_stride(self) -> int:
        """Bytes between the memories of neighbouring tiles in the flat memory; off exact powers of two."""
        stride = (self.memory.max_tile_bytes + 63) // 64 * 64
        return stride + 64 if stride % 4096 == 0 else max(stride, 64)

    def addresses(self, tile: np.ndarray, owner: np.ndarray, place: np.ndarray, area: int = -1) -> np.ndarray:
        """Places in the flat memory of (tile, owner, byte place); `area` is the area that owner AREA means."""
        tile = tile.astype(np.int64)
        base = tile * self.tile_stride + place
        address = np.empty(len(base), np.int64)
        is_area = owner == AREA
        is_fragment = owner >= 0
        if is_fragment.all():
            return base + self.memory.fragment_address[self.layout.fragment_key(owner, tile)]
        address[:] = tile * self.tile_stride
        if is_fragment.any():
            rows = self.layout.fragment_key(owner[is_fragment], tile[is_fragment])
            address[is_fragment] = base[is_fragment] + self.memory.fragment_address[rows]
        if is_area.any():
            address[is_area] = base[is_area] + self.memory.area_address[area, tile[is_area]]
        return address

    def text(self) -> str:
        """A line a static superstep with its price in cycles."""
        lines = [f"executable {self.name}: {self.num_vertices} vertices, {self.num_edges} edges"]
        for s in self.steps:
            out = f" out {int(s.exchange_out_cycles.max())}" if s.exchange_out_cycles.any() else ""
            lines.append(
                f"  {s.index} {s.kind} {s.name}: {s.cycles} cycles (sync {s.sync_cycles} host {s.host_cycles}"
                f" exchange {int(s.exchange_cycles.max())} compute {int(s.compute_cycles.max())}{out})"
            )
        return "\n".join(lines) + "\n"

    def moves(self, transfers: Transfers, area: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Transfers as (source, destination, size) in the flat memory."""
        return (
            self.addresses(transfers.src_tile, transfers.src_owner, transfers.src, area),
            self.addresses(transfers.dst_tile, transfers.dst_owner, transfers.dst, area),
            transfers.size.astype(np.int64),
        )

    def window_addresses(self, tile: np.ndarray, placed: Placed, area: int) -> np.ndarray:
        return self.addresses(tile, placed.owner, placed.place, area)
