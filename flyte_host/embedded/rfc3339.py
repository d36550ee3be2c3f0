"""Times as text: RFC 3339, as Go reads and writes it."""

import re
from datetime import UTC, datetime, timedelta, timezone

from flyte_host.embedded.codec import BadDocument
from flyte_host.embedded.pongo2.nanosecond_time import with_nanoseconds

ZERO_TIME = "0001-01-01T00:00:00Z"

_RFC3339 = re.compile(
    r"(\d{4}-\d\d-\d\d)T(\d\d?)(:\d\d:\d\d)(?:[.,](\d+))?(?:Z|([+-])(\d\d):(\d\d))", re.ASCII
)
_DAY = timedelta(days=1)


def read_time(text: str) -> datetime | None:
    """The time in ``text`` with its zone; ``None`` for Go's zero time.

    As in Go, the hour may have one digit and a zone may be off by days. Raises
    :class:`BadDocument`.
    """
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise BadDocument(
            f"{text[:60]!r} is not an RFC 3339 time with a zone, such as 2026-11-23T21:00:00.5Z"
        )
    date, hour, rest, fraction, sign, zone_hours, zone_minutes = match.groups()
    offset = timedelta(hours=int(zone_hours or 0), minutes=int(zone_minutes or 0))
    offset = -offset if sign == "-" else offset
    digits = f"{fraction or '0':0<9}"
    beyond = int(digits[6:9])
    try:
        local = datetime.fromisoformat(f"{date}T{hour:0>2}{rest}.{digits[:6]}")
        utc = local.replace(tzinfo=UTC) - offset
        zoned = utc.astimezone(timezone(offset)) if offset and abs(offset) < _DAY else utc
    except (ValueError, OverflowError) as error:
        raise BadDocument(f"{text[:60]!r} is not a time: {error}") from None
    is_zero = utc == datetime.min.replace(tzinfo=UTC) and not beyond
    return None if is_zero else with_nanoseconds(zoned, beyond)


def write_time(time: datetime) -> str:
    """RFC 3339 in UTC, without zeros at the end of the fraction, as in Go."""
    text = time.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds")
    return text.rstrip("0").rstrip(".") + "Z"
