"""Reductions: stages of partial results over tiles.

Sums along an axis that is consecutive in memory use the vector form, a vertex a run; others the column form, whose
vertices go down the rows of a matrix. A stage leaves partial results where its vertices are; the next stage reads
those, until one value an output is left. The order of every sum is fixed by the plan.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..dtypes import BOOL, DType
from ..errors import IndexOutOfRange, InvalidOption, ShapeError, did_you_mean
from ..graph import Tensor
from .layout import element_space
from .mapping import map_runs, part_bounds

if TYPE_CHECKING:
    from .lowering import Lowering

OPERATIONS = {
    "add": "Add",
    "mul": "Mul",
    "max": "Max",
    "min": "Min",
    "square_add": "SquareAdd",
    "logical_and": "LogicalAnd",
    "logical_or": "LogicalOr",
}
IDENTITY = {"add": 0, "mul": 1, "square_add": 0, "logical_and": True, "logical_or": False}
MAX_RUN = 512  # elements of one vertex and stage
MAX_ROWS = 128  # rows of a column vertex in one stage


def reduce(
    at: Lowering,
    x: Tensor,
    axes: list[int] | tuple[int, ...] | int | None,
    operation: str,
    name: str,
    *,
    dtype: DType | None = None,
    scale: float = 1.0,
) -> Tensor:
    """Reduce `axes` (all where None) of x; the result has the other axes. `scale` multiplies sums.

    Raises InvalidOption for an unknown operation, IndexOutOfRange for a bad axis, ShapeError where nothing is left to
    take an extreme of.
    """
    if operation not in OPERATIONS:
        raise InvalidOption(
            f"reduce: no operation '{operation}'.{did_you_mean(operation, OPERATIONS)} There are {', '.join(OPERATIONS)}"
        )
    some = range(x.ndim) if axes is None else [int(axes)] if isinstance(axes, (int, np.integer)) else axes
    for axis in some:
        if not -x.ndim <= axis < x.ndim:
            raise IndexOutOfRange(f"reduce: {x.name} has rank {x.ndim}; there is no axis {axis}")
    gone = sorted({int(axis) % x.ndim for axis in some})
    kept = [axis for axis in range(x.ndim) if axis not in gone]
    shape = tuple(x.shape[axis] for axis in kept)
    dtype = BOOL if operation.startswith("logical") else dtype or x.dtype
    with at.scope(name):
        if 0 in x.shape:
            if operation not in IDENTITY and 0 not in shape:
                raise ShapeError(f"reduce: {x.name} {list(x.shape)} has no element to take the {operation} of")
            out = at.variable(dtype, shape, "out")
            at.fill(out, IDENTITY.get(operation, 0))
            return out
        outputs = int(np.prod(shape, dtype=np.int64))
        matrix = x.dim_shuffle(kept + gone).reshape(outputs, x.size // outputs)
        return _stages(at, matrix, operation, dtype, scale).reshape(shape)


def _stages(at: Lowering, matrix: Tensor, operation: str, dtype: DType, scale: float) -> Tensor:
    """Reduce the second axis of a matrix to nothing; partial results of sums of half are float."""
    partial = at.accumulator(matrix.dtype) if operation != "max" and operation != "min" else matrix.dtype
    stage = 0
    while True:
        along = _is_along(matrix)
        pieces = _pieces(at, matrix, along)
        last = len(pieces) == 2
        suffix = "" if last and stage == 0 else f"_{stage}"
        target_dtype = dtype if last else partial
        if last:
            out = at.variable(target_dtype, (matrix.shape[0], 1), "out")
        else:  # partial results of columns lie piece by piece, so that a vertex writes a run
            shape = (matrix.shape[0], len(pieces) - 1)
            out = at.variable(target_dtype, shape if along else shape[::-1], "partials" + suffix, mapping=None)
        codelet = "Reduce" + OPERATIONS[operation] + ("" if not along else "Vector")
        constants = {}
        if last and scale != 1.0 and operation in ("add", "square_add"):
            codelet, constants = codelet + "Scaled", {"scale": scale}
        emit = _emit_along if along else _emit_columns
        emit(at, matrix, pieces, out, codelet, constants, "reduce" + suffix, last)
        if last:
            return out
        matrix, stage = out if along else out.transpose(), stage + 1
        operation = "add" if operation == "square_add" else operation


def _is_along(matrix: Tensor) -> bool:
    """Whether the elements to reduce are consecutive in memory (or nothing is)."""
    outputs, depth = matrix.shape
    if depth == 1 or outputs == 1:
        return True
    if matrix.is_affine:
        return matrix.strides[1] == 1 or matrix.strides[0] != 1
    index = matrix.index
    run = np.count_nonzero(np.diff(index[: min(outputs, 64)], axis=1) == 1)
    down = np.count_nonzero(np.diff(index[:, : min(depth, 64)], axis=0) == 1)
    return bool(run / min(outputs, 64) / max(depth - 1, 1) >= down / min(depth, 64) / max(outputs - 1, 1))


def _pieces(at: Lowering, matrix: Tensor, along: bool) -> np.ndarray:
    """Limits of the pieces of the reduced axis in one stage."""
    outputs, depth = matrix.shape
    places = len(at.tiles) * (at.target.num_workers if along else 1)
    limit = MAX_RUN if along else MAX_ROWS
    wanted = 1 if depth <= 32 else -(-depth // limit)
    if depth > 64 and outputs < places:  # few outputs: let idle tiles share the work, sqrt(depth) values or more each
        wanted = max(wanted, min(places // outputs, int(np.sqrt(depth))))
    return part_bounds(depth, wanted)


def _emit_along(at, matrix, pieces, out, codelet, constants, name, last) -> None:
    """A vertex a run: run r of output o is pieces[r]..pieces[r + 1]; it works where its first element lies."""
    outputs, depth = matrix.shape
    o, r = (i.reshape(-1) for i in np.indices((outputs, len(pieces) - 1)))
    start = o * depth + pieces[r]
    length = np.diff(pieces)[r]
    first = (
        matrix.flatten()[start]
        if matrix.is_affine
        else Tensor(matrix.graph, matrix.dtype, matrix.index.reshape(-1)[start])
    )
    tile = at.tiles_of_elements(out.flatten() if last else first)
    if not last:
        tile = _evened(at, tile)
        map_runs(at.graph, out, np.arange(len(tile)), np.arange(len(tile)) + 1, tile)
    at.execute(codelet, name, tile, x=matrix.flatten().windows(start, length), out=out.flatten(), **constants)


def _evened(at: Lowering, tile: np.ndarray) -> np.ndarray:
    """The tiles given, or an even spread where they would pile more than twice the fair share on one."""
    fair = -(-len(tile) // len(at.tiles))
    if (tile < 0).any() or np.bincount(tile).max() > 2 * max(fair, at.target.num_workers):
        return at.tiles[np.arange(len(tile)) // fair % len(at.tiles)]
    return tile


def _emit_columns(at, matrix, pieces, out, codelet, constants, name, last) -> None:
    """A vertex for every group of outputs and piece of depth, going down the rows of the transposed matrix."""
    outputs, depth = matrix.shape
    wide = at.target.vector_width(matrix.dtype.size)
    if last:
        start, stop, tile = at.graph.tile_mapping(out.flatten())
        share = np.maximum(-(-(stop - start) // at.target.num_workers), wide)
        groups = np.unique(np.concatenate([_multiples(start, stop, share), [0, outputs]]))
        tile = tile[np.searchsorted(stop, groups[:-1], side="right")]
    else:
        each = max(-(-outputs * (len(pieces) - 1) // (len(at.tiles) * at.target.num_workers)), wide)
        groups = part_bounds(outputs, -(-outputs // each))
        tile = np.zeros(len(groups) - 1, np.int64)
    index = matrix.transpose().index
    steady = np.diff(index, axis=0)
    regular = depth == 1 or bool((steady == steady[:1]).all() and (steady[:1] >= 0).all())
    if regular:  # columns may still lie in several runs: cut the groups there
        broken = np.flatnonzero(np.diff(index[0]) != 1) + 1
        if depth > 1:
            broken = np.union1d(broken, np.flatnonzero(np.diff(steady[0]) != 0) + 1)
        cut = np.union1d(groups, broken)
        tile = tile[np.searchsorted(groups, cut[:-1], side="right") - 1]
        groups = cut
    g, r = (i.reshape(-1) for i in np.indices((len(groups) - 1, len(pieces) - 1)))
    width, height = np.diff(groups)[g], np.diff(pieces)[r]
    if regular:
        stride = steady[0, groups[:-1]][g] if depth > 1 else np.zeros(len(g), np.int64)
        partials = element_space(at.graph, matrix.dtype).windows(index[pieces[r], groups[g]], width, height, stride)
    else:
        partials = matrix.transpose().flatten().windows(pieces[r] * outputs + groups[g], width, height, outputs)
    if last:
        tile = tile[g]
        results = out.flatten().windows(groups[g], width)
    else:
        tile = at.tiles[np.arange(len(g)) % len(at.tiles)]
        place = r * outputs + groups[g]
        map_runs(at.graph, out, place, place + width, tile)
        results = out.flatten().windows(place, width)
    at.execute(codelet, name, tile, partials=partials, out=results, **constants)


def _multiples(start: np.ndarray, stop: np.ndarray, share: np.ndarray) -> np.ndarray:
    """start, start + share, ... below stop, for every run."""
    count = -(-(stop - start) // share)
    run = np.repeat(np.arange(len(start)), count)
    which = np.arange(len(run)) - np.repeat(np.cumsum(count) - count, count)
    return start[run] + which * share[run]
