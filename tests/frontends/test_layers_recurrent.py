"""Recurrent layers against PyTorch's."""

from __future__ import annotations

import numpy as np
import pytest

from poplar_py.errors import ModelError
from poplar_py.frontends import build_opgraph
from poplar_py.frontends.description import parse_description
from poplar_py.opgraph.evaluate import Evaluation
from poplar_py.opgraph.gradients import add_gradients
from poplar_py.opgraph.graph import OpGraph

torch = pytest.importorskip("torch")

STEPS, FEATURES, UNITS, BATCH = 5, 3, 4, 2


def built(layers: str, shape: tuple[int, ...] = (STEPS, FEATURES)) -> OpGraph:
    text = f"name: m\nbatch: {BATCH}\ninput: {{shape: {list(shape)}}}\nlayers: [{layers}]\n"
    return build_opgraph(parse_description(text, "m.yaml"))


def module(layers: int) -> torch.nn.LSTM:
    torch.manual_seed(4)
    made = torch.nn.LSTM(FEATURES, UNITS, layers, batch_first=True)
    for i in range(layers):  # the one bias of ours is the sum of the two
        getattr(made, f"bias_hh_l{i}").data.zero_()
    return made


def arrays_of(made: torch.nn.LSTM, paths: list[str]) -> dict[str, np.ndarray]:
    """The weights of PyTorch's layers under our paths, one path a layer."""
    found = {}
    for i, path in enumerate(paths):
        found[f"{path}/weights"] = getattr(made, f"weight_ih_l{i}").detach().numpy().T
        found[f"{path}/recurrent"] = getattr(made, f"weight_hh_l{i}").detach().numpy().T
        found[f"{path}/bias"] = getattr(made, f"bias_ih_l{i}").detach().numpy()
    return found


@pytest.mark.parametrize(
    ("layers", "paths", "sequences"),
    [
        (f"{{lstm: {{units: {UNITS}, name: l}}}}", ["l"], False),
        (f"{{lstm: {{units: {UNITS}, sequences: true, name: l}}}}", ["l"], True),
        (f"{{lstm: {{units: {UNITS}, layers: 3, sequences: true, name: l}}}}", ["l/0", "l/1", "l/2"], True),
        (
            f"{{lstm: {{units: {UNITS}, sequences: true, name: a}}}}, {{lstm: {{units: {UNITS}, name: b}}}}",
            ["a", "b"],
            False,
        ),
    ],
)
def test_outputs_and_gradients_equal_pytorchs(layers: str, paths: list[str], sequences: bool) -> None:
    g, made = built(layers), module(len(paths))
    x = np.random.default_rng(2).standard_normal((BATCH, STEPS, FEATURES)).astype("f4")
    output = g.outputs["output"]
    wanted = g.add_input("wanted", output.dtype, output.shape)
    loss = g.add("mean_squared_error", output, wanted, name="loss")
    for value, gradient in add_gradients(g, loss, [p.value for p in g.parameters]).items():
        g.set_output(f"{value.name}-gradient", gradient)
    target = np.random.default_rng(3).standard_normal(output.shape).astype("f4")
    found = Evaluation(g, arrays_of(made, paths)).run({"input": x, "wanted": target})

    results = made(torch.from_numpy(x))[0]
    results = results if sequences else results[:, -1]
    np.testing.assert_allclose(found["output"], results.detach().numpy(), atol=1e-6)
    torch.nn.functional.mse_loss(results, torch.from_numpy(target)).backward()
    for i, path in enumerate(paths):
        for ours, theirs in (("weights", "weight_ih"), ("recurrent", "weight_hh"), ("bias", "bias_ih")):
            gradient = getattr(made, f"{theirs}_l{i}").grad.numpy()
            np.testing.assert_allclose(found[f"{path}/{ours}-gradient"], gradient.T, atol=1e-6, err_msg=path)


def test_a_layer_on_another_reads_its_rows_and_not_the_whole() -> None:
    g = built(f"{{lstm: {{units: {UNITS}, sequences: true}}}}, {{lstm: {{units: {UNITS}}}}}")
    assert not [op for op in g.ops if op.kind == "concat"]
    assert len([op for op in g.ops if op.kind == "lstm_cell"]) == 2 * STEPS


def test_it_says_what_it_takes() -> None:
    with pytest.raises(ModelError, match=r"m.yaml:4: .*lstm takes \(batch, steps, features\); its input is \[2, 3\]"):
        built("{lstm: {units: 4}}", (3,))
