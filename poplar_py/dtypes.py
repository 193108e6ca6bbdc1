"""Element types: Poplar's names, their sizes in tile memory, and their numpy counterparts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy
import numpy as np

from .errors import TypeMismatch, did_you_mean


@dataclass(frozen=True)
class DType:
    """An element type.

    `np` is the type of arrays at the host; `storage` the type of the words in tile memory, which differs for HALF
    (16-bit words, because compiled code has no half arrays) and BOOL (bytes); `compute` the type a codelet
    calculates with after reading such a field.
    """

    name: str
    size: int
    np: numpy.dtype
    storage: numpy.dtype
    compute: numpy.dtype

    @property
    def is_floating(self) -> bool:
        return self.np.kind == "f"

    @property
    def is_integral(self) -> bool:
        return self.np.kind in "iu"

    def __repr__(self) -> str:
        return self.name

    def __reduce__(self) -> tuple:
        return (dtype, (self.name,))


def _make(name: str, np_type: str, storage: str | None = None, compute: str | None = None) -> DType:
    kind = np.dtype(np_type)
    return DType(name, kind.itemsize, kind, np.dtype(storage or np_type), np.dtype(compute or np_type))


FLOAT = _make("FLOAT", "float32")
HALF = _make("HALF", "float16", "uint16", "float32")
INT = _make("INT", "int32")
UNSIGNED_INT = _make("UNSIGNED_INT", "uint32")
SHORT = _make("SHORT", "int16")
UNSIGNED_SHORT = _make("UNSIGNED_SHORT", "uint16")
CHAR = _make("CHAR", "int8")
UNSIGNED_CHAR = _make("UNSIGNED_CHAR", "uint8")
BOOL = _make("BOOL", "bool", "uint8")
LONGLONG = _make("LONGLONG", "int64")
UNSIGNED_LONGLONG = _make("UNSIGNED_LONGLONG", "uint64")

ALL = (FLOAT, HALF, INT, UNSIGNED_INT, SHORT, UNSIGNED_SHORT, CHAR, UNSIGNED_CHAR, BOOL, LONGLONG, UNSIGNED_LONGLONG)
_BY_NAME = {d.name: d for d in ALL} | {d.name.lower(): d for d in ALL} | {"SIGNED_CHAR": CHAR}
_BY_NUMPY = {d.np: d for d in ALL}


def dtype(spec: Any) -> DType:
    """Return the element type that `spec` names: a DType, a Poplar name, or anything `numpy.dtype` takes.

    Raises TypeMismatch where the type has no counterpart on a tile (float64, complex, strings).
    """
    if isinstance(spec, DType):
        return spec
    if isinstance(spec, str) and spec in _BY_NAME:
        return _BY_NAME[spec]
    try:
        return _BY_NUMPY[np.dtype(spec)]
    except KeyError:
        raise TypeMismatch(
            f"no element type for numpy {np.dtype(spec)}; tiles have {', '.join(d.name for d in ALL)}"
        ) from None
    except TypeError:
        raise TypeMismatch(f"unknown element type {spec!r}.{did_you_mean(str(spec), _BY_NAME)}") from None
