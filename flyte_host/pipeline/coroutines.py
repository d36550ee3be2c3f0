"""The event loop that all coroutine handlers share.

Owns its thread, from the first handler that needs it to its end, and who looks that it turns. Must
not know what runs on it.
"""

import asyncio
import logging
import threading
from types import FrameType

from flyte_host.clock import Clock
from flyte_host.counters import Counters
from flyte_host.foreign_code import frames_of_thread, headline
from flyte_host.pipeline.loop_watchdog import LoopWatchdog
from flyte_host.thread_watch import ThreadWatch

log = logging.getLogger(__name__)


class Coroutines:
    """The loop runs in a daemon of its own; safe to use from any thread."""

    def __init__(self, clock: Clock, counters: Counters, watch: ThreadWatch | None = None) -> None:
        self._clock = clock
        self._counters = counters
        self._watch = watch or ThreadWatch()
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._stopped = threading.Event()
        self._watchdog: LoopWatchdog | None = None

    @property
    def problem(self) -> str:
        """What blocks the loop; empty while it turns."""
        return "" if self._watchdog is None else self._watchdog.problem

    def frames(self) -> list[FrameType]:
        """Where the loop's thread stands, innermost first."""
        return [] if self._thread is None else frames_of_thread(self._thread)

    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop, started when the first handler needs it."""
        with self._lock:
            if self._loop is None:
                self._loop = self._start()
            return self._loop

    def _start(self) -> asyncio.AbstractEventLoop:
        loop = asyncio.new_event_loop()
        thread = self._watch.make_thread(
            lambda: _run_until_stopped(loop, self._stopped), "coroutines"
        )
        try:
            thread.start()
        except RuntimeError:  # no thread to be had: the next handler tries again
            loop.close()
            raise
        self._thread = thread
        self._watchdog = LoopWatchdog(loop, thread, self._clock, self._counters, watch=self._watch)
        self._watchdog.start()
        return loop

    def close(self, wait_seconds: float) -> None:
        """End the loop; handlers that still run are left to the process's end."""
        if self._watchdog is not None:
            self._watchdog.stop()
        if self._loop is None or self._thread is None or self._stopped.is_set():
            return
        self._loop.call_soon_threadsafe(self._loop.stop)
        if self._stopped.wait(wait_seconds) and self._loop.is_closed():
            self._thread.join(wait_seconds)


def _run_until_stopped(loop: asyncio.AbstractEventLoop, stopped: threading.Event) -> None:
    """Keep the loop running after a task calls ``sys.exit()``: asyncio would end it for everybody.

    When the loop is stopped while handlers are running, this thread stays and keeps them. Python
    closes a coroutine that it collects, and one that swallows even that would run on forever in
    whichever thread collects it.
    """
    while True:
        try:
            loop.run_forever()
        except BaseException as error:
            log.warning("a task of a handler %s", headline(error))
        else:
            break
    kept = asyncio.all_tasks(loop)
    if not kept:
        loop.close()
    stopped.set()
    if kept:
        threading.Event().wait()
