"""Model descriptions: YAML, checked against a typed schema.

    name: mnist_small                  # a word
    description: 784-128-10            # one line, for people
    data: mnist                        # the data set it is made for: mnist, digits or idx:DIR
    batch: 100                         # samples in a batch when not training
    dtype: float                       # float or half: parameters and activations
    seed: 1                            # of initial weights, order of batches and dropout
    input: {shape: [784], scale: 0.00392156862745098}      # of one sample; raw data is multiplied by scale
    settings: {width: 64}              # what stands as $width, to be given from outside; see settings.py
    layers:                            # see layers*.py; groups of layers in structure.py
      - dense: {units: 128, activation: relu, name: fc1}
      - dropout: {rate: 0.1}
      - repeat: {times: 2, name: middle, layers: [dense: {units: 64, activation: relu}]}
      - block: {use: head}
      - softmax
    blocks:                            # named lists of layers, also with settings of their own
      head: [dense: {units: 10}]
      wide: {settings: {units: 100}, layers: [dense: {units: $units}]}
    training:                          # optional
      loss: softmax_cross_entropy      # or mean_squared_error
      target: labels                   # or input (what mean_squared_error compares with)
      optimiser:                       # or sgd, adam; half_life: steps in which the learning rate halves
        momentum: {learning_rate: 0.05, momentum: 0.9, weight_decay: 0, half_life: 300}
      epochs: 6
      batch: 50
      loss_scale: 1                    # gradients are scaled by it on their way, for half

`like: FILE` makes a description of another one, which lies beside it: what it says replaces what that one says, and its
`settings:` are other defaults of that one's settings (`{like: resnet50.yaml, settings: {depth: 101}}`).

An error names file, line and key, what was found and what is allowed.
"""

# ruff: noqa: RUF009 (schema.field is dataclasses.field with limits)
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as plain_field
from pathlib import Path
from typing import Any

from ..errors import did_you_mean
from . import layers_conv, layers_field, layers_recurrent  # noqa: F401 (their classes are layers by existing)
from .located import Located, parse_yaml, read_yaml
from .schema import field, read_as
from .settings import mapping_of, resolve, substitute
from .structure import Reader
from .training import Training

INPUT_TYPES = ("float", "half", "unsigned_char")


@dataclass(frozen=True, kw_only=True)
class Input:
    """`input:`. A sample's shape; raw data is multiplied by `scale` on the host, or on the device for unsigned_char."""

    where: Located
    shape: tuple[int, ...] = field(at_least=1)
    dtype: str | None = field(None, choices=INPUT_TYPES)  # that of the model where None
    scale: float = field(1.0)


@dataclass(frozen=True, kw_only=True)
class Description:
    """A checked description. `entries` are Layer, Repeat and Block records in order."""

    where: Located
    name: str = field()
    input: Input = field()
    layers: Any = field(read=lambda located: located)
    description: str = field("")
    data: str | None = field(None)
    batch: int = field(1, at_least=1)
    dtype: str = field("float", choices=("float", "half"))
    seed: int = field(0, at_least=0)
    settings: Any = field(None, read=lambda located: located)
    blocks: Any = field(None, read=lambda located: located)
    training: Training | None = field(None)
    entries: tuple[Any, ...] = plain_field(default=())

    @property
    def file(self) -> str:
        """The file it was read from."""
        return self.where.file


def read_description(path: str | Path, settings: Mapping[str, Any] | None = None) -> Description:
    """The description in a file, with `settings` in place of its defaults. Raises FileLoadError, ParseError and
    ModelError."""
    return check(_completed(read_yaml(path), Path(path)), settings)


def _completed(located: Located, path: Path, inside: tuple[Path, ...] = ()) -> Located:
    """A document with what it takes from the one it is `like`. Raises FileLoadError, ParseError and ModelError."""
    if not isinstance(located.value, dict) or "like" not in located.value:
        return located
    like = located.value["like"]
    if not isinstance(like.value, str):
        raise like.error(f"found {like.found()}; it takes the file of another description")
    other = path.parent / like.value
    if other.resolve() in (path.resolve(), *inside):
        raise like.error(f"description '{like.value}' is like itself")
    if not other.is_file():
        raise like.error(f"there is no file {other}")
    base = _completed(read_yaml(other), other, (*inside, path.resolve()))
    own = {key: value for key, value in located.value.items() if key not in ("like", "settings")}
    settings = mapping_of(base.value.get("settings"), "names with their values")
    for name, value in mapping_of(located.value.get("settings"), "names with their values").items():
        if name not in settings:
            known = ", ".join(settings) or "none"
            raise value.error(f"{other.name} has no setting '{name}'.{did_you_mean(name, settings)} Settings: {known}")
        old = settings[name]
        several = isinstance(old.value, dict)
        settings[name] = Located({**old.value, "default": value}, old.file, old.line, old.path) if several else value
    merged = {**base.value, **own, "settings": Located(settings, located.file, located.line, "settings")}
    return Located(merged, located.file, located.line, located.path)


def parse_description(text: str, file: str = "<text>", settings: Mapping[str, Any] | None = None) -> Description:
    """The description in `text`. Raises ParseError and ModelError."""
    return check(parse_yaml(text, file), settings)


def check(located: Located, settings: Mapping[str, Any] | None = None) -> Description:
    """A YAML document as a Description. Raises ModelError."""
    if not isinstance(located.value, dict):
        raise located.error(f"found {located.found()}; a model description is a mapping with name, input, layers")
    values = resolve(located.value.get("settings"), settings, located.file)
    kept = {key: located.value[key] for key in ("settings", "blocks") if key in located.value}
    rest = {key: value for key, value in located.value.items() if key not in kept}
    filled = substitute(Located(rest, located.file, located.line, located.path), values)
    plain = read_as(Description, Located({**filled.value, **kept}, located.file, located.line, located.path))
    reader = Reader(mapping_of(plain.blocks, "block names, each with a list of layers"), values)
    entries = reader.read(plain.layers)
    for name in reader.blocks:  # those that nothing uses are checked as well
        reader.layers_of(name)
    return Description(**{**vars(plain), "where": located, "entries": entries})
