"""Weights in files: .npz, or .safetensors where that package is installed.

A file holds arrays by the paths of the parameters (`fc1/weights`). Loading needs those that inference needs: what is
trained, and the running statistics of norms; optimiser state is taken where the file has it, and left out where the model
does not train. Saving writes what inference needs, or all with `state=True`. A model whose norms are folded takes the
weights of the unfolded one as well.
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
        raise MissingTool(
            ".safetensors files need the package safetensors: pip install safetensors; or use .npz"
        ) from None
    return package


def _described(executable: Any) -> dict[str, Any]:
    """The op graph of an executable that a description made, as `to_dict` gives it."""
    described = executable.op_graph
    if described is None:
        raise ModelError(f"{executable.name} was made by hand; it has host handles, not parameters")
    return described.to_dict() if hasattr(described, "to_dict") else described


def _parameters(described: Mapping[str, Any]) -> dict[str, bool]:
    """{path: whether inference needs it} of the parameters of an op graph: those trained, and numbers that ops of the
    forward phase read."""
    read = {name for op in described["ops"] if op["phase"] == "forward" for name in op["inputs"]}
    needed = {p["name"] for p in described["parameters"] if p["name"] in read and p["dtype"] in ("FLOAT", "HALF")}
    return {p["name"]: bool(p.get("trainable", True)) or p["name"] in needed for p in described["parameters"]}


def _fitted(described: Mapping[str, Any], arrays: Mapping[str, np.ndarray], source: str) -> dict[str, np.ndarray]:
    """The arrays that the parameters of an op graph take. Raises DataError where one is missing, has another shape, or
    has a name that is no parameter's."""
    arrays, folded = dict(arrays), described["info"].get("folded", [])
    if any(entry["gamma"] in arrays for entry in folded):
        from .opgraph.fold import fold_arrays

        arrays = fold_arrays(folded, arrays)
    parameters = _parameters(described)
    shapes = {p["name"]: tuple(p["shape"]) for p in described["parameters"]}
    missing = [name for name, needed in parameters.items() if needed and name not in arrays]
    if missing:
        hint = did_you_mean(missing[0], arrays)
        raise DataError(f"{source} has no '{missing[0]}' ({len(missing)} of the model's parameters are missing).{hint}")
    trains = any(op["updates"] for op in described["ops"])
    for name, array in list(arrays.items()):
        if name not in parameters:
            if not trains and _is_state(name, parameters):
                del arrays[name]
                continue
            raise DataError(f"{source}: the model has no parameter '{name}'.{did_you_mean(name, parameters)}")
        if array.shape != shapes[name]:
            raise DataError(f"{source}: '{name}' has shape {list(array.shape)}, the model's has {list(shapes[name])}")
        if array.dtype.kind not in "fiu":
            raise DataError(f"{source}: '{name}' is {array.dtype}, not numbers")
    return arrays


def _is_state(name: str, parameters: Mapping[str, bool]) -> bool:
    """Whether a name is that of state of training: of an optimiser, or one of its counters and rates."""
    return name in ("step", "updates", "learning_rate") or name.rpartition("-")[0] in parameters


def load_weights(engine: Any, path: str | Path) -> list[str]:
    """Write a file's arrays to the parameters of a loaded engine; returns the paths written.

    Raises DataError where a parameter that inference needs is missing, an array has another shape, or a name is no
    parameter's.
    """
    arrays = _fitted(_described(engine.executable), read_weights(path), str(path))
    for name, array in arrays.items():
        with np.errstate(over="ignore"):
            engine.write_tensor(name, array.astype(engine.graph.host_writes[name].dtype.np))
    return list(arrays)


def weights_for(g: Any, weights: str | Path | Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The arrays of a file, or those given, for the parameters of an op graph. Raises as `load_weights`."""
    if isinstance(weights, Mapping):
        return _fitted(g.to_dict(), {name: np.asarray(array) for name, array in weights.items()}, "weights")
    return _fitted(g.to_dict(), read_weights(weights), str(weights))


def save_weights(engine: Any, path: str | Path, state: bool = False) -> list[str]:
    """Write the parameters of a loaded engine that inference needs, with `state` all of them; returns the paths."""
    names = [name for name, needed in _parameters(_described(engine.executable)).items() if needed or state]
    write_weights(path, {name: engine.read_tensor(name) for name in names})
    return names
