"""Compiled loops of the engine: moving bytes, going through pieces of work, watching for what other threads write."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from ..codelet.native import will_read
from ..codelet.native_vectors import LANES, _place, copy_lanes

_COLUMN = types.Array(types.int64, 1, "A", readonly=True)


@intrinsic
def _copy(typingctx: Any, mem, to, at, size):
    """mem[to : to + size] = mem[at : at + size], which do not overlap, by the C library's memcpy."""

    def build(context, builder, signature, arguments):
        mem, to, at, size = arguments
        data = context.make_array(signature.args[0])(context, builder, value=mem).data
        byte = ir.IntType(8).as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [byte, byte, ir.IntType(64), ir.IntType(1)])
        copy = cgutils.get_or_insert_function(builder.module, kind, "llvm.memcpy.p0i8.p0i8.i64")
        builder.call(copy, [builder.gep(data, [to]), builder.gep(data, [at]), size, ir.IntType(1)(0)])
        return context.get_dummy_value()

    return types.void(mem, types.int64, types.int64, types.int64), build


@intrinsic
def _load(typingctx: Any, numbers, at):
    """numbers[at] as another thread may just have written it."""

    def build(context, builder, signature, arguments):
        return builder.load_atomic(_place(context, builder, signature, arguments, 0), "acquire", 8)

    return types.int64(numbers, types.int64), build


@intrinsic
def _store(typingctx: Any, numbers, at, value):
    """numbers[at] = value, seen by other threads after all that was written before."""

    def build(context, builder, signature, arguments):
        builder.store_atomic(arguments[2], _place(context, builder, signature, arguments, 0), "release", 8)
        return context.get_dummy_value()

    return types.void(numbers, types.int64, types.int64), build


@intrinsic
def _pause(typingctx: Any):
    """Leave a core to its other thread for a moment, where there is an instruction for that."""

    def build(context, builder, signature, arguments):
        if builder.module.triple.startswith(("x86_64", "i686", "amd64")):
            kind = ir.FunctionType(ir.VoidType(), [])
            builder.call(cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.sse2.pause"), [])
        return context.get_dummy_value()

    return types.void(), build


@intrinsic
def _yield(typingctx: Any):
    """Let another thread have the processor, if one wants it."""

    def build(context, builder, signature, arguments):
        name = "SwitchToThread" if "windows" in builder.module.triple else "sched_yield"
        kind = ir.FunctionType(ir.IntType(32), [])
        builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [])
        return context.get_dummy_value()

    return types.void(), build


APART = 8  # numbers of a cache line: what different threads write lies apart
_YIELD = 400  # looks at a desk that is taken, before any other thread may have the processor
_LAST = 1 << 40  # more pieces than there are
WORDS = 7 * 40  # of the arguments of a call: as many as of 40 arrays
_NUMBERS = types.Array(types.int64, 1, "C")


@njit(types.boolean(_NUMBERS, types.int64, types.int64, types.int64), cache=True, nogil=True)
def watch(numbers, at, value, looks):
    """Whether numbers[at] reaches `value` while it is looked at `looks` times."""
    for _ in range(looks):
        if _load(numbers, at) >= value:
            return True
        _pause()
    return False


@njit(types.void(_NUMBERS, types.int64, types.int64), cache=True, nogil=True)
def post(numbers, at, value):
    """numbers[at] = value, after everything that this thread wrote before."""
    _store(numbers, at, value)


@intrinsic
def _take(typingctx: Any, numbers, at):
    """numbers[at] before it grows by one; every thread gets another number."""

    def build(context, builder, signature, arguments):
        place = _place(context, builder, signature, arguments, 0)
        return builder.atomic_rmw("add", place, ir.IntType(64)(1), "acq_rel")

    return types.int64(numbers, types.int64), build


@intrinsic
def _call(typingctx: Any, address, words, row, leads, first, last):
    """Call the compiled function at `address` with (words[row, 0] if it `leads`, first, last, *the other words of the row).

    What numba compiles takes, after the places of its result and of an exception, every argument as words of 64 bits,
    seven for an array of one axis; it does not mind words that follow. Returns 0 unless it raised.
    """

    def build(context, builder, signature, arguments):
        address, words, row, leads, first, last = arguments
        word, place = ir.IntType(64), ir.IntType(8).as_pointer()
        data = context.make_array(signature.args[1])(context, builder, value=words).data
        base = builder.gep(data, [builder.mul(row, word(WORDS))])
        read = [builder.load(builder.gep(base, [word(k)])) for k in range(WORDS)]
        result = cgutils.alloca_once_value(builder, place(None))
        raised = cgutils.alloca_once_value(builder, place(None))
        kind = ir.FunctionType(ir.IntType(32), [place.as_pointer(), place.as_pointer()] + [word] * (WORDS + 2))
        function = builder.inttoptr(address, kind.as_pointer())
        status = cgutils.alloca_once(builder, ir.IntType(32))
        with builder.if_else(builder.icmp_signed("!=", leads, word(0))) as (then, otherwise):
            with then:
                builder.store(builder.call(function, [result, raised, read[0], first, last, *read[1:]]), status)
            with otherwise:
                builder.store(builder.call(function, [result, raised, first, last, *read]), status)
        return builder.sext(builder.load(status), word)

    i = types.int64
    return types.int64(i, words, i, i, i, i), build


_TABLE = types.Array(types.int64, 2, "C")


@njit(types.void(types.int64, types.int64, _NUMBERS, _NUMBERS, _TABLE, _TABLE, types.int64), cache=True, nogil=True)
def conduct(first, stop, state, first_call, calls, words, desks):
    """Draw pieces of work from those below `stop` and do them, until none is left or a call raises. `first` is not used.

    state[0]: the next piece that nobody took; state[1]: one more than the row of a call that raised; state[APART * (1 + k)]:
    how many pieces are done on desk k. Piece k is calls[first_call[k] : first_call[k + 1]], of rows (address, row of
    words, leads, first, last), and waits until the piece before it on its desk is done.
    """
    while True:
        piece = _take(state, 0)
        if piece >= stop:
            return
        desk = APART * (1 + piece % desks)
        turn = piece // desks
        while not watch(state, desk, turn, _YIELD):
            _yield()
        for c in range(first_call[piece], first_call[piece + 1]):
            if _call(calls[c, 0], words, calls[c, 1], calls[c, 2], calls[c, 3], calls[c, 4]) != 0:
                state[1] = c + 1
                for k in range(0, state.size, APART):
                    _store(state, k, _LAST)  # nobody takes another piece, nobody waits for mine
                return
        _store(state, desk, turn + 1)


@njit(types.int64(_NUMBERS, types.int64, types.int64, types.int64, _NUMBERS, _TABLE), cache=True, nogil=True)
def serve(places, member, number, looks, job, words):
    """Do jobs `number` and on as `member`: call the function at address job[0] with (job[1], job[2], *words). Returns the
    number of the job that did not come while it was looked for `looks` times, or -1 where job[0] is 0: there are no more."""
    while watch(places, 0, number, looks):
        if job[0] == 0:
            return -1
        _call(job[0], words, 0, 0, job[1], job[2])
        _store(places, APART * member, number)
        number += 1
    return number


LINE = 4 * LANES  # bytes that copy_lanes copies
_LINES = 16 * LINE  # bytes that a loop copies sooner than the C library does (measured)
_AHEAD = 12  # rows: by the time one is copied its memory has arrived


@njit(
    types.void(
        types.int64,
        types.int64,
        types.Array(types.uint8, 1, "C"),
        types.Array(types.uint32, 1, "C"),
        _COLUMN,
        _COLUMN,
        _COLUMN,
    ),
    cache=True,
    nogil=True,
)
def move(first, last, mem, words, src, dst, size):
    """Rows [first, last): `size` bytes from `src` to `dst`, byte places in `mem`; `words` is the same memory."""
    for i in range(first, last):
        if i + _AHEAD < last:
            s = src[i + _AHEAD]
            will_read(mem, s)
            if size[i + _AHEAD] > 64:
                will_read(mem, s + 64)
                if size[i + _AHEAD] > 128:
                    will_read(mem, s + 128)
        s, d, n = src[i], dst[i], size[i]
        if n == 4 and (s | d) & 3 == 0:
            words[d >> 2] = words[s >> 2]
        elif LINE <= n <= _LINES:
            for k in range(0, n - LINE + 1, LINE):
                copy_lanes(mem, d + k, mem, s + k)
            if n % LINE:
                copy_lanes(mem, d + n - LINE, mem, s + n - LINE)
        else:
            _copy(mem, d, s, n)


@njit(
    types.void(
        types.Array(types.uint8, 1, "A", readonly=True), types.Array(types.uint8, 1, "C"), _COLUMN, _COLUMN, _COLUMN
    ),
    cache=True,
    nogil=True,
)
def copy_between(source, target, src, dst, size):
    """Byte pieces from one array to another."""
    for i in range(size.size):
        s, d = src[i], dst[i]
        for k in range(size[i]):
            target[d + k] = source[s + k]


@njit(types.void(types.Array(types.uint8, 1, "C"), _COLUMN, _COLUMN, types.uint8), cache=True, nogil=True)
def fill(mem, start, size, value):
    """Set byte ranges to one value."""
    for i in range(start.size):
        mem[start[i] : start[i] + size[i]] = value


@njit(
    types.int64(types.Array(types.uint8, 1, "C"), _COLUMN, _COLUMN, _COLUMN, _COLUMN, types.int64),
    cache=True,
    nogil=True,
)
def first_undefined(defined, start, rows, row_bytes, stride_bytes, count):
    """The first window with an undefined byte, or -1. Window v: rows[v] runs of row_bytes[v] bytes stride_bytes[v] apart."""
    for v in range(count):
        for j in range(rows[v]):
            at = start[v] + j * stride_bytes[v]
            for k in range(row_bytes[v]):
                if defined[at + k] == 0:
                    return v
    return -1


@njit(
    types.void(types.Array(types.uint8, 1, "C"), _COLUMN, _COLUMN, _COLUMN, _COLUMN, types.int64),
    cache=True,
    nogil=True,
)
def mark_defined(defined, start, rows, row_bytes, stride_bytes, count):
    """Mark the bytes of windows as defined."""
    for v in range(count):
        for j in range(rows[v]):
            at = start[v] + j * stride_bytes[v]
            defined[at : at + row_bytes[v]] = 1


@njit(types.void(_NUMBERS, _COLUMN, _COLUMN), cache=True, nogil=True)
def unite(leader, a, b):
    """Sets of things that pairs (a[i], b[i]) join: into `leader`, which holds 0, 1, 2, ... at first, the first of the set of
    each thing."""
    for i in range(a.size):
        x, y = a[i], b[i]
        while leader[x] != x:
            leader[x] = leader[leader[x]]
            x = leader[x]
        while leader[y] != y:
            leader[y] = leader[leader[y]]
            y = leader[y]
        if x < y:
            leader[y] = x
        else:
            leader[x] = y
    for x in range(leader.size):
        leader[x] = leader[leader[x]]  # that of a smaller number is right by now
