"""Compiled loops of the engine: moving bytes."""

from __future__ import annotations

from numba import njit, types

_COLUMN = types.Array(types.int64, 1, "A", readonly=True)


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
        s, d, n = src[i], dst[i], size[i]
        if (s | d | n) & 3 == 0:
            s >>= 2
            d >>= 2
            if n == 4:
                words[d] = words[s]
            else:
                for k in range(n >> 2):
                    words[d + k] = words[s + k]
        else:
            for k in range(n):
                mem[d + k] = mem[s + k]


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
