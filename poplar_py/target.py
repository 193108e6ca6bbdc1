"""Targets: the facts about a machine that planners, clock and memory plan read.

Constants are those of public sources, gathered in the project's hardware notes: tile counts and memory sizes from
vendor datasheets; clock, exchange and sync figures from measurements and from constants in PopLibs (MIT).
Every figure can be overridden: `Target.gc200(tile_clock_hz=1.5e9)`.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from .errors import InvalidOption, did_you_mean

KIB = 1024


@dataclass(frozen=True)
class Target:
    """A machine: `num_ipus` chips of `tiles_per_ipu` tiles. Sizes in bytes, times in tile cycles unless named."""

    name: str
    tiles_per_ipu: int
    bytes_per_tile: int
    tile_clock_hz: float
    region0_bytes: int  # not interleaved; the only memory code can run from
    num_ipus: int = 1
    num_workers: int = 6
    element_bytes: int = 16 * KIB  # a memory bank
    tiles_per_exchange_bus: int = 2
    data_path_bytes: int = 8  # one aligned load or store of a worker per slot
    conv_units_half: int = 16
    conv_units_float: int = 16
    weights_per_unit_half: int = 16
    weights_per_unit_float: int = 8
    weight_load_bytes_per_cycle: int = 16
    # exchange: 32 bits in and 32 bits out a tile and cycle; start offset is the mean of measured 3..186
    exchange_bytes_per_cycle: float = 4.0
    exchange_start_cycles: int = 121
    exchange_fragment_cycles: int = 3
    sync_cycles: int = 100
    external_sync_cycles: int = 600
    # code: 4-byte instructions; about three per received and two per sent fragment
    instruction_bytes: int = 4
    receive_fragment_bytes: int = 12
    send_fragment_bytes: int = 8
    # supervisor: fixed cost of starting a vertex on all workers, measured call overhead, a counted loop's turn
    supervisor_cycles: int = 11
    vertex_call_cycles: int = 39
    loop_cycles: int = 43
    memcpy_bytes_per_cycle: int = 8
    memcpy_call_cycles: int = 288
    host_to_device_bytes_per_second: float = 20.1e9
    device_to_host_bytes_per_second: float = 5.5e9
    host_latency_cycles: int = 0
    ipu_link_bytes_per_second: float = 58.4e9
    # streaming memory: DRAM of the box a chip is in, its share of a box of four; the rate is that of the box
    streaming_memory_bytes: int = 0
    streaming_bytes_per_second: float = 20e9
    streaming_latency_cycles: int = 0
    worker_stack_bytes: int = 256
    supervisor_stack_bytes: int = 1024

    @property
    def num_tiles(self) -> int:
        """Tiles of all IPUs together."""
        return self.tiles_per_ipu * self.num_ipus

    @property
    def memory_bytes(self) -> int:
        return self.num_tiles * self.bytes_per_tile

    def vector_width(self, size_bytes: int) -> int:
        """Elements of `size_bytes` that a worker loads or stores in one slot."""
        return max(1, self.data_path_bytes // size_bytes)

    def seconds(self, cycles: float) -> float:
        return cycles / self.tile_clock_hz

    def with_options(self, **figures: Any) -> Target:
        """The same machine with some figures replaced. Raises InvalidOption for an unknown figure."""
        if "num_tiles" in figures:
            figures["tiles_per_ipu"] = figures.pop("num_tiles")
        known = [f.name for f in dataclasses.fields(self)]
        for name, value in figures.items():
            if name not in known:
                raise InvalidOption(f"Target has no figure '{name}'.{did_you_mean(name, known)}")
            if isinstance(value, (int, float)) and value < 0:
                raise InvalidOption(f"Target figure {name} is {value}; it must not be negative")
        if figures.get("tiles_per_ipu", 1) < 1 or figures.get("num_ipus", 1) < 1:
            raise InvalidOption("a Target needs at least one tile and one IPU")
        return dataclasses.replace(self, **figures)

    @classmethod
    def gc2(cls, **figures: Any) -> Target:
        """Colossus Mk1: 1216 tiles of 256 KiB at 1.6 GHz, 8 convolution units."""
        base = cls("gc2", 1216, 256 * KIB, 1.6e9, 128 * KIB, conv_units_half=8, conv_units_float=8)
        return base.with_options(**figures)

    @classmethod
    def gc200(cls, **figures: Any) -> Target:
        """Colossus Mk2: 1472 tiles of 624 KiB at 1.33 GHz."""
        return cls("gc200", 1472, 624 * KIB, 1.33e9, 208 * KIB, streaming_memory_bytes=450 * 10**9 // 4).with_options(
            **figures
        )

    @classmethod
    def bow(cls, **figures: Any) -> Target:
        """Bow: a Mk2 at 1.85 GHz."""
        return cls("bow", 1472, 624 * KIB, 1.85e9, 208 * KIB, streaming_memory_bytes=256 * 10**9 // 4).with_options(
            **figures
        )

    @classmethod
    def c600(cls, **figures: Any) -> Target:
        """C600 PCIe card: a Mk2 with FP8 at about 1.5 GHz (the clock is second hand)."""
        return cls("c600", 1472, 624 * KIB, 1.5e9, 208 * KIB).with_options(**figures)

    @classmethod
    def tiny(cls, num_tiles: int = 4, **figures: Any) -> Target:
        """A Mk2 with few tiles, for tests and lessons."""
        return cls(
            "tiny", num_tiles, 624 * KIB, 1.33e9, 208 * KIB, streaming_memory_bytes=450 * 10**9 // 4
        ).with_options(**figures)

    @classmethod
    def named(cls, name: str, **figures: Any) -> Target:
        """The target of that name. Raises InvalidOption with the nearest name."""
        known = ("gc2", "gc200", "bow", "c600", "tiny")
        if name not in known:
            raise InvalidOption(f"no target '{name}'.{did_you_mean(name, known)} Targets: {', '.join(known)}")
        return getattr(cls, name)(**figures)


@dataclass(frozen=True)
class Device:
    """A simulated machine to load an executable onto."""

    target: Target

    def supports_remote_buffers(self) -> bool:
        """Whether it has streaming memory."""
        return self.target.streaming_memory_bytes > 0
