"""Codelets: classes whose attributes are fields and whose `compute` is tile code.

    class Dot(Codelet):
        a = Input(VECTOR); b = Input(VECTOR); out = Output()

        def compute(a, b, out): ...            # plain Python on arrays; argument names are field names
        def cycles(target, a, b, out): ...     # sizes in, worker slots out (tile cycles where kind = MULTI)
        def scratch(target, a, b, out): ...    # optional: bytes of temporary memory of one vertex

Class attributes with a meaning: `kind` (WORKER, the default, or MULTI: the vertex owns all workers of its tile),
`accumulate = HALF` (every float result inside `compute` is rounded to half), `reassociate = True` (sums may be
reordered for speed, so the engines agree in value and not bit for bit). Others are the author's own.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from ..dtypes import DType
from ..dtypes import dtype as as_dtype
from ..errors import CodeletError, did_you_mean

SCALAR = "SCALAR"
VECTOR = "VECTOR"
MATRIX = "MATRIX"
WORKER = "WORKER"
MULTI = "MULTI"

_KINDS = (SCALAR, VECTOR, MATRIX)
_METHODS = ("compute", "cycles", "scratch")


@dataclass(frozen=True)
class Field:
    """A field of a codelet.

    direction: "in", "out", "inout" or "constant"; kind: SCALAR (one element), VECTOR (a run of elements) or MATRIX
    (rows); dtype: the element type it takes, None for any; partial: an output that may be only partly written;
    default: of a constant.
    """

    direction: str
    kind: str = SCALAR
    dtype: DType | None = None
    partial: bool = False
    default: Any = None
    name: str = ""


def _field(direction: str, kind: Any, dtype: Any, partial: bool = False) -> Field:
    if kind not in _KINDS:
        if dtype is not None:
            raise CodeletError(f"a field is {', '.join(_KINDS)}, not {kind!r}")
        kind, dtype = SCALAR, kind  # Output(FLOAT): one element of that type
    return Field(direction, kind, None if dtype is None else as_dtype(dtype), bool(partial))


def Input(kind: Any = SCALAR, dtype: Any = None) -> Field:
    """A field that `compute` reads. `dtype=None` takes any element type."""
    return _field("in", kind, dtype)


def Output(kind: Any = SCALAR, dtype: Any = None, partial: bool = False) -> Field:
    """A field that `compute` writes wholly, or in part where `partial`; what it held before is kept only then."""
    return _field("out", kind, dtype, partial)


def InOut(kind: Any = SCALAR, dtype: Any = None) -> Field:
    """A field that `compute` reads and writes."""
    return _field("inout", kind, dtype)


def Constant(dtype: Any = None, default: Any = None) -> Field:
    """A number known when the graph is compiled; without `dtype` it is INT or FLOAT as the number given."""
    return Field("constant", SCALAR, None if dtype is None else as_dtype(dtype), False, default)


class Codelet:
    """Base of all codelets. Subclassing collects the fields in order and checks the methods' argument names."""

    kind: ClassVar[str] = WORKER
    accumulate: ClassVar[DType | None] = None
    reassociate: ClassVar[bool] = False
    fields: ClassVar[dict[str, Field]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Raises CodeletError where a method names something that is no field."""
        super().__init_subclass__(**kwargs)
        fields: dict[str, Field] = {}
        for base in cls.__mro__[1:]:
            fields = {**getattr(base, "fields", {}), **fields}
        for name, value in list(vars(cls).items()):
            if isinstance(value, Field):
                fields[name] = replace(value, name=name)
        cls.fields = fields
        where = f"codelet {cls.__name__}"
        if cls.kind not in (WORKER, MULTI):
            raise CodeletError(f"{where}: kind is WORKER or MULTI, not {cls.kind!r}")
        for method in _METHODS:
            function = vars(cls).get(method)
            if function is not None:
                _check_arguments(where, method, function, fields)


def _check_arguments(where: str, method: str, function: Any, fields: dict[str, Field]) -> None:
    if isinstance(function, staticmethod):
        function = function.__func__
    if not inspect.isfunction(function):
        raise CodeletError(f"{where}: {method} must be a plain function, not {type(function).__name__}")
    parameters = list(inspect.signature(function).parameters.values())
    names = [p.name for p in parameters]
    at = f"{function.__code__.co_filename}:{function.__code__.co_firstlineno}: {where}: {method}"
    if any(p.kind not in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters):
        raise CodeletError(f"{at} takes field names only, without * or **")
    if method != "compute":
        if names[:1] != ["target"]:
            raise CodeletError(f"{at} takes `target` first, then field names; it has ({', '.join(names)})")
        names = names[1:]
    for name in names:
        if name not in fields:
            hint = " Leave out `self`: tile code has no object." if name == "self" else did_you_mean(name, fields)
            raise CodeletError(f"{at} has an argument '{name}' that is no field.{hint} Fields: {', '.join(fields)}")
