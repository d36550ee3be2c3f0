"""Turns SIGTERM, SIGINT and SIGHUP into a stop request and enforces its deadline.

Owns the signals: the first is a request, the second ends the process at once. The process ends as
the signal would have ended it, in time, whatever hangs. Must not know what stops.
"""

import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NoReturn

from flyte_host import forks, logs
from flyte_host.errors import FlyteHostError

log = logging.getLogger(__name__)

NUMBERS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
REPORT_SECONDS = 0.1
"""How long a process that is overdue may take to say so: stderr may be what hangs."""


class StopRequest:
    """Whether a stop was requested: at the first signal, or by :meth:`set`."""

    def __init__(self) -> None:
        self.caught: int | None = None
        self._failed = False
        self._closed = threading.Event()
        self._reads, self._writes = socket.socketpair()
        self._writes.setblocking(False)
        for each in (self._reads, self._writes):
            forks.own_descriptor(each.fileno())
        self._wakeup = signal.set_wakeup_fd(self._writes.fileno(), warn_on_full_buffer=False)

    def set(self) -> None:
        """Ask for a stop from within, in any thread."""
        with suppress(OSError):  # it is closed
            self._writes.send(b"\0")

    def fail(self) -> None:
        """Ask for a stop because the host cannot go on: its end must not look like a success."""
        self._failed = True
        self.set()

    def wait(self) -> None:
        """Return when a stop is requested; in the main thread, which hears the signals.

        A byte arrives whichever thread the kernel gave the signal to; a wait for a lock would
        continue if it was not the main thread.
        """
        while self._reads.recv(1)[0] not in {0, *NUMBERS}:
            pass  # a signal that somebody else wants, such as SIGCHLD

    def end_within(self, seconds: float, report: Callable[[], None]) -> None:
        """End the process as the signal would, if it still runs in ``seconds``.

        ``report`` is called first, and may take a moment. Shortly after, the kernel's alarm ends a
        process in which not even that thread gets to run, because an extension holds the
        interpreter's lock. Call it in the main thread.
        """
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, seconds + 1.5 * REPORT_SECONDS)
        overdue = threading.Thread(
            target=self._overdue,
            args=(seconds, report),
            name="overdue",
            daemon=True,
        )
        overdue.start()

    def end_if_failed(self, problem: str) -> None:
        """End now with exit code 1 if the stop is because of :meth:`fail`, and no signal came."""
        if self._failed and self.caught is None:
            log.error("the exit code is 1, since %s", problem)
            end(FlyteHostError.exit_code)

    def close(self) -> None:
        """What was to end has ended."""
        self._closed.set()
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.set_wakeup_fd(self._wakeup)
        for each in (self._reads, self._writes):
            forks.disown_descriptor(each.fileno())
            each.close()

    def _overdue(self, seconds: float, report: Callable[[], None]) -> None:
        if self._closed.wait(seconds):
            return
        reporting = threading.Thread(
            target=_report_and_flush, args=(report,), name="overdue-reports", daemon=True
        )
        reporting.start()
        reporting.join(REPORT_SECONDS)
        if self._failed and self.caught is None:
            os._exit(FlyteHostError.exit_code)
        number = self.caught or signal.SIGTERM
        os.kill(os.getpid(), number)
        os._exit(_status(number))


@contextmanager
def catch_stop() -> Iterator[StopRequest]:
    """Catch the first signal; raise it again when all is done."""
    request = StopRequest()

    def handle(number: int, _frame: FrameType | None) -> None:
        if request.caught is not None:  # process 1 of a container: no default ends it
            os._exit(_status(number))
        request.caught = number
        if os.getpid() != 1:
            for each in caught:  # the kernel acts on the next one, however busy Python is
                signal.signal(each, signal.SIG_DFL)

    forks.own_signal_handler(handle)
    # nohup ignores SIGHUP: a host that was started under it outlives its terminal.
    caught = [each for each in NUMBERS if each != signal.SIGHUP or not _is_ignored(each)]
    previous = {number: signal.signal(number, handle) for number in caught}
    alarm = signal.getsignal(signal.SIGALRM) or signal.SIG_DFL
    done = False
    try:
        yield request
        done = True
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        if done and request.caught is not None:
            _raise_again(request.caught)
        request.close()  # last: the deadline holds until the process has ended
        signal.signal(signal.SIGALRM, alarm)


def _is_ignored(number: int) -> bool:
    return signal.getsignal(number) is signal.SIG_IGN


def end(status: int) -> NoReturn:
    """End now, with all that was written, but without those threads that Python would wait for."""
    logs.flush_to_all()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # its reader is gone, or it is closed
            stream.flush()
    os._exit(status)


def _report_and_flush(report: Callable[[], None]) -> None:
    report()
    logs.flush(REPORT_SECONDS)


def _raise_again(number: int) -> None:
    """End as the signal does, so that the parent sees the truth; a caller's own handler has it."""
    logs.flush_to_all()
    if signal.getsignal(number) is signal.default_int_handler:
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    if signal.getsignal(number) is signal.SIG_DFL:
        end(_status(number))


def _status(number: int) -> int:
    """What a shell calls such an end: for process 1 of a container, which no signal ends."""
    return 128 + number
