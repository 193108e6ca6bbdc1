"""The compiled side of tile code: vocabulary.py once more for numba, windows of tile memory, half precision, BLAS.

Importing this module imports numba; only batch.driver does, and the driver files it writes.
"""

from __future__ import annotations

import math
from typing import Any

import llvmlite.binding
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, overload

from . import vocabulary

_OPTIONS: Any = {"error_model": "numpy", "boundscheck": False, "forceinline": True, "nogil": True}
_HAS_F16C = bool(
    llvmlite.binding.get_host_cpu_features().get("f16c")
) or llvmlite.binding.get_default_triple().startswith("aarch64")

# --- windows of memory -------------------------------------------------------------------------------------------


def _array_at(context: Any, builder: Any, kind: types.Array, pointer: Any, shape: list, strides: list) -> Any:
    array = context.make_array(kind)(context, builder)
    item = context.get_abi_sizeof(context.get_data_type(kind.dtype))
    context.populate_array(
        array,
        data=builder.bitcast(pointer, array.data.type),
        shape=cgutils.pack_array(builder, shape),
        strides=cgutils.pack_array(builder, strides),
        itemsize=context.get_constant(types.intp, item),
        meminfo=None,
    )
    return array._getvalue()


def _data(context: Any, builder: Any, kind: types.Array, value: Any) -> Any:
    return context.make_array(kind)(context, builder, value=value).data


@intrinsic
def vector(typingctx: Any, mem: Any, at: Any, size: Any, kind: Any) -> Any:
    """vector(mem, at, size, type): the `size` elements at byte `at` of a uint8 array, as an array on that memory."""
    result = types.Array(kind.dtype, 1, "C")

    def build(context, builder, signature, arguments):
        base, offset, count, _ = arguments
        pointer = builder.gep(_data(context, builder, signature.args[0], base), [offset])
        item = context.get_abi_sizeof(context.get_data_type(result.dtype))
        return _array_at(context, builder, result, pointer, [count], [context.get_constant(types.intp, item)])

    return result(mem, types.intp, types.intp, kind), build


@intrinsic
def matrix(typingctx: Any, mem: Any, at: Any, rows: Any, cols: Any, stride: Any, kind: Any) -> Any:
    """matrix(mem, at, rows, cols, stride, type): rows `stride` elements apart, as a two-axis array on that memory."""
    result = types.Array(kind.dtype, 2, "A")

    def build(context, builder, signature, arguments):
        base, offset, count, width, stride, _ = arguments
        pointer = builder.gep(_data(context, builder, signature.args[0], base), [offset])
        item = context.get_constant(types.intp, context.get_abi_sizeof(context.get_data_type(result.dtype)))
        return _array_at(context, builder, result, pointer, [count, width], [builder.mul(stride, item), item])

    return result(mem, types.intp, types.intp, types.intp, types.intp, kind), build


@intrinsic
def will_read(typingctx: Any, mem: Any, at: Any) -> Any:
    """Ask the processor for the line of memory that holds mem[at]."""

    def build(context, builder, signature, arguments):
        whole = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [ir.IntType(8).as_pointer(), whole, whole, whole])
        ask = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
        line = builder.gep(_data(context, builder, signature.args[0], arguments[0]), [arguments[1]])
        builder.call(ask, [line, whole(0), whole(2), whole(1)])
        return context.get_dummy_value()

    return types.void(mem, types.intp), build


@intrinsic
def part(typingctx: Any, array: Any, at: Any, size: Any) -> Any:
    """part(scratch, at, size): `size` elements from element `at` on; it does not keep the scratch alive."""
    result = types.Array(array.dtype, 1, "C")

    def build(context, builder, signature, arguments):
        item = context.get_abi_sizeof(context.get_data_type(result.dtype))
        pointer = builder.gep(_data(context, builder, signature.args[0], arguments[0]), [arguments[1]])
        return _array_at(context, builder, result, pointer, [arguments[2]], [context.get_constant(types.intp, item)])

    return result(array, types.intp, types.intp), build


@intrinsic
def grid(typingctx: Any, array: Any, rows: Any, cols: Any) -> Any:
    """grid(scratch, rows, cols): its first rows x cols elements as a matrix."""
    result = types.Array(array.dtype, 2, "A")

    def build(context, builder, signature, arguments):
        item = context.get_constant(types.intp, context.get_abi_sizeof(context.get_data_type(result.dtype)))
        pointer = _data(context, builder, signature.args[0], arguments[0])
        strides = [builder.mul(arguments[2], item), item]
        return _array_at(context, builder, result, pointer, list(arguments[1:]), strides)

    return result(array, types.intp, types.intp), build


# --- half precision ----------------------------------------------------------------------------------------------


@intrinsic
def _half_to_float_in_hardware(typingctx: Any, word: Any) -> Any:
    def build(context, builder, signature, arguments):
        return builder.fpext(builder.bitcast(arguments[0], ir.HalfType()), ir.FloatType())

    return types.float32(types.uint16), build


@intrinsic
def _float_to_half_in_hardware(typingctx: Any, value: Any) -> Any:
    def build(context, builder, signature, arguments):
        return builder.bitcast(builder.fptrunc(arguments[0], ir.HalfType()), ir.IntType(16))

    return types.uint16(types.float32), build


@intrinsic
def _bits_of_float(typingctx: Any, value: Any) -> Any:
    def build(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], ir.IntType(32))

    return types.uint32(types.float32), build


@intrinsic
def _float_of_bits(typingctx: Any, word: Any) -> Any:
    def build(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], ir.FloatType())

    return types.float32(types.uint32), build


def half_to_float(word: Any) -> Any:
    """float32 of a half's 16 bits."""


def float_to_half(value: Any) -> Any:
    """16 bits of the half nearest to a float32, ties to even; beyond 65519 infinite."""


def _half_to_float_by_bits(word):
    sign = (np.int64(word) & 0x8000) << 16
    rest = np.int64(word) & 0x7FFF
    if rest >= 0x7C00:  # infinite, or not a number (made quiet)
        quiet = 0x400000 if rest > 0x7C00 else 0
        return _float_of_bits(np.uint32(sign | 0x7F800000 | ((rest & 0x3FF) << 13) | quiet))
    if rest >= 0x400:
        return _float_of_bits(np.uint32(sign | ((rest << 13) + 0x38000000)))
    small = np.float32(rest) * np.float32(5.960464477539063e-08)  # subnormal: a multiple of 2**-24
    return _float_of_bits(np.uint32(np.int64(_bits_of_float(small)) | sign))


def _float_to_half_by_bits(value):
    bits = np.int64(_bits_of_float(value))
    sign = (bits >> 16) & 0x8000
    rest = bits & 0x7FFFFFFF
    if rest > 0x7F800000:
        return np.uint16(sign | 0x7E00 | ((rest >> 13) & 0x3FF))
    if rest >= 0x477FF000:
        return np.uint16(sign | 0x7C00)
    if rest >= 0x38800000:
        rest -= 0x38000000
        return np.uint16(sign | ((rest + 0xFFF + ((rest >> 13) & 1)) >> 13))
    if rest < 0x33000000:
        return np.uint16(sign)
    shift = 126 - (rest >> 23)  # subnormal: the significand counts multiples of 2**-24
    whole = (rest & 0x7FFFFF) | 0x800000
    half = whole >> shift
    left = whole - (half << shift)
    middle = np.int64(1) << (shift - 1)
    if left > middle or (left == middle and (half & 1) == 1):
        half += 1
    return np.uint16(sign | half)


@overload(half_to_float, jit_options=_OPTIONS)
def _(word):
    if _HAS_F16C:
        return lambda word: _half_to_float_in_hardware(word)
    return _half_to_float_by_bits


@overload(float_to_half, jit_options=_OPTIONS)
def _(value):
    if _HAS_F16C:
        return lambda value: _float_to_half_in_hardware(value)
    return _float_to_half_by_bits


@overload(vocabulary.to_half, jit_options=_OPTIONS)
def _(x):
    return lambda x: half_to_float(float_to_half(x))


_LANES = 8  # halves converted by one instruction
_WORDS, _FLOATS = ir.VectorType(ir.HalfType(), _LANES), ir.VectorType(ir.FloatType(), _LANES)


def _lanes(context: Any, builder: Any, kind: Any, array: Any, index: Any, lanes: Any) -> Any:
    return builder.bitcast(builder.gep(_data(context, builder, kind, array), [index]), lanes.as_pointer())


@intrinsic
def _widen_lanes(typingctx: Any, words: Any, i: Any, scratch: Any, k: Any) -> Any:
    """scratch[k : k + 8] = words[i : i + 8]"""

    def build(context, builder, signature, arguments):
        words, i, scratch, k = arguments
        loaded = builder.load(_lanes(context, builder, signature.args[0], words, i, _WORDS), align=2)
        builder.store(
            builder.fpext(loaded, _FLOATS), _lanes(context, builder, signature.args[2], scratch, k, _FLOATS), align=4
        )
        return context.get_dummy_value()

    return types.void(words, types.intp, scratch, types.intp), build


@intrinsic
def _narrow_lanes(typingctx: Any, words: Any, i: Any, scratch: Any, k: Any) -> Any:
    """words[i : i + 8] = scratch[k : k + 8]"""

    def build(context, builder, signature, arguments):
        words, i, scratch, k = arguments
        loaded = builder.load(_lanes(context, builder, signature.args[2], scratch, k, _FLOATS), align=4)
        builder.store(
            builder.fptrunc(loaded, _WORDS), _lanes(context, builder, signature.args[0], words, i, _WORDS), align=2
        )
        return context.get_dummy_value()

    return types.void(words, types.intp, scratch, types.intp), build


def widen(mem: Any, at: Any, scratch: Any, rows: Any, cols: Any, stride: Any) -> None:
    """Read halves: `rows` runs of `cols`, `stride` elements apart from byte `at`, into a float32 scratch."""


def narrow(mem: Any, at: Any, scratch: Any, rows: Any, cols: Any, stride: Any) -> None:
    """Write what `widen` reads."""


@overload(widen, jit_options={**_OPTIONS, "forceinline": False})
def _(mem, at, scratch, rows, cols, stride):
    def impl(mem, at, scratch, rows, cols, stride):
        for r in range(rows):
            words = vector(mem, at + 2 * r * stride, cols, np.uint16)
            whole = cols - cols % _LANES if _HAS_F16C else 0
            for c in range(0, whole, _LANES):
                _widen_lanes(words, c, scratch, r * cols + c)
            for c in range(whole, cols):
                scratch[r * cols + c] = half_to_float(words[c])

    return impl


@overload(narrow, jit_options={**_OPTIONS, "forceinline": False})
def _(mem, at, scratch, rows, cols, stride):
    def impl(mem, at, scratch, rows, cols, stride):
        for r in range(rows):
            words = vector(mem, at + 2 * r * stride, cols, np.uint16)
            whole = cols - cols % _LANES if _HAS_F16C else 0
            for c in range(0, whole, _LANES):
                _narrow_lanes(words, c, scratch, r * cols + c)
            for c in range(whole, cols):
                words[c] = float_to_half(scratch[r * cols + c])

    return impl


# --- the vocabulary ------------------------------------------------------------------------------------------------


@intrinsic
def _bits(typingctx: Any, x: Any) -> Any:
    def build(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], ir.IntType(64))

    return types.int64(types.float64), build


@intrinsic
def _of_bits(typingctx: Any, x: Any) -> Any:
    def build(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], ir.DoubleType())

    return types.float64(types.int64), build


@overload(vocabulary.double, jit_options=_OPTIONS)
def _(x):
    return lambda x: np.float64(x)


@overload(vocabulary.power_of_two, jit_options=_OPTIONS)
def _(k):
    return lambda k: _of_bits((np.int64(k) + 1023) << 52)


@overload(vocabulary.mantissa, jit_options=_OPTIONS)
def _(x):
    return lambda x: _of_bits((_bits(x) & 0x000FFFFFFFFFFFFF) | 0x3FE0000000000000)


@overload(vocabulary.exponent, jit_options=_OPTIONS)
def _(x):
    return lambda x: np.float64(((_bits(x) >> 52) & 0x7FF) - 1022)


def _register_as_it_stands(function: Any) -> None:
    overload(function, jit_options=_OPTIONS, strict=False)(lambda *_: function)


@intrinsic
def _float_remainder(typingctx: Any, x: Any, y: Any) -> Any:
    def build(context, builder, signature, arguments):
        return builder.frem(*arguments)

    return types.float64(types.float64, types.float64), build


@overload(vocabulary.fmod, jit_options=_OPTIONS)
def _(x, y):
    return lambda x, y: _float_remainder(np.float64(x), np.float64(y))


def _register_library(function: Any) -> None:
    c_function = getattr(math, function.__name__)
    if getattr(function, "arity", 1) == 2:

        def of_two(x, y):
            return c_function(np.float64(x), np.float64(y))

        overload(function, jit_options=_OPTIONS)(lambda x, y: of_two)
    else:

        def of_one(x):
            return c_function(np.float64(x))

        overload(function, jit_options=_OPTIONS)(lambda x: of_one)


def _register_rounding(function: Any, name: str) -> None:
    def typed(typingctx, x):
        def build(context, builder, signature, arguments):
            kind = arguments[0].type
            return builder.call(builder.module.declare_intrinsic(f"llvm.{name}", [kind]), arguments)

        return x(x), build

    instruction: Any = intrinsic(typed)
    overload(function, jit_options=_OPTIONS)(lambda x: lambda x: instruction(x))


for _function in (*vocabulary.SERIES, *vocabulary.WHOLE, *vocabulary.RANDOM):
    _register_as_it_stands(_function)
for _function in vocabulary.LIBRARY:
    if _function is not vocabulary.fmod:  # numba has no math.fmod
        _register_library(_function)
for _function in vocabulary.ROUNDINGS:
    _register_rounding(_function, _function.__name__)


# --- matrix products -----------------------------------------------------------------------------------------------

SMALL_PRODUCT = 32  # multiplications below which loops beat a BLAS call (measured; a 4 x 4 x 4 call takes 36 ns)


@intrinsic
def _sgemm(typingctx, blas, ta, tb, m, n, k, a, lda, b, ldb, beta, c, ldc):
    """Call Fortran sgemm at the address `blas`: column-major c = op(a) op(b) + beta c."""
    whole = types.int32
    signature = types.void(types.int64, whole, whole, whole, whole, whole, a, whole, b, whole, types.float32, c, whole)

    def build(context, builder, signature, arguments):
        blas, ta, tb, m, n, k, a, lda, b, ldb, beta, c, ldc = arguments
        byte = ir.IntType(8)

        def place(value):
            return cgutils.alloca_once_value(builder, value)

        flags = [
            place(builder.select(builder.icmp_signed("!=", t, t.type(0)), byte(ord("T")), byte(ord("N"))))
            for t in (ta, tb)
        ]
        data = {
            name: _data(context, builder, signature.args[i], v)
            for name, i, v in (("a", 6, a), ("b", 8, b), ("c", 11, c))
        }
        values = [
            *flags, place(m), place(n), place(k), place(ir.FloatType()(1.0)), data["a"], place(lda), data["b"], place(ldb),
            place(beta), data["c"], place(ldc),
        ]  # fmt: skip
        kind = ir.FunctionType(ir.VoidType(), [v.type for v in values])
        builder.call(builder.inttoptr(blas, kind.as_pointer()), values)
        return context.get_dummy_value()

    return signature, build


@overload(vocabulary.matmul, jit_options={**_OPTIONS, "forceinline": False})
def _(out, a, b, transpose_a, transpose_b, accumulate, blas):
    def by_loops(out, a, b, transpose_a, transpose_b, accumulate, blas):
        inner = a.shape[0] if transpose_a else a.shape[1]
        for r in range(out.shape[0]):
            if not accumulate:
                for c in range(out.shape[1]):
                    out[r, c] = 0
            for i in range(inner):
                left = a[i, r] if transpose_a else a[r, i]
                if transpose_b:
                    for c in range(out.shape[1]):
                        out[r, c] += left * b[c, i]
                else:
                    for c in range(out.shape[1]):
                        out[r, c] += left * b[i, c]

    if out.dtype != types.float32:
        return by_loops

    def by_blas(out, a, b, transpose_a, transpose_b, accumulate, blas):
        m, n = out.shape
        k = a.shape[0] if transpose_a else a.shape[1]
        lda, ldb, ldc = a.strides[0] >> 2, b.strides[0] >> 2, out.strides[0] >> 2
        # a window of one row has any stride; rows that overlap are beyond BLAS
        lda = max(lda, a.shape[1]) if a.shape[0] == 1 else lda
        ldb = max(ldb, b.shape[1]) if b.shape[0] == 1 else ldb
        ldc = max(ldc, n) if m == 1 else ldc
        plain = lda >= max(a.shape[1], 1) and ldb >= max(b.shape[1], 1) and ldc >= max(n, 1)
        if m * n * k < SMALL_PRODUCT or not plain:
            by_loops_compiled(out, a, b, transpose_a, transpose_b, accumulate, blas)
        else:  # row-major c = a b is column-major c' = b' a'
            _sgemm(
                blas, transpose_b, transpose_a, n, m, k, b, ldb, a, lda, np.float32(1.0 if accumulate else 0.0), out, ldc
            )  # fmt: skip

    by_loops_compiled = _loops_for(by_loops)
    return by_blas


def _loops_for(by_loops: Any) -> Any:
    from numba.extending import register_jitable

    return register_jitable(**{**_OPTIONS, "forceinline": False})(by_loops)


def sgemm_address() -> int:
    """Address of a single-threaded sgemm, from SciPy's BLAS."""
    import ctypes

    from scipy.linalg import cython_blas

    _one_thread()
    capsule = cython_blas.__pyx_capi__["sgemm"]
    name = ctypes.pythonapi.PyCapsule_GetName
    name.restype, name.argtypes = ctypes.c_char_p, [ctypes.py_object]
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    return int(pointer(capsule, name(capsule)))


def _one_thread() -> None:
    """Keep SciPy's BLAS from starting threads of its own: the engine's threads already share the processor."""
    try:
        from threadpoolctl import ThreadpoolController
    except ImportError:
        return
    libraries = ThreadpoolController().select(user_api="blas")
    for library in libraries.lib_controllers:
        if "scipy" in (library.filepath or ""):
            library.set_num_threads(1)
