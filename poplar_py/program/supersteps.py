"""Programs flattened into static supersteps and the control that joins them.

In: a list of programs.  Out: `Schedule`: a table of supersteps, each numbered once (a function's body too, however
often it is called), and per program a control tree of plain lists over those numbers:

    ["seq", [...]]  ["step", i]  ["repeat", n, tree]  ["while", value, condition, i, tree]
    ["if", i, then, otherwise]  ["switch", i, [[value, tree], ...], default]  ["call", function]

where the `i` of a control form is the superstep that reads the predicate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ..errors import GraphProgramCompilationError, GraphRecursionError
from ..graph import DataStream, Graph, Joined, RemoteBuffer, Tensor
from . import program as p

Tree = list[Any]


@dataclass
class Superstep:
    """One static superstep: what happens, without where or how long.

    kind: execute, copy, stream_in, stream_out, remote_in, remote_out (`stream` is the handle; `offset` holds row numbers),
    print, undef, sync, abort (text in `message`), control (reads a predicate, `source`).
    """

    index: int
    kind: str
    name: str
    compute_set: int = -1
    source: Tensor | None = None
    destination: Tensor | None = None
    stream: str = ""
    message: str = ""
    offset: Tensor | None = None


@dataclass
class Schedule:
    """Supersteps in program order, a control tree per program, and one per function."""

    steps: list[Superstep] = field(default_factory=list)
    programs: list[Tree] = field(default_factory=list)
    functions: list[Tree] = field(default_factory=list)

    def text(self) -> str:
        """The control trees, one line a superstep."""
        lines: list[str] = []
        for name, trees in (("function", self.functions), ("program", self.programs)):
            for i, tree in enumerate(trees):
                lines.append(f"{name} {i}")
                lines += self._tree_text(tree, 1)
        return "\n".join(lines) + "\n"

    def _tree_text(self, tree: Tree, depth: int) -> list[str]:
        pad, kind = "  " * depth, tree[0]
        if kind == "seq":
            return [line for child in tree[1] for line in self._tree_text(child, depth)]
        if kind == "step":
            step = self.steps[tree[1]]
            return [f"{pad}{step.index} {step.kind} {step.name}"]
        if kind == "repeat":
            return [f"{pad}repeat {tree[1]}", *self._tree_text(tree[2], depth + 1)]
        if kind == "while":
            head = f"{pad}while {str(bool(tree[1])).lower()} of {self.steps[tree[3]].name}"
            return [head, *self._tree_text(tree[2], depth + 1), f"{pad}do", *self._tree_text(tree[4], depth + 1)]
        if kind == "if":
            then, otherwise = self._tree_text(tree[2], depth + 1), self._tree_text(tree[3], depth + 1)
            return [f"{pad}if {self.steps[tree[1]].name}", *then, *([f"{pad}else", *otherwise] if otherwise else [])]
        if kind == "switch":
            lines = [f"{pad}switch {self.steps[tree[1]].name}"]
            for value, child in tree[2]:
                lines += [f"{pad}case {value}", *self._tree_text(child, depth + 1)]
            return [*lines, f"{pad}default", *self._tree_text(tree[3], depth + 1)]
        return [f"{pad}call function {tree[1]}"]


def plan_supersteps(graph: Graph, programs: list[p.Program]) -> Schedule:
    """Flatten `programs`. Raises GraphRecursionError for a function that calls itself."""
    schedule = Schedule()
    flatten = _Flatten(graph, schedule)
    schedule.functions = [["seq", []] for _ in graph.functions]
    schedule.programs = [flatten.tree(program) for program in programs]
    return schedule


def _copies_together(programs: Iterable[Any]) -> Iterator[Any]:
    """The programs, with tensor copies next to each other that do not depend on each other as one: one superstep
    instead of several. Copies of one type whose variables are apart."""
    together: list[p.Copy] = []
    touched: set[int] = set()
    for program in programs:
        mine = _variables(program)
        if together and (mine is None or mine & touched or not _alike(program, together[0])):
            yield _joined(together)
            together, touched = [], set()
        if mine is None:
            yield program
        else:
            together.append(program)
            touched |= mine
    if together:
        yield _joined(together)


def _alike(a: p.Copy, b: p.Copy) -> bool:
    ends = [t for t in (a.source, b.source, a.destination) if isinstance(t, Tensor)]
    return a.source.dtype == b.source.dtype and len({id(t.graph) for t in ends}) == 1


def _variables(program: Any) -> set[int] | None:
    """The variables of a copy from tensor to tensor; None of other programs and of a copy within a variable."""
    if type(program) is not p.Copy or not (
        isinstance(program.source, Tensor) and isinstance(program.destination, Tensor)
    ):
        return None
    source = {v.index for v in program.source.variables()}
    destination = {v.index for v in program.destination.variables()}
    return None if source & destination else source | destination


def _joined(copies: list[p.Copy]) -> p.Copy:
    if len(copies) == 1:
        return copies[0]
    names = list(dict.fromkeys(copy.name for copy in copies))
    name = names[0] if len(names) == 1 else f"{names[0]} and {len(copies) - 1} more"
    sources = [c.source for c in copies if isinstance(c.source, Tensor)]
    destinations = [c.destination for c in copies if isinstance(c.destination, Tensor)]
    return p.Copy(Joined(sources), Joined(destinations), name=name)


class _Flatten:
    def __init__(self, graph: Graph, schedule: Schedule):
        self.graph = graph
        self.schedule = schedule
        self.entered: list[int] = []
        self.open: list[p.Sequence] = []  # sequences around the program being walked
        self.done: set[int] = set()
        self.rules: dict[type, Callable[[Any], Tree]] = {
            p.Sequence: self.sequence,
            p.Execute: self.execute,
            p.Copy: self.copy,
            p.Repeat: self.repeat,
            p.RepeatWhileTrue: self.repeat_while,
            p.RepeatWhileFalse: self.repeat_while,
            p.If: self.branch,
            p.Switch: self.switch,
            p.Call: self.call,
            p.WriteUndef: self.undef,
            p.PrintTensor: self.print,
            p.Sync: self.sync,
            p.AbortOnCondition: self.abort_if,
            p.Abort: self.abort,
        }

    def tree(self, program: Any) -> Tree:
        rule = self.rules.get(type(program))
        if rule is None:
            if isinstance(program, (list, tuple)):
                return self.sequence(p.Sequence(program))
            raise GraphProgramCompilationError(f"a program is expected, not {type(program).__name__}")
        return rule(program)

    def step(self, kind: str, name: str, **facts: Any) -> Tree:
        index = len(self.schedule.steps)
        for tensor in (facts.get("source"), facts.get("destination"), facts.get("offset")):
            if tensor is not None and tensor.graph is not self.graph:
                raise GraphProgramCompilationError(f"{name}: {tensor.name} belongs to another graph")
        self.schedule.steps.append(Superstep(index, kind, name, **facts))
        return ["step", index]

    def sequence(self, program: p.Sequence) -> Tree:
        if program in self.open:
            raise GraphRecursionError(f"sequence {program.name or 'without a name'} contains itself")
        self.open.append(program)
        children = [self.tree(child) for child in _copies_together(program.programs)]
        self.open.pop()
        return ["seq", children]

    def execute(self, program: p.Execute) -> Tree:
        cs = program.compute_set
        if cs.index >= len(self.graph.compute_sets) or self.graph.compute_sets[cs.index].name != cs.name:
            raise GraphProgramCompilationError(f"Execute: compute set {cs.name} belongs to another graph")
        return self.step("execute", cs.name, compute_set=cs.index)

    def copy(self, program: p.Copy) -> Tree:
        source, destination = program.source, program.destination
        for stream in (source, destination):
            if isinstance(stream, DataStream) and self.graph.streams.get(stream.handle) is not stream:
                raise GraphProgramCompilationError(f"{program.name}: stream {stream.handle} belongs to another graph")
        for buffer in (source, destination):
            if isinstance(buffer, RemoteBuffer) and self.graph.remote_buffers.get(buffer.handle) is not buffer:
                where = f"remote buffer {buffer.handle}"
                raise GraphProgramCompilationError(f"{program.name}: {where} belongs to another graph")
        if isinstance(source, RemoteBuffer):
            facts = {"stream": source.handle, "offset": program.offset}
            return self.step("remote_in", program.name, destination=destination, **facts)
        if isinstance(destination, RemoteBuffer):
            facts = {"stream": destination.handle, "offset": program.offset}
            return self.step("remote_out", program.name, source=source, **facts)
        if isinstance(source, DataStream):
            return self.step("stream_in", program.name, destination=destination, stream=source.handle)
        if isinstance(destination, DataStream):
            return self.step("stream_out", program.name, source=source, stream=destination.handle)
        return self.step("copy", program.name, source=source, destination=destination)

    def repeat(self, program: p.Repeat) -> Tree:
        return ["repeat", program.count, self.tree(program.body)]

    def _predicate(self, tensor: Tensor) -> int:
        return self.step("control", tensor.name, source=tensor)[1]

    def repeat_while(self, program: Any) -> Tree:
        condition = self.tree(program.condition)
        predicate = self._predicate(program.predicate)
        return ["while", int(program.while_value), condition, predicate, self.tree(program.body)]

    def branch(self, program: p.If) -> Tree:
        return ["if", self._predicate(program.predicate), self.tree(program.then), self.tree(program.otherwise)]

    def switch(self, program: p.Switch) -> Tree:
        index = self._predicate(program.index)
        return ["switch", index, [[v, self.tree(c)] for v, c in program.cases], self.tree(program.default)]

    def call(self, program: p.Call) -> Tree:
        function = program.function
        if function.index >= len(self.graph.functions) or self.graph.functions[function.index] is not function:
            raise GraphProgramCompilationError(f"Call: function {function.name} belongs to another graph")
        if function.index in self.entered:
            path = " -> ".join(self.graph.functions[i].name for i in [*self.entered, function.index])
            raise GraphRecursionError(f"function {function.name} calls itself: {path}")
        if function.index not in self.done:
            self.entered.append(function.index)
            self.schedule.functions[function.index] = self.tree(function.program)
            self.entered.pop()
            self.done.add(function.index)
        return ["call", function.index]

    def undef(self, program: p.WriteUndef) -> Tree:
        return self.step("undef", program.name, destination=program.tensor)

    def print(self, program: p.PrintTensor) -> Tree:
        return self.step("print", program.name, source=program.tensor, message=program.title)

    def sync(self, program: p.Sync) -> Tree:
        return self.step("sync", program.name)

    def abort_if(self, program: p.AbortOnCondition) -> Tree:
        return self.step("abort", program.name, source=program.predicate, message=program.message)

    def abort(self, program: p.Abort) -> Tree:
        return self.step("abort", program.name, message=program.message)
