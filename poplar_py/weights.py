"""Weights in files: .npz, or .safetensors where that package is installed.

A file holds arrays by the paths of the parameters (`fc1/weights`). Loading needs every trainable parameter; optimiser
state is taken where the file has it. Saving writes the trainable ones, or all with `state=True`.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .errors import DataError, FileLoadError, MissingTool, ModelError, did_you_mean

SUFFIXES = (".npz", ".safetensors")


def read_weights(path: str | Path) -> dict[str, np.ndarray]:
    """The arrays of a file by name. Raises FileLoadError, MissingTool."""
    path = Path(path)
    _check_suffix(path)
    if not path.is_file():
        raise FileLoadError(f"there is no file {path}")
    try:
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as file:
                return {name: file[name] for name in file.files}
        return dict(_safetensors().load_file(path))
    except (OSError, ValueError, zipfile.BadZipFile, KeyError) as problem:
        raise FileLoadError(f"{path} is damaged or holds no arrays: {problem}") from None
    except Exception as problem:  # the package raises a type of its own
        if type(problem).__name__ == "SafetensorError":
            raise FileLoadError(f"{path} is damaged: {problem}") from None
        raise


def write_weights(path: str | Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays by name. Raises FileLoadError, MissingTool."""
    path = Path(path)
    _check_suffix(path)
    try:
        if path.suffix == ".npz":
            with open(path, "wb") as file:
                np.savez(file, **dict(arrays))  # type: ignore[arg-type]
        else:
            _safetensors().save_file({n: np.array(a, order="C") for n, a in arrays.items()}, path)
    except OSError as problem:
        raise FileLoadError(f"cannot write {path}: {problem.strerror or problem}") from None


def _check_suffix(path: Path) -> None:
    if path.suffix not in SUFFIXES:
        raise FileLoadError(f"{path}: weights are read from and written to {' or '.join(SUFFIXES)} files")


def _safetensors() -> Any:
    try:
        import safetensors.numpy as package
    except ImportError:
        raise MissingTool(".safetensors files need the package safetensors: pip install safetensors; or use .npz") from None
    return package


def _parameters(executable: Any) -> dict[str, bool]:
    """{path: trainable} of the parameters of an executable that a description made."""
    described = executable.op_graph
    if described is None:
        raise ModelError(f"{executable.name} was made by hand; it has host handles, not parameters")
    described = described.to_dict() if hasattr(described, "to_dict") else described
    return {p["name"]: bool(p.get("trainable", True)) for p in described["parameters"]}


def load_weights(engine: Any, path: str | Path) -> list[str]:
    """Write a file's arrays to the parameters of a loaded engine; returns the paths written.

    Raises DataError where a trainable parameter is missing, an array has another shape, or a name is no parameter's.
    """
    arrays = read_weights(path)
    parameters = _parameters(engine.executable)
    missing = [name for name, trainable in parameters.items() if trainable and name not in arrays]
    if missing:
        hint = did_you_mean(missing[0], arrays)
        raise DataError(f"{path} has no '{missing[0]}' ({len(missing)} of the model's parameters are missing).{hint}")
    for name, array in arrays.items():
        if name not in parameters:
            raise DataError(f"{path}: the model has no parameter '{name}'.{did_you_mean(name, parameters)}")
        tensor = engine.graph.host_writes[name]
        if array.shape != tensor.shape:
            raise DataError(f"{path}: '{name}' has shape {list(array.shape)}, the model's has {list(tensor.shape)}")
        if array.dtype.kind not in "fiu":
            raise DataError(f"{path}: '{name}' is {array.dtype}, not numbers")
        with np.errstate(over="ignore"):
            engine.write_tensor(name, array.astype(tensor.dtype.np))
    return list(arrays)


def save_weights(engine: Any, path: str | Path, state: bool = False) -> list[str]:
    """Write the trainable parameters of a loaded engine, with `state` all of them; returns the paths written."""
    names = [name for name, trainable in _parameters(engine.executable).items() if trainable or state]
    write_weights(path, {name: engine.read_tensor(name) for name in names})
    return names
