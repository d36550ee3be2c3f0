"""Workers that do something: how many, and whether one of them is back soon.

With one interpreter, a second worker that is awake for what the first would do next costs more than
the wait: both want the interpreter's lock all the time. Plain data: ``schedule`` guards it.
"""

import threading

QUICK_SECONDS = 0.003
"""Anything that takes no longer counts as quick."""
BACK_SECONDS = 0.006
"""How long a job waits for a worker that does something quick."""
WEIGHT = 1 / 8
"""Weight of the latest absence in the moving average of how long workers are away."""
QUICK_DISK_SECONDS = 0.001
"""Waking another worker costs more than waiting this long for the disk."""
LONGER = 1.02
SHORTER = LONGER**-3
"""Each wait for the disk multiplies the estimate by one of these: a quarter of them are shorter."""


class BusyWorkers:
    """Times are seconds of the caller's clock; the calling thread is the worker."""

    def __init__(self) -> None:
        self._gone_at: dict[int, float] = {}
        self._away_seconds = 0.0
        self._disk_seconds = QUICK_DISK_SECONDS

    def go(self, now: float) -> None:
        """The caller begins something."""
        self._gone_at[threading.get_ident()] = now

    def come_back(self, now: float) -> None:
        """The caller has nothing to do, or only waits for a disk."""
        gone_at = self._gone_at.pop(threading.get_ident(), None)
        if gone_at is not None:
            self._away_seconds += (now - gone_at - self._away_seconds) * WEIGHT

    @property
    def are_slow(self) -> bool:
        """Whether workers usually take long to come back."""
        return self._away_seconds >= QUICK_SECONDS

    def note_disk_wait(self, seconds: float) -> None:
        """The disk took this long at most: the interpreter may have been busy at the end."""
        self._disk_seconds *= SHORTER if seconds < self._disk_seconds else LONGER

    @property
    def is_disk_slow(self) -> bool:
        """Whether a worker that waits for the disk is away for long."""
        return self._disk_seconds > QUICK_DISK_SECONDS

    @property
    def last_gone_at(self) -> float:
        """When the latest of them left; there must be one."""
        return next(reversed(self._gone_at.values()))

    def patience_seconds(self, now: float) -> float:
        """How long a job waits for one of them before an idle worker is woken."""
        if not self._gone_at or self.are_slow:
            return 0.0
        last = next(reversed(self._gone_at.values()))
        return BACK_SECONDS if now - last < BACK_SECONDS else 0.0
