"""Go's time layouts."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from flyte_host.embedded.pongo2.times import (
    METHODS,
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
            "05.678 05,6 05.678 .6780000000",
            "09.000 09 09 .0000000000",
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
    assert format_time(MORNING.replace(tzinfo=timezone(timedelta(hours=2))), "MST") == "+02"


def test_methods_without_arguments() -> None:
    assert {name: method(EVENING) for name, method in METHODS.items()} == {
        "Year": 2018,
        "Month": 11,
        "Day": 14,
        "Hour": 23,
        "Minute": 0,
        "Second": 9,
        "YearDay": 318,
        "Weekday": 3,
        "Unix": 1542249009,
    }
