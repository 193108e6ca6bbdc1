"""A team of threads that work on one superstep after another, ready within a microsecond.

Supersteps of a large network last some hundred microseconds; waking a sleeping thread takes a good part of that, often it
wakes on the processor that its caller is using, and then it waits for the interpreter's lock. So members of a team
watch for the next job in a compiled loop, for a while, before they go to sleep, and do it there.
"""

from __future__ import annotations

import threading
import time
import weakref

import numpy as np

from . import native

_LOOKS = 4000  # at a place that another thread writes, before a thread sleeps: about 100 microseconds
_NAP = 50e-6  # seconds


class _Members:
    """What members of a team share; it knows nothing of the team, so that a team that nobody uses any more can end."""

    def __init__(self, helpers: int):
        self.places = np.zeros(native.APART * (1 + helpers), np.int64)  # number of the last job posted; done by each
        self.job = np.zeros(3, np.int64)
        self.words = np.zeros((1, native.WORDS), np.int64)
        self.bell = threading.Condition()
        self.asleep = 0

    def help(self, member: int) -> None:
        """Do one job after another as `member` until the team ends."""
        number = 1
        while (number := native.serve(self.places, member, number, _LOOKS, self.job, self.words)) > 0:
            with self.bell:
                self.asleep += 1
                while self.places[0] < number:
                    self.bell.wait()
                self.asleep -= 1

    def post(self) -> None:
        """What `job` says is the next job."""
        native.post(self.places, 0, int(self.places[0]) + 1)
        if self.asleep:  # whoever is about to sleep holds the interpreter's lock until it says so
            with self.bell:
                self.bell.notify_all()

    def end(self) -> None:
        self.job[0] = 0
        self.post()


class Team:
    """Has a compiled function called on `threads` threads at once, the caller's among them; the others start with the
    first job."""

    def __init__(self, threads: int):
        self._helpers = threads - 1
        self._members = _Members(self._helpers)
        self._started = False

    def do(self, address: int, first: int, last: int, words: np.ndarray) -> None:
        """Call the function at `address` with (first, last, *words) on the helpers' threads, without waiting for them. They
        must have settled."""
        if not self._started:
            self._start()
        members = self._members
        members.job[:] = address, first, last
        members.words[0, : len(words)] = words
        members.post()

    def settle(self) -> None:
        """Wait until every helper has done what it was given."""
        places = self._members.places
        for member in range(1, self._helpers + 1):
            while not native.watch(places, native.APART * member, int(places[0]), _LOOKS):
                time.sleep(_NAP)

    def _start(self) -> None:
        self._started = True
        for k in range(1, self._helpers + 1):
            threading.Thread(target=self._members.help, args=(k,), name=f"poplar_py_{k}", daemon=True).start()
        weakref.finalize(self, self._members.end)
