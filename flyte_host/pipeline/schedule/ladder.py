"""Extra polls of one pack after something may have queued work for it, each later than the last.

Plain data: ``schedule`` guards it.
"""

from flyte_host.pipeline.schedule.poll_rules import HintBudget

LADDER_SECONDS = (0.01, 0.04, 0.15, 0.5, 1.5)
"""Pauses of the extra polls after something may have queued work for a pack."""


class Ladder:
    """Climbed from a hint to its top, or to a poll that finds something; times are in seconds."""

    __slots__ = ("_budget", "_hinted", "_step", "_steps", "is_next")

    def __init__(self, budget: HintBudget) -> None:
        self._budget = budget
        self._step = self._steps = len(LADDER_SECONDS)
        self._hinted = False
        self.is_next = False
        """Whether the next poll is an extra one, with its token spent."""

    def hint(self, steps: int) -> None:
        """Start at the bottom, with at most that many steps to climb."""
        self._step, self._hinted = 0, True
        self._steps = min(steps, len(LADDER_SECONDS))

    def climb(self, now: float, idle_seconds: float) -> float:
        """Time until the next poll: a step, more if the budget is short, else ``idle_seconds``."""
        if self._step < self._steps:
            pause = max(LADDER_SECONDS[self._step], self._budget.wait_seconds(now))
            if pause < idle_seconds:
                self._budget.spend()
                self.is_next = True
                self._step += 1
                return pause
        self._step = len(LADDER_SECONDS)
        return idle_seconds

    def may_hurry(self, now: float) -> bool:
        """Whether an extra poll that is next may come as early as on the first step."""
        return self._budget.wait_seconds(now) == 0

    def find(self) -> None:
        """A poll found something: the ladder ends, unless a hint came during the poll."""
        if self._step:
            self._step = len(LADDER_SECONDS)
        self._hinted = False

    def miss(self) -> bool:
        """A poll found nothing, and the next is planned. True: it was the last after a hint."""
        was_last = self._hinted and not self.is_next
        self._hinted = self.is_next
        return was_last
