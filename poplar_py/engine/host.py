"""The host side: handles, streams, and turning arrays into storage words and back."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from ..dtypes import BOOL, DType
from ..errors import StreamConnectionError, TensorIOError, did_you_mean
from ..graph import DataStream, Graph, RemoteBuffer, Tensor
from ..graph.graph import fits


def from_host(tensor: Tensor | RemoteBuffer, value: Any, what: str) -> np.ndarray:
    """An array for `tensor` as storage words, flat. Raises TensorIOError for a wrong shape or type."""
    try:
        array = np.asarray(value)
    except ValueError:
        raise TensorIOError(f"{what}: the rows of the value differ in length") from None
    if array.dtype != tensor.dtype.np:
        same_kind = array.dtype.kind == tensor.dtype.np.kind or (array.dtype.kind in "iu" and tensor.dtype.is_integral)
        if isinstance(value, np.ndarray) or not (same_kind or (array.dtype.kind in "iub" and tensor.dtype.is_floating)):
            raise TensorIOError(
                f"{what} is {tensor.dtype}, the array is {array.dtype}; convert it with .astype({tensor.dtype.np})"
            )
        if tensor.dtype.is_integral and not fits(array, tensor.dtype.np):
            raise TensorIOError(f"{what} is {tensor.dtype}; a value lies outside its range")
        array = array.astype(tensor.dtype.np)
    flat = array.ndim <= 1 and array.size == tensor.size
    if not flat and [n for n in array.shape if n != 1] != [n for n in tensor.shape if n != 1]:
        raise TensorIOError(f"{what} has shape {list(tensor.shape)}, the array has {list(array.shape)}")
    return np.ascontiguousarray(array).reshape(-1).view(tensor.dtype.storage)


def to_host(element_type: DType, words: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Storage words as an array of the host's type."""
    if element_type is BOOL:
        return (words != 0).reshape(shape)
    return words.view(element_type.np).reshape(shape)


def handle_of(table: dict[str, Tensor], handle: str, what: str) -> Tensor:
    if handle not in table:
        known = ", ".join(table) or "none"
        raise TensorIOError(
            f"no tensor is created for host {what} under '{handle}'.{did_you_mean(handle, table)} Handles: {known}"
        )
    return table[handle]


class Streams:
    """What the streams of an executable are connected to."""

    def __init__(self, graph: Graph):
        self.streams = graph.streams
        self.ends: dict[str, Callable[[np.ndarray], None]] = {}

    def _stream(self, handle: str) -> DataStream:
        if handle not in self.streams:
            known = ", ".join(self.streams) or "none"
            raise StreamConnectionError(f"no stream '{handle}'.{did_you_mean(handle, self.streams)} Streams: {known}")
        return self.streams[handle]

    def connect(self, handle: str, array: np.ndarray) -> None:
        """Connect to an array: transfers walk through it and start over at its end."""
        stream = self._stream(handle)
        if not isinstance(array, np.ndarray):
            raise StreamConnectionError(f"stream '{handle}' connects to a numpy array, not {type(array).__name__}")
        if array.dtype != stream.dtype.np:
            raise StreamConnectionError(f"stream '{handle}' is {stream.dtype}, the array is {array.dtype}")
        if not array.flags.c_contiguous or (not stream.to_device and not array.flags.writeable):
            raise StreamConnectionError(
                f"stream '{handle}': the array must be contiguous" + ("" if stream.to_device else " and writeable")
            )
        if array.size < stream.size:
            raise StreamConnectionError(
                f"stream '{handle}' moves {stream.size} elements at a time, the array has {array.size}"
            )
        flat = array.reshape(-1)
        state = {"at": 0}

        def walk(piece: np.ndarray) -> None:
            at, n = state["at"], piece.size
            if n == 0:
                return
            if at + n <= flat.size:
                part = flat[at : at + n]
                if stream.to_device:
                    piece[:] = part
                else:
                    part[:] = piece
            else:
                where = np.arange(at, at + n) % flat.size
                if stream.to_device:
                    piece[:] = flat[where]
                else:
                    flat[where] = piece
            state["at"] = (at + n) % flat.size

        self.ends[handle] = walk

    def connect_callback(self, handle: str, callback: Callable[..., Any]) -> None:
        """Connect to a function: to the device it fills the array it is given or returns one (with no parameters it
        must return one); from the device it is given the array."""
        stream = self._stream(handle)
        if not callable(callback):
            raise StreamConnectionError(f"stream '{handle}': {callback!r} is not callable")
        takes = _positional(callback)

        def feed(piece: np.ndarray) -> None:
            result = callback(piece) if takes else callback()
            if result is not None and result is not piece:
                array = np.asarray(result)
                if array.size != piece.size:
                    raise StreamConnectionError(
                        f"stream '{handle}': the callback returned {array.size} elements of {piece.size}"
                    )
                piece[:] = array.reshape(-1)

        def drain(piece: np.ndarray) -> None:
            callback(piece.copy())

        self.ends[handle] = feed if stream.to_device else drain

    def transfer(self, handle: str, piece: np.ndarray) -> None:
        """Move one transfer's elements: filled in place to the device, read from the device."""
        end = self.ends.get(handle)
        if end is None:
            raise StreamConnectionError(
                f"stream '{handle}' is not connected; call engine.connect_stream('{handle}', array) before run"
            )
        end(piece)


def _positional(callback: Callable[..., Any]) -> bool:
    try:
        parameters = inspect.signature(callback).parameters.values()
    except (TypeError, ValueError):
        return True
    return any(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD, p.VAR_POSITIONAL) for p in parameters)


def format_tensor(title: str, array: np.ndarray) -> str:
    """A tensor as PrintTensor shows it."""
    body = np.array2string(array, separator=",", max_line_width=120, floatmode="maxprec", threshold=1000)
    return f"{title}: {body}"
