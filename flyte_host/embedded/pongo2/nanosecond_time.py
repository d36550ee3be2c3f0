"""Times to the nanosecond, as in Go; Python's stop at microseconds."""

from datetime import datetime, tzinfo
from typing import Self

import msgspec


class NanosecondTime(datetime):
    """A time with the nanoseconds that follow its microseconds, 0 to 999.

    Arithmetic loses them; :func:`with_nanoseconds` puts them back.
    """

    nanoseconds = 0

    @classmethod
    def of(cls, time: datetime, nanoseconds: int) -> Self:
        made = cls.combine(time.date(), time.timetz())
        made.nanoseconds = nanoseconds
        return made

    def astimezone(self, tz: tzinfo | None = None) -> Self:
        return self.of(super().astimezone(tz), self.nanoseconds)


def nanoseconds_of(time: datetime) -> int:
    """The nanoseconds of the current second."""
    return time.microsecond * 1000 + getattr(time, "nanoseconds", 0)


def with_nanoseconds(time: datetime, nanoseconds: int) -> datetime:
    """``time`` with nanoseconds after its microseconds, if there are any."""
    return NanosecondTime.of(time, nanoseconds) if nanoseconds else time


def _to_microseconds(time: NanosecondTime) -> datetime:
    return datetime.combine(time.date(), time.timetz())


JSON_ENCODER = msgspec.json.Encoder(enc_hook=_to_microseconds)
"""Writes times in microseconds, because datetimes are read from no more."""
