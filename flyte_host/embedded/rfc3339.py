"""Times as text: RFC 3339, as Go reads and writes it."""

import re
from datetime import UTC, datetime

from flyte_host.embedded.codec import BadDocument

ZERO_TIME = "0001-01-01T00:00:00Z"

_RFC3339 = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:[.,](\d+))?(Z|[+-]\d\d:\d\d)", re.ASCII)


def read_time(text: str) -> datetime | None:
    """The time in ``text``; ``None`` for Go's zero time. Raises :class:`BadDocument`."""
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise BadDocument(
            f"{text!r} is not an RFC 3339 time with a zone, such as 2026-11-23T21:00:00.5Z"
        )
    try:
        seconds, fraction, zone = match.groups()
        time = datetime.fromisoformat(f"{seconds}.{(fraction or '0')[:6]:0<6}{zone}")
        utc = time.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise BadDocument(f"{text!r} is not a time: {error}") from None
    return None if utc == datetime.min.replace(tzinfo=UTC) else utc


def write_time(time: datetime) -> str:
    """RFC 3339 in UTC, without zeros at the end of the fraction, as in Go."""
    text = time.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds")
    return text.rstrip("0").rstrip(".") + "Z"
