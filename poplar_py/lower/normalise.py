"""Batch and group normalisation on tiles.

x (batch, channels, *field) is seen as rows of channel vectors: all of the batch together (batch norm: statistics of
every channel), or those of each sample (group norm: statistics of every sample and group of channels). Two sums down
the rows give the statistics; mean, variance, gamma and beta of a channel become one scale and one shift, so that a
value is read once more and written once, where it lies.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..dtypes import FLOAT, DType
from ..graph import Tensor
from .channels import Shares, cut_rows, sums_of_shares
from .stored import blocks_of, field_view, in_blocks
from .windows import channels_last

if TYPE_CHECKING:
    from .lowering import Lowering


SPREAD_FROM = 128  # elements that one tile sends to all others in less time than a superstep takes


@dataclass(frozen=True, eq=False)
class Rows:
    """A value seen as rows of channels, flat as it is stored, with its shares; `stored` is (batch, blocks, *field,
    channels of a block)."""

    flat: Tensor
    shares: Shares
    stored: Tensor

    def beside(self, value: Tensor) -> Tensor:
        """Another value (batch, channels, *field), flat in the same order."""
        other = blocks_of(value)
        return (
            in_blocks(value, self.stored.shape[-1]).flatten()
            if other is None or other.shape != self.stored.shape
            else other.flatten()
        )

    def result(self, at: Lowering, name: str, dtype: DType | None = None) -> Tensor:
        """A flat value of the same kind for results, mapped as the shares are."""
        flat = at.output(dtype or self.flat.dtype, self.stored.shape, name, flat=True)
        self.shares.map(at, flat)
        return flat

    def seen(self, flat: Tensor) -> Tensor:
        """A flat value as (batch, channels, *field)."""
        return field_view(flat.reshape(self.stored.shape))

    def about(self, at: Lowering, name: str) -> Tensor:
        """The first row of every sample, (samples, channels): near enough to the mean to take sums about. It goes to
        all tiles, so where it is long it is spread out first."""
        samples, _, channels = self.shares.shape
        batch, blocks, *_, width = self.stored.shape
        first = self.stored.reshape(batch, blocks, -1, width)[:samples, :, 0, :].reshape(samples, channels)
        if first.size <= SPREAD_FROM:
            return first
        spread = at.variable(first.dtype, first.shape, name)
        at.copy(first, spread, name)
        return spread


def as_rows(at: Lowering, x: Tensor, by_sample: bool = False, whole: bool = False) -> Rows:
    """x (batch, channels, *field) as rows of channels, those of each sample apart or all together; vertices see all
    channels where `whole`."""
    stored = blocks_of(x)
    if stored is None or (whole and stored.shape[1] > 1):
        stored = channels_last(x)[:, None]
    return Rows(stored.flatten(), cut_rows(at, stored, by_sample, whole), stored)


def batch_moments(
    at: Lowering, rows: Rows, name: str, kept: tuple[Tensor, Tensor] | None = None, step: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Mean and variance (of the population) of every channel, FLOAT; `kept` ones where `step` says nothing is trained."""
    about = rows.about(at, f"{name}/about")
    sums = sums_of_shares(at, rows.shares, "NormSums", f"{name}/statistics", about, x=rows.flat)
    mean = at.variable(FLOAT, sums.shape[2:], f"{name}/mean")
    fields = {"total": sums[0, 0], "square": sums[0, 1], "about": about[0]}
    fields["variance"] = at.variable_like(mean, f"{name}/variance")
    codelet, constants = "BatchMoments", {"share": 1.0 / rows.shares.shape[1]}
    if kept is not None and step is not None:
        codelet, fields = "BatchMomentsOrKept", fields | dict(zip(("kept_mean", "kept_variance"), kept, strict=True))
        fields["step"] = step
    at.elementwise(codelet, mean, f"{name}/moments", constants=constants, **fields)
    return mean, fields["variance"]


def batch_coefficients(
    at: Lowering, mean: Tensor, variance: Tensor, gamma: Tensor, beta: Tensor, epsilon: float, name: str
) -> tuple[Tensor, Tensor]:
    """Scale and shift of every channel, FLOAT."""
    scale = at.variable_like(mean, f"{name}/scale", FLOAT)
    shift = at.variable_like(mean, f"{name}/shift", FLOAT)
    fields = {"mean": mean, "variance": variance, "gamma": gamma, "beta": beta, "shift": shift}
    at.elementwise("NormCoefficients", scale, f"{name}/coefficients", constants={"epsilon": epsilon}, **fields)
    return scale, shift


def scale_and_shift(at: Lowering, rows: Rows, scale: Tensor, shift: Tensor, name: str) -> Tensor:
    """x * scale + shift, for flat (samples, channels) of both, as (batch, channels, *field)."""
    shares, y = rows.shares, rows.result(at, name)
    fields = {"scale": shares.vectors(scale), "shift": shares.vectors(shift)}
    at.execute("ScaleShiftRows", name, shares.tile, x=shares.rows(rows.flat), y=shares.rows(y), **fields)
    return rows.seen(y)


def input_gradient(at: Lowering, rows: Rows, dy: Tensor, vectors: dict[str, Tensor], name: str) -> Tensor:
    """p * dy + q * x + r for flat (samples, channels) vectors, as (batch, channels, *field); dy flat."""
    shares, dx = rows.shares, rows.result(at, name)
    fields = {key: shares.vectors(vector.flatten()) for key, vector in vectors.items()}
    at.execute(
        "NormGradRows", name, shares.tile, x=shares.rows(rows.flat), dy=shares.rows(dy), dx=shares.rows(dx), **fields
    )
    return rows.seen(dx)


def batch_norm_gradient(
    at: Lowering, x: Tensor, gamma: Tensor, mean: Tensor, variance: Tensor, dy: Tensor, epsilon: float, name: str
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of x, gamma and beta."""
    rows = as_rows(at, x, by_sample=False)
    flat = rows.beside(dy)
    about = rows.about(at, f"{name}/about")
    sums = sums_of_shares(at, rows.shares, "NormGradSums", f"{name}/statistics", about, x=rows.flat, dy=flat)
    p, q, r = (at.variable_like(mean, f"{name}/{key}", FLOAT) for key in "pqr")
    dgamma = at.variable_like(mean, f"{name}/gamma-gradient", gamma.dtype)
    at.elementwise(
        "BatchGradCoefficients", p, f"{name}/coefficients", total=sums[0, 0], product=sums[0, 1], about=about[0],
        mean=mean, variance=variance, gamma=gamma, q=q, r=r, dgamma=dgamma,
        constants={"epsilon": epsilon, "share": 1.0 / rows.shares.shape[1]},
    )  # fmt: skip
    dbeta = at.cast(sums[0, 0], gamma.dtype, f"{name}/beta-gradient")
    return input_gradient(at, rows, flat, {"p": p, "q": q, "r": r}, name), dgamma, dbeta


def group_moments(at: Lowering, rows: Rows, groups: int, name: str) -> tuple[Tensor, Tensor]:
    """Mean and variance of every group of every sample: (batch, groups) FLOAT."""
    samples, depth, _ = rows.shares.shape
    about = rows.about(at, f"{name}/about")
    sums = sums_of_shares(at, rows.shares, "NormSums", f"{name}/statistics", about, x=rows.flat)
    mean = at.variable(FLOAT, (samples, groups), f"{name}/mean", mapping=None)
    at.graph.set_tile_mapping(mean, _spread(at, samples * groups).reshape(samples, groups))
    variance = at.top.clone(mean, f"{name}/variance")
    total, square, about = (_grouped(t, groups) for t in (sums[:, 0], sums[:, 1], about))
    at.execute(
        "GroupMoments", f"{name}/moments", _spread(at, samples * groups), total=total, square=square, about=about,
        mean=mean.flatten(), variance=variance.flatten(), rows=float(depth),
    )  # fmt: skip
    return mean, variance


def _spread(at: Lowering, count: int) -> np.ndarray:
    """A tile for each of `count` small things, spread over all."""
    return at.tiles[np.arange(count) * len(at.tiles) // max(count, 1)]


def _grouped(vectors: Tensor, groups: int) -> Tensor:
    """(samples, channels) as (samples * groups, channels of a group)."""
    samples, channels = vectors.shape
    return vectors.reshape(samples * groups, channels // groups)


def _of_groups(vector: Tensor, samples: int, groups: int) -> Tensor:
    """(channels) as (samples * groups, channels of a group), the same for every sample."""
    channels = vector.shape[0]
    return vector.reshape(1, channels).broadcast_to((samples, channels)).reshape(samples * groups, channels // groups)


def _by_group(at: Lowering, element_type: DType, samples: int, groups: int, channels: int, name: str) -> Tensor:
    """A (samples * groups, channels of a group) variable, each row on its tile."""
    tensor = at.variable(element_type, (samples * groups, channels // groups), name, mapping=None)
    at.graph.set_tile_mapping(tensor, _spread(at, samples * groups))
    return tensor


def group_norm(
    at: Lowering, x: Tensor, gamma: Tensor, beta: Tensor, groups: int, epsilon: float, name: str
) -> tuple[Tensor, Tensor, Tensor]:
    """y, mean and variance."""
    rows = as_rows(at, x, by_sample=True)
    mean, variance = group_moments(at, rows, groups, name)
    samples, _, channels = rows.shares.shape
    scale, shift = (_by_group(at, FLOAT, samples, groups, channels, f"{name}/{key}") for key in ("scale", "shift"))
    at.execute(
        "GroupCoefficients", f"{name}/coefficients", _spread(at, samples * groups), mean=mean.flatten(),
        variance=variance.flatten(), gamma=_of_groups(gamma, samples, groups), beta=_of_groups(beta, samples, groups),
        scale=scale, shift=shift, epsilon=epsilon,
    )  # fmt: skip
    return scale_and_shift(at, rows, scale.flatten(), shift.flatten(), name), mean, variance


def group_norm_gradient(
    at: Lowering, x: Tensor, gamma: Tensor, mean: Tensor, variance: Tensor, dy: Tensor, groups: int, epsilon: float,
    name: str,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Gradients of x, gamma and beta."""
    rows = as_rows(at, x, by_sample=True)
    flat = rows.beside(dy)
    about = rows.about(at, f"{name}/about")
    sums = sums_of_shares(at, rows.shares, "NormGradSums", f"{name}/statistics", about, x=rows.flat, dy=flat)
    samples, depth, channels = rows.shares.shape
    p, q, r, along = (_by_group(at, FLOAT, samples, groups, channels, f"{name}/{key}") for key in (*"pqr", "along"))
    total, product, about = (_grouped(t, groups) for t in (sums[:, 0], sums[:, 1], about))
    at.execute(
        "GroupGradCoefficients", f"{name}/coefficients", _spread(at, samples * groups), total=total, product=product,
        about=about, mean=mean.flatten(), variance=variance.flatten(), gamma=_of_groups(gamma, samples, groups),
        p=p, q=q, r=r, dgamma=along, epsilon=epsilon, rows=float(depth),
    )  # fmt: skip
    along = along.reshape(samples, channels)
    dgamma = at.reduce(along, [0], "add", f"{name}/gamma-gradient", dtype=gamma.dtype)
    dbeta = at.reduce(sums[:, 0], [0], "add", f"{name}/beta-gradient", dtype=gamma.dtype)
    return input_gradient(at, rows, flat, {"p": p, "q": q, "r": r}, name), dgamma, dbeta
