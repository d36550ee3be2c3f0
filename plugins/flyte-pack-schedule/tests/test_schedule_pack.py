import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from flyte_pack_schedule import CronEntry, SchedulePack, ScheduleSettings

from flyte_host import Event
from flyte_host.testing import check_contract
from flyte_host.testing.waiting import PATIENCE_SECONDS

START = datetime(2026, 3, 28, 12, 0, 20, tzinfo=UTC)
DAY = 86_400


class ScheduleClock(threading.Event):
    """A stop signal on which time passes only while somebody waits, and which ends a test."""

    def __init__(self, ends_after: float, start: datetime = START) -> None:
        super().__init__()
        self.now = start.timestamp()
        self._end = self.now + ends_after

    def wall(self) -> float:
        return self.now

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        if self.now + timeout > self._end:
            self.set()
            return True
        self.now += timeout
        return False


def fired(
    clock: ScheduleClock,
    entries: dict[str, CronEntry],
    work: Callable[[], None] = lambda: None,
) -> list[Any]:
    """What the pack emits until the clock ends."""
    seen: list[Any] = []

    def emit(event: Event) -> None:
        seen.append(event)
        work()

    pack = SchedulePack(ScheduleSettings(entries), clock.wall)
    pack.flyte_observe(emit, clock)
    return seen


def times(seen: list[Any]) -> list[str]:
    return [event.payload["time"] for event in seen]


def test_it_keeps_the_contract_of_packs() -> None:
    schedules = {
        "often": {"cron": "* * * * * *"},
        "daily": {"cron": "0 9 * * *", "event": "Morning"},
    }
    check_contract(SchedulePack, {"schedules": schedules})


def test_the_definition() -> None:
    entries = {"a": CronEntry("0 9 * * *", event="Morning"), "b": CronEntry("0 8 * * *")}
    pack = SchedulePack(ScheduleSettings(entries)).flyte_pack()
    assert (pack.name, list(pack.commands)) == ("Schedule", [])
    assert [event.name for event in pack.event_defs] == ["Fired", "Morning"]


def test_events_say_what_fired_and_when() -> None:
    entry = CronEntry("30 14 * * *", "Europe/Berlin", "Afternoon", {"channel": "C1"})
    [event] = fired(ScheduleClock(DAY), {"tea": entry})
    assert event.event_def.name == "Afternoon"
    assert event.payload == {
        "schedule": "tea",
        "time": "2026-03-28T14:30:00+01:00",
        "missed": 0,
        "payload": {"channel": "C1"},
    }


def test_schedules_fire_in_their_order() -> None:
    entries = {"b": CronEntry("1 * * * *"), "a": CronEntry("1,2 * * * *")}
    seen = fired(ScheduleClock(200), entries)
    assert [event.payload["schedule"] for event in seen] == ["a", "b", "a"]


def test_a_million_seconds_do_not_make_it_drift() -> None:
    clock = ScheduleClock(DAY)

    def work() -> None:
        clock.now += 7.3

    seen = fired(clock, {"each": CronEntry("* * * * *")}, work)
    assert len(seen) == DAY // 60
    assert {datetime.fromisoformat(each).second for each in times(seen)} == {0}
    assert len(set(times(seen))) == len(seen)


def test_seconds() -> None:
    seen = fired(ScheduleClock(21), {"each": CronEntry("*/10 * * * * *")})
    assert [each[17:19] for each in times(seen)] == ["30", "40"]


def test_nothing_to_do() -> None:
    assert fired(ScheduleClock(100), {}) == []


@pytest.mark.parametrize(
    ("cron", "expected"),
    [
        # On 29 March 2026 clocks go from 2:00 to 3:00 in Berlin.
        ("30 2 * * *", ["2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"]),
        ("0 5 * * *", ["2026-03-29T05:00:00+02:00", "2026-03-30T05:00:00+02:00"]),
    ],
)
def test_clocks_put_forward(cron: str, expected: list[str]) -> None:
    clock = ScheduleClock(1.9 * DAY)
    assert times(fired(clock, {"a": CronEntry(cron, "Europe/Berlin")})) == expected


def test_clocks_put_back() -> None:
    clock = ScheduleClock(1.9 * DAY, datetime(2026, 10, 24, 12, tzinfo=UTC))
    seen = times(fired(clock, {"a": CronEntry("30 2 * * *", "Europe/Berlin")}))
    assert seen == ["2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"]


def missing(misfire: Any, held_up_seconds: float = 195) -> list[tuple[str, int]]:
    """An observer that is held up once, at the first event at 12:01:00."""
    clock = ScheduleClock(held_up_seconds + 90)
    held_up = iter([held_up_seconds])

    def work() -> None:
        clock.now += next(held_up, 0)

    seen = fired(clock, {"a": CronEntry("* * * * *", misfire=misfire)}, work)
    return [(event.payload["time"][11:16], event.payload["missed"]) for event in seen]


def test_missed_times_are_skipped() -> None:
    assert missing("skip") == [("12:01", 0), ("12:04", 2), ("12:05", 0)]


def test_missed_times_fire_once() -> None:
    assert missing("once") == [("12:01", 0), ("12:04", 2), ("12:05", 0)]


def test_missed_times_all_fire() -> None:
    expected = [("12:01", 0), ("12:02", 0), ("12:03", 0), ("12:04", 0), ("12:05", 0)]
    assert missing("all") == expected


def late_hourly(misfire: Any) -> list[Any]:
    """Held up from 13:00 for two and a half hours."""
    clock = ScheduleClock(4 * 3600)
    held_up = iter([9000])

    def work() -> None:
        clock.now += next(held_up, 0)

    seen = fired(clock, {"a": CronEntry("0 * * * *", misfire=misfire)}, work)
    return [(event.payload["time"][11:16], event.payload["missed"]) for event in seen]


def test_too_late_is_skipped_or_fires_once() -> None:
    assert late_hourly("skip") == [("13:00", 0), ("16:00", 0)]
    assert late_hourly("once") == [("13:00", 0), ("15:00", 1), ("16:00", 0)]
    assert late_hourly("all") == [("13:00", 0), ("14:00", 0), ("15:00", 0), ("16:00", 0)]


def test_a_month_of_sleep_is_bounded() -> None:
    seen = missing("all", 30 * DAY)
    assert len(seen) == 1 + 1000
    assert seen[1][1] == 30 * DAY // 60 - 1000


def test_a_clock_set_back_a_little_fires_nothing_twice() -> None:
    clock = ScheduleClock(400)
    jumps = iter([0, -130, 0])

    def work() -> None:
        clock.now += next(jumps, 0)

    seen = times(fired(clock, {"a": CronEntry("* * * * *")}, work))
    assert len(set(seen)) == len(seen)


def test_a_clock_that_was_years_ahead_silences_nothing() -> None:
    clock = ScheduleClock(200, datetime(2030, 1, 1, tzinfo=UTC))

    def work() -> None:
        clock.now = min(clock.now, START.timestamp())
        clock._end = START.timestamp() + 130

    seen = times(fired(clock, {"a": CronEntry("* * * * *")}, work))
    assert [each[:16] for each in seen] == [
        "2030-01-01T00:01",
        "2026-03-28T12:01",
        "2026-03-28T12:02",
    ]


def test_it_stops_at_once() -> None:
    stopping = threading.Event()
    pack = SchedulePack(ScheduleSettings({"a": CronEntry("0 0 1 1 *")}))
    observer = threading.Thread(target=pack.flyte_observe, args=([].append, stopping))
    observer.start()
    stopping.set()
    observer.join(PATIENCE_SECONDS)
    assert not observer.is_alive()


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        ({"cron": "x"}, "cron: found 'x', expected 5 or 6 fields: "),
        ({"cron": "61 * * * *"}, "cron: found '61 * * * *', expected 5 or 6 fields: "),
        ({"cron": ""}, "cron: found '', expected 5 or 6 fields: "),
        ({"cron": "0 0 30 2 *"}, "cron: found '0 0 30 2 *', "),
        ({"zone": "Mars/Base"}, "zone: found 'Mars/Base', expected a time zone like "),
        ({"zone": "../../etc/passwd"}, "zone: found '../../etc/passwd', expected a time zone like"),
        ({"zone": ""}, "zone: found '', expected a time zone like "),
        ({"event": ""}, "event: found '', expected the name of an event"),
        ({"event": "FATAL"}, "event: found 'FATAL', expected the name of an event"),
        ({"grace_seconds": 0}, "grace_seconds: found 0, expected more than 0"),
    ],
)
def test_entries_that_make_no_sense(entry: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError) as raised:
        CronEntry(**({"cron": "* * * * *"} | entry))
    assert str(raised.value).startswith(text)
