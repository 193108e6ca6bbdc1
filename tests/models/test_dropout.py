"""Dropout drops while training and does nothing when evaluating, on the same weights."""

import numpy as np

import poplar_py as pp

NET = """
name: net
batch: 16
input: {shape: [20]}
layers: [dense: {units: 30, activation: relu, name: fc1}, dropout: {rate: 0.5}, dense: {units: 4, name: fc2}]
training: {loss: softmax_cross_entropy, optimiser: {sgd: {learning_rate: 0.0001}}, batch: 16, epochs: 1}
"""


def test_the_forward_program_drops_nothing(tmp_path):
    path = tmp_path / "net.yaml"
    path.write_text(NET)
    executable = pp.compile(path, pp.Target.tiny(6), training=True)
    engine = pp.Engine(executable)
    engine.load(executable.target)
    x = np.random.default_rng(0).random((16, 20), np.float32)
    outputs = []
    for name, stream in executable.graph.streams.items():
        if name == "output":
            engine.connect_stream_to_callback(name, lambda a: outputs.append(a.copy()))
        else:
            ready = x if name == "input" else np.zeros(stream.size, stream.dtype.np)
            engine.connect_stream(name, ready)
    step = executable.info["programs"].index("step")
    forward = executable.info["programs"].index("forward")
    for program in (forward, step, step, forward):
        engine.run(program)
    evaluated, first, second, again = outputs
    w = {n: engine.read_tensor(n) for n in ("fc1/weights", "fc1/bias", "fc2/weights", "fc2/bias")}
    plain = np.maximum(x @ w["fc1/weights"] + w["fc1/bias"], 0) @ w["fc2/weights"] + w["fc2/bias"]
    np.testing.assert_allclose(again.reshape(16, 4), plain, atol=1e-5)
    np.testing.assert_allclose(evaluated, again, atol=1e-2)
    assert np.abs(first - evaluated).max() > 0.05 and np.abs(first - second).max() > 0.05
