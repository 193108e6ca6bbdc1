"""Checking of option dictionaries: unknown names are errors with the nearest known name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .errors import InvalidOption, did_you_mean


def read_options(given: Mapping[str, Any] | None, defaults: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return `defaults` overlaid with `given`.

    Raises InvalidOption where a name is unknown or a value has not the default's kind.
    """
    result = dict(defaults)
    for name, value in (given or {}).items():
        if name not in defaults:
            raise InvalidOption(
                f"{where} has no option '{name}'.{did_you_mean(name, defaults)} Options: {', '.join(sorted(defaults))}"
            )
        default = defaults[name]
        number = isinstance(default, (int, float)) and not isinstance(default, bool)
        if (
            default is not None
            and not isinstance(value, type(default))
            and not (number and isinstance(value, (int, float)) and not isinstance(value, bool))
        ):
            raise InvalidOption(
                f"{where} option '{name}' is {value!r}; it takes a {type(default).__name__} (default {default!r})"
            )
        result[name] = value
    return result
