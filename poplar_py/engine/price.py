"""Prices: what every static superstep costs, per tile and for the chip.

In: blocks, routes, copies.  Out: a `Step` per superstep. Vertex cycles come from the codelets, their turning into
time from cost/clock.py; nothing here depends on data, so a run's profile is counts times these.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..codelet.codelet import MULTI
from ..cost import clock
from ..exchange.routes import Routes
from ..exchange.traffic import Traffic
from ..graph import Graph
from ..program.supersteps import Superstep
from ..target import Target
from .executable import Step


def compute_cycles(graph: Graph, compute_set: int) -> np.ndarray:
    """Tile cycles of the compute phase of a compute set."""
    target = graph.target
    total = np.zeros(target.num_tiles, np.int64)
    workers: list[tuple[np.ndarray, Any]] = []
    for block in graph.compute_sets[compute_set].blocks:
        if block.n == 0:
            continue
        slots = block.cycles(target)
        if block.info.kind == MULTI:
            total += clock.compute_cycles(target, block.tile, slots, True, target.num_tiles)
        else:
            workers.append((block.tile, slots))
    if len(workers) == 1:
        total += clock.compute_cycles(target, *workers[0], False, target.num_tiles)
    elif workers:
        tile = np.concatenate([t for t, _ in workers])
        slots = np.concatenate([np.broadcast_to(np.asarray(s, np.int64), t.shape) for t, s in workers])
        total += clock.compute_cycles(target, tile, slots, False, target.num_tiles)
    return total


def exchange_cycles(target: Target, traffic: Traffic) -> np.ndarray:
    """Tile cycles of an exchange phase, on-tile copies of rearrangements included."""
    return clock.exchange_cycles(
        target,
        traffic.words_in,
        traffic.words_out,
        traffic.fragments_in + traffic.fragments_out,
        traffic.short_fragments,
    ) + clock.copy_cycles(target, traffic.local_bytes, traffic.local_copies)


def price_step(
    graph: Graph,
    step: Superstep,
    compute: np.ndarray | None,
    before: Traffic | None,
    after: Traffic | None,
    routes: Routes | None,
    host_bytes: int,
    in_order: np.ndarray | None = None,
) -> Step:
    """The price of one superstep. `in_order`: bytes that each tile puts in another order."""
    target = graph.target
    zeros = np.zeros(target.num_tiles, np.int64)
    phases = [t for t in (before, after) if t is not None]
    exchange_in = exchange_cycles(target, before) if before is not None else zeros
    exchange_out = exchange_cycles(target, after) if after is not None else zeros
    result = Step(
        step.index,
        step.kind,
        step.name,
        step.compute_set,
        zeros if compute is None else compute,
        exchange_in,
        exchange_out,
        sum((t.bytes_in for t in phases), zeros),
        sum((t.bytes_out for t in phases), zeros),
        num_exchange_regions=sum(t.num_regions for t in phases),
        multicast_bytes_saved=sum(t.multicast_bytes_saved for t in phases),
        rearranged_bytes=routes.rearranged_bytes if routes else 0,
        rearranged=list(routes.rearranged) if routes else [],
    )
    sync = target.sync_cycles if target.num_ipus == 1 else target.external_sync_cycles
    if step.kind in ("stream_in", "stream_out"):
        rate = (
            target.host_to_device_bytes_per_second
            if step.kind == "stream_in"
            else target.device_to_host_bytes_per_second
        )
        result.host_cycles = target.host_latency_cycles + math.ceil(host_bytes * target.tile_clock_hz / rate)
        result.sync_cycles = target.external_sync_cycles
    elif step.kind in ("remote_in", "remote_out"):
        rate = target.streaming_bytes_per_second
        result.host_cycles = target.streaming_latency_cycles + math.ceil(host_bytes * target.tile_clock_hz / rate)
        result.sync_cycles = target.external_sync_cycles
        if in_order is not None:
            moved = clock.copy_cycles(target, in_order)
            if step.kind == "remote_in":  # in order when it has arrived, or before it leaves
                result.exchange_out_cycles = exchange_out = moved
            else:
                result.exchange_cycles = exchange_in = moved
    elif step.kind in ("sync", "print"):
        result.sync_cycles = target.external_sync_cycles if step.kind == "print" else sync
    elif step.kind in ("control", "abort"):
        result.sync_cycles = sync
    elif step.kind in ("execute", "copy"):
        result.sync_cycles = sync + (sync if exchange_out.any() else 0)
    result.cycles = int(
        result.sync_cycles
        + result.host_cycles
        + (exchange_in + result.compute_cycles).max(initial=0)
        + exchange_out.max(initial=0)
    )
    return result
