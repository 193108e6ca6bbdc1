"""What cuts of a convolution's product there are, and what each costs: columns over candidates.

Products and reductions are priced by the codelets' own `cycles`, exchange and sync by the clock (plan_costs.py).
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from ..codelet.library import Library
from ..dtypes import INT
from ..target import Target
from .conv_problem import AXES, FORWARD, INPUT_GRADIENT, WEIGHTS_GRADIENT, Problem
from .mapping import part_bounds
from .plan_costs import add_reduction, superstep_parts

MOST_CANDIDATES = 400_000


def _splits(size: int, limit: int) -> np.ndarray:
    """Numbers of pieces worth trying: those that cut `size` into pieces of distinct largest size."""
    counts = np.arange(1, max(min(size, limit), 1) + 1)
    _, first = np.unique(-(-size // counts), return_index=True)
    return np.sort(counts[first])


def candidates(problem: Problem, tiles: int) -> np.ndarray:
    """Columns of pieces of AXES whose product is at most `tiles`: int64 (8, candidates)."""
    columns = np.ones((8, 1), np.int64)
    for axis, size in enumerate(problem.sizes):
        options = _splits(size, tiles)
        product = columns.prod(axis=0)
        wide = np.repeat(columns, len(options), axis=1)
        wide[axis] = np.tile(options, columns.shape[1])
        columns = wide[:, (np.repeat(product, len(options)) * wide[axis] <= tiles) & rows_whole(problem, wide)]
        if columns.shape[1] > MOST_CANDIDATES:  # keep those that cut most evenly: an even spread of them
            columns = columns[:, :: -(-columns.shape[1] // MOST_CANDIDATES)]
    used = columns.prod(axis=0)
    enough = used * 4 >= min(used.max(), tiles)
    return columns[:, enough]


def rows_whole(problem: Problem, parts: np.ndarray) -> np.ndarray:
    """Whether what pieces have of a row of weights lies together: a cut kernel, and one block of what rows go through."""
    axis = through(problem)
    return (parts[7] == 1) | (parts[axis] == problem.sizes[axis])


def through(problem: Problem) -> int:
    """The number of the axis whose blocks a row of weights goes through."""
    return AXES.index("y" if problem.kind == INPUT_GRADIENT else "a")


def _extents(problem: Problem, d: int, parts: np.ndarray) -> np.ndarray:
    """Most places of a on field axis `d` that a piece meets, for pieces of AXES."""
    reach, cut = problem.reaches[d], parts[7] if d == problem.kernel_axis else np.ones_like(parts[7])
    pairs, which = np.unique(np.stack([parts[1 + d], cut]), axis=1, return_inverse=True)
    table = []
    for n, taps in pairs.T.tolist():
        bounds, of_taps = part_bounds(reach.windows, n), part_bounds(reach.taps, taps)
        most = 0
        for begin, end in pairwise(of_taps.tolist()):
            first, stop = reach.some(begin, end).seen(bounds[:-1], bounds[1:])
            most = max(most, int((stop - first).max(initial=0)))
        table.append(most)
    return np.array(table, np.int64)[which.reshape(-1)]


def _runs_made(p: Problem, parts: np.ndarray, piece: tuple[np.ndarray, ...]) -> np.ndarray:
    """Runs of elements that the largest piece of the result is."""
    n, g, _, yb, f0, f1 = piece
    if p.kind == WEIGHTS_GRADIENT:
        return np.where(parts[5] * parts[7] > 1, g * yb, 1)
    lines = n * np.where(parts[1:4].prod(axis=0) * parts[6] > 1, g * yb, 1)
    return lines * np.where(parts[3] > 1, f0 * f1, np.where(parts[2] > 1, f0, 1))


def price(
    problem: Problem, target: Target, library: Library, parts: np.ndarray, passes: Any = 1, method: str = ""
) -> tuple[dict, dict, np.ndarray]:
    """Cycles and bytes by part of one pass, columns, and temporary bytes, for pieces (8, candidates) of AXES."""
    p = problem
    n, f0, f1, f2, g, ab, yb, k = (-(-size // count) for size, count in zip(p.sizes, parts, strict=True))
    yb = -(-yb // passes)
    x0, x1, x2 = (_extents(p, d, parts) for d in range(3))
    a = (n * g * ab * x0 * x1, x2 * p.a_width)
    y = (n * g * yb * f0 * f1, f2 * p.y_width)
    taps = p.taps_beside * k
    each = taps * p.tap_elements
    forward = p.kind != INPUT_GRADIENT
    w = (g * yb, ab * each) if forward else (g * ab, yb * each)
    width = p.y_width if forward or p.together else p.a_width
    item, spread = p.in_dtype.size, parts[:4].prod(axis=0)
    constants = {"groups": g, "width": width, "taps": taps, "lines": n * f0 * f1}
    if p.kind == WEIGHTS_GRADIENT:
        sizes, result, count, other = {"a": a, "dy": y, "out": w}, w, spread, y[0] * y[1] * item
    else:
        sizes, result, count, other = {"a": a, "w": w, "out": y}, y, parts[5] * parts[7], w[0] * w[1] * item
    out_type = np.where(count > 1, p.partials.size, p.out_dtype.size)
    types = dict.fromkeys(sizes, p.in_dtype) | {"out": p.partials, "shape": INT}
    types |= dict.fromkeys(constants, INT)
    info = library[p.codelet(method)]
    product = info.cycles(target, sizes | {"shape": (1, 39)}, constants, {f: types[f] for f in info.fields})
    a_bytes = a[0] * a[1] * item
    held = other // spread if p.kind == FORWARD else 0 * other  # weights lie on the tiles that read them
    operands = a_bytes + other - held
    elements = result[0] * result[1]
    share = -(-elements // (count * p.y_width)) * p.y_width
    parts_of = superstep_parts(target, product, operands, held * (spread > 1))
    runs = _runs_made(p, parts, (n, g, ab, yb, f0, f1))
    cuts = _runs_of_a_share(elements, runs, share)
    each_share = -(-share // cuts)
    reduction = cuts * library["ReducePartialsAdd"].cycles(
        target,
        {"partials": (count, each_share), "out": (1, each_share)},
        {},
        {"partials": p.partials, "out": p.out_dtype},
    )
    partial_bytes = np.where(count > 1, share * (count - 1) * p.partials.size, 0)
    own_bytes = share * p.partials.size
    add_reduction(target, parts_of, count > 1, partial_bytes, own_bytes, reduction)
    gathered = a_bytes + other - np.where((p.kind == FORWARD) & (spread == 1), other, 0)
    added = np.where(count > 1, partial_bytes + own_bytes + share * p.out_dtype.size, 0)
    temp = np.maximum(gathered + elements * out_type, np.where(count > 1, elements * out_type + added, 0))
    return (*parts_of, temp)


def _runs_of_a_share(elements: Any, runs: Any, share: Any) -> Any:
    """Into how many vertices the summing of a share falls: the runs of the result it meets."""
    length = np.maximum(elements // np.maximum(runs, 1), 1)
    even = np.where(share >= length, share % length == 0, length % share == 0)
    return np.minimum(-(-share // length) + ~even, runs)


def runs_read(problem: Problem, parts: np.ndarray) -> np.ndarray:
    """Runs of elements that the largest piece reads of a."""
    n, _, _, _, g, ab, _, _ = (-(-size // count) for size, count in zip(problem.sizes, parts, strict=True))
    x0, x1 = (_extents(problem, d, parts) for d in range(2))
    return n * g * ab * x0 * x1
