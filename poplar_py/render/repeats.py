"""Repeats: parts that occur several times in a row are drawn once, with how often they occur."""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence

_DIGITS = re.compile(r"\d+")
MOST_PERIOD = 12


def plain(name: str) -> str:
    """A name without its numbers, which are what repeats differ by."""
    return _DIGITS.sub("#", name)


def runs(signs: Sequence[Hashable], most_period: int = MOST_PERIOD) -> list[tuple[int, int, int]]:
    """The sequence as runs (start, period, times): `signs[start : start + period]` stands there `times` times in a row.

    From left to right, at each place the run that covers most, of those the one of the shortest period.
    """
    found, at, n = [], 0, len(signs)
    while at < n:
        best = (1, 1)
        for period in range(1, min(most_period, (n - at) // 2) + 1):
            times = 1
            first = signs[at : at + period]
            while signs[at + times * period : at + (times + 1) * period] == first:
                times += 1
            if times > 1 and period * times > best[0] * best[1]:
                best = (period, times)
        found.append((at, *best))
        at += best[0] * best[1]
    return found
