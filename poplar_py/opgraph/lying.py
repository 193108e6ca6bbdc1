"""By what it is decided where a value lies on the tiles, and whether that decides a sum.

Some ops add up shares that follow the place of an operand (`Op.sums`: norms, reductions): another place, another order,
another last bit. Where results lie depends on the operands named by `Op.laid_by`. From both follows, without lowering
anything, which values' places *matter*, and a *form* of each: values of the same form are cut alike over tiles,
whichever tiles these are. Ops may be lowered as one (outline.py) where that changes the form of nothing that matters;
then outlining and recomputation leave every sum in its order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from .graph import OpGraph
from .op import Op, Value

PARTS = ("slice", "broadcast_to", "concat")  # views that a variable of the same shape is not laid out like


class Lying:
    """Forms of the values of an op graph; `describe` says of an op what it is besides the forms of its operands."""

    def __init__(self, g: OpGraph, describe: Callable[[Op], Any]):
        self.parameters = {p.value for p in g.parameters}
        self._numbers: dict[Any, int] = {}
        self._forms: dict[Value, tuple[int, ...]] = {}
        for op in g.ops:
            own = self._number((describe(op), len(op.outputs)))
            forms = dict.fromkeys(f for v in decided_by(op) for f in self.form(v))
            self._forms |= dict.fromkeys(op.outputs, (own, *(f for f in forms if f != own)))
        self.matters: set[Value] = set()
        for op in reversed(g.ops):
            if op.sums or not self.matters.isdisjoint(op.outputs):
                self.matters.update(decided_by(op))

    def _number(self, what: Any) -> int:
        return self._numbers.setdefault(what, len(self._numbers))

    def form(self, value: Value) -> tuple[int, ...]:
        """What the place of a value is decided by: the op that makes it and those that this one follows, each kind of
        op once, so that chains of equal blocks come to one form. Parameters go by their type, inputs by themselves."""
        if value not in self._forms:
            self._forms[value] = (self._number(value.type if value in self.parameters else value),)
        return self._forms[value]

    def forms_that_matter(self, op: Op) -> tuple[tuple[int, ...], ...]:
        """Forms that another op's operands must have for both to add up alike and to lay alike what matters."""
        if not op.sums and self.matters.isdisjoint(op.outputs):
            return ()
        return tuple(self.form(v) for v in decided_by(op))

    def adds_a_view(self, op: Op) -> bool:
        """Whether an op adds up part of another value: as an argument of a function that would be laid out otherwise."""
        return op.sums and any(_is_part(v) for v in decided_by(op))


def decided_by(op: Op) -> Iterable[Value]:
    """Operands by whose places it goes where an op's results lie and in which order it sums."""
    if op.laid_by is None:
        leading = leading_operand(op)
        return op.inputs if leading is None else (leading,)
    operands = (getattr(op, name) for name in op.laid_by)
    return tuple(v for v in operands if isinstance(v, Value))


def leading_operand(op: Op) -> Value | None:
    """The operand that an elementwise result is laid out like, whether it is written over it or not: of those whose
    memory it may take (`Op.in_place`) the first that an op made as a whole. None: the op decides."""
    if op.laid_by is not None or not op.outputs:
        return None
    operands = (getattr(op, name) for name in op.in_place)
    made = (v for v in operands if isinstance(v, Value) and v.op is not None and v.type == op.outputs[0].type)
    return next((v for v in made if not _is_part(v)), None)


def _is_part(value: Value) -> bool:
    while value.op is not None and value.op.view_of:
        if value.op.kind in PARTS:
            return True
        value = value.op.inputs[0]
    return False
