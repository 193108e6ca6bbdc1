"""A model by path, by name, or as an op graph already."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import FileLoadError, ModelError, did_you_mean
from ..opgraph.graph import OpGraph

_PACKAGE = Path(__file__).resolve().parent.parent


def shipped_models() -> dict[str, Path]:
    """{name: description} of the models that travel with the package."""
    for folder in (_PACKAGE / "_models", _PACKAGE.parent / "models"):
        if folder.is_dir():
            return {path.stem: path for path in sorted(folder.glob("*.yaml"))}
    return {}


def find_description(model: str | Path) -> Path:
    """The file of a description given by path or by the name of a shipped model (`mnist_small`, `models/mnist_small.yaml`).

    Raises FileLoadError for a file that is not there, ModelError for a name that is no model's.
    """
    path = Path(model)
    if path.is_file():
        return path
    known = shipped_models()
    if path.stem in known and (str(model) == path.stem or str(model) == f"models/{path.name}"):
        return known[path.stem]
    if path.is_dir():
        raise FileLoadError(f"{model} is a folder; a model is a file or a name")
    if path.suffix or len(path.parts) > 1:
        siblings = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        raise FileLoadError(f"there is no file {model}.{did_you_mean(path.name, siblings)}")
    raise ModelError(
        f"no model '{model}': neither a file nor one that ships with poplar_py.{did_you_mean(str(model), known)}"
        f" Models: {', '.join(known) or 'none'}"
    )


def read_model(
    model: Any,
    batch: int | None = None,
    training: bool = False,
    dtype: Any = None,
    seed: int | None = None,
    settings: Mapping[str, Any] | None = None,
) -> OpGraph:
    """The op graph of a model; arguments replace what its description says.

    Raises FileLoadError, ParseError, ModelError.
    """
    from .build import build_opgraph
    from .description import Description

    if isinstance(model, OpGraph):
        if settings:
            raise ModelError(f"op graph '{model.name}' has no settings; a description has")
        return model
    how = {"batch": batch, "training": training, "dtype": dtype, "seed": seed, "settings": settings}
    if isinstance(model, Description):
        return build_opgraph(model, **how)
    if not isinstance(model, (str, Path)):
        raise ModelError(f"a model is a path, a name, a description or an op graph, not {type(model).__name__}")
    if str(model).lower().endswith(".onnx") or (":" in str(model) and not Path(model).exists()):
        raise ModelError(f"{model}: only YAML descriptions can be read so far; .onnx files and PyTorch modules cannot")
    return build_opgraph(find_description(model), **how)
