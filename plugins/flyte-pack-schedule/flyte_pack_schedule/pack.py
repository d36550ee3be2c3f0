"""The Schedule pack: events by cron expressions, each in a time zone.

Owns the wait until something is due, and what events say.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import Event as ThreadEvent
from typing import Any

from flyte_host import Event, EventDef, PackDef, hookimpl
from flyte_pack_schedule.cron_timetable import CronTimetable, Firing
from flyte_pack_schedule.settings import ScheduleSettings

_LONGEST_WAIT_SECONDS = 30
"""So that a clock that was set, or a machine that slept, is noticed."""

_SET_BACK = timedelta(hours=1)
"""How far a clock must have been set back before schedules begin again."""


class SchedulePack:
    """Raises the events of its schedules. ``wall`` gives seconds since 1970 in UTC."""

    def __init__(self, settings: ScheduleSettings, wall: Callable[[], float] = time.time) -> None:
        self._entries = dict(settings.schedules)
        self._wall = wall
        names = {"Fired"} | {each.event for each in self._entries.values()}
        self._events = {name: EventDef(name) for name in sorted(names)}

    @hookimpl
    def flyte_pack(self) -> PackDef:
        return PackDef("Schedule", event_defs=list(self._events.values()))

    @hookimpl
    def flyte_observe(self, emit: Callable[[Event], None], stopping: ThreadEvent) -> None:
        """Every time is computed from the one before it, never from when we woke up: no drift."""
        last = self._now()
        timetables = {name: CronTimetable(each, last) for name, each in self._entries.items()}
        while not stopping.wait(self._wait_seconds(timetables)):
            now = self._now()
            if last - now > _SET_BACK:
                for each in timetables.values():
                    each.restart(now)
            last = now
            for due, name, firing in _all_due(timetables, now):
                emit(self._event(name, firing, due))

    def _event(self, name: str, firing: Firing, due: datetime) -> Event:
        entry = self._entries[name]
        payload: dict[str, Any] = {
            "schedule": name,
            "time": due.isoformat(),
            "missed": firing.missed,
            "payload": entry.payload,
        }
        return self._events[entry.event](payload)

    def _wait_seconds(self, timetables: dict[str, CronTimetable]) -> float:
        now = self._now()
        waits = [(each.due - now).total_seconds() for each in timetables.values() if each.due]
        return max(0, min([*waits, _LONGEST_WAIT_SECONDS]))

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._wall(), UTC)


def _all_due(
    timetables: dict[str, CronTimetable], now: datetime
) -> list[tuple[datetime, str, Firing]]:
    """What fires now, in the order in which it was due."""
    found = [
        (firing.due, name, firing) for name, each in timetables.items() for firing in each.take(now)
    ]
    return sorted(found, key=lambda each: (each[0].astimezone(UTC), each[1]))
