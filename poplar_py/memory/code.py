"""Bytes of code, vertex state and stacks on each tile: counts of instructions, vertices, edges and fragments."""

from __future__ import annotations

import numpy as np

from ..codelet.codelet import MATRIX, SCALAR
from ..exchange.plan import ExchangePlan
from ..graph import Block, Graph

POINTER_BYTES = 4
STEP_CONTROL_BYTES = 32  # instructions of a tile's control program for one superstep: about eight


def state_bytes(block: Block) -> np.ndarray | int:
    """Bytes of each vertex's state: its codelet, a pointer per region, a size per window, its constants."""
    total: np.ndarray | int = POINTER_BYTES
    for name in block.fields:
        kind = block.info.fields[name].kind
        if kind == SCALAR:
            total = total + POINTER_BYTES
        elif kind == MATRIX:  # first row, rows, cols, stride: regular windows need no pointer a row
            total = total + 4 * POINTER_BYTES
        else:
            total = total + 2 * POINTER_BYTES
    return total + POINTER_BYTES * len(block.constants)


def code_bytes(graph: Graph, exchange: ExchangePlan, num_steps: int) -> dict[str, np.ndarray]:
    """Bytes per tile of everything that is not data, by category of the memory plan."""
    target = graph.target
    tiles = target.num_tiles
    state = np.zeros(tiles, np.int64)
    present: dict[tuple, np.ndarray] = {}
    sizes: dict[tuple, int] = {}
    for block in graph.blocks:
        each = state_bytes(block)
        state += np.bincount(block.tile, minlength=tiles) * each
        key = (block.info.hash, block.codelet, *block.dtypes.values())
        here = present.setdefault(key, np.zeros(tiles, bool))
        here[block.tile] = True
        sizes[key] = block.info.instructions * target.instruction_bytes
    code = np.zeros(tiles, np.int64)
    for key, here in present.items():
        code += here * sizes[key]
    routing = np.zeros(tiles, np.int64)
    for t in (t for pair in exchange.traffic.values() for t in pair):
        routing += t.fragments_in * target.receive_fragment_bytes + t.fragments_out * target.send_fragment_bytes
    busy = (state + code + routing) > 0
    stacks = busy * (target.num_workers * target.worker_stack_bytes + target.supervisor_stack_bytes)
    return {
        "vertex_state": state,
        "vertex_code": code,
        "control_code": np.full(tiles, num_steps * STEP_CONTROL_BYTES, np.int64),
        "exchange_code": routing,
        "stacks": stacks.astype(np.int64),
    }
