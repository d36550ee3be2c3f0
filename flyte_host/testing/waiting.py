"""Waiting for a condition instead of sleeping.

Owns the wait, and what it says when the condition never holds.
"""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

SHARE = 0.05
MOST_SECONDS = 0.25
"""The next look comes after this share of the wait so far, and after this long at most."""

PATIENCE_SECONDS = 120.0
"""How long a test waits for what must happen: only a hang takes this long."""


def _last_seen(answer: object) -> str:
    return f"; last seen: {answer!r}"


def wait_until(
    condition: Callable[[], T | None],
    what: str,
    *,
    timeout_seconds: float = PATIENCE_SECONDS,
    look_seconds: float = 0.01,
    describe: Callable[[T | None], str] = _last_seen,
) -> T:
    """The first true answer of ``condition``; AssertionError saying ``what`` did not happen.

    ``describe`` turns the last answer into the end of that sentence. The condition is checked
    every ``look_seconds``, and less often the longer it takes.
    """
    __tracebackhide__ = True
    began, pause = time.monotonic(), threading.Event()
    while not (answer := condition()):
        waited = time.monotonic() - began
        if waited >= timeout_seconds:
            raise AssertionError(f"not within {timeout_seconds:g} s: {what}{describe(answer)}")
        pause.wait(max(look_seconds, min(waited * SHARE, MOST_SECONDS)))
    return answer
