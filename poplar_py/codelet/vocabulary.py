"""What tile code can call: the plain-Python meaning of every function, shared by both engines.

Elementary functions of floats are calculated in float64 and rounded once to float32 by the caller: `exp`, `log`,
`tanh` and their kin here by our own series (so they have the same bits everywhere and their loops vectorise), the
others, `erf` among them, by the C library through `math`. Errors of the C library are its values: log(-1) is NaN,
pow(0, -1) infinite; nothing raises.

Whole numbers: x // 0 = x % 0 = 0, quotients and remainders have the sign rules of Python, results wrap at their
width (the caller casts). A shift by the width or more, or by a negative count, moves every bit out.

Compiled code gets the same functions from native.py, which says the same with machine instructions.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

LOG2E = 1.4426950408889634
LN2 = 0.6931471805599453
LOG10E = 0.4342944819032518
_ROUND = 6755399441055744.0  # 1.5 * 2**52: adding and taking it away rounds a float64 to a whole number

# --- float64 and its bits; native.py has them as integer instructions ---


def double(x: Any) -> float:
    """x as a float64 (for compiled code, `float` leaves a float32 as it is)."""
    return float(x)


def power_of_two(k: float) -> float:
    """2 ** k for a whole k that leaves a normal float64."""
    return math.ldexp(1.0, int(k))


def mantissa(x: float) -> float:
    """The m of x = m 2**e with 0.5 <= m < 1, for positive normal x."""
    return math.frexp(x)[0]


def exponent(x: float) -> float:
    """The e of x = m 2**e with 0.5 <= m < 1, for positive normal x."""
    return float(math.frexp(x)[1])


# --- elementary functions: compiled as they stand ---


def exp(x: Any) -> float:
    """e ** x: x = k ln 2 + r, series in r of relative error below 1e-11."""
    x = double(x)
    y = x if x > -700.0 else -700.0  # beyond these even float64 nears its limits
    y = y if y < 700.0 else 700.0
    k = (y * LOG2E + _ROUND) - _ROUND
    r = y - k * LN2
    p = 2.48015873015873e-05 + r * 2.7557319223985893e-06
    p = 0.0001984126984126984 + r * p
    p = 0.001388888888888889 + r * p
    p = 0.008333333333333333 + r * p
    p = 0.041666666666666664 + r * p
    p = 0.16666666666666666 + r * p
    p = 0.5 + r * p
    p = 1.0 + r * (1.0 + r * p)
    return p * power_of_two(k) if x == x else x


def exp2(x: Any) -> float:
    """2 ** x."""
    x = double(x)
    y = x if x > -1000.0 else -1000.0
    y = y if y < 1000.0 else 1000.0
    k = (y + _ROUND) - _ROUND
    return exp((y - k) * LN2) * power_of_two(k) if x == x else x


def log(x: Any) -> float:
    """Natural logarithm: x = 2**e m with m near 1, series in (m - 1) / (m + 1)."""
    x = double(x)
    y = x if (x > 0.0) & (x < math.inf) else 1.0
    m = mantissa(y)
    e = exponent(y)
    low = m < 0.7071067811865476
    m = m + m if low else m
    e = e - 1.0 if low else e
    s = (m - 1.0) / (m + 1.0)
    z = s * s
    p = 0.07692307692307693 + z * 0.06666666666666667
    p = 0.09090909090909091 + z * p
    p = 0.1111111111111111 + z * p
    p = 0.14285714285714285 + z * p
    p = 0.2 + z * p
    p = 0.3333333333333333 + z * p
    value = e * LN2 + (s + s) * (1.0 + z * p)
    value = value if x > 0.0 else -math.inf
    value = value if x >= 0.0 else math.nan
    return value if x != math.inf else x


def log2(x: Any) -> float:
    """Logarithm to base 2; exact at powers of two."""
    x = double(x)
    usual = (x > 0.0) & (x < math.inf)
    y = x if usual else 1.0
    e = exponent(y) - 1.0
    return e + log(y / power_of_two(e)) * LOG2E if usual else log(x)


def log10(x: Any) -> float:
    """Logarithm to base 10."""
    return log(x) * LOG10E


def tanh(x: Any) -> float:
    """Hyperbolic tangent."""
    x = double(x)
    a = abs(x)
    z = x * x
    p = 0.021869488536155203 - z * 0.008863235529902197
    p = -0.05396825396825397 + z * p
    p = 0.13333333333333333 + z * p
    p = -0.3333333333333333 + z * p
    small = x + x * (z * p)
    t = exp(-2.0 * a)
    large = (1.0 - t) / (1.0 + t)
    large = -large if x < 0.0 else large
    return small if a < 0.1 else large


def sigmoid(x: Any) -> float:
    """1 / (1 + exp(-x))."""
    return 1.0 / (1.0 + exp(-double(x)))


def rsqrt(x: Any) -> float:
    """1 / sqrt(x)."""
    x = double(x)
    if x == 0.0:
        return math.copysign(math.inf, x)
    return 1.0 / math.sqrt(x) if x > 0.0 else math.nan


SERIES = (exp, exp2, log, log2, log10, tanh, sigmoid, rsqrt)


# --- the C library's ---


def _as_in_c(name: str, numpy_name: str, count: int) -> Callable[..., float]:
    function, unusual = getattr(math, name), getattr(np, numpy_name)

    def call(*arguments: Any) -> float:
        plain = [float(a) for a in arguments]
        try:
            return function(*plain)
        except (ValueError, OverflowError):  # math raises where C gives NaN or infinity
            with np.errstate(all="ignore"):
                return float(unusual(*(np.float64(a) for a in plain)))

    call.__name__ = call.__qualname__ = name
    call.arity = count  # type: ignore[attr-defined]
    return call


def erf(x: Any) -> float:
    """The error function."""
    return math.erf(float(x))


sin, cos, tan = (_as_in_c(n, n, 1) for n in ("sin", "cos", "tan"))
asin, acos, atan = (_as_in_c(n, "arc" + n[1:], 1) for n in ("asin", "acos", "atan"))
sinh, cosh = (_as_in_c(n, n, 1) for n in ("sinh", "cosh"))
expm1, log1p = (_as_in_c(n, n, 1) for n in ("expm1", "log1p"))
atan2, hypot = _as_in_c("atan2", "arctan2", 2), _as_in_c("hypot", "hypot", 2)
power, fmod = _as_in_c("pow", "power", 2), _as_in_c("fmod", "fmod", 2)
LIBRARY = (sin, cos, tan, asin, acos, atan, sinh, cosh, expm1, log1p, erf, atan2, hypot, power, fmod)


def floor(x: Any) -> Any:
    return np.floor(x)


def ceil(x: Any) -> Any:
    return np.ceil(x)


def trunc(x: Any) -> Any:
    return np.trunc(x)


def rint(x: Any) -> Any:
    """Nearest whole number, halves to even."""
    return np.rint(x)


def sqrt(x: Any) -> Any:
    return np.sqrt(x)


def to_half(x: Any) -> Any:
    """A float32 rounded to half and back."""
    return np.float32(np.float16(x))


ROUNDINGS = (floor, ceil, trunc, rint, sqrt)


# --- compiled as they stand: choices, whole numbers, random numbers ---


def square(x: Any) -> Any:
    return x * x


def is_nan(x: Any) -> Any:
    return x != x


def is_finite(x: Any) -> Any:
    return x - x == 0


def is_inf(x: Any) -> Any:
    return (x == x) & (x - x != 0)


def absolute(x: Any) -> Any:
    """|x| of a signed whole number."""
    return 0 - x if x < 0 else x


def larger(a: Any, b: Any) -> Any:
    """Python's max(a, b): b where b > a, else a (a NaN in the first place stays)."""
    return b if b > a else a


def smaller(a: Any, b: Any) -> Any:
    return b if b < a else a


def between(x: Any, low: float, high: float) -> float:
    """A float on its way to a whole number: saturated, NaN as 0."""
    x = double(x)
    x = x if x == x else 0.0
    x = x if x > low else low
    return x if x < high else high


def float_modulo(a: Any, b: Any) -> float:
    """a % b of floats with Python's sign rule."""
    b = double(b)
    r = fmod(a, b)
    return r + b if (r != 0.0) & ((r < 0.0) != (b < 0.0)) else r


def floor_div(a: Any, b: Any) -> Any:
    if b == 0:
        return b
    return 0 - a if b == -1 else a // b


def floor_mod(a: Any, b: Any) -> Any:
    return a ^ a if (b == 0) | (b == -1) else a % b


def quotient(a: Any, b: Any) -> Any:
    """a / b rounded towards zero."""
    if b == 0:
        return b
    if b == -1:
        return 0 - a
    q = a // b
    return q + 1 if (q * b != a) & ((a < 0) != (b < 0)) else q


def remainder(a: Any, b: Any) -> Any:
    """a - quotient * b: the sign of a."""
    if (b == 0) | (b == -1):
        return a ^ a
    r = a % b
    return r - b if (r != 0) & ((a < 0) != (b < 0)) else r


def unsigned_div(a: Any, b: Any) -> Any:
    return b if b == 0 else a // b


def unsigned_mod(a: Any, b: Any) -> Any:
    return b if b == 0 else a % b


def shift_left(x: Any, s: Any) -> Any:
    return x ^ x if (s < 0) | (s >= 64) else x << s


def shift_right(x: Any, s: Any) -> Any:
    """Arithmetic shift of a signed number."""
    if (s < 0) | (s >= 64):
        return x >> 63
    return x >> s


def shift_right_unsigned(x: Any, s: Any) -> Any:
    return x ^ x if s >= 64 else x >> s


def int_power(x: Any, n: Any, one: Any) -> Any:
    """x ** n by squaring; a negative n gives 1 / x without its fraction."""
    if n < 0:
        if x == one:
            return one
        if x == -1:
            return x if n & 1 else one
        return one ^ one
    result = one
    base = x
    while n > 0:
        if n & 1:
            result = result * base
        base = base * base
        n = n >> 1
    return result


WHOLE = (
    square, is_nan, is_finite, is_inf, absolute, larger, smaller, between, float_modulo, floor_div, floor_mod, quotient, remainder, unsigned_div, unsigned_mod,
    shift_left, shift_right, shift_right_unsigned, int_power,
)  # fmt: skip


def random_bits(seed0: Any, seed1: Any, counter: Any, index: Any) -> Any:
    """32 random bits as uint32: a function of its arguments and of nothing else.

    Philox with 4 words and 10 rounds (Salmon et al., SC11) in counter mode: (seed0, seed1) is the key, (index, counter)
    the counter. seed0, seed1, counter are taken as 32 bits, index as 64.
    """
    low = np.uint64(0xFFFFFFFF)
    half = np.uint64(32)
    c0 = np.uint64(index) & low
    c1 = np.uint64(index) >> half
    c2 = np.uint64(counter)
    c3 = np.uint64(0)
    k0 = np.uint64(seed0)
    k1 = np.uint64(seed1)
    for _ in range(10):
        p0 = c0 * np.uint64(0xD2511F53)
        p1 = c2 * np.uint64(0xCD9E8D57)
        c0 = (p1 >> half) ^ c1 ^ k0
        c1 = p1 & low
        c2 = (p0 >> half) ^ c3 ^ k1
        c3 = p0 & low
        k0 = (k0 + np.uint64(0x9E3779B9)) & low
        k1 = (k1 + np.uint64(0xBB67AE85)) & low
    return np.uint32(c0)


def random_uniform(seed0: Any, seed1: Any, counter: Any, index: Any) -> Any:
    """A float32 in [0, 1), a multiple of 2**-24; see `random_bits`."""
    return np.float32(random_bits(seed0, seed1, counter, index) >> np.uint32(8)) * np.float32(5.9604644775390625e-08)


RANDOM = (random_bits, random_uniform)


def multiply_accumulate(
    out: Any, a: Any, b: Any, transpose_a: bool = False, transpose_b: bool = False, accumulate: bool = True
) -> None:
    """out += a . b (out = a . b where not `accumulate`) for MATRIX windows of one element type.

    a is (m, k), or (k, m) where `transpose_a`; b is (k, n), or (n, k) where `transpose_b`. The order of the sums of
    floats is the matrix library's, so engines agree in value and not bit for bit.
    """
    product = (a.T if transpose_a else a) @ (b.T if transpose_b else b)
    if accumulate:
        out += product
    else:
        out[...] = product


def matmul(out: Any, a: Any, b: Any, transpose_a: Any, transpose_b: Any, accumulate: Any, blas: int) -> None:
    """`multiply_accumulate` as rewritten tile code calls it; `blas` is for compiled code."""
    multiply_accumulate(out, a, b, transpose_a, transpose_b, accumulate)
