"""How a description trains: loss, optimiser, and the ops they add to an op graph.

`loss_scale` multiplies the loss's gradient so that small gradients survive in half, and is taken out again in the
update: from the rate where the step is linear in the gradient, from epsilon in Adam. Gradients that are summed over the
parts of a batch are too large by the number of parts in the same way.
"""

# ruff: noqa: RUF009 (schema.field is dataclasses.field with limits)
from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from ..dtypes import FLOAT, INT, UNSIGNED_INT
from ..errors import did_you_mean
from ..opgraph.gradients import add_gradients
from ..opgraph.op import Value
from .layers import Builder
from .located import Located
from .schedule import Schedule, read_schedule, scheduled
from .schema import field, read_as

LOSSES = ("softmax_cross_entropy", "mean_squared_error")
TARGETS = ("labels", "input")


@dataclass(frozen=True, kw_only=True)
class Optimiser:
    """How a parameter is changed by its gradient."""

    kind: ClassVar[str] = ""
    learning_rate: float = field(above=0.0)
    weight_decay: float = field(0.0, at_least=0.0)
    decay_vectors: bool = field(True)  # whether biases and the scales and shifts of norms decay too
    half_life: float | None = field(None, above=0.0)  # steps in which the learning rate halves; None: it stays
    schedule: Schedule | None = field(None, read=read_schedule)
    warm_up: int = field(0, at_least=0)  # steps in which the learning rate rises to its value

    def add_update(self, b: Builder, weights: Value, grad: Value, rates: Rates) -> None:
        """Add the op that updates `weights`, in its scope, and its state."""
        raise NotImplementedError

    def decay_of(self, weights: Value) -> float:
        """The weight decay of a parameter."""
        return self.weight_decay if self.decay_vectors or weights.ndim > 1 else 0.0


@dataclass(frozen=True)
class Rates:
    """What updates go by: the learning rate for gradients that are `scale` times too large, the rate itself, and the
    number of the step, counted from 1 (None where nothing counts)."""

    scaled: Value
    plain: Value
    scale: float
    step: Value | None


@dataclass(frozen=True, kw_only=True)
class Sgd(Optimiser):
    """weights -= learning_rate * (gradient + weight_decay * weights)"""

    kind = "sgd"

    def add_update(self, b: Builder, weights: Value, grad: Value, rates: Rates) -> None:
        decay = self.decay_of(weights) * rates.scale
        b.g.add("sgd", weights, grad, rates.scaled, decay=decay, name=f"{weights.leaf}-update")


@dataclass(frozen=True, kw_only=True)
class Momentum(Optimiser):
    """velocity = momentum * velocity + gradient + weight_decay * weights; weights -= learning_rate * velocity

    `decoupled`: the decay is no part of the velocity; weights -= learning_rate * weight_decay * weights, then the rest.
    """

    kind = "momentum"
    momentum: float = field(0.9, at_least=0.0, below=1.0)
    decoupled: bool = field(False)

    def add_update(self, b: Builder, weights: Value, grad: Value, rates: Rates) -> None:
        decay = self.decay_of(weights)
        if decay and self.decoupled:
            with b.g.top_scope():
                loss = b.g.add("mul", rates.plain, b.g.constant(-decay, FLOAT, name="decay"), name="decayed")
                factor = b.g.add("add", loss, b.g.constant(1.0, FLOAT, name="one"), name="decay_factor")
            b.g.add("shrink", weights, factor, name=f"{weights.leaf}-decay")
            decay = 0.0
        velocity = _state(b, weights, "velocity")
        settings = {"momentum": self.momentum, "decay": decay * rates.scale}
        b.g.add("momentum", weights, velocity, grad, rates.scaled, name=f"{weights.leaf}-update", **settings)


@dataclass(frozen=True, kw_only=True)
class Adam(Optimiser):
    """Adam with bias correction; weight_decay is decoupled (AdamW)."""

    kind = "adam"
    beta1: float = field(0.9, at_least=0.0, below=1.0)
    beta2: float = field(0.999, at_least=0.0, below=1.0)
    epsilon: float = field(1e-8, above=0.0)

    def add_update(self, b: Builder, weights: Value, grad: Value, rates: Rates) -> None:
        mean, variance = _state(b, weights, "mean"), _state(b, weights, "variance")
        settings = {"beta1": self.beta1, "beta2": self.beta2, "epsilon": self.epsilon * rates.scale}
        settings["decay"] = self.decay_of(weights)
        name = f"{weights.leaf}-update"
        b.g.add("adam", weights, mean, variance, grad, rates.plain, rates.step, name=name, **settings)


OPTIMISERS: dict[str, type[Optimiser]] = {cls.kind: cls for cls in (Sgd, Momentum, Adam)}


def _state(b: Builder, weights: Value, what: str) -> Value:
    """FLOAT state of an optimiser, zero at first, lying where the weights lie."""
    return b.g.add_parameter(f"{weights.leaf}-{what}", FLOAT, weights.shape, like=weights, trainable=False)


def read_optimiser(located: Located) -> Optimiser:
    """One key, the optimiser's name, with its settings."""
    if not isinstance(located.value, dict) or len(located.value) != 1:
        raise located.error(f"found {located.found()}; it takes one of {', '.join(OPTIMISERS)} with its settings")
    ((kind, settings),) = located.items()
    if kind not in OPTIMISERS:
        raise settings.error(
            f"unknown optimiser '{kind}'.{did_you_mean(kind, OPTIMISERS)} Allowed: {', '.join(OPTIMISERS)}"
        )
    return read_as(OPTIMISERS[kind], settings)


@dataclass(frozen=True, kw_only=True)
class Training:
    """`training:` of a description. `target` is what the loss compares the result with."""

    where: Located
    loss: str = field(choices=LOSSES)
    optimiser: Optimiser = field(read=read_optimiser)
    target: str | None = field(None, choices=TARGETS)
    epochs: int = field(1, at_least=1)
    batch: int | None = field(None, at_least=1)
    loss_scale: float = field(1.0, above=0.0)
    accumulate: int = field(1, at_least=1)  # batches whose gradients are added up before an update

    @property
    def wanted(self) -> str:
        """What the loss compares with: class labels for cross entropy, else the input itself unless told."""
        return self.target or ("labels" if self.loss == "softmax_cross_entropy" else "input")


def add_training(b: Builder, training: Training, result: Value, given: Value) -> None:
    """Add loss, gradients and updates for the last value `result` of a model on the input values `given`."""
    g, labelled = b.g, training.wanted == "labels"
    last = result.op
    if training.loss == "softmax_cross_entropy":
        if not labelled:
            raise training.where.error("softmax_cross_entropy compares with class labels; target is 'input'")
        logits = last.inputs[0] if last is not None and last.kind == "softmax" else result
        labels = g.add_input("labels", INT, (*logits.shape[:1], *logits.shape[2:]))
        rows, wanted = _rows(b, logits, labels)
        loss = g.add("softmax_cross_entropy", rows, wanted, name="loss")
        g.set_output("output", logits)
        g.set_output("correct", g.add("count_correct", rows, wanted, name="correct"))
    else:
        wanted = g.add_input("labels", result.dtype, result.shape) if labelled else given
        if wanted.shape != result.shape:
            raise training.where.error(f"the model ends in {list(result.shape)}, its target is {list(wanted.shape)}")
        loss = g.add("mean_squared_error", result, wanted, name="loss")
        g.set_output("output", result)
    g.set_output("loss", loss)
    _add_updates(b, training, loss)


def _rows(b: Builder, logits: Value, labels: Value) -> tuple[Value, Value]:
    """Logits (rows, classes) and labels (rows,); of a field (batch, classes, *field) every place is a row."""
    if logits.ndim <= 2:
        return logits, labels
    order = (0, *range(2, logits.ndim), 1)
    last = b.g.add("transpose", logits, permutation=order, name="logits-last")
    rows = b.g.add("reshape", last, shape=(-1, logits.shape[1]), name="logits-rows")
    return rows, b.g.add("reshape", labels, shape=(-1,), name="labels-rows")


def _add_updates(b: Builder, training: Training, loss: Value) -> None:
    g, optimiser, parts = b.g, training.optimiser, training.accumulate
    trained = [p.value for p in g.parameters if p.trainable]
    learning_rate = g.add_parameter("learning_rate", FLOAT, (), optimiser.learning_rate, trainable=False)
    gradients = add_gradients(g, loss, trained, seed=training.loss_scale)
    if parts > 1:
        gradients = _accumulated(b, gradients)
    counts = isinstance(optimiser, Adam) or optimiser.schedule is not None or optimiser.warm_up > 0
    with g.phase("update"):
        step = _update_counter(b, parts) if counts else None
        rates = _rates(b, optimiser, learning_rate, training.loss_scale * parts, step)
        if step is not None or (b.step is not None and parts == 1):
            g.add("increment", step if step is not None else b.step, name="step-update")
        for weights, gradient in gradients.items():
            with g.top_scope(weights.name.rpartition("/")[0]):
                optimiser.add_update(b, weights, gradient, rates)
                if parts > 1:
                    g.add("clear", gradient, name=f"{gradient.leaf}-clear")
        if optimiser.half_life:
            g.add("decay", learning_rate, 0.5 ** (1 / optimiser.half_life), name="learning_rate-update")


def _update_counter(b: Builder, parts: int) -> Value:
    """What counts updates: the step counter, or where a step is only a part of a batch, another."""
    if parts == 1:
        return b.step_counter()
    return b.g.add_parameter("updates", UNSIGNED_INT, (), 0, trainable=False)


def _rates(b: Builder, optimiser: Optimiser, rate: Value, scale: float, step: Value | None) -> Rates:
    """The learning rates of this step, before the counter moves on."""
    g = b.g
    if step is not None and (optimiser.schedule is not None or optimiser.warm_up):
        rate = scheduled(g, rate, step, optimiser.schedule, optimiser.warm_up)
    scaled = rate
    if scale != 1.0 and not isinstance(optimiser, Adam):  # Adam's step does not depend on the scale of gradients
        scaled = g.add("mul", rate, g.constant(1.0 / scale, FLOAT, name="loss_scale"), name="scaled_rate")
    return Rates(scaled, rate, scale, step)


def _accumulated(b: Builder, gradients: dict[Value, Value]) -> dict[Value, Value]:
    """Sums of gradients over the parts of a batch: FLOAT state, added to in every part."""
    g, sums = b.g, {}
    with g.phase("backward"):
        for weights, gradient in gradients.items():
            with g.top_scope(weights.name.rpartition("/")[0]):
                sums[weights] = _state(b, weights, "gradient-sum")
                g.add("accumulate", sums[weights], gradient, name=f"{weights.leaf}-accumulate")
        if b.step is not None:
            g.add("increment", b.step, name="step-update")
    return sums


def describe_training(training: Training) -> dict[str, Any]:
    """The settings as JSON-able data, for `OpGraph.info`."""
    return {
        "loss": training.loss,
        "target": training.wanted,
        "optimiser": {training.optimiser.kind: _plain(training.optimiser)},
        "learning_rate": training.optimiser.learning_rate,
        "epochs": training.epochs,
        "loss_scale": training.loss_scale,
        "accumulate": training.accumulate,
    }


def _plain(optimiser: Optimiser) -> dict[str, Any]:
    plain = dict(vars(optimiser))
    if optimiser.schedule is not None:
        plain["schedule"] = {optimiser.schedule.kind: dict(vars(optimiser.schedule))}
    return plain
