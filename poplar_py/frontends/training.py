"""How a description trains: loss, optimiser, and the ops they add to an op graph.

`loss_scale` multiplies the loss's gradient so that small gradients survive in half, and is taken out again in the
update: from the rate where the step is linear in the gradient, from epsilon in Adam.
"""

# ruff: noqa: RUF009 (schema.field is dataclasses.field with limits)
from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from ..dtypes import FLOAT, INT
from ..errors import did_you_mean
from ..opgraph.gradients import add_gradients
from ..opgraph.op import Value
from .layers import Builder
from .located import Located
from .schema import field, read_as

LOSSES = ("softmax_cross_entropy", "mean_squared_error")
TARGETS = ("labels", "input")


@dataclass(frozen=True, kw_only=True)
class Optimiser:
    """How a parameter is changed by its gradient."""

    kind: ClassVar[str] = ""
    learning_rate: float = field(above=0.0)
    weight_decay: float = field(0.0, at_least=0.0)
    half_life: float | None = field(None, above=0.0)  # steps in which the learning rate halves; None: it stays

    def add_update(self, b: Builder, weights: Value, grad: Value, rate: Value, loss_scale: float) -> None:
        """Add the op that updates `weights`, in its scope, and its state."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class Sgd(Optimiser):
    """weights -= learning_rate * (gradient + weight_decay * weights)"""

    kind = "sgd"

    def add_update(self, b: Builder, weights: Value, grad: Value, rate: Value, loss_scale: float) -> None:
        decay = self.weight_decay * loss_scale
        b.g.add("sgd", weights, grad, rate, decay=decay, name=f"{weights.leaf}-update")


@dataclass(frozen=True, kw_only=True)
class Momentum(Optimiser):
    """velocity = momentum * velocity + gradient + weight_decay * weights; weights -= learning_rate * velocity"""

    kind = "momentum"
    momentum: float = field(0.9, at_least=0.0, below=1.0)

    def add_update(self, b: Builder, weights: Value, grad: Value, rate: Value, loss_scale: float) -> None:
        velocity = _state(b, weights, "velocity")
        settings = {"momentum": self.momentum, "decay": self.weight_decay * loss_scale}
        b.g.add("momentum", weights, velocity, grad, rate, name=f"{weights.leaf}-update", **settings)


@dataclass(frozen=True, kw_only=True)
class Adam(Optimiser):
    """Adam with bias correction; weight_decay is decoupled (AdamW)."""

    kind = "adam"
    beta1: float = field(0.9, at_least=0.0, below=1.0)
    beta2: float = field(0.999, at_least=0.0, below=1.0)
    epsilon: float = field(1e-8, above=0.0)

    def add_update(self, b: Builder, weights: Value, grad: Value, rate: Value, loss_scale: float) -> None:
        mean, variance = _state(b, weights, "mean"), _state(b, weights, "variance")
        settings = {"beta1": self.beta1, "beta2": self.beta2, "epsilon": self.epsilon * loss_scale}
        name = f"{weights.leaf}-update"
        step = b.step_counter()
        b.g.add("adam", weights, mean, variance, grad, rate, step, decay=self.weight_decay, name=name, **settings)


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
        labels = g.add_input("labels", INT, logits.shape[:1])
        loss = g.add("softmax_cross_entropy", logits, labels, name="loss")
        g.set_output("output", logits)
        g.set_output("correct", g.add("count_correct", logits, labels, name="correct"))
    else:
        wanted = g.add_input("labels", result.dtype, result.shape) if labelled else given
        if wanted.shape != result.shape:
            raise training.where.error(f"the model ends in {list(result.shape)}, its target is {list(wanted.shape)}")
        loss = g.add("mean_squared_error", result, wanted, name="loss")
        g.set_output("output", result)
    g.set_output("loss", loss)
    _add_updates(b, training, loss)


def _add_updates(b: Builder, training: Training, loss: Value) -> None:
    g, scale = b.g, training.loss_scale
    trained = [p.value for p in g.parameters if p.trainable]
    learning_rate = rate = g.add_parameter(
        "learning_rate", FLOAT, (), training.optimiser.learning_rate, trainable=False
    )
    gradients = add_gradients(g, loss, trained, seed=scale)
    with g.phase("update"):
        if scale != 1.0 and not isinstance(training.optimiser, Adam):
            rate = g.add("mul", rate, g.constant(1.0 / scale, FLOAT, name="loss_scale"), name="scaled_rate")
        if b.step is not None or isinstance(training.optimiser, Adam):
            g.add("increment", b.step_counter(), name="step-update")
        for weights, gradient in gradients.items():
            with g.top_scope(weights.name.rpartition("/")[0]):
                training.optimiser.add_update(b, weights, gradient, rate, scale)
        if training.optimiser.half_life:
            factor = 0.5 ** (1 / training.optimiser.half_life)
            g.add("decay", learning_rate, factor, name="learning_rate-update")


def describe_training(training: Training) -> dict[str, Any]:
    """The settings as JSON-able data, for `OpGraph.info`."""
    return {
        "loss": training.loss,
        "target": training.wanted,
        "optimiser": {training.optimiser.kind: dict(vars(training.optimiser))},
        "learning_rate": training.optimiser.learning_rate,
        "epochs": training.epochs,
        "loss_scale": training.loss_scale,
    }
