"""Streaming memory of an engine: the rows of remote buffers, and their transfers.

Both engines use it as it is: a transfer reads or writes the words of a tensor by the engine's own means. Rows are kept in
the order the tensor is seen in. In an engine that checks, rows that nobody wrote are undefined: what is copied from them
is undefined on the tiles too, and the host may not read them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..dtypes import DType
from ..errors import RuntimeFault, TensorIOError, did_you_mean
from ..graph import Graph, RemoteBuffer
from .host import to_host


class StreamingMemory:
    """Contents of the remote buffers of a graph: words[handle] of shape (repeats, num_elements)."""

    def __init__(self, graph: Graph, check: bool = False):
        self.buffers = graph.remote_buffers
        self.words: dict[str, np.ndarray] = {}
        self.defined: dict[str, np.ndarray] | None = {} if check else None
        for handle, buffer in self.buffers.items():
            rows = (buffer.repeats, buffer.num_elements)
            if buffer.data is None:
                self.words[handle] = np.zeros(rows, buffer.dtype.storage)
            else:
                self.words[handle] = np.array(buffer.data.view(buffer.dtype.storage)).reshape(rows)
            if self.defined is not None:
                self.defined[handle] = np.full(rows, buffer.data is not None)

    def rows(self, name: str, handle: str, offsets: np.ndarray | None, count: int) -> np.ndarray:
        """The row numbers of a copy. Raises RuntimeFault for one that the buffer does not have."""
        if offsets is None:
            return np.arange(count)
        rows = offsets.astype(np.int64)
        repeats = self.buffers[handle].repeats
        bad = np.flatnonzero((rows < 0) | (rows >= repeats))
        if len(bad):
            raise RuntimeFault(
                f"{name}: offset {int(rows[bad[0]])} is no row of remote buffer {handle}, which has rows 0..{repeats - 1}"
            )
        return rows

    def fetch(self, handle: str, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """The words of rows, flat, and which of them somebody wrote (None: nobody asks)."""
        defined = None if self.defined is None else self.defined[handle][rows].reshape(-1)
        return self.words[handle][rows].reshape(-1), defined

    def store(self, handle: str, rows: np.ndarray, words: np.ndarray, defined: np.ndarray | None) -> None:
        """Overwrite rows, one after another: of two with one number the later one stays."""
        for i, row in enumerate(rows.tolist()):
            self.words[handle][row] = words.reshape(len(rows), -1)[i]
            if self.defined is not None:
                self.defined[handle][row] = True if defined is None else defined.reshape(len(rows), -1)[i]

    # host ------------------------------------------------------------------------------------------------------

    def row_of(self, handle: str, repeat_index: Any) -> tuple[RemoteBuffer, int]:
        """The buffer of a handle and a row it has. Raises TensorIOError."""
        if handle not in self.buffers:
            known = ", ".join(self.buffers) or "none"
            raise TensorIOError(
                f"no remote buffer '{handle}'.{did_you_mean(str(handle), self.buffers)} Remote buffers: {known}"
            )
        buffer = self.buffers[handle]
        if not isinstance(repeat_index, (int, np.integer)) or not 0 <= repeat_index < buffer.repeats:
            raise TensorIOError(
                f"remote buffer '{handle}' has rows 0..{buffer.repeats - 1}; repeat index {repeat_index!r} is none of them"
            )
        return buffer, int(repeat_index)

    def write(self, handle: str, repeat_index: Any, words: np.ndarray) -> None:
        """Write a row from the host."""
        _, row = self.row_of(handle, repeat_index)
        self.store(handle, np.array([row]), words, None)

    def read(self, handle: str, repeat_index: Any) -> np.ndarray:
        """A row as an array of the host's type and the buffer's `shape`."""
        buffer, row = self.row_of(handle, repeat_index)
        if self.defined is not None and not self.defined[handle][row].all():
            raise RuntimeFault(f"row {row} of remote buffer {handle} is read, which nothing has written")
        return _array(buffer.dtype, self.words[handle][row], buffer.shape)


def _array(kind: DType, words: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return to_host(kind, words.copy(), shape)
