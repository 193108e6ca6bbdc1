"""Settings of a description: numbers and words that stand in it as `$name` and may be given from outside.

    settings:
      classes: 10
      depth:                                   # one of several: each sets further settings
        default: 50
        50: {block: bottleneck, more: 5}
        18: {block: basic, more: 1}

`blocks:` have settings of their own (`blocks: {stage: {settings: {width: 64}, layers: [...]}}`) that whoever uses the
block gives (`block: {use: stage, set: {width: 128}}`); inside, they stand before those of the description.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import ModelError, did_you_mean
from .located import Located, parse_yaml

Settings = dict[str, Located]
MARK = "$"


def resolve(located: Located | None, given: Mapping[str, Any] | None, file: str) -> Settings:
    """The values of `settings:` with those `given` (plain values; text is read as YAML) in place of the defaults.

    Raises ModelError for a setting that is not there, or a choice that is none.
    """
    declared = mapping_of(located, "names with their values")
    given = dict(given or {})
    resolved: Settings = {}
    chosen: Settings = {}
    for name, value in declared.items():
        if not isinstance(value.value, dict):
            resolved[name] = value
            continue
        choices = {key: choice for key, choice in value.items() if key != "default"}
        if "default" not in value.value:
            raise value.error(f"'default' is missing; it says which of {', '.join(choices)} is taken unless told")
        picked = as_located(given.pop(name), name, file) if name in given else value.value["default"]
        if str(picked.value) not in choices:
            raise picked.error(
                f"{name} is {picked.found()}.{did_you_mean(str(picked.value), choices)} Allowed: {', '.join(choices)}"
            )
        resolved[name] = picked
        chosen |= mapping_of(choices[str(picked.value)], "settings")
    resolved |= chosen
    for name, value in given.items():
        if name not in resolved:
            known = ", ".join(resolved) or "none"
            raise ModelError(f"{file}: no setting '{name}'.{did_you_mean(name, resolved)} Settings: {known}")
        resolved[name] = as_located(value, name, file)
    return resolved


def mapping_of(located: Located | None, what: str) -> Settings:
    """The entries of a mapping, none where it is absent. Raises ModelError."""
    if located is None or located.value is None:
        return {}
    if not isinstance(located.value, dict):
        raise located.error(f"found {located.found()}; it takes {what}")
    return dict(located.value)


def as_located(value: Any, name: str, file: str) -> Located:
    """A value given from outside the description."""
    if isinstance(value, str):
        value = parse_yaml(value, file).value
    if isinstance(value, (list, tuple)):
        value = [as_located(v, name, file) for v in value]
    return Located(value, file, 1, f"setting {name}")


def substitute(located: Located, settings: Settings) -> Located:
    """The same with every `$name` replaced by the setting's value. Raises ModelError for a name that is none."""
    value = located.value
    if isinstance(value, dict):
        return Located({k: substitute(v, settings) for k, v in value.items()}, located.file, located.line, located.path)
    if isinstance(value, list):
        return Located([substitute(v, settings) for v in value], located.file, located.line, located.path)
    if not isinstance(value, str) or not value.startswith(MARK):
        return located
    name = value[len(MARK) :]
    if name not in settings:
        known = ", ".join(settings) or "none"
        raise located.error(f"no setting '{name}'.{did_you_mean(name, settings)} Settings here: {known}")
    return Located(settings[name].value, located.file, located.line, located.path)
