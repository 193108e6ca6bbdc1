"""Golden text of every stage after the waist, for one hand-made graph with no op in it."""

import numpy as np
import pytest

import poplar_py as pp
from poplar_py.pipeline import MODEL_STAGES, STAGES
from tests.engine.conftest import Build


def hand_made():
    """Two copies, a remote and a scattered operand, a loop, a branch, a function, streams."""
    b = Build()
    g = b.graph
    x = b.variable("x", (4, 6), [0, 1, 2, 3])
    flag = b.variable("flag", (), 3, dtype=pp.BOOL)
    with g.scope("layer"):
        y = g.add_variable(pp.FLOAT, (4,), name="y")
        g.set_tile_mapping(y, [3, 2, 1, 0])
        w = g.add_constant(pp.FLOAT, (6,), np.arange(6), name="w")
        g.set_tile_mapping(w, 0)
        dots = b.execute("Dot", np.arange(4), a=x, b=w, out=y)
        strided = b.execute("Dot", [0, 0], a=x[:2, ::2], b=w[::2], out=y[:2])
        bump = b.execute("AddConstant", 2, a=y.expand(0), k=1.0)
    out = g.add_device_to_host_fifo("out", pp.FLOAT, 4)
    function = g.add_function(pp.Sequence([bump, pp.Copy(y[:2], y[1:3])]), name="shift")
    body = pp.Sequence([pp.Repeat(3, pp.Call(function)), pp.If(flag, strided), pp.Copy(y, out)])
    return g, pp.Sequence([dots, body, pp.WriteUndef(y)])


@pytest.mark.parametrize("stage", STAGES)
def test_each_stage_prints(golden, stage):
    graph, program = hand_made()
    result = pp.compile_graph(graph, program, stop_after=stage)
    golden.check(stage, "hand_made", result if isinstance(result, str) else result.text())


def test_the_graph_prints(golden):
    graph, _ = hand_made()
    golden.check("graph", "hand_made", graph.text())


TWO_LAYERS = """
name: two_layers
batch: 4
seed: 1
input: {shape: [6]}
layers:
  - dense: {units: 5, activation: relu, name: fc1}
  - dense: {units: 3, name: fc2}
training: {loss: softmax_cross_entropy, optimiser: {momentum: {learning_rate: 0.1, momentum: 0.9}}, batch: 4, epochs: 1}
"""


@pytest.mark.parametrize("stage", MODEL_STAGES)
def test_each_stage_of_a_model_prints(golden, stage, tmp_path):
    path = tmp_path / "two_layers.yaml"
    path.write_text(TWO_LAYERS)
    result = pp.compile(path, pp.Target.tiny(4), training=True, stop_after=stage)
    golden.check(stage, "described", result if isinstance(result, str) else result.text())


def test_compiling_is_deterministic():
    texts = []
    for _ in range(2):
        graph, program = hand_made()
        executable = pp.compile_graph(graph, program)
        texts.append(executable.text() + executable.memory.text() + executable.schedule.text())
    assert texts[0] == texts[1]


def test_progress_names_every_stage():
    graph, program = hand_made()
    seen = []
    pp.compile_graph(graph, program, progress=lambda stage, seconds: seen.append(stage))
    assert seen == [*STAGES, "check"]  # tests ask for the check
