"""Recomputation on the device: the same bits after some steps, chosen where a model does not fit, and its cycles told."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

import poplar_py as pp
from poplar_py.automatic import settings_to_try
from poplar_py.frontends.description import parse_description
from poplar_py.frontends.models import read_model
from poplar_py.opgraph.liveness import Liveness
from poplar_py.opgraph.recompute import recompute
from poplar_py.report import Report

# levels of equal width: the way up repeats the way down, on operands that are cut otherwise
UNET = {"classes": 10, "size": 32, "width": 16, "width2": 16, "width3": 16, "width4": 16, "width5": 16}
SETTINGS = ("standard", "sqrt", "optimal")
DROPPED = """
name: dropped
seed: 3
input: {shape: [3, 8, 8]}
layers:
  - repeat:
      name: r
      times: 4
      layers:
        - conv2d: {filters: 6, kernel: 3, padding: 1, name: conv}
        - batch_norm: {name: norm}
        - relu: {name: relu}
        - dropout: {rate: 0.3, name: drop}
  - flatten
  - dense: {units: 10, name: fc}
training: {loss: softmax_cross_entropy, optimiser: {momentum: {learning_rate: 0.05}}, batch: 6}
"""


def compiled(name: str, target: pp.Target, batch: int, **options: object) -> pp.Executable:
    model = parse_description(DROPPED, "dropped.yaml") if name == "dropped" else name
    if name == "unet":
        model = read_model(name, batch=batch, training=True, settings=UNET)
        return pp.compile(model, target, options=options)
    return pp.compile(model, target, batch=batch, training=True, options=options)


def trained(executable: pp.Executable, steps: int = 3) -> dict[str, np.ndarray]:
    """Every parameter and all state after some steps on the same numbers, with the losses."""
    random = np.random.default_rng(8)
    engine = pp.Engine(executable)
    engine.load(pp.Device(executable.target))
    losses: list[float] = []

    def give(array: np.ndarray) -> None:
        array[:] = random.random(array.size, np.float32)

    def label(array: np.ndarray) -> None:
        array[:] = random.integers(0, 10, array.size)

    engine.connect_stream_to_callback("input", give)
    engine.connect_stream_to_callback("labels", label)
    for name, stream in executable.graph.streams.items():
        if not stream.to_device:
            keep = (lambda a: losses.append(float(a[0]))) if name == "loss" else (lambda a: None)
            engine.connect_stream_to_callback(name, keep)
    for _ in range(steps):
        engine.run(0)
    names = [p.name for p in executable.op_graph.parameters]
    return {name: engine.read_tensor(name) for name in names} | {"losses": np.array(losses)}


CASES = [
    ("dropped", 6, 4),
    ("lenet5", 8, 32),
    pytest.param("unet", 2, 32, marks=pytest.mark.slow),
    pytest.param("dropped", 6, 64, marks=pytest.mark.slow),
    pytest.param("resnet8_digits", 8, 32, marks=pytest.mark.slow),
    pytest.param("resnet8_digits", 4, 1472, marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("name", "batch", "tiles"), CASES)
def test_gradients_are_the_same_bits(name: str, batch: int, tiles: int) -> None:
    target = pp.Target.gc200(num_tiles=tiles)
    plain = compiled(name, target, batch, recompute="none", allow_out_of_memory=False)
    assert not plain.info["recompute"]["ops"]
    expected = trained(plain)
    assert len(expected["losses"]) == 3 and np.isfinite(expected["losses"]).all()
    repeated = 0
    within = Liveness(recompute(plain.op_graph, "sqrt")).peak
    outlined = [(setting, True) for setting in (*SETTINGS, f"budget:{within}")]
    for setting, outline in (*outlined, ("none", False), ("standard", False)):
        executable = compiled(name, target, batch, recompute=setting, outline=outline)
        repeated += len(executable.info["recompute"]["ops"])
        found = trained(executable)
        for path, array in expected.items():
            assert found[path].tobytes() == array.tobytes(), f"{setting} outline={outline} {path}"
    assert repeated > 5
    if name == "dropped":
        kinds = {op.name: op.kind for op in executable.op_graph.ops}
        assert any(kinds[again] == "dropout" for again in executable.info["recompute"]["ops"])


def test_gradients_of_repeated_norms_are_the_same_bits() -> None:
    """U-Net's way up repeats its way down, where a norm's operand is cut otherwise over tiles."""
    target = pp.Target.gc200(num_tiles=32)
    expected = trained(compiled("unet", target, 2, recompute="none"), 1)
    for setting, outline in (("none", False), ("standard", True)):
        found = trained(compiled("unet", target, 2, recompute=setting, outline=outline), 1)
        for path, array in expected.items():
            assert found[path].tobytes() == array.tobytes(), f"{setting} outline={outline} {path}"


def not_fitting(needs: int, always: int, has: int) -> SimpleNamespace:
    """An error of a plan whose fullest tile needs so many bytes."""
    plan = SimpleNamespace(
        always_live_tile_bytes=np.array([0, always]), tile_bytes=np.array([0, needs]), capacity_bytes=has
    )
    return SimpleNamespace(tile=1, plan=plan)


def test_what_is_tried_costs_little_first_and_nothing_hopeless_is_tried() -> None:
    g = read_model("resnet50", batch=8, training=True, settings={"depth": 34})
    tried = list(settings_to_try(not_fitting(1000, 200, 900), g))
    assert all(set(t) <= {"recompute", "optimise"} for t in tried)
    names = [t["recompute"] for t in tried]
    repeated = [recompute(g, name) for name in names if name != "none"]
    peaks = [Liveness(h).peak for h in repeated]
    extra = [h.info["recompute"]["extra_work"] for h in repeated]
    assert len(peaks) >= 2 and peaks == sorted(peaks, reverse=True) and extra == sorted(extra)
    assert peaks[0] < Liveness(g).peak
    small = read_model("lenet5", training=True)
    assert list(settings_to_try(not_fitting(1000, 200, 210), small)) == []  # a hundredth: nothing makes do with that
    evaluating = read_model("resnet8_digits", batch=32)
    assert all(t["recompute"] == "none" for t in settings_to_try(not_fitting(1000, 200, 900), evaluating))


@pytest.mark.slow
def test_a_model_that_does_not_fit_is_made_to_fit() -> None:
    """ResNet-8 needs 390,000 bytes a tile as it stands and 322,000 in the order that frees memory early; with parts of
    the forward phase repeated 318,000 are enough."""
    target = pp.Target.gc200(num_tiles=32, bytes_per_tile=318_000)
    with pytest.raises(pp.GraphMemoryAllocationError):
        compiled("resnet8_digits", target, 32, recompute="none", remedies=False)
    executable = compiled("resnet8_digits", target, 32)
    done = executable.info["recompute"]
    assert executable.memory.fits and done["ops"] and done["automatic"] == {"recompute": done["setting"]}
    report = Report.of_program(executable)
    assert 0 < report.recomputed_cycles < report.cycles / 2
    assert (
        any("-again" in step.name for step in executable.steps)
        and "chosen because it does not fit without" in report.summary()
    )
    assert report.to_dict()["execution"]["recomputedCycles"] == report.recomputed_cycles


def test_a_model_that_fits_is_left_alone() -> None:
    executable = compiled("lenet5", pp.Target.gc200(num_tiles=32), 8)
    assert executable.info["recompute"] == {"setting": "none", "ops": [], "extra_forward": 0.0}
    report = Report.of_program(executable)
    assert report.recomputed_cycles == 0 and "recompute" not in report.summary()


def test_cycles_of_what_is_repeated_are_what_it_takes_longer() -> None:
    """LeNet-5 at `sqrt` differs from itself in three repeated ops and nothing else."""
    target = pp.Target.gc200(num_tiles=64)
    plain, other = (Report.of_program(compiled("lenet5", target, 50, recompute=r)) for r in ("none", "sqrt"))
    assert other.recomputed_cycles == pytest.approx(other.cycles - plain.cycles, rel=0.1)
    assert Liveness(other.executable.op_graph).peak < Liveness(plain.executable.op_graph).peak
