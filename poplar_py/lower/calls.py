"""Calls: what repeats in an op graph is lowered once, as a Function, and called.

A body (opgraph/outline.py) owns its argument tensors, laid out as the first window's operands are. Around every call
the actual operands are copied in; results are copied out when the next call of the body would overwrite them and
somebody still reads them. What all windows read alike is no argument, unless another body made it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..graph import Function, RemoteBuffer, Tensor
from ..opgraph.graph import OpGraph
from ..opgraph.op import Op, Value
from ..opgraph.outline import Body, arguments, find_bodies, results_used, window_values
from ..program import Call
from ..program import Sequence as Program

if TYPE_CHECKING:
    from .walk import _Walk


@dataclass(eq=False)
class _Lowered:
    """A body as lowered: its Function, the tensors of its arguments and results; values that lie in the latter now, by
    number of the result, and values that other ops made and that are views of them."""

    function: Function
    arguments: list[tuple[tuple[Value, ...], Tensor | None]]
    results: list[Tensor]
    vertices: int
    lying: dict[Value, int] = field(default_factory=dict)
    views: set[Value] = field(default_factory=set)
    copied: int = 0


class Calls:
    """The bodies of an op graph, and their calls as the walk comes by."""

    def __init__(self, g: OpGraph, walk: _Walk, wanted: bool):
        self.g = g
        self.walk = walk
        bodies = find_bodies(g, len(walk.at.tiles)) if wanted else []
        self.starts = {start: (body, turn) for body in bodies for turn, start in enumerate(body.starts)}
        self.inside = {start + k for body in bodies for start in body.starts for k in range(body.length)}
        self.lowered: dict[Body, _Lowered] = {}
        # what calls make lies in the result tensors of a body until its next call, then elsewhere
        self.moving = {v for body in bodies for start in body.starts for v in window_values(g, start, body.length)}

    def lower(self, number: int) -> int:
        """Lower the call whose window starts at op `number`: how many ops that were; 0 where no window starts."""
        if number not in self.starts:
            return 0
        body, turn = self.starts[number]
        if body not in self.lowered:
            self.lowered[body] = self._lower_body(body)
        self._call(body, self.lowered[body], turn)
        return body.length

    def _lower_body(self, body: Body) -> _Lowered:
        walk, at, start = self.walk, self.walk.at, body.starts[0]
        path = self.g.ops[start].scope or self.g.ops[start].name
        slots = arguments(self.g, body.starts, body.length)
        for slot in slots:
            self._place(slot[0], start, body.length)
        actual = {slot[0]: walk.place[slot[0]] for slot in slots}
        bound: list[tuple[tuple[Value, ...], Tensor | None]] = []
        own: dict[Value, Tensor] = {}
        for n, slot in enumerate(slots):
            tensor = None
            if any(v is not slot[0] for v in slot) or slot[0] in self.moving:
                tensor = at.variable_like(actual[slot[0]], f"{path}/arguments/{n}")
                self._same_home(actual[slot[0]], tensor)
                own[slot[0]] = tensor
            bound.append((slot, tensor))
        outside, at.program = at.program, Program(name=f"{path}/body")
        first = at.top.num_vertices
        walk.place |= own
        with walk.in_place.body(body.starts, body.length):
            for k in range(body.length):
                walk.lower_op(start + k, self.g.ops[start + k])
        function = at.top.add_function(at.program)
        at.program = outside
        walk.place |= actual
        values = list(window_values(self.g, start, body.length))
        results = [walk.place[v] for v in values]
        return _Lowered(function, bound, results, at.top.num_vertices - first)

    def _place(self, value: Value, start: int, length: int) -> None:
        """Give an operand of the first window a place, where the op that reads it wants it."""
        if value not in self.walk.place:
            reader = next(op for op in self.g.ops[start : start + length] if value in op.inputs)
            for other in (*(v for v in reader.inputs if v in self.walk.parameters), *reader.inputs):
                if other not in self.walk.place and other.op is None:
                    self.walk.make(other, reader)

    def _same_home(self, actual: Tensor, argument: Tensor) -> None:
        """Plans that run where the actual weights lie also run where the argument lies: on the same tiles."""
        kept = self.walk.at.kept_tiles
        names = actual.variables()[0].name, argument.variables()[0].name
        for (name, plan), tiles in list(kept.items()):
            if name == names[0]:
                kept[names[1], plan] = tiles

    def _call(self, body: Body, lowered: _Lowered, turn: int) -> None:
        walk, at, start = self.walk, self.walk.at, body.starts[turn]
        end = start + body.length
        copies: list[tuple[Tensor | RemoteBuffer, Tensor]] = []
        for slot, argument in lowered.arguments:
            if argument is None:
                continue
            value = slot[turn]
            if value not in walk.place:
                walk.make(value, None, like=argument)
            copies.append((walk.off_chip.source(value), argument))
        with at.scope(self.g.ops[start].scope):
            for source, argument in copies:
                at.copy(source, argument, "bind")
                lowered.copied += argument.size_bytes
            for value, number in list(lowered.lying.items()):
                if walk.last_use.get(value, -1) >= end:  # read after this call, which overwrites it
                    walk.place[value] = self._moved(value, lowered.results[number])
                    lowered.copied += value.size * value.dtype.size
            for value in sorted(lowered.views, key=lambda v: v.name):
                if walk.last_use.get(value, -1) >= end:
                    walk.place[value] = at.duplicate(walk.place[value], "result")
                    lowered.copied += value.size * value.dtype.size
            at.program.add(Call(lowered.function))
        lowered.lying.clear()
        lowered.views.clear()
        for number, value in enumerate(window_values(self.g, start, body.length)):
            walk.place[value] = lowered.results[number]
            if walk.last_use.get(value, -1) >= end:
                lowered.lying[value] = number

    def _moved(self, value: Value, result: Tensor) -> Tensor:
        """A copy of what a call made: where a concatenation will have it, or in a variable of its own."""
        home = self.walk.joins.settle(value, result)
        if home is None:
            return self.walk.at.duplicate(result, "result")
        self.walk.at.copy(result, home, "result")
        return home

    def made(self, op: Op) -> None:
        """An op was lowered: where its results are views of what calls made, they move with it."""
        for lowered in self.lowered.values():
            if any(v in lowered.lying or v in lowered.views for v in op.inputs):
                theirs = {v.index for tensor in lowered.results for v in tensor.variables()}
                for value in op.outputs:
                    place = self.walk.place.get(value)
                    if place is not None and any(v.index in theirs for v in place.variables()):
                        lowered.views.add(value)
                        self.moving.add(value)

    def report(self) -> list[dict[str, Any]]:
        """The bodies: path of the first window, calls, ops, vertices of one, bytes copied around all calls."""
        return [
            {
                "path": self.g.ops[body.starts[0]].name,
                "calls": len(body.starts),
                "ops": body.length,
                "vertices": lowered.vertices,
                "results": len(results_used(self.g, self.walk.last_use, body.starts, body.length)),
                "bytes_copied": lowered.copied,
            }
            for body, lowered in self.lowered.items()
        ]
