"""When a schedule is due, and what happens to missed times.

Owns the misfire rules. Must not know clocks: callers pass the time.
"""

import itertools
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim

from flyte_pack_schedule.settings import CronEntry

MOST_FIRINGS = 1000
"""How many missed times ``misfire = "all"`` makes up for at once; the latest ones."""


@dataclass(frozen=True, slots=True)
class Firing:
    """A time at which a schedule fires, and how many before it were left out."""

    due: datetime
    missed: int = 0


class CronTimetable:
    """The times of one schedule; each comes once, computed from the one before it.

    Where clocks are put forward, a fixed time that is skipped comes at once after the gap; where
    they are put back, one that comes twice fires once (cronsim follows Debian's cron).
    """

    def __init__(self, entry: CronEntry, now: datetime) -> None:
        self._entry = entry
        self._zone = ZoneInfo(entry.zone)
        self.restart(now)

    def restart(self, now: datetime) -> None:
        """Forget what was due, and continue from ``now``."""
        self._times = _times(self._entry.cron, now.astimezone(self._zone))
        self.due: datetime | None = next(self._times, None)

    def take(self, now: datetime) -> list[Firing]:
        """What fires now, after the misfire rule; moves on to the next time after ``now``."""
        passed = deque[datetime](maxlen=MOST_FIRINGS)
        count = 0
        while self.due is not None and self.due <= now:
            passed.append(self.due)
            count += 1
            self.due = next(self._times, None)
        return self._ruled(list(passed), count, now) if passed else []

    def _ruled(self, passed: list[datetime], count: int, now: datetime) -> list[Firing]:
        if self._entry.misfire == "all":
            return _first_tells(passed, count - len(passed))
        if self._entry.misfire == "once":
            on_time = self._on_time(passed, now) or passed[-1:]
        else:
            on_time = self._on_time(passed, now)
        return _first_tells(on_time, count - len(on_time))

    def _on_time(self, passed: list[datetime], now: datetime) -> list[datetime]:
        oldest = now - timedelta(seconds=self._entry.grace_seconds)
        return list(itertools.dropwhile(lambda due: due < oldest, passed))


def _first_tells(due: list[datetime], missed: int) -> list[Firing]:
    return [Firing(each, 0 if index else missed) for index, each in enumerate(due)]


def _times(cron: str, begin: datetime) -> Iterator[datetime]:
    """Times after ``begin`` in its zone; compared as instants, so the zone changes no order."""
    last = begin
    for each in CronSim(cron, begin):
        if each.astimezone(UTC) > last.astimezone(UTC):
            yield each
            last = each
