"""Residual blocks, branches, merges, repeated blocks and settings of descriptions."""

from __future__ import annotations

import numpy as np
import pytest

from poplar_py.errors import PoplarError
from poplar_py.frontends import build_opgraph
from poplar_py.frontends.description import parse_description
from poplar_py.opgraph.evaluate import Evaluation

X = np.random.default_rng(0).standard_normal((2, 3, 4, 4)).astype("f4")


def built(text, settings=None):
    head = "name: m\nbatch: 2\ninput: {shape: [3, 4, 4]}\n"
    return build_opgraph(parse_description(head + text, "m.yaml"), settings=settings)


def run(text, settings=None):
    g = built(text, settings)
    return g, Evaluation(g).run({"input": X})["output"]


def test_a_residual_adds_its_input():
    _, y = run("layers: [residual: {layers: [tanh], activation: relu}]")
    np.testing.assert_allclose(y, np.maximum(np.tanh(X) + X, 0), rtol=1e-6)


def test_a_residual_with_a_shortcut_and_a_name():
    text = "layers: [residual: {name: r, layers: [conv2d: {filters: 5, kernel: 1, name: a}], shortcut: [conv2d: {filters: 5, kernel: 1, name: b}]}]"
    g, y = run(text)
    assert {p.name for p in g.parameters} == {"r/a/weights", "r/a/bias", "r/shortcut/b/weights", "r/shortcut/b/bias"}
    w = [g.parameter(n).initial_value().reshape(5, 3) for n in ("r/a/weights", "r/shortcut/b/weights")]
    np.testing.assert_allclose(y, np.einsum("oc,ncij->noij", w[0] + w[1], X), atol=1e-5)


def test_branches_are_merged():
    _, y = run("layers: [branches: {lists: {left: [relu], right: [], far: [tanh, tanh]}}]")
    expected = np.concatenate([np.maximum(X, 0), X, np.tanh(np.tanh(X))], axis=1)
    np.testing.assert_allclose(y, expected, rtol=1e-5)
    _, y = run("layers: [branches: {merge: add, activation: relu, lists: {left: [tanh], right: []}}]")
    np.testing.assert_allclose(y, np.maximum(np.tanh(X) + X, 0), rtol=1e-6)


def test_earlier_results_by_name():
    text = """
layers:
  - relu: {name: first}
  - block: {use: inner, name: deep}
  - add: {others: [first, deep/low]}
blocks:
  inner: [tanh: {name: low}, concat: {others: [first]}, conv2d: {filters: 3, kernel: 1, name: last}]
"""
    g, y = run(text)
    first = np.maximum(X, 0)
    low = np.tanh(first)
    w = g.parameter("deep/last/weights").initial_value().reshape(3, 6)
    last = np.einsum("oc,ncij->noij", w, np.concatenate([low, first], axis=1))
    np.testing.assert_allclose(y, last + first + low, atol=1e-5)


STAGES = """
settings:
  kind: wide
  size:
    default: 2
    2: {more: 1}
    7: {more: 6, last: tanh}
  last: relu
layers:
  - block: {use: stage, name: a, set: {width: 4}}
  - block: {use: stage, name: b, set: {width: 6, count: $more}}
  - block: {use: $last, name: ''}
blocks:
  relu: [relu: {name: end}]
  tanh: [tanh: {name: end}]
  stage:
    settings: {width: 3, count: 1}
    layers:
      - repeat: {times: $count, use: $kind, name: more, set: {filters: $width}}
  wide:
    settings: {filters: 1}
    layers: [conv2d: {filters: $filters, kernel: 1, bias: false, name: conv}]
"""


def test_settings_reach_into_blocks():
    g = built(STAGES)
    assert {p.name: p.type.shape for p in g.parameters} == {
        "a/more/0/conv/weights": (4, 3, 1, 1),
        "b/more/0/conv/weights": (6, 4, 1, 1),
    }
    assert g.outputs["output"].name == "end" and g.outputs["output"].op.kind == "relu"
    g = built(STAGES, {"size": 7})
    assert len(g.parameters) == 7 and g.outputs["output"].op.kind == "tanh"
    assert len(built(STAGES, {"size": "7", "more": "2"}).parameters) == 3  # a setting given stands before a choice's


@pytest.mark.parametrize(
    "text, settings, words",
    [
        (STAGES, {"kin": "wide"}, "m.yaml: no setting 'kin'. Did you mean 'kind'"),
        (STAGES, {"size": 3}, "size is 3.* Allowed: 2, 7"),
        (STAGES, {"kind": "narrow"}, "no block 'narrow'"),
        ("layers: [dense: {units: $n}]", {}, r"m.yaml:4: layers\[0\].dense.units: no setting 'n'"),
        ("layers: [block: {use: b, set: {x: 1}}]\nblocks: {b: [relu]}", {}, "block 'b' has no setting 'x'"),
        ("layers: [residual: {layers: [flatten]}]", {}, r"m.yaml:4: .*\[2, 48\] and \[2, 3, 4, 4\] cannot be added"),
        ("layers: [branches: {lists: {}}]", {}, "there is no branch"),
        ("layers: [branches: {merge: mul, lists: {a: []}}]", {}, "found 'mul'"),
        ("layers: [add: {others: [frst]}]", {}, "nothing before it is called 'frst'"),
        ("layers: [relu: {name: a}, residual: {layers: [tanh: {name: a}]}]", {}, "two layers are called 'a'"),
        ("layers: [repeat: {times: 2, layers: [relu], use: b}]", {}, "it has `layers` and `use`"),
        ("layers: [repeat: {times: 2}]", {}, "'layers' is missing"),
        ("layers: [repeat: {times: 2, layers: [relu], lists: 3}]", {}, "unknown key 'lists'"),
        ("layers: [block: {use: b}]\nblocks: {b: [block: {use: b}]}", {}, "block 'b' contains itself: b -> b"),
        ("layers: [relu]\nblocks: {b: {layers: [dense: {unit: 3}]}}", {}, "unknown key 'unit'"),
        ("settings: {d: {1: {a: 2}}}\nlayers: [relu]", {}, "'default' is missing"),
    ],
)
def test_errors(text, settings, words):
    with pytest.raises(PoplarError, match=words):
        built(text, settings)
