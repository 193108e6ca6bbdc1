"""Products of places by blocks of 16 columns, cut into as many places as a processor's registers hold sums for.

`lane_product` sums, for a number of places evenly apart, the products of what lies at the places (in several segments of
memory, one after the other) with one or more blocks of weights.
"""

from __future__ import annotations

import numpy as np
from numba.extending import register_jitable

from .native import _OPTIONS
from .native_vectors import LANES, WIDE, product_kernel

_JIT = {**_OPTIONS, "forceinline": False}

if WIDE:
    _one_1, _one_2, _one_4, _one_8, _one_12, _one_16 = (product_kernel(n, 1) for n in (1, 2, 4, 8, 12, 16))
    _two_1, _two_2, _two_4, _two_6, _two_8, _two_10, _two_12, _two_14 = (
        product_kernel(2 * n or 1, 2) for n in range(8)
    )

    @register_jitable(**_JIT)
    def _by_one(a, at, a_step, segments, n, w, w_at, out, out_at, count):
        turns = (count + 15) // 16
        row = np.int64(0)
        while row < count:
            share = (count - row + turns - 1) // turns
            i, o = at + a_step * row, out_at + LANES * row
            left = count - row
            if share > 12 and left >= 16:
                _one_16(a, i, a_step, segments, n, w, w_at, 0, out, o, 0)
                row += 16
            elif share > 8 and left >= 12:
                _one_12(a, i, a_step, segments, n, w, w_at, 0, out, o, 0)
                row += 12
            elif share > 4 and left >= 8:
                _one_8(a, i, a_step, segments, n, w, w_at, 0, out, o, 0)
                row += 8
            elif left >= 4:
                _one_4(a, i, a_step, segments, n, w, w_at, 0, out, o, 0)
                row += 4
            elif left >= 2:
                _one_2(a, i, a_step, segments, n, w, w_at, 0, out, o, 0)
                row += 2
            else:
                _one_1(a, i, a_step, segments, n, w, w_at, 0, out, o, 0)
                row += 1
            turns = max((count - row + 15) // 16, 1)

    @register_jitable(**_JIT)
    def _by_two(a, at, a_step, segments, n, w, w_at, w_step, out, out_at, out_step, count):
        turns = (count + 13) // 14
        row = np.int64(0)
        while row < count:
            left = count - row
            share = (left + turns - 1) // turns
            i, o = at + a_step * row, out_at + LANES * row
            if share > 12 and left >= 14:
                _two_14(a, i, a_step, segments, n, w, w_at, w_step, out, o, out_step)
                row += 14
            elif share > 10 and left >= 12:
                _two_12(a, i, a_step, segments, n, w, w_at, w_step, out, o, out_step)
                row += 12
            elif share > 8 and left >= 10:
                _two_10(a, i, a_step, segments, n, w, w_at, w_step, out, o, out_step)
                row += 10
            elif share > 6 and left >= 8:
                _two_8(a, i, a_step, segments, n, w, w_at, w_step, out, o, out_step)
                row += 8
            elif share > 4 and left >= 6:
                _two_6(a, i, a_step, segments, n, w, w_at, w_step, out, o, out_step)
                row += 6
            elif left >= 4:
                _two_4(a, i, a_step, segments, n, w, w_at, w_step, out, o, out_step)
                row += 4
            elif left >= 2:
                _two_2(a, i, a_step, segments, n, w, w_at, w_step, out, o, out_step)
                row += 2
            else:
                _two_1(a, i, a_step, segments, n, w, w_at, w_step, out, o, out_step)
                row += 1
            turns = max((count - row + 13) // 14, 1)

    @register_jitable(**_JIT)
    def _by_blocks(a, at, a_step, segments, n, w, w_at, w_step, blocks, out, out_at, out_step, count):
        done = np.int64(0)
        while done + 1 < blocks:
            w_now, o_now = w_at + done * w_step, out_at + done * out_step
            _by_two(a, at, a_step, segments, n, w, w_now, w_step, out, o_now, out_step, count)
            done += 2
        if done < blocks:
            _by_one(a, at, a_step, segments, n, w, w_at + done * w_step, out, out_at + done * out_step, count)

else:
    _one_1, _one_2, _one_3, _one_4, _one_5, _one_6 = (product_kernel(n, 1) for n in range(1, 7))

    @register_jitable(**_JIT)
    def _by_one(a, at, a_step, segments, n, w, w_at, out, out_at, count):
        turns = (count + 5) // 6
        row = np.int64(0)
        while row < count:
            share = (count - row + turns - 1) // turns
            i, o = at + a_step * row, out_at + LANES * row
            if share == 6:
                _one_6(a, i, a_step, segments, n, w, w_at, 0, out, o, 0)
            elif share == 5:
                _one_5(a, i, a_step, segments, n, w, w_at, 0, out, o, 0)
            elif share == 4:
                _one_4(a, i, a_step, segments, n, w, w_at, 0, out, o, 0)
            elif share == 3:
                _one_3(a, i, a_step, segments, n, w, w_at, 0, out, o, 0)
            elif share == 2:
                _one_2(a, i, a_step, segments, n, w, w_at, 0, out, o, 0)
            else:
                _one_1(a, i, a_step, segments, n, w, w_at, 0, out, o, 0)
            row += share
            turns -= 1

    @register_jitable(**_JIT)
    def _by_blocks(a, at, a_step, segments, n, w, w_at, w_step, blocks, out, out_at, out_step, count):
        for block in range(blocks):
            _by_one(a, at, a_step, segments, n, w, w_at + block * w_step, out, out_at + block * out_step, count)


@register_jitable(**_JIT)
def lane_product(a, at, a_step, segments, w, w_at, w_step, blocks, out, out_at, out_step, count):
    """`count` places of `blocks` blocks of out, blocks out_step apart, from element out_at on: sums over segments s and
    k < segments[s, 2] of a[at + segments[s, 0] + a_step place + k] * w[w_at + segments[s, 1] + 16 k + w_step block].
    Arrays are float32 on one axis; `segments` int64 (segments, 3)."""
    _by_blocks(a, at, a_step, segments, segments.shape[0], w, w_at, w_step, blocks, out, out_at, out_step, count)
