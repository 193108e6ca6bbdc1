"""The engine's checks: poison, undefined reads; and piecewise host copies."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import RuntimeFault
from ..graph import Block

POISON = 0xDEAD  # in every 16-bit word: as half -427.25, as float a huge negative number far from any datum
POISON_BYTE = 0xFF  # dead bytes: NaN as float and half, -1 as integer


def copy_pieces(source: np.ndarray, target: np.ndarray, src: np.ndarray, dst: np.ndarray, size: np.ndarray) -> None:
    """Copy byte pieces between two different arrays."""
    if len(size) == 1:
        target[dst[0] : dst[0] + size[0]] = source[src[0] : src[0] + size[0]]
    elif len(size):
        from .native import copy_between

        copy_between(source, target, src, dst, size)


def reads(engine: Any, name: str, block: Block, windows: dict[str, tuple]) -> Any:
    """An action that raises where a vertex is about to read bytes nobody wrote."""
    wanted = [f for f in windows if block.info.fields[f].direction in ("in", "inout")]

    def run() -> None:
        for field in wanted:
            start, rows, row_bytes, stride, _ = windows[field]
            bad = engine.native.first_undefined(engine.defined, start, rows, row_bytes, stride, block.n)
            if bad >= 0:
                where = engine.graph.describe(block.fields[field].window(bad))
                raise RuntimeFault(
                    f"{name}: vertex {int(block.index[bad])} ({block.codelet}.{field}) on tile {int(block.tile[bad])}"
                    f" reads {where}, which nothing has written"
                )

    return run


def writes(engine: Any, block: Block, windows: dict[str, tuple]) -> Any:
    """An action that marks what the vertices wrote as defined."""
    made = [f for f in windows if block.info.fields[f].direction != "in"]

    def run() -> None:
        for field in made:
            engine.native.mark_defined(engine.defined, *windows[field][:4], block.n)

    return run


def spoil(engine: Any, address: np.ndarray, size: np.ndarray) -> Any:
    """An action that makes byte ranges undefined and fills them with NaN patterns."""

    def run() -> None:
        engine.native.fill(engine.memory, address, size, POISON_BYTE)
        engine.native.fill(engine.defined, address, size, 0)

    return run
