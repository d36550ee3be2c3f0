"""How much a thread may compute.

Owns that asking costs little: CPU time never passes faster than time, which takes a tenth as long
to read. So the CPU time is only read once so much time has passed.
"""

import time
from collections.abc import Callable
from typing import NamedTuple


class WorkClock(NamedTuple):
    """``work`` counts the seconds that the thread computed, ``wall`` those that have passed."""

    work: Callable[[], float]
    wall: Callable[[], float]


THREAD_CLOCK = WorkClock(time.thread_time, time.monotonic)
"""That of whichever thread asks."""


class WorkLimit:
    """So many seconds of work from now on, of the thread that asks."""

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
