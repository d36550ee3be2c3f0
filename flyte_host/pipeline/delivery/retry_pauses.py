"""How long a delivery waits that flyte has not accepted."""

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RetryPauses:
    """They double from the first to the longest, with jitter."""

    first_seconds: float = 0.5
    longest_seconds: float = 60.0

    def after(self, attempts: int, rng: random.Random) -> float:
        """How long to wait after this number of failed attempts."""
        ceiling = min(self.longest_seconds, self.first_seconds * 2 ** min(attempts, 16))
        return rng.uniform(self.first_seconds / 2, ceiling)
