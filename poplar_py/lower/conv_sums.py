"""Where the results of a convolution's pieces go: straight to their place, or as partial results that are added up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..graph import Tensor, Windows
from ..graph.variable import expand_runs
from .conv_pieces import Pieces, rows_on, within
from .conv_plan import ConvPlan
from .conv_problem import AXES, WEIGHTS_GRADIENT
from .mapping import map_runs

if TYPE_CHECKING:
    from .lowering import Lowering


class Goal:
    """Where a product's results go: straight to their place, or as partial results that are added up."""

    def __init__(self, at: Lowering, plan: ConvPlan, tiles: np.ndarray, find: Any, out: Tensor, name: str):
        self.at, self.plan, self.find, self.out = at, plan, find, out.flatten()
        self.summed = plan.num_partials
        self.sums: list[tuple] = []

    def windows(self, pieces: Pieces, tile: np.ndarray, number: int) -> Windows:
        """What the vertices of a pass write."""
        first, rows, length = self.find(pieces)
        if self.summed == 1:
            self._map(first, rows, length, tile)
            return rows_on(self.out, first, rows, length)
        size = rows * length
        start = np.cumsum(size) - size
        suffix = "" if self.plan.passes == 1 else f"_{number}"
        partials = self.at.variable(self.plan.problem.partials, (int(size.sum()),), f"partials{suffix}", mapping=None)
        map_runs(self.at.graph, partials, start, start + size, tile)
        self.sums.append((partials, pieces, tile, first, rows, length, start, suffix))
        return partials.windows(start, length, rows, length)

    def _map(self, first: np.ndarray, rows: np.ndarray, length: np.ndarray, tile: np.ndarray) -> None:
        each, width = np.repeat(tile, rows), np.repeat(length, rows)
        order = np.argsort(first)
        map_runs(self.at.graph, self.out, first[order], (first + width)[order], each[order])

    def finish(self) -> None:
        """Add the partial results of every piece in even shares on the tiles that made them."""
        for partials, pieces, tile, first, rows, length, start, suffix in self.sums:
            self._add(partials, pieces, tile, first, rows, length, start, suffix)

    def _add(self, partials, pieces, tile, first, rows, length, start, suffix) -> None:
        p = self.plan.problem
        summed = AXES[:4] if p.kind == WEIGHTS_GRADIENT else ("a", "kernel")
        key = np.zeros(pieces.n, np.int64)
        for axis in AXES:
            if axis not in summed:
                key = key * len(self.plan.bounds[axis]) + pieces.at[axis]
        order = np.lexsort((np.arange(pieces.n), key))
        lead = order[:: self.summed]  # the first vertex of every set of partial results, then the others
        members = order.reshape(-1, self.summed)
        # partial results of a set lie on different tiles, one region each: rows of a matrix in element space
        offset = start[members]
        even = offset[:, 1:] - offset[:, :-1]
        grain = p.y_width
        run_first, run_length, run_piece, run_at = _joined_runs(first, rows, length, lead)
        share = -(-(rows * length)[lead] // (self.summed * grain)) * grain  # what one tile adds
        if self.plan.by_row:
            share = (rows * length)[lead]
        cut_first, cut_length, cut_at, cut_piece = _cut_at_shares(run_first, run_length, run_at, run_piece, share)
        where = members[cut_piece, np.minimum(cut_at // share[cut_piece], self.summed - 1)]
        to = tile[where]
        order = np.argsort(cut_first)
        map_runs(self.at.graph, self.out, cut_first[order], (cut_first + cut_length)[order], to[order])
        source = offset[cut_piece, 0] + cut_at
        if len(even) and (even == even[:, :1]).all():
            seen = partials.windows(source, cut_length, self.summed, even[cut_piece, 0])
        else:
            rows_at = (offset[cut_piece] + cut_at[:, None]).reshape(-1)
            seen = partials.listed_rows(rows_at, self.summed, cut_length)
        self.at.execute(
            "ReducePartialsAdd", f"reduce{suffix}", to, partials=seen, out=self.out.windows(cut_first, cut_length)
        )


def _joined_runs(first: np.ndarray, rows: np.ndarray, length: np.ndarray, lead: np.ndarray) -> tuple[np.ndarray, ...]:
    """Rows of the pieces `lead` joined where they continue one another: (first, length, number in lead, place in the
    piece)."""
    begin = np.cumsum(rows) - rows
    count = rows[lead]
    row = expand_runs(begin[lead], count)
    piece = np.repeat(np.arange(len(lead)), count)
    width = np.repeat(length[lead], count)
    at = within(count) * width
    start = first[row]
    new = np.ones(len(row), bool)
    new[1:] = (start[1:] != start[:-1] + width[:-1]) | (piece[1:] != piece[:-1])
    head = np.flatnonzero(new)
    return start[head], np.add.reduceat(width, head), piece[head], at[head]


def _cut_at_shares(
    first: np.ndarray, length: np.ndarray, at: np.ndarray, piece: np.ndarray, share: np.ndarray
) -> tuple[np.ndarray, ...]:
    """Runs cut at the multiples of their piece's share: (first, length, place in the piece, piece)."""
    each = share[piece]
    low, high = at // each, (at + length - 1) // each
    count = high - low + 1
    which = np.repeat(np.arange(len(first)), count)
    number = low[which] + within(count)
    begin = np.maximum(at[which], number * each[which])
    end = np.minimum((at + length)[which], (number + 1) * each[which])
    return first[which] + begin - at[which], end - begin, begin, piece[which]
