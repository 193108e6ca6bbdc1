"""Convolutions on tiles: a vertex a piece of the plan, operands gathered run by run, partial results added over tiles.

Values are stored in blocks of channels (stored.py), weights as (groups, out blocks, in blocks, *kernel, channels in,
channels out): every piece of a plan is then a list of runs of either. Values and weights stored otherwise are rearranged
first, by a copy. Nothing is padded, dilated, flipped or transposed on the way: what meets is in the vertices' `shape`
(codelet/convolve.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..graph import Tensor
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
from .conv_pieces import Pieces, Runs, lines_of, shapes, value_rows, weight_rows, weights_of
from .conv_plan import ConvPlan
from .conv_problem import AXES, FORWARD, INPUT_GRADIENT, WEIGHTS_GRADIENT
from .conv_sums import Goal
from .mapping import map_linearly
from .plan_costs import Source, with_source
from .stored import field_view

if TYPE_CHECKING:
    from .lowering import Lowering


def kind_of_pass(name: str) -> str:
    """The product that an option `pass` means."""
    return INPUT_GRADIENT if name.endswith("_bwd") else WEIGHTS_GRADIENT if name.endswith("_wu") else FORWARD


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
        goal = Goal(at, plan, tiles, lines_of(plan, out), out, "")
        for number in range(plan.passes):
            _product(at, plan, tiles, number, {"a": value_rows(plan, a), "w": weights_of(plan, weights)}, goal)
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
        goal = Goal(at, plan, tiles, weight_rows(plan), out, "")
        for number in range(plan.passes):
            _product(at, plan, tiles, number, {"a": value_rows(plan, a), "dy": Runs(lines_of(plan, b), b)}, goal)
        goal.finish()
    return seen_weights(out, params)


def _product(
    at: Lowering, plan: ConvPlan, tiles: np.ndarray, number: int, operands: dict[str, Runs], goal: Goal
) -> None:
    """One compute set: a vertex a piece of one pass."""
    p = plan.problem
    pieces = Pieces(plan, number)
    each = tiles.shape[6] // plan.passes
    tile = tiles[..., number * each : (number + 1) * each, :].reshape(-1)
    used = np.flatnonzero((pieces.size("y") > 0) & (pieces.size("groups") > 0))
    if len(used) < pieces.n:
        pieces, tile = pieces.taken(used), tile[used]
    suffix = "" if plan.passes == 1 else f"_{number}"
    shape = shapes(at, plan, pieces, tile, f"shape{suffix}")
    width = p.a_width if p.kind == INPUT_GRADIENT and not p.together else p.y_width
    lines = pieces.size("batch") * pieces.size("field0") * pieces.size("field1")
    at.execute(
        p.codelet("" if plan.by_row else plan.method) + ("Row" if plan.by_row else ""), f"product{suffix}", tile, **{f: runs.windows(pieces) for f, runs in operands.items()},
        shape=shape, out=goal.windows(pieces, tile, number), groups=pieces.size("groups"), width=width, taps=p.taps_beside * pieces.size("kernel"),
        lines=lines,
    )  # fmt: skip
