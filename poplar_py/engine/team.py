"""A team of threads that work on one superstep after another, ready within a microsecond.

Supersteps of a large network last some hundred microseconds; waking a sleeping thread takes a good part of that, and
often it wakes on the processor that its caller is using. So members of a team watch for the next job for a while, in a
compiled loop without the interpreter's lock, before they go to sleep.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from . import native

_LINE = 8  # int64 of a cache line: what members write lies apart
_LOOKS = 4000  # at a place that another thread writes, before a thread sleeps: about 100 microseconds
_NAP = 50e-6  # seconds


class _Members:
    """What members of a team share; it knows nothing of the team, so that a team that nobody uses any more can end."""

    def __init__(self, helpers: int):
        self.places = np.zeros(_LINE * (1 + helpers), np.int64)  # the number of the last job posted; done by each
        self.bell = threading.Condition()
        self.job: Callable[[], None] | None = None
        self.ends = False
        self.faults: list[BaseException] = []

    def help(self, member: int) -> None:
        """Do one job after another as `member` until the team ends."""
        number = 0
        while True:
            number += 1
            if not native.watch(self.places, 0, number, _LOOKS):
                with self.bell:
                    while self.places[0] < number:
                        self.bell.wait()
            if self.ends:
                return
            try:
                assert self.job is not None
                self.job()
            except BaseException as fault:
                self.faults.append(fault)
            native.post(self.places, _LINE * member, number)

    def end(self) -> None:
        self.ends = True
        self._post()

    def _post(self) -> int:
        number = int(self.places[0]) + 1
        native.post(self.places, 0, number)
        with self.bell:
            self.bell.notify_all()
        return number

    def do(self, job: Callable[[], None], helpers: int) -> None:
        self.job = job
        number = self._post()
        try:
            job()
        finally:
            for member in range(1, helpers + 1):
                while not native.watch(self.places, _LINE * member, number, _LOOKS):
                    time.sleep(_NAP)
            self.job = None
        if self.faults:
            faults, self.faults = self.faults, []
            raise faults[0]


class Team:
    """Calls a job on `threads` threads at once, the caller's among them; the others start with the first job."""

    def __init__(self, threads: int):
        self._helpers = threads - 1
        self._members = _Members(self._helpers)
        self._started = False

    def do(self, job: Callable[[], None]) -> None:
        """Run `job` on every thread; return when all are done. What one of them raises is raised here."""
        if not self._started:
            self._start()
        self._members.do(job, self._helpers)

    def _start(self) -> None:
        self._started = True
        for k in range(1, self._helpers + 1):
            threading.Thread(target=self._members.help, args=(k,), name=f"poplar_py_{k}", daemon=True).start()
        weakref.finalize(self, self._members.end)


class Turns:
    """An iterator over `things` that several threads draw from."""

    def __init__(self, things: list):
        self._next = iter(things).__next__

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        return self._next()  # one step of a list's iterator is never interrupted
