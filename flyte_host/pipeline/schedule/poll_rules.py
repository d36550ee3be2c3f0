"""What all packs of a host share when they are polled: interval, jitter, and extra polls.

Plain data: ``schedule`` guards it.
"""

import math
import random

from flyte_host.pipeline.schedule.busy_workers import BACK_SECONDS

SHORTEST = 0.9
"""The shortest pause, as a share of the interval: hardly shorter than that of a Go client."""
KEEP_ALIVE_SECONDS = 240.0
"""How often a pack that takes nothing registers again: flyte calls packs live for ten minutes."""
TOLD_INTERVAL_SECONDS = 60.0
"""The pause between polls if flyte announces every action, which are only to be safe: polls of one
idle pack if flyte is in this process, of all idle packs together if it is elsewhere, since there
each poll is a request."""
EXTRA_POLLS_PER_SECOND = 20.0
EXTRA_POLLS_BURST = 40.0


class HintBudget:
    """How many extra polls all packs may make together: a bucket of tokens, one for each."""

    def __init__(self, now: float, per_second: float = EXTRA_POLLS_PER_SECOND) -> None:
        self._per_second = per_second
        self._tokens = EXTRA_POLLS_BURST
        self._earned_at = now

    def wait_seconds(self, now: float) -> float:
        """Until there is a token; tokens below zero are already lent."""
        earned = (now - self._earned_at) * self._per_second
        self._tokens = min(EXTRA_POLLS_BURST, self._tokens + earned)
        self._earned_at = now
        return max(0.0, (1 - self._tokens) / self._per_second)

    def spend(self) -> None:
        """Use a token, or borrow one."""
        self._tokens -= 1


class PollRules:
    """``is_told``: flyte announces every action, so that idle packs are rarely polled.

    ``takes_turns``: the interval is between two idle packs, not between two polls of one.
    ``beside_seconds``: how long after a take another one may go out beside it, at a quick flyte.
    """

    def __init__(
        self,
        interval_seconds: float,
        keep_alive_seconds: float,
        rng: random.Random,
        budget: HintBudget,
    ) -> None:
        self._untold_seconds = interval_seconds
        self.interval_seconds = interval_seconds
        self.keep_alive_seconds = keep_alive_seconds
        self.rng = rng
        self.budget = budget
        self.extra_polls = 0
        self.is_told = False
        self.takes_turns = False
        self.beside_seconds = BACK_SECONDS
        self._last_turn_at = -math.inf

    def set_told(self, *, is_told: bool, takes_turns: bool = False) -> bool:
        """Set whether flyte announces every action; returns whether that is a change."""
        was_told, self.is_told = self.is_told, is_told
        self.takes_turns = is_told and takes_turns
        least = TOLD_INTERVAL_SECONDS if is_told else 0.0
        self.interval_seconds = max(self._untold_seconds, least)
        return is_told != was_told

    def idle_seconds(self) -> float:
        """The time until the next poll of an idle pack."""
        return self.interval_seconds * self.rng.uniform(SHORTEST, 1.0)

    def next_turn_at(self, now: float) -> float:
        """When an idle pack has its turn, after all those that already have one."""
        self._last_turn_at = max(self._last_turn_at, now) + self.interval_seconds
        return self._last_turn_at
