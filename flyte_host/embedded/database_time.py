"""A database's time of day, known without asking it each time.

So processes on one database agree on the time, whatever their own clocks say.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from flyte_host.clock import elapsed_seconds

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class DatabaseTime:
    """Set now and then; runs on while the machine is suspended; safe from any thread."""

    def __init__(self, elapsed: Callable[[], float] = elapsed_seconds) -> None:
        self._elapsed = elapsed
        self._zero = _EPOCH - timedelta(seconds=elapsed())

    def set(self, micros: int) -> None:
        """The database's time is now ``micros`` microseconds since 1970."""
        seconds = micros / 1_000_000 - self._elapsed()
        self._zero = _EPOCH + timedelta(seconds=seconds)

    def now(self) -> datetime:
        return self._zero + timedelta(seconds=self._elapsed())
