"""Random numbers on a graph made by hand, by the names of PopLibs' poprand.

Numbers are a function of (seed, name of the call, step, element): the same on any number of tiles and threads, and
the same again when a program runs twice, unless `step` is a tensor that the program changes (see
codelets/random.py). `seed` is a number; Poplar's seed modifier is part of it here.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

from .dtypes import FLOAT, dtype
from .errors import InvalidOption
from .graph import Graph, Tensor
from .lower import Lowering
from .program import Sequence as Program


def _key(at: Lowering, seed: int, name: str) -> dict[str, int]:
    return {"seed": int(seed) & 0xFFFFFFFF, "path": zlib.crc32(at.graph.path(name).encode())}


def uniform(
    graph: Graph, seed: int, reference: Tensor | Sequence[int], element_type: Any, low: float, high: float,
    program: Program, name: str = "", *, step: Any = 0,
) -> Tensor:  # fmt: skip
    """Numbers spread evenly over [low, high), shaped and mapped like `reference` (a tensor or a shape)."""
    at, name = Lowering(graph, program), name or "uniform"
    out = _like(at, reference, element_type, name)
    constants = _key(at, seed, name) | {"low": float(low), "high": float(high)}
    return at.random("Uniform", out, name, step=step, constants=constants)


def bernoulli(
    graph: Graph, seed: int, reference: Tensor | Sequence[int], element_type: Any, probability: float,
    program: Program, name: str = "", *, step: Any = 0,
) -> Tensor:  # fmt: skip
    """1 with that probability, else 0, shaped and mapped like `reference` (a tensor or a shape)."""
    _check(probability, "probability", name or "bernoulli")
    at, name = Lowering(graph, program), name or "bernoulli"
    out = _like(at, reference, element_type, name)
    constants = _key(at, seed, name) | {"probability": float(probability)}
    return at.random("Bernoulli", out, name, step=step, constants=constants)


def dropout(
    graph: Graph, seed: int, x: Tensor, keep_probability: float, program: Program, name: str = "", *, step: Any = 0
) -> Tensor:
    """x / keep_probability where kept, else 0. The same seed, name and step give the same choice."""
    _check(keep_probability, "keep_probability", name or "dropout")
    if keep_probability == 0:
        raise InvalidOption(f"{name or 'dropout'}: keep_probability is 0; nothing would be left")
    at, name = Lowering(graph, program), name or "dropout"
    constants = _key(at, seed, name) | {"rate": 1.0 - float(keep_probability)}
    return at.random("Dropout", at.variable_like(x, name), name, step=step, constants=constants, x=x)


def _like(at: Lowering, reference: Tensor | Sequence[int], element_type: Any, name: str) -> Tensor:
    element_type = FLOAT if element_type is None else dtype(element_type)
    if isinstance(reference, Tensor):
        return at.variable_like(reference, name, element_type)
    return at.variable(element_type, tuple(reference), name)


def _check(value: float, what: str, name: str) -> None:
    if not 0 <= value <= 1:
        raise InvalidOption(f"{name}: {what} is {value}; it lies between 0 and 1")
