"""What the tests of lowering share: run a hand-made graph once and read its tensors."""

from __future__ import annotations

from typing import Any

import numpy as np

import poplar_py as pp


def run(
    graph: pp.Graph, program: pp.Program, inputs: dict[str, tuple[pp.Tensor, Any]], outputs: dict[str, pp.Tensor]
) -> dict[str, np.ndarray]:
    """Write the inputs, run the program once, read the outputs."""
    for name, (tensor, _) in inputs.items():
        graph.create_host_write(name, tensor)
    for name, tensor in outputs.items():
        graph.create_host_read(name, tensor)
    executable = pp.compile_graph(graph, [program])
    engine = pp.Engine(executable)
    engine.load(pp.Device(graph.target))
    for name, (_, array) in inputs.items():
        engine.write_tensor(name, np.asarray(array))
    engine.run(0)
    return {name: engine.read_tensor(name) for name in outputs}
