"""poplar_py: an open graph compiler and a simulated IPU.

The pipeline in ten lines:

    description -> op graph            frontends/, opgraph/, ops/      what is computed
    op graph    -> graph + program     lower/                          which tile computes what
    graph       vertices and edges over tile-mapped variables          graph/, codelet/
    program     Execute, Copy, Repeat, If, Call, streams               program/
    program     -> supersteps -> exchange -> liveness -> memory plan   exchange/, memory/, cost/
    executable  runs on a simulated device, tile by tile               engine/
    profile     cycles, bytes and liveness of what ran                 report/, render/
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "errors": (
        "PoplarError InternalError GraphObjectCreationError UnknownVertexType UnknownField TypeMismatch IndexOutOfRange"
        " ShapeError GraphConnectionError GraphRecursionError InvalidTileMapping InvalidOption"
        " GraphProgramCompilationError GraphMemoryAllocationError StreamConnectionError TensorIOError FileLoadError"
        " ParseError ModelError DataError CodeletError UntrustedCodelet RuntimeFault MissingTool"
    ),
    "dtypes": (
        "DType FLOAT HALF INT UNSIGNED_INT SHORT UNSIGNED_SHORT CHAR UNSIGNED_CHAR BOOL LONGLONG UNSIGNED_LONGLONG dtype"
    ),
    "target": "Target Device",
    "codelet": "Codelet Input Output InOut Constant SCALAR VECTOR MATRIX WORKER MULTI",
    "graph": "Graph Tensor Variable ComputeSet Vertex Function DataStream RemoteBuffer concat append",
    "program": (
        "Abort AbortOnCondition Call Copy Execute If PrintTensor Program Repeat RepeatWhileFalse RepeatWhileTrue"
        " Sequence Switch Sync WriteUndef"
    ),
    "pipeline": "compile compile_graph",
    "session": "Executable Engine ReferenceEngine",
}
_WHERE = {name: room for room, names in _HOMES.items() for name in names.split()}
_ROOMS = ("popops", "poplin", "popnn", "poprand", "poputil", "render", "report")

__all__ = [*_WHERE, *_ROOMS]  # noqa: PLE0604


def __getattr__(name: str) -> Any:
    """Public names are imported from their rooms when first used, so that `import poplar_py` is quick."""
    if name in _WHERE:
        value = getattr(importlib.import_module(f".{_WHERE[name]}", __name__), name)
    elif name in _ROOMS:
        value = importlib.import_module(f".{name}", __name__)
    else:
        from .errors import did_you_mean

        raise AttributeError(f"poplar_py has no '{name}'.{did_you_mean(name, [*_WHERE, *_ROOMS])}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


if TYPE_CHECKING:
    # ruff: noqa: F401
    from .codelet import MATRIX, MULTI, SCALAR, VECTOR, WORKER, Codelet, Constant, InOut, Input, Output
    from .dtypes import BOOL, FLOAT, HALF, INT, UNSIGNED_INT
    from .graph import Graph, Tensor, concat
    from .session import Engine, Executable, ReferenceEngine
    from .target import Device, Target
