"""Model descriptions: what they say, and errors with file, line and key."""

from __future__ import annotations

import textwrap

import numpy as np
import pytest

from poplar_py.errors import FileLoadError, ModelError, ParseError
from poplar_py.frontends import build_opgraph, read_description
from poplar_py.frontends.description import parse_description
from poplar_py.frontends.layers import LAYERS
from poplar_py.opgraph.evaluate import evaluate

GOOD = """\
name: small
batch: 4
seed: 5
input: {shape: [6]}
layers:
  - dense: {units: 5, activation: relu, name: fc1}
  - softmax
training:
  loss: softmax_cross_entropy
  optimiser: {momentum: {learning_rate: 1e-1}}
  epochs: 3
"""


def model(layers, **more):
    """A description with these layers."""
    text = "name: m\nbatch: 3\ninput: {shape: [2, 3]}\n" + "".join(f"{k}: {v}\n" for k, v in more.items())
    return parse_description(text + "layers:\n" + textwrap.indent(textwrap.dedent(layers), "  "), "m.yaml")


def test_a_description_is_read():
    d = parse_description(GOOD)
    assert (d.name, d.batch, d.seed, d.dtype, d.input.shape) == ("small", 4, 5, "float", (6,))
    assert d.training.optimiser.learning_rate == 0.1 and d.training.optimiser.momentum == 0.9
    assert d.training.wanted == "labels" and d.training.epochs == 3
    assert [e.kind for e in d.entries] == ["dense", "softmax"]


@pytest.mark.parametrize(
    "change, line, message",
    [
        (("units: 5", "units: 0"), 6, r"layers\[0\].dense.units: found 0; it takes a whole number of at least 1"),
        (("units: 5", "units: five"), 6, r"dense.units: found 'five'; it takes a whole number"),
        (("units: 5", "units: true"), 6, r"dense.units: found True; it takes a whole number"),
        (("units: 5, ", ""), 6, r"layers\[0\].dense: 'units' is missing; it takes a whole number of at least 1"),
        (("units: 5", "unit: 5"), 6, r"unknown key 'unit'. Did you mean 'units'\? Allowed: .*units"),
        (("relu", "rellu"), 6, r"dense.activation: found 'rellu'. Did you mean 'relu'\? Allowed: relu, sigmoid"),
        (("dense:", "dence:"), 6, r"unknown layer 'dence'. Did you mean 'dense'\? Allowed: .*repeat, block"),
        (("- softmax", "- softmacks"), 7, "unknown layer 'softmacks'. Did you mean 'softmax'"),
        (("- softmax", "- 3"), 7, r"layers\[1\]: found 3; a layer is one name"),
        (("- softmax", "- softmax: {axis: 1}"), 7, "unknown key 'axis'. Allowed: name"),
        (("[6]", "[0]"), 4, r"input.shape\[0\]: found 0; it takes a whole number of at least 1"),
        (("[6]", "6"), 4, r"input.shape: found 6; it takes a list, each a whole number of at least 1"),
        (("batch: 4", "batsh: 4"), 2, "unknown key 'batsh'. Did you mean 'batch'"),
        (("batch: 4", "dtype: double"), 2, "dtype: found 'double'. Allowed: float, half"),
        (("name: small\n", ""), 1, "'name' is missing"),
        (("loss: softmax_cross_entropy", "loss: crossentropy"), 9, "training.loss: found 'crossentropy'. Did you mean"),
        (("momentum:", "momentun:"), 10, "unknown optimiser 'momentun'. Did you mean 'momentum'"),
        (("1e-1", "-1"), 10, "learning_rate: found -1.0; it takes a number above 0.0"),
        (("1e-1", ".nan"), 10, "learning_rate: found nan; it takes a number above 0.0"),
        (
            ("1e-1", "1e-1, momentum: 1"),
            10,
            "momentum.momentum: found 1.0; it takes a number of at least 0.0 and below 1.0",
        ),
        (
            ("{momentum: {learning_rate: 1e-1}}", "adam"),
            10,
            "optimiser: found 'adam'; it takes one of sgd, momentum, adam",
        ),
    ],
)
def test_an_error_says_where_and_what_is_allowed(change, line, message):
    assert change[0] in GOOD
    with pytest.raises(ModelError, match=rf"^small.yaml:{line}: .*{message}") as error:
        parse_description(GOOD.replace(*change), "small.yaml")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "the file is empty"),
        ("a: [1, 2", "m.yaml:1: damaged YAML"),
        ("a: 1\n b: 2", "m.yaml:2: damaged YAML"),
        ("a: 1\na: 2", "m.yaml:2: key 'a' stands twice"),
        ("a: &x [*x]", "nested deeper"),
        ("a:\n\t- b", "m.yaml:2: damaged YAML"),
        ("a: \x01", "damaged YAML"),
        ("[a]: 1", "a key must be a word"),
        ("a: !!int x", "'x' is not a number"),
        ("[" * 3000, "m.yaml"),
        ("a: 1\n---\nb: 2", "m.yaml:2: damaged YAML"),
    ],
)
def test_damaged_yaml(text, message):
    with pytest.raises(ParseError, match=message):
        parse_description(text, "m.yaml")


def test_missing_and_unreadable_files(tmp_path):
    with pytest.raises(FileLoadError, match=r"nothing.yaml: No such file"):
        read_description(tmp_path / "nothing.yaml")
    with pytest.raises(FileLoadError, match=r"directory"):
        read_description(tmp_path)
    (tmp_path / "bytes.yaml").write_bytes(b"name: \xff\xfe")
    with pytest.raises(ParseError, match=r"byte 6 is not UTF-8"):
        read_description(tmp_path / "bytes.yaml")
    with pytest.raises(ModelError, match=r"found a list of 1; a model description is a mapping"):
        parse_description("- a")


def test_repeat_and_block_give_every_copy_its_own_parameters():
    d = model(
        """\
        - flatten
        - block: {use: body}
        - block: {use: body, name: last}
        - repeat: {times: 2, layers: [dense: {units: 6}]}
        """,
        blocks="{body: [repeat: {times: 2, name: r, layers: [dense: {units: 4, name: d}, relu]}]}",
    )
    g = build_opgraph(d)
    names = [p.name for p in g.parameters if p.name.endswith("weights")]
    assert names == [
        "body1/r/0/d/weights", "body1/r/1/d/weights", "last/r/0/d/weights", "last/r/1/d/weights",
        "repeat1/0/dense1/weights", "repeat1/1/dense1/weights",
    ]  # fmt: skip
    assert "body1/r/0/relu1" in g.values()


def test_blocks_that_cannot_be():
    with pytest.raises(ModelError, match=r"m.yaml:\d: .*block 'a' contains itself: a -> a"):
        model("- block: {use: a}", blocks="{a: [block: {use: a}]}")
    with pytest.raises(ModelError, match=r"no block 'hed'. Did you mean 'head'"):
        model("- block: {use: hed}", blocks="{head: [relu]}")
    with pytest.raises(ModelError, match=r"unknown layer 'relo'"):
        model("- flatten", blocks="{unused: [relo]}")


def test_shapes_that_do_not_fit_name_the_layer():
    with pytest.raises(
        ModelError, match=r"^m.yaml:5: layers\[0\].dense: dense takes \(batch, features\).*put `flatten`"
    ):
        build_opgraph(model("- dense: {units: 3}"))
    with pytest.raises(Exception, match=r"^m.yaml:5: layers\[0\].reshape: .*has 18 elements; they do not fit \[3, 4\]"):
        build_opgraph(model("- reshape: {shape: [4]}"))
    with pytest.raises(ModelError, match=r"^m.yaml:6: .*two layers are called 'x' \(first in line 5\)"):
        build_opgraph(model("- relu: {name: x}\n- relu: {name: x}"))


def test_training_needs_a_training_part():
    with pytest.raises(ModelError, match=r"m.yaml: model 'm' has no `training:`"):
        build_opgraph(model("- flatten"), training=True)


def test_what_a_training_op_graph_exposes():
    g = build_opgraph(parse_description(GOOD), training=True)
    assert [v.name for v in g.inputs] == ["input", "labels"]
    assert list(g.outputs) == ["output", "correct", "loss"]
    assert {p.name for p in g.parameters if not p.trainable} == {
        "learning_rate", "fc1/weights-velocity", "fc1/bias-velocity",
    }  # fmt: skip
    assert g.info["training"]["epochs"] == 3 and g.info["batch"] == 4
    assert "softmax" not in {op.kind for op in g.ops}


def test_arguments_replace_what_the_description_says():
    g = build_opgraph(parse_description(GOOD), batch=7, dtype="half", seed=9)
    assert g.inputs[0].shape == (7, 6) and {v.dtype.name for v in g.values().values()} == {"HALF"}
    assert g.parameter("fc1/weights").seed == 9
    with pytest.raises(ModelError, match=r"batch is 0"):
        build_opgraph(parse_description(GOOD), batch=0)
    with pytest.raises(ModelError, match=r"dtype is INT; a model is FLOAT or HALF"):
        build_opgraph(parse_description(GOOD), dtype="int")


def test_pixels_can_be_scaled_on_the_device():
    pixels = np.arange(12, dtype=np.uint8).reshape(2, 6)
    text = "name: m\nbatch: 2\ninput: {shape: [6], dtype: unsigned_char, scale: 0.5}\nlayers: [relu]\n"
    g = build_opgraph(parse_description(text))
    assert g.inputs[0].dtype.name == "UNSIGNED_CHAR" and g.info["input"]["scale"] == 1.0
    np.testing.assert_array_equal(evaluate(g, {"input": pixels})["output"], pixels * 0.5)


def test_dropout_is_there_only_in_training():
    text = GOOD.replace("- softmax", "- dropout: {rate: 0.5}\n  - softmax")
    assert "dropout" not in {op.kind for op in build_opgraph(parse_description(text)).ops}
    g = build_opgraph(parse_description(text), training=True)
    assert [op.kind for op in g.ops].count("dropout") == 2  # forward, and the same mask on the gradient
    assert "increment" in {op.kind for op in g.ops} and g.parameter("step").initial_value() == 0


def test_every_layer_says_what_it_is():
    assert {"dense", "relu", "sigmoid", "tanh", "softmax", "dropout", "reshape", "flatten"} <= set(LAYERS)
    assert all(layer.__doc__ and not layer.__doc__.startswith(layer.__name__ + "(") for layer in LAYERS.values())
