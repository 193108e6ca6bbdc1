"""Layers by the names people know: each is a typed record that adds its ops to an op graph.

A class here is the layer of its name in snake case (`Dense` is `dense:`); its fields are the keys a description may
give. There is no list to extend.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from dataclasses import field as plain_field
from typing import ClassVar

import numpy as np

from ..dtypes import UNSIGNED_INT, DType
from ..errors import ShapeError, did_you_mean
from ..opgraph.graph import OpGraph
from ..opgraph.initialise import INITIALISERS
from ..opgraph.op import Value
from .located import Located
from .schema import field

ACTIVATIONS = ("relu", "sigmoid", "tanh", "softmax", "log_softmax", "exp", "abs", "square")
LAYERS: dict[str, type[Layer]] = {}


@dataclass
class Builder:
    """What layers build on: the op graph, the element type of its values, the seed, and whether they are to train."""

    g: OpGraph
    dtype: DType
    seed: int
    training: bool
    step: Value | None = None
    counts: dict[str, int] = plain_field(default_factory=dict)
    results: dict[str, Value] = plain_field(default_factory=dict)  # of named entries, by path
    steps: dict[Value, tuple[Value, ...]] = plain_field(default_factory=dict)  # of sequences made of rows, the rows

    def step_counter(self) -> Value:
        """The parameter that counts training steps, from 0; made when first needed."""
        if self.step is None:
            with self.g.top_scope():
                self.step = self.g.add_parameter("step", UNSIGNED_INT, (), 0, trainable=False)
        return self.step

    def name(self, layer: Layer) -> str:
        """The name given to a layer, or its kind with a number that counts from 1 in the scope."""
        return layer.name or self.numbered(layer.kind)

    def numbered(self, kind: str) -> str:
        """A kind with a number that counts from 1 in the scope."""
        key = self.g.path_here(kind)
        self.counts[key] = self.counts.get(key, 0) + 1
        return f"{kind}{self.counts[key]}"

    def result(self, layer: Layer, name: str) -> Value:
        """The result of the entry called `name` (a path counted from the open scope, or one around it)."""
        path = self.g.path_here(name)
        while path not in self.results:
            outside, _, _ = path.removesuffix(name).rstrip("/").rpartition("/")
            if path == name:
                raise layer.error(f"nothing before it is called '{name}'.{did_you_mean(name, self.results)}")
            path = f"{outside}/{name}" if outside else name
        return self.results[path]


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One entry of `layers:`. `name` is its part of path names."""

    kind: ClassVar[str] = ""
    where: Located = plain_field(repr=False, compare=False)
    name: str | None = field(None)

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.kind = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", cls.__name__).lower()
        if not cls.__name__.startswith("_"):
            LAYERS[cls.kind] = cls

    def build(self, b: Builder, x: Value) -> Value:
        """Add the layer's ops on `x`, a value whose first axis is the batch, and return the result."""
        raise NotImplementedError

    def error(self, message: str) -> Exception:
        """An error about this layer, with file and line."""
        return self.where.error(message)


@dataclass(frozen=True, kw_only=True)
class Dense(Layer):
    """y = x . weights + bias, then an activation. Weights are (inputs, units)."""

    units: int = field(at_least=1)
    activation: str | None = field(None, choices=ACTIVATIONS)
    bias: bool = field(True)
    initialiser: str = field("he_uniform", choices=tuple(INITIALISERS))

    def build(self, b: Builder, x: Value) -> Value:
        if x.ndim != 2:
            raise self.error(f"dense takes (batch, features); its input is {list(x.shape)}: put `flatten` before it")
        g = b.g
        with g.scope(b.name(self)):
            weights = g.add_parameter("weights", x.dtype, (x.shape[1], self.units), self.initialiser, seed=b.seed)
            y = g.add("matmul", x, weights)
            if self.bias:
                y = g.add("add_bias", y, g.add_parameter("bias", x.dtype, (self.units,)))
            return g.add(self.activation, y) if self.activation else y


class _Activation(Layer):
    """An op of one operand by its own name."""

    def build(self, b: Builder, x: Value) -> Value:
        return b.g.add(self.kind, x, name=b.name(self))


@dataclass(frozen=True, kw_only=True)
class Relu(_Activation):
    """y = max(x, 0)"""


@dataclass(frozen=True, kw_only=True)
class Sigmoid(_Activation):
    """y = 1 / (1 + exp(-x))"""


@dataclass(frozen=True, kw_only=True)
class Tanh(_Activation):
    """y = the hyperbolic tangent of x"""


@dataclass(frozen=True, kw_only=True)
class Softmax(_Activation):
    """y = probabilities along the last axis"""


@dataclass(frozen=True, kw_only=True)
class LogSoftmax(_Activation):
    """y = logarithms of probabilities along the last axis"""


@dataclass(frozen=True, kw_only=True)
class Dropout(Layer):
    """While training, elements become zero at random with probability `rate`; otherwise nothing."""

    rate: float = field(0.5, at_least=0.0, below=1.0)

    def build(self, b: Builder, x: Value) -> Value:
        if not b.training or self.rate == 0:
            return x
        name = b.name(self)
        path = zlib.crc32(b.g.path_here(name).encode())
        return b.g.add("dropout", x, b.step_counter(), rate=self.rate, seed=b.seed, path=path, name=name)


@dataclass(frozen=True, kw_only=True)
class Reshape(Layer):
    """The same elements in another shape, the batch apart; one size may be -1."""

    shape: tuple[int, ...] = field(at_least=-1)

    def build(self, b: Builder, x: Value) -> Value:
        return b.g.add("reshape", x, shape=(x.shape[0], *self.shape), name=b.name(self))


@dataclass(frozen=True, kw_only=True)
class Flatten(Layer):
    """All axes but the batch as one."""

    def build(self, b: Builder, x: Value) -> Value:
        size = int(np.prod(x.shape[1:], dtype=np.int64))
        return x if x.ndim == 2 else b.g.add("reshape", x, shape=(x.shape[0], size), name=b.name(self))


def merged(b: Builder, how: str, values: tuple[Value, ...], activation: str | None) -> Value:
    """Values added up, or put one behind the other along the channels; then an activation. Raises ShapeError."""
    if how == "add":
        for value in values[1:]:
            if value.shape != values[0].shape:
                raise ShapeError(f"{list(values[0].shape)} and {list(value.shape)} cannot be added; they differ")
        y = values[0]
        for value in values[1:]:
            y = b.g.add("add", y, value)
    else:
        y = b.g.add("concat", values, axis=1) if len(values) > 1 else values[0]
    return b.g.add(activation, y) if activation else y


@dataclass(frozen=True, kw_only=True)
class _Merge(Layer):
    """The value with those of `others`, entries before it by name (a path where they stand in a group)."""

    others: tuple[str, ...] = field()
    activation: str | None = field(None, choices=ACTIVATIONS)

    def build(self, b: Builder, x: Value) -> Value:
        values = (x, *(b.result(self, name) for name in self.others))
        with b.g.scope(b.name(self)):
            return merged(b, self.kind, values, self.activation)


@dataclass(frozen=True, kw_only=True)
class Add(_Merge):
    """y = x + the results of other entries"""


@dataclass(frozen=True, kw_only=True)
class Concat(_Merge):
    """y = x and the results of other entries one behind the other along the channels"""
