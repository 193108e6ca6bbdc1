"""Repeats: parts that occur several times in a row are drawn once, with how often they occur."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Sequence

_DIGITS = re.compile(r"\d+")
MOST_PERIOD = 12


def plain(name: str) -> str:
    """A name without its numbers, which are what repeats differ by."""
    return _DIGITS.sub("#", name)


def blocks_of(names: Iterable[str]) -> dict[str, str]:
    """For each path the block it belongs to: up to its first part that is a number (`conv4/more/0`), two parts where
    others of its layer are numbered (`conv4/first`), else its layer; one part more where all would be in one block."""
    names = list(names)
    numbered = {n.split("/")[0] for n in names if any(part.isdigit() for part in n.split("/")[:-1])}
    found = {}
    for name in names:
        parts = name.split("/")
        number = next((i + 1 for i, part in enumerate(parts[:-1]) if part.isdigit()), 2 if parts[0] in numbered else 1)
        found[name] = "/".join(parts[: min(number, max(len(parts) - 1, 1))])
    if len(set(found.values())) == 1:
        found = {name: "/".join(name.split("/")[: block.count("/") + 2]) for name, block in found.items()}
    return found


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
