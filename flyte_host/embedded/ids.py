"""Ids of actions, executions and flow versions.

Owns their form: 24 hexadecimal digits that sort by time, like MongoDB's object ids.
"""

import itertools
import secrets

from flyte_host.clock import Clock


class Ids:
    """Makes ids of seconds, a random part of this process, and a counter; safe from any thread."""

    def __init__(self, clock: Clock) -> None:
        self._now = clock.now
        self._process = secrets.token_hex(5)
        self._counter = itertools.count(secrets.randbelow(1 << 23))

    def next(self) -> str:
        seconds = int(self._now().timestamp()) & 0xFFFFFFFF
        return f"{seconds:08x}{self._process}{next(self._counter) & 0xFFFFFF:06x}"
