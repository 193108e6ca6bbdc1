"""Operands of convolutions: how values and weights are stored, where, and as what the planner sees them.

Values are stored in blocks of channels (stored.py), weights as (groups, out blocks, in blocks, *kernel, channels in,
channels out), or where groups of few channels share blocks as (blocks, *kernel, groups of the block, in, out). Operands
stored otherwise are rearranged first, by a copy. `turned` weights are those of the opposite direction, read with channels
exchanged and the kernel flipped: they stay as they are stored, and only which taps meet is mirrored.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..dtypes import DType
from ..graph import StoredView, Tensor
from ..graph.variable import expand_runs
from .conv_params import ConvParams
from .conv_plan import ConvPlan, plan_convolution
from .conv_problem import FORWARD, INPUT_GRADIENT, Problem
from .mapping import map_linearly, map_runs
from .reach import Reach
from .stored import block_of, blocks_of, field_view, in_blocks

if TYPE_CHECKING:
    from .lowering import Lowering

STILL = Reach(1, 1, 1)  # an axis that is not there


def widths(params: ConvParams) -> tuple[int, int, int]:
    """Channels of a block of input and output, and how many groups share a block."""
    groups, i, o = params.num_conv_groups, params.input_channels_per_conv_group, params.output_channels_per_conv_group
    if 0 in (i, o):
        return max(i, 1), max(o, 1), 1
    if groups == 1 or min(i, o) >= 8:
        return block_of(i), block_of(o), 1
    fit = [h for h in range(1, groups + 1) if groups % h == 0 and h * max(i, o) <= 32]
    held = max(fit, default=1)
    return held * i, held * o, held


def problem_of(
    at: Lowering, params: ConvParams, kind: str, out_dtype: DType, options: Mapping[str, Any], turned: bool = False
) -> Problem:
    """The planner's view of one of the three products of a convolution, or of the forward product with `turned` weights."""
    i, o, held = widths(params)
    reaches: Any = tuple([STILL] * (3 - len(params.reaches)) + list(params.reaches))
    groups = params.num_conv_groups // held
    ins, outs = params.input_channels_per_conv_group * held // i, params.output_channels_per_conv_group * held // o
    if kind == INPUT_GRADIENT:
        i, o, ins, outs = o, i, outs, ins
        reaches = tuple(r.swapped for r in reaches)
    elif turned:
        kind, reaches = INPUT_GRADIENT, tuple(r.mirrored for r in reaches)
    partials = at.partials(params.input_type, options)
    return Problem(
        kind, params.batch_size, groups, ins, i, outs, o, held, reaches, params.input_type, out_dtype, partials,
        len(params.reaches),
    )  # fmt: skip


def plan_of(
    at: Lowering, params: ConvParams, kind: str, options: Mapping[str, Any] | None = None, out_dtype: Any = None,
    turned: bool = False,
) -> ConvPlan:  # fmt: skip
    """The plan of one of the three products. Raises GraphMemoryAllocationError."""
    options = at.matmul_options | dict(options or {})
    problem = problem_of(at, params, kind, out_dtype or params.input_type, options, turned)
    return plan_convolution(
        problem, at.target, num_tiles=len(at.tiles), proportion=options["available_memory_proportion"],
        constraints=options.get("plan_constraints") or None, cache=options.get("cache"),
    )  # fmt: skip


# operands --------------------------------------------------------------------------------------------------------------


def create_input(at: Lowering, params: ConvParams, name: str) -> Tensor:
    """An input variable (batch, channels, *field) in blocks of channels, spread evenly in whole places."""
    i, _, _ = widths(params)
    batch, channels, *field = params.input_shape
    stored = at.variable(params.input_type, (batch, channels // i, *field, i), name, mapping=None)
    if stored.size:
        map_linearly(at.graph, stored, grain=i)
    return field_view(stored)


def create_output(at: Lowering, params: ConvParams, name: str) -> Tensor:
    """A variable (batch, out channels, *field) in blocks of channels, spread evenly in whole places."""
    _, o, _ = widths(params)
    batch, channels, *field = params.output_shape
    stored = at.variable(params.output_type, (batch, channels // o, *field, o), name, mapping=None)
    if stored.size:
        map_linearly(at.graph, stored, grain=o)
    return field_view(stored)


def weights_view(stored: Tensor) -> Tensor:
    """Stored weights (groups, out blocks, in blocks, *kernel, in, out) seen as (out channels, in of a group, *kernel);
    of groups that share blocks, (blocks, *kernel, groups, in, out), likewise."""
    last = stored.ndim - 1
    return StoredView(stored, [(0, 1, last), (2, last - 1), *((a,) for a in range(3, last - 1))])


def together_view(stored: Tensor) -> Tensor:
    """Weights (blocks, *kernel, groups of the block, in, out) seen as (out channels, in of a group, *kernel)."""
    last = stored.ndim - 1
    return StoredView(stored, [(0, last - 2, last), (last - 1,), *((a,) for a in range(1, last - 2))])


def weights_shape(params: ConvParams, turned: bool = False) -> tuple[int, ...]:
    """The shape weights are stored in."""
    i, o, held = widths(params)
    ins, outs = params.input_channels_per_conv_group, params.output_channels_per_conv_group
    if turned:
        i, o, ins, outs = o, i, outs, ins
    if held > 1:
        return (params.num_conv_groups // held, *params.kernel_shape, held, ins, outs)
    return (params.num_conv_groups, outs // o, ins // i, *params.kernel_shape, i, o)


def seen_weights(stored: Tensor, params: ConvParams) -> Tensor:
    """Stored weights seen as (out channels, in of a group, *kernel)."""
    return together_view(stored) if widths(params)[2] > 1 else weights_view(stored)


def create_weights(at: Lowering, params: ConvParams, name: str, options: Mapping[str, Any] | None = None) -> Tensor:
    """Weights (out channels, in of a group, *kernel) where the plan of the forward product reads them."""
    stored = at.variable(params.input_type, weights_shape(params), name, mapping=None)
    if stored.size and 0 not in params.output_shape:
        plan = plan_of(at, params, FORWARD, options, params.output_type)
        tiles = tiles_of(at, plan, params, name)
        map_weights(at, stored, plan, tiles)
    elif stored.size:
        map_linearly(at.graph, stored)
    return seen_weights(stored, params)


def tiles_of(at: Lowering, plan: ConvPlan, params: ConvParams, name: str) -> np.ndarray:
    """Tiles of the pieces of a plan, (batch, field0, field1, field2, groups, a, y, kernel); kept, so that the product runs where
    its weights lie."""
    key = (at.graph.path(name), plan.key)
    kept = at.kept_tiles
    if key not in kept:
        parts = [*plan.parts[:6], plan.parts[6] // plan.passes, plan.parts[7]]
        kept[key] = at.take_tiles(plan.num_tiles).reshape(parts)
    return np.concatenate([kept[key]] * plan.passes, axis=6) if plan.passes > 1 else kept[key]


def map_weights(at: Lowering, stored: Tensor, plan: ConvPlan, tiles: np.ndarray) -> None:
    """Every piece of the weights over the tiles that read it: its rows in runs of even length."""
    p = plan.problem
    each = p.taps * p.tap_elements
    line_of_taps = p.taps_beside * p.tap_elements
    readers = np.moveaxis(tiles.reshape(-1, *tiles.shape[4:]), 0, -1)  # groups, a, y, kernel, readers
    g, a, y, k = (i.reshape(-1) for i in np.indices(readers.shape[:4]))
    gb, ab, yb, kb = (plan.bounds[n] for n in ("groups", "a", "y", "kernel"))
    rows = (gb[g + 1] - gb[g]) * (yb[y + 1] - yb[y])
    length = (ab[a + 1] - ab[a]) * (kb[k + 1] - kb[k]) * line_of_taps  # a cut kernel: of one block of a
    count = readers.shape[4]
    cuts = np.maximum(np.minimum(-(-count // np.maximum(rows, 1)), length // max(p.y_width, 1)), 1)
    piece = np.repeat(np.arange(len(g)), rows * cuts)
    number = expand_runs(np.zeros(len(g), np.int64), rows * cuts)
    row, cut = np.divmod(number, cuts[piece])
    grain = length[piece] // p.y_width
    begin = cut * grain // cuts[piece] * p.y_width
    stop = (cut + 1) * grain // cuts[piece] * p.y_width
    stop = np.where(cut == cuts[piece] - 1, length[piece], stop)
    y_count = np.maximum(yb[y + 1] - yb[y], 1)[piece]
    line = (gb[g][piece] + row // y_count) * p.y_blocks + yb[y][piece] + row % y_count
    start = line * (p.a_blocks * each) + ab[a][piece] * each + kb[k][piece] * line_of_taps
    tile = readers.reshape(len(g), count)[piece, number * count // (rows * cuts)[piece]]
    order = np.argsort(start + begin)
    map_runs(at.graph, stored.flatten(), (start + begin)[order], (start + stop)[order], tile[order])


def as_stored(at: Lowering, x: Tensor, width: int, name: str) -> Tensor:
    """x as (batch, blocks, *field, width), rearranged where it is stored otherwise."""
    stored = blocks_of(x)
    if stored is not None and stored.shape[-1] == width and stored.flatten().is_contiguous:
        return stored
    shape = (x.shape[0], x.shape[1] // width, *x.shape[2:], width)
    rearranged = at.variable(x.dtype, shape, f"{name}/rearranged", mapping=None)
    map_linearly(at.graph, rearranged, grain=width)
    at.copy(in_blocks(x, width), rearranged, f"{name}/rearrange")
    return rearranged


def as_weights(at: Lowering, w: Tensor, params: ConvParams, name: str, turned: bool = False) -> Tensor:
    """Weights as they are stored, rearranged where they are stored otherwise."""
    shape = weights_shape(params, turned)
    if isinstance(w, StoredView) and w.stored.shape == shape and w.same_as(seen_weights(w.stored, params)):
        return w.stored
    rearranged = at.variable(w.dtype, shape, f"{name}/weights-rearranged", mapping=None)
    map_linearly(at.graph, rearranged)
    view = seen_weights(rearranged, params)
    assert isinstance(view, StoredView)
    at.copy(view.operand(w), rearranged, f"{name}/rearrange-weights")
    return rearranged


def flat_weights(w: Tensor) -> Tensor:
    """Weights (groups, out, in, *kernel) as (out channels, in of a group, *kernel)."""
    if isinstance(w, StoredView):
        return StoredView(w.stored, [(*w.groups[0], *w.groups[1]), *w.groups[2:]])
    return w.flatten(0, 2)


def grouped_weights(w: Tensor, params: ConvParams) -> Tensor:
    """Weights (out channels, in of a group, *kernel) as (groups, out, in, *kernel)."""
    if not isinstance(w, StoredView):
        return w.reshape(params.weights_shape)
    count = 2 if widths(params)[2] > 1 else 1  # stored axes that groups are: their block, and which of it
    return StoredView(w.stored, [w.groups[0][:count], w.groups[0][count:], *w.groups[1:]])
