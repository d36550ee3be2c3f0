"""How a process that serves is asked to stop, and that it does.

Owns SIGTERM and SIGINT: the first one is a request, the second one ends at once, and the process
ends as the signal would have ended it, in time whatever hangs. Must not know what stops.
"""

import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NoReturn

NUMBERS = (signal.SIGTERM, signal.SIGINT)
TELL_SECONDS = 0.1
"""How long a process that is overdue may take to say so: stderr may be what hangs."""


class StopRequest:
    """Whether a stop was asked for: at the first signal, or by :meth:`set`."""

    def __init__(self) -> None:
        self.caught: int | None = None
        self._over = threading.Event()
        self._reads, self._writes = socket.socketpair()
        self._writes.setblocking(False)
        self._wakeup = signal.set_wakeup_fd(self._writes.fileno(), warn_on_full_buffer=False)

    def set(self) -> None:
        """Ask for a stop from within, in any thread."""
        with suppress(OSError):  # it is over
            self._writes.send(b"\0")

    def wait(self) -> None:
        """Return when a stop is asked for; in the main thread, which hears the signals.

        The byte comes whichever thread the kernel gave the signal to; a wait for a lock in the main
        thread would go on if it was another.
        """
        while self._reads.recv(1)[0] not in {0, *NUMBERS}:
            pass  # a signal that somebody else wants, such as SIGCHLD

    def end_within(
        self, seconds: float, tell: Callable[[], None], *, tell_seconds: float = TELL_SECONDS
    ) -> None:
        """Have the process ended as the signal would have, if it still runs so long from now.

        ``tell`` is called before, and may take ``tell_seconds``. Shortly after, the kernel's alarm
        ends a process in which not even that thread gets to run, because an extension keeps the
        interpreter to itself. Call it in the main thread.
        """
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, seconds + 1.5 * tell_seconds)
        overdue = threading.Thread(
            target=self._overdue, args=(seconds, tell, tell_seconds), name="overdue", daemon=True
        )
        overdue.start()

    def over(self) -> None:
        """What was to end has ended."""
        self._over.set()
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.set_wakeup_fd(self._wakeup)
        self._reads.close()
        self._writes.close()

    def _overdue(self, seconds: float, tell: Callable[[], None], tell_seconds: float) -> None:
        if self._over.wait(seconds):
            return
        telling = threading.Thread(target=tell, name="overdue-tells", daemon=True)
        telling.start()
        telling.join(tell_seconds)
        number = self.caught or signal.SIGTERM
        os.kill(os.getpid(), number)
        os._exit(_status(number))


@contextmanager
def stop_asked() -> Iterator[StopRequest]:
    """Hear the first signal; raise it again when all is done."""
    asked = StopRequest()

    def handle(number: int, _frame: FrameType | None) -> None:
        if asked.caught is not None:  # only of process 1 of a container: no default ends it
            os._exit(_status(number))
        asked.caught = number
        if os.getpid() != 1:
            for each in NUMBERS:  # the next one is the kernel's, however busy the interpreter is
                signal.signal(each, signal.SIG_DFL)

    previous = {number: signal.signal(number, handle) for number in NUMBERS}
    alarm = signal.getsignal(signal.SIGALRM) or signal.SIG_DFL
    done = False
    try:
        yield asked
        done = True
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        if done and asked.caught is not None:
            _raise_again(asked.caught)
        asked.over()  # not before: what is overdue counts until the process is gone
        signal.signal(signal.SIGALRM, alarm)


def end(status: int) -> NoReturn:
    """End now, with all that was written, but without those threads that Python would wait for."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # nobody reads it any more, or it is closed
            stream.flush()
    os._exit(status)


def _raise_again(number: int) -> None:
    """End as the signal does, so that the parent sees the truth; a caller's own handler has it."""
    if signal.getsignal(number) is signal.default_int_handler:
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    if signal.getsignal(number) is signal.SIG_DFL:
        end(_status(number))


def _status(number: int) -> int:
    """What a shell calls such an end: for process 1 of a container, which no signal ends."""
    return 128 + number
