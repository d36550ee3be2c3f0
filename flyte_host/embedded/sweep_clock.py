"""The time that decides which executions are old enough to remove.

Owns what a jump of the clock means: a machine that boots with a wrong date, or a clock set a year
ahead by mistake, must not delete what is stored. Must not know what is removed.
"""

import logging
from datetime import datetime, timedelta
from threading import Lock

from flyte_host.clock import Clock

log = logging.getLogger("flyte_host.embedded")

SLACK = timedelta(hours=1)
"""How far ahead of the time that has passed the clock may get before that counts as a jump."""
HOLD_SECONDS = 86_400.0
"""How long a jump must last before it is believed."""


class SweepClock:
    """Follows ``clock``, but believes a jump ahead only after a day; safe from any thread.

    ``last_known`` is the last time that an earlier process stored, if any.
    """

    def __init__(self, clock: Clock, last_known: datetime | None) -> None:
        self._clock = clock
        self._lock = Lock()
        self._time = last_known or clock.now()
        self._seen_at = clock.elapsed()
        self._held_since: float | None = None

    def now(self) -> datetime:
        """The time to use: the clock's, or an earlier one after a jump ahead."""
        with self._lock:
            now, at = self._clock.now(), self._clock.elapsed()
            if now - self._time <= timedelta(seconds=at - self._seen_at) + SLACK:
                self._held_since = None
            elif not self._believe(now, at):
                return self._time
            self._time, self._seen_at = now, at
            return now

    def _believe(self, now: datetime, at: float) -> bool:
        if self._held_since is None:
            self._held_since = at
            log.warning(
                "the clock jumped from %s to %s: in case it is wrong, nothing is removed for a day",
                self._time.isoformat(timespec="seconds"),
                now.isoformat(timespec="seconds"),
            )
        return at - self._held_since >= HOLD_SECONDS
