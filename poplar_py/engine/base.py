"""What every engine does: load, connect, run, count."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any, TextIO

import numpy as np

from ..errors import InvalidOption, PoplarError, RuntimeFault, TensorIOError, did_you_mean
from ..graph import RemoteBuffer, StoredView, as_stored
from ..target import Device, Target
from . import control
from .executable import Executable
from .host import Streams, format_tensor, from_host, handle_of, to_host
from .remote import StreamingMemory

TRACE_LIMIT = 1_000_000


class BaseEngine:
    """Runs an executable on a device. Subclasses say where bytes live and how vertices run."""

    def __init__(self, executable: Executable, **options: Any):
        if not isinstance(executable, Executable):
            raise PoplarError(
                f"an engine runs an executable, not {type(executable).__name__}; compile_graph(graph, programs) makes one"
            )
        for option in options:
            raise InvalidOption(f"the engine has no option '{option}'.{did_you_mean(option, ('check', 'threads'))}")
        self.executable = executable
        self.graph = executable.graph
        self.streams = Streams(self.graph)
        self.print_to: TextIO | None = None
        self.loaded = False
        self.counts = np.zeros(len(executable.steps), np.int64)
        self.trace = np.zeros(1024, np.int32)
        self.trace_length = 0
        self.wall_seconds = 0.0
        self._programs: list[control.Action] = []

    # what subclasses give --------------------------------------------------------------------------------------

    def _load(self) -> None:
        raise NotImplementedError

    def _action(self, index: int) -> control.Action:
        raise NotImplementedError

    def _read_words(self, key: str, tensor: Any) -> np.ndarray:
        raise NotImplementedError

    def _write_words(self, key: str, tensor: Any, words: np.ndarray) -> None:
        raise NotImplementedError

    def _defined_words(self, key: str, tensor: Any) -> np.ndarray | None:
        """Which words of a tensor, in its own order, somebody wrote, in an engine that knows."""
        return None

    def _undefine(self, key: str, tensor: Any, defined: np.ndarray) -> None:
        """Forget the words of a tensor, just written, that are not defined, in an engine that knows."""

    def _defined(self, key: str, tensor: Any, what: str) -> None:
        """Raise RuntimeFault where the tensor has bytes that nothing wrote, in an engine that knows."""

    def _read(self, key: str, tensor: Any) -> np.ndarray:
        """The words of a tensor in its own order."""
        tensor = as_stored(tensor)
        if isinstance(tensor, StoredView):
            words = self._read_words(key, tensor.stored).reshape(tensor.stored.shape)
            return words.transpose(tensor.order).reshape(-1)
        return self._read_words(key, tensor)

    def _write(self, key: str, tensor: Any, words: np.ndarray) -> None:
        """Write the words of a tensor given in its own order."""
        tensor = as_stored(tensor)
        self._write_words(key, getattr(tensor, "stored", tensor), _in_stored_order(tensor, words))

    # life ------------------------------------------------------------------------------------------------------

    def load(self, device: Device | Target) -> None:
        """Put the executable on a device: constants and initial values are written."""
        target = device.target if isinstance(device, Device) else device
        if not isinstance(target, Target):
            raise PoplarError(f"an engine is loaded onto a Device, not {target!r}; pp.Device(target) makes one")
        compiled = self.executable.target
        if target != compiled:
            raise PoplarError(
                f"the executable was compiled for {compiled.name} ({compiled.num_tiles} tiles), the device is"
                f" {target.name} ({target.num_tiles} tiles); compile it for that target"
            )
        self._load()
        self.remote = StreamingMemory(self.graph, getattr(self, "check", False))
        for variable in self.graph.variables:
            if variable.data is not None:
                words = np.ascontiguousarray(variable.data).reshape(-1)
                self._write_words(f"initial:{variable.index}", self.graph.whole(variable), words)
        self._programs = control.build(self.executable.schedule, self._counted, self._predicate)
        self.loaded = True

    def _ready(self) -> None:
        if not self.loaded:
            raise PoplarError("the engine is not loaded; call engine.load(device) first")

    def _counted(self, index: int) -> control.Action:
        step = self.executable.schedule.steps[index]
        action = self._host_action(step) or self._action(index)
        counts, note = self.counts, self._note

        def run() -> None:
            action()
            counts[index] += 1
            note(index)

        return run

    def _note(self, index: int) -> None:
        at = self.trace_length
        if at < TRACE_LIMIT:
            if at == len(self.trace):
                self.trace = np.concatenate([self.trace, np.zeros_like(self.trace)])
            self.trace[at] = index
            self.trace_length = at + 1

    def _predicate(self, index: int) -> Callable[[], int]:
        step = self.executable.schedule.steps[index]
        counts, note = self.counts, self._note
        assert step.source is not None
        read, key, element = self._read_words, f"step:{index}", step.source.dtype

        def value() -> int:
            counts[index] += 1
            note(index)
            self._defined(key, step.source, "the predicate")
            return int(to_host(element, read(key, step.source), (1,))[0])

        return value

    def _host_action(self, step: Any) -> control.Action | None:
        """Supersteps in which only the host acts."""
        key = f"step:{step.index}"
        if step.kind in ("sync", "undef"):
            return lambda: None
        if step.kind == "abort":
            return lambda: self._abort(step, key)
        if step.kind == "print":
            return lambda: self._print(step, key)
        if step.kind == "stream_in":
            tensor = step.destination
            piece = np.zeros(tensor.size, tensor.dtype.np)
            words = piece.view(tensor.dtype.storage)

            def feed() -> None:
                self.streams.transfer(step.stream, piece)
                self._write(key, tensor, words)

            return feed
        if step.kind == "stream_out":

            def drain() -> None:
                words = self._read(key, step.source)
                self.streams.transfer(step.stream, to_host(step.source.dtype, words, (step.source.size,)))

            return drain
        if step.kind == "remote_in":
            return lambda: self._from_remote(step, key)
        if step.kind == "remote_out":
            return lambda: self._to_remote(step, key)
        return None

    def _rows(self, step: Any, tensor: Any) -> np.ndarray:
        """Which rows of a remote buffer a copy moves."""
        count = tensor.size // self.graph.remote_buffers[step.stream].num_elements
        if step.offset is None:
            return self.remote.rows(step.name, step.stream, None, count)
        key = f"offset:{step.index}"
        self._defined(key, step.offset, "the offset")
        words = self._read(key, step.offset)
        return self.remote.rows(step.name, step.stream, to_host(step.offset.dtype, words, (count,)), count)

    def _from_remote(self, step: Any, key: str) -> None:
        words, defined = self.remote.fetch(step.stream, self._rows(step, step.destination))
        self._write(key, step.destination, words)
        if defined is not None and not defined.all():
            tensor = as_stored(step.destination)
            self._undefine(key, getattr(tensor, "stored", tensor), _in_stored_order(tensor, defined))

    def _to_remote(self, step: Any, key: str) -> None:
        rows, words = self._rows(step, step.source), self._read(key, step.source)
        self.remote.store(step.stream, rows, words, self._defined_words(key, step.source))

    def _abort(self, step: Any, key: str) -> None:
        if step.source is not None:
            self._defined(key, step.source, "the predicate")
        if step.source is None or int(to_host(step.source.dtype, self._read(key, step.source), (1,))[0]):
            raise RuntimeFault(f"the program aborted: {step.message}")

    def _print(self, step: Any, key: str) -> None:
        array = to_host(step.source.dtype, self._read(key, step.source), step.source.shape)
        print(format_tensor(step.message, array), file=self.print_to or sys.stderr)

    def run(self, program: int = 0) -> None:
        """Run a program of the executable by its index."""
        self._ready()
        if not isinstance(program, (int, np.integer)) or not 0 <= program < len(self._programs):
            raise PoplarError(f"no program {program!r}; the executable has {len(self._programs)}")
        begin = time.perf_counter()
        try:
            self._programs[program]()
        finally:
            self.wall_seconds += time.perf_counter() - begin

    def load_and_run(self, device: Device | Target, program: int = 0) -> None:
        self.load(device)
        self.run(program)

    # host ------------------------------------------------------------------------------------------------------

    def write_tensor(self, handle: str, value: Any) -> None:
        """Write an array to the tensor of a host-write handle. Raises TensorIOError for a wrong shape or type."""
        self._ready()
        tensor = handle_of(self.graph.host_writes, handle, "write")
        words = from_host(tensor, value, f"'{handle}' ({tensor.name})")
        if isinstance(tensor, RemoteBuffer):
            self.remote.write(tensor.handle, 0, words)
            return
        self._write(f"write:{handle}", tensor, words)

    def read_tensor(self, handle: str, out: np.ndarray | None = None) -> np.ndarray:
        """The tensor of a host-read handle as an array, or into `out`."""
        self._ready()
        tensor = handle_of(self.graph.host_reads, handle, "read")
        if isinstance(tensor, RemoteBuffer):
            array = self.remote.read(tensor.handle, 0)
        else:
            array = to_host(tensor.dtype, self._read(f"read:{handle}", tensor), tensor.shape)
        return _into(out, array, f"'{handle}'")

    def copy_to_remote_buffer(self, array: Any, handle: str, repeat_index: int = 0) -> None:
        """Write a row of a remote buffer. Raises TensorIOError for a row it does not have, a wrong shape or type."""
        self._ready()
        buffer, row = self.remote.row_of(handle, repeat_index)
        self.remote.write(handle, row, from_host(buffer, array, f"row {row} of remote buffer '{handle}'"))

    def copy_from_remote_buffer(self, handle: str, out: np.ndarray | None = None, repeat_index: int = 0) -> np.ndarray:
        """A row of a remote buffer as an array, or into `out`. Raises TensorIOError."""
        self._ready()
        return _into(out, self.remote.read(handle, repeat_index), f"remote buffer '{handle}'")

    def list_remote_buffers(self) -> list[str]:
        return list(self.graph.remote_buffers)

    def connect_stream(self, handle: str, array: np.ndarray) -> None:
        """Connect a stream to an array, walked through in order and circularly."""
        self.streams.connect(handle, array)

    def connect_stream_to_callback(self, handle: str, callback: Callable[..., Any]) -> None:
        """Connect a stream to a function that fills or takes one transfer's array."""
        self.streams.connect_callback(handle, callback)

    def list_streams(self) -> list[str]:
        return list(self.graph.streams)

    def set_print_stream(self, stream: TextIO) -> None:
        """Where PrintTensor writes; standard error by default."""
        self.print_to = stream

    set_print_tensor_stream = set_print_stream

    def reset_profile(self) -> None:
        """Forget what was counted so far."""
        self.counts[:] = 0
        self.trace_length = 0
        self.wall_seconds = 0.0


def _in_stored_order(tensor: Any, words: np.ndarray) -> np.ndarray:
    """Words of a tensor given in its own order, in the order it is stored in."""
    if isinstance(tensor, StoredView):
        return np.ascontiguousarray(tensor.array(words.reshape(tensor.shape))).reshape(-1)
    return words


def _into(out: np.ndarray | None, array: np.ndarray, what: str) -> np.ndarray:
    if out is not None:
        if out.shape != array.shape or out.dtype != array.dtype:
            raise TensorIOError(
                f"{what} is {array.dtype} {list(array.shape)}, the array to read into is {out.dtype} {list(out.shape)}"
            )
        out[...] = array
    return array
