"""Time that only a test moves."""

import random
from datetime import UTC, datetime, timedelta

from flyte_host.clock import Clock


class HandClock:
    """``clock`` goes into the parts; ``advance`` moves its day and its seconds together.

    ``suspend`` is what a closed laptop does: only the seconds of waits stop.
    """

    def __init__(self, rng: random.Random | None = None) -> None:
        self.seconds = 1000.0
        self.day = datetime(2030, 1, 1, tzinfo=UTC)
        self.suspended_seconds = 0.0
        self.clock = Clock(
            lambda: self.day,
            lambda: self.seconds,
            rng or random.Random(),
            lambda: self.seconds + self.suspended_seconds,
        )

    def advance(self, seconds: float) -> None:
        self.seconds += seconds
        self.day += timedelta(seconds=seconds)

    def suspend(self, seconds: float) -> None:
        self.suspended_seconds += seconds
        self.day += timedelta(seconds=seconds)
