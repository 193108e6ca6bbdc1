"""The partition planner: how a matrix product is split over tiles.

A product out (m, n) = a (m, k) . b (k, n) is cut in pm x pk x pn blocks, one vertex and one tile each. Every tile
receives its piece of `a` (and of `b` where that does not live there), multiplies on all workers, and the pk partial
results of an element are added on the tiles that will hold it. The cost of a candidate is in tile cycles:

    sync + exchange of operands + product + exchange of partials + reduction (plan_costs.py)

with the product and the reduction priced by the codelets' own `cycles`. All candidates are priced at once, as columns.

*Weights stay where they are*: with pm = 1 every block of b has one tile, and the three products of training (out, the
gradient of a, the gradient of b) all use that same split, so the plan of weights minimises the sum of the three. The
gradient of b then appears on the very tile of its block and nothing of the size of the weights is ever exchanged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np

from ..codelet.amp import macs_per_cycle
from ..codelet.library import Library
from ..cost.clock import exchange_cycles
from ..dtypes import DType, dtype
from ..errors import GraphMemoryAllocationError, InvalidOption
from ..options import read_options
from ..target import Target
from .mapping import part_bounds
from .plan_costs import add_reduction, cost_table, costs_of, superstep_parts, total_of, utilisation_line

MATMUL_OPTIONS: dict[str, Any] = {
    "available_memory_proportion": 0.6,
    "partials_type": "",
    "fully_connected_pass": "none",
}
NAMES = {"": "forward", "input gradient: ": "input gradient", "weight gradient: ": "weights gradient"}
MAX_PASSES = 64  # over columns
SHORT_BYTES = 8  # pieces up to this long take their time in an exchange
REDUCE_GRAIN = 4  # elements; 16 bytes of float, what a reduction's accumulators take in
NEAR_BEST = 1.06  # plans within this factor of the cheapest count as equally good
PASSES = ("none", "inference_fwd", "training_fwd", "training_bwd", "training_wu")


@dataclass(frozen=True, eq=False)
class Plan:
    """A split of an (m, k) x (k, n) product. Bounds are int64 arrays of piece limits; `serial` the number of passes
    over m that the memory limit asks for; `cycles` the estimate by part, in tile cycles, over all passes."""

    m_bounds: np.ndarray
    k_bounds: np.ndarray
    n_bounds: np.ndarray
    in_dtype: DType
    partials: DType
    serial: int = 1
    cycles: Mapping[str, int] = field(default_factory=dict)
    temp_bytes: int = 0
    bytes: Mapping[str, int] = field(default_factory=dict)
    memory: Mapping[str, int] = field(default_factory=dict)  # temporary bytes by product
    tiles: int = 1  # there are
    peak: float = 64.0  # products a cycle and tile at most
    columns: tuple[
        int, ...
    ] = ()  # limits of the columns made at a time, where not all are; bounds are those of the first

    @property
    def shape(self) -> tuple[int, int, int]:
        return int(self.m_bounds[-1]), int(self.k_bounds[-1]), (self.columns or self.n_bounds)[-1]

    @property
    def parts(self) -> tuple[int, int, int]:
        """Pieces of m, k and n."""
        return len(self.m_bounds) - 1, len(self.k_bounds) - 1, len(self.n_bounds) - 1

    @property
    def num_tiles(self) -> int:
        return int(np.prod(self.parts))

    @property
    def block(self) -> tuple[int, int, int]:
        """Largest piece of m, k and n."""
        m, k, n = (int(np.diff(b).max(initial=0)) for b in (self.m_bounds, self.k_bounds, self.n_bounds))
        return m, k, n

    def report(self) -> str:
        """The plan in words, a line a fact."""
        (m, k, n), (pm, pk, pn), (mb, kb, nb) = self.shape, self.parts, self.block
        total = sum(self.cycles.values())
        lines = [
            f"matmul ({m}, {k}) x ({k}, {n}) {self.in_dtype} with {self.partials} partials",
            f"  split     {pm} x {pk} x {pn} (m, k, n) over {self.num_tiles} tiles, {self.serial} pass(es) over m,"
            f" {max(len(self.columns) - 1, 1)} over n",
            f"  block     {mb} x {kb} x {nb} on the largest tile, {self.temp_bytes} bytes of it temporary",
            utilisation_line(self.macs, self.peak, self.tiles, total),
            f"  estimate  {total} cycles",
        ]
        return "\n".join(lines + cost_table(self.cycles, self.bytes))

    @property
    def macs(self) -> int:
        """Products summed, of all products the plan is for."""
        m, k, n = self.shape
        return m * k * n * (3 if "weight gradient: compute" in self.cycles else 1)

    def costs(self) -> dict[str, dict[str, int]]:
        """Cycles and bytes by part, and in all."""
        return costs_of(self.cycles, self.bytes)


def read_matmul_options(options: Mapping[str, Any] | None, where: str = "poplin.mat_mul") -> dict[str, Any]:
    """Check the options of a product. Raises InvalidOption."""
    read = read_options(options, MATMUL_OPTIONS, where)
    if not 0 < read["available_memory_proportion"] <= 1:
        raise InvalidOption(
            f"{where} option 'available_memory_proportion' is {read['available_memory_proportion']}; it lies in (0, 1]"
        )
    if read["partials_type"] not in ("", "half", "float"):
        raise InvalidOption(f"{where} option 'partials_type' is {read['partials_type']!r}; it is 'half' or 'float'")
    if read["fully_connected_pass"] not in PASSES:
        raise InvalidOption(
            f"{where} option 'fully_connected_pass' is {read['fully_connected_pass']!r}; it is one of {', '.join(PASSES)}"
        )
    return read


def partials_dtype(in_dtype: DType, options: Mapping[str, Any]) -> DType:
    """Type of partial results: as asked, else float for floating operands and the operands' own type for others."""
    if options.get("partials_type"):
        return dtype(options["partials_type"])
    return dtype("float32") if in_dtype.is_floating else in_dtype


@dataclass
class _Prices:
    """Costs of a column of candidates, in cycles by part, and temporary bytes on the fullest tile."""

    parts: dict[str, np.ndarray]
    moved: dict[str, np.ndarray]  # bytes by part
    temp_bytes: np.ndarray

    @property
    def total(self) -> np.ndarray:
        return total_of(self.parts)


def _price(
    target: Target,
    library: Library,
    block,
    parts,
    num_tiles: int,
    types: tuple[DType, DType],
    b_stays: bool,
    run: int = 0,
) -> _Prices:
    """Price products in blocks of (m, k, n) sizes `block`, split in `parts`: numbers or columns. With `run`, elements of
    the first operand lie in runs of that many."""
    in_type, partial_type = types
    (mb, kb, nb), pk = block, parts[1]
    short = -(-mb * kb // run) if run and run * in_type.size <= SHORT_BYTES else 0
    a_bytes, b_bytes = mb * kb * in_type.size, kb * nb * in_type.size
    operand_bytes = a_bytes + np.where(b_stays, 0, b_bytes)
    sizes = {"a": (mb, kb), "b": (kb, nb), "out": (mb, nb)}
    types_of = {"a": in_type, "b": in_type, "out": partial_type}
    product = library["MatMulPartial"].cycles(target, sizes, {}, types_of)
    parts_of = superstep_parts(
        target, product, operand_bytes, 0 * operand_bytes,
        overlap=2 * (parts[0] * pk * parts[2]) > num_tiles, short_fragments=short,
    )  # fmt: skip
    # partial results of one column piece are spread over the tiles that made them
    share = -(-mb * nb // (pk * REDUCE_GRAIN)) * REDUCE_GRAIN
    own_bytes = share * partial_type.size
    partial_bytes = np.where(pk > 1, share * (pk - 1) * partial_type.size, 0)
    reduce_types = {"partials": partial_type, "out": partial_type}
    reduction = library["ReducePartialsAdd"].cycles(
        target, {"partials": (pk, share), "out": (1, share)}, {"scale": 1.0}, reduce_types
    )
    add_reduction(target, parts_of, pk > 1, partial_bytes, own_bytes, reduction)
    made = mb * nb * np.where(pk > 1, partial_type.size, in_type.size)
    temp = np.maximum(operand_bytes + made, np.where(pk > 1, made + partial_bytes + 2 * own_bytes, 0))
    cycles, moved = ({name: np.asarray(v, np.int64) + 0 * pk for name, v in part.items()} for part in parts_of)
    return _Prices(cycles, moved, np.asarray(temp, np.int64))


def _candidates(limit_a: int, limit_b: int, tiles: int) -> tuple[np.ndarray, np.ndarray]:
    """All pairs (p, q) with p <= limit_a, q <= limit_b and p q <= tiles."""
    p = np.arange(1, min(limit_a, tiles) + 1, dtype=np.int64)
    count = np.minimum(tiles // p, limit_b)
    first = np.repeat(np.cumsum(count) - count, count)
    return np.repeat(p, count), np.arange(int(count.sum()), dtype=np.int64) - first + 1


def _grains(target: Target, in_dtype: DType, k: int, n: int) -> tuple[int, int]:
    """Pieces of k and n are whole numbers of these: the product unit's channels, less for small matrices."""
    k_grain = target.weights_per_unit_half if in_dtype.size <= 2 else target.weights_per_unit_float
    n_grain = target.conv_units_half if in_dtype.size <= 2 else target.conv_units_float
    return _grain(k, k_grain), _grain(n, n_grain)


def _grain(size: int, channels: int) -> int:
    return channels if size >= 8 * channels else min(4, size) if size > channels else size


def _piece(size: int, parts: np.ndarray, grain: int) -> tuple[np.ndarray, np.ndarray]:
    """Largest piece and number of pieces when `size` is cut by `part_bounds`."""
    grains = -(-size // grain)
    pieces = np.minimum(parts, grains)
    return np.minimum(-(-grains // pieces) * grain, size), pieces


def plan_weights(
    target: Target,
    batch: int,
    k: int,
    n: int,
    in_dtype: Any,
    *,
    num_tiles: int | None = None,
    training: bool = True,
    k_bounds: np.ndarray | None = None,
    run: int = 0,
    options: Mapping[str, Any] | None = None,
    library: Library | None = None,
) -> Plan:
    """Plan a product (batch, k) x (k, n) whose second operand stays on its tiles.

    With `k_bounds`, the pieces in which the first operand is stored, pieces of k never cross one of them (so that a
    tile's slice of the operand has rows of constant stride); `run`: how many elements of it lie one after another. Raises InvalidOption.
    """
    in_dtype, read = dtype(in_dtype), read_matmul_options(options)
    partial = partials_dtype(in_dtype, read)
    library = library or Library.builtin()
    num_tiles = num_tiles or target.num_tiles
    k_grain, n_grain = _grains(target, in_dtype, k, n)
    pk, pn = _candidates(-(-k // k_grain), -(-n // n_grain), num_tiles)
    kb, pk = _piece(k, pk, k_grain)
    split = np.zeros_like(pk)
    gather = np.zeros_like(pk)
    if k_bounds is not None and 1 < len(k_bounds) <= num_tiles + 1:
        # pieces that lie within a stored piece are read where they are; others are gathered row by row
        blocks, widest = len(k_bounds) - 1, int(np.diff(k_bounds).max())
        crossings = kb // max(int(np.diff(k_bounds).min()), 1) + 2
        gather = 2 * batch * crossings * target.exchange_fragment_cycles
        inner, other = _candidates(-(-widest // k_grain), -(-n // n_grain), num_tiles // blocks)
        inner_kb, inner = _piece(widest, inner, k_grain)
        pk, pn = np.append(pk, inner * blocks), np.append(pn, other)
        kb, split = np.append(kb, inner_kb), np.append(split, inner)
        gather = np.append(gather, np.zeros_like(inner))
    nb, pn = _piece(n, pn, n_grain)
    types = (in_dtype, partial)
    serial, prices, memory = _price_training(
        target, library, batch, (kb, nb), (pk, pn), num_tiles, types, training, read, run
    )
    total = prices.total + gather
    # the cut of n is the next layer's cut of k: of plans about as good, the squarer one leaves it more freedom
    near = np.flatnonzero(total <= NEAR_BEST * total.min())
    best = int(near[np.lexsort((total[near], np.abs(pk - pn)[near], gather[near] > 0))[0]])
    if k_bounds is not None and split[best]:
        pieces = [b + part_bounds(e - b, int(split[best]), k_grain)[:-1] for b, e in pairwise(k_bounds.tolist())]
        bounds_k = np.append(np.concatenate(pieces), k).astype(np.int64)
    else:
        bounds_k = part_bounds(k, int(pk[best]), k_grain)
    return Plan(
        np.array([0, batch], np.int64),
        bounds_k,
        part_bounds(n, int(pn[best]), n_grain),
        in_dtype,
        partial,
        int(serial[best]),
        {name: int(v[best]) for name, v in prices.parts.items()},
        int(prices.temp_bytes[best]),
        {name: int(v[best]) for name, v in prices.moved.items()},
        {NAMES[name]: int(v[best]) for name, v in memory.items()},
        num_tiles,
        macs_per_cycle(target, in_dtype),
    )


def _price_training(
    target, library, batch, pieces, parts, num_tiles, types, training, read, run
) -> tuple[np.ndarray, _Prices, dict[str, np.ndarray]]:
    """Passes over the batch that fit in memory, the price of the forward product or of all three, and memory by product."""
    (kb, nb), (pk, pn) = pieces, parts
    limit = read["available_memory_proportion"] * target.bytes_per_tile
    full = _price(target, library, (batch, kb, nb), (1, pk, pn), num_tiles, types, True)
    serial = np.clip(np.ceil(full.temp_bytes / limit).astype(np.int64), 1, max(batch, 1))
    rows = -(-batch // serial)
    forward = _price(target, library, (rows, kb, nb), (1, pk, pn), num_tiles, types, True, run)
    products = {"": (forward, serial)}
    temp = forward.temp_bytes
    if training:
        of_input = _price(target, library, (rows, nb, kb), (1, pn, pk), num_tiles, types, True)
        of_weights = _price(target, library, (kb, rows, nb), (pk, 1, pn), num_tiles, types, False, run)
        products |= {"input gradient: ": (of_input, serial), "weight gradient: ": (of_weights, serial)}
        temp = np.maximum(temp, np.maximum(of_input.temp_bytes, of_weights.temp_bytes))
    costs = {prefix + name: v * s for prefix, (p, s) in products.items() for name, v in p.parts.items()}
    moved = {prefix + name: v * s for prefix, (p, s) in products.items() for name, v in p.moved.items()}
    return serial, _Prices(costs, moved, temp), {name: p.temp_bytes for name, (p, _) in products.items()}


def plan_matmul(
    target: Target,
    m: int,
    k: int,
    n: int,
    in_dtype: Any,
    *,
    num_tiles: int | None = None,
    options: Mapping[str, Any] | None = None,
    library: Library | None = None,
) -> Plan:
    """Plan a product of two operands that both come from elsewhere: m, k and n may all be split, and where memory is
    short made in passes over m, n or both.

    Raises InvalidOption, and GraphMemoryAllocationError where no plan fits.
    """
    in_dtype, read = dtype(in_dtype), read_matmul_options(options)
    num_tiles = num_tiles or target.num_tiles
    grain = _grains(target, in_dtype, k, n)[1]
    best: Plan | None = None
    least, passes, smallest = 0, 1, 0
    while passes <= min(MAX_PASSES, -(-n // grain)):
        columns = part_bounds(n, passes, grain)
        plan, smallest = _plan_pass(target, m, k, int(columns[1]), in_dtype, num_tiles, read, library)
        if plan is not None:
            count = len(columns) - 1
            total = count * sum(plan.cycles.values())
            if best is None or total < least:
                best, least = _repeated(plan, columns), total
            if plan.serial == 1 or total > 2 * least:
                break
        passes *= 2
    if best is None:
        raise GraphMemoryAllocationError(
            f"matmul ({m}, {k}) x ({k}, {n}): the smallest piece of the second operand is {smallest} bytes a tile, over"
            f" {read['available_memory_proportion']} of {target.bytes_per_tile}; raise available_memory_proportion"
        )
    return best


def _repeated(plan: Plan, columns: np.ndarray) -> Plan:
    """The plan of the first of several passes over the columns as that of all."""
    count = len(columns) - 1
    if count == 1:
        return plan
    cycles, moved = ({name: n * count for name, n in part.items()} for part in (plan.cycles, plan.bytes))
    return replace(plan, cycles=cycles, bytes=moved, columns=tuple(columns.tolist()))


def _plan_pass(
    target: Target, m: int, k: int, n: int, in_dtype: DType, num_tiles: int, read: Mapping[str, Any], library: Any
) -> tuple[Plan | None, int]:
    """The best plan that makes all columns at a time, None where none fits; and the smallest piece of the second operand
    in bytes."""
    partial = partials_dtype(in_dtype, read)
    library = library or Library.builtin()
    k_grain, n_grain = _grains(target, in_dtype, k, n)
    columns = []
    for rows_apart in _splits(m, num_tiles):
        pk, pn = _candidates(-(-k // k_grain), -(-n // n_grain), num_tiles // rows_apart)
        columns.append((np.full_like(pk, rows_apart), pk, pn))
    pm, pk, pn = (np.concatenate(c) for c in zip(*columns, strict=True))
    (mb, pm), (kb, pk), (nb, pn) = _piece(m, pm, 1), _piece(k, pk, k_grain), _piece(n, pn, n_grain)
    limit = read["available_memory_proportion"] * target.bytes_per_tile
    types = (in_dtype, partial)
    full = _price(target, library, (mb, kb, nb), (pm, pk, pn), num_tiles, types, False)
    fixed = kb * nb * in_dtype.size
    serial = np.ceil((full.temp_bytes - fixed) / np.maximum(limit - fixed, 1)).astype(np.int64)
    fits = fixed < limit
    if not fits.any():
        return None, int(fixed.min())
    serial = np.clip(serial, 1, np.maximum(mb, 1))
    rows = -(-mb // serial)
    # with several passes the second operand is brought once, before them, and stays
    prices = _price(target, library, (rows, kb, nb), (pm, pk, pn), num_tiles, types, serial > 1)
    brought = target.sync_cycles + exchange_cycles(target, -(-fixed // 4), 0, 1)
    once = np.where(serial > 1, brought, 0)
    total = np.where(fits, prices.total * serial + once, np.iinfo(np.int64).max)
    best = int(np.lexsort((prices.temp_bytes, total))[0])
    plan = Plan(
        part_bounds(m, int(pm[best])),
        part_bounds(k, int(pk[best]), k_grain),
        part_bounds(n, int(pn[best]), n_grain),
        in_dtype,
        partial,
        int(serial[best]),
        {name: int(v[best] * serial[best]) for name, v in prices.parts.items()} | {"broadcast": int(once[best])},
        int(prices.temp_bytes[best]) + (int(fixed[best]) if serial[best] > 1 else 0),
        {name: int(v[best] * serial[best]) for name, v in prices.moved.items()}
        | ({"broadcast": int(fixed[best])} if serial[best] > 1 else {}),
        {},
        num_tiles,
        macs_per_cycle(target, in_dtype),
    )
    return plan, int(fixed.min())


def _splits(size: int, tiles: int) -> list[int]:
    """Numbers of pieces worth trying for the rows: all small ones, then those that cut in pieces of distinct size."""
    limit = min(size, tiles)
    counts = np.arange(1, max(limit, 1) + 1)
    pieces = -(-size // counts)
    _, first = np.unique(pieces, return_index=True)
    return sorted(counts[first].tolist())
