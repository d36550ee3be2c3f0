"""Calls something at a time unless it is cancelled first.

Owns one thread for all deadlines of a host. Must not know what happens at a deadline.
"""

import heapq
import itertools
import logging
import math
import threading
from collections.abc import Callable
from datetime import datetime

from flyte_host.clock import Clock
from flyte_host.thread_watch import ThreadWatch

log = logging.getLogger(__name__)

Cancel = Callable[[], None]


class Deadlines:
    """A separate timer, not the event loop's: a coroutine that blocks must not stop the clock."""

    def __init__(self, clock: Clock, watch: ThreadWatch) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._heap: list[tuple[float, int]] = []
        self._callbacks: dict[int, Callable[[], None]] = {}
        self._numbers = itertools.count()
        self._wakes_at = math.inf
        self._closed = False
        self.thread = watch.make_thread(self._run, "deadlines", runs_again=True)

    def start(self) -> None:
        """Watch the clock."""
        self.thread.start()

    def at(self, when: datetime, callback: Callable[[], None]) -> Cancel:
        """Like :meth:`after`, at a time of day."""
        return self.after((when - self._clock.now()).total_seconds(), callback)

    def after(self, seconds: float, callback: Callable[[], None]) -> Cancel:
        """Call back once after these seconds; calling the returned function prevents it.

        The thread wakes only for a deadline that comes before the one it waits for. It finds those
        cancelled when their time has come: most are, and waking it for each would cost more.
        """
        at = self._clock.monotonic() + seconds
        with self._changed:
            number = next(self._numbers)
            self._callbacks[number] = callback
            heapq.heappush(self._heap, (at, number))
            if at < self._wakes_at:
                self._changed.notify()
        return lambda: self._cancel(number)

    def close(self, wait_seconds: float = 1.0) -> None:
        """Forget all deadlines and end the thread, unless a callback keeps it longer than that."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self.thread.is_alive():
            self.thread.join(wait_seconds)

    def _cancel(self, number: int) -> None:
        with self._changed:
            self._callbacks.pop(number, None)
            if len(self._heap) > 64 + 4 * len(self._callbacks):
                self._heap = [each for each in self._heap if each[1] in self._callbacks]
                heapq.heapify(self._heap)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._wait_for_next()
                if self._closed:
                    return
                _, number = heapq.heappop(self._heap)
                callback = self._callbacks.pop(number, None)
            if callback is None:  # it was cancelled
                continue
            try:
                callback()
            except BaseException:  # the deadlines of all others depend on this thread
                log.exception("internal error while enforcing a deadline")

    def _wait_for_next(self) -> None:
        while not self._closed:
            self._wakes_at = self._heap[0][0] if self._heap else math.inf
            wait = self._wakes_at - self._clock.monotonic()
            if wait <= 0:
                return
            self._changed.wait(None if wait == math.inf else wait)
