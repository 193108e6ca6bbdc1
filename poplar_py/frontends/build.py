"""Description to op graph.

What the op graph of a model exposes:

    inputs      `input` (batch, ...); when training with labels also `labels` (batch,) INT, or the target's shape
    outputs     `output`; when training also `loss` FLOAT, and for cross entropy `correct` INT, the labels counted right
                in the batch (`output` is then the logits, without the last softmax)
    parameters  `fc1/weights`, `fc1/bias`, ...; when training also the optimiser's state `fc1/weights-velocity`, ... ,
                `learning_rate` FLOAT and, where something counts steps, `step` UNSIGNED_INT
    info        JSON-able settings: name, source, data, batch, dtype, seed, input, training

The ops of phase "forward" of a training graph run alone give the outputs without learning.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..dtypes import UNSIGNED_CHAR, dtype
from ..errors import DataError, ModelError
from ..opgraph.graph import OpGraph
from ..opgraph.op import Value
from ..opgraph.simplify import simplify
from .description import Description, check, read_description
from .layers import Builder
from .structure import build_all
from .training import add_training, describe_training


def build_opgraph(
    description: Description | str | Path,
    batch: int | None = None,
    training: bool = False,
    dtype: Any = None,
    seed: int | None = None,
    settings: Mapping[str, Any] | None = None,
) -> OpGraph:
    """The op graph of a description (or of the file that holds one); arguments given replace what it says.

    Raises FileLoadError, ParseError and ModelError, with file and line.
    """
    if isinstance(description, Description):
        d = description if not settings else check(description.where, settings)
    else:
        d = read_description(description, settings)
    if training and d.training is None:
        raise ModelError(f"{d.file}: model '{d.name}' has no `training:`; it says loss, optimiser, epochs and batch")
    if batch is None:
        batch = (d.training.batch if training and d.training else None) or d.batch
    if batch < 1:
        raise ModelError(f"batch is {batch}; it takes a whole number of at least 1")
    g = OpGraph(d.name)
    b = Builder(g, _element_type(dtype or d.dtype), d.seed if seed is None else seed, training)
    given, x = _add_input(b, d, batch)
    result = build_all(b, d.entries, x)
    g.info = _info(b, d, batch, given)
    if training and d.training is not None:
        add_training(b, d.training, result, x)
        g.info["training"] = describe_training(d.training)
    else:
        g.set_output("output", result)
    return simplify(g)


def _element_type(spec: Any) -> Any:
    found = dtype(spec)
    if not found.is_floating:
        raise ModelError(f"dtype is {found}; a model is FLOAT or HALF")
    return found


def _add_input(b: Builder, d: Description, batch: int) -> tuple[Value, Value]:
    """The input as it comes from the host, and as the first layer sees it."""
    kind = dtype(d.input.dtype) if d.input.dtype else b.dtype
    if kind.is_floating and b.dtype.size < kind.size:
        kind = b.dtype  # a model built in half takes its input in half
    given = g_input = b.g.add_input("input", kind, (batch, *d.input.shape))
    if kind != b.dtype:
        g_input = b.g.add("cast", given, to=b.dtype, name="input-cast")
    if kind == UNSIGNED_CHAR and d.input.scale != 1.0:
        g_input = b.g.add("mul", g_input, b.g.constant(d.input.scale, b.dtype, name="input-scale"), name="input-scaled")
    return given, g_input


def _info(b: Builder, d: Description, batch: int, given: Value) -> dict[str, Any]:
    on_device = given.dtype == UNSIGNED_CHAR
    return {
        "name": d.name,
        "description": d.description,
        "source": d.file,
        "data": d.data,
        "batch": batch,
        "dtype": b.dtype.name,
        "seed": b.seed,
        "input": {
            "shape": list(d.input.shape),
            "dtype": given.dtype.name,
            "scale": 1.0 if on_device else d.input.scale,
        },
        "training": None,
    }


def prepare_input(info: Mapping[str, Any], images: np.ndarray) -> np.ndarray:
    """Raw data (rows, ...) as the op graph's `input` takes it: scaled, shaped, typed. `info` is `OpGraph.info`.

    Raises DataError where a row has not as many elements as the model's input.
    """
    given = info["input"]
    shape = tuple(given["shape"])
    images = np.asarray(images)
    row = int(np.prod(images.shape[1:], dtype=np.int64))
    if images.ndim < 1 or row != int(np.prod(shape, dtype=np.int64)):
        raise DataError(
            f"model '{info['name']}' takes samples of {list(shape)}; a row of the data is {list(images.shape[1:])}"
        )
    kind = dtype(given["dtype"]).np
    images = images.reshape(len(images), *shape)
    if given["scale"] != 1.0:
        images = images.astype(np.float32) * np.float32(given["scale"])
    return images.astype(kind)
