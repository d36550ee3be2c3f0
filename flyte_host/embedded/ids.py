"""Ids of actions, executions and flow versions.

Owns their form: 24 hexadecimal digits that sort by time, like MongoDB's object ids.
"""

import itertools
import secrets
from datetime import UTC, datetime

from flyte_host.clock import Clock


def made_at(identity: str) -> datetime | None:
    """When an id was made, to the second; None if it has another form."""
    try:
        return datetime.fromtimestamp(int(identity[:8], 16), UTC)
    except ValueError:
        return None


class Ids:
    """Makes ids of seconds, the process's random part and a counter; safe from any thread."""

    def __init__(self, clock: Clock) -> None:
        self._now = clock.now
        self._process = secrets.token_hex(5)
        self._counter = itertools.count(secrets.randbelow(1 << 23))

    def next(self) -> str:
        seconds = int(self._now().timestamp()) & 0xFFFFFFFF
        return f"{seconds:08x}{self._process}{next(self._counter) & 0xFFFFFF:06x}"
