"""Initial values of parameters, by name and seed.

The random ones are a function of (seed, path), so that plain numpy makes the same arrays:

    random = numpy.random.Generator(numpy.random.PCG64([seed, zlib.crc32(path.encode())]))
    he_uniform: random.uniform(-limit, limit, shape), limit = sqrt(6 / fan_in), cast to the parameter's type

`fan_in` is the product of all axes but the last, `fan_out` the last axis (a dense layer's weights are (in, out)),
unless the parameter says otherwise: the weights (filters, channels, *kernel) of a convolution have fan_in = channels of
a group * taps and fan_out = filters of a group * taps.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable

import numpy as np

from ..errors import ModelError, did_you_mean
from .op import TensorType

Initialiser = Callable[[np.random.Generator, tuple[int, ...], float, float], np.ndarray]


def _uniform(random: np.random.Generator, shape: tuple[int, ...], limit: float) -> np.ndarray:
    return random.uniform(-limit, limit, shape)


INITIALISERS: dict[str, Initialiser] = {
    "zeros": lambda random, shape, fan_in, fan_out: np.zeros(shape),
    "ones": lambda random, shape, fan_in, fan_out: np.ones(shape),
    "he_uniform": lambda random, shape, fan_in, fan_out: _uniform(random, shape, np.sqrt(6 / fan_in)),
    "he_normal": lambda random, shape, fan_in, fan_out: random.standard_normal(shape) * np.sqrt(2 / fan_in),
    "glorot_uniform": lambda random, shape, fan_in, fan_out: _uniform(random, shape, np.sqrt(6 / (fan_in + fan_out))),
    "glorot_normal": lambda random, shape, fan_in, fan_out: (
        random.standard_normal(shape) * np.sqrt(2 / (fan_in + fan_out))
    ),
    "normal": lambda random, shape, fan_in, fan_out: random.standard_normal(shape) * 0.01,
}


def generator(seed: int, path: str) -> np.random.Generator:
    """The random numbers of the thing called `path` under a seed."""
    return np.random.Generator(np.random.PCG64([seed, zlib.crc32(path.encode())]))


def initial_values(
    initialiser: str, type_: TensorType, seed: int, path: str, fans: tuple[int, int] | None = None
) -> np.ndarray:
    """The initial contents of parameter `path`; `fans` are fan_in and fan_out where the shape does not tell them.
    Raises ModelError for an unknown initialiser."""
    if initialiser not in INITIALISERS:
        raise ModelError(
            f"parameter '{path}': no initialiser '{initialiser}'.{did_you_mean(initialiser, INITIALISERS)}"
            f" There are {', '.join(INITIALISERS)}"
        )
    shape = type_.shape
    fan_in, fan_out = fans or (int(np.prod(shape[:-1], dtype=np.int64)), shape[-1] if shape else 1)
    fan_in, fan_out = max(fan_in, 1), max(fan_out, 1)
    array = INITIALISERS[initialiser](generator(seed, path), shape, fan_in, fan_out)
    return np.asarray(array).astype(type_.dtype.np)
