"""Op graph in, graph and programs out: the walk over the ops, and what surrounds them.

Every op is lowered in order, inside its scope. An operand without a place (a parameter or an input) gets one when the
first op reads it: where that op wishes it (`create_operand`), like another parameter where it says so, else spread
linearly. Parameters keep their contents between runs and are read and written by their path.

The programs: `step` takes a batch from the streams named as the inputs, runs the ops and gives the outputs to the
streams named as they are, `steps` times; `forward` runs the ops of the forward phase once, with the same streams. The
ops are in the graph once. Without `streams`, inputs and outputs are host handles only (they exist always).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import InternalError
from ..graph import Graph, Tensor
from ..opgraph.graph import OpGraph, Parameter
from ..opgraph.lying import leading_operand
from ..opgraph.op import Op, Value
from ..options import read_options
from ..program import Call, Copy, Program, Repeat, Sequence
from ..target import Target
from .calls import Calls
from .conv_plan import ConvPlan
from .in_place import InPlace, Overwriting, Places
from .joins import Joins
from .layout import layouts_of
from .lowering import Lowering
from .off_chip import OffChip, read_off_chip
from .partition import MATMUL_OPTIONS, Plan

OPTIONS: dict[str, Any] = {
    "steps": 1,
    "streams": True,
    "grain": "worker",
    "outline": True,
    "in_place": True,
    "off_chip": "none",
    **MATMUL_OPTIONS,
}


@dataclass
class Lowered:
    """What `lower` returns. `programs` by name in the order they are compiled in; tensors by name; `plans` of the
    matrix products by path."""

    graph: Graph
    programs: dict[str, Program]
    inputs: dict[str, Tensor]
    outputs: dict[str, Tensor]
    parameters: dict[str, Tensor]
    plans: dict[str, Plan | ConvPlan] = field(default_factory=dict)
    outlined: list[dict[str, Any]] = field(default_factory=list)  # bodies: path, calls, ops, vertices, bytes copied
    in_place: Overwriting = field(default_factory=Overwriting)

    @property
    def program(self) -> Program:
        """The first program."""
        return next(iter(self.programs.values()))

    def text(self) -> str:
        """The tensors, plans and compute sets, a line each."""
        lines = [f"lowered {self.graph.name} for {self.graph.target.name}"]
        for kind in ("inputs", "parameters", "outputs"):
            lines += [f"  {kind[:-1]:<10}{name} {t.dtype} {list(t.shape)}" for name, t in getattr(self, kind).items()]
        lines += [f"  {line}" for plan in self.plans.values() for line in plan.report().splitlines()]
        lines += [f"  compute set {cs.name}: {cs.num_vertices} vertices" for cs in self.graph.compute_sets]
        lines += [f"  {line}" for line in self.in_place.text()]
        return "\n".join(lines)


def lower(g: OpGraph, target: Target, options: Mapping[str, Any] | None = None) -> Lowered:
    """Put an op graph on the tiles of a target.

    options: `steps` (runs of the step program's body), `streams`, and those of matrix products. Raises InvalidOption
    and what the ops raise.
    """
    read = read_options(options, OPTIONS, "lower")
    return _Walk(g, Graph(target, name=g.name), read).run()


class _Walk:
    def __init__(self, g: OpGraph, graph: Graph, options: dict[str, Any]):
        self.g = g
        self.graph = graph
        self.options = options
        matmul = {name: options[name] for name in MATMUL_OPTIONS}
        self.forward, self.rest = Sequence(name="forward"), Sequence(name="backward")
        training = any(op.phase != "forward" for op in g.ops)
        self.at = Lowering(graph, self.forward, matmul | {"training": training, "grain": options["grain"]})
        self.parameters: dict[Value, Parameter] = {p.value: p for p in g.parameters}
        self.place = Places()
        self.in_place = InPlace(self, bool(options["in_place"]))
        self.off_chip = OffChip(self, read_off_chip(options["off_chip"]))
        self.last_use = {v: i for i, op in enumerate(g.ops) for v in op.inputs}
        self.last_use |= dict.fromkeys(g.outputs.values(), len(g.ops))
        made = {op.name: op.outputs for op in g.ops}
        again = g.info.get("recompute", {}).get("ops", {})
        self.first_time = {name: made[first] for name, first in again.items()}  # outputs that repeated ops make again

    def run(self) -> Lowered:
        # stored activations are apart for every block, so nothing repeats there
        calls = self.calls = Calls(self.g, self, self.options["outline"] and "activations" not in self.off_chip.kinds)
        self.joins = Joins(self, self.options["in_place"] and "activations" not in self.off_chip.kinds, calls.inside)
        number = 0
        while number < len(self.g.ops):
            op = self.g.ops[number]
            if op.phase != "forward":
                self.at.program = self.rest
            elif self.at.program is self.rest:
                raise InternalError(f"{op} is of the forward phase and stands behind others")
            done = calls.lower(number)
            if not done:
                self.lower_op(number, op)
            number += done or 1
            self.off_chip.passed(number)
        for value in [*self.g.inputs, *self.parameters]:
            if value not in self.place:
                self.make(value, None)
        self.off_chip.before(self.g.outputs.values())
        inputs = {v.name: self.place[v] for v in self.g.inputs}
        outputs = {name: self.place[v] for name, v in self.g.outputs.items()}
        parameters = {p.name: self.place[p.value] for p in self.g.parameters}
        seen = parameters | self.off_chip.handles
        for name, tensor in (inputs | seen).items():
            self.graph.create_host_write(name, tensor)
        for name, tensor in (seen | outputs).items():
            self.graph.create_host_read(name, tensor)
        programs = self._programs(inputs, outputs)
        return Lowered(
            self.graph, programs, inputs, outputs, parameters, self.at.plans, calls.report(), self.in_place.notes
        )

    # ops -------------------------------------------------------------------------------------------------------

    def lower_op(self, number: int, op: Op) -> None:
        """Put an op's work into the program that is being written."""
        for value in (*(v for v in op.inputs if v in self.parameters), *op.inputs):
            if value not in self.place:
                self.make(value, op)
        self.off_chip.before(op.inputs)
        if op.updates:
            self._keep_old(number, op)
        scope = [part for part in op.scope.split("/") if part]
        outside, self.graph._scope = self.graph._scope, scope
        try:
            tensors = op.regroup([self.place[v] for v in op.inputs])
            offered = self.in_place.offer(number, op)
            self.at.may_take, self.at.taken = [tensor for _, tensor in offered], None
            leading = leading_operand(op)
            self.at.leading = None if leading is None else self.place[leading]
            self.at.home, self.at.joined = self.joins.offer(op), self.joins.target(op)
            results = op.lower(self.at, *tensors)
        finally:
            self.graph._scope = outside
            self.at.may_take, self.at.leading = [], None
            self.at.home = self.at.joined = None
        self.in_place.settle(op, offered, self.at.taken)
        results = () if results is None or op.updates else results if isinstance(results, tuple) else (results,)
        if len(results) != len(op.outputs):
            raise InternalError(f"{op}: lower gives {len(results)} tensors for {len(op.outputs)} outputs")
        for value, tensor in zip(op.outputs, results, strict=True):
            if tensor.shape != value.shape or tensor.dtype != value.dtype:
                raise InternalError(f"{op}: lower gives {tensor.dtype} {list(tensor.shape)} for {value.type}")
            self.place[value] = tensor
        for value, first in zip(op.outputs, self.first_time.get(op.name, ()), strict=False):
            layouts_of(self.graph).note_again(self.place[first], self.place[value])
        self.calls.made(op)
        self.off_chip.after(op)
        self.off_chip.made(op)

    def make(self, value: Value, op: Op | None, like: Tensor | None = None) -> None:
        """Give an input or parameter a place: that of `like`, or the one that `op` wants for it."""
        parameter = self.parameters.get(value)
        tensor: Tensor | None
        if parameter is not None and parameter.like is not None and parameter.like.shape == value.shape:
            if parameter.like not in self.place:
                self.make(parameter.like, op)
            tensor = self.at.variable_like(self.place[parameter.like], value.name, value.dtype)
        else:
            tensor = self.at.variable_like(like, value.name, value.dtype) if like is not None else None
            if tensor is None:
                tensor = self._wished(value, op) if op is not None else None
            if tensor is None:
                tensor = self.at.variable(value.dtype, value.shape, value.name)
        self.place[value] = tensor
        if parameter is not None and self.off_chip.wants(parameter):
            self.off_chip.keep(parameter, tensor)
        elif parameter is not None:
            self.at.set_initial_value(tensor, parameter.initial_value())

    def _wished(self, value: Value, op: Op) -> Tensor | None:
        """A variable laid out as the op that reads `value` first wants it."""
        operands = {f: getattr(op, f) for f in op.operand_fields}
        mine = [f for f, operand in operands.items() if operand is value]
        if not mine:
            return None
        known = {f: self.place[v] for f, v in operands.items() if isinstance(v, Value) and v in self.place}
        tensor = op.create_operand(self.at, mine[0], value.name, **known)
        if tensor is not None or value.ndim != 2 or value in self.parameters:
            return tensor
        for other in known.values():  # an input beside weights that stay: in the pieces their blocks read
            placed = layouts_of(self.graph).find(other)
            if placed is not None and placed.stationary and other.shape[0] == value.shape[1]:
                return self.at.create_operand(value.dtype, value.shape[0], other, value.name)
        return None

    def _keep_old(self, number: int, op: Op) -> None:
        """Copy values that are views of a parameter about to change and that are read afterwards."""
        changed = {v.index for value in op.updated for v in self.place[value].variables()}
        for value, tensor in list(self.place.items()):
            if value in self.parameters or self.last_use.get(value, -1) <= number:
                continue
            if changed.intersection(v.index for v in tensor.variables()):
                self.place[value] = self.at.duplicate(tensor, f"{value.name}/before-update")

    # programs --------------------------------------------------------------------------------------------------

    def _programs(self, inputs: dict[str, Tensor], outputs: dict[str, Tensor]) -> dict[str, Program]:
        read, written = Sequence(name="inputs"), Sequence(name="outputs")
        forward_outputs = Sequence(name="outputs")
        if self.options["streams"]:
            early = {v for op in self.g.ops if op.phase == "forward" for v in op.outputs}
            for name, tensor in inputs.items():
                stream = self.graph.add_host_to_device_fifo(name, tensor.dtype, tensor.size)
                read.add(Copy(stream, tensor))
            for name, tensor in outputs.items():
                stream = self.graph.add_device_to_host_fifo(name, tensor.dtype, tensor.size)
                copy = Copy(tensor, stream)
                written.add(copy)
                if self.g.outputs[name] in early:
                    forward_outputs.add(copy)
        forward: Program = self.forward
        if len(self.rest):  # two programs run it: its control and exchange code is there once, and called
            forward = Call(self.graph.add_function(self.forward))
        step = Sequence([read, forward, self.rest, written], name="step")
        steps = int(self.options["steps"])
        programs: dict[str, Program] = {"step": Repeat(steps, step, name="steps") if steps != 1 else step}
        if len(self.rest):
            before, after = self._evaluating()
            programs["forward"] = Sequence([read, before, forward, after, forward_outputs], name="forward")
        return programs

    def _evaluating(self) -> tuple[Sequence, Sequence]:
        """Programs that set the operands which say that nothing is trained (`Op.when_evaluating`), and restore them."""
        before, after = Sequence(name="evaluating"), Sequence(name="evaluated")
        wanted: dict[Value, int] = {}
        for op in self.g.ops:
            if op.phase == "forward":
                wanted |= {getattr(op, name): value for name, value in op.when_evaluating.items()}
        for operand, value in wanted.items():
            tensor = self.place[operand]
            kept = self.at.variable_like(tensor, f"{operand.name}/kept")
            other = self.graph.add_constant(tensor.dtype, tensor.shape, value, name=f"{operand.name}/evaluating")
            self.graph.set_tile_mapping(other, int(self.graph.tile_mapping(tensor)[2][0]))
            before.add(Copy(tensor, kept)).add(Copy(other, tensor))
            after.add(Copy(kept, tensor))
        return before, after
