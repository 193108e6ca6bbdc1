"""Convolutions on tiles: a vertex a piece of the plan, operands gathered run by run, partial results added over tiles.

Values are stored in blocks of channels (stored.py), weights as (groups, out blocks, in blocks, *kernel, channels in,
channels out): every piece of a plan is then a list of runs of either. Values and weights stored otherwise are rearranged
first, by a copy. Nothing is padded, dilated, flipped or transposed on the way: what meets is in the vertices' `shape`
(codelet/convolve.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from ..codelet.convolve import AXIS, HEAD, SHAPE_SIZE
from ..dtypes import INT
from ..graph import Tensor, Windows
from ..graph.variable import expand_runs
from .conv_operands import (
    as_stored,
    as_weights,
    plan_of,
    seen_weights,
    tiles_of,
    weights_shape,
    widths,
)
from .conv_params import ConvParams
from .conv_plan import AXES, FORWARD, INPUT_GRADIENT, WEIGHTS_GRADIENT, ConvPlan
from .mapping import map_linearly, map_runs
from .plan_costs import Source, with_source
from .stored import field_view

if TYPE_CHECKING:
    from .lowering import Lowering


def kind_of_pass(name: str) -> str:
    """The product that an option `pass` means."""
    return INPUT_GRADIENT if name.endswith("_bwd") else WEIGHTS_GRADIENT if name.endswith("_wu") else FORWARD


# products --------------------------------------------------------------------------------------------------------------


def convolve(
    at: Lowering, x: Tensor, w: Tensor, params: ConvParams, name: str, *, kind: str = FORWARD, out_dtype: Any = None,
    options: Mapping[str, Any] | None = None, turned: bool = False,
) -> Tensor:  # fmt: skip
    """The output of a convolution of x, or for INPUT_GRADIENT the gradient of its input, x being that of its output.

    `turned`: w is of the opposite direction, (in channels, out of a group, *kernel), and is read with the kernel flipped.
    Raises GraphMemoryAllocationError where no plan fits.
    """
    shape = params.output_shape if kind == FORWARD else params.input_shape
    dtype = out_dtype or x.dtype
    width = widths(params)[1 if kind == FORWARD else 0]
    with at.scope(name):
        out = at.output(dtype, (shape[0], shape[1] // width, *shape[2:], width), "out")
        if 0 in (out.size, x.size, w.size):
            if out.size:
                map_linearly(at.graph, out)
                at.fill(out, 0)
            return field_view(out)
        plan = plan_of(at, params, kind, options, dtype, turned)
        a = as_stored(at, x, plan.problem.a_width, "in")
        weights = as_weights(at, w, params, "in", turned)
        tiles = _home(at, weights, plan, params) if plan.problem.kind == FORWARD else tiles_of(at, plan, params, "plan")
        _note_plan(at, plan, tiles, [a] if plan.problem.kind == FORWARD else [a, weights])
        plan, tiles = _cut_by_grain(at, plan, tiles)
        goal = _Goal(at, plan, tiles, _lines(plan, out), out, "")
        for number in range(plan.passes):
            _product(at, plan, tiles, number, {"a": _value(plan, a), "w": _weights(plan, weights)}, goal)
        goal.finish()
    return field_view(out)


def _note_plan(at: Lowering, plan: ConvPlan, tiles: np.ndarray, operands: list[Tensor]) -> None:
    """Keep the plan for reports, its estimate with the operands where they are."""
    source = Source.of(at.top, operands, tiles)
    cycles = with_source(plan.cycles, plan.bytes, source, at.target, plan.passes)
    at.plans[at.graph.path("plan")] = replace(plan, cycles=cycles)


def _cut_by_grain(at: Lowering, plan: ConvPlan, tiles: np.ndarray) -> tuple[ConvPlan, np.ndarray]:
    """The plan with its pieces cut into the vertices of grain "row": one a sample, block of either side and row of the
    result (for the gradient of weights, a piece's rows together), on the tile of their piece."""
    if at.grain != "row" or plan.problem.together:
        return plan, tiles
    single: tuple[str, ...] = ("batch", "groups", "a", "y")
    if plan.problem.kind != WEIGHTS_GRADIENT:
        single += ("field0", "field1")
    bounds = dict(plan.bounds)
    for axis, name in enumerate(AXES):
        if name in single:
            count = np.diff(plan.bounds[name])
            tiles = np.repeat(tiles, count, axis=axis)
            bounds[name] = np.arange(int(plan.bounds[name][-1]) + 1)
    return replace(plan, bounds=bounds, passes=1, by_row=True), tiles


def _home(at: Lowering, weights: Tensor, plan: ConvPlan, params: ConvParams) -> np.ndarray:
    """The tiles a forward product runs on: those its weights were spread over, where that was for this plan."""
    name = weights.variables()[0].name
    if (name, plan.key) in at.kept_tiles:
        return _tiles_named(at, name, plan)
    return tiles_of(at, plan, params, "plan")


def _tiles_named(at: Lowering, name: str, plan: ConvPlan) -> np.ndarray:
    tiles = at.kept_tiles[name, plan.key]
    return np.concatenate([tiles] * plan.passes, axis=6) if plan.passes > 1 else tiles


def weights_gradient(
    at: Lowering, x: Tensor, dy: Tensor, params: ConvParams, name: str, *, options: Mapping[str, Any] | None = None
) -> Tensor:
    """The gradient of the weights of a convolution of x, dy being that of its output; (out channels, in, *kernel)."""
    with at.scope(name):
        out = at.variable(x.dtype, weights_shape(params), "out", mapping=None)
        if 0 in (out.size, dy.size, x.size):
            if out.size:
                map_linearly(at.graph, out)
                at.fill(out, 0)
            return seen_weights(out, params)
        plan = plan_of(at, params, WEIGHTS_GRADIENT, options)
        problem = plan.problem
        a, b = as_stored(at, x, problem.a_width, "in"), as_stored(at, dy, problem.y_width, "gradient")
        tiles = tiles_of(at, plan, params, "plan")
        _note_plan(at, plan, tiles, [a, b])
        plan, tiles = _cut_by_grain(at, plan, tiles)
        goal = _Goal(at, plan, tiles, _weight_rows(plan), out, "")
        for number in range(plan.passes):
            _product(at, plan, tiles, number, {"a": _value(plan, a), "dy": _Runs(_lines(plan, b), b)}, goal)
        goal.finish()
    return seen_weights(out, params)


# pieces ----------------------------------------------------------------------------------------------------------------


class _Pieces:
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

    def taken(self, rows: np.ndarray) -> _Pieces:
        """Some of the pieces."""
        some = object.__new__(_Pieces)
        some.at, some.begin, some.end = ({n: c[rows] for n, c in t.items()} for t in (self.at, self.begin, self.end))
        some.n, some.groups = len(rows), self.groups
        return some


class _Runs:
    """The rows that pieces are made of, in a flat stored tensor: `find(pieces)` gives (first place of every row, rows of
    a piece, elements of its rows)."""

    def __init__(self, find: Any, tensor: Tensor):
        self.find = find
        self.flat = tensor.flatten()

    def windows(self, pieces: _Pieces) -> Windows:
        first, rows, length = self.find(pieces)
        return rows_on(self.flat, first, rows, length)


def rows_on(flat: Tensor, first: np.ndarray, rows: np.ndarray, length: np.ndarray) -> Windows:
    """Windows of listed rows, as rows of one stride where every window's are: overlapping ones are then sent once."""
    begin = np.cumsum(rows) - rows
    if not len(first) or (rows == 0).any():
        return flat.listed_rows(first, rows, length)
    step = np.where(rows > 1, first[np.minimum(begin + 1, len(first) - 1)] - first[begin], length)
    expected = np.repeat(first[begin], rows) + _within(rows) * np.repeat(step, rows)
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


def _field_rows(
    pieces: _Pieces,
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


def seen_places(plan: ConvPlan, pieces: _Pieces) -> list[tuple[np.ndarray, np.ndarray]]:
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


def _value(plan: ConvPlan, a: Tensor) -> _Runs:
    """What pieces read of a."""
    p = plan.problem
    sizes = tuple(r.size for r in p.reaches)
    return _Runs(lambda pieces: _field_rows(pieces, seen_places(plan, pieces), sizes, p.a_width, p.a_blocks, "a"), a)


def _lines(plan: ConvPlan, y: Tensor) -> Any:
    """What pieces are of y."""
    p = plan.problem
    sizes = tuple(r.windows for r in p.reaches)

    def find(pieces: _Pieces) -> Any:
        field = [(pieces.begin[f"field{d}"], pieces.end[f"field{d}"]) for d in range(3)]
        return _field_rows(pieces, field, sizes, p.y_width, p.y_blocks, "y")

    return find


def _weight_rows(plan: ConvPlan) -> Any:
    """Rows of weights that pieces read or make: one for every group and block on the side the rows are for."""
    p = plan.problem
    each = p.taps * p.tap_elements
    of_taps = each // p.sizes[7]
    turned = p.kind == INPUT_GRADIENT
    row_axis, col_axis = ("a", "y") if turned else ("y", "a")
    row_blocks, col_blocks = (p.a_blocks, p.y_blocks) if turned else (p.y_blocks, p.a_blocks)

    def find(pieces: _Pieces) -> Any:
        line = col_blocks * each
        start = (pieces.begin["groups"] * row_blocks + pieces.begin[row_axis]) * line + pieces.begin[col_axis] * each
        start += pieces.begin["kernel"] * of_taps
        rows, place = _nest([pieces.size("groups"), pieces.size(row_axis)], [row_blocks * line, line])
        return np.repeat(start, rows) + place, rows, pieces.size(col_axis) * pieces.size("kernel") * of_taps

    return find


def _weights(plan: ConvPlan, w: Tensor) -> _Runs:
    return _Runs(_weight_rows(plan), w)


def _shapes(at: Lowering, plan: ConvPlan, pieces: _Pieces, tile: np.ndarray, name: str) -> Windows:
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


def _shape_table(plan: ConvPlan, pieces: _Pieces) -> np.ndarray:
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


def _product(
    at: Lowering, plan: ConvPlan, tiles: np.ndarray, number: int, operands: dict[str, _Runs], goal: _Goal
) -> None:
    """One compute set: a vertex a piece of one pass."""
    p = plan.problem
    pieces = _Pieces(plan, number)
    each = tiles.shape[6] // plan.passes
    tile = tiles[..., number * each : (number + 1) * each, :].reshape(-1)
    used = np.flatnonzero((pieces.size("y") > 0) & (pieces.size("groups") > 0))
    if len(used) < pieces.n:
        pieces, tile = pieces.taken(used), tile[used]
    suffix = "" if plan.passes == 1 else f"_{number}"
    shape = _shapes(at, plan, pieces, tile, f"shape{suffix}")
    width = p.a_width if p.kind == INPUT_GRADIENT and not p.together else p.y_width
    lines = pieces.size("batch") * pieces.size("field0") * pieces.size("field1")
    at.execute(
        p.codelet("" if plan.by_row else plan.method) + ("Row" if plan.by_row else ""), f"product{suffix}", tile, **{f: runs.windows(pieces) for f, runs in operands.items()},
        shape=shape, out=goal.windows(pieces, tile, number), groups=pieces.size("groups"), width=width, taps=p.taps // p.sizes[7] * pieces.size("kernel"),
        lines=lines,
    )  # fmt: skip


class _Goal:
    """Where a product's results go: straight to their place, or as partial results that are added up."""

    def __init__(self, at: Lowering, plan: ConvPlan, tiles: np.ndarray, find: Any, out: Tensor, name: str):
        self.at, self.plan, self.find, self.out = at, plan, find, out.flatten()
        self.summed = plan.num_partials
        self.sums: list[tuple] = []

    def windows(self, pieces: _Pieces, tile: np.ndarray, number: int) -> Windows:
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


def _within(rows: np.ndarray) -> np.ndarray:
    return expand_runs(np.zeros(len(rows), np.int64), rows)


def _joined_runs(first: np.ndarray, rows: np.ndarray, length: np.ndarray, lead: np.ndarray) -> tuple[np.ndarray, ...]:
    """Rows of the pieces `lead` joined where they continue one another: (first, length, number in lead, place in the
    piece)."""
    begin = np.cumsum(rows) - rows
    count = rows[lead]
    row = expand_runs(begin[lead], count)
    piece = np.repeat(np.arange(len(lead)), count)
    width = np.repeat(length[lead], count)
    at = _within(count) * width
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
    number = low[which] + _within(count)
    begin = np.maximum(at[which], number * each[which])
    end = np.minimum((at + length)[which], (number + 1) * each[which])
    return first[which] + begin - at[which], end - begin, begin, piece[which]
