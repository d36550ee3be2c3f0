"""matchesCron's rules: those of gronx v0.2.4, field by field."""

import pytest

from flyte_host.embedded.cron import MACROS, matches_cron, read_clock

VALENTINE = "2018-02-14T23:18:09Z"  # a Wednesday
MIDNIGHT = "2018-02-14T00:00:00Z"
SUNDAY = "2018-02-18T00:00:00Z"


@pytest.mark.parametrize(
    ("time", "expression", "matches"),
    [
        (VALENTINE, "18 23 * * *", True),
        ("2018-02-14T23:18:59.0481031Z", "18 23 * * *", True),
        ("2018-02-14T23:19:00Z", "18 23 * * *", False),
        ("2018-02-14T23:18:00+05:00", "18 23 14 2 *", True),
        (VALENTINE, "*/2 20-23 * FEB wed", True),
        (VALENTINE, "  18\t23  * * *\t", True),
        (VALENTINE, "* * ? * MON,WED", True),
        (VALENTINE, "* * * * 2", False),
        # Both day fields have to match.
        ("2018-07-13T00:00:00Z", "0 0 13 * 5", True),
        ("2018-07-20T00:00:00Z", "0 0 13 * 5", False),
        ("2018-06-13T00:00:00Z", "0 0 13 * 5", False),
        ("2018-02-14T10:00:00Z", "0 10 13 * 3", False),
        # A * in a list is not a number: the day fields and a value of 0 skip it.
        (VALENTINE, "18,* * * * *", True),
        (VALENTINE, "* * *,14 * *", True),
        (VALENTINE, "* * *,13 * *", False),
        (VALENTINE, "* * * * 3,?", True),
        (VALENTINE, "* * * * 2,?", False),
        (MIDNIGHT, "*,0 * * * *", True),
        (MIDNIGHT, "*,1 * * * *", False),
        # A step of * counts from 0; one of a number from that number, up to a limit.
        ("2018-02-01T00:00:00Z", "* * */2 * *", False),
        (VALENTINE, "* * */2 * *", True),
        (VALENTINE, "* * */7 * *", True),
        ("2018-02-15T00:00:00Z", "* * */7 * *", False),
        (VALENTINE, "* * * */3 *", False),
        ("2018-03-14T00:00:00Z", "* * * */3 *", True),
        (VALENTINE, "* * 2/4 * *", True),
        (VALENTINE, "* * 2-10/4 * *", False),
        (VALENTINE, "* * 0/7 * *", True),
        (VALENTINE, "* * 15/1 * *", False),
        (VALENTINE, "* * 1/-1 * *", False),
        # Zero is written 0, and Sunday is never 7.
        (MIDNIGHT, "0 0 * * *", True),
        (MIDNIGHT, "00 0 * * *", False),
        (MIDNIGHT, "1,0 0 * * *", True),
        ("2018-02-14T01:09:00Z", "09 01 * * *", True),
        (SUNDAY, "* * * * 0", True),
        (SUNDAY, "* * * * 7", False),
        (SUNDAY, "* * * * 6-7", False),
        ("2018-02-17T00:00:00Z", "* * * * 6-7", True),
        (SUNDAY, "* * * * SUN-MON", True),
        # What is out of range matches nothing.
        (VALENTINE, "99 * * * *", False),
        (VALENTINE, "* 24 * * *", False),
        (VALENTINE, "* 22-2 * * *", False),
        (VALENTINE, "* * * * 9", False),
        # L, W and # are for days.
        ("2018-02-28T00:00:00Z", "* * L * *", True),
        ("2020-02-28T00:00:00Z", "* * l * *", False),
        ("2018-04-13T00:00:00Z", "* * 14W * *", True),
        ("2018-04-16T00:00:00Z", "* * 15W * *", True),
        ("2018-04-13T00:00:00Z", "* * 15W * *", False),
        ("2018-09-03T00:00:00Z", "* * 1W * *", True),
        ("2018-02-14T00:00:00Z", "* * 1,14W * *", True),
        ("2018-02-14T00:00:00Z", "* * 99W * *", False),
        ("2018-02-28T00:00:00Z", "* * * * 3L", True),
        ("2018-02-21T00:00:00Z", "* * * * wedL", False),
        ("2018-02-25T00:00:00Z", "* * * * 7L", False),
        (VALENTINE, "* * * * 3#3", True),
        (VALENTINE, "* * * * 3#2", False),
        ("2018-02-07T00:00:00Z", "* * * * 3#2", True),
        (SUNDAY, "* * * * 7#3", True),
        (VALENTINE, "* * * * 3#6", False),
        (SUNDAY, "* * * * 07#3", True),
        (SUNDAY, "* * * * 17#3", False),
        (VALENTINE, "18/-2 * * * *", True),
        (VALENTINE, "17-20/-1 * * * *", False),
        (VALENTINE, "0-9223372036854775807 * * * *", True),
        (VALENTINE, "0000000000000000000018 * * * *", True),
        # Words in the day fields match nothing; elsewhere they are errors, if they are reached.
        (VALENTINE, "* * NOON * *", False),
        (VALENTINE, "17 * * foo *", False),
        (VALENTINE, "* * * * * 2018", True),
        (VALENTINE, "* * * * * 2019", False),
        (VALENTINE, "* * * * * 2010,2016-2020/2", True),
        (VALENTINE, "* * * * * */4", False),
        (VALENTINE, "* * * * * ?", True),
        ("0001-01-01T00:00:00Z", "* * * * *", True),
        ("9999-12-31T23:59:00Z", "59 23 31 12 FRI", True),
    ],
)
def test_matches_cron(time: str, expression: str, matches: bool) -> None:
    assert matches_cron(read_clock(time), expression) is matches


@pytest.mark.parametrize("macro", MACROS)
def test_a_macro_is_read_in_any_case(macro: str) -> None:
    new_year = read_clock("2018-01-01T00:00:00Z")
    assert matches_cron(new_year, f" {macro.upper()} ") is (macro != "@weekly")
    assert matches_cron(read_clock(SUNDAY), macro) is (
        macro not in {"@yearly", "@annually", "@monthly"}
    )


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("", "found 1 field(s), expected 5, or 6 with the year, or one of @yearly, @annually"),
        ("* * * *", "found 4 field(s)"),
        ("* * * * * * *", "found 7 field(s)"),
        ("@midnight", "found 1 field(s)"),
        ("* " * 1000, "it is longer than 1,000 characters"),
        ("MINUTE * * * *", "'MINUTE' is not a number"),
        ("-5 * * * *", "'' is not a number"),
        ("1_8 * * * *", "'1_8' is not a number"),
        ("30-noon * * * *", "'NOON' is not a number"),
        ("9223372036854775808 * * * *", "'9223372036854775808' is not a number"),
        ("*,18 * * * *", "'*' is not a number"),
        ("* * * ?,2 *", "'?' is not a number"),
        ("*/0 * * * *", "a step of 0"),
        ("*/ * * * *", "'' is not a number"),
        ("* * * * * 20xx", "'20XX' is not a number"),
        ("* * LW * *", "'L' is not a number"),
        ("* * 5L * *", "'5L' is not a day of the month"),
        ("* * W * *", "'W' is not a day of the month"),
        ("* * * * L", "'L' is not a day of the week"),
        ("* * * * #3", "'#3' is not a day of the week"),
        ("* * * * 3#", "'' is not a number"),
    ],
)
def test_a_bad_expression_is_named(expression: str, why: str) -> None:
    with pytest.raises(ValueError, match="is not a cron expression: ") as caught:
        matches_cron(read_clock(VALENTINE), expression)
    assert why in str(caught.value)


@pytest.mark.parametrize(
    "text", ["2018-02-14T3:18:09Z", "2018-02-14T03:18:09.5+25:00", "2018-02-14T03:18:09,5-05:00"]
)
def test_read_clock_is_as_lenient_as_go(text: str) -> None:
    assert read_clock(text).isoformat() == "2018-02-14T03:18:09"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "today",
        "2018-02-14",
        "2018-02-14 23:18:09Z",
        "2018-02-14T23:18:09",
        "2018-13-14T23:18:09Z",
        "2018-02-30T23:18:09Z",
        "2018-02-14T23:18Z",
        "2018-02-14T23:18:09+0100",
        "2018-02-14T23:18:09Z ",
    ],
)
def test_read_clock_names_what_is_not_a_time(text: str) -> None:
    with pytest.raises(ValueError, match="is not a time of RFC 3339, like 2018") as caught:
        read_clock(text)
    assert repr(text) in str(caught.value)
