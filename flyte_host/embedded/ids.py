"""Ids of actions, executions and flow versions.

Owns their form: 24 hexadecimal digits in the order of time, as MongoDB's object ids.
"""

import itertools
import secrets
from collections.abc import Callable
from datetime import datetime


class Ids:
    """Makes ids: seconds, what is this process's alone, a counter. Safe from any thread."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._process = secrets.token_hex(5)
        self._counter = itertools.count(secrets.randbelow(1 << 23))

    def next(self) -> str:
        seconds = int(self._now().timestamp()) & 0xFFFFFFFF
        return f"{seconds:08x}{self._process}{next(self._counter) & 0xFFFFFF:06x}"
