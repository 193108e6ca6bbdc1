"""The partition planner of convolutions: over which tiles batch, field, kernel, groups and channels are split.

A convolution's three products have one form: a value `a` meets weights or another value, place by place (reach.py). Its
result is cut over batch, the field axes, groups, the blocks of channels of either side, and the kernel; a block of work
goes to each tile, which is sent what it reads of `a` (with the edges neighbours share) and of the other operand. Cuts
over what is summed (a's channels and the kernel; batch and field for the gradient of weights) leave partial results,
which are added on the tiles that made them. Of the kernel the outermost axis of several taps is cut, where a piece has
one block of the channels that a row of weights goes through: what it reads of the row lies together. The cost of a candidate is in tile cycles,

    sync + exchange of operands + product + exchange of partial results + reduction (plan_costs.py)

with products and reductions priced by the codelets' own `cycles`; all candidates are priced at once, as columns. Where
nothing fits the memory allowed, the result's channels are made in several passes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from ..codelet.amp import macs_per_cycle
from ..codelet.library import Library
from ..dtypes import INT, DType
from ..errors import InvalidOption
from ..target import Target
from .mapping import part_bounds
from .plan_costs import add_reduction, cost_table, costs_of, superstep_parts, total_of, utilisation_line
from .reach import Reach

FORWARD, INPUT_GRADIENT, WEIGHTS_GRADIENT = "forward", "input_gradient", "weights_gradient"
CODELETS = {FORWARD: "ConvPartial", INPUT_GRADIENT: "ConvInputGradient", WEIGHTS_GRADIENT: "ConvWeightsGradient"}
AXES = ("batch", "field0", "field1", "field2", "groups", "a", "y", "kernel")
MOST_CANDIDATES = 400_000
MAX_PASSES = 64
MOST_PLANS = 4096  # plans the shared cache keeps
NEAR_BEST = 1.03  # plans within this factor of the cheapest count as equally fast
RUN_BYTES = 64  # what a run of elements costs beside its bytes: an edge, and a row of the exchange plan


@dataclass(frozen=True)
class Problem:
    """One product of a convolution. `y` is the result, or for the gradient of weights the other value; blocks and widths
    are those of a group's channels, or of all where `held` groups share a block (`groups` then counts blocks)."""

    kind: str
    batch: int
    groups: int
    a_blocks: int
    a_width: int
    y_blocks: int
    y_width: int
    held: int
    reaches: tuple[Reach, Reach, Reach]  # from the places of y to those of a
    in_dtype: DType
    out_dtype: DType
    partials: DType
    axes: int = 3  # of the field; the first of reaches stand still where there are fewer

    @property
    def names(self) -> tuple[str, ...]:
        """AXES by the names people know them by: field axes numbered from 0."""
        still = 3 - self.axes
        return tuple(f"field{int(n[5:]) - still}" if n.startswith("field") and int(n[5:]) >= still else n for n in AXES)

    @property
    def taps(self) -> int:
        return int(np.prod([r.taps for r in self.reaches]))

    @property
    def kernel_axis(self) -> int:
        """The field axis whose taps are cut: the outermost that has several."""
        return next((d for d, r in enumerate(self.reaches) if r.taps > 1), 0)

    @property
    def together(self) -> bool:
        """Whether blocks hold the channels of several groups."""
        return self.held > 1

    @property
    def methods(self) -> tuple[str, ...]:
        """Ways to do a tile's piece: the product units first, then what suits few channels better."""
        if self.kind != FORWARD:
            return ("",)
        return (
            ("", "Slic")
            if self.together and self.a_width // self.held in (1, 2, 4)
            else ("",)
            if self.together
            else ("", "Horizontal")
        )

    def codelet(self, method: str = "") -> str:
        """Name of the codelet that does a tile's piece."""
        return CODELETS[self.kind] + method + ("Together" if self.together else "")

    @property
    def tap_elements(self) -> int:
        """Weights of a tap between a block of a and a block of y."""
        return self.a_width * self.y_width // self.held

    @property
    def sizes(self) -> tuple[int, ...]:
        """What each of AXES has to cut."""
        taps = self.reaches[self.kernel_axis].taps
        return (self.batch, *(r.windows for r in self.reaches), self.groups, self.a_blocks, self.y_blocks, taps)

    @property
    def macs(self) -> int:
        """Products of elements summed."""
        met = int(np.prod([r.count for r in self.reaches]))
        return self.batch * self.groups * self.a_blocks * self.y_blocks * self.tap_elements * met

    def __str__(self) -> str:
        fields = [[getattr(r, n) for r in self.reaches if r != Reach(1, 1, 1)] for n in ("size", "windows", "taps")]
        a, y, taps = ("x".join(map(str, f)) or "1" for f in fields)
        channels = (self.a_blocks * self.a_width // self.held, self.y_blocks * self.y_width // self.held)
        text = f"{self.kind.replace('_', ' ')} convolution {channels[0]} x {a} -> {channels[1]} x {y}, {taps} taps"
        groups = self.groups * self.held
        return f"{text}, batch {self.batch}{f', {groups} groups' if groups > 1 else ''}, {self.in_dtype}"


@dataclass(frozen=True, eq=False)
class ConvPlan:
    """A split: `bounds` of every one of AXES (int64 piece limits), passes over the pieces of y, and the estimate: tile
    cycles and bytes into the fullest tile by part, temporary bytes on it."""

    problem: Problem
    bounds: dict[str, np.ndarray]
    key: tuple = ()  # what it was planned for
    passes: int = 1
    cycles: Mapping[str, int] = field(default_factory=dict)
    bytes: Mapping[str, int] = field(default_factory=dict)
    temp_bytes: int = 0
    tiles: int = 1  # there are
    peak: float = 64.0  # products a cycle and tile at most
    method: str = ""  # of Problem.methods
    by_row: bool = False  # whether the pieces are those of single rows, of which a tile has many

    @property
    def parts(self) -> tuple[int, ...]:
        """Pieces of every one of AXES."""
        return tuple(len(self.bounds[name]) - 1 for name in AXES)

    @property
    def num_tiles(self) -> int:
        return int(np.prod(self.parts)) // self.passes

    @property
    def num_partials(self) -> int:
        """Partial results of an element."""
        parts = self.parts
        return int(np.prod(parts[:4])) if self.problem.kind == WEIGHTS_GRADIENT else parts[5] * parts[7]

    @property
    def macs(self) -> int:
        """Products summed."""
        return self.problem.macs

    @property
    def memory(self) -> dict[str, int]:
        """Temporary bytes on the fullest tile by product."""
        return {self.problem.kind.replace("_", " "): self.temp_bytes}

    def costs(self) -> dict[str, dict[str, int]]:
        """Cycles and bytes by part, and in all."""
        return costs_of(self.cycles, self.bytes)

    def report(self) -> str:
        """The plan in words, a line a fact."""
        total = sum(self.cycles.values())
        names = list(zip(AXES, self.problem.names, strict=True))
        split = ", ".join(f"{name} {n}" for (_, name), n in zip(names, self.parts, strict=True) if n > 1) or "none"
        largest = ", ".join(f"{name} {int(np.diff(self.bounds[axis]).max(initial=0))}" for axis, name in names)
        lines = [
            f"{self.problem}, {self.problem.partials} partials, {self.problem.codelet(self.method)}",
            f"  split     {split}: {self.num_tiles} tiles, {self.passes} pass(es)",
            f"  piece     {largest} on the largest tile, {self.temp_bytes} bytes of it temporary",
            utilisation_line(self.problem.macs, self.peak, self.tiles, total),
            f"  estimate  {total} cycles",
        ]
        return "\n".join(lines + cost_table(self.cycles, self.bytes))


def _splits(size: int, limit: int) -> np.ndarray:
    """Numbers of pieces worth trying: those that cut `size` into pieces of distinct largest size."""
    counts = np.arange(1, max(min(size, limit), 1) + 1)
    _, first = np.unique(-(-size // counts), return_index=True)
    return np.sort(counts[first])


def _candidates(problem: Problem, tiles: int) -> np.ndarray:
    """Columns of pieces of AXES whose product is at most `tiles`: int64 (8, candidates)."""
    columns = np.ones((8, 1), np.int64)
    for axis, size in enumerate(problem.sizes):
        options = _splits(size, tiles)
        product = columns.prod(axis=0)
        wide = np.repeat(columns, len(options), axis=1)
        wide[axis] = np.tile(options, columns.shape[1])
        columns = wide[:, (np.repeat(product, len(options)) * wide[axis] <= tiles) & _rows_whole(problem, wide)]
        if columns.shape[1] > MOST_CANDIDATES:  # keep those that cut most evenly: an even spread of them
            columns = columns[:, :: -(-columns.shape[1] // MOST_CANDIDATES)]
    used = columns.prod(axis=0)
    enough = used * 4 >= min(used.max(), tiles)
    return columns[:, enough]


def _rows_whole(problem: Problem, parts: np.ndarray) -> np.ndarray:
    """Whether what pieces have of a row of weights lies together: a cut kernel, and one block of what rows go through."""
    through = _through(problem)
    return (parts[7] == 1) | (parts[through] == problem.sizes[through])


def _through(problem: Problem) -> int:
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
    taps = p.taps // p.sizes[7] * k
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


def _runs_read(problem: Problem, parts: np.ndarray) -> np.ndarray:
    """Runs of elements that the largest piece reads of a."""
    n, _, _, _, g, ab, _, _ = (-(-size // count) for size, count in zip(problem.sizes, parts, strict=True))
    x0, x1 = (_extents(problem, d, parts) for d in range(2))
    return n * g * ab * x0 * x1


def _constrained(problem: Problem, parts: np.ndarray, wanted: Mapping[str, Any], num_tiles: int) -> np.ndarray:
    """The candidates with the wanted numbers of pieces. Raises InvalidOption."""
    for axis, (name, size) in enumerate(zip(AXES, problem.sizes, strict=True)):
        count = wanted.get(name)
        if count is None:
            continue
        if count > max(size, 1):
            raise InvalidOption(
                f"plan_constraints: {problem.names[axis]} of this product is {size} long (channels count in blocks of"
                f" {problem.a_width} in, {problem.y_width} out) and cannot be cut into {count}"
            )
        kept = parts[:, parts[axis] == count]
        if not kept.shape[1]:
            kept = parts.copy()
            kept[axis] = count
        parts = kept[:, kept.prod(axis=0) <= num_tiles]
        if not parts.shape[1]:
            raise InvalidOption(f"plan_constraints: no such plan is over {num_tiles} tiles or fewer")
    whole = _rows_whole(problem, parts)
    if not whole.any():
        axis = _through(problem)
        raise InvalidOption(
            f"plan_constraints: a kernel is cut where every piece has one block of channels {'in' if AXES[axis] == 'a' else 'out'};"
            f" here that takes {problem.names[axis]} {problem.sizes[axis]}, and tiles for all pieces"
        )
    return parts[:, whole]


def _methods(problem: Problem, wanted: Mapping[str, Any]) -> tuple[str, ...]:
    """The ways that may do a piece. Raises InvalidOption where the method wanted cannot."""
    method = wanted.get("method")
    if method is None:
        return problem.methods
    can = {"VMAC": "", "SLIC": "Slic"} if problem.together else {"AMP": "", "HMAC": "Horizontal"}
    if can.get(method) not in problem.methods:
        raise InvalidOption(
            f"plan_constraints: method {method} does not do this product; those that do are"
            f" {', '.join(name for name, way in can.items() if way in problem.methods)}"
        )
    return (can[method],)


class PlanningCache:
    """Plans that were made, by what they were made for. Where none is given, one that all graphs share keeps them."""

    def __init__(self) -> None:
        self._plans: dict[tuple, ConvPlan] = {}

    def __len__(self) -> int:
        return len(self._plans)

    @property
    def size(self) -> int:
        """Number of plans."""
        return len(self._plans)

    def plan(self, key: tuple) -> ConvPlan:
        """The plan of (problem, target, number of tiles, proportion, constraints), made where it is not there yet."""
        if key not in self._plans:
            if self is _SHARED and len(self._plans) >= MOST_PLANS:
                self._plans.clear()
            self._plans[key] = _plan(key, *key)
        return self._plans[key]


_SHARED = PlanningCache()


def _plan(
    key: tuple, problem: Problem, target: Target, num_tiles: int, proportion: float, constraints: tuple
) -> ConvPlan:
    library = Library.builtin()
    wanted = dict(constraints)
    parts = _constrained(problem, _candidates(problem, num_tiles), wanted, num_tiles)
    methods = _methods(problem, wanted)
    limit = proportion * target.bytes_per_tile
    passes = int(wanted.get("passes", 1))
    while True:
        cycles, moved, temp = price(problem, target, library, parts, passes, methods[0])
        ways = [cycles["compute"]]
        ways += [price(problem, target, library, parts, passes, m)[0]["compute"] for m in methods[1:]]
        way = np.argmin(ways, axis=0)
        cycles["compute"] = np.min(ways, axis=0)
        fits = temp <= limit
        if fits.any() or "passes" in wanted or passes >= min(MAX_PASSES, problem.y_blocks):
            break
        passes *= 2
    if not fits.any():  # memory is a wall for the whole graph; here it is what a plan should keep to where it can
        fits = temp == temp.min()
    total = np.where(fits, total_of(cycles), np.iinfo(np.int64).max)
    near = np.flatnonzero(total <= NEAR_BEST * total.min())  # of plans about as fast, the one with least to move
    amount = moved["exchange"] + moved["exchange of partials"] + RUN_BYTES * _runs_read(problem, parts)
    best = int(near[np.lexsort((temp[near], amount[near]))[0]])
    counts = dict(zip(AXES, parts[:, best].tolist(), strict=True))
    bounds = {name: part_bounds(size, counts[name]) for name, size in zip(AXES, problem.sizes, strict=True)}
    if passes > 1:
        bounds["y"] = part_bounds(problem.y_blocks, min(counts["y"] * passes, problem.y_blocks))
        passes = -(-(len(bounds["y"]) - 1) // counts["y"])
        even = counts["y"] * passes
        bounds["y"] = np.concatenate([bounds["y"], np.full(even + 1 - len(bounds["y"]), problem.y_blocks)])
    return ConvPlan(
        problem, bounds, key, passes,
        {name: int(v[best]) * passes for name, v in cycles.items()},
        {name: int(v[best]) * passes for name, v in moved.items()},
        int(temp[best]), num_tiles, macs_per_cycle(target, problem.in_dtype), methods[int(way[best])],
    )  # fmt: skip


def plan_convolution(
    problem: Problem, target: Target, *, num_tiles: int | None = None, proportion: float = 0.6,
    constraints: Mapping[str, int] | None = None, cache: PlanningCache | None = None,
) -> ConvPlan:  # fmt: skip
    """The cheapest split of a product; plans are kept, so equal problems are planned once.

    `constraints` fix the number of pieces of some of AXES, "passes" or the "method". Raises InvalidOption where they
    cannot be met. Where nothing fits `proportion` of a tile's memory, the plan of least memory is taken.
    """
    given = tuple(sorted((constraints or {}).items()))
    return (_SHARED if cache is None else cache).plan(
        (problem, target, num_tiles or target.num_tiles, float(proportion), given)
    )
