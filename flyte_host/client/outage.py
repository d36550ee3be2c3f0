"""Whether flyte is away: one circuit breaker per flyte, shared by all packs.

Owns the decision when the next call makes sense. Must not know what a call is: callers ask
:meth:`Outage.admit` before one and report :meth:`Outage.failed` or :meth:`Outage.succeeded` after
it, whatever thread they are in by then. Safe in any thread; waits for nothing.
"""

import logging
import threading
from math import inf

from flyte_host.clock import Clock

log = logging.getLogger(__name__)

PROBE_SECONDS = 120.0
"""A probe counts as lost after this long without a report; ordinary calls are shorter."""

RETRY_AFTER_CAP_SECONDS = 300.0
"""The longest Retry-After that is obeyed: flyte calls a pack dead after 10 minutes of silence."""

MISHAP_SECONDS = 60.0
"""A broken connection is a mishap if none broke before for this long."""

FIRST_REMINDER_SECONDS = 60.0
REMINDER_CAP_SECONDS = 1800.0


class Outage:
    """Closed while flyte answers; open after a failure, until a call gets through.

    While it is open, one call at a time (the probe) may find out whether flyte is back: the first
    after a pause that doubles with each failed probe, up to ``cap_seconds``, with full jitter. A
    failure of a call that was under way before says nothing new and does not lengthen the pause.

    ``since`` is the clock's time of the first failure (``None``: closed), ``reason`` the last
    one's, ``failures`` how often in a row opening and probes failed. ``name`` says in the log who
    is away. A ``quiet`` one logs nothing: its caller does. One broken connection is not worth a
    warning: it is logged when the next call fails as well, or another one breaks within a minute.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        name: str = "flyte",
        quiet: bool = False,
        base_seconds: float = 0.5,
        cap_seconds: float = 2.0,
    ) -> None:
        self._clock = clock
        self.name = name
        self._is_quiet = quiet
        self._base_seconds = base_seconds
        self._cap_seconds = cap_seconds
        self._lock = threading.Lock()
        self._mishaps_from = -inf
        self._close()

    def _close(self) -> None:
        self.since: float | None = None
        self.reason = ""
        self.failures = 0
        self._probe_at = 0.0
        self._prober: object = None
        self._probe_lost_at = 0.0
        self._is_told = False
        self._remind_at = 0.0
        self._remind_seconds = FIRST_REMINDER_SECONDS

    def admit(self, caller: object) -> float:
        """0 if the call may go out; else the seconds after which it makes sense to ask again.

        The delay is jittered so that callers do not all retry at once. One object is the
        ``caller`` from here to the report, and of no other call.
        """
        with self._lock:
            now = self._clock.monotonic()
            if self.since is None:
                return 0.0
            if now < self._probe_at:
                return self._probe_at - now + self._spread_seconds()
            if self._prober is not None and now < self._probe_lost_at:
                return self._base_seconds + self._spread_seconds()
            self._prober = caller
            self._probe_lost_at = now + PROBE_SECONDS
            return 0.0

    def next_try_at(self) -> float:
        """The clock's time from which a call may go out; 0 while the outage is closed.

        Asking this admits nobody: of several callers that come at that time, :meth:`admit` lets
        one through.
        """
        with self._lock:
            if self.since is None:
                return 0.0
            return self._probe_at if self._prober is None else self._probe_lost_at

    def failed(
        self,
        reason: str,
        retry_after_seconds: float | None = None,
        *,
        broke_off: bool = False,
        caller: object = None,
    ) -> float:
        """Report that flyte was not reached; returns the seconds until the next probe.

        ``retry_after_seconds`` is what the answer asked for; never less than that, but at most
        five minutes of it. ``broke_off``: there was a connection, and it was lost.
        """
        with self._lock:
            now = self._clock.monotonic()
            opens = self.since is None
            self.reason = reason
            is_probe = self._prober is not None and self._prober is caller
            at_least_seconds = min(retry_after_seconds or 0.0, RETRY_AFTER_CAP_SECONDS)
            self._postpone(now, at_least_seconds, counts=opens or is_probe)
            if opens:
                self.since = now
            wait_seconds = max(self._probe_at - now, 0.0)
            is_mishap = opens and broke_off and now >= self._mishaps_from
            if broke_off:
                self._mishaps_from = now + MISHAP_SECONDS
            reminder = None if is_mishap else self._reminder(now)
        if reminder and not self._is_quiet:
            log.warning("%s; next try in %.1f s", reminder, wait_seconds)
        return wait_seconds

    def succeeded(self) -> None:
        """Report that flyte answered, whatever it said."""
        if self.since is None:  # the usual case, without the lock
            return
        with self._lock:
            since, failures, now = self.since, self.failures, self._clock.monotonic()
            is_told = self._is_told
            self._close()
        if not self._is_quiet and is_told and since is not None:
            log.info(
                "%s is back after %s; failed attempts: %d",
                self.name,
                _length(now - since),
                failures,
            )

    def leave(self, caller: object) -> None:
        """The call is over; if it was the probe and reported nothing, another one may probe."""
        if self._prober is not caller:  # the usual case, without the lock
            return
        with self._lock:
            if self._prober is caller:
                self._prober = None

    def _postpone(self, now: float, at_least_seconds: float, *, counts: bool) -> None:
        if counts:
            self._prober = None
            self.failures += 1
            pause = self._clock.rng.uniform(0.0, self._ceiling_seconds())
            self._probe_at = now + max(pause, at_least_seconds)
        elif at_least_seconds:
            self._probe_at = max(self._probe_at, now + at_least_seconds)

    def _reminder(self, now: float) -> str | None:
        """What to log: at once, then after 1, 2, 4 … more minutes."""
        if not self._is_told:
            self._is_told = True
            self._remind_at = now + self._remind_seconds
            return f"{self.name} is away: {self.reason}"
        if now < self._remind_at or self.since is None:
            return None
        self._remind_seconds = min(2 * self._remind_seconds, REMINDER_CAP_SECONDS)
        self._remind_at = now + self._remind_seconds
        return f"{self.name} has been away for {_length(now - self.since)}: {self.reason}"

    def _ceiling_seconds(self) -> float:
        doublings = min(self.failures - 1, 32)  # enough for any cap, and no overflow
        return min(self._cap_seconds, self._base_seconds * 2.0**doublings)

    def _spread_seconds(self) -> float:
        return self._clock.rng.uniform(0.0, self._base_seconds + self._ceiling_seconds() / 10)


def _length(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
