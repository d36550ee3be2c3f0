"""A host that has a process to itself: served until a signal.

Owns the order in which that process starts, drains and ends. Must not know what a host is made of.
"""

import logging
import threading
from collections.abc import Callable

from flyte_host.foreign_code import place_of_thread
from flyte_host.garbage import collect_less
from flyte_host.host.host import Host
from flyte_host.host.shutdown import StopRequest, catch_stop
from flyte_host.text import counted

log = logging.getLogger(__name__)

OVERDUE_SECONDS = 0.65
"""How long after the drain's deadline the process ends, whatever hangs."""


def serve_host(
    host: Host, *, strict: bool = False, when_started: Callable[[], None] | None = None
) -> None:
    """Run until a signal asks for a stop, drain, then end by it; a second one ends at once.

    A host that lost a thread drains too; then the process ends with an exit code of 1.
    """
    with catch_stop() as request:
        host.watch.when_lost(request.fail)
        _start(host, request, when_started, strict=strict)
        request.end_within(host.drain_seconds + OVERDUE_SECONDS, _tell_overdue)
        host.schedule.stop()
        log.info("stopping: no more actions are taken, running ones may finish")
        left = host.stop()
        log.info("stopped%s", _left_in_words(left))
        request.end_if_failed(host.watch.problem)


def _left_in_words(left: int) -> str:
    if not left:
        return ""
    return f"; {counted(left, 'entry waits', 'entries wait')} in the journal"


def _start(
    host: Host, request: StopRequest, when_started: Callable[[], None] | None, *, strict: bool
) -> None:
    """Start, and return when a stop is requested, even before the start has ended."""
    problems: list[BaseException] = []

    def start() -> None:
        try:
            host.start(strict=strict)
            collect_less()
            if when_started is not None:
                when_started()
        except BaseException as error:  # in a thread, nobody would hear of it
            problems.append(error)
            request.set()

    # The main thread gets the signals: it must not be where a plugin hangs.
    threading.Thread(target=start, name="start", daemon=True).start()
    request.wait()
    if problems and request.caught is None:
        raise problems[0]


def _tell_overdue() -> None:
    place = place_of_thread(threading.main_thread())
    log.critical(
        "the host did not stop in time%s: ending it; the journal keeps unfinished work", place
    )
