"""Op graphs: building, names, checks, printed and saved forms."""

from __future__ import annotations

import json

import numpy as np
import pytest

from poplar_py.dtypes import FLOAT, HALF, INT
from poplar_py.errors import FileLoadError, ModelError, ShapeError, TypeMismatch
from poplar_py.opgraph import OpGraph
from poplar_py.opgraph.initialise import INITIALISERS, initial_values
from poplar_py.opgraph.op import Op, Value, find_op, tensor_type

from .networks import two_layers


def test_values_are_named_by_path_and_names_are_unique():
    g = OpGraph()
    x = g.add_input("x", FLOAT, (2, 3))
    with g.scope("a/b"):
        first, second, third = (g.add("relu", x) for _ in range(3))
        named = g.add("relu", x, name="mine")
    assert [v.name for v in (first, second, third, named)] == ["a/b/relu", "a/b/relu_1", "a/b/relu_2", "a/b/mine"]
    assert first.op.scope == "a/b" and first.leaf == "relu" and g.path("x") == "x_1"


def test_an_op_is_checked_when_it_is_added():
    g = OpGraph()
    x, h = g.add_input("x", FLOAT, (2, 3)), g.add_input("h", HALF, (2, 3))
    labels = g.add_input("labels", INT, (5,))
    with g.scope("fc1"), pytest.raises(ShapeError, match=r"op 'fc1/matmul' \(matmul\).*'x' float\[2, 3\]"):
        g.add("matmul", x, x)
    with pytest.raises(TypeMismatch, match=r"'x' float.* and 'h' half.* differ in element type; cast one"):
        g.add("add", x, h)
    with pytest.raises(ShapeError, match=r"do not broadcast"):
        g.add("add", x, g.add_input("y", FLOAT, (4,)))
    with pytest.raises(TypeMismatch, match=r"not FLOAT or HALF"):
        g.add("exp", labels)
    with pytest.raises(ShapeError, match=r"labels"):
        g.add("softmax_cross_entropy", x, labels)
    with pytest.raises(ShapeError, match=r"axis 2 is outside a value of 2 axes"):
        g.add("reduce_sum", x, axes=(2,))
    with pytest.raises(ModelError, match=r"no op 'matmull'. Did you mean 'matmul'"):
        g.add("matmull", x, x)
    with pytest.raises(ModelError, match=r"missing a required argument: 'b'"):
        g.add("add", x)
    with pytest.raises(ModelError, match=r"operand 'b' is 3; it takes a value"):
        g.add("add", x, 3)


def test_fields_of_an_op_are_operands_or_attributes():
    matmul, concat, loss = find_op("matmul"), find_op("concat"), find_op("softmax_cross_entropy_grad")
    assert matmul.operand_fields == ("a", "b") and matmul.attribute_fields == ("transpose_a", "transpose_b")
    assert concat.operand_fields == ("xs",) and concat.attribute_fields == ("axis",)
    assert loss.operand_fields == ("logits", "labels", "dloss")
    g = OpGraph()
    a, b = g.add_input("a", FLOAT, (1, 2)), g.add_input("b", FLOAT, (3, 2))
    op = g.add("concat", [a, b]).op
    assert op.inputs == (a, b) and op.operands == ((a, b),) and op.regroup([1, 2]) == ((1, 2),)


def test_an_op_can_be_written_outside_the_ops_folder():
    class Triple(Op):
        """y = 3 x"""

        x: Value
        factor: float = 3.0
        from poplar_py.opgraph.op import like

        y = like("x")

        def reference(self, x):
            return x * self.factor

    g = OpGraph()
    assert g.add(Triple, g.add_input("x", FLOAT, (2,))).name == "triple"
    with pytest.raises(ModelError, match=r"no op 'triple'"):
        find_op("triple")


def test_text(golden):
    golden.check("opgraph", "two_layers", two_layers(training=True).text())


def test_saving_keeps_everything():
    g = two_layers(training=True)
    g.info = {"epochs": 3}
    again = OpGraph.from_dict(json.loads(json.dumps(g.to_dict())))
    assert again.text() == g.text() and again.to_dict() == g.to_dict()
    for p, q in zip(g.parameters, again.parameters, strict=True):
        np.testing.assert_array_equal(p.initial_value(), q.initial_value())


def test_a_large_initial_array_is_left_to_the_executable():
    g = OpGraph()
    g.add_parameter("w", FLOAT, (100,), np.arange(100))
    again = OpGraph.from_dict(json.loads(json.dumps(g.to_dict())))
    with pytest.raises(ModelError, match=r"'w' were not saved"):
        again.parameters[0].initial_value()
    assert OpGraph.from_dict(again.to_dict()).text() == again.text()


@pytest.mark.parametrize("damage", [{}, {"name": "x"}, {"name": "x", "inputs": 3}, []])
def test_loading_something_else(damage):
    with pytest.raises(FileLoadError, match=r"not a saved op graph"):
        OpGraph.from_dict(damage)


def test_networkx_has_ops_and_values_as_points():
    networkx = pytest.importorskip("networkx")
    g = two_layers(training=True)
    graph = g.to_networkx()
    assert graph.number_of_nodes() == len(g.ops) + len(g.values())
    assert networkx.has_path(graph, ("value", "input"), ("value", g.outputs["loss"].name))
    assert ("op", "fc1/weights-update") in graph.predecessors(("value", "fc1/weights"))


def test_initial_values_are_those_of_plain_numpy():
    import zlib

    found = initial_values("he_uniform", tensor_type(FLOAT, (784, 128)), 5, "fc1/weights")
    random = np.random.Generator(np.random.PCG64([5, zlib.crc32(b"fc1/weights")]))
    limit = np.sqrt(6 / 784)
    np.testing.assert_array_equal(found, random.uniform(-limit, limit, (784, 128)).astype("f4"))
    assert not np.array_equal(found, initial_values("he_uniform", tensor_type(FLOAT, (784, 128)), 5, "fc2/weights"))


@pytest.mark.parametrize("name", INITIALISERS)
@pytest.mark.parametrize("shape", [(3, 4), (4,), (), (0, 2)])
def test_every_initialiser_makes_every_shape(name, shape):
    array = initial_values(name, tensor_type(HALF, shape), 1, "w")
    assert array.shape == shape and array.dtype == np.float16 and np.isfinite(array).all()


def test_unknown_names():
    g = OpGraph("m")
    g.add_parameter("fc1/weights", FLOAT, (2,), "he_unifrom")
    with pytest.raises(ModelError, match=r"Did you mean 'he_uniform'"):
        g.parameters[0].initial_value()
    with pytest.raises(ModelError, match=r"no parameter 'fc1/weight'. Did you mean 'fc1/weights'"):
        g.parameter("fc1/weight")
    with pytest.raises(ShapeError, match=r"'bias' float\[3\]: its initial value is \[2\]"):
        g.add_parameter("bias", FLOAT, (3,), [1.0, 2.0])
    with pytest.raises(ModelError, match=r"two outputs called 'y'"):
        g.set_output("y", g.parameters[0].value)
        g.set_output("y", g.parameters[0].value)
