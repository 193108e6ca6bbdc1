"""Types of values in tile code, and how they meet.

A scalar's kind is a short word: "f32", "i8".."i64", "u8".."u64", "bool", or "index" for what `range` and sizes give
(64 bits here, so addresses never wrap). A literal has no kind of its own until it meets another operand. Rules:

    literal and x        the kind of x, where the literal is representable in it
    float and any        f32
    index and integer    index (64-bit integers keep theirs)
    integers             the wider; of equal width and different sign, the unsigned
    bool and bool        bool, but i32 in arithmetic
    a local              one kind in the whole function: that of all its assignments together; literals count as f32 or i32
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from ..dtypes import DType

F32, BOOL, INDEX = "f32", "bool", "index"
WIDTH = {"i8": 8, "i16": 16, "i32": 32, "i64": 64, "u8": 8, "u16": 16, "u32": 32, "u64": 64}
KIND_OF = {"FLOAT": F32, "HALF": F32, "BOOL": BOOL} | {
    "INT": "i32", "UNSIGNED_INT": "u32", "SHORT": "i16", "UNSIGNED_SHORT": "u16", "CHAR": "i8", "UNSIGNED_CHAR": "u8",
    "LONGLONG": "i64", "UNSIGNED_LONGLONG": "u64",
}  # fmt: skip
NUMPY_NAME = {F32: "float32", BOOL: "bool_"} | {
    k: ("int" if k[0] == "i" else "uint") + str(w) for k, w in WIDTH.items()
}


@dataclass(frozen=True)
class Literal:
    """A number written in the source; it takes the kind of what it meets."""

    value: Any


@dataclass(frozen=True)
class Array:
    """A window, a row of one, or a slice: element kind, axes, the field it lies in and whether that may be written."""

    element: str
    ndim: int
    field: str
    writable: bool


def kind_of(element: DType) -> str:
    """The kind that values of an element type have in tile code."""
    return KIND_OF[element.name]


def is_integer(kind: Any) -> bool:
    return kind in WIDTH or kind == INDEX


def is_unsigned(kind: Any) -> bool:
    return kind in WIDTH and kind[0] == "u"


def limits(kind: str) -> tuple[int, int]:
    """Smallest and largest number of an integer kind."""
    width = WIDTH.get(kind, 64)
    return (0, 2**width - 1) if is_unsigned(kind) else (-(2 ** (width - 1)), 2 ** (width - 1) - 1)


def float_limits(kind: str) -> tuple[float, float]:
    """The float64 nearest to the limits that lie inside them."""
    low, high = limits(kind)
    return float(low), float(high) if WIDTH.get(kind, 64) < 64 else math.nextafter(float(high), 0.0)


def settle(kind: Any) -> Any:
    """The kind a literal has on its own."""
    if not isinstance(kind, Literal):
        return kind
    if isinstance(kind.value, bool):
        return BOOL
    if isinstance(kind.value, float):
        return F32
    for candidate in ("i32", "u32", "i64", "u64"):
        low, high = limits(candidate)
        if low <= kind.value <= high:
            return candidate
    return F32


def _with_literal(value: Any, kind: str) -> str:
    if isinstance(value, float):
        return F32
    if isinstance(value, bool) or kind in (F32, INDEX):
        return kind
    if kind == BOOL:
        return settle(Literal(value))
    low, high = limits(kind)
    if low <= value <= high:
        return kind
    return "i32" if -(2**31) <= value < 2**31 and WIDTH[kind] < 32 else "i64"


def common(a: Any, b: Any, arithmetic: bool = False) -> str:
    """The kind in which two scalars meet; in `arithmetic` two bools are counted with."""
    if isinstance(a, Literal) and isinstance(b, Literal):
        a, b = settle(a), settle(b)
    elif isinstance(a, Literal):
        a = _with_literal(a.value, b)
    elif isinstance(b, Literal):
        b = _with_literal(b.value, a)
    if F32 in (a, b):
        return F32
    if a == BOOL or b == BOOL:
        other = b if a == BOOL else a
        return "i32" if other == BOOL and arithmetic else other
    if INDEX in (a, b):
        other = b if a == INDEX else a
        return other if WIDTH.get(other) == 64 else INDEX
    if WIDTH[a] != WIDTH[b]:
        return a if WIDTH[a] > WIDTH[b] else b
    return a if is_unsigned(a) else b


def comparable(a: Any, b: Any) -> str:
    """The kind in which two scalars are compared: as `common`, but numbers of different sign keep their values."""
    kind = common(a, b)
    if is_integer(kind) and kind != "u64" and not isinstance(a, Literal) and not isinstance(b, Literal):
        return INDEX if is_unsigned(a) != is_unsigned(b) else kind
    return kind


def literal(value: Any, kind: str) -> str:
    """Source of a literal in a kind; whole numbers wrap, floats lose their fraction on the way to them."""
    if kind == F32:
        try:
            number = float(value)
        except OverflowError:
            number = math.inf if value > 0 else -math.inf
        text = repr(number)
        if math.isinf(number):
            text = "__inf" if number > 0 else "-__inf"
        return "__f32(__nan)" if math.isnan(number) else f"__f32({text})"
    if kind == BOOL:
        return "True" if value else "False"
    if isinstance(value, float):
        value = 0 if math.isnan(value) else int(min(max(value, float_limits(kind)[0]), float_limits(kind)[1]))
    if kind == INDEX:
        return repr(int(value))
    width, whole = WIDTH[kind], int(value)
    whole &= 2**width - 1
    if not is_unsigned(kind) and whole >= 2 ** (width - 1):
        whole -= 2**width
    return f"__{kind}({whole})"


def cast(code: str, have: Any, want: str) -> str:
    """Source that turns a value of kind `have` into `want`. Floats to whole numbers saturate; NaN becomes 0."""
    if have == want:
        return code
    if isinstance(have, Literal):
        return literal(have.value, want)
    if want == BOOL:
        return f"({code} != {literal(0, have)})"
    to = "i64" if want == INDEX else want
    if have == F32:
        low, high = float_limits(want)
        return f"__{to}(__between({code}, {low!r}, {high!r}))"
    if have == INDEX and to != "i64":
        code = f"__i64({code})"
    return f"__{to}({code})"
