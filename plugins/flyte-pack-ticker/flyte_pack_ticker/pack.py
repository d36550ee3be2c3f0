"""The Ticker pack: an event at equal intervals, so that flows can run on a schedule.

Owns when a tick is due and how its time is written.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, tzinfo
from threading import Event as ThreadEvent

from flyte_host import Event, EventDef, PackDef, hookimpl

HELP_URL = "https://github.com/ExpediaGroup/flyte-ticker/blob/master/README.md"
TICK = EventDef("Tick")
"""Payload: ``{time: str}``, see :func:`rfc3339`."""

_NANOSECONDS = 10**9


@dataclass(frozen=True, slots=True)
class TickerSettings:
    """The table ``[packs.<instance>.settings]``."""

    interval_seconds: float = 60
    """From one tick to the next, and from the start to the first; flows with cron need 60."""

    def __post_init__(self) -> None:
        if self.interval_seconds <= 0:
            raise ValueError(f"interval_seconds: found {self.interval_seconds:g}, expected > 0")


class TickerPack:
    """Raises ``Tick``; drop-in for the Go pack flyte-ticker.

    ``monotonic`` counts seconds from anywhere, ``wall`` nanoseconds since 1970 in UTC; ticks are
    written in ``zone`` (None: the process's own).
    """

    def __init__(
        self,
        settings: TickerSettings,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], int] = time.time_ns,
        zone: tzinfo | None = None,
    ) -> None:
        self._interval_seconds = settings.interval_seconds
        self._monotonic = monotonic
        self._wall = wall
        self._zone = zone

    @hookimpl
    def flyte_pack(self) -> PackDef:
        return PackDef("Ticker", HELP_URL, event_defs=[TICK])

    @hookimpl
    def flyte_observe(self, emit: Callable[[Event], None], stopping: ThreadEvent) -> None:
        """Every tick is due at a whole number of intervals after the start, so none drifts.

        Ticks that came due while ``emit`` or the process was held up are skipped: to flows, a late
        burst would look like many minutes passing.
        """
        started = self._monotonic()
        step = 1
        while not self._stopped_before(started + step * self._interval_seconds, stopping):
            emit(TICK({"time": rfc3339(self._wall(), self._zone)}))
            step = int((self._monotonic() - started) / self._interval_seconds) + 1

    def _stopped_before(self, due: float, stopping: ThreadEvent) -> bool:
        while (left := due - self._monotonic()) > 0:
            if stopping.wait(left):
                return True
        return False


def rfc3339(nanoseconds: int, zone: tzinfo | None) -> str:
    """The moment as Go writes it: ``2018-05-30T12:54:00.123456789+01:00``.

    The fraction has no zeros at its end and is missing where there is none; no offset is ``Z``.
    """
    seconds, fraction = divmod(nanoseconds, _NANOSECONDS)
    moment = datetime.fromtimestamp(seconds, zone).astimezone(zone)
    date_and_time, offset = moment.isoformat()[:19], moment.isoformat()[19:]
    digits = f".{fraction:09d}".rstrip("0").rstrip(".")
    return date_and_time + digits + ("Z" if offset == "+00:00" else offset)
