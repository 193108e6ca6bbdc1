"""Matrix products on tiles: planned blocks, operands read where they lie, partial results added over tiles.

`multiply(at, a, b, ...)` recognises the three products of a dense layer by the layout of the weights (layout.py):

    out = x . W       b is laid out          blocks stay, partial sums over the row pieces of W
    dx  = dy . W'     b is one transposed    the same blocks, partial sums over the column pieces
    dW  = x' . dy     a was multiplied with weights of the result's shape: made block by block where W lies, no sums

and plans any other product freely (partition.py). Results are laid out in column pieces so that the next layer's
slices are whole runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from ..dtypes import DType
from ..errors import ShapeError, TypeMismatch
from ..graph import Joined, Tensor, Windows, concat
from .layout import Layout, Placed, add_placed, element_space, layouts_of
from .mapping import map_runs, part_bounds
from .partition import REDUCE_GRAIN, Plan, partials_dtype, plan_matmul, plan_weights
from .plan_costs import Source, with_source

if TYPE_CHECKING:
    from .lowering import Lowering


@dataclass
class Blocks:
    """The vertices of a product: piece limits, the tile of block (m, k, n), passes over the rows (over k where the
    result's place is given), and that place or the pieces it is stored in."""

    m_bounds: np.ndarray
    k_bounds: np.ndarray
    n_bounds: np.ndarray
    tile: np.ndarray
    partials: DType
    serial: int = 1
    result: Placed | None = None
    store_cols: np.ndarray | None = None  # column limits of the pieces the result is stored in, if not n_bounds
    bring: bool = False  # whether b is brought to the tiles once, before the passes
    columns: tuple[int, ...] = ()  # limits of the columns made at a time, where not all are
    kept: Tensor | None = None  # b as it was brought: flat, block (m, k, n) after block


def multiply(
    at: Lowering,
    a: Tensor,
    b: Tensor,
    name: str,
    *,
    transpose_a: bool = False,
    transpose_b: bool = False,
    out_dtype: DType | None = None,
    plan: Plan | None = None,
    options: Mapping[str, Any] | None = None,
) -> Tensor:
    """out (m, n) = a (m, k) . b (k, n). Raises ShapeError and TypeMismatch."""
    a = a.transpose() if transpose_a else a
    b = b.transpose() if transpose_b else b
    path = at.graph.path(name)
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[0]:
        raise ShapeError(
            f"{path}: {a.name} {list(a.shape)} and {b.name} {list(b.shape)} cannot be multiplied;"
            " it takes (m, k) and (k, n)"
        )
    if a.dtype != b.dtype:
        raise TypeMismatch(f"{path}: {a.name} is {a.dtype}, {b.name} is {b.dtype}; cast one")
    out_dtype = out_dtype or a.dtype
    with at.scope(name):
        if 0 in (*a.shape, b.shape[1]):
            out = at.variable(out_dtype, (a.shape[0], b.shape[1]), "out")
            at.fill(out, 0)
            return out
        blocks = _choose(at, a, b, out_dtype, plan, options)
        if blocks.columns:
            return _by_columns(at, a, b, blocks.columns, out_dtype, options)
        if blocks.result is not None:
            return _into_place(at, a, b, blocks)
        if blocks.serial == 1:
            return _planned(at, a, b, blocks, out_dtype, "")
        rows = part_bounds(a.shape[0], blocks.serial).tolist()
        parts = []
        kept = _kept(at, b, blocks) if blocks.bring else None
        for i, (first, last) in enumerate(pairwise(rows)):
            piece = part_bounds(last - first, len(blocks.m_bounds) - 1)
            one = Blocks(piece, blocks.k_bounds, blocks.n_bounds, blocks.tile[: len(piece) - 1], blocks.partials)
            one.store_cols, one.kept = blocks.store_cols, kept
            parts.append(_planned(at, a[first:last], b, one, out_dtype, f"_{i}"))
        return concat(parts, 0)


def _by_columns(at: Lowering, a: Tensor, b: Tensor, columns: tuple[int, ...], out_dtype: DType, options: Any) -> Tensor:
    """The product in passes over the columns, each planned by itself."""
    parts = []
    for i, (first, last) in enumerate(pairwise(columns)):
        parts.append(multiply(at, a, b[:, first:last], f"columns_{i}", out_dtype=out_dtype, options=options))
    return concat(parts, 1)


def create_weights(
    at: Lowering,
    dtype: DType,
    shape: tuple[int, int],
    batch: int,
    name: str,
    *,
    operand: Tensor | None = None,
    training: bool = True,
    options: dict[str, Any] | None = None,
) -> Tensor:
    """A (k, n) matrix stored for products with (batch, k) operands in which it never moves.

    With `operand`, the tensor it will be multiplied with, pieces of k agree with the pieces that one is stored in.
    """
    k, n = shape
    if 0 in (k, n):
        return at.variable(dtype, shape, name)
    placed = layouts_of(at.graph).find(operand) if operand is not None else None
    plan = plan_weights(
        at.target,
        batch,
        k,
        n,
        dtype,
        num_tiles=len(at.tiles),
        training=training,
        k_bounds=placed.layout.col_bounds if placed is not None else None,
        run=_run_of(operand),
        options=at.matmul_options | (options or {}),
        library=at.library,
    )
    at.plans[at.graph.path(name)] = plan
    _, pk, pn = plan.parts
    layout = Layout(plan.k_bounds, plan.n_bounds, at.take_tiles(pk * pn).reshape(pk, pn))
    return add_placed(at.graph, dtype, layout, name, stationary=True).view


def _run_of(operand: Tensor | None) -> int:
    """Elements of a row of a matrix that lie one after another, at least; 0 where it is not known."""
    if operand is None or operand.ndim != 2 or 0 in operand.shape:
        return 0
    place = operand[0].index
    return len(place) // (1 + int(np.count_nonzero(np.diff(place) != 1)))


def create_operand(at: Lowering, dtype: DType, batch: int, weights: Tensor, name: str) -> Tensor:
    """A (batch, k) matrix stored in the column pieces that the blocks of `weights` read, each piece on one tile."""
    placed = layouts_of(at.graph).find(weights)
    if placed is None or placed.layout.tile is None or batch == 0:
        return at.variable(dtype, (batch, weights.shape[0]), name)
    layout = Layout(np.array([0, batch], np.int64), placed.layout.row_bounds, placed.layout.tile[:, 0].reshape(1, -1))
    return add_placed(at.graph, dtype, layout, name).view


def _choose(at: Lowering, a: Tensor, b: Tensor, out_dtype: DType, plan: Plan | None, options: Any) -> Blocks:
    layouts = layouts_of(at.graph)
    rows = np.array([0, a.shape[0]], np.int64)
    options = at.matmul_options | (options or {})
    weights = layouts.find(b)
    found = weights or layouts.find(b.transpose())
    if plan is None and found is not None and found.stationary:
        layout = found.layout
        if weights is not None:
            layouts.note_use(a, weights)
            inner, cols, tile = layout.row_bounds, layout.col_bounds, layout.tile_of_blocks
        else:
            inner, cols, tile = layout.col_bounds, layout.row_bounds, layout.tile_of_blocks.T
        partials = partials_dtype(a.dtype, options)
        blocks = Blocks(rows, inner, cols, tile[None], partials)
        _note_source(at, found, "" if weights is not None else "input gradient: ", [a], tile)
        blocks.serial = _passes(at, a.shape[0], _widest(inner) * a.dtype.size + _widest(cols) * partials.size, options)
        forward = layouts.operand_of(found) if weights is None else None
        if forward is not None and len(inner) == 2 and _nested(forward.layout.col_bounds, cols):
            blocks.store_cols = forward.layout.col_bounds  # the gradient of an activation lies as the activation does
        return blocks
    wanted = layouts.weights_used_with(a.transpose(), (a.shape[0], b.shape[1])) if plan is None else None
    if wanted is not None and out_dtype == wanted.flat.dtype:
        layout = wanted.layout
        _note_source(at, wanted, "weight gradient: ", [a, b], layout.tile_of_blocks)
        result = add_placed(at.graph, out_dtype, layout, "out")
        inner = np.array([0, a.shape[1]], np.int64)
        tile = layout.tile_of_blocks[:, None, :]
        each = (_widest(layout.row_bounds) + _widest(layout.col_bounds)) * a.dtype.size
        passes = _passes(at, a.shape[1], each, options)
        return Blocks(layout.row_bounds, inner, layout.col_bounds, tile, out_dtype, passes, result)
    if plan is None:
        m, k, n = *a.shape, b.shape[1]
        plan = plan_matmul(at.target, m, k, n, a.dtype, num_tiles=len(at.tiles), options=options, library=at.library)
    if plan.columns:
        at.plans[at.graph.path("passes")] = plan
        return Blocks(
            plan.m_bounds, plan.k_bounds, plan.n_bounds, np.zeros(plan.parts, int), plan.partials, columns=plan.columns
        )
    tile = at.take_tiles(plan.num_tiles).reshape(plan.parts)
    source = Source.of(at.top, [a] if plan.serial > 1 else [a, b], tile)
    cycles = with_source(plan.cycles, plan.bytes, source, at.target, plan.serial)
    at.plans[at.graph.path("plan")] = replace(plan, cycles=cycles)
    return Blocks(plan.m_bounds, plan.k_bounds, plan.n_bounds, tile, plan.partials, plan.serial, bring=plan.serial > 1)


def _note_source(at: Lowering, weights: Placed, prefix: str, operands: list[Tensor], tiles: np.ndarray) -> None:
    """Put where a product finds its operands into the estimate of the plan that its weights were placed by."""
    path = weights.flat.name
    plan = at.plans.get(path)
    if isinstance(plan, Plan):
        source = Source.of(at.top, operands, tiles)
        cycles = with_source(plan.cycles, plan.bytes, source, at.target, plan.serial, prefix)
        at.plans[path] = replace(plan, cycles=cycles)


def _kept(at: Lowering, b: Tensor, blocks: Blocks) -> Tensor:
    """b brought to the tiles of its blocks, once for every piece of the rows: flat, block (m, k, n) after block."""
    layout = Layout(blocks.k_bounds, blocks.n_bounds)
    pm = blocks.tile.shape[0]
    kept = at.variable(b.dtype, (pm, b.size), "b", mapping=None)
    start = np.arange(pm)[:, None] * b.size + layout.offsets.reshape(1, -1)
    size = (layout.heights[:, None] * layout.widths[None, :]).reshape(1, -1)
    map_runs(at.graph, kept.flatten(), start.reshape(-1), (start + size).reshape(-1), blocks.tile.reshape(-1))
    order = np.argsort(layout.order().reshape(-1))
    in_blocks = Tensor(b.graph, b.dtype, b.index.reshape(-1)[order])
    at.copy(Joined([in_blocks] * pm) if pm > 1 else in_blocks, kept.flatten(), "bring_b")
    return kept.flatten()


def _widest(bounds: np.ndarray) -> int:
    return int(np.diff(bounds).max())


def _passes(at: Lowering, size: int, each_bytes: int, options: Any) -> int:
    """Passes over an axis of `size` entries, each of them `each_bytes` on the fullest tile, that the memory allows."""
    limit = options["available_memory_proportion"] * at.target.bytes_per_tile
    return int(np.clip(np.ceil(size * each_bytes / limit), 1, size))


def _planned(at: Lowering, a: Tensor, b: Tensor, blocks: Blocks, out_dtype: DType, suffix: str) -> Tensor:
    """The product by blocks, partial results added on the tiles that made them."""
    pk = blocks.tile.shape[1]
    if pk == 1:
        return _unsplit(at, a, b, blocks, out_dtype, suffix)
    layout = Layout(blocks.m_bounds, blocks.n_bounds)
    out = add_placed(at.graph, out_dtype, layout, "out" + suffix)
    size = layout.heights[:, None] * layout.widths[None, :]
    partials = at.graph.add_variable(blocks.partials, (pk * out.flat.size,), name="partials" + suffix)
    offsets = pk * layout.offsets[:, None, :] + np.arange(pk)[None, :, None] * size[:, None, :]
    stop = offsets + size[:, None, :]
    map_runs(at.graph, partials, offsets.reshape(-1), stop.reshape(-1), blocks.tile.reshape(-1))
    _product(at, a, b, blocks, partials, offsets, "product" + suffix)
    # every column piece is added up in even shares on the pk tiles that hold its partial results
    share = -(-size // (pk * REDUCE_GRAIN)) * REDUCE_GRAIN
    count = -(-size // share)
    piece = np.repeat(np.arange(size.size), count.reshape(-1))
    which = np.arange(len(piece)) - np.repeat(np.cumsum(count.reshape(-1)) - count.reshape(-1), count.reshape(-1))
    within = which * share.reshape(-1)[piece]
    length = np.minimum(share.reshape(-1)[piece], size.reshape(-1)[piece] - within)
    start = layout.offsets.reshape(-1)[piece] + within
    tile = blocks.tile.transpose(0, 2, 1).reshape(-1, pk)[piece, which]
    map_runs(at.graph, out.flat, start, start + length, tile)
    source = pk * layout.offsets.reshape(-1)[piece] + within
    at.execute(
        "ReducePartialsAdd",
        "reduce" + suffix,
        tile,
        partials=partials.windows(source, length, pk, size.reshape(-1)[piece]),
        out=out.flat.windows(start, length),
    )
    return out.view


def _unsplit(at: Lowering, a: Tensor, b: Tensor, blocks: Blocks, out_dtype: DType, suffix: str) -> Tensor:
    """The product by blocks that need no adding up: each is written where it stays, on the tile that made it."""
    tile = blocks.tile[:, 0, :]
    if blocks.store_cols is None:
        layout = Layout(blocks.m_bounds, blocks.n_bounds, tile)
        out = add_placed(at.graph, out_dtype, layout, "out" + suffix)
        _product(at, a, b, blocks, out.flat, layout.offsets[:, None, :], "product" + suffix)
        return out.view
    layout = Layout(blocks.m_bounds, blocks.store_cols)
    out = add_placed(at.graph, out_dtype, layout, "out" + suffix)
    piece = np.searchsorted(blocks.store_cols, blocks.n_bounds[:-1], side="right") - 1
    offsets = layout.offsets[:, piece] + (blocks.n_bounds[:-1] - blocks.store_cols[piece])
    stride = np.broadcast_to(layout.widths[piece], tile.shape)
    height = np.broadcast_to(layout.heights[:, None], tile.shape).reshape(-1)
    block = np.repeat(np.arange(tile.size), height)
    row = np.arange(len(block)) - np.repeat(np.cumsum(height) - height, height)
    start = offsets.reshape(-1)[block] + row * stride.reshape(-1)[block]
    width = np.broadcast_to(np.diff(blocks.n_bounds), tile.shape).reshape(-1)[block]
    map_runs(at.graph, out.flat, start, start + width, tile.reshape(-1)[block])
    _product(at, a, b, blocks, out.flat, offsets[:, None, :], "product" + suffix, stride=stride)
    return out.view


def _into_place(at: Lowering, a: Tensor, b: Tensor, blocks: Blocks) -> Tensor:
    """The product straight into the blocks of a given layout; passes over k add to what is there."""
    result = blocks.result
    assert result is not None  # as the caller found
    cuts = part_bounds(a.shape[1], blocks.serial).tolist()
    for i, (first, last) in enumerate(pairwise(cuts)):
        inner = np.array([0, last - first], np.int64)
        one = Blocks(blocks.m_bounds, inner, blocks.n_bounds, blocks.tile, blocks.partials)
        name = "product" if blocks.serial == 1 else f"product_{i}"
        offsets = result.layout.offsets[:, None, :]
        _product(at, a[:, first:last], b[first:last], one, result.flat, offsets, name, accumulate=i > 0)
    return result.view


def _product(
    at: Lowering,
    a: Tensor,
    b: Tensor,
    blocks: Blocks,
    flat: Tensor,
    offsets: np.ndarray,
    name: str,
    accumulate: bool = False,
    stride: np.ndarray | None = None,
) -> None:
    """One compute set of block products; block (m, k, n) is written at offsets[m, k, n] of `flat`, its rows one after
    another or stride[m, n] apart."""
    im, ik, jn = (i.reshape(-1) for i in np.indices(blocks.tile.shape))
    left, left_turned = operand_windows(a, blocks.m_bounds, blocks.k_bounds, im, ik)
    if blocks.kept is None:
        right, right_turned = operand_windows(b, blocks.k_bounds, blocks.n_bounds, ik, jn)
    else:
        layout = Layout(blocks.k_bounds, blocks.n_bounds)
        width = layout.widths[jn]
        right = blocks.kept.windows(im * b.size + layout.offsets[ik, jn], width, layout.heights[ik], width)
        right_turned = False
    suffix = ("Transposed" if left_turned or right_turned else "") + "A" * left_turned + "B" * right_turned
    rows, cols = np.diff(blocks.m_bounds)[im], np.diff(blocks.n_bounds)[jn]
    at.execute(
        ("MatMulAccumulate" if accumulate else "MatMulPartial") + suffix,
        name,
        blocks.tile.reshape(-1),
        a=left,
        b=right,
        out=flat.windows(
            np.broadcast_to(offsets, blocks.tile.shape).reshape(-1),
            cols,
            rows,
            cols if stride is None else np.broadcast_to(stride[:, None, :], blocks.tile.shape).reshape(-1),
        ),
    )


def operand_windows(
    t: Tensor, row_bounds: np.ndarray, col_bounds: np.ndarray, row_piece: np.ndarray, col_piece: np.ndarray
) -> tuple[Windows, bool]:
    """What vertices see of matrix t: for each, the block of the pieces given; and whether they see it transposed.

    A block whose rows are runs at constant distance is read where it lies, as is one whose columns are, transposed;
    others are gathered.
    """
    for turned in (False, True):
        m, rows, cols = (t.transpose(), col_bounds, row_bounds) if turned else (t, row_bounds, col_bounds)
        found = _regular(m, rows, cols)
        if found is not None:
            i, j = (col_piece, row_piece) if turned else (row_piece, col_piece)
            start, stride = found
            space = element_space(t.graph, t.dtype)
            return space.windows(start[i, j], np.diff(cols)[j], np.diff(rows)[i], stride[i, j]), turned
    turned = _runs_down(t)
    if turned:
        t, row_bounds, col_bounds = t.transpose(), col_bounds, row_bounds
        row_piece, col_piece = col_piece, row_piece
    start = row_bounds[row_piece] * t.shape[1] + col_bounds[col_piece]
    lengths, heights = np.diff(col_bounds)[col_piece], np.diff(row_bounds)[row_piece]
    return t.flatten().windows(start, lengths, heights, t.shape[1]), turned


def _runs_down(t: Tensor) -> bool:
    """Whether columns of t are runs of memory rather than its rows."""
    index = t.index
    return bool(np.count_nonzero(np.diff(index[:, 0]) == 1) > np.count_nonzero(np.diff(index[0]) == 1))


def _regular(t: Tensor, row_bounds: np.ndarray, col_bounds: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Element number and row stride of every block, or None where some block is not rows of a constant stride."""
    top, left = row_bounds[:-1], col_bounds[:-1]
    if t.is_affine:
        down, along = t.strides
        if (along != 1 and np.diff(col_bounds).max() > 1) or down < 0:
            return None
        start = t.offset + top[:, None] * down + left[None, :] * along
        return start, np.full_like(start, down)
    index = t.index
    start = index[top][:, left]
    second = np.minimum(top + 1, row_bounds[1:] - 1)
    stride = index[second][:, left] - start
    if (stride < 0).any():
        return None
    placed = layouts_of(t.graph).find(t)
    if (
        placed is not None
        and _nested(placed.layout.row_bounds, row_bounds)
        and _nested(placed.layout.col_bounds, col_bounds)
    ):
        return start, stride
    from ..graph.native import are_blocks

    return (start, stride) if are_blocks(index, row_bounds, col_bounds, start, stride) else None


def _nested(outer: np.ndarray, inner: np.ndarray) -> bool:
    """Whether every limit of `outer` is one of `inner`, so that no piece of `inner` crosses one."""
    return bool(np.isin(outer, inner).all())
