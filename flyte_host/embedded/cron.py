"""Whether a time matches a cron expression, by the rules of the Go server's library.

The library is gronx v0.2.4. It decides field by field, from minute to year, and stops at the first
field that does not match, so errors in later fields go unseen. Its fields differ from those of
other crons:

- every field has to match, both day fields included;
- ``*`` and ``?`` stand alone: in a list neither is a number, which fails outside the days;
- a step of ``*`` counts from 0, even in days and months: ``*/7`` is day 7, 14, 21 and 28;
- Sunday is 0 and never 7, and a zero is written ``0``, never ``00``;
- values out of range match nothing;
- ``L`` (last), ``W`` (nearest weekday) and ``#`` (nth weekday) are for days.
"""

import calendar
import re
from datetime import datetime, timedelta

MACROS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@hourly": "0 * * * *",
    "@always": "* * * * *",
    "@5minutes": "*/5 * * * *",
    "@10minutes": "*/10 * * * *",
    "@15minutes": "*/15 * * * *",
    "@30minutes": "0,30 * * * *",
}

_WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_NAMES = {name: str(day) for day, name in enumerate(_WEEKDAYS)} | {
    name: str(month) for month, name in enumerate(_MONTHS, 1)
}
_NAME = re.compile("|".join(_NAMES), re.IGNORECASE)
_SPACES = re.compile(r"[\t\n\f\r ]+")
_INTEGER = re.compile(r"[+-]?[0-9]+")
_LARGEST = 2**63 - 1
_LONGEST = 1000
_LONGEST_CHECKED = 100
_FIRST_DAY = datetime(2024, 1, 1)  # noqa: DTZ001  a clock's face
_DAY, _WEEKDAY = 2, 4
_RFC3339 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T(\d\d?):(\d\d):(\d\d)(?:[.,]\d+)?(?:Z|[+-]\d\d:\d\d)", re.ASCII
)


def read_clock(text: str) -> datetime:
    """The clock time in a time of RFC 3339, without zone and fraction.

    Raises ValueError.
    """
    try:
        if found := _RFC3339.fullmatch(text):
            return datetime(*map(int, found.groups()))  # type: ignore[arg-type]  # noqa: DTZ001
    except ValueError:
        pass
    raise ValueError(f"{text[:60]!r} is not a time of RFC 3339, like 2018-02-14T23:18:09Z")


def matches_cron(clock: datetime, expression: str) -> bool:
    """Whether the minute that a clock shows matches a cron expression.

    Raises ValueError for an invalid expression.
    """
    values = (
        clock.minute,
        clock.hour,
        clock.day,
        clock.month,
        clock.isoweekday() % 7,
        clock.year,
    )
    try:
        fields = _split_fields(expression)
        return all(
            _matches_field(field, position, value, clock)
            for position, (field, value) in enumerate(zip(fields, values, strict=False))
        )
    except ValueError as error:
        raise ValueError(f"{expression[:60]!r} is not a cron expression: {error}") from None


def why_never(expression: str) -> str:
    """Why a cron expression fails or can never match; empty for one that matches some time."""
    if len(expression) > _LONGEST_CHECKED:
        return ""
    try:
        fields = _split_fields(expression)
        idle = [
            part
            for part, field, position, values in zip(
                ("minute", "hour", "month"),
                (fields[0], fields[1], fields[3]),
                (0, 1, 3),
                (range(60), range(24), range(1, 13)),
                strict=True,
            )
            if not _matches_any(field, position, values)
        ] or _idle_days(fields)
    except ValueError as error:
        return f"has {expression!r}, which is not a cron expression: {error}"
    return f"has the cron expression {expression!r}, whose {idle[0]} never matches" if idle else ""


def _matches_any(field: str, position: int, values: range) -> bool:
    # Try all of them, even after a match: any later one may fail.
    matches = [_matches_field(field, position, value, _FIRST_DAY) for value in values]
    return any(matches)


def _idle_days(fields: list[str]) -> list[str]:
    """The day fields that match no day in four years."""
    days = [_FIRST_DAY + timedelta(days=number) for number in range(4 * 365 + 1)]
    months = {month for month in range(1, 13) if _matches_field(fields[3], 3, month, _FIRST_DAY)}
    found = []
    if not any(
        day.month in months and _matches_field(fields[_DAY], _DAY, day.day, day) for day in days
    ):
        found.append("day of the month")
    if not any(
        _matches_field(fields[_WEEKDAY], _WEEKDAY, day.isoweekday() % 7, day) for day in days
    ):
        found.append("day of the week")
    return found


def _split_fields(expression: str) -> list[str]:
    if len(expression) > _LONGEST:
        raise ValueError(f"it is longer than {_LONGEST:,} characters")
    trimmed = expression.strip(" \t")
    written = _SPACES.sub(" ", MACROS.get(trimmed.lower(), trimmed))
    fields = _NAME.sub(lambda found: _NAMES[found[0].upper()], written.upper()).split(" ")
    if len(fields) not in {5, 6}:
        raise ValueError(
            f"found {len(fields)} field(s), expected 5, or 6 with the year, or one of"
            f" {', '.join(MACROS)}"
        )
    return fields


def _matches_field(field: str, position: int, value: int, clock: datetime) -> bool:
    if field in {"*", "?"}:
        return True
    return any(_matches_part(part, position, value, clock) for part in field.split(","))


def _matches_part(part: str, position: int, value: int, clock: datetime) -> bool:
    if position not in {_DAY, _WEEKDAY}:
        return _matches_value(part, value)
    try:
        if _matches_value(part, value):
            return True
    except ValueError:
        # Of the day fields, only those with a letter are read again, and may be wrong.
        pass
    if set(part).isdisjoint("LW#"):
        return False
    return _matches_day(part, clock) if position == _DAY else _matches_weekday(part, clock)


def _matches_value(part: str, value: int) -> bool:
    if "/" in part:
        return _matches_step(part, value)
    if "-" in part:
        first, last = map(_read_number, part.split("-")[:2])
        return first <= value <= last
    if value == 0 or part == "0":
        return value == 0 and part == "0"
    return _read_number(part) == value


def _matches_step(part: str, value: int) -> bool:
    span, digits, *_ = part.split("/")
    step = _read_number(digits)
    if step == 0:
        raise ValueError("a step of 0")
    if span in {"*", "0"}:
        return value % step == 0
    first, *last = span.split("-")
    start = _read_number(first)
    end = _read_number(last[0]) if last else value
    is_reached = value == start or (step > 0 and (value - start) % step == 0)
    return start <= value <= end and is_reached


def _matches_day(part: str, clock: datetime) -> bool:
    last = calendar.monthrange(clock.year, clock.month)[1]
    if part == "L":
        return clock.day == last
    digits, mark, _ = part.partition("W")
    if not mark or not digits:
        raise ValueError(f"{part!r} is not a day of the month")
    wanted = _read_number(digits)
    for day in (wanted, wanted - 1, wanted + 1, wanted - 2, wanted + 2):
        if 0 < day <= last and clock.replace(day=day).isoweekday() < 6:
            return clock.day == day
    return False


def _matches_weekday(part: str, clock: datetime) -> bool:
    digits, mark, _ = part.partition("L")
    if mark and digits:
        return _is_last(_read_number(digits), clock)
    digits, mark, count = part.replace("7#", "0#").partition("#")
    if not mark or not digits:
        raise ValueError(f"{part!r} is not a day of the week")
    weekday = _read_number(digits)
    nth = _read_number(count.partition("#")[0])
    # An integer division, as the library has it: the 7th of a month counts as the second week.
    return clock.isoweekday() % 7 == weekday and 1 <= nth <= 5 and clock.day // 7 == nth - 1


def _is_last(weekday: int, clock: datetime) -> bool:
    last = calendar.monthrange(clock.year, clock.month)[1]
    return clock.isoweekday() % 7 == weekday and clock.day + 7 > last


def _read_number(digits: str) -> int:
    if not _INTEGER.fullmatch(digits) or not -_LARGEST <= (number := int(digits)) <= _LARGEST:
        raise ValueError(f"{digits[:20]!r} is not a number")
    return number
