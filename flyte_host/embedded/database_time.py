"""The time of day of a database, between two looks at it.

Owns that processes on one database agree on the time, whatever their own clocks say.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class DatabaseTime:
    """Set at each look, and goes on by the monotonic clock; safe from any thread."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._zero = _EPOCH - timedelta(seconds=monotonic())

    def set(self, micros: int) -> None:
        """The database's time is now ``micros`` microseconds since 1970."""
        seconds = micros / 1_000_000 - self._monotonic()
        self._zero = _EPOCH + timedelta(seconds=seconds)

    def now(self) -> datetime:
        return self._zero + timedelta(seconds=self._monotonic())
