"""How soon a process that died may start again.

Owns the numbers. Must not know what died.
"""

from collections import deque

FIRST_SECONDS = 1.0
CAP_SECONDS = 60.0
WINDOW_SECONDS = 600.0
RESTARTS = 5
"""Restarts within the window; a process that needs more is quarantined."""


class RestartBudget:
    """Pauses double from death to death, until there are too many within the window."""

    def __init__(self, first_seconds: float = FIRST_SECONDS) -> None:
        self._first_seconds = first_seconds
        self._deaths: deque[float] = deque()

    def spend(self, now: float) -> tuple[float, bool]:
        """Seconds from this death to the next start, and whether that is a quarantine."""
        while self._deaths and self._deaths[0] <= now - WINDOW_SECONDS:
            self._deaths.popleft()
        self._deaths.append(now)
        if len(self._deaths) > RESTARTS:
            return self._deaths[-RESTARTS] + WINDOW_SECONDS - now, True
        return min(CAP_SECONDS, self._first_seconds * 2 ** (len(self._deaths) - 1)), False
