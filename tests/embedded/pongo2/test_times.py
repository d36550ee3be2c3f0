"""Go's time layouts, RFC 3339 and cron expressions."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from flyte_host.embedded.pongo2.times import (
    METHODS,
    formatted,
    matches_cron,
    parse_rfc3339,
    time_text,
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
    assert formatted(MORNING, layout) == morning
    assert formatted(EVENING, layout) == evening


def test_a_time_prints_as_in_go() -> None:
    assert time_text(MORNING) == "2006-01-02 03:04:05.678 +0000 UTC"
    assert time_text(MORNING.replace(tzinfo=None)) == "2006-01-02 03:04:05.678 +0000 UTC"
    assert time_text(EVENING) == "2018-11-14 23:00:09 -0330 -0330"
    assert formatted(MORNING.replace(tzinfo=timezone(timedelta(hours=2))), "MST") == "+02"


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


@pytest.mark.parametrize(
    "text",
    [
        "",
        "today",
        "2018-02-14",
        "2018-02-14 23:18:09Z",
        "2018-02-14T23:18:09",
        "2018-13-14T23:18:09Z",
        "2018-02-14T23:18Z",
        "2018-02-14T23:18:09+0100",
        "2018-02-14T23:18:09Z ",
    ],
)
def test_what_is_no_rfc3339_is_named(text: str) -> None:
    with pytest.raises(ValueError, match="is no time of RFC 3339, like 2018") as caught:
        parse_rfc3339(text)
    assert repr(text) in str(caught.value)


def test_rfc3339_may_have_any_fraction() -> None:
    assert parse_rfc3339("2018-02-14T23:18:09.0481031Z") == datetime(
        2018, 2, 14, 23, 18, 9, tzinfo=UTC
    )


@pytest.mark.parametrize(
    ("time", "expression", "fits"),
    [
        ("2018-02-14T23:18:09.0481031Z", "18 23 * * *", True),
        ("2018-02-14T23:18:59Z", "18 23 * * *", True),
        ("2018-02-14T23:19:00Z", "18 23 * * *", False),
        ("2018-02-14T23:18:00+05:00", "18 23 14 2 *", True),
        ("2018-02-14T23:18:00Z", "*/2 20-23 * FEB wed", True),
        ("2018-02-14T23:18:00Z", "* * ? * MON,WED", True),
        ("2018-02-14T23:18:00Z", "* * * * 2", False),
        ("2018-02-14T23:18:00Z", "18 23 * * * 2018", True),
        ("2018-02-14T23:18:00Z", "18 23 * * * 2019", False),
        ("2018-02-14T23:18:00Z", "18 23 * * * 2010,2016-2020/2", True),
        ("2018-02-14T23:18:00Z", "18 23 * * * */4", False),
        ("2018-02-14T23:18:00Z", "18 23 * * * ?", True),
        ("2018-02-14T23:18:00Z", "18 23 * * * 2014/4", True),
        ("2018-02-14T00:00:00Z", "@daily", True),
        ("2018-02-14T00:01:00Z", " @daily ", False),
        ("2018-02-14T23:18:00Z", "@always", True),
        ("2018-02-14T23:15:00Z", "@15minutes", True),
        ("0001-01-01T00:00:00Z", "* * * * *", True),
        ("9999-12-31T23:59:00Z", "59 23 31 12 FRI", True),
    ],
)
def test_cron(time: str, expression: str, fits: bool) -> None:
    assert matches_cron(parse_rfc3339(time), expression) is fits


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("no cron at all here", "Bad minute"),
        ("* * * *", "5 fields, 6 with the year, or one of @yearly"),
        ("* * * * * * *", "5 fields"),
        ("@never", "5 fields"),
        ("60 * * * *", "Bad minute"),
        ("* * * * * 20xx", "bad year '20xx'"),
        ("* " * 1000, "5 fields"),
    ],
)
def test_a_bad_cron_expression_is_named(expression: str, why: str) -> None:
    with pytest.raises(ValueError, match="is no cron expression") as caught:
        matches_cron(MORNING, expression)
    assert why in str(caught.value)
