"""How much a thread may compute.

A thread's CPU time never passes faster than wall time, which takes a tenth as long to read. So CPU
time is read only once that much wall time has passed.
"""

import time
from collections.abc import Callable
from typing import NamedTuple


class WorkClock(NamedTuple):
    """``work`` counts the seconds that the thread computed, ``wall`` those that have passed."""

    work: Callable[[], float]
    wall: Callable[[], float]


THREAD_CLOCK = WorkClock(time.thread_time, time.monotonic)
"""The times of the calling thread."""


class WorkLimit:
    """Allows the calling thread this many seconds of work."""

    def __init__(self, seconds: float, clock: WorkClock) -> None:
        self._clock = clock
        self._ends_at = clock.work() + seconds
        self._look_at = clock.wall() + seconds

    def is_over(self) -> bool:
        """Whether the thread has worked for longer."""
        now = self._clock.wall()
        if now < self._look_at:
            return False
        left = self._ends_at - self._clock.work()
        self._look_at = now + left
        return left < 0

    def charge(self, seconds: float) -> None:
        """Count what another thread computed for this one."""
        self._ends_at -= seconds
        self._look_at -= seconds
