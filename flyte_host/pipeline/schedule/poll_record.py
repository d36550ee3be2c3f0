"""How the polls of one pack went: the last good one, what has gone wrong since, and the pauses.

Plain data: ``schedule`` guards it.
"""

import math
import random

CONTENTION_SECONDS = 0.05
CONTENTION_LIMIT = 8
"""More 500s than this in a row, without a success between, are not lost races."""


class PollRecord:
    """Pauses grow with what goes wrong in a row; times are in seconds."""

    __slots__ = (
        "_again_at",
        "_collisions",
        "_failed_at",
        "_is_forgotten",
        "_is_told",
        "_rng",
        "failures",
        "polled_at",
        "problem",
    )

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self.polled_at: float | None = None
        """When flyte last answered well for the pack."""
        self.problem = ""
        """Why it has not since then; empty if it has."""
        self.failures = 0
        """How many turns in a row could not be done."""
        self._failed_at = self._again_at = -math.inf
        self._collisions = 0
        self._is_told = False
        """Whether a problem of the pack was logged; an outage is logged once for all packs."""
        self._is_forgotten = False
        """Whether flyte did not know the pack at its last take."""

    def succeed(self, now: float) -> bool:
        """The pack was polled. True: the log has a problem, which has ended."""
        was_told, self._is_told = self._is_told, False
        self.problem, self._is_forgotten = "", False
        self.failures = self._collisions = 0
        self._failed_at = -math.inf
        self.polled_at = now
        return was_told

    def note_problem(self, problem: str, *, tell: bool = True) -> bool:
        """The pack was not polled. True: the problem is another than before, and to be told."""
        is_news = tell and self.problem != problem
        self.problem = problem
        self._is_told |= is_news
        return is_news

    def collide(self) -> None:
        """A take met a 500: a lost race until it repeats."""
        self._collisions += 1

    @property
    def is_contended(self) -> bool:
        """Whether the 500s repeat so often that they are not lost races."""
        return self._collisions > CONTENTION_LIMIT

    def forget(self) -> bool:
        """flyte does not know the pack. True: nor did it at the last take."""
        was_forgotten, self._is_forgotten = self._is_forgotten, True
        return was_forgotten

    def race_seconds(self) -> float:
        """How long to wait after a lost race."""
        return self._rng.uniform(0, CONTENTION_SECONDS * max(0, self._collisions - 1))

    def back_off(self, now: float, began_at: float) -> float:
        """When to try again after a turn that could not be done.

        Turns that were under way at a failure fail for the same reason: they do not lengthen the
        pause, or a pack with many slots would be away for a minute after a moment of trouble.
        """
        if began_at > self._failed_at:
            self.failures += 1
            ceiling = min(60.0, 0.5 * 2 ** min(self.failures, 16))
            self._failed_at, self._again_at = now, now + self._rng.uniform(ceiling / 2, ceiling)
        return self._again_at
