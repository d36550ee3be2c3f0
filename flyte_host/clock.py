"""Time and chance, as one argument: what a test replaces to decide when things happen."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

_COUNTS_SUSPENSION = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Linux has a separate clock for that; on macOS the monotonic one runs on."""


def elapsed_seconds() -> float:
    """Seconds that run on while the machine is suspended, unlike those of waits."""
    return time.clock_gettime(_COUNTS_SUSPENSION)


def utc_now() -> datetime:
    """The time of day, with its zone."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Clock:
    """``now`` is for people and flyte, ``monotonic`` (seconds) for waits, ``rng`` for jitter.

    ``elapsed`` (seconds) is for what runs elsewhere while this machine is suspended.
    """

    now: Callable[[], datetime] = utc_now
    monotonic: Callable[[], float] = time.monotonic
    rng: random.Random = field(default_factory=random.Random)
    elapsed: Callable[[], float] = elapsed_seconds

    def age_seconds(self, since: datetime) -> float:
        """How long ago that was; 0 if it is in the future, because the time of day was set back."""
        return max(0.0, (self.now() - since).total_seconds())
