"""Times as Go writes them: layouts, printing and methods."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from flyte_host.embedded.pongo2.faults import TemplateFault
from flyte_host.embedded.pongo2.nanosecond_time import nanoseconds_of, with_nanoseconds

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ZERO = datetime.min.replace(tzinfo=UTC)
_NAMES: dict[type, str] = {int: "int", str: "string", datetime: "time"}
_GO_DEFAULT = "2006-01-02 15:04:05.999999999 -0700 MST"

_LAYOUT = re.compile(
    r"January|Jan(?![a-z])|Monday|Mon(?![a-z])|MST|2006|002"
    r"|(?:Z|-)07(?::00:00|0000|:00|00|)|PM|pm|15|0[1-6]"
    r"|_(?=2006)|__2|_2|[.,](?:0+|9+)(?![0-9])|[1-5]"
)
_MONTHS = "January February March April May June July August September October November December"
_DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday"


def _with_zone(time: datetime) -> datetime:
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _format_offset(time: datetime, style: str) -> str:
    seconds = int((time.utcoffset() or timedelta()).total_seconds())
    if style.startswith("Z") and not seconds:
        return "Z"
    hours, rest = divmod(abs(seconds), 3600)
    parts = [f"{hours:02}", f"{rest // 60:02}", f"{rest % 60:02}"]
    shown = len(style.replace(":", "")) // 2
    separator = ":" if ":" in style else ""
    return ("-" if seconds < 0 else "+") + separator.join(parts[:shown])


def _name_zone(time: datetime) -> str:
    # A zone of RFC 3339 has no name.
    return _format_offset(time, "-0700") if time.utcoffset() else "UTC"


def _format_fraction(time: datetime, style: str) -> str:
    digits = f"{nanoseconds_of(time):09}"[: len(style) - 1]
    if "0" in style:
        return style[0] + digits
    kept = digits.rstrip("0")
    return style[0] + kept if kept else ""


_PARTS: dict[str, Callable[[datetime], object]] = {
    "January": lambda time: _MONTHS.split()[time.month - 1],
    "Jan": lambda time: _MONTHS.split()[time.month - 1][:3],
    "Monday": lambda time: _DAYS.split()[time.weekday()],
    "Mon": lambda time: _DAYS.split()[time.weekday()][:3],
    "MST": _name_zone,
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


def format_time(time: datetime, layout: str) -> str:
    """Format a time in a layout of Go's ``time.Format``, like ``02 Jan 2006 15:04``."""
    zoned = _with_zone(time)

    def part(found: re.Match[str]) -> str:
        style = found[0]
        if style in _PARTS:
            return str(_PARTS[style](zoned))
        return _format_fraction(zoned, style) if style[0] in ".," else _format_offset(zoned, style)

    return _LAYOUT.sub(part, layout)


def print_time(time: datetime) -> str:
    """Print a time as Go does: ``2018-02-14 23:18:09.048 +0000 UTC``."""
    zoned = _with_zone(time)
    return format_time(zoned, _GO_DEFAULT)


def _add_date(time: datetime, years: int, months: int, days: int) -> datetime:
    # As in Go, a day that a month does not have runs over into the next month.
    year, month = divmod(time.year * 12 + time.month - 1 + years * 12 + months, 12)
    first = time.replace(year=year, month=month + 1, day=1)
    moved = first + timedelta(days=time.day - 1 + days)
    return with_nanoseconds(moved, nanoseconds_of(time) % 1000)


def _unix_nanoseconds(time: datetime) -> int:
    seconds = (time - _EPOCH) // timedelta(seconds=1)
    return seconds * 1_000_000_000 + nanoseconds_of(time)


def _subtract(time: datetime, other: datetime) -> int:
    return _unix_nanoseconds(time) - _unix_nanoseconds(other)


@dataclass(frozen=True, slots=True)
class _TimeMethod:
    """A method of Go's time; ``parameters`` are the types of its arguments."""

    call: Callable[..., Any]
    parameters: tuple[type, ...] = ()


_METHODS = {
    "AddDate": _TimeMethod(_add_date, (int, int, int)),
    "After": _TimeMethod(lambda time, other: _subtract(time, other) > 0, (datetime,)),
    "Before": _TimeMethod(lambda time, other: _subtract(time, other) < 0, (datetime,)),
    "Day": _TimeMethod(lambda time: time.day),
    "Equal": _TimeMethod(lambda time, other: _subtract(time, other) == 0, (datetime,)),
    "Format": _TimeMethod(format_time, (str,)),
    "Hour": _TimeMethod(lambda time: time.hour),
    "IsDST": _TimeMethod(lambda _time: False),  # the zone is an offset, whatever the date
    "IsZero": _TimeMethod(lambda time: not _subtract(time, _ZERO)),
    "Minute": _TimeMethod(lambda time: time.minute),
    "Month": _TimeMethod(lambda time: time.month),
    "Nanosecond": _TimeMethod(nanoseconds_of),
    "Second": _TimeMethod(lambda time: time.second),
    "String": _TimeMethod(print_time),
    "Sub": _TimeMethod(_subtract, (datetime,)),
    "UTC": _TimeMethod(lambda time: time.astimezone(UTC)),
    "Unix": _TimeMethod(lambda time: (time - _EPOCH) // timedelta(seconds=1)),
    "UnixMicro": _TimeMethod(lambda time: _unix_nanoseconds(time) // 1_000),
    "UnixMilli": _TimeMethod(lambda time: _unix_nanoseconds(time) // 1_000_000),
    "UnixNano": _TimeMethod(_unix_nanoseconds),
    "Weekday": _TimeMethod(lambda time: time.isoweekday() % 7),
    "Year": _TimeMethod(lambda time: time.year),
    "YearDay": _TimeMethod(lambda time: time.timetuple().tm_yday),
}
_MISSING = (
    "Add AppendFormat Clock Date GoString GobEncode ISOWeek In Local Location MarshalBinary "
    "MarshalJSON MarshalText Round Truncate Zone ZoneBounds"
)
"""Go's other methods. Templates can call few of them there, and none of them here."""


def _type_of(value: Any) -> type:
    return datetime if isinstance(value, datetime) else type(value)


def call_method(time: datetime, name: str, arguments: tuple[Any, ...]) -> Any:
    """Call a method of Go's time; nil for a name that it does not have.

    A method without parameters may be written like a field.
    """
    method = _METHODS.get(name)
    if method is None:
        if name in _MISSING.split():
            raise TemplateFault(f"times have no method {name!r} here, only {', '.join(_METHODS)}")
        return None
    wanted = ", ".join(_NAMES[each] for each in method.parameters)
    if [_type_of(each) for each in arguments] != list(method.parameters):
        raise TemplateFault(f"{name} of a time takes ({wanted})")
    try:
        zoned = (_with_zone(each) if isinstance(each, datetime) else each for each in arguments)
        return method.call(_with_zone(time), *zoned)
    except (OverflowError, ValueError):
        raise TemplateFault(f"{name} leads to a time out of range") from None
