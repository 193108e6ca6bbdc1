"""`convolve`: what one tile does of a convolution, shared by both engines. Compiled code gets native_convolve.py.

Values are matrices of rows (sample, block of channels, place on the first two field axes), each the places of the last
field axis times the channels of a block. Weights are a row for every (group, out block), each (in blocks, taps, channels
in, channels out). `shape` says how big everything is and which places meet, as whole numbers:

    batch, groups, blocks a group has in a, channels of such a block, blocks a group has in out, channels of such a block,
    then for each of three field axes: taps, places of a, places of out, a_step, out_step, tap_step, offset,
    first and stop place of out, first and stop tap that take part

Place i of a and place f of out meet at tap t where a_step * i = out_step * f + tap_step * t + offset. Forms:

    FORWARD            out = a convolved with b, b weights
    INPUT_GRADIENT     the same with b the weights of the opposite direction: a row for every (group, block of a)
    WEIGHTS_GRADIENT   out (weights) = sum over places of a times what b, a value, holds where they meet; in `shape`
                       the places of out are those of b
    *_TOGETHER         groups of few channels: a block holds those of several groups, `groups` of them in all; the third
                       number of `shape` is then the channels a group has in a and the fifth those it has in out, and
                       weights are a row for every block, each (taps, groups of the block, channels in, channels out)
"""

from __future__ import annotations

from typing import Any

import numpy as np

FORWARD, INPUT_GRADIENT, WEIGHTS_GRADIENT = 0, 1, 2
FORWARD_TOGETHER, INPUT_GRADIENT_TOGETHER, WEIGHTS_GRADIENT_TOGETHER = 3, 4, 5
HEAD, AXIS = 6, 11  # numbers of `shape` before the axes, and of an axis
SHAPE_SIZE = HEAD + 3 * AXIS


def meeting_places(axis: Any, tap: int) -> tuple[np.ndarray, np.ndarray]:
    """Places of a and of out that meet at a tap along an axis of `shape`."""
    _, size, _, a_step, out_step, tap_step, offset, first, stop, first_tap, stop_tap = (int(n) for n in axis)
    f = np.arange(first, stop) if first_tap <= tap < stop_tap else np.zeros(0, np.int64)
    i, rest = np.divmod(out_step * f + tap_step * tap + offset, a_step)
    good = (rest == 0) & (i >= 0) & (i < size)
    return i[good], f[good]


def convolve(out: Any, a: Any, b: Any, shape: Any, form: int) -> None:
    """See the module's text. Sums are in float32, their order the matrix library's."""
    batch, groups, a_blocks, a_width, out_blocks, out_width = (int(n) for n in shape[:HEAD])
    axes = [shape[HEAD + AXIS * d : HEAD + AXIS * (d + 1)] for d in range(3)]
    taps, a_field, out_field = (tuple(int(axis[n]) for axis in axes) for n in range(3))
    together = form >= FORWARD_TOGETHER
    count = int(np.prod(taps))
    if together:  # here a_width and out_width are the channels of a whole block
        a_each, out_each, held = a_blocks, out_blocks, a_width // a_blocks
        blocks = groups // held
        x = a.reshape(batch, blocks, *a_field, held, a_each)
    else:
        x = a.reshape(batch, groups, a_blocks, *a_field, a_width)
    kind = form % 3
    if kind == WEIGHTS_GRADIENT:
        dy = (
            b.reshape(batch, blocks, *out_field, held, out_each)
            if together
            else b.reshape(batch, groups, out_blocks, *out_field, out_width)
        )
        total = np.zeros(
            (blocks, count, held, a_each, out_each)
            if together
            else (groups, out_blocks, a_blocks, count, a_width, out_width),
            out.dtype,
        )
    elif together:
        w = (
            b.reshape(blocks, count, held, a_each, out_each)
            if kind == FORWARD
            else b.reshape(blocks, count, held, out_each, a_each).transpose(0, 1, 2, 4, 3)
        )
        total = np.zeros((batch, blocks, *out_field, held, out_each), out.dtype)
    else:
        if kind == FORWARD:
            w = b.reshape(groups, out_blocks, a_blocks, count, a_width, out_width)
        else:
            w = b.reshape(groups, a_blocks, out_blocks, count, out_width, a_width).transpose(0, 2, 1, 3, 5, 4)
        total = np.zeros((batch, groups, out_blocks, *out_field, out_width), out.dtype)
    for number, tap in enumerate(np.ndindex(*taps)):
        met = [meeting_places(axis, t) for axis, t in zip(axes, tap, strict=True)]
        if not all(len(i) for i, _ in met):
            continue
        i, f = np.ix_(*(m[0] for m in met)), np.ix_(*(m[1] for m in met))
        if together:
            seen = x[:, :, *i]
            if kind == WEIGHTS_GRADIENT:
                total[:, number] += np.einsum("nbxyzqi,nbxyzqo->bqio", seen, dy[:, :, *f])
            else:
                total[:, :, *f] += np.einsum("nbxyzqi,bqio->nbxyzqo", seen, w[:, number])  # type: ignore[arg-type]
        else:
            seen = x[:, :, :, *i]
            if kind == WEIGHTS_GRADIENT:
                total[:, :, :, number] += np.einsum("ngaxyzi,ngoxyzj->goaij", seen, dy[:, :, :, *f], optimize=True)
            else:
                total[:, :, :, *f] += np.einsum("ngaxyzi,goaij->ngoxyzj", seen, w[:, :, :, number], optimize=True)  # type: ignore[arg-type]
    out[...] = total.reshape(out.shape)


def convolve_by(out: Any, a: Any, b: Any, shape: Any, form: int, blas: int) -> None:
    """`convolve` as rewritten tile code calls it; `blas` is for compiled code."""
    convolve(out, a, b, shape, form)
