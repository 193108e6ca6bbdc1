"""What plans of convolutions and matrix products cost, in the parts both planners and their reports have.

    sync            the supersteps' syncs, but that of a reduction
    broadcast       operands brought once, before several passes
    rearrangement   on-tile copies that put what lies on a tile next to what it receives
    transform       operands put in another form before a product: none, as vertices read them as they are stored
    exchange        operands from other tiles
    compute         the product, on the fullest tile
    exchange of partials, reduction     partial results sent (with their sync) and added up

Cycles are the clock's (cost/clock.py) and the codelets' own; bytes are those that the fullest tile receives.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..cost.clock import copy_cycles, exchange_cycles
from ..graph import Graph, Tensor
from ..target import Target

PARTS = (
    "sync", "broadcast", "rearrangement", "transform", "exchange", "compute", "exchange of partials", "reduction",
)  # fmt: skip


def superstep_parts(
    target: Target, compute: Any, received: Any, own: Any, *, overlap: Any = True, short_fragments: Any = 0
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Cycles and bytes by part of a product that receives some bytes and puts `own` ones next to them; columns.

    overlap: whether some tile that receives an operand has a piece of it itself, and copies that too; short_fragments: how
    many pieces shorter than 3 words it comes in.
    """
    received, own = np.asarray(received, np.int64), np.asarray(own, np.int64)
    moved = np.where((received > 0) & np.asarray(overlap), np.maximum(own, 1), own)
    zero = 0 * (np.asarray(compute, np.int64) + received)
    cycles = dict.fromkeys(PARTS, zero) | {
        "sync": target.sync_cycles + zero,
        "rearrangement": copy_cycles(target, moved) + zero,
        "exchange": exchange_cycles(target, -(-received // 4), 0, received > 0, short_fragments) + zero,
        "compute": compute + zero,
    }
    return cycles, {"exchange": received + zero, "rearrangement": own + zero}


def add_reduction(
    target: Target, parts: tuple[dict[str, Any], dict[str, Any]], needed: Any, received: Any, own: Any, reduction: Any
) -> None:
    """Put the adding up of partial results into the parts of a product, where it is needed."""
    cycles, moved = parts
    received = np.asarray(received, np.int64)
    exchange = target.sync_cycles + exchange_cycles(target, -(-received // 4), 0, 1) + copy_cycles(target, own)
    cycles["exchange of partials"] = np.where(needed, exchange, 0)
    cycles["reduction"] = np.where(needed, reduction, 0)
    moved["exchange of partials"] = np.where(needed, received, 0)


def total_of(parts: Mapping[str, Any]) -> Any:
    """The sum over parts."""
    return sum(parts.values())


def costs_of(cycles: Mapping[str, int], moved: Mapping[str, int]) -> dict[str, dict[str, int]]:
    """{part: {"cycles": ..., "bytes": ...}}, and "total" of all: the bytes that are received."""
    received = sum(n for part, n in moved.items() if not part.endswith("rearrangement"))
    found = {part: {"cycles": n, "bytes": moved.get(part, 0)} for part, n in cycles.items()}
    return found | {"total": {"cycles": sum(cycles.values()), "bytes": received}}


def cost_table(cycles: Mapping[str, int], moved: Mapping[str, int]) -> list[str]:
    """The costs as lines of a table."""
    lines = [f"    {'part':<40}{'cycles':>10}{'bytes':>12}"]
    return lines + [f"    {p:<40}{c['cycles']:>10}{c['bytes']:>12}" for p, c in costs_of(cycles, moved).items()]


def utilisation_line(macs: int, per_cycle: float, tiles: int, cycles: int) -> str:
    """What part of the time the product units of `tiles` tiles would need is what it takes."""
    share = macs / (per_cycle * max(tiles, 1) * max(cycles, 1))
    return f"  use       {macs} products, {100 * share:.1f} % of the peak of {tiles} tiles"


@dataclass(frozen=True)
class Source:
    """Where the operands of a product are found: bytes on the tile that has most of them, and whether tiles of the
    product are among those that have any."""

    bytes: int
    overlap: bool

    @staticmethod
    def of(graph: Graph, operands: Iterable[Tensor], tiles: np.ndarray) -> Source:
        """Of operands that products on `tiles` are sent. Every byte is sent once, however many tiles it goes to."""
        held = np.zeros(graph.target.num_tiles, np.int64)
        for t in operands:
            start, stop, tile = graph.tile_mapping(t)
            mapped = tile >= 0
            count = np.bincount(tile[mapped], weights=(stop - start)[mapped], minlength=len(held))
            held += count.astype(np.int64) * t.dtype.size
        return Source(int(held.max(initial=0)), bool(held[tiles.reshape(-1)].any()))


def with_source(
    cycles: Mapping[str, int], moved: Mapping[str, int], source: Source, target: Target, passes: int, prefix: str = ""
) -> dict[str, int]:
    """Expected cycles with the exchange and rearrangement of operands that are found there: a tile that has much of an
    operand sends as long as others receive."""
    received = moved.get(f"{prefix}exchange", 0) // passes
    if not received:
        return dict(cycles)
    usual = int(exchange_cycles(target, -(-received // 4), 0, 1))
    longer = int(exchange_cycles(target, -(-max(received, source.bytes) // 4), 0, 1)) - usual
    own = max(moved.get(f"{prefix}rearrangement", 0) // passes, int(source.overlap))
    return dict(cycles) | {
        f"{prefix}exchange": cycles[f"{prefix}exchange"] + passes * longer,
        f"{prefix}rearrangement": passes * int(copy_cycles(target, own)),
    }
