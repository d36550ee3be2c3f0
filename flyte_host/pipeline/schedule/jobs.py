"""What workers do besides turns: jobs, and one chore that is for many.

Owns their order. Plain data: ``schedule`` guards it.
"""

import math
from collections import deque
from collections.abc import Callable

from flyte_host.pipeline.schedule.busy_workers import BACK_SECONDS
from flyte_host.wait import Steps

Chore = Callable[[], None]
Job = Chore | Steps[None]
"""What a worker does: a call, or an action whose wait is over."""


class Jobs:
    """Times are seconds of the caller's clock.

    A chore covers everything that was begun before it starts, so it waits for more until there is
    nothing better to do. No second one starts while one is under way.
    """

    def __init__(self) -> None:
        self._jobs: deque[tuple[float, Job]] = deque()
        self._chore: Chore | None = None
        self._chore_at = math.inf
        self._is_chore_under_way = False

    def add(self, job: Job, now: float) -> bool:
        """Add a job; returns whether it is the only one."""
        self._jobs.append((now, job))
        return len(self._jobs) == 1

    def add_chore(self, chore: Chore, now: float) -> None:
        """Add a chore, unless one waits already."""
        if self._chore is None:
            self._chore, self._chore_at = chore, now

    @property
    def has_chore(self) -> bool:
        """Whether one waits; needs no lock."""
        return self._chore is not None

    def take(self, now: float, *, is_quick_due: bool) -> Job | None:
        """The next job. ``is_quick_due``: a quick take is due, which gives a chore more to do.

        One that may be slow comes after the chore.
        """
        is_late = self.since_chore() + BACK_SECONDS <= now
        if self._jobs and not is_late:
            return self._jobs.popleft()[1]
        if self.since_chore() == math.inf or (is_quick_due and not is_late):
            return None
        self._is_chore_under_way = True
        chore, self._chore = self._chore, None
        return chore

    def since(self) -> float:
        """Since when something waits that could begin; infinity: nothing."""
        return min(self._jobs[0][0] if self._jobs else math.inf, self.since_chore())

    def since_chore(self) -> float:
        """The same for the chore."""
        return math.inf if self._chore is None or self._is_chore_under_way else self._chore_at

    def end_chore(self) -> None:
        """The chore is done: the next one may start."""
        self._is_chore_under_way = False
