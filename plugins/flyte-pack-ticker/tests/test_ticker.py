import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any

import pytest
from flyte_pack_ticker import TickerPack, TickerSettings
from flyte_pack_ticker.pack import rfc3339

from flyte_host import Event
from flyte_host.testing import check_contract
from flyte_host.testing.waiting import PATIENCE_SECONDS

CET = timezone(timedelta(hours=1))
START_NS = 1_700_000_005_000_000_042
START_SECONDS = 77.25


class TickerClock(threading.Event):
    """A stop signal whose time passes only while somebody waits, and which ends a test."""

    def __init__(self, ends_after: float, early: float = 0) -> None:
        super().__init__()
        self.elapsed = 0.0
        self.waits: list[float] = []
        self._ends_after = ends_after
        self._early = early

    def monotonic(self) -> float:
        return START_SECONDS + self.elapsed

    def wall(self) -> int:
        return START_NS + round(self.elapsed * 10**9)

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self.waits.append(timeout)
        if self.elapsed + timeout > self._ends_after:
            self.set()
            return True
        self.elapsed += max(timeout - self._early, timeout / 2)
        return False


def ticks(
    clock: TickerClock, seconds: float = 60, work: Callable[[], None] = lambda: None
) -> list[Any]:
    """What the pack emits until the clock ends, as (seconds since start, event)."""
    seen: list[Any] = []

    def emit(event: Event) -> None:
        seen.append((clock.elapsed, event))
        work()

    pack = TickerPack(TickerSettings(seconds), clock.monotonic, clock.wall, UTC)
    pack.flyte_observe(emit, clock)
    return seen


def test_the_definition_is_the_go_packs() -> None:
    pack = TickerPack(TickerSettings()).flyte_pack()
    assert (pack.name, dict(pack.labels), list(pack.commands)) == ("Ticker", {}, [])
    assert pack.help_url == "https://github.com/ExpediaGroup/flyte-ticker/blob/master/README.md"
    assert [event.name for event in pack.event_defs] == ["Tick"]


def test_it_keeps_the_contract_of_packs() -> None:
    check_contract(TickerPack, {"interval_seconds": 0.01})


def test_a_tick_every_minute_counted_from_the_start() -> None:
    seen = ticks(TickerClock(ends_after=200))
    assert [elapsed for elapsed, _ in seen] == [60, 120, 180]
    assert {event.event_def.name for _, event in seen} == {"Tick"}
    assert [event.payload for _, event in seen] == [
        {"time": "2023-11-14T22:14:25.000000042Z"},
        {"time": "2023-11-14T22:15:25.000000042Z"},
        {"time": "2023-11-14T22:16:25.000000042Z"},
    ]


def test_the_interval_is_a_setting() -> None:
    assert [elapsed for elapsed, _ in ticks(TickerClock(ends_after=2), 0.5)] == [0.5, 1, 1.5, 2]


def test_slow_work_does_not_make_it_drift() -> None:
    clock = TickerClock(ends_after=300)

    def work() -> None:
        clock.elapsed += 7

    assert [elapsed for elapsed, _ in ticks(clock, work=work)] == [60, 120, 180, 240, 300]


def test_missed_ticks_are_dropped() -> None:
    clock = TickerClock(ends_after=400)
    delays = iter([150, 0, 0, 0])

    def work() -> None:
        clock.elapsed += next(delays)

    assert [elapsed for elapsed, _ in ticks(clock, work=work)] == [60, 240, 300, 360]


def test_waking_early_does_not_tick() -> None:
    clock = TickerClock(ends_after=100, early=0.001)
    assert [round(elapsed, 1) for elapsed, _ in ticks(clock)] == [60]
    assert len(clock.waits) > 2


def test_it_stops_at_once() -> None:
    stopping = threading.Event()
    seen: list[Event] = []
    observer = threading.Thread(
        target=TickerPack(TickerSettings()).flyte_observe, args=(seen.append, stopping)
    )
    observer.start()
    stopping.set()
    observer.join(PATIENCE_SECONDS)
    assert not observer.is_alive()
    assert seen == []


@pytest.mark.parametrize(
    ("nanoseconds", "zone", "text"),
    [
        (0, UTC, "1970-01-01T00:00:00Z"),
        (1_527_681_240_123_456_789, UTC, "2018-05-30T11:54:00.123456789Z"),
        (1_527_681_240_123_400_000, CET, "2018-05-30T12:54:00.1234+01:00"),
        (1_527_681_240_000_000_000, timezone(timedelta(hours=-9.5)), "2018-05-30T02:24:00-09:30"),
        (1_527_681_240_000_000_001, timezone(timedelta()), "2018-05-30T11:54:00.000000001Z"),
    ],
)
def test_times_are_written_as_go_writes_them(nanoseconds: int, zone: tzinfo, text: str) -> None:
    assert rfc3339(nanoseconds, zone) == text


def test_the_zone_is_the_processes_own() -> None:
    text = rfc3339(1_527_681_240_000_000_000, None)
    assert datetime.fromisoformat(text) == datetime(2018, 5, 30, 11, 54, tzinfo=UTC)
    own = datetime(2018, 5, 30, 11, 54, tzinfo=UTC).astimezone()
    assert datetime.fromisoformat(text).utcoffset() == own.utcoffset()


@pytest.mark.parametrize("seconds", [0, -1.5])
def test_an_invalid_interval_is_refused(seconds: float) -> None:
    with pytest.raises(ValueError) as raised:
        TickerSettings(seconds)
    assert str(raised.value) == f"interval_seconds: found {seconds:g}, expected > 0"
