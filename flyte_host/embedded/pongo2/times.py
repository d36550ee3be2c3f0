"""Times as Go writes them, and cron expressions.

Owns Go's time layouts, RFC 3339 and whether a time fits a cron expression. Must not know
templates. Raises ValueError with a sentence for people.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from cronsim import CronSim, CronSimError

_GO_DEFAULT = "2006-01-02 15:04:05.999999999 -0700 MST"
_MINUTE = timedelta(minutes=1)

_LAYOUT = re.compile(
    r"January|Jan(?![a-z])|Monday|Mon(?![a-z])|MST|2006|002"
    r"|(?:Z|-)07(?::00:00|0000|:00|00|)|PM|pm|15|0[1-6]"
    r"|_(?=2006)|__2|_2|[.,](?:0+|9+)(?![0-9])|[1-5]"
)
_MONTHS = "January February March April May June July August September October November December"
_DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday"

_RFC3339 = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)([.,]\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII)
_CRON_MACROS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
    "@always": "* * * * *",
    "@5minutes": "*/5 * * * *",
    "@10minutes": "*/10 * * * *",
    "@15minutes": "*/15 * * * *",
    "@30minutes": "0,30 * * * *",
}
_CRON_FIELDS = (5, 6)
_LONGEST_CRON = 1000
_YEARS = re.compile(r"(?:\*|(\d{4})(?:-(\d{4}))?)(?:/(\d{1,4}))?", re.ASCII)


def _zoned(time: datetime) -> datetime:
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _offset(time: datetime, style: str) -> str:
    seconds = int((time.utcoffset() or timedelta()).total_seconds())
    if style.startswith("Z") and not seconds:
        return "Z"
    hours, rest = divmod(abs(seconds), 3600)
    parts = [f"{hours:02}", f"{rest // 60:02}", f"{rest % 60:02}"]
    shown = len(style.replace(":", "")) // 2
    separator = ":" if ":" in style else ""
    return ("-" if seconds < 0 else "+") + separator.join(parts[:shown])


def _zone_name(time: datetime) -> str:
    return "UTC" if not time.utcoffset() else _offset(time, "-07" if _on_hour(time) else "-0700")


def _on_hour(time: datetime) -> bool:
    return not (time.utcoffset() or timedelta()) % timedelta(hours=1)


def _fraction(time: datetime, style: str) -> str:
    digits = f"{time.microsecond:06}".ljust(9, "0")[: len(style) - 1].ljust(len(style) - 1, "0")
    if "0" in style:
        return style[0] + digits
    kept = digits.rstrip("0")
    return style[0] + kept if kept else ""


_PARTS: dict[str, Callable[[datetime], object]] = {
    "January": lambda time: _MONTHS.split()[time.month - 1],
    "Jan": lambda time: _MONTHS.split()[time.month - 1][:3],
    "Monday": lambda time: _DAYS.split()[time.weekday()],
    "Mon": lambda time: _DAYS.split()[time.weekday()][:3],
    "MST": _zone_name,
    "2006": lambda time: f"{time.year:04}",
    "06": lambda time: f"{time.year % 100:02}",
    "01": lambda time: f"{time.month:02}",
    "1": lambda time: time.month,
    "002": lambda time: f"{time.timetuple().tm_yday:03}",
    "__2": lambda time: f"{time.timetuple().tm_yday:3}",
    "02": lambda time: f"{time.day:02}",
    "_2": lambda time: f"{time.day:2}",
    "2": lambda time: time.day,
    "15": lambda time: f"{time.hour:02}",
    "03": lambda time: f"{(time.hour - 1) % 12 + 1:02}",
    "3": lambda time: (time.hour - 1) % 12 + 1,
    "04": lambda time: f"{time.minute:02}",
    "4": lambda time: time.minute,
    "05": lambda time: f"{time.second:02}",
    "5": lambda time: time.second,
    "PM": lambda time: "PM" if time.hour >= 12 else "AM",
    "pm": lambda time: "pm" if time.hour >= 12 else "am",
    "_": lambda _time: "_",
}


def formatted(time: datetime, layout: str) -> str:
    """The time in a layout of Go's ``time.Format``, e.g. ``02 Jan 2006 15:04``."""
    zoned = _zoned(time)

    def part(found: re.Match[str]) -> str:
        style = found[0]
        if style in _PARTS:
            return str(_PARTS[style](zoned))
        return _fraction(zoned, style) if style[0] in ".," else _offset(zoned, style)

    return _LAYOUT.sub(part, layout)


def time_text(time: datetime) -> str:
    """The time as Go prints it: ``2018-02-14 23:18:09.048 +0000 UTC``."""
    zoned = _zoned(time)
    if zoned.utcoffset():
        return formatted(zoned, _GO_DEFAULT.removesuffix("MST") + "-0700")
    return formatted(zoned, _GO_DEFAULT)


METHODS: dict[str, Callable[[datetime], Any]] = {
    "Year": lambda time: time.year,
    "Month": lambda time: time.month,
    "Day": lambda time: time.day,
    "Hour": lambda time: time.hour,
    "Minute": lambda time: time.minute,
    "Second": lambda time: time.second,
    "YearDay": lambda time: time.timetuple().tm_yday,
    "Weekday": lambda time: time.isoweekday() % 7,
    "Unix": lambda time: int(_zoned(time).timestamp()),
}
"""The methods of Go's time that need no argument: a template may name them like fields."""


def parse_rfc3339(text: str) -> datetime:
    """The time without its fraction of a second."""
    found = _RFC3339.fullmatch(text)
    try:
        if found:
            return datetime.fromisoformat(found[1] + found[3])
    except ValueError:
        pass
    raise ValueError(f"{text[:60]!r} is no time of RFC 3339, like 2018-02-14T23:18:09Z")


def matches_cron(time: datetime, expression: str) -> bool:
    """Whether the minute of ``time`` fits; the fields read its clock as written, zone and all.

    Five fields, or six with the year last, or a macro such as ``@daily``; ``?`` means ``*``.
    """
    fields = _cron_fields(expression)
    in_year = len(fields) < 6 or _year_fits(time.year, fields[5], expression)
    # The calendar repeats every 400 years; so there is always a minute before and a next one.
    alike = time.replace(year=2000 + time.year % 400)
    minute = alike.replace(second=0, microsecond=0, tzinfo=None)
    try:
        occurrences = CronSim(" ".join(fields[:5]), minute - _MINUTE)
        return in_year and next(occurrences, None) == minute
    except CronSimError as error:
        raise ValueError(f"{expression[:60]!r} is no cron expression: {error}") from None


def _cron_fields(expression: str) -> list[str]:
    fields = _CRON_MACROS.get(expression.strip(), expression[:_LONGEST_CRON]).split()
    if len(fields) not in _CRON_FIELDS:
        raise ValueError(
            f"{expression[:60]!r} is no cron expression: 5 fields, 6 with the year, or one of"
            f" {', '.join(_CRON_MACROS)} are expected"
        )
    return ["*" if field == "?" else field for field in fields]


def _year_fits(year: int, field: str, expression: str) -> bool:
    found = [_YEARS.fullmatch(part) for part in field.replace("?", "*").split(",")]
    if not all(found):
        raise ValueError(f"{expression[:60]!r} is no cron expression: bad year {field[:20]!r}")
    return any(_in_range(year, *match.groups()) for match in found if match)


def _in_range(year: int, first: str | None, last: str | None, step: str | None) -> bool:
    start = int(first or 0)
    end = int(last or (first if first and not step else 9999))
    return start <= year <= end and (year - start) % max(int(step or 1), 1) == 0
