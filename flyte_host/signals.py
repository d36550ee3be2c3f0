"""How a process that serves is asked to stop.

Owns SIGTERM and SIGINT: the first one is a request, the second one ends at once, and the process
ends as the signal would have ended it. Must not know what stops.
"""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def stop_asked() -> Iterator[threading.Event]:
    """Set the event at the first signal; raise that signal again when all is done."""
    asked = threading.Event()
    caught: list[int] = []

    def handle(number: int, _frame: FrameType | None) -> None:
        if asked.is_set():
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            os._exit(_status(number))
        caught.append(number)
        asked.set()

    numbers = (signal.SIGTERM, signal.SIGINT)
    previous = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield asked
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    if caught:
        _raise_again(caught[0])


def _raise_again(number: int) -> None:
    """End as the signal does, so that the parent sees the truth; a caller's own handler has it."""
    if signal.getsignal(number) is signal.default_int_handler:
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    if signal.getsignal(number) is signal.SIG_DFL:
        raise SystemExit(_status(number))


def _status(number: int) -> int:
    """What a shell calls such an end: for process 1 of a container, which no signal ends."""
    return 128 + number
