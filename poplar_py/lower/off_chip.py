"""Values kept in streaming memory while nothing on the chip needs them: optimiser state, activations, weights.

On request (`off_chip`). A parameter's home is then a remote buffer of its path: ops that read it are preceded by a copy to
the chip, ops that change it followed by a copy back, and between them its tile memory is free for others. Activations
that the backward phase reads are stored after their last use in the forward phase and fetched before their first use in
the backward one. Copies change no bit, so the numbers stay the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ..errors import InvalidOption, did_you_mean
from ..graph import RemoteBuffer, Tensor
from ..opgraph.graph import Parameter
from ..opgraph.op import Op, Value
from ..program import Copy

if TYPE_CHECKING:
    from .walk import _Walk

KINDS = ("optimiser", "activations", "weights")
LEAST_BYTES = 4096  # smaller things stay on the chip: a transfer's sync costs more than they do


def read_off_chip(setting: Any) -> frozenset[str]:
    """The kinds that `off_chip` names: "none", one, or several with commas between (or a list). Raises InvalidOption."""
    names = setting.split(",") if isinstance(setting, str) else list(setting or ())
    names = [str(n).strip().replace("optimizer", "optimiser") for n in names]
    for name in names:
        if name not in (*KINDS, "none"):
            raise InvalidOption(
                f"off_chip has no '{name}'.{did_you_mean(name, KINDS)} It takes none, {', '.join(KINDS)}, or several"
                " with commas between"
            )
    return frozenset(n for n in names if n != "none")


class OffChip:
    """What lies off the chip, for the walk: `homes` maps variables to (tensor, buffer that holds it)."""

    def __init__(self, walk: _Walk, kinds: frozenset[str]):
        self.walk = walk
        self.kinds = kinds
        self.homes: dict[int, tuple[Tensor, RemoteBuffer]] = {}
        self.stored: dict[int, tuple[Tensor, RemoteBuffer]] = {}  # activations not fetched yet
        self.handles: dict[str, RemoteBuffer] = {}  # of parameters, by path
        ops = walk.g.ops
        self.back = next((i for i, op in enumerate(ops) if op.phase != "forward"), len(ops))
        self._forward_use = {v: i for i, op in enumerate(ops[: self.back]) for v in (*op.inputs, *op.outputs)}
        self._pending: dict[int, None] = {}  # variables that may have to be stored

    # parameters ------------------------------------------------------------------------------------------------

    def wants(self, parameter: Parameter) -> bool:
        """Whether a parameter lives off the chip."""
        kind = "weights" if parameter.trainable else "optimiser" if parameter.like is not None else ""
        value = parameter.value
        return kind in self.kinds and value.size * value.dtype.size >= LEAST_BYTES

    def keep(self, parameter: Parameter, tensor: Tensor) -> None:
        """Give a parameter with its tensor on the chip a home off it."""
        graph = self.walk.graph
        facts: dict[str, Any] = {"rearrange_on_host": True, "shape": tensor.shape}
        buffer = graph.add_remote_buffer(parameter.name, tensor.dtype, tensor.size, **facts)
        graph.set_initial_value(buffer, parameter.initial_value())
        self.handles[parameter.name] = buffer
        for variable in tensor.variables():
            self.homes[variable.index] = tensor, buffer

    def before(self, values: Iterable[Value]) -> None:
        """Bring what lies off the chip and is about to be read."""
        if not self.homes and not self.stored:
            return
        found: dict[str, tuple[Tensor, RemoteBuffer]] = {}
        for value in values:
            for variable in self.walk.place[value].variables():
                home = self.homes.get(variable.index) or self.stored.pop(variable.index, None)
                if home is not None:
                    found[home[1].handle] = home
        for tensor, buffer in found.values():
            self.walk.at.program.add(Copy(buffer, tensor, name=f"{buffer.handle}/fetch"))

    def after(self, op: Op) -> None:
        """Take back what an op changed."""
        for value in op.updated if op.updates and self.homes else ():
            for home in {
                id(h): h for v in self.walk.place[value].variables() if (h := self.homes.get(v.index))
            }.values():
                tensor, buffer = home
                self.walk.at.program.add(Copy(tensor, buffer, name=f"{buffer.handle}/store"))

    def source(self, value: Value) -> Tensor | RemoteBuffer:
        """Where to copy a value from: its home where it is a whole parameter, else its tensor, brought."""
        tensor = self.walk.place[value]
        for variable in tensor.variables():
            home = self.homes.get(variable.index)
            if home is not None and home[0] is tensor:
                return home[1]
        self.before([value])
        return tensor

    # activations -----------------------------------------------------------------------------------------------

    def made(self, op: Op) -> None:
        """Remember what an op of the forward phase wrote."""
        if "activations" in self.kinds and op.phase == "forward":
            for value in op.outputs:
                for variable in self.walk.place[value].variables():
                    self._pending[variable.index] = None

    def passed(self, number: int) -> None:
        """Store the activations whose last use in the forward phase was before op `number`."""
        walk, graph = self.walk, self.walk.graph
        for index in list(self._pending):
            variable = graph.variables[index]
            values = list(walk.place.beside(graph.whole(variable)))
            if any(self._forward_use.get(v, -1) >= number for v in values):
                continue
            del self._pending[index]
            needed = any(self.back <= walk.last_use.get(v, -1) < len(walk.g.ops) for v in values)
            shown = any(walk.last_use.get(v, -1) >= len(walk.g.ops) or v.op is None for v in values)
            if not needed or shown or variable.is_constant or variable.size * variable.dtype.size < LEAST_BYTES:
                continue
            tensor, name = graph.whole(variable), f"{variable.name}/off-chip"
            buffer = graph.add_remote_buffer(name, variable.dtype, variable.size, rearrange_on_host=True)
            walk.at.program.add(Copy(tensor, buffer, name=f"{name}/store"))
            self.stored[index] = tensor, buffer
