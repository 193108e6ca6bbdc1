"""The report as plain values, for machines.

Names follow libpva (`compilation.target.numTiles`, `compilation.graph.numVertices`, `execution.totalCycles`) where it
has them. Per-tile and per-superstep figures are columns: one list each, in tile or superstep order. `version` grows
when a name changes its meaning or goes; new names may appear without.
"""

from __future__ import annotations

from typing import Any

from . import memory as books
from . import phases

FORMAT, VERSION = "poplar_py.report", 1


def to_dict(report: Any) -> dict[str, Any]:
    """Everything in the report as dicts, lists, strings and numbers."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "name": report.executable.name,
        "compilation": {
            "target": _target(report.target),
            "graph": _graph(report),
            "memory": _memory(report),
            "tiles": _tiles(report.memory),
            "computeSets": _compute_sets(report.executable.graph),
            "livenessProgramSteps": books.liveness(report),
            "remoteBuffers": _remote_buffers(report.executable.graph),
        },
        "execution": _execution(report),
    }


def _target(target: Any) -> dict[str, Any]:
    return {
        "type": "Simulator",
        "architecture": target.name,
        "numIPUs": target.num_ipus,
        "tilesPerIpu": target.tiles_per_ipu,
        "numTiles": target.num_tiles,
        "bytesPerTile": target.bytes_per_tile,
        "bytesPerIPU": target.bytes_per_tile * target.tiles_per_ipu,
        "totalMemory": target.memory_bytes,
        "clockFrequency": target.tile_clock_hz,
        "numWorkers": target.num_workers,
    }


def _graph(report: Any) -> dict[str, Any]:
    executable = report.executable
    return {
        "numVertices": int(executable.num_vertices),
        "numEdges": int(executable.num_edges),
        "numVars": len(executable.graph.variables),
        "numComputeSets": len(executable.graph.compute_sets),
        "vertexTypes": [
            {"name": name, "numVertices": vertices, "numEdges": edges}
            for name, (vertices, edges) in report.vertices_by_codelet().items()
        ],
    }


def _memory(report: Any) -> dict[str, Any]:
    memory = report.memory
    return {
        "fits": report.fits,
        "worstTile": report.worst_tile,
        "maxTileBytes": int(memory.max_tile_bytes),
        "capacityBytes": int(memory.capacity_bytes),
        "marginBytes": int(memory.capacity_bytes) - int(memory.max_tile_bytes),
        "totalBytes": int(memory.tile_bytes.sum()),
        "alwaysLiveBytes": int(memory.always_live_bytes),
        "byCategory": {name: int(column.sum()) for name, column in memory.by_category.items()},
        **books.to_dict(report),
        "largestOnWorstTile": [
            {"name": name, "bytes": int(count), "firstStep": int(first), "lastStep": int(last)}
            for name, count, first, last in memory.largest(report.worst_tile, 10)
        ],
    }


def _tiles(memory: Any) -> dict[str, Any]:
    gaps, always_gaps = memory.by_category["gaps"], memory.always_by_category["gaps"]
    return {
        "memory": {
            "total": {
                "includingGaps": memory.tile_bytes.tolist(),
                "excludingGaps": (memory.tile_bytes - gaps).tolist(),
            },
            "category": {name: column.tolist() for name, column in memory.by_category.items()},
            "alwaysLive": (memory.always_live_tile_bytes - always_gaps).tolist(),
            "notAlwaysLive": (memory.tile_bytes - gaps - memory.always_live_tile_bytes + always_gaps).tolist(),
        }
    }


def _compute_sets(graph: Any) -> list[dict[str, Any]]:
    result = []
    for compute_set in graph.compute_sets:
        counts: dict[str, int] = {}
        for block in compute_set.blocks:
            counts[block.codelet] = counts.get(block.codelet, 0) + int(block.n)
        vertices = [{"type": {"name": name}, "count": count} for name, count in counts.items()]
        result.append({"name": compute_set.name, "vertices": vertices})
    return result


def _remote_buffers(graph: Any) -> list[dict[str, Any]]:
    return [
        {
            "handle": b.handle,
            "type": b.dtype.name,
            "numElements": b.num_elements,
            "repeats": b.repeats,
            "bytes": b.size_bytes,
        }
        for b in getattr(graph, "remote_buffers", {}).values()
    ]


def _execution(report: Any) -> dict[str, Any]:
    return {
        "measured": report.measured,
        "totalCycles": report.cycles,
        "seconds": report.seconds,
        "hostWallSeconds": report.host_wall_seconds,
        "cycles": report.cycles_by_phase,
        "recomputedCycles": report.recomputed_cycles,
        "tileBalance": report.tile_balance,
        "numSupersteps": report.num_supersteps,
        "steps": [_step(report, i) for i in range(len(report.executable.steps))],
    }


def _step(report: Any, index: int) -> dict[str, Any]:
    step = report.executable.steps[index]
    return {
        "index": index,
        "program": {"name": step.name, "type": step.kind},
        "count": int(report.counts[index]),
        "cycles": int(step.cycles),
        "phases": dict(zip(phases.PHASES, report.phases[index].tolist(), strict=True)),
        "tileBalance": phases.balance(step),
        "activeTiles": int((step.compute_cycles > 0).sum()),
        "bytesExchanged": int(step.bytes_received.sum()),
        "exchangeRegions": int(step.num_exchange_regions),
        "multicastBytesSaved": int(step.multicast_bytes_saved),
    }
