"""Op graphs of inference as ONNX models, so that onnxruntime computes the same network with the same weights.

Used by the benchmarks and by tests that compare numbers; covers the ops that the models of images use.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from poplar_py.opgraph import OpGraph
from poplar_py.opgraph.op import Op

PLAIN = {"relu": "Relu", "add": "Add", "add_bias": "Add", "matmul": "MatMul", "sigmoid": "Sigmoid", "tanh": "Tanh"}


def onnx_of(g: OpGraph, weights: dict[str, np.ndarray] | None = None) -> bytes:
    """The model, its parameters those of `weights` by path or the ones it begins with. Raises KeyError where an op has no
    ONNX form here."""
    nodes: list[Any] = []
    arrays: dict[str, np.ndarray] = {}
    for p in g.parameters:
        arrays[p.name] = np.asarray(weights[p.name] if weights else p.initial_value(), np.float32)
    for op in g.ops:
        nodes += _nodes(op, arrays)
    inputs = [helper.make_tensor_value_info(v.name, TensorProto.FLOAT, v.shape) for v in g.inputs]
    nodes += [helper.make_node("Identity", [v.name], [f"out:{name}"]) for name, v in g.outputs.items()]
    outputs = [helper.make_tensor_value_info(f"out:{n}", TensorProto.FLOAT, v.shape) for n, v in g.outputs.items()]
    initial = [numpy_helper.from_array(np.ascontiguousarray(a), name) for name, a in arrays.items()]
    graph = helper.make_graph(nodes, g.name, inputs, outputs, initial)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def _nodes(op: Op, arrays: dict[str, np.ndarray]) -> list[Any]:
    names, out, a = [v.name for v in op.inputs], op.outputs[0].name, op.attributes
    if op.kind in PLAIN and not a.get("transpose_a") and not a.get("transpose_b"):
        return [helper.make_node(PLAIN[op.kind], names, [out])]
    if op.kind == "conv":
        pads = [*a["padding_lower"], *a["padding_upper"]]
        settings = {"strides": a["stride"], "dilations": a["dilation"], "group": a["groups"], "pads": pads}
        return [helper.make_node("Conv", names, [out], **settings)]
    if op.kind == "batch_norm_inference":
        return [helper.make_node("BatchNormalization", names, [out], epsilon=a["epsilon"])]
    if op.kind in ("max_pool", "avg_pool"):
        pads = [*a["padding_lower"], *a["padding_upper"]]
        kind = "MaxPool" if op.kind == "max_pool" else "AveragePool"
        return [helper.make_node(kind, names, [out], kernel_shape=a["kernel"], strides=a["stride"], pads=pads)]
    if op.kind == "reduce_mean":
        return [helper.make_node("ReduceMean", names, [out], axes=list(a["axes"]), keepdims=int(a["keepdims"]))]
    if op.kind == "softmax":
        return [helper.make_node("Softmax", names, [out], axis=-1)]
    if op.kind == "reshape":
        arrays[f"{out}/shape"] = np.array(op.outputs[0].shape, np.int64)
        return [helper.make_node("Reshape", [*names, f"{out}/shape"], [out])]
    raise KeyError(f"no ONNX form of {op}")
