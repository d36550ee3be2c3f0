"""Calls something at a time unless it is cancelled first.

Owns one thread for all deadlines of a host. Must not know what happens at a deadline.
"""

import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable

log = logging.getLogger(__name__)

Cancel = Callable[[], None]


class Deadlines:
    """A timer of its own, not the event loop's: a coroutine that blocks must not stop the clock."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._heap: list[tuple[float, int]] = []
        self._callbacks: dict[int, Callable[[], None]] = {}
        self._numbers = itertools.count()
        self._closed = False
        self.thread = threading.Thread(target=self._run, name="deadlines", daemon=True)
        self.thread.start()

    def after(self, seconds: float, callback: Callable[[], None]) -> Cancel:
        """Call back once in so many seconds; calling the returned function prevents it."""
        with self._changed:
            number = next(self._numbers)
            self._callbacks[number] = callback
            heapq.heappush(self._heap, (self._clock() + seconds, number))
            self._changed.notify()
        return lambda: self._cancel(number)

    def close(self, wait_seconds: float = 1.0) -> None:
        """Forget all deadlines and end the thread, unless a callback keeps it longer than that."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self.thread.join(wait_seconds)

    def _cancel(self, number: int) -> None:
        with self._changed:
            self._callbacks.pop(number, None)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._wait_for_next()
                if self._closed:
                    return
                _, number = heapq.heappop(self._heap)
                callback = self._callbacks.pop(number)
            try:
                callback()
            except Exception:  # the deadlines of all others depend on this thread
                log.exception("what was due at a deadline failed")

    def _wait_for_next(self) -> None:
        while not self._closed:
            while self._heap and self._heap[0][1] not in self._callbacks:
                heapq.heappop(self._heap)
            wait = self._heap[0][0] - self._clock() if self._heap else None
            if wait is not None and wait <= 0:
                return
            self._changed.wait(wait)
