"""Which results may be written over an operand: liveness of the values that lie in a variable, during lowering.

`Places` maps values to tensors and knows which values lie in a variable. `InPlace` says of an op about to be lowered which
of its operands (`Op.in_place`) nobody reads afterwards; the lowering vocabulary (`Lowering.result`) takes their memory
where a codelet has an in-place form, else the operand is refused. What was taken and refused, and why, is kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..graph import Tensor
from ..opgraph.op import Op, Value

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .walk import _Walk


class Places(dict[Value, Tensor]):
    """Tensor of each value, and for each variable the values that were ever put in it."""

    def __init__(self) -> None:
        super().__init__()
        self._in: dict[int, dict[Value, None]] = {}

    def __setitem__(self, value: Value, tensor: Tensor) -> None:
        super().__setitem__(value, tensor)
        for variable in tensor.variables():
            self._in.setdefault(variable.index, {})[value] = None

    def __ior__(self, others: Mapping[Value, Tensor]) -> Places:  # type: ignore[override,misc]
        for value, tensor in others.items():
            self[value] = tensor
        return self

    def beside(self, tensor: Tensor) -> Iterable[Value]:
        """Values that lie in the variables of a tensor now."""
        mine = {v.index for v in tensor.variables()}
        for index in mine:
            for value in self._in.get(index, ()):
                if not mine.isdisjoint(v.index for v in self[value].variables()):
                    yield value


@dataclass
class Overwriting:
    """What results were written over: `taken` (result -> operand), and `refused` (result -> why no operand was)."""

    taken: dict[str, str] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)

    def text(self) -> list[str]:
        """A line a result."""
        lines = [f"in place {result} over {operand}" for result, operand in self.taken.items()]
        return lines + [f"not in place {result}: {why}" for result, why in self.refused.items()]


class InPlace:
    """Decides for the walk; `wanted` False refuses everything."""

    def __init__(self, walk: _Walk, wanted: bool):
        self.walk = walk
        self.wanted = wanted
        self.notes = Overwriting()
        self.of_bodies: set[int] = set()  # variables of bodies: what lies there another call writes over
        self._windows: tuple[list[int], int, dict[Value, int]] | None = None

    @contextmanager
    def body(self, starts: list[int], length: int) -> Iterator[None]:
        """While the body that windows of ops share is lowered."""
        ops = self.walk.g.ops
        inside = {v: n for n, v in enumerate(v for op in ops[starts[0] : starts[0] + length] for v in op.outputs)}
        first = len(self.walk.graph.variables)
        self._windows = starts, length, inside
        yield
        self._windows = None
        self.of_bodies.update(range(first, len(self.walk.graph.variables)))

    def dies(self, value: Value, number: int) -> bool:
        """Whether nobody reads the value after op `number`; in a body, after that op of any window."""
        if self._windows is None:
            return self.walk.last_use.get(value, -1) <= number
        starts, length, inside = self._windows
        if value not in inside:
            return False
        ops, last, at = self.walk.g.ops, self.walk.last_use, number - starts[0]
        twins = ([v for op in ops[s : s + length] for v in op.outputs][inside[value]] for s in starts)
        return all(last.get(v, -1) <= s + at for v, s in zip(twins, starts, strict=True))

    def offer(self, number: int, op: Op) -> list[tuple[str, Tensor]]:
        """Operands of an op whose memory its result may take, in the order the op names them: (path, tensor)."""
        if not op.in_place or not op.outputs or op.updates:
            return []
        found, why = [], "no operand has its shape and type"
        for name in op.in_place:
            value = getattr(op, name)
            if not isinstance(value, Value) or value.type != op.outputs[0].type:
                continue
            why = self._refuses(number, op, value)
            if not why:
                found.append((value.name, self.walk.place[value]))
        if not found:
            self.notes.refused[op.outputs[0].name] = why
        return found

    def _refuses(self, number: int, op: Op, value: Value) -> str:
        """Why the memory of an operand cannot be taken; empty where it can."""
        walk, tensor = self.walk, self.walk.place[value]
        if not self.wanted:
            return "in_place is off"
        if value.op is None:
            return f"{value.name} is {'a parameter' if value in walk.parameters else 'an input'} of the model"
        if not self.dies(value, number):
            return f"{value.name} is read later"
        if tensor.contains_aliases or tensor.contains_constant:
            return f"{value.name} has elements that are constant or stand twice"
        if self._windows is None and not self.of_bodies.isdisjoint(v.index for v in tensor.variables()):
            return f"{value.name} lies in the memory of a repeated block"
        for other in walk.place.beside(tensor):
            if other is value or walk.joins.apart(walk.place[other], tensor):
                continue
            if other in op.inputs:
                return f"{other.name}, which the op reads too, lies in the memory of {value.name}"
            if other.op is None:
                return f"{value.name} is a view of {other.name}"
            if not self.dies(other, number):
                return f"{other.name}, which is read later, lies in the memory of {value.name}"
        return ""

    def settle(self, op: Op, offered: list[tuple[str, Tensor]], taken: Tensor | None) -> None:
        """Note what became of an offer."""
        if taken is not None:
            self.notes.taken[op.outputs[0].name] = next(path for path, tensor in offered if tensor is taken)
        elif offered:
            self.notes.refused[op.outputs[0].name] = f"{op.kind} has no form in place"
