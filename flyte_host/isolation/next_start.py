"""When a process that died starts again.

Owns the pause before the start, and why there is one. Must not know what died.
"""

import threading

from flyte_host.clock import Clock
from flyte_host.isolation.restart_budget import RESTARTS, WINDOW_SECONDS, RestartBudget


class NextStart:
    """Planned at each death, by one thread at a time.

    ``quarantined``: there were more deaths than the budget allows, and the pause is long.
    """

    def __init__(self, budget: RestartBudget, clock: Clock) -> None:
        self._budget = budget
        self._clock = clock
        self._last_end = ""
        self._starts_at = 0.0
        self._hurry = threading.Event()
        self.quarantined = False
        self.deaths = 0

    @property
    def in_seconds(self) -> float:
        """How long until the start."""
        return max(0.0, self._starts_at - self._clock.monotonic())

    @property
    def problem(self) -> str:
        """How the last process ended, and when the next one starts."""
        words = f"its process ended ({self._last_end})"
        if self.quarantined:
            words += f", more than {RESTARTS} times within {WINDOW_SECONDS:g} s: quarantined"
        return f"{words}; it starts again in {self.in_seconds:.0f} s"

    def plan(self, problem: str) -> None:
        """It has died, or could not be started, of ``problem``."""
        self._hurry.clear()  # an earlier hurry had no pause to skip
        self.deaths += 1
        now = self._clock.monotonic()
        pause, self.quarantined = self._budget.spend(now)
        self._last_end, self._starts_at = problem, now + pause

    def lift_quarantine(self) -> None:
        """It runs again."""
        self.quarantined = False

    def set_now(self) -> None:
        """Start it now, if it is due later."""
        self._starts_at = min(self._starts_at, self._clock.monotonic())
        self.end_pause()

    def end_pause(self) -> None:
        """Make :meth:`wait` return."""
        self._hurry.set()

    def wait(self) -> None:
        """Wait until it is due."""
        self._hurry.wait(self.in_seconds)
