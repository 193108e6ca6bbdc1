"""Errors: two families. `PoplarError` is of the user's making, `InternalError` of ours.

The names below `PoplarError` are Poplar's exception names in Python spelling. A message names the object by its
path, the numbers, and the way out; `did_you_mean` writes the last part for misspelt names.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


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


@dataclass(frozen=True)
class Remedy:
    """Something that would help: `kind` and `setting` for machines, `text` for people. bytes: what the fullest tile then
    takes; fits: whether that is enough."""

    kind: str
    setting: Any
    bytes: int
    fits: bool
    text: str

    def told(self) -> str:
        """The text with what it leads to."""
        return f"{self.text}: {self.bytes} bytes on the fullest tile, {'fits' if self.fits else 'not enough alone'}"


class GraphMemoryAllocationError(PoplarError, MemoryError):
    """A tile needs more bytes than it has.

    Where the memory plan is what does not fit, the fields say how: tile, step (path) and step_index of its fullest
    superstep, bytes_needed, bytes_available, live_bytes (needed without gaps), num_tiles_over, bytes_over (of all tiles
    together), worst_tiles ({tile: bytes}), largest (what is alive there: name, bytes, category, always, runs), by_category
    ({category: bytes} there), remedies and the plan. Else they are None or empty.
    """

    def __init__(self, message: str = ""):
        super().__init__(message)
        self.target = ""
        self.tile: int | None = None
        self.step = ""
        self.step_index: int | None = None
        self.bytes_needed: int | None = None
        self.bytes_available: int | None = None
        self.live_bytes: int | None = None
        self.num_tiles_over = 0
        self.bytes_over = 0
        self.worst_tiles: dict[int, int] = {}
        self.largest: list[Any] = []
        self.by_category: dict[str, int] = {}
        self.remedies: list[Remedy] = []
        self.plan: Any = None

    def tell(self) -> None:
        """Make the message of the fields; its beginning is Poplar's, which programs read."""
        code = sum(self.by_category.get(c, 0) for c in ("vertex_state", "vertex_code", "stacks"))
        control = sum(self.by_category.get(c, 0) for c in ("control_code", "exchange_code"))
        things = ", ".join(f"{a.name} {a.bytes} ({a.span})" for a in self.largest)
        tiles = f"{self.num_tiles_over} tile{'s are' if self.num_tiles_over != 1 else ' is'} over"
        packed = "" if self.live_bytes is None else f", {self.live_bytes} of it live at once"
        parts = [
            f"Out of memory on tile {self.tile}: {self.bytes_needed} bytes used but tiles only have"
            f" {self.bytes_available} bytes of memory ({self.target}){packed}, fullest in"
            f" {self.step or 'no superstep'} (superstep {self.step_index})",
            f"{tiles}, by {self.bytes_over} bytes together: "
            + ", ".join(f"tile {t} by {n - (self.bytes_available or 0)}" for t, n in self.worst_tiles.items()),
            f"Largest there: {things or 'nothing'}; vertex code, state and stacks {code}, control and exchange code {control}",
        ]
        helps = "".join(f"{i}) {r.told()}; " for i, r in enumerate(self.remedies, 1))
        parts.append(f"Try {helps}or allow_out_of_memory to profile it anyway")
        self.args = (". ".join(parts),)


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
