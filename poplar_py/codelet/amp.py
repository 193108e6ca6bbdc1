"""What the product units of a tile cost, in the words that cycle functions use: numbers and int64 columns alike.

Cost: the AMP 1x1 vertex of PopLibs (poplin performance estimation, MIT) plus the call cost measured on hardware. With
U units and c channels a unit (16 half or 8 float), b is loaded in panels of c x U and every worker streams its rows of
a past it: k is padded to c and n to U. The formula reproduces measured products to 4 %; where a table entry of the
original falls by a few slots as rows grow, the larger of the two is taken.
Sources: poplin's performance estimation and cycle estimators (PopLibs, MIT), by sections 3.4 to 3.7 of the hardware notes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..dtypes import DType
from ..target import Target


def macs_per_cycle(target: Target, kind: DType) -> float:
    """Products the product units of a tile sum in a cycle at most: a row of half takes 4 cycles, one of float 8."""
    if kind.size <= 2:
        return target.conv_units_half * target.weights_per_unit_half / 4
    return target.conv_units_float * target.weights_per_unit_float / 8


def larger(a: Any, b: Any) -> Any:
    """The larger of two numbers, or of two columns entry by entry."""
    return a + (b - a) * (b > a)


def half_slots(m: Any, at_two: Any) -> Any:
    """Slots of a worker that streams m rows past one panel of half weights; `at_two` those of two rows."""
    return 20 * (m == 0) + 31 * (m == 1) + (m >= 2) * larger(at_two, 36 + 4 * (m - 3))


def float_slots(m: Any, at_two: Any) -> Any:
    """The same for a panel of float weights, where one to three rows cost alike."""
    return 20 * (m == 0) + (m >= 1) * larger(46, 46 + 8 * (m - 3))


def panel(target: Target, most: Any, least: Any, slots: Callable, first: Callable) -> Any:
    """Tile cycles of one panel, the workers having between `least` and `most` rows; `first`: also clears the sums.

    In the original table two rows cost 40 slots and three cost 36: the slowest worker is taken to need 40 in both
    cases, the quickest 36, which keeps the cost from falling as rows are added.
    """
    slowest = slots(most, 40) + first(most)
    quickest = slots(least, 36) + first(least)
    return larger(target.num_workers * slowest, target.num_workers * quickest + 14)


def amp_product(target: Target, m: Any, k: Any, n: Any, in_type: DType, out_type: DType) -> Any:
    """Tile cycles of an (m, k) x (k, n) block."""
    workers = target.num_workers
    half = in_type.size <= 2
    units = target.conv_units_half if half else target.conv_units_float
    channels = target.weights_per_unit_half if half else target.weights_per_unit_float
    load = units * channels * in_type.size // target.weight_load_bytes_per_cycle
    inner, outer = -(-k // channels), -(-n // 16)
    passes = -(-16 // units)
    most, least = -(-m // workers), m // workers
    if half:
        retained = workers * (7 + 3 * (inner - 1))
        later = panel(target, most, least, half_slots, lambda m: 2 - 7)
        first = panel(target, most, least, half_slots, lambda m: 1 - 7)
    else:
        retained = 0
        clear = 8 if units == 16 else 4
        later = panel(target, most, least, float_slots, lambda m: 0)
        first = panel(target, most, least, float_slots, lambda m: 2 + clear * m)
    one_outer = 18 + passes * (7 + load + first)
    all_later = (inner - 1) * (15 + outer * (19 + passes * (6 + load + later)))
    return 50 + retained + 13 + all_later + 11 + outer * one_outer + target.vertex_call_cycles


def amp_convolution(
    target: Target, places: Any, lines: Any, taps: Any, k: Any, n: Any, groups: Any, in_type: DType, out_type: DType
) -> Any:
    """Tile cycles of `groups` convolutions of `places` output places, in `lines` rows of them, with k channels in and n out:
    the AMP nx1 vertex, or the 1x1 vertex where there is one tap."""
    workers = target.num_workers
    half = in_type.size <= 2
    units = target.conv_units_half if half else target.conv_units_float
    channels = target.weights_per_unit_half if half else target.weights_per_unit_float
    load = units * channels * in_type.size // target.weight_load_bytes_per_cycle
    inner, outer, passes = -(-k // channels), -(-n // 16), -(-16 // units)
    one = groups * amp_product(target, places, k, n, in_type, out_type)

    def work(m: Any, items: Any) -> Any:
        """Slots of a worker with `items` runs of m places in all. The original's 17, 29, 33, 34 + 4 (m - 3) slots of a run
        (float: 17, 33, 44, 45 + 8 (m - 3)), less 6, are taken as a line through those of three places and more, which
        keeps the cost from falling as places are added."""
        return 17 + items * (15 if half else 14) + m * (4 if half else 8)

    most, items = -(-places // workers), -(-lines // workers)
    inside = taps * (14 + 12 + passes * (load + 15 + 3)) + taps * passes * workers * work(most, items)
    zero = workers * groups * (-(-(-(-places // workers) * n) // target.vector_width(out_type.size)) + 5)
    several = zero + 109 + 9 * workers + (10 if half else 9) * workers
    several = several + groups * (17 * outer + 6 * (outer - 1) + 1) + 6 * (groups - 1) + 1
    several = several + groups * (16 + inner * (14 + outer * (14 + inside))) + target.vertex_call_cycles
    return np.where(np.asarray(taps) == 1, one, several)[()]


def amp_row(target: Target, places: Any, taps: Any, k: Any, n: Any, in_type: DType) -> Any:
    """Worker slots of one worker that convolves a row of `places` by itself, k channels in and n out: the work items of
    the AMP nx1 vertex, with the weights of every pass loaded by the worker."""
    half = in_type.size <= 2
    units = target.conv_units_half if half else target.conv_units_float
    channels = target.weights_per_unit_half if half else target.weights_per_unit_float
    load = units * channels * in_type.size // target.weight_load_bytes_per_cycle
    each = np.maximum(places, 1)
    if half:
        slots = np.where(each == 1, 17, np.where(each == 2, 29, np.where(each == 3, 33, 34 + 4 * (each - 3))))
    else:
        slots = np.where(each == 1, 17, np.where(each == 2, 33, np.where(each == 3, 44, 45 + 8 * (each - 3))))
    return (17 + taps * -(-k // channels) * -(-n // units) * (3 + load + slots))[()]


def horizontal_mac(
    target: Target, places: Any, lines: Any, taps: Any, k: Any, n: Any, groups: Any, in_type: DType, out_type: DType
) -> Any:
    """Tile cycles of the same by dot products over the channels in: the horizontal MAC vertex, for few channels."""
    workers = target.num_workers
    half = in_type.size <= 2
    dot = 7 + -(-k // target.vector_width(in_type.size)) * (1 if half else 2)
    most, items = -(-places // workers), -(-lines // workers)
    rows = taps * (16 + items * 19 + most * (7 + n * dot))
    return (65 if half else 58) + groups * (23 + 15 + 10 + workers * (16 + rows)) + target.vertex_call_cycles


def slic(
    target: Target, places: Any, lines: Any, taps: Any, channels: Any, each: Any, blocks: Any, in_type: DType
) -> Any:
    """Tile cycles of convolutions of `each` (1, 2 or 4) channels a group, `channels` side by side in each of `blocks`
    blocks: the SLIC 1x4 vertex, its window four taps wide; other groups cost as if their channels were padded to 4."""
    workers = target.num_workers
    passes = -(-channels // 16) * (1 if in_type.size <= 2 else 2)
    windows = -(-taps // 4)
    load = np.where(each == 1, 97, np.where(each == 2, 109, 34))
    most, items = -(-places // workers), -(-lines // workers)
    work = 18 + items * (13 + 15 * passes) + most * passes
    blocks = blocks * -(-each // 4)
    return (28 + 21 * blocks + windows * (load + 26) + blocks * windows * workers * work + target.vertex_call_cycles)[
        ()
    ]


def vertical_mac(
    target: Target,
    places: Any,
    lines: Any,
    taps: Any,
    channels: Any,
    each: Any,
    blocks: Any,
    in_type: DType,
    out_type: DType,
) -> Any:
    """Tile cycles of convolutions of few channels a group, `channels` of them side by side in each of `blocks` blocks and
    `each` products for a channel: the vertical MAC vertex."""
    workers = target.num_workers
    most, items = -(-places // workers), -(-lines // workers)
    wide = -(-channels // (2 * target.vector_width(in_type.size))) * each
    work = 25 + taps * (items * 22 + wide * 3 * most)
    gather = 10 + 7 * -(-places * channels // (workers * target.vector_width(out_type.size)))
    return 101 + blocks * (4 + 32 + 24 + workers * work + gather) + target.vertex_call_cycles


WORDS = {f.__name__: f for f in (amp_product, amp_convolution, amp_row, horizontal_mac, slic, vertical_mac)}
