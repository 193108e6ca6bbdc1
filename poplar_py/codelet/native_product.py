"""Products of short rows by 16 columns, kept in a processor's registers: what compiled convolutions are made of.

A place is LANES values side by side, and so are the columns of a block of weights. `lane_product` sums, for a number of
places next to each other, the products of what lies at the places (in several segments of memory, one after the other)
with one or more blocks of weights. No loop over arrays would keep the sums in registers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, register_jitable

from .native import _OPTIONS, _data

_JIT = {**_OPTIONS, "forceinline": False}
LANES = 16  # values of a place, columns of a block of weights
CHAINS = 8  # sums that must be under way at once for the processor's multipliers to stay busy
_VECTOR = ir.VectorType(ir.FloatType(), LANES)
_WORD = ir.IntType(64)


def _kernel(rows: int, blocks: int) -> Any:
    """An intrinsic: `rows` places of `blocks` blocks of out, = sums over segments s and k < 16 (in the last segment
    k < tail) of a[at + segments[s, 0] + 16 place + k] * w[w_at + segments[s, 1] + 16 k + w_step block]."""
    chains = 1
    while chains * rows * blocks < CHAINS:
        chains *= 2

    @intrinsic
    def product(typingctx: Any, a, at, segments, count, tail, w, w_at, w_step, out, out_at, out_step):
        whole = types.intp
        signature = types.void(a, whole, segments, whole, whole, w, whole, whole, out, whole, whole)

        def build(context, builder, signature, arguments):
            a, at, segments, count, tail, w, w_at, w_step, out, out_at, out_step = arguments
            first = builder.gep(_data(context, builder, signature.args[0], a), [at])
            starts = _data(context, builder, signature.args[2], segments)
            weights = builder.gep(_data(context, builder, signature.args[5], w), [w_at])
            goal = builder.gep(_data(context, builder, signature.args[8], out), [out_at])
            kind = ir.FunctionType(_VECTOR, [_VECTOR] * 3)
            fma = cgutils.get_or_insert_function(builder.module, kind, f"llvm.fma.v{LANES}f32")
            zero, nothing = ir.Constant(_VECTOR, [0.0] * LANES), ir.Constant(_VECTOR, ir.Undefined)
            none = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
            sums = {
                (c, b, r): cgutils.alloca_once_value(builder, zero)
                for c in range(chains)
                for b in range(blocks)
                for r in range(rows)
            }
            for place in sums.values():
                builder.store(zero, place)
            last = builder.sub(count, _WORD(1))
            with cgutils.for_range(builder, count) as segment:
                pair = builder.gep(starts, [builder.mul(segment.index, _WORD(2))])
                start = builder.gep(first, [builder.load(pair)])
                panel = builder.gep(weights, [builder.load(builder.gep(pair, [_WORD(1)]))])

                def add(k: Any, chain: int) -> None:
                    at_k = builder.gep(panel, [builder.mul(k, _WORD(LANES))])
                    columns = []
                    for b in range(blocks):
                        place = builder.gep(at_k, [builder.mul(w_step, _WORD(b))]) if b else at_k
                        columns.append(builder.load(builder.bitcast(place, _VECTOR.as_pointer()), align=4))
                    values = builder.gep(start, [k])
                    for r in range(rows):
                        one = builder.load(builder.gep(values, [_WORD(LANES * r)]))
                        spread = builder.shuffle_vector(
                            builder.insert_element(nothing, one, ir.IntType(32)(0)), nothing, none
                        )
                        for b, column in enumerate(columns):
                            place = sums[chain, b, r]
                            builder.store(builder.call(fma, [spread, column, builder.load(place)]), place)

                length = builder.select(builder.icmp_signed("==", segment.index, last), tail, _WORD(LANES))
                turns = builder.sdiv(length, _WORD(chains))
                with cgutils.for_range(builder, turns) as turn:
                    k = builder.mul(turn.index, _WORD(chains))
                    for chain in range(chains):
                        add(builder.add(k, _WORD(chain)), chain)
                if chains > 1:
                    done = builder.mul(turns, _WORD(chains))
                    with cgutils.for_range(builder, builder.sub(length, done)) as rest:
                        add(builder.add(done, rest.index), 0)
            for b in range(blocks):
                line = builder.gep(goal, [builder.mul(out_step, _WORD(b))]) if b else goal
                for r in range(rows):
                    total = builder.load(sums[0, b, r])
                    for chain in range(1, chains):
                        total = builder.fadd(total, builder.load(sums[chain, b, r]))
                    place = builder.gep(line, [_WORD(LANES * r)])
                    builder.store(total, builder.bitcast(place, _VECTOR.as_pointer()), align=4)
            return context.get_dummy_value()

        return signature, build

    return product


_one_1, _one_2, _one_4, _one_8, _one_12, _one_16 = (_kernel(n, 1) for n in (1, 2, 4, 8, 12, 16))
_two_1, _two_2, _two_4, _two_6, _two_8, _two_10, _two_12, _two_14 = (_kernel(2 * n or 1, 2) for n in (0, *range(1, 8)))


@intrinsic
def copy_lanes(typingctx: Any, goal, at, source, start):
    """goal[at : at + LANES] = source[start : start + LANES]"""

    def build(context, builder, signature, arguments):
        goal, at, source, start = arguments
        there = builder.gep(_data(context, builder, signature.args[0], goal), [at])
        here = builder.gep(_data(context, builder, signature.args[2], source), [start])
        loaded = builder.load(builder.bitcast(here, _VECTOR.as_pointer()), align=4)
        builder.store(loaded, builder.bitcast(there, _VECTOR.as_pointer()), align=4)
        return context.get_dummy_value()

    return types.void(goal, types.intp, source, types.intp), build


@intrinsic
def transpose_lanes(typingctx: Any, goal, at, source, start):
    """goal[at + 16 i + j] = source[start + 16 j + i] for i, j < 16."""

    def build(context, builder, signature, arguments):
        goal, at, source, start = arguments
        there = builder.gep(_data(context, builder, signature.args[0], goal), [at])
        here = builder.gep(_data(context, builder, signature.args[2], source), [start])
        rows = [
            builder.load(builder.bitcast(builder.gep(here, [_WORD(LANES * j)]), _VECTOR.as_pointer()), align=4)
            for j in range(LANES)
        ]
        half = LANES // 2
        for _ in range(4):  # each turn interleaves row j with row j + 8; four of them transpose
            mixed = []
            for j in range(half):
                for first in (0, half):
                    take = [first + i // 2 + LANES * (i % 2) for i in range(LANES)]
                    picks = ir.Constant(ir.VectorType(ir.IntType(32), LANES), take)
                    mixed.append(builder.shuffle_vector(rows[j], rows[j + half], picks))
            rows = mixed
        for i, row in enumerate(rows):
            place = builder.gep(there, [_WORD(LANES * i)])
            builder.store(row, builder.bitcast(place, _VECTOR.as_pointer()), align=4)
        return context.get_dummy_value()

    return types.void(goal, types.intp, source, types.intp), build


@intrinsic
def outer_lanes(typingctx: Any, out, out_at, a, b, segments, count):
    """out[out_at + 16 i + j] = sum over segments s and places p < segments[s, 2] of
    a[segments[s, 0] + 16 p + i] * b[segments[s, 1] + 16 p + j], i and j < 16."""

    def build(context, builder, signature, arguments):
        out, out_at, a, b, segments, count = arguments
        goal = builder.gep(_data(context, builder, signature.args[0], out), [out_at])
        left = _data(context, builder, signature.args[2], a)
        right = _data(context, builder, signature.args[3], b)
        starts = _data(context, builder, signature.args[4], segments)
        kind = ir.FunctionType(_VECTOR, [_VECTOR] * 3)
        fma = cgutils.get_or_insert_function(builder.module, kind, f"llvm.fma.v{LANES}f32")
        zero, nothing = ir.Constant(_VECTOR, [0.0] * LANES), ir.Constant(_VECTOR, ir.Undefined)
        none = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
        sums = [cgutils.alloca_once_value(builder, zero) for _ in range(LANES)]
        for place in sums:
            builder.store(zero, place)
        with cgutils.for_range(builder, count) as segment:
            three = builder.gep(starts, [builder.mul(segment.index, _WORD(3))])
            values = builder.gep(left, [builder.load(three)])
            columns = builder.gep(right, [builder.load(builder.gep(three, [_WORD(1)]))])
            with cgutils.for_range(builder, builder.load(builder.gep(three, [_WORD(2)]))) as place:
                at = builder.mul(place.index, _WORD(LANES))
                column = builder.gep(columns, [at])
                column = builder.load(builder.bitcast(column, _VECTOR.as_pointer()), align=4)
                here = builder.gep(values, [at])
                for i, total in enumerate(sums):
                    one = builder.load(builder.gep(here, [_WORD(i)]))
                    spread = builder.shuffle_vector(
                        builder.insert_element(nothing, one, ir.IntType(32)(0)), nothing, none
                    )
                    builder.store(builder.call(fma, [spread, column, builder.load(total)]), total)
        for i, total in enumerate(sums):
            place = builder.gep(goal, [_WORD(LANES * i)])
            builder.store(builder.load(total), builder.bitcast(place, _VECTOR.as_pointer()), align=4)
        return context.get_dummy_value()

    return types.void(out, types.intp, a, b, segments, types.intp), build


@register_jitable(**_JIT)
def _by_one(a, at, segments, n, tail, w, w_at, out, out_at, count):
    turns = (count + 15) // 16
    row = np.int64(0)
    while row < count:
        share = (count - row + turns - 1) // turns
        i, o = at + LANES * row, out_at + LANES * row
        left = count - row
        if share > 12 and left >= 16:
            _one_16(a, i, segments, n, tail, w, w_at, 0, out, o, 0)
            row += 16
        elif share > 8 and left >= 12:
            _one_12(a, i, segments, n, tail, w, w_at, 0, out, o, 0)
            row += 12
        elif share > 4 and left >= 8:
            _one_8(a, i, segments, n, tail, w, w_at, 0, out, o, 0)
            row += 8
        elif left >= 4:
            _one_4(a, i, segments, n, tail, w, w_at, 0, out, o, 0)
            row += 4
        elif left >= 2:
            _one_2(a, i, segments, n, tail, w, w_at, 0, out, o, 0)
            row += 2
        else:
            _one_1(a, i, segments, n, tail, w, w_at, 0, out, o, 0)
            row += 1
        turns = max((count - row + 15) // 16, 1)


@register_jitable(**_JIT)
def _by_two(a, at, segments, n, tail, w, w_at, w_step, out, out_at, out_step, count):
    turns = (count + 13) // 14
    row = np.int64(0)
    while row < count:
        left = count - row
        share = (left + turns - 1) // turns
        i, o = at + LANES * row, out_at + LANES * row
        if share > 12 and left >= 14:
            _two_14(a, i, segments, n, tail, w, w_at, w_step, out, o, out_step)
            row += 14
        elif share > 10 and left >= 12:
            _two_12(a, i, segments, n, tail, w, w_at, w_step, out, o, out_step)
            row += 12
        elif share > 8 and left >= 10:
            _two_10(a, i, segments, n, tail, w, w_at, w_step, out, o, out_step)
            row += 10
        elif share > 6 and left >= 8:
            _two_8(a, i, segments, n, tail, w, w_at, w_step, out, o, out_step)
            row += 8
        elif share > 4 and left >= 6:
            _two_6(a, i, segments, n, tail, w, w_at, w_step, out, o, out_step)
            row += 6
        elif left >= 4:
            _two_4(a, i, segments, n, tail, w, w_at, w_step, out, o, out_step)
            row += 4
        elif left >= 2:
            _two_2(a, i, segments, n, tail, w, w_at, w_step, out, o, out_step)
            row += 2
        else:
            _two_1(a, i, segments, n, tail, w, w_at, w_step, out, o, out_step)
            row += 1
        turns = max((count - row + 13) // 14, 1)


@register_jitable(**_JIT)
def lane_product(a, at, segments, tail, w, w_at, w_step, blocks, out, out_at, out_step, count):
    """`count` places of `blocks` blocks of out, blocks out_step apart, from element out_at on: sums over segments s and
    k < 16 (in the last segment k < tail) of a[at + segments[s, 0] + 16 place + k] * w[w_at + segments[s, 1] + 16 k +
    w_step block]. Arrays are float32 on one axis; `segments` int64 (segments, 2)."""
    n = segments.shape[0]
    done = np.int64(0)
    while done + 1 < blocks:
        _by_two(
            a, at, segments, n, tail, w, w_at + done * w_step, w_step, out, out_at + done * out_step, out_step, count
        )
        done += 2
    if done < blocks:
        _by_one(a, at, segments, n, tail, w, w_at + done * w_step, out, out_at + done * out_step, count)
