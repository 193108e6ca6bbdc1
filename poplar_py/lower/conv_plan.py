"""The partition planner of convolutions: over which tiles batch, field, kernel, groups and channels are split.

A convolution's three products have one form: a value `a` meets weights or another value, place by place (reach.py). Its
result is cut over batch, the field axes, groups, the blocks of channels of either side, and the kernel; a block of work
goes to each tile, which is sent what it reads of `a` (with the edges neighbours share) and of the other operand. Cuts
over what is summed (a's channels and the kernel; batch and field for the gradient of weights) leave partial results,
which are added on the tiles that made them. Of the kernel the outermost axis of several taps is cut, where a piece has
one block of the channels that a row of weights goes through: what it reads of the row lies together. The cost of a
candidate is in tile cycles,

    sync + exchange of operands + product + exchange of partial results + reduction (plan_costs.py)

with products and reductions priced by the codelets' own `cycles`; all candidates are priced at once, as columns. Where
nothing fits the memory allowed, the result's channels are made in several passes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..codelet.amp import macs_per_cycle
from ..codelet.library import Library
from ..errors import InvalidOption
from ..target import Target
from .conv_price import candidates, price, rows_whole, runs_read, through
from .conv_problem import AXES, WEIGHTS_GRADIENT, Problem
from .mapping import part_bounds
from .plan_costs import cost_table, costs_of, total_of, utilisation_line

MAX_PASSES = 64
MOST_PLANS = 4096  # plans the shared cache keeps
NEAR_BEST = 1.03  # plans within this factor of the cheapest count as equally fast
RUN_BYTES = 64  # what a run of elements costs beside its bytes: an edge, and a row of the exchange plan


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
        still = AXES[1 : 4 - self.problem.axes]
        sizes = {name: int(np.diff(self.bounds[axis]).max(initial=0)) for axis, name in names if axis not in still}
        largest = ", ".join(f"{name} {size}" for name, size in sizes.items())
        lines = [
            f"{self.problem}, {self.problem.partials} partials, {self.problem.codelet(self.method)}",
            f"  split     {split}: {self.num_tiles} tiles, {self.passes} pass(es)",
            f"  piece     {largest} on the largest tile, {self.temp_bytes} bytes of it temporary",
            utilisation_line(self.problem.macs, self.peak, self.tiles, total),
            f"  estimate  {total} cycles",
        ]
        return "\n".join(lines + cost_table(self.cycles, self.bytes))


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
    whole = rows_whole(problem, parts)
    if not whole.any():
        axis = through(problem)
        raise InvalidOption(
            f"plan_constraints: a kernel is cut where every piece has one block of channels {'in' if AXES[axis] == 'a' else 'out'};"
            f" here that takes {problem.names[axis]!r}: {problem.sizes[axis]}, and a tile for every piece"
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
    parts = _constrained(problem, candidates(problem, num_tiles), wanted, num_tiles)
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
    amount = moved["exchange"] + moved["exchange of partials"] + RUN_BYTES * runs_read(problem, parts)
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
