"""Checking descriptions against typed dataclasses.

    units: int = field(at_least=1, doc="columns of the result")
    activation: str | None = field(None, choices=("relu", "tanh"))

`read_as(SomeClass, located)` makes an instance or raises ModelError naming file, line and key, what was found and what
is allowed. Types: int, float, str, bool, `| None`, `tuple[int, ...]`, a dataclass, or a reader function given as
`field(read=...)`.
"""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Callable, Collection
from typing import Any

from ..errors import did_you_mean
from .located import Located

NAMES = {int: "a whole number", float: "a number", str: "a word", bool: "true or false"}


def field(
    default: Any = dataclasses.MISSING,
    *,
    at_least: float | None = None,
    below: float | None = None,
    above: float | None = None,
    choices: Collection[str] | Callable[[], Collection[str]] | None = None,
    read: Callable[[Located], Any] | None = None,
) -> Any:
    """A dataclass field with the limits its value is checked against."""
    limits = {"at_least": at_least, "below": below, "above": above, "choices": choices, "read": read}
    metadata = {k: v for k, v in limits.items() if v is not None}
    return dataclasses.field(default=default, metadata=metadata)


def read_as(cls: type, located: Located, hidden: Collection[str] = (), word: str = "key") -> Any:
    """An instance of dataclass `cls` from a mapping; fields called `where` get the Located itself.

    `hidden` are fields that are no keys; they keep their defaults. Raises ModelError.
    """
    mapping = {} if located.value is None else located.value
    if not isinstance(mapping, dict):
        keys = ", ".join(key for key in _keys(cls) if key not in hidden) or "no keys"
        raise located.error(f"found {located.found()}; it takes a mapping with {keys}")
    hints = typing.get_type_hints(cls)
    known = [key for key in _keys(cls) if key not in hidden]
    for key, value in mapping.items():
        if key not in known:
            allowed = f"Allowed: {', '.join(known)}" if known else "It takes none"
            raise value.error(f"unknown {word} '{key}'.{did_you_mean(key, known)} {allowed}")
    values: dict[str, Any] = {}
    for f in dataclasses.fields(cls):
        if f.name == "where":
            values["where"] = located
        elif f.name in mapping:
            values[f.name] = _check(mapping[f.name], hints[f.name], f.metadata)
        elif f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING:
            raise located.error(f"'{f.name}' is missing; it takes {_wanted(hints[f.name], f.metadata)}")
    return cls(**values)


def _keys(cls: type) -> list[str]:
    return [f.name for f in dataclasses.fields(cls) if f.name != "where"]


def _check(located: Located, hint: Any, limits: Any) -> Any:
    if "read" in limits:
        return limits["read"](located)
    value = located.value
    if isinstance(hint, types.UnionType):
        if value is None:
            return None
        hint = next(h for h in typing.get_args(hint) if h is not type(None))
    if dataclasses.is_dataclass(hint):
        return read_as(hint, located)  # type: ignore[arg-type]
    if typing.get_origin(hint) is tuple:
        if not isinstance(value, list):
            raise located.error(f"found {located.found()}; it takes {_wanted(hint, limits)}")
        return tuple(_check(entry, typing.get_args(hint)[0], limits) for entry in value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if type(value) is not hint or (hint is float and not math.isfinite(value)):
        raise located.error(f"found {located.found()}; it takes {_wanted(hint, limits)}")
    choices = _choices(limits)
    if choices is not None and value not in choices:
        raise located.error(f"found '{value}'.{did_you_mean(value, choices)} Allowed: {', '.join(choices)}")
    small = value < limits.get("at_least", -math.inf) if hint in (int, float) else False
    if hint in (int, float) and (small or not limits.get("above", -math.inf) < value < limits.get("below", math.inf)):
        raise located.error(f"found {value}; it takes {_wanted(hint, limits)}")
    return value


def _choices(limits: Any) -> Collection[str] | None:
    choices = limits.get("choices")
    return choices() if callable(choices) else choices


def _wanted(hint: Any, limits: Any) -> str:
    """What a field takes, in words."""
    if isinstance(hint, types.UnionType):
        hint = next(h for h in typing.get_args(hint) if h is not type(None))
    choices = _choices(limits)
    if choices is not None:
        return "one of " + ", ".join(choices)
    bounds = [f"of at least {limits['at_least']}"] if "at_least" in limits else []
    bounds += [f"above {limits['above']}"] if "above" in limits else []
    bounds += [f"below {limits['below']}"] if "below" in limits else []
    suffix = " " + " and ".join(bounds) if bounds else ""
    if typing.get_origin(hint) is tuple:
        return f"a list, each {_wanted(typing.get_args(hint)[0], limits)}"
    return NAMES.get(hint, "a mapping") + suffix
