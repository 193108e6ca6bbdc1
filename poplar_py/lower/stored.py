"""Values in blocks of channels: how those of a convolutional network are stored.

A value seen as (batch, channels, *field) is stored as (batch, blocks, *field, channels of a block): what one tile reads
of a block is then a run of memory however the network is split, and a vertex sees vectors of channels. Elementwise
work, reductions, convolutions, pooling and norms work in the stored order.
"""

from __future__ import annotations

from ..graph import StoredView, Tensor

BLOCK = 16  # channels of a block where they divide so: what the product unit takes in at once (half) or twice (float)


def field_view(stored: Tensor) -> Tensor:
    """(batch, blocks, *field, channels of a block) seen as (batch, channels, *field)."""
    axes = stored.ndim - 3
    if stored.shape[1] == 1:
        whole = stored[:, 0]
        return whole.dim_roll(whole.ndim - 1, 1)
    if all(n == 1 for n in stored.shape[2:-1]):
        return stored.reshape(stored.shape[0], -1, *(1,) * axes)
    return StoredView(stored, [(0,), (1, stored.ndim - 1), *((a,) for a in range(2, stored.ndim - 1))])


def block_of(channels: int, multiple: int = 1) -> int:
    """How many channels a block has: a divisor of `channels` and a multiple of `multiple`, the nearest to BLOCK in
    [BLOCK / 2, 2 BLOCK]; all channels where there is none."""
    fit = [d for d in range(BLOCK // 2, 2 * BLOCK + 1) if channels % d == 0 and d % multiple == 0]
    return min(fit, key=lambda d: (abs(d - BLOCK), d)) if fit and channels > BLOCK else channels


def blocks_of(x: Tensor) -> Tensor | None:
    """x (batch, channels, *field) as it is stored, (batch, blocks, *field, channels of a block); None where it is stored
    in neither blocks nor channels innermost."""
    if isinstance(x, StoredView):
        last = x.stored.ndim - 1
        in_blocks = ((0,), (1, last), *((a,) for a in range(2, last)))
        return x.stored if x.groups == in_blocks else None
    if not x.is_affine or x.size == 0:
        return None
    rows = x.dim_roll(1, x.ndim - 1)
    if rows.is_contiguous or (rows.flatten(1, rows.ndim - 1).is_affine and (x.shape[1] == 1 or rows.strides[-1] == 1)):
        return rows[:, None]
    return None


def in_blocks(x: Tensor, width: int) -> Tensor:
    """x (batch, channels, *field), however stored, as (batch, blocks, *field, width)."""
    split = x.reshape(x.shape[0], x.shape[1] // width, width, *x.shape[2:])
    return split.dim_roll(2, split.ndim - 1)
