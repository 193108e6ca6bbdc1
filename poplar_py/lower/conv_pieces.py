"""Pieces of a plan of a convolution: the runs of elements each reads and makes, and what its vertex is told.

Everything here is columns over pieces: a piece is a vertex, and what it sees are rows of a stored tensor.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from ..codelet.convolve import AXIS, HEAD, SHAPE_SIZE
from ..dtypes import INT
from ..graph import Tensor, Windows
from ..graph.variable import expand_runs
from .conv_plan import ConvPlan
from .conv_problem import AXES, INPUT_GRADIENT

if TYPE_CHECKING:
    from .lowering import Lowering


class Pieces:
    """Columns over the vertices of some pass: where the piece of each begins and ends on every one of AXES."""

    def __init__(self, plan: ConvPlan, number: int | None = None):
        counts = list(plan.parts)
        grid = np.indices(counts)
        if number is not None and plan.passes > 1:
            each = counts[6] // plan.passes
            grid = grid[..., number * each : (number + 1) * each, :]
        self.at = dict(zip(AXES, (i.reshape(-1) for i in grid), strict=True))
        self.begin = {n: plan.bounds[n][:-1][i] for n, i in self.at.items()}
        self.end = {n: plan.bounds[n][1:][i] for n, i in self.at.items()}
        self.n = len(self.at["batch"])
        self.groups = int(plan.bounds["groups"][-1])  # all there are

    def size(self, axis: str) -> np.ndarray:
        return self.end[axis] - self.begin[axis]

    def taken(self, rows: np.ndarray) -> Pieces:
        """Some of the pieces."""
        some = object.__new__(Pieces)
        some.at, some.begin, some.end = ({n: c[rows] for n, c in t.items()} for t in (self.at, self.begin, self.end))
        some.n, some.groups = len(rows), self.groups
        return some


class Runs:
    """The rows that pieces are made of, in a flat stored tensor: `find(pieces)` gives (first place of every row, rows of
    a piece, elements of its rows)."""

    def __init__(self, find: Any, tensor: Tensor):
        self.find = find
        self.flat = tensor.flatten()

    def windows(self, pieces: Pieces) -> Windows:
        first, rows, length = self.find(pieces)
        return rows_on(self.flat, first, rows, length)


def rows_on(flat: Tensor, first: np.ndarray, rows: np.ndarray, length: np.ndarray) -> Windows:
    """Windows of listed rows, as rows of one stride where every window's are: overlapping ones are then sent once."""
    begin = np.cumsum(rows) - rows
    if not len(first) or (rows == 0).any():
        return flat.listed_rows(first, rows, length)
    step = np.where(rows > 1, first[np.minimum(begin + 1, len(first) - 1)] - first[begin], length)
    expected = np.repeat(first[begin], rows) + within(rows) * np.repeat(step, rows)
    if (step < 0).any() or not np.array_equal(expected, first):
        return flat.listed_rows(first, rows, length)
    return flat.windows(first[begin], length, rows, step)


def _nest(counts: list[np.ndarray], strides: list[Any]) -> tuple[np.ndarray, np.ndarray]:
    """Places of nested loops, `counts[i]` turns of `strides[i]` for every piece: (rows of a piece, place of every row)."""
    rows = np.prod(counts, axis=0)
    piece = np.repeat(np.arange(len(rows)), rows)
    k = expand_runs(np.zeros(len(rows), np.int64), rows)
    place = np.zeros(len(k), np.int64)
    for count, stride in zip(reversed(counts), reversed(strides), strict=True):
        if (count == 1).all():
            continue
        k, turn = np.divmod(k, count[piece])
        place += turn * stride
    return rows, place


def field_rows(
    pieces: Pieces,
    field: list[tuple[np.ndarray, np.ndarray]],
    sizes: tuple[int, ...],
    width: int,
    blocks: int,
    axis: str,
) -> Any:
    """Rows of pieces of a value (batch, groups x blocks, *sizes, width): `field` the places [first, stop) of each field
    axis, `axis` the one of AXES that cuts its blocks."""
    s0, s1, s2 = sizes
    extent = [stop - first for first, stop in field]
    block = pieces.begin["groups"] * blocks + pieces.begin[axis]
    start = ((pieces.begin["batch"] * (blocks * pieces.groups) + block) * s0 + field[0][0]) * s1 + field[1][0]
    start = (start * s2 + field[2][0]) * width
    counts = [pieces.size("batch"), pieces.size("groups"), pieces.size(axis), extent[0], extent[1]]
    plane = s0 * s1 * s2 * width
    strides = [pieces.groups * blocks * plane, blocks * plane, plane, s1 * s2 * width, s2 * width]
    counts = [np.where(extent[2] > 0, c, 0) if i == 4 else c for i, c in enumerate(counts)]
    rows, place = _nest(counts, strides)
    return np.repeat(start, rows) + place, rows, extent[2] * width


def seen_places(plan: ConvPlan, pieces: Pieces) -> list[tuple[np.ndarray, np.ndarray]]:
    """Places of a that the pieces meet, on every field axis: (first, stop)."""
    found = []
    for d, reach in enumerate(plan.problem.reaches):
        bounds, which = plan.bounds[f"field{d}"], pieces.at[f"field{d}"]
        if d == plan.problem.kernel_axis:
            of_taps = [
                reach.some(b, e).seen(bounds[:-1], bounds[1:]) for b, e in pairwise(plan.bounds["kernel"].tolist())
            ]
            first, stop = (np.stack(limits)[pieces.at["kernel"], which] for limits in zip(*of_taps, strict=True))
        else:
            first, stop = (limits[which] for limits in reach.seen(bounds[:-1], bounds[1:]))
        found.append((first, stop))
    return found


def value_rows(plan: ConvPlan, a: Tensor) -> Runs:
    """What pieces read of a."""
    p = plan.problem
    sizes = tuple(r.size for r in p.reaches)
    return Runs(lambda pieces: field_rows(pieces, seen_places(plan, pieces), sizes, p.a_width, p.a_blocks, "a"), a)


def lines_of(plan: ConvPlan, y: Tensor) -> Any:
    """What pieces are of y."""
    p = plan.problem
    sizes = tuple(r.windows for r in p.reaches)

    def find(pieces: Pieces) -> Any:
        field = [(pieces.begin[f"field{d}"], pieces.end[f"field{d}"]) for d in range(3)]
        return field_rows(pieces, field, sizes, p.y_width, p.y_blocks, "y")

    return find


def weight_rows(plan: ConvPlan) -> Any:
    """Rows of weights that pieces read or make: one for every group and block on the side the rows are for."""
    p = plan.problem
    each = p.taps * p.tap_elements
    of_taps = p.taps_beside * p.tap_elements
    turned = p.kind == INPUT_GRADIENT
    row_axis, col_axis = ("a", "y") if turned else ("y", "a")
    row_blocks, col_blocks = (p.a_blocks, p.y_blocks) if turned else (p.y_blocks, p.a_blocks)

    def find(pieces: Pieces) -> Any:
        line = col_blocks * each
        start = (pieces.begin["groups"] * row_blocks + pieces.begin[row_axis]) * line + pieces.begin[col_axis] * each
        start += pieces.begin["kernel"] * of_taps
        rows, place = _nest([pieces.size("groups"), pieces.size(row_axis)], [row_blocks * line, line])
        return np.repeat(start, rows) + place, rows, pieces.size(col_axis) * pieces.size("kernel") * of_taps

    return find


def weights_of(plan: ConvPlan, w: Tensor) -> Runs:
    return Runs(weight_rows(plan), w)


def shapes(at: Lowering, plan: ConvPlan, pieces: Pieces, tile: np.ndarray, name: str) -> Windows:
    """What vertices are told, SHAPE_SIZE numbers each: those on one tile that are told the same share it."""
    axes = [pieces.at[n] for n in (*AXES[1:4], "kernel")] + [pieces.size(n) for n in ("batch", "groups", "a", "y")]
    key = np.zeros(pieces.n, np.int64)
    for column in (*axes, tile):
        key = key * (int(column.max(initial=0)) + 1) + column
    _, lead, which = np.unique(key, return_index=True, return_inverse=True)
    table = _shape_table(plan, pieces.taken(lead))
    shape = at.graph.add_constant(INT, table.shape, table.astype(np.int32), name=name)
    at.graph.set_tile_mapping(shape, tile[lead])
    return shape.flatten().windows(which.reshape(-1) * SHAPE_SIZE, SHAPE_SIZE)


def _shape_table(plan: ConvPlan, pieces: Pieces) -> np.ndarray:
    """The numbers that every piece's vertex is told: int64 (pieces, SHAPE_SIZE)."""
    p = plan.problem
    table = np.zeros((pieces.n, SHAPE_SIZE), np.int64)
    ins: Any = p.a_width // p.held if p.together else pieces.size("a")
    outs: Any = p.y_width // p.held if p.together else pieces.size("y")
    head: tuple[Any, ...] = (pieces.size("batch"), pieces.size("groups") * p.held, ins, p.a_width, outs, p.y_width)
    for i, number in enumerate(head):
        table[:, i] = number
    for d, (reach, (first, stop)) in enumerate(zip(p.reaches, seen_places(plan, pieces), strict=True)):
        begin, end = pieces.begin[f"field{d}"], pieces.end[f"field{d}"]
        tap, last = (pieces.begin["kernel"], pieces.end["kernel"]) if d == p.kernel_axis else (0, reach.taps)
        used = (np.clip(limit, tap, last) - tap for limit in reach.taps_used)
        offset = reach.offset + reach.tap_step * tap + reach.y_step * begin - reach.x_step * first
        low, high = (np.clip(limit - begin, 0, end - begin) for limit in reach.y_used)
        sign = 1 if reach.x_step > 0 else -1  # vertices take steps of a that are positive
        columns: tuple[Any, ...] = (
            last - tap, stop - first, end - begin, sign * reach.x_step, sign * reach.y_step, sign * reach.tap_step,
            sign * offset, low, high, *used,
        )  # fmt: skip
        for i, numbers in enumerate(columns):
            table[:, HEAD + AXIS * d + i] = numbers
    return table


def within(rows: np.ndarray) -> np.ndarray:
    """For every row of every piece its number in the piece."""
    return expand_runs(np.zeros(len(rows), np.int64), rows)
