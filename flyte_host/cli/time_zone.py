"""Whether the time zone of the environment is one.

Owns what ``TZ`` may say. The C library silently takes an unknown zone for UTC.
"""

import re
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

from flyte_host.given_file import read_file

POSIX_ZONE = re.compile(r"(?:[A-Za-z]{3,}|<[^>]+>)[+-]?\d")
"""``CET-1CEST`` needs no file."""


def unknown_zone(environ: Mapping[str, str]) -> str:
    """The zone of the environment if it is unknown; else empty."""
    zone = environ.get("TZ", "").removeprefix(":")
    return "" if not zone or POSIX_ZONE.match(zone) or _is_known(zone) else zone


def _is_known(zone: str) -> bool:
    """Whether it is a name that the system has, or the path of a file of a zone."""
    from zoneinfo import ZoneInfo  # noqa: PLC0415  mostly there is no TZ

    try:
        if Path(zone).is_absolute():
            ZoneInfo.from_file(BytesIO(read_file(Path(zone))))
        else:
            ZoneInfo(zone)
    except (KeyError, OSError, ValueError):
        return False
    return True
