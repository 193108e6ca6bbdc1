"""Vertices joined: where a codelet does to neighbours what it does to each (codelet/joinable.py), those of a tile whose
windows continue one another are one turn of the driver. On the chip they are a vertex for every worker; a host would
spend more on finding their windows than on the work in them.
"""

from __future__ import annotations

import numpy as np

from ..codelet.codelet import MATRIX, SCALAR
from ..codelet.joinable import continued
from ..graph import Block

_WORTH = 0.9  # of the turns, at most, must be left


def join(block: Block, columns: list[np.ndarray], turn: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
    """The driver's columns and the turn of every row, of fewer rows where rows of a turn continue one another."""
    along = continued(block.info)
    if not along or len(turn) < 2:
        return columns, turn
    goes_on = turn[1:] == turn[:-1]
    counts: list[np.ndarray] = []  # elements or rows of the windows that continue
    sums: list[int] = []  # columns that add up
    at = 0
    for field in block.info.fields.values():
        if field.direction == "constant" or field.kind == SCALAR:
            alike, width = [at], 1
        else:
            width = 4 if field.kind == MATRIX else 2
            alike = list(range(at, at + width))
            if field.name in along:
                start, rows = columns[at : at + 2]
                step = rows * (columns[at + 3] if width == 4 else 1) * block.fields[field.name].dtype.size
                goes_on &= start[1:] == start[:-1] + step[:-1]
                counts.append(rows)
                sums.append(at + 1)
                alike = alike[2:]
        for column in (columns[k] for k in alike):
            if column.strides != (0,):
                goes_on &= column[1:] == column[:-1]
        at += width
    for rows in counts[1:]:
        same = rows == counts[0]
        goes_on &= same[1:] & same[:-1]
    first = np.flatnonzero(np.concatenate([[True], ~goes_on]))
    if len(first) > _WORTH * len(turn):
        return columns, turn
    joined = [
        np.add.reduceat(c, first) if k in sums else c if c.strides == (0,) else c[first] for k, c in enumerate(columns)
    ]
    return joined, turn[first]
