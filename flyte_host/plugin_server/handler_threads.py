"""The threads that handlers run in.

A handler gets one without waiting, and unneeded ones end. Must not know what runs
in them.
"""

import threading
from collections import deque
from collections.abc import Callable

from flyte_host.thread_watch import ThreadWatch

IDLE_SECONDS = 1.0
"""How long a thread waits for the next handler: starting one costs more than most handlers."""


class HandlerThreads:
    """As many as there are handlers at a time; a handler that hangs keeps its own.

    One thread is woken at a time, and wakes the next one before it runs a handler, if more wait:
    quick handlers end before that one gets going. ``idle`` is how many wait for the next handler.
    ``watch`` is told of one that something ends: a handler may count on it.
    """

    def __init__(self, watch: ThreadWatch, idle_seconds: float = IDLE_SECONDS) -> None:
        self._watch = watch
        self._idle_seconds = idle_seconds
        self._lock = threading.Lock()
        self._calls: deque[tuple[Callable[[], None], str]] = deque()
        self._places: list[threading.Condition] = []
        self._is_one_coming = False
        self.idle = 0

    def start(self, call: Callable[[], None], name: str) -> None:
        """Have it run, in a thread with this name; raises RuntimeError if no thread can start."""
        with self._lock:
            was_idle = self.idle > 0
            if was_idle:
                self.idle -= 1
        if not was_idle:  # not with the call: a thread keeps its arguments while it lives
            self._watch.make_thread(self._run, name).start()
        with self._lock:
            self._calls.append((call, name))  # each has a thread that is not idle for it
            self._call_one()

    def _run(self) -> None:
        thread = threading.current_thread()
        while (found := self._next()) is not None:
            call, thread.name = found
            call()
            del found, call  # an idle thread keeps nothing of the handler's
            with self._lock:
                self.idle += 1

    def _next(self) -> tuple[Callable[[], None], str] | None:
        """The next call, or None when none came in time."""
        with self._lock:
            while not self._calls:
                if not self._wait() and self.idle > 0:  # else a call is on its way here
                    self.idle -= 1
                    return None
            found = self._calls.popleft()
            if self._calls:
                self._call_one()
            return found

    def _wait(self) -> bool:
        """With the lock held: wait until called, or until it has been idle for long."""
        place = threading.Condition(self._lock)
        self._places.append(place)
        place.wait(self._idle_seconds)
        if place in self._places:
            self._places.remove(place)
            return False
        self._is_one_coming = False
        return True

    def _call_one(self) -> None:
        """With the lock held: have a thread look, unless one comes already or all are awake."""
        if self._places and not self._is_one_coming:
            self._is_one_coming = True
            self._places.pop().notify()
