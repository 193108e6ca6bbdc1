"""Normalisation: batch, group (instance) and layer norm, with gradients, and the running statistics of inference.

Values are (batch, channels, *field); gamma and beta have an entry for every channel. Statistics are FLOAT whatever the
storage, and variances those of the population. A training graph that also evaluates gives `batch_norm` its running
statistics and the step counter: in programs that train nothing (NOT_TRAINING) they take the place of the batch's.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from poplar_py.dtypes import FLOAT, UNSIGNED_INT
from poplar_py.errors import ModelError, ShapeError, TypeMismatch
from poplar_py.lower import normalise
from poplar_py.opgraph.gradients import gradient_name
from poplar_py.opgraph.op import (
    Op,
    TensorType,
    Value,
    computed,
    describe,
    floats,
    halfs,
    like,
    require_floating,
    same_dtype,
    sample,
)

from .dropout import COUNT, NOT_TRAINING


def check_norm(op: Any, shape: tuple[int, ...], *vectors: str) -> None:
    """Raise unless x and the named vectors of one entry a channel are what a normalisation takes."""
    require_floating(op, "x", *vectors)
    if op.x.ndim < 2 or op.x.size == 0:
        raise ShapeError(f"{op}: {describe(op.x)}: it takes (batch, channels, ...) with at least one element")
    for name in vectors:
        if getattr(op, name).shape != shape:
            raise ShapeError(
                f"{op}: {name} {describe(getattr(op, name))} is not {list(shape)}, an entry for every channel"
            )
    if op.attributes.get("epsilon", 1.0) <= 0:
        raise ModelError(f"{op}: epsilon is {op.attributes['epsilon']}; it is above 0")


def along_channels(vector: Any, ndim: int) -> Any:
    """A vector over channels, to broadcast against (batch, channels, *field)."""
    return vector.reshape(-1, *[1] * (ndim - 2))


def scaled(x: Any, mean: Any, variance: Any, gamma: Any, beta: Any, epsilon: float) -> Any:
    """(x - mean) / sqrt(variance + epsilon) * gamma + beta, everything but x over channels."""
    scale = gamma / np.sqrt(variance + variance.dtype.type(epsilon))
    return x * along_channels(scale, x.ndim) + along_channels(beta - mean * scale, x.ndim)


BATCHES = (
    (floats(4, 3, 5, 5), floats(3), floats(3)),
    (floats(6, 20), floats(20), floats(20)),
    (floats(2, 33, 3), floats(33), floats(33)),
    (halfs(4, 8, 3, 3), halfs(8), halfs(8)),
    (halfs(2, 6, 4, 4), floats(6), floats(6)),
)  # fmt: skip


class BatchNorm(Op):
    """y = (x - mean) / sqrt(variance + epsilon) * gamma + beta, with the mean and variance of every channel of x"""

    x: Value
    gamma: Value
    beta: Value
    running_mean: Value | None = None
    running_variance: Value | None = None
    step: Value | None = None
    epsilon: float = 1e-5
    y = like("x")
    mean = computed()
    variance = computed()
    in_place = ("x",)
    laid_by = ("x",)
    sums = True
    only_evaluating = ("running_mean", "running_variance", "step")
    samples = (
        *(sample(*b, None, None, None) for b in BATCHES),
        sample(*BATCHES[0], floats(3), floats(3, low=0.5), COUNT, epsilon=1e-3),
    )

    @property
    def when_evaluating(self) -> dict[str, Any]:  # type: ignore[override]
        return {} if self.step is None else {"step": NOT_TRAINING}

    def infer(self) -> Any:
        channels = self.x.shape[1:2]
        kept = [name for name in ("running_mean", "running_variance", "step") if getattr(self, name) is not None]
        if len(kept) not in (0, 3):
            raise ModelError(f"{self}: running_mean, running_variance and step go together; it has {', '.join(kept)}")
        check_norm(self, channels, "gamma", "beta", *kept[:2])
        same_dtype(self, "gamma", "beta")
        if self.step is not None and (self.step.dtype != UNSIGNED_INT or self.step.shape != ()):
            raise TypeMismatch(f"{self}: the step is one UNSIGNED_INT; {describe(self.step)} is not")
        statistics = TensorType(FLOAT, channels)
        return self.x.type, statistics, statistics

    def reference(self, x: Any, gamma: Any, beta: Any, running_mean: Any, running_variance: Any, step: Any) -> Any:
        axes = (0, *range(2, x.ndim))
        mean = x.mean(axis=axes)
        variance = np.square(x - along_channels(mean, x.ndim)).mean(axis=axes)
        if step is not None and int(step) == NOT_TRAINING:
            mean, variance = running_mean, running_variance
        return scaled(x, mean, variance, gamma, beta, self.epsilon), mean, variance

    def gradient(self, g: Any, dy: Value, dmean: Any = None, dvariance: Any = None) -> Any:
        """Of y alone: mean and variance are for running averages, not for losses."""
        _, mean, variance = self.outputs
        settings = {"epsilon": self.epsilon, "name": f"{self.leaf}-gradient"}
        given = g.add("batch_norm_grad", self.x, self.gamma, mean, variance, dy, **settings)
        return (*given, None, None, None)

    def lower(self, at: Any, x: Any, gamma: Any, beta: Any, running_mean: Any, running_variance: Any, step: Any) -> Any:
        rows = normalise.as_rows(at, x, by_sample=False)
        kept = None if step is None else (running_mean, running_variance)
        mean, variance = normalise.batch_moments(at, rows, self.leaf, kept, step)
        factors = normalise.batch_coefficients(at, mean, variance, gamma, beta, self.epsilon, self.leaf)
        return normalise.scale_and_shift(at, rows, *factors, self.leaf), mean, variance


class BatchNormGrad(Op):
    """Gradients of x, gamma and beta of a batch norm, from those of y"""

    x: Value
    gamma: Value
    mean: Value
    variance: Value
    dy: Value
    epsilon: float = 1e-5
    dx = like("x")
    dgamma = like("gamma")
    dbeta = like("gamma")
    in_place = ("dy", "x")
    laid_by = ("x",)
    sums = True
    samples = tuple(
        sample(x, gamma, floats(*gamma.type.shape), floats(*gamma.type.shape, low=0.5), x) for x, gamma, _ in BATCHES
    )

    def infer(self) -> Any:
        check_norm(self, self.x.shape[1:2], "gamma", "mean", "variance")
        same_dtype(self, "x", "dy")
        return super().infer()

    def reference(self, x: Any, gamma: Any, mean: Any, variance: Any, dy: Any) -> Any:
        axes, count = (0, *range(2, x.ndim)), x.size // x.shape[1]
        inverse = 1 / np.sqrt(variance + variance.dtype.type(self.epsilon))
        normal = (x - along_channels(mean, x.ndim)) * along_channels(inverse, x.ndim)
        dbeta, dgamma = dy.sum(axis=axes), (dy * normal).sum(axis=axes)
        flat, along = along_channels(dbeta / count, x.ndim), along_channels(dgamma / count, x.ndim)
        dx = along_channels(gamma * inverse, x.ndim) * (dy - flat - normal * along)
        return dx.astype(x.dtype), dgamma.astype(x.dtype), dbeta

    def lower(self, at: Any, x: Any, gamma: Any, mean: Any, variance: Any, dy: Any) -> Any:
        return normalise.batch_norm_gradient(at, x, gamma, mean, variance, dy, self.epsilon, self.leaf)


class BatchNormInference(Op):
    """y = (x - mean) / sqrt(variance + epsilon) * gamma + beta, with statistics given: one scale and shift a channel"""

    x: Value
    gamma: Value
    beta: Value
    mean: Value
    variance: Value
    epsilon: float = 1e-5
    y = like("x")
    in_place = ("x",)
    laid_by = ("x",)
    samples = tuple(sample(*b, b[1], floats(*b[1].type.shape, low=0.5)) for b in BATCHES)

    def infer(self) -> Any:
        check_norm(self, self.x.shape[1:2], "gamma", "beta", "mean", "variance")
        return super().infer()

    def reference(self, x: Any, gamma: Any, beta: Any, mean: Any, variance: Any) -> Any:
        return scaled(x, mean, variance, gamma, beta, self.epsilon).astype(x.dtype)

    def lower(self, at: Any, x: Any, gamma: Any, beta: Any, mean: Any, variance: Any) -> Any:
        rows = normalise.as_rows(at, x, by_sample=False)
        factors = normalise.batch_coefficients(at, mean, variance, gamma, beta, self.epsilon, self.leaf)
        return normalise.scale_and_shift(at, rows, *factors, self.leaf)


class RunningAverage(Op):
    """kept = kept + rate * (scale * new - kept) while training; `scale` makes a sample's variance of the population's"""

    kept: Value
    new: Value
    step: Value
    rate: float = 0.1
    scale: float = 1.0
    updates = ("kept",)
    when_evaluating: ClassVar[dict[str, Any]] = {"step": NOT_TRAINING}
    samples = (
        sample(floats(33), floats(33), COUNT),
        sample(floats(3), floats(3), COUNT, rate=0.01, scale=1.25),
    )

    def infer(self) -> Any:
        require_floating(self, "kept", "new")
        if self.kept.shape != self.new.shape:
            raise ShapeError(f"{self}: {describe(self.kept, self.new)} differ in shape")
        if self.step.dtype != UNSIGNED_INT or self.step.shape != ():
            raise TypeMismatch(f"{self}: the step is one UNSIGNED_INT; {describe(self.step)} is not")
        return ()

    def reference(self, kept: Any, new: Any, step: Any) -> Any:
        if int(step) == NOT_TRAINING:
            return kept
        kind = kept.dtype.type
        return kept + kind(self.rate) * (kind(self.scale) * new - kept)

    def lower(self, at: Any, kept: Any, new: Any, step: Any) -> None:
        at.elementwise("RunningAverage", kept, self.leaf, new=new, step=step, constants=self.attributes)


GROUPS = (
    (floats(2, 6, 5, 3), floats(6), floats(6), 3),
    (floats(3, 8, 4), floats(8), floats(8), 8),
    (floats(2, 20), floats(20), floats(20), 1),
    (halfs(2, 8, 3, 3), halfs(8), halfs(8), 2),
)  # fmt: skip


def grouped(x: Any, groups: int) -> Any:
    """(batch, channels, *field) as (batch, groups, elements of a group)."""
    return x.reshape(x.shape[0], groups, -1)


class GroupNorm(Op):
    """y = (x - mean) / sqrt(variance + epsilon) * gamma + beta, with statistics of every group of channels of a sample

    One group: layer norm over channels and field; as many groups as channels: instance norm.
    """

    x: Value
    gamma: Value
    beta: Value
    groups: int = 1
    epsilon: float = 1e-5
    y = like("x")
    mean = computed()
    variance = computed()
    in_place = ("x",)
    laid_by = ("x",)
    sums = True
    samples = tuple(sample(*given, groups=groups) for *given, groups in GROUPS)

    def infer(self) -> Any:
        check_norm(self, self.x.shape[1:2], "gamma", "beta")
        same_dtype(self, "gamma", "beta")
        if self.groups < 1 or self.x.shape[1] % self.groups:
            raise ShapeError(f"{self}: {self.x.shape[1]} channels do not make {self.groups} equal groups")
        statistics = TensorType(FLOAT, (self.x.shape[0], self.groups))
        return self.x.type, statistics, statistics

    def reference(self, x: Any, gamma: Any, beta: Any) -> Any:
        g = grouped(x, self.groups)
        mean = g.mean(axis=2)
        variance = np.square(g - mean[:, :, None]).mean(axis=2)
        normal = (g - mean[:, :, None]) / np.sqrt(variance + variance.dtype.type(self.epsilon))[:, :, None]
        y = normal.reshape(x.shape) * along_channels(gamma, x.ndim) + along_channels(beta, x.ndim)
        return y, mean, variance

    def gradient(self, g: Any, dy: Value, dmean: Any = None, dvariance: Any = None) -> Any:
        """Of y alone."""
        _, mean, variance = self.outputs
        settings = {**self.attributes, "name": f"{self.leaf}-gradient"}
        return g.add("group_norm_grad", self.x, self.gamma, mean, variance, dy, **settings)

    def lower(self, at: Any, x: Any, gamma: Any, beta: Any) -> Any:
        return normalise.group_norm(at, x, gamma, beta, self.groups, self.epsilon, self.leaf)


class GroupNormGrad(Op):
    """Gradients of x, gamma and beta of a group norm, from those of y"""

    x: Value
    gamma: Value
    mean: Value
    variance: Value
    dy: Value
    groups: int = 1
    epsilon: float = 1e-5
    dx = like("x")
    dgamma = like("gamma")
    dbeta = like("gamma")
    in_place = ("dy", "x")
    laid_by = ("x",)
    sums = True
    samples = tuple(
        sample(x, gamma, floats(x.type.shape[0], n), floats(x.type.shape[0], n, low=0.5), x, groups=n)
        for x, gamma, _, n in GROUPS
    )

    def infer(self) -> Any:
        check_norm(self, self.x.shape[1:2], "gamma")
        same_dtype(self, "x", "dy")
        return super().infer()

    def reference(self, x: Any, gamma: Any, mean: Any, variance: Any, dy: Any) -> Any:
        axes = (0, *range(2, x.ndim))
        inverse = (1 / np.sqrt(variance + variance.dtype.type(self.epsilon)))[:, :, None]
        normal = (grouped(x, self.groups) - mean[:, :, None]) * inverse
        dgamma, dbeta = (dy * normal.reshape(x.shape)).sum(axis=axes), dy.sum(axis=axes)
        given = grouped(dy * along_channels(gamma, x.ndim), self.groups)
        flat, along = given.mean(axis=2, keepdims=True), (given * normal).mean(axis=2, keepdims=True)
        return (inverse * (given - flat - normal * along)).reshape(x.shape), dgamma, dbeta

    def lower(self, at: Any, x: Any, gamma: Any, mean: Any, variance: Any, dy: Any) -> Any:
        return normalise.group_norm_gradient(at, x, gamma, mean, variance, dy, self.groups, self.epsilon, self.leaf)


ROWS = (
    (floats(5, 7), floats(7), floats(7)),
    (floats(2, 3, 20), floats(20), floats(20)),
    (halfs(6, 10), halfs(10), halfs(10)),
    (floats(0, 4), floats(4), floats(4)),
)  # fmt: skip


class _LayerRows(Op):
    x: Value
    gamma: Value
    laid_by = ()

    def check(self, *vectors: str) -> None:
        """Raise unless x has rows, and every vector an entry for each element of a row."""
        require_floating(self, "x", *vectors)
        if not self.x.ndim or not self.x.shape[-1]:
            raise ShapeError(f"{self}: {describe(self.x)} has no rows of at least one element")
        for name in vectors:
            if getattr(self, name).shape != self.x.shape[-1:]:
                raise ShapeError(
                    f"{self}: {name} {describe(getattr(self, name))} does not fit rows of {self.x.shape[-1]}"
                )


class LayerNorm(_LayerRows):
    """y = (x - mean) / sqrt(variance + epsilon) * gamma + beta, with the statistics of each row (the last axis)"""

    beta: Value
    epsilon: float = 1e-5
    y = like("x")
    in_place = ("x",)
    samples = tuple(sample(*given) for given in ROWS)

    def infer(self) -> Any:
        self.check("gamma", "beta")
        return super().infer()

    def reference(self, x: Any, gamma: Any, beta: Any) -> Any:
        return row_normal(x, self.epsilon)[0] * gamma + beta

    def gradient(self, g: Any, dy: Value) -> Any:
        name = gradient_name(self.x)
        dx, normal = g.add("layer_norm_grad", self.x, self.gamma, dy, epsilon=self.epsilon, name=name)
        axes = tuple(range(self.x.ndim - 1))
        dgamma = g.add("reduce_sum", normal, axes=axes, name=gradient_name(self.gamma))
        dbeta = g.add("reduce_sum", dy, axes=axes, name=gradient_name(self.beta))
        return tuple(
            d if d.dtype == v.dtype else g.add("cast", d, to=v.dtype)
            for d, v in ((dx, self.x), (dgamma, self.gamma), (dbeta, self.beta))
        )

    def lower(self, at: Any, x: Any, gamma: Any, beta: Any) -> Any:
        y = at.variable(x.dtype, x.shape, self.leaf, mapping="rows")
        vectors = {"gamma": gamma.reshape(1, -1), "beta": beta.reshape(1, -1)}
        at.rows("LayerNorm", self.leaf, x=x, y=y, constants={"epsilon": self.epsilon}, **vectors)
        return y


class LayerNormGrad(_LayerRows):
    """dx of a layer norm, and `normal` = dy times the normalised x, which adds up over rows to dgamma"""

    dy: Value
    epsilon: float = 1e-5
    dx = like("x")
    normal = like("x", FLOAT)
    in_place = ("dy", "x")
    samples = tuple(sample(x, gamma, x) for x, gamma, _ in ROWS)

    def infer(self) -> Any:
        self.check("gamma")
        same_dtype(self, "x", "dy")
        return super().infer()

    def reference(self, x: Any, gamma: Any, dy: Any) -> Any:
        normal, inverse = row_normal(x, self.epsilon)
        given = dy * gamma
        flat, along = given.mean(axis=-1, keepdims=True), (given * normal).mean(axis=-1, keepdims=True)
        return inverse * (given - flat - normal * along), dy * normal

    def lower(self, at: Any, x: Any, gamma: Any, dy: Any) -> Any:
        dx = at.variable(x.dtype, x.shape, self.leaf, mapping="rows")
        normal = at.variable(FLOAT, x.shape, f"{self.leaf}/normal", mapping="rows")
        fields = {"x": x, "gamma": gamma.reshape(1, -1), "dy": dy, "dx": dx, "normal": normal}
        at.rows("LayerNormGrad", self.leaf, constants={"epsilon": self.epsilon}, **fields)
        return dx, normal


def row_normal(x: Any, epsilon: float) -> tuple[Any, Any]:
    """The normalised rows, and one over their standard deviations."""
    mean = x.mean(axis=-1, keepdims=True)
    inverse = 1 / np.sqrt(np.square(x - mean).mean(axis=-1, keepdims=True) + x.dtype.type(epsilon))
    return (x - mean) * inverse, inverse
