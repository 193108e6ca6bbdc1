"""Model descriptions: YAML, checked against a typed schema.

    name: mnist_small                  # a word
    description: 784-128-10            # one line, for people
    data: mnist                        # the data set it is made for: mnist, digits or idx:DIR
    batch: 100                         # samples in a batch when not training
    dtype: float                       # float or half: parameters and activations
    seed: 1                            # of initial weights, order of batches and dropout
    input: {shape: [784], scale: 0.00392156862745098}      # of one sample; raw data is multiplied by scale
    layers:                            # see layers.py
      - dense: {units: 128, activation: relu, name: fc1}
      - dropout: {rate: 0.1}
      - repeat: {times: 2, name: middle, layers: [dense: {units: 64, activation: relu}]}
      - block: {use: head}
      - softmax
    blocks:                            # named lists of layers
      head: [dense: {units: 10}]
    training:                          # optional
      loss: softmax_cross_entropy      # or mean_squared_error
      target: labels                   # or input (what mean_squared_error compares with)
      optimiser:                       # or sgd, adam; half_life: steps in which the learning rate halves
        momentum: {learning_rate: 0.05, momentum: 0.9, weight_decay: 0, half_life: 300}
      epochs: 6
      batch: 50
      loss_scale: 1                    # gradients are scaled by it on their way, for half

An error names file, line and key, what was found and what is allowed.
"""

# ruff: noqa: RUF009 (schema.field is dataclasses.field with limits)
from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field as plain_field
from pathlib import Path
from typing import Any

from ..errors import did_you_mean
from . import layers_field  # noqa: F401 (its classes are layers by existing)
from .layers import LAYERS, Layer
from .located import Located, parse_yaml, read_yaml
from .schema import field, read_as
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
class Repeat:
    """`repeat:`: the same layers several times, each time with parameters of its own."""

    where: Located
    times: int = field(at_least=1)
    layers: Any = field(read=lambda located: located)
    name: str | None = field(None)
    entries: tuple[Any, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Block:
    """`block:`: the layers listed under that name in `blocks:`, with parameters of their own."""

    where: Located
    use: str = field()
    name: str | None = field(None)
    entries: tuple[Any, ...] = ()


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
    blocks: Any = field(None, read=lambda located: located)
    training: Training | None = field(None)
    entries: tuple[Any, ...] = plain_field(default=())

    @property
    def file(self) -> str:
        """The file it was read from."""
        return self.where.file


def read_description(path: str | Path) -> Description:
    """The description in a file. Raises FileLoadError, ParseError and ModelError."""
    return check(read_yaml(path))


def parse_description(text: str, file: str = "<text>") -> Description:
    """The description in `text`. Raises ParseError and ModelError."""
    return check(parse_yaml(text, file))


def check(located: Located) -> Description:
    """A YAML document as a Description. Raises ModelError."""
    if not isinstance(located.value, dict):
        raise located.error(f"found {located.found()}; a model description is a mapping with name, input, layers")
    plain = read_as(Description, located)
    blocks = {} if plain.blocks is None or plain.blocks.value is None else plain.blocks.value
    if not isinstance(blocks, dict):
        raise plain.blocks.error(f"found {plain.blocks.found()}; it takes block names, each with a list of layers")
    entries = _Reader(blocks).read(plain.layers, ())
    for name, block in blocks.items():  # those that nothing uses are checked as well
        _Reader(blocks).read(block, (name,))
    return Description(**{**vars(plain), "entries": entries})


class _Reader:
    """Reads lists of layers, following blocks."""

    def __init__(self, blocks: dict[str, Located]):
        self.blocks = blocks
        self.kinds = [*sorted(LAYERS), "repeat", "block"]

    def read(self, located: Located, inside: tuple[str, ...]) -> tuple[Any, ...]:
        """The records of a list; `inside` are the blocks it stands in."""
        if not isinstance(located.value, list) or not located.value:
            raise located.error(f"found {located.found()}; it takes a list of layers")
        return tuple(self.entry(entry, inside) for entry in located.value)

    def entry(self, located: Located, inside: tuple[str, ...]) -> Any:
        value = located.value
        if isinstance(value, str):  # `- softmax` for `- softmax: {}`
            kind, settings = value, Located(None, located.file, located.line, located.path)
        elif isinstance(value, dict) and len(value) == 1:
            ((kind, settings),) = located.items()
        else:
            raise located.error(f"found {located.found()}; a layer is one name with its settings in braces")
        if kind not in self.kinds:
            raise settings.error(
                f"unknown layer '{kind}'.{did_you_mean(kind, self.kinds)} Allowed: {', '.join(self.kinds)}"
            )
        if kind == "repeat":
            repeat = read_as(Repeat, settings, word="key")
            return Repeat(**{**vars(repeat), "entries": self.read(repeat.layers, inside)})
        if kind == "block":
            return self.block(settings, inside)
        return read_as(LAYERS[kind], settings)

    def block(self, located: Located, inside: tuple[str, ...]) -> Block:
        block = read_as(Block, located)
        if block.use not in self.blocks:
            known = ", ".join(self.blocks) or "none"
            raise located.error(f"no block '{block.use}'.{did_you_mean(block.use, self.blocks)} Blocks: {known}")
        if block.use in inside:
            raise located.error(f"block '{block.use}' contains itself: {' -> '.join((*inside, block.use))}")
        return Block(**{**vars(block), "entries": self.read(self.blocks[block.use], (*inside, block.use))})


def layers_of(entries: tuple[Any, ...]) -> list[Layer]:
    """The layers of a description, each written one once."""
    return [x for e in entries for x in (layers_of(e.entries) if isinstance(e, (Repeat, Block)) else [e])]
