"""Errors: two families. `PoplarError` is of the user's making, `InternalError` of ours.

The names below `PoplarError` are Poplar's exception names in Python spelling. A message names the object by its
path, the numbers, and the way out; `did_you_mean` writes the last part for misspelt names.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class PoplarError(Exception):
    """Base of every error a user can cause and mend."""


class InternalError(Exception):
    """A promise inside the compiler was broken; please report it."""


class GraphObjectCreationError(PoplarError):
    """A variable, constant, vertex or stream cannot be made as asked."""


class UnknownVertexType(PoplarError):
    """No codelet of that name is loaded."""


class UnknownField(PoplarError):
    """The codelet has no field of that name."""


class TypeMismatch(PoplarError):
    """A tensor's element type is not what the place it is used in takes (Poplar's type_error)."""


class IndexOutOfRange(PoplarError):
    """A slice, index or axis lies outside its tensor (Poplar's index_error)."""


class ShapeError(PoplarError):
    """Shapes that should agree do not."""


class GraphConnectionError(PoplarError):
    """A field is unconnected, connected twice, or has a size its codelet does not take."""


class GraphRecursionError(PoplarError):
    """A function calls itself."""


class InvalidTileMapping(PoplarError):
    """An element or a vertex has no tile, or a tile the target does not have."""


class InvalidOption(PoplarError):
    """An option is unknown or has a value outside its range."""


class GraphProgramCompilationError(PoplarError):
    """The program cannot be compiled: a race, a write to a constant, a stream of the wrong size."""


class GraphMemoryAllocationError(PoplarError, MemoryError):
    """A tile needs more bytes than it has."""


class StreamConnectionError(PoplarError):
    """A stream is not connected, or is connected to something of the wrong type or size."""


class TensorIOError(PoplarError):
    """A host read or write names an unknown handle or has the wrong shape or type."""


class FileLoadError(PoplarError):
    """A file is missing, damaged, or of another kind."""


class ParseError(PoplarError):
    """A model description is not well formed."""


class ModelError(PoplarError):
    """A model description is well formed but cannot be built."""


class DataError(PoplarError):
    """A data set is missing or unusable."""


class CodeletError(PoplarError):
    """A codelet's source uses something the tile language does not have."""


class UntrustedCodelet(PoplarError):
    """An executable carries user codelets and was loaded without trust."""


class RuntimeFault(PoplarError):
    """The simulated program stopped: an abort, or a check that failed while running (application_runtime_error)."""


class MissingTool(PoplarError):
    """An optional program or package is not installed."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ` Did you mean 'x'?` for the closest of `known`, or an empty string."""
    close = difflib.get_close_matches(str(name), [str(k) for k in known], n=1, cutoff=0.5)
    return f" Did you mean '{close[0]}'?" if close else ""
