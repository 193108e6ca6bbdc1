"""How the places of a convolution meet along one field axis.

A convolution's transforms (truncation, dilation, padding and flips of input and weights; truncation, stride and padding
of the output) are all affine, so together they are one equation. Input place i, output place f and tap k meet where

    x_step * i  =  y_step * f  +  tap_step * k  +  offset

with i, f and k inside the ranges that truncation and padding leave. The gradient of the input is the same equation with
input and output exchanged, and that of the weights sums over the same meetings; so no pass ever pads, dilates or flips
anything: it only asks which places meet.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class Reach:
    """The meetings of one axis: sizes as stored, ranges [begin, end) that take part, and the equation."""

    size: int  # of the input
    windows: int  # of the output
    taps: int  # of the weights
    x_step: int = 1
    y_step: int = 1
    tap_step: int = 1
    offset: int = 0
    x_range: tuple[int, int] | None = None
    y_range: tuple[int, int] | None = None
    tap_range: tuple[int, int] | None = None

    @property
    def x_used(self) -> tuple[int, int]:
        """Input places that are not truncated."""
        return self.x_range or (0, self.size)

    @property
    def y_used(self) -> tuple[int, int]:
        """Output places that are not padding."""
        return self.y_range or (0, self.windows)

    @property
    def taps_used(self) -> tuple[int, int]:
        """Taps that are not truncated."""
        return self.tap_range or (0, self.taps)

    @property
    def swapped(self) -> Reach:
        """The same meetings seen from the input: what its gradient reads of the output's gradient."""
        return Reach(
            self.windows, self.size, self.taps, self.y_step, self.x_step, -self.tap_step, -self.offset,
            self.y_range, self.x_range, self.tap_range,
        )  # fmt: skip

    @property
    def mirrored(self) -> Reach:
        """The same meetings with the taps numbered from the last to the first."""
        low, high = self.taps_used
        return replace(
            self, tap_step=-self.tap_step, offset=self.offset + self.tap_step * (self.taps - 1),
            tap_range=(self.taps - high, self.taps - low),
        )  # fmt: skip

    def some(self, begin: int, end: int) -> Reach:
        """The meetings at taps [begin, end), numbered from 0."""
        if (begin, end) == (0, self.taps):
            return self
        low, high = (min(max(limit, begin), end) - begin for limit in self.taps_used)
        return replace(
            self, taps=end - begin, offset=self.offset + self.tap_step * begin, tap_range=(low, max(low, high))
        )

    def meetings(self, tap: int) -> tuple[np.ndarray, np.ndarray]:
        """All (input place, output place) that meet at a tap, by ascending output place."""
        low, high = self.taps_used
        f = np.arange(*self.y_used) if low <= tap < high else np.zeros(0, np.int64)
        i, rest = np.divmod(self.y_step * f + self.tap_step * tap + self.offset, self.x_step)
        first, stop = self.x_used
        good = (rest == 0) & (i >= first) & (i < stop)
        return i[good], f[good]

    @cached_property
    def span(self) -> tuple[np.ndarray, np.ndarray]:
        """For every output place the lowest and one past the highest input place it meets (equal: none), int64."""
        low = np.full(self.windows, self.size, np.int64)
        high = np.zeros(self.windows, np.int64)
        for tap in range(*self.taps_used):
            i, f = self.meetings(tap)
            low[f] = np.minimum(low[f], i)
            high[f] = np.maximum(high[f], i + 1)
        return np.minimum(low, high), high

    def seen(self, begin: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Input places that output places [begin, end) meet, as one range each: (first, stop)."""
        low, high = self.span
        empty = low >= high
        low, high = np.where(empty, self.size, low), np.where(empty, 0, high)
        first = np.array([low[b:e].min(initial=self.size) for b, e in zip(begin, end, strict=True)], np.int64)
        stop = np.array([high[b:e].max(initial=0) for b, e in zip(begin, end, strict=True)], np.int64)
        return np.minimum(first, stop), stop

    @cached_property
    def count(self) -> int:
        """How many (tap, output place) pairs meet an input place."""
        return sum(len(self.meetings(tap)[0]) for tap in range(*self.taps_used))
