"""Intrinsics that keep 16 floats side by side in a processor's registers: what compiled convolutions are made of.

A place is LANES values side by side, and so are the columns of a block of weights. No loop over arrays would keep the
sums of products in registers, and how many fit there differs: HELD says it for this processor.
"""

from __future__ import annotations

import math
from typing import Any

from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .native import _array_at, _data

LANES = 16  # values of a place, columns of a block of weights
WIDE = bool(binding.get_host_cpu_features().get("avx512f"))  # 32 registers of 16 floats; else 16 of 8, or 32 of 4
HELD = 28 if WIDE else 6  # sums of LANES floats that registers hold beside the operands of their products
CHAINS = 8 if WIDE else 4  # such sums that must be under way at once for the processor's multipliers to stay busy
_VECTOR = ir.VectorType(ir.FloatType(), LANES)
_WORD = ir.IntType(64)


def _place(context: Any, builder: Any, signature: Any, arguments: Any, k: int) -> Any:
    """Pointer to element arguments[k + 1] of the array arguments[k]."""
    return builder.gep(_data(context, builder, signature.args[k], arguments[k]), [arguments[k + 1]])


def product_kernel(rows: int, blocks: int) -> Any:
    """An intrinsic: `rows` places of `blocks` blocks of out, = sums over segments s and k < segments[s, 2] of
    a[at + segments[s, 0] + a_step place + k] * w[w_at + segments[s, 1] + 16 k + w_step block]."""
    chains = 1
    while chains * rows * blocks < CHAINS:
        chains *= 2

    @intrinsic
    def product(typingctx: Any, a, at, a_step, segments, count, w, w_at, w_step, out, out_at, out_step):
        whole = types.intp
        signature = types.void(a, whole, whole, segments, whole, w, whole, whole, out, whole, whole)

        def build(context, builder, signature, arguments):
            _, _, a_step, segments, count, _, _, w_step, _, _, out_step = arguments
            first = _place(context, builder, signature, arguments, 0)
            starts = _data(context, builder, signature.args[3], segments)
            weights = _place(context, builder, signature, arguments, 5)
            goal = _place(context, builder, signature, arguments, 8)
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
            with cgutils.for_range(builder, count) as segment:
                three = builder.gep(starts, [builder.mul(segment.index, _WORD(3))])
                start = builder.gep(first, [builder.load(three)])
                panel = builder.gep(weights, [builder.load(builder.gep(three, [_WORD(1)]))])
                length = builder.load(builder.gep(three, [_WORD(2)]))
                lines = [start]
                for _ in range(1, rows):
                    lines.append(builder.gep(lines[-1], [a_step]))

                def add(k: Any, chain: int) -> None:
                    at_k = builder.gep(panel, [builder.mul(k, _WORD(LANES))])
                    columns = []
                    for b in range(blocks):
                        place = builder.gep(at_k, [builder.mul(w_step, _WORD(b))]) if b else at_k
                        columns.append(builder.load(builder.bitcast(place, _VECTOR.as_pointer()), align=4))
                    for r, line in enumerate(lines):
                        one = builder.load(builder.gep(line, [k]))
                        spread = builder.shuffle_vector(
                            builder.insert_element(nothing, one, ir.IntType(32)(0)), nothing, none
                        )
                        for b, column in enumerate(columns):
                            place = sums[chain, b, r]
                            builder.store(builder.call(fma, [spread, column, builder.load(place)]), place)

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


@intrinsic
def copy_lanes(typingctx: Any, goal, at, source, start):
    """As many bytes as LANES floats from element `start` of source to element `at` of goal."""

    def build(context, builder, signature, arguments):
        there, here = (_place(context, builder, signature, arguments, k) for k in (0, 2))
        align = context.get_abi_sizeof(context.get_data_type(signature.args[0].dtype))
        loaded = builder.load(builder.bitcast(here, _VECTOR.as_pointer()), align=align)
        builder.store(loaded, builder.bitcast(there, _VECTOR.as_pointer()), align=align)
        return context.get_dummy_value()

    return types.void(goal, types.intp, source, types.intp), build


@intrinsic
def transpose_lanes(typingctx: Any, goal, at, source, start):
    """goal[at + 16 i + j] = source[start + 16 j + i] for i, j < 16."""

    def build(context, builder, signature, arguments):
        there, here = (_place(context, builder, signature, arguments, k) for k in (0, 2))
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
def outer_lanes(typingctx: Any, out, out_at, a, a_step, b, segments, count):
    """out[out_at + 16 i + j] = sum over segments s and places p < segments[s, 2] of
    a[segments[s, 0] + a_step p + i] * b[segments[s, 1] + 16 p + j], i and j < 16."""

    def build(context, builder, signature, arguments):
        _, _, a, a_step, b, segments, count = arguments
        goal = _place(context, builder, signature, arguments, 0)
        left = _data(context, builder, signature.args[2], a)
        right = _data(context, builder, signature.args[4], b)
        starts = _data(context, builder, signature.args[5], segments)
        kind = ir.FunctionType(_VECTOR, [_VECTOR] * 3)
        fma = cgutils.get_or_insert_function(builder.module, kind, f"llvm.fma.v{LANES}f32")
        zero, nothing = ir.Constant(_VECTOR, [0.0] * LANES), ir.Constant(_VECTOR, ir.Undefined)
        none = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
        for low in range(0, LANES, HELD):
            rows = range(low, min(low + HELD, LANES))
            sums = [cgutils.alloca_once_value(builder, zero) for _ in rows]
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
                    here = builder.gep(values, [builder.mul(place.index, a_step)])
                    for i, total in zip(rows, sums, strict=True):
                        one = builder.load(builder.gep(here, [_WORD(i)]))
                        spread = builder.shuffle_vector(
                            builder.insert_element(nothing, one, ir.IntType(32)(0)), nothing, none
                        )
                        builder.store(builder.call(fma, [spread, column, builder.load(total)]), total)
            for i, total in zip(rows, sums, strict=True):
                place = builder.gep(goal, [_WORD(LANES * i)])
                builder.store(builder.load(total), builder.bitcast(place, _VECTOR.as_pointer()), align=4)
        return context.get_dummy_value()

    return types.void(out, types.intp, a, types.intp, b, segments, types.intp), build


@intrinsic(prefer_literal=True)
def stack_words(typingctx: Any, rows, cols):
    """An int64 matrix of rows x cols, both literal, that lives until the calling function returns."""
    return _on_stack(types.Array(types.int64, 2, "C"), [rows.literal_value, cols.literal_value], (rows, cols))


@intrinsic(prefer_literal=True)
def stack_floats(typingctx: Any, size):
    """A float32 vector of a literal size that lives until the calling function returns."""
    return _on_stack(types.Array(types.float32, 1, "C"), [size.literal_value], (size,))


def _on_stack(kind: types.Array, shape: list[int], arguments: tuple) -> Any:
    """Signature and builder of an array in the stack frame: one in the heap costs more than a small product."""

    def build(context, builder, signature, _):
        item = context.get_data_type(kind.dtype)
        place = cgutils.alloca_once(builder, ir.ArrayType(item, math.prod(shape)))
        size = context.get_abi_sizeof(item)
        strides = [math.prod(shape[d + 1 :]) * size for d in range(len(shape))]
        return _array_at(context, builder, kind, place, [_WORD(n) for n in shape], [_WORD(n) for n in strides])

    return kind(*arguments), build
