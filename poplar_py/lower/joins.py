"""Concatenation into place on the tiles: parts that are written straight to the variable of the joined value.

Values of a network are stored in blocks of channels (stored.py). In a batch of one a run of blocks is a run of memory, so
the result of a concatenation of channels can be one variable, the *whole*, whose runs the ops that make the parts map and
write themselves: no copy, no second variable. What has a home there is found on the op graph (opgraph/joins.py), as far as
that does not raise the peak; what ends up elsewhere all the same, as the results of repeated blocks do, is copied. Either way
a part of the whole lies on the tiles that the part was made on, so sums over it have one order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..graph import StoredView, Tensor
from ..opgraph.joins import Home, axis_of, find_homes, slots, worthwhile
from ..opgraph.lying import leading_operand
from ..opgraph.op import Op, Value
from ..program import WriteUndef
from .mapping import map_linearly, map_runs
from .stored import block_of, blocks_of, field_view

if TYPE_CHECKING:
    from .lowering import Lowering
    from .walk import _Walk


def joined_width(op: Op) -> int:
    """Channels of a block of all parts and of the result of a concatenation that can be one run for each part; else 0."""
    y = op.outputs[0]
    if y.ndim < 3 or y.shape[0] != 1 or axis_of(op) != 1 or y.size == 0 or int(np.prod(y.shape[2:])) == 1:
        return 0
    widths = {block_of(v.shape[1]) for v in (*op.inputs, y)}
    return widths.pop() if len(widths) == 1 and 0 not in {v.shape[1] for v in op.inputs} else 0


def _in_blocks(value: Value, width: int) -> tuple[int, ...]:
    """The shape of a value of one sample as it is stored, in blocks of `width` channels."""
    return (1, value.shape[1] // width, *value.shape[2:], width)


class HomeOffer:
    """The place that is kept for the first result of an op being lowered; whoever makes it takes it, once."""

    def __init__(self, stored: Callable[[], Tensor], dtype: Any, shape: tuple[int, ...]):
        self._make = stored
        self.dtype = dtype
        self.shape = shape  # (1, blocks, *field, channels of a block)
        self.taken: Tensor | None = None

    def take(self, dtype: Any, shape: tuple[int, ...]) -> Tensor | None:
        """The place as a tensor of that shape, to be mapped by the taker, or None where the result is stored otherwise."""
        size = int(np.prod(shape, dtype=np.int64))
        if self.taken is not None or dtype != self.dtype or size != int(np.prod(self.shape, dtype=np.int64)):
            return None
        if shape[-1] != self.shape[-1]:
            return None
        self.taken = self._make()
        return self.taken.reshape(shape)


@dataclass(frozen=True, eq=False)
class JoinTarget:
    """A run of memory (1, blocks, *field, channels of a block) for joined values: the blocks [begin, end) of each part."""

    run: Tensor
    blocks: list[tuple[int, int]]

    def join(self, at: Lowering, parts: Sequence[Tensor], name: str) -> bool:
        """Copy the parts that are not where they belong, to the tiles they lie on. False where they are stored otherwise."""
        found = [blocks_of(t) for t in parts]
        whole = [s for s in found if s is not None and s.is_contiguous and s.shape[-1] == self.run.shape[-1]]
        if len(whole) < len(parts):
            return False
        for part, (begin, end) in zip(whole, self.blocks, strict=True):
            place = self.run[:, begin:end]
            if part.offset != place.offset:
                map_like(at, place, part)
                at.copy(part, place, name)
        return True


class Joins:
    """The wholes of an op graph and what lies in them, as the walk comes by."""

    def __init__(self, walk: _Walk, wanted: bool, inside: set[int]):
        """`inside`: ops of repeated blocks, whose results lie in memory of the block."""
        self.walk = walk
        self.inside = {walk.g.ops[number] for number in inside}
        self.homes: dict[Value, Home] = {}
        self.wholes: dict[Value, Tensor] = {}
        if wanted and any(op.kind == "concat" for op in walk.g.ops):
            number = {op: i for i, op in enumerate(walk.g.ops)}
            homes = find_homes(walk.g, lambda op: self._written_over(op, number[op]), self._fits)
            self.homes = worthwhile(walk.g, homes)

    def _fits(self, op: Op) -> bool:
        return op not in self.inside and joined_width(op) > 0

    def _written_over(self, op: Op, number: int) -> Value | None:
        """The operand that an elementwise op is lowered to be written over, where it ends there."""
        value = leading_operand(op)
        if op in self.inside or value is None or self.walk.last_use.get(value, -1) > number:
            return None
        return value if sum(v is value for v in op.inputs) == 1 else None

    def _stored(self, home: Home, channels: int) -> Tensor:
        """Blocks of a whole from a home's first channel on; the whole is made with its first part."""
        whole = home.whole
        assert whole.op is not None
        width = joined_width(whole.op)
        if whole not in self.wholes:
            graph, at = self.walk.graph, self.walk.at
            outside, graph._scope = graph._scope, [part for part in whole.op.scope.split("/") if part]
            self.wholes[whole] = at.variable(whole.dtype, _in_blocks(whole, width), whole.op.leaf, mapping=None)
            graph._scope = outside
            at.program.add(WriteUndef(self.wholes[whole]))  # its parts are written one by one, which ends no lifetime
        begin = home.begin // width
        return self.wholes[whole][:, begin : begin + channels // width]

    def offer(self, op: Op) -> HomeOffer | None:
        """The home of what an op makes; None where there is none, or where an operand lies there."""
        if not op.outputs or op.outputs[0] not in self.homes or op.view_of or op in self.inside:
            return None
        value, home = op.outputs[0], self.homes[op.outputs[0]]
        assert home.whole.op is not None
        width = joined_width(home.whole.op)
        if home.whole in self.wholes:
            mine = self._stored(home, value.shape[1])
            if any(_meets(mine, self.walk.place[v]) for v in op.inputs):
                return None
        return HomeOffer(lambda: self._stored(home, value.shape[1]), value.dtype, _in_blocks(value, width))

    def settle(self, value: Value, result: Tensor) -> Tensor | None:
        """The home of a value that a repeated block made, on the tiles of its result; None where it has none."""
        home = self.homes.get(value)
        stored = None if home is None else blocks_of(result)
        if home is None or stored is None or not stored.is_contiguous:
            return None
        place = self._stored(home, value.shape[1])
        if place.shape != stored.shape:
            return None
        map_like(self.walk.at, place, stored)
        return field_view(place)

    def target(self, op: Op) -> JoinTarget | None:
        """Where a concatenation goes: its home, or a variable of its own; None where it cannot be one run for each part."""
        if op.kind != "concat" or not joined_width(op):
            return None
        value, width = op.outputs[0], joined_width(op)
        home = self.homes.get(value)
        if home is not None:
            run = self._stored(home, value.shape[1])
        else:
            run = self.walk.at.variable(value.dtype, _in_blocks(value, width), op.leaf, mapping=None)
        return JoinTarget(run, [(b // width, (b + v.shape[1]) // width) for v, b in slots(op)])

    def apart(self, a: Tensor, b: Tensor) -> bool:
        """Whether two tensors lie in one whole and share nothing there."""
        variables = [v for t in (a, b) for v in t.variables()]
        mine = {w.variables()[0].index for w in self.wholes.values()}
        return len({v.index for v in variables}) == 1 and variables[0].index in mine and not _meets(a, b)


def _span(t: Tensor) -> tuple[int, int] | None:
    """Element numbers between which an affine tensor lies."""
    t = t.stored if isinstance(t, StoredView) else t
    if not t.is_affine or t.size == 0:
        return None
    steps = [(n - 1) * s for n, s in zip(t.shape, t.strides, strict=True)]
    return t.offset + sum(min(s, 0) for s in steps), t.offset + sum(max(s, 0) for s in steps) + 1


def _meets(a: Tensor, b: Tensor) -> bool:
    """Whether tensors may share an element."""
    one, other = _span(a), _span(b)
    if one is None or other is None:
        return not {v.index for v in a.variables()}.isdisjoint(v.index for v in b.variables())
    return one[0] < other[1] and other[0] < one[1]


def map_like(at: Lowering, place: Tensor, part: Tensor) -> None:
    """Put a tensor on the tiles of another that is stored alike; evenly where that one is on none."""
    start, stop, tile = at.top.tile_mapping(part.flatten())
    if (tile < 0).any():
        map_linearly(at.graph, place.flatten(), grain=place.shape[-1])
    else:
        map_runs(at.graph, place.flatten(), start, stop, tile)
