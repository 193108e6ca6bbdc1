"""Pieces of work as tables that a compiled loop goes through, so that threads never wait for the interpreter's lock.

A piece is a few calls of compiled loops with columns. Threads draw piece after piece. A piece that lies on a desk waits
until the piece before it on that desk is done.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from . import native
from .team import Team

Call = tuple[Callable[..., None], int, int, tuple]  # fn(first, last, *arguments): the function, its rows, its arguments


class Pieces:
    """`work`, one list of calls for each piece, with as many desks as say which pieces may be under way together.

    Calling it does all pieces, on the threads of `team` (None: on the caller's).
    """

    def __init__(self, work: list[list[Call]], desks: int, team: Team | None):
        self._team = team if len(work) > 1 else None
        self._calls = [call for piece in work for call in piece]  # keeps what the tables point to
        self._pieces = len(work)
        desks = max(desks, 1)
        self._state = np.zeros(native.APART * (1 + desks), np.int64)
        first = np.cumsum([0, *(len(piece) for piece in work)])
        tables = self._tabulate()
        self._fits = tables is not None
        if tables is not None:
            self._tables = self._state, first, *tables, desks
            self._conduct, _ = _entry(native.conduct)
            self._conducted = np.array([w for a in self._tables for w in _words(a)])

    def _tabulate(self) -> tuple[np.ndarray, np.ndarray] | None:
        """The calls as rows (address, row of words, words that lead, first, last), and the rows of words; None where a call
        has more arguments than a row holds."""
        rows: dict[tuple[int, int], int] = {}
        words: list[list[int]] = []
        entry: list[tuple[int, int]] = []
        table = np.empty((len(self._calls), 5), np.int64)
        for k, (function, first, last, arguments) in enumerate(self._calls):
            key = id(function), id(arguments)
            if key not in rows:
                address, leading = _entry(function)
                rows[key] = len(words)
                words.append([*leading, *(w for a in arguments for w in _words(a))])
                entry.append((address, len(leading)))
            row = rows[key]
            table[k] = entry[row][0], row, entry[row][1], first, last
        if any(len(row) > native.WORDS for row in words):
            return None
        held = np.zeros((len(words), native.WORDS), np.int64)
        for k, given in enumerate(words):
            held[k, : len(given)] = given
        return table, held

    def __call__(self) -> None:
        if not self._fits:
            for function, first, last, arguments in self._calls:
                function(first, last, *arguments)
            return
        team = self._team
        if team is None:
            self._state[:] = 0
            native.conduct(0, self._pieces, *self._tables)
        else:
            team.settle()  # one whose caller was interrupted may still be at it
            self._state[:] = 0
            try:
                team.do(self._conduct, 0, self._pieces, self._conducted)
                native.conduct(0, self._pieces, *self._tables)
            finally:
                team.settle()
        if self._state[1]:  # a call raised: again, through numba's own door, which raises it here
            function, first, last, arguments = self._calls[int(self._state[1]) - 1]
            function(first, last, *arguments)


def _entry(function: Any) -> tuple[int, tuple[int, ...]]:
    """Address of the machine code of a function that numba compiled for one signature, and arguments bound before."""
    leading: tuple[int, ...] = ()
    if isinstance(function, partial):
        leading, function = function.args, function.func
    (compiled,) = function.overloads.values()
    return compiled.library.get_pointer_to_function(compiled.fndesc.llvm_func_name), leading


def _words(argument: Any) -> tuple[int, ...]:
    """An argument as numba's functions take it. An array: owner and parent (none), count, bytes of an element, place,
    then lengths and strides in bytes."""
    if isinstance(argument, int):
        return (argument,)
    return 0, 0, argument.size, argument.itemsize, argument.ctypes.data, *argument.shape, *argument.strides
