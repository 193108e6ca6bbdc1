"""Plans of models come within 1 % of their lower bounds on every tile, by the checker's own liveness."""

from __future__ import annotations

import importlib
import itertools
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import poplar_py as pp

TOOLS = str(Path(__file__).resolve().parent.parent.parent / "tools")


LARGE = ["alexnet", "resnet50", "vgg16", "lstm", "vgg19", "densenet121", "unet", "resnet101", "resnet152"]


@pytest.fixture
def plan_bounds(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module tools/plan_bounds.py."""
    monkeypatch.syspath_prepend(TOOLS)
    yield importlib.import_module("plan_bounds")
    for name in ("plan_bounds", "benching"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("model", ["mnist_small", "mnist_mlp", "autoencoder", "lenet5", "resnet8_digits", "deep_mlp"])
def test_small_models_on_every_tile(plan_bounds: Any, model: str, training: bool) -> None:
    row = plan_bounds.measure(model, 8, training)
    assert row["tiles"] == 1472 and row["things"] > 1000
    assert row["tiles_above"] == 0, row
    assert row["ratio_of_sums"] >= 1


@pytest.mark.slow
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("model", LARGE)
def test_large_models_on_every_tile(plan_bounds: Any, model: str, training: bool) -> None:
    row = plan_bounds.measure(model, None, training)
    assert row["tiles_above"] == 0, row


def test_every_model_is_measured(plan_bounds: Any) -> None:
    assert sorted(plan_bounds.MODELS) == sorted(path.stem for path in (Path(TOOLS).parent / "models").glob("*.yaml"))
    assert set(LARGE) <= set(plan_bounds.MODELS)


def test_the_bound_is_what_lives_at_once(plan_bounds: Any) -> None:
    """By hand: a chain of copies on one tile; at any step two neighbours live, and the first for the whole program."""
    graph = pp.Graph(pp.Target.tiny(num_tiles=2))
    sizes = [400, 300, 80, 200, 40]
    chain = [graph.add_variable(pp.FLOAT, (400,), name=f"v{i}") for i in range(len(sizes))]
    for tensor, size in zip(chain, sizes, strict=True):
        graph.set_tile_mapping(tensor[:size], 0)
        graph.set_tile_mapping(tensor[size:], 1)
    graph.create_host_write("in", chain[0])
    executable = pp.compile_graph(graph, pp.Sequence([pp.Copy(a, b) for a, b in itertools.pairwise(chain)]))
    fixed = np.sum([executable.memory.by_category[c] for c in executable.memory.by_category if "code" in c], axis=0)
    fixed += executable.memory.by_category["stacks"] + executable.memory.by_category["vertex_state"]
    low = plan_bounds.bounds(executable)
    assert (low >= fixed).all() and (executable.memory.tile_bytes >= low).all()
