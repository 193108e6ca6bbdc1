"""Training and testing on the device: feeding samples to an executable, and reading what it makes of them.

The executable does the work: its program `step` takes batches from the streams, runs forward, backward and update, and
gives loss and outputs back; its program `forward` does not learn. This module decides which samples go in, and counts.

    data = load_data("mnist")                     # of poplar_py.frontends
    model = Model.of(executable, data)
    engine = pp.Engine(executable); engine.load(pp.Device(executable.target))
    trained = train(engine, model, epochs=2)
    tested = evaluate(engine, model)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .dtypes import dtype
from .errors import DataError, ModelError
from .frontends.build import prepare_input
from .frontends.data import Data, batch_rows

INPUT, LABELS, LOSS = "input", "labels", "loss"  # as frontends/build.py names them
OUTPUTS = ("logits", "output")
Collect = Callable[[np.ndarray], None]


@dataclass(frozen=True)
class Model:
    """How an executable and a data set fit together.

    info: what the description says; types: (element type, shape) of every input; output, output_shape: what the model
    says of a batch; trains: whether the program changes parameters; test_program: index of the program that does not
    learn; steps_per_run: batches that one run of the first program takes.
    """

    executable: Any
    data: Data
    info: dict[str, Any]
    types: dict[str, tuple[Any, tuple[int, ...]]]
    output: str
    output_shape: tuple[int, ...]
    trains: bool
    test_program: int
    steps_per_run: int

    @property
    def batch(self) -> int:
        """Samples in a batch."""
        return self.types[INPUT][1][0]

    @property
    def classifies(self) -> bool:
        """Whether the output is a score for every class, rather than for instance a picture."""
        if (self.info.get("training") or {}).get("target") == INPUT:
            return False
        points = int(np.prod(self.data.train_x.shape[1:]))
        return len(self.output_shape) == 2 and self.data.num_classes <= self.output_shape[1] != points

    @classmethod
    def of(cls, executable: Any, data: Data) -> Model:
        """Match inputs with samples. Raises ModelError for an executable that no description made, DataError where
        the samples do not fit the model."""
        described = executable.op_graph
        if described is None:
            raise ModelError(
                f"'{executable.name}' was made by hand, so no data set fits it; use --input NAME=FILE.npy (write_tensor)"
            )
        described = described.to_dict() if hasattr(described, "to_dict") else described
        types = {v["name"]: (dtype(v["dtype"]), tuple(v["shape"])) for v in described["inputs"]}
        if INPUT not in types or set(types) - {INPUT, LABELS}:
            raise ModelError(
                f"{executable.name} has inputs {', '.join(types) or 'none'}; a data set feeds input and labels"
            )
        outputs = {v["name"]: tuple(v["shape"]) for v in described["outputs"]}
        output = next((name for name in OUTPUTS if name in outputs), "")
        programs = executable.schedule.programs
        first = programs[0]
        model = cls(
            executable=executable,
            data=data,
            info=described["info"],
            types=types,
            output=output,
            output_shape=outputs.get(output, ()),
            trains=any(op["updates"] for op in described["ops"]),
            test_program=1 if len(programs) > 1 else 0,
            steps_per_run=int(first[1]) if first[0] == "repeat" else 1,
        )
        model._check()
        return model

    def _check(self) -> None:
        prepare_input(self.info, self.data.train_x[:1])
        name, classes = self.executable.name, self.data.num_classes
        trained_on_labels = LABELS in self.types and self.types[LABELS][0].is_integral
        if trained_on_labels and self.output_shape and self.output_shape[-1] < classes:
            raise DataError(f"{name} tells {self.output_shape[-1]} classes apart, {self.data.name} has {classes}")
        for part, labels in (("train", self.data.train_y), ("test", self.data.test_y)):
            if trained_on_labels and labels.min(initial=0) < 0:
                row = int(np.argmax(labels < 0))
                raise DataError(
                    f"{self.data.name}: the label of {part} sample {row} is {labels[row]}; labels are class numbers from"
                    f" 0 to {self.output_shape[-1] - 1 if self.output_shape else classes - 1}. Leave such samples out"
                )
        if self.batch > len(self.data.train_y):
            raise DataError(
                f"{len(self.data.train_y):,} samples of {self.data.name} do not fill a batch of {self.batch:,}"
            )

    def arrays(self, x: np.ndarray, y: np.ndarray) -> dict[str, np.ndarray]:
        """What the inputs take for these samples: raw data (rows, ...) and labels (rows,)."""
        arrays = {INPUT: prepare_input(self.info, x)}
        if LABELS in self.types:
            kind, shape = self.types[LABELS]
            wanted = y if len(shape) == 1 else y[:, None] == np.arange(shape[-1])
            arrays[LABELS] = wanted.astype(kind.np)
        return arrays


# order ---------------------------------------------------------------------------------------------------------


def sample_order(count: int, batch: int, steps: int, seed: int = 0) -> np.ndarray:
    """Rows of `count` samples for each of `steps` batches: int64 (steps, batch), epoch after epoch the full batches of
    `batch_rows`. Raises DataError where there are not samples enough for one batch."""
    if count < batch:
        raise DataError(f"{count:,} samples do not fill a batch of {batch:,}")
    epochs = -(-steps // (count // batch))
    return np.concatenate([batch_rows(count, batch, seed, epoch) for epoch in range(epochs)])[:steps]


# training ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Trained:
    """What training did: steps taken, passes over the data, loss of every step (float64)."""

    steps: int
    epochs: float
    losses: np.ndarray

    @property
    def first(self) -> float:
        """Mean loss of the first ten steps."""
        return float(self.losses[:10].mean())

    @property
    def last(self) -> float:
        """Mean loss of the last ten steps."""
        return float(self.losses[-10:].mean())


def train(
    engine: Any,
    model: Model,
    *,
    steps: int | None = None,
    epochs: float | None = None,
    seed: int | None = None,
    progress: Any = None,
) -> Trained:
    """Train a loaded engine for `steps` batches or `epochs` passes over the data; what is not given is as the model's
    description says. `progress` has begin(text, total) and update(done, text). Raises ModelError where the executable
    was compiled without training."""
    if not model.trains:
        raise ModelError(
            f"{model.executable.name} was compiled without training; compile it with --training (training=True)"
        )
    count = len(model.data.train_y)
    per_epoch = count // model.batch
    if steps is None:
        epochs = epochs if epochs is not None else float(model.info["training"]["epochs"])
        steps = max(1, round(epochs * per_epoch))
    each = model.steps_per_run
    runs = -(-steps // each)
    steps = runs * each
    order = sample_order(count, model.batch, steps, int(model.info["seed"]) if seed is None else seed)
    losses: list[float] = []
    _connect(engine, model, model.data.train_x, model.data.train_y, order, {LOSS: lambda a: losses.append(float(a[0]))})
    if progress:
        progress.begin("train", steps)
    for run in range(runs):
        engine.run(0)
        if progress and losses and (run % 8 == 7 or run == runs - 1):
            progress.update((run + 1) * each, f"train: loss {losses[-1]:.4f}")
    return Trained(steps, steps / per_epoch, np.array(losses))


def _connect(
    engine: Any, model: Model, x: np.ndarray, y: np.ndarray, order: np.ndarray, wanted: dict[str, Collect]
) -> None:
    """Connect the streams: inputs to the samples of `order` (batches, batch), a batch a transfer; outputs to the
    functions in `wanted`, others to nothing."""
    arrays = model.arrays(x, y)

    def source(name: str) -> Collect:
        batches = iter(order)
        array = arrays[name]

        def fill(piece: np.ndarray) -> None:
            piece[:] = array[next(batches)].reshape(-1)

        return fill

    for name, stream in engine.graph.streams.items():
        engine.connect_stream_to_callback(name, source(name) if stream.to_device else wanted.get(name, lambda a: None))


# testing -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Tested:
    """What the model makes of samples it has not seen. `accuracy` is None where it does not classify; `outputs` are
    what it says, float32 (samples, ...)."""

    samples: int
    accuracy: float | None
    loss: float | None
    outputs: np.ndarray

    def facts(self) -> dict[str, Any]:
        return {"test_samples": self.samples, "test_accuracy": self.accuracy, "test_loss": self.loss}

    def text(self) -> str:
        parts = [] if self.accuracy is None else [f"accuracy {self.accuracy:.4f}"]
        parts += [] if self.loss is None else [f"loss {self.loss:.4f}"]
        return f"tested on {self.samples:,} samples it has not seen: {', '.join(parts)}"


def evaluate(engine: Any, model: Model, progress: Any = None) -> Tested:
    """Run the forward part over all test samples of the data."""
    x, y = model.data.test_x, model.data.test_y
    count, batch = len(y), model.batch
    each = 1 if model.trains else model.steps_per_run
    runs = -(-count // (batch * each))
    order = np.arange(runs * each * batch).reshape(-1, batch) % count  # the last batch is filled up from the front
    said: list[np.ndarray] = []
    losses: list[float] = []
    _connect(engine, model, x, y, order, {model.output: said.append, LOSS: lambda a: losses.append(float(a[0]))})
    if progress:
        progress.begin("test", runs)
    for run in range(runs):
        engine.run(model.test_program)
        if progress:
            progress.update(run + 1)
    outputs = np.concatenate(said).astype(np.float32).reshape(len(order) * batch, -1)[:count]
    accuracy = float((outputs.argmax(axis=1) == y).mean()) if model.classifies else None
    loss = float(np.mean(losses[: max(1, count // batch)])) if losses else None
    return Tested(count, accuracy, loss, outputs)


def reconstructs(model: Model, tested: Tested) -> bool:
    """Whether the outputs are pictures of the size of the samples."""
    return not model.classifies and tested.outputs.shape[1] == int(np.prod(model.data.test_x.shape[1:]))


def save_reconstruction(model: Model, tested: Tested, path: Any, columns: int = 16, scale: int = 4) -> None:
    """Write test samples above what an autoencoder made of them as a PNG, each point `scale` pixels wide."""
    from PIL import Image

    columns = min(columns, tested.samples)
    shape = model.data.test_x.shape[1:]
    samples = prepare_input(model.info, model.data.test_x[:columns]).astype(np.float32)
    made = tested.outputs[:columns]
    rows = [np.concatenate(list(part.reshape(columns, *shape)), axis=1) for part in (samples, made)]
    points = np.kron(np.clip(np.concatenate(rows), 0, 1), np.ones((scale, scale)))
    Image.fromarray((points * 255).astype(np.uint8)).save(path)
