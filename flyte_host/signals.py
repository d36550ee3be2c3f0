"""How a process that serves is asked to stop.

Owns SIGTERM and SIGINT: the first one is a request, the second one ends at once, and the process
ends as the signal would have ended it. Must not know what stops.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Asked:
    """The signals that came so far; :meth:`wait` returns once there is one."""

    def __init__(self, woken_by: int) -> None:
        self.numbers: list[int] = []
        self._woken_by = woken_by

    def wait(self) -> None:
        """In the main thread, which runs the handlers of signals before it looks again.

        It reads from a pipe that the signal itself writes to: a signal that comes just before a
        wait for a lock, or in another thread, does not end that wait.
        """
        while not self.numbers:
            os.read(self._woken_by, 1)


@contextmanager
def stop_asked() -> Iterator[Asked]:
    """Wait for the first signal inside; raise that signal again when all is done."""
    woken_by, wakes = os.pipe()
    os.set_blocking(wakes, False)
    asked = Asked(woken_by)

    def handle(number: int, _frame: FrameType | None) -> None:
        if asked.numbers:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            os._exit(_status(number))
        asked.numbers.append(number)

    before = signal.set_wakeup_fd(wakes, warn_on_full_buffer=False)
    numbers = (signal.SIGTERM, signal.SIGINT)
    previous = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield asked
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(before)
        os.close(woken_by)
        os.close(wakes)
    if asked.numbers:
        _raise_again(asked.numbers[0])


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
