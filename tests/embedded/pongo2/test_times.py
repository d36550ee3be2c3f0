"""Go's time layouts."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from flyte_host.embedded.pongo2.faults import TemplateFault
from flyte_host.embedded.pongo2.nanosecond_time import NanosecondTime
from flyte_host.embedded.pongo2.times import (
    call_method,
    format_time,
    print_time,
)

MORNING = datetime(2006, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)
EVENING = datetime(2018, 11, 14, 23, 0, 9, tzinfo=timezone(timedelta(hours=-3, minutes=-30)))


@pytest.mark.parametrize(
    ("layout", "morning", "evening"),
    [
        ("2006-01-02T15:04:05Z07:00", "2006-01-02T03:04:05Z", "2018-11-14T23:00:09-03:30"),
        ("Mon Jan _2 3:4:5 PM 06", "Mon Jan  2 3:4:5 AM 06", "Wed Nov 14 11:0:9 PM 18"),
        ("Monday, January 2 03pm", "Monday, January 2 03am", "Wednesday, November 14 11pm"),
        ("1/2 002 __2", "1/2 002   2", "11/14 318 318"),
        (
            "-0700 -07 -07:00 Z0700 -07:00:00",
            "+0000 +00 +00:00 Z +00:00:00",
            "-0330 -03 -03:30 -0330 -03:30:00",
        ),
        ("MST", "UTC", "-0330"),
        (
            "05.000 05,9 05.999999999 .0000000000",
            "05.678 05,6 05.678 .678000000",
            "09.000 09 09 .000000000",
        ),
        ("Janet Monk 20060 _2006", "Janet Monk 20060 _2006", "Janet Monk 20180 _2018"),
        ("plain %Y {}", "plain %Y {}", "plain %Y {}"),
    ],
)
def test_layouts(layout: str, morning: str, evening: str) -> None:
    assert format_time(MORNING, layout) == morning
    assert format_time(EVENING, layout) == evening


def test_a_time_prints_as_in_go() -> None:
    assert print_time(MORNING) == "2006-01-02 03:04:05.678 +0000 UTC"
    assert print_time(MORNING.replace(tzinfo=None)) == "2006-01-02 03:04:05.678 +0000 UTC"
    assert print_time(EVENING) == "2018-11-14 23:00:09 -0330 -0330"
    assert format_time(MORNING.replace(tzinfo=timezone(timedelta(hours=2))), "MST") == "+0200"


@pytest.mark.parametrize(
    ("name", "gives"),
    [
        ("Year", 2018),
        ("UnixMilli", 1542249009000),
        ("UnixMicro", 1542249009000000),
        ("IsDST", False),
        ("Month", 11),
        ("Day", 14),
        ("Hour", 23),
        ("Minute", 0),
        ("Second", 9),
        ("Nanosecond", 0),
        ("YearDay", 318),
        ("Weekday", 3),
        ("Unix", 1542249009),
        ("UnixNano", 1542249009000000000),
        ("IsZero", False),
        ("String", "2018-11-14 23:00:09 -0330 -0330"),
        ("UTC", datetime(2018, 11, 15, 2, 30, 9, tzinfo=UTC)),
        ("Nope", None),
    ],
)
def test_call_method_without_arguments(name: str, gives: object) -> None:
    assert call_method(EVENING, name, ()) == gives


def test_unix_of_a_time_before_1970_rounds_down() -> None:
    assert call_method(datetime(1969, 12, 31, 23, 59, 59, 1, tzinfo=UTC), "Unix", ()) == -1


@pytest.mark.parametrize(
    ("name", "arguments", "gives"),
    [
        ("Format", ("15:04",), "03:04"),
        ("Before", (EVENING,), True),
        ("After", (EVENING,), False),
        ("After", (datetime(2006, 1, 1),), True),  # noqa: DTZ001
        ("Equal", (MORNING.replace(tzinfo=UTC),), True),
        ("Sub", (MORNING.replace(second=4),), 1_000_000_000),
        ("AddDate", (0, 1, 0), MORNING.replace(month=2)),
        ("AddDate", (-1, -1, -1), MORNING.replace(year=2004, month=12, day=1)),
        ("AddDate", (0, 13, 40), MORNING.replace(year=2007, month=3, day=14)),
    ],
)
def test_call_method_with_arguments(name: str, arguments: tuple[Any, ...], gives: object) -> None:
    assert call_method(MORNING, name, arguments) == gives


def test_a_day_that_a_month_does_not_have_runs_over() -> None:
    end_of_january = MORNING.replace(day=31)
    assert call_method(end_of_january, "AddDate", (0, 1, 0)) == MORNING.replace(month=3, day=3)


@pytest.mark.parametrize(
    ("name", "arguments", "why"),
    [
        ("Format", (), r"Format of a time takes \(string\)"),
        ("AddDate", (0, 1.0, 0), r"AddDate of a time takes \(int, int, int\)"),
        ("Before", ("x",), r"Before of a time takes \(time\)"),
        ("Year", (1,), r"Year of a time takes \(\)"),
        ("Location", (), "times have no method 'Location' here, only AddDate, After, Before"),
        ("Truncate", (1,), "times have no method 'Truncate' here"),
        ("AddDate", (99999, 0, 0), "AddDate leads to a time out of range"),
        ("AddDate", (0, 0, 10**18), "AddDate leads to a time out of range"),
    ],
)
def test_call_method_says_what_is_wrong(name: str, arguments: tuple[Any, ...], why: str) -> None:
    with pytest.raises(TemplateFault, match=why):
        call_method(MORNING, name, arguments)


def test_times_that_differ_by_a_nanosecond() -> None:
    later = NanosecondTime.of(MORNING, 1)
    assert call_method(later, "After", (MORNING,))
    assert call_method(MORNING, "Before", (later,))
    assert not call_method(MORNING, "Equal", (later,))
    assert call_method(later, "Sub", (MORNING,)) == 1
    assert not call_method(NanosecondTime.of(datetime.min.replace(tzinfo=UTC), 1), "IsZero", ())
