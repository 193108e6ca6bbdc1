"""Feeding samples: their order, their form, and what is counted. The device is a stand-in; tests/cli has real runs."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from poplar_py import training
from poplar_py.errors import DataError, ModelError
from poplar_py.frontends.data import Data
from poplar_py.training import Model, evaluate, sample_order, train


def test_every_sample_comes_once_an_epoch() -> None:
    order = sample_order(12, 4, 6, seed=3)  # two epochs
    assert order.shape == (6, 4)
    assert sorted(order[:3].reshape(-1)) == list(range(12)) and sorted(order[3:].reshape(-1)) == list(range(12))
    assert (order[:3] != order[3:]).any()


def test_order_depends_on_the_seed_alone() -> None:
    assert (sample_order(100, 10, 30, seed=1) == sample_order(100, 10, 30, seed=1)).all()
    assert (sample_order(100, 10, 30, seed=1) != sample_order(100, 10, 30, seed=2)).any()
    assert (sample_order(100, 10, 30, seed=1)[:7] == sample_order(100, 10, 7, seed=1)).all()


def test_too_few_samples_are_an_error() -> None:
    with pytest.raises(DataError, match="3 samples do not fill a batch of 4"):
        sample_order(3, 4, 5)


def samples(count: int) -> tuple[np.ndarray, np.ndarray]:
    labels = np.arange(count, dtype=np.int32) % 3
    images = np.zeros((count, 2, 2), np.uint8)
    images[np.arange(count), labels // 2, labels % 2] = 200  # the brightest point tells the label
    return images, labels


@pytest.fixture
def data() -> Data:
    return Data("points", *samples(20), *samples(7), "made for the test")


class Device:
    """A stand-in for an engine: it says the image itself, the loss counts the batches."""

    def __init__(self, repeats: int = 1):
        streams = {"input": True, "labels": True, "logits": False, "loss": False, "correct": False}
        self.graph = SimpleNamespace(streams={n: SimpleNamespace(to_device=way) for n, way in streams.items()})
        self.ends: dict[str, Any] = {}
        self.repeats = repeats
        self.fed: list[tuple[np.ndarray, np.ndarray]] = []

    def connect_stream_to_callback(self, name: str, callback: Any) -> None:
        self.ends[name] = callback

    def run(self, program: int) -> None:
        for _ in range(self.repeats if program == 0 else 1):
            image, label = np.zeros(16, np.float32), np.zeros(4, np.int32)
            self.ends["input"](image)
            self.ends["labels"](label)
            self.fed.append((image, label))
            self.ends["logits"](image.reshape(4, 4)[:, :3].reshape(-1).copy())
            self.ends["correct"](np.zeros(1, np.int32))
            self.ends["loss"](np.array([len(self.fed)], np.float32))


def executable(updates: bool = True, repeats: int = 1, points: int = 4, classes: int = 3) -> Any:
    described = {
        "inputs": [
            {"name": "input", "dtype": "FLOAT", "shape": [4, points]},
            {"name": "labels", "dtype": "INT", "shape": [4]},
        ],
        "outputs": [
            {"name": "loss", "dtype": "FLOAT", "shape": []},
            {"name": "logits", "dtype": "FLOAT", "shape": [4, classes]},
        ],
        "ops": [{"updates": ["w"] if updates else []}],
        "info": {
            "name": "net",
            "seed": 5,
            "training": {"epochs": 2, "target": "labels"},
            "input": {"shape": [points], "dtype": "FLOAT", "scale": 0.005},
        },
    }
    programs = [["repeat", repeats, ["seq", []]] if repeats > 1 else ["seq", []]] + ([["seq", []]] if updates else [])
    return SimpleNamespace(name="net", op_graph=described, schedule=SimpleNamespace(programs=programs))


def test_training_feeds_whole_epochs_in_order(data: Data) -> None:
    device, model = Device(), Model.of(executable(), data)
    trained = train(device, model)
    assert trained.steps == 10 and trained.epochs == 2  # as the description says
    assert trained.losses.tolist() == list(range(1, 11))
    for (image, label), rows in zip(device.fed, sample_order(20, 4, 10, seed=5), strict=True):
        assert (label == data.train_y[rows]).all()
        assert (image.reshape(4, 4).argmax(axis=1) == label).all() and image.max() == 1


def test_a_program_that_repeats_takes_its_steps_at_once(data: Data) -> None:
    device, model = Device(repeats=4), Model.of(executable(repeats=4), data)
    trained = train(device, model, steps=6)
    assert trained.steps == 8 and len(device.fed) == 8  # whole runs


def test_testing_fills_up_the_last_batch_and_does_not_count_it(data: Data) -> None:
    device = Device()
    tested = evaluate(device, Model.of(executable(), data))
    assert tested.samples == 7 and len(device.fed) == 2
    assert tested.accuracy == 1
    assert "7 samples" in tested.text() and "accuracy 1.0000" in tested.text()


def test_without_updates_there_is_nothing_to_train(data: Data) -> None:
    with pytest.raises(ModelError, match="--training"):
        train(Device(), Model.of(executable(updates=False), data), steps=1)


def test_samples_that_do_not_fit(data: Data) -> None:
    with pytest.raises(DataError, match=r"takes samples of \[9\]"):
        Model.of(executable(points=9), data)
    with pytest.raises(DataError, match="tells 2 classes apart, points has 3"):
        Model.of(executable(classes=2), data)
    unlabelled = data.train_y.copy()
    unlabelled[3] = -1
    with pytest.raises(DataError, match="label of train sample 3 is -1; labels are class numbers from 0 to 2"):
        Model.of(executable(classes=3), dataclasses.replace(data, train_y=unlabelled))


def test_a_graph_made_by_hand_takes_no_data_set(data: Data) -> None:
    with pytest.raises(ModelError, match="made by hand"):
        Model.of(SimpleNamespace(name="adding", op_graph=None), data)


def test_reconstruction_is_a_picture(data: Data, tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    tested = training.Tested(7, None, 0.1, np.zeros((7, 4), np.float32))
    model = Model.of(executable(), data)
    training.save_reconstruction(model, tested, tmp_path / "r.png", columns=5)
    picture = np.asarray(image.open(tmp_path / "r.png"))
    assert picture.shape == (16, 40) and picture[:8].max() == 255 and not picture[8:].any()
