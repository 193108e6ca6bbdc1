"""Control programs: what runs, in which order, how often.

All tiles run the same control program. Arguments follow Poplar's order; programs are values and may be used in
several places.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Sequence as Seq
from typing import Any

from ..dtypes import BOOL, INT, UNSIGNED_INT
from ..errors import GraphConnectionError, GraphProgramCompilationError, ShapeError, TypeMismatch
from ..graph import ComputeSet, DataStream, Function, RemoteBuffer, Tensor


class Program:
    """Base of all control programs."""

    name = ""

    def children(self) -> list[Program]:
        return []


def _program(thing: Any, where: str) -> Program:
    if isinstance(thing, Program):
        return thing
    if isinstance(thing, (list, tuple)):
        return Sequence(thing)
    if isinstance(thing, Function):
        return Call(thing)
    raise GraphProgramCompilationError(f"{where} takes a program, not {type(thing).__name__}")


class Sequence(Program):
    """Programs one after another."""

    def __init__(self, programs: Iterable[Program] | Program = (), *more: Program, name: str = ""):
        programs = (*programs, *more) if isinstance(programs, Iterable) else (programs, *more)
        self.programs = [_program(p, "Sequence") for p in programs]
        self.name = name

    def add(self, program: Program) -> Sequence:
        self.programs.append(_program(program, "Sequence.add"))
        return self

    def __len__(self) -> int:
        return len(self.programs)

    def is_empty(self) -> bool:
        return not self.programs

    def children(self) -> list[Program]:
        return self.programs


class Execute(Program):
    """Run the vertices of a compute set."""

    def __init__(self, compute_set: ComputeSet):
        if not hasattr(compute_set, "index") or not hasattr(compute_set, "blocks"):
            raise GraphProgramCompilationError(f"Execute takes a compute set, not {type(compute_set).__name__}")
        self.compute_set = compute_set
        self.name = compute_set.name


class Copy(Program):
    """Copy a tensor to a tensor, or between a tensor and a stream or a remote buffer.

    The source is read entirely before the destination changes. A copy between a tensor and a remote buffer moves as many
    rows as the tensor has elements for: those whose numbers the tensor `offset` (INT or UNSIGNED_INT) holds, one number a
    row, or the first ones. A row that stands twice in the offsets of one copy to a remote buffer keeps the later contents.
    Raises ShapeError, TypeMismatch, and GraphConnectionError where the destination has an element twice or is constant.
    """

    def __init__(
        self,
        source: Tensor | DataStream | RemoteBuffer,
        destination: Tensor | DataStream | RemoteBuffer,
        offset: Tensor | str | None = None,
        name: str = "",
    ):
        if isinstance(offset, str):  # Copy(a, b, "name"), as before there were offsets
            name, offset = offset, None
        self.source = source
        self.destination = destination
        self.offset = offset
        tensors = [t for t in (source, destination) if isinstance(t, Tensor)]
        streams = [s for s in (source, destination) if isinstance(s, (DataStream, RemoteBuffer))]
        if len(tensors) + len(streams) != 2 or not tensors:
            kinds = f"{type(source).__name__} to {type(destination).__name__}"
            raise GraphConnectionError(f"Copy joins a tensor and a tensor, stream or remote buffer, not {kinds}")
        self.name = name or _copy_name(source, destination)
        if offset is not None and not (streams and isinstance(streams[0], RemoteBuffer)):
            raise GraphConnectionError(f"copy {self.name}: an offset says which rows of a remote buffer; there is none")
        if streams and isinstance(streams[0], RemoteBuffer):
            self._check_rows(streams[0], tensors[0])
        elif streams:
            stream = streams[0]
            assert isinstance(stream, DataStream)
            self._check_stream(stream, tensors[0])
        else:
            a, b = tensors
            if a.dtype != b.dtype:
                raise TypeMismatch(f"copy {self.name}: {a.dtype} to {b.dtype}; cast it first")
            if a.size != b.size:
                raise ShapeError(f"copy {self.name}: shapes {list(a.shape)} and {list(b.shape)} differ")
        if isinstance(destination, Tensor):
            if destination.contains_constant:
                raise GraphConnectionError(f"copy {self.name}: {destination.name} is constant")
            if destination.contains_aliases:
                raise GraphConnectionError(f"copy {self.name}: {destination.name} has an element twice")

    def _check_stream(self, stream: DataStream, tensor: Tensor) -> None:
        if stream.dtype != tensor.dtype:
            raise TypeMismatch(
                f"copy {self.name}: stream {stream.handle} is {stream.dtype}, {tensor.name} is {tensor.dtype}"
            )
        if stream.size != tensor.size:
            raise ShapeError(
                f"copy {self.name}: stream {stream.handle} moves {stream.size} elements, {tensor.name} has {tensor.size}"
            )
        if stream.to_device != (stream is self.source):
            raise GraphConnectionError(f"copy {self.name}: stream {stream.handle} goes the other way")

    def _check_rows(self, buffer: RemoteBuffer, tensor: Tensor) -> None:
        if buffer.dtype != tensor.dtype:
            raise TypeMismatch(
                f"copy {self.name}: remote buffer {buffer.handle} is {buffer.dtype}, {tensor.name} is {tensor.dtype}"
            )
        rows, rest = divmod(tensor.size, buffer.num_elements)
        if rest or not rows:
            raise ShapeError(
                f"copy {self.name}: rows of remote buffer {buffer.handle} have {buffer.num_elements} elements,"
                f" {tensor.name} has {tensor.size}, which is not a number of rows"
            )
        if self.offset is None:
            if rows > buffer.repeats:
                raise ShapeError(
                    f"copy {self.name}: {tensor.name} has {rows} rows, remote buffer {buffer.handle} {buffer.repeats}"
                )
            return
        if not isinstance(self.offset, Tensor) or self.offset.dtype not in (INT, UNSIGNED_INT):
            what = self.offset.dtype if isinstance(self.offset, Tensor) else type(self.offset).__name__
            raise TypeMismatch(f"copy {self.name}: the offset is a tensor of INT or UNSIGNED_INT, not {what}")
        if self.offset.size != rows:
            raise ShapeError(
                f"copy {self.name}: {tensor.name} has {rows} rows of remote buffer {buffer.handle},"
                f" the offset {self.offset.name} has {self.offset.size} numbers"
            )


def _copy_name(source: Any, destination: Any) -> str:
    names = [t.handle if isinstance(t, DataStream) else t.name for t in (source, destination)]
    return f"copy({names[0]}->{names[1]})"


def _whole(number: Any, what: str) -> int:
    if isinstance(number, (bool, str)) or not hasattr(number, "__int__") or int(number) != number:
        raise GraphProgramCompilationError(f"{what} is {number!r}; it must be a whole number")
    return int(number)


class Repeat(Program):
    """Run a body `count` times; the count is fixed at compile time."""

    def __init__(self, count: int, body: Program, name: str = ""):
        self.count = _whole(count, "Repeat count")
        if self.count < 0:
            raise GraphProgramCompilationError(f"Repeat count is {count!r}; it must be a whole number, 0 or more")
        self.body = _program(body, "Repeat")
        self.name = name

    def children(self) -> list[Program]:
        return [self.body]


def _predicate(tensor: Tensor, where: str) -> Tensor:
    if not isinstance(tensor, Tensor) or tensor.size != 1:
        raise GraphConnectionError(f"{where}: the predicate is a tensor of one element, not {tensor!r}")
    if tensor.dtype not in (BOOL, INT, UNSIGNED_INT):
        raise TypeMismatch(f"{where}: predicate {tensor.name} is {tensor.dtype}; it takes BOOL, INT or UNSIGNED_INT")
    return tensor


class _RepeatWhile(Program):
    while_value = True

    def __init__(self, condition: Program, predicate: Tensor, body: Program, name: str = ""):
        self.condition = _program(condition, type(self).__name__)
        self.predicate = _predicate(predicate, type(self).__name__)
        self.body = _program(body, type(self).__name__)
        self.name = name

    def children(self) -> list[Program]:
        return [self.condition, self.body]


class RepeatWhileTrue(_RepeatWhile):
    """Run `condition`; while it leaves `predicate` true, run `body` and `condition` again."""


class RepeatWhileFalse(_RepeatWhile):
    """Run `condition`; while it leaves `predicate` false, run `body` and `condition` again."""

    while_value = False


class If(Program):
    """Run one of two programs by a predicate in device memory."""

    def __init__(self, predicate: Tensor, then: Program, otherwise: Program | None = None, name: str = ""):
        self.predicate = _predicate(predicate, "If")
        self.then = _program(then, "If")
        self.otherwise = _program(otherwise if otherwise is not None else Sequence(), "If")
        self.name = name

    def children(self) -> list[Program]:
        return [self.then, self.otherwise]


class Switch(Program):
    """Run the case whose number `index` holds, else the default."""

    def __init__(
        self, index: Tensor, cases: Seq[tuple[int, Program]] = (), default: Program | None = None, name: str = ""
    ):
        self.index = _predicate(index, "Switch")
        self.cases: list[tuple[int, Program]] = []
        self.default = _program(default if default is not None else Sequence(), "Switch")
        self.name = name
        for case in cases:
            if not isinstance(case, (tuple, list)) or len(case) != 2:
                raise GraphProgramCompilationError(f"Switch: a case is (number, program), not {case!r}")
            self.add(*case)

    def add(self, value: int, program: Program) -> Switch:
        value = _whole(value, f"Switch on {self.index.name}: a case")
        if any(v == value for v, _ in self.cases):
            raise GraphProgramCompilationError(f"Switch on {self.index.name}: case {value} stands twice")
        self.cases.append((value, _program(program, "Switch")))
        return self

    def children(self) -> list[Program]:
        return [p for _, p in self.cases] + [self.default]


class Call(Program):
    """Run a function."""

    def __init__(self, function: Function, name: str = ""):
        if not isinstance(function, Function):
            raise GraphProgramCompilationError(f"Call takes what graph.add_function returned, not {function!r}")
        self.function = function
        self.name = name or function.name


class WriteUndef(Program):
    """Declare that a tensor's contents are no longer needed."""

    def __init__(self, tensor: Tensor):
        if not isinstance(tensor, Tensor):
            raise GraphConnectionError(f"WriteUndef takes a tensor, not {tensor!r}")
        self.tensor = tensor
        self.name = f"undef({tensor.name})"


class PrintTensor(Program):
    """Print a tensor on the host (standard error, or the engine's `set_print_stream`)."""

    def __init__(self, title: str | Tensor, tensor: Tensor | None = None):
        shown = title if tensor is None else tensor
        if not isinstance(shown, Tensor):
            raise GraphConnectionError(f"PrintTensor takes a tensor, not {shown!r}")
        self.tensor = shown
        self.title = title if isinstance(title, str) and title else shown.name
        self.name = f"print({self.title})"


class Sync(Program):
    """All tiles wait for each other."""

    def __init__(self, kind: str = "internal"):
        self.kind = kind
        self.name = "sync"


class AbortOnCondition(Program):
    """Stop the run with an error where the predicate is true."""

    def __init__(self, predicate: Tensor, message: str = "aborted"):
        self.predicate = _predicate(predicate, "AbortOnCondition")
        self.message = message
        self.name = f"abort({message})"


class Abort(Program):
    """Stop the run with an error."""

    def __init__(self, message: str = "aborted"):
        self.message = message
        self.name = f"abort({message})"
