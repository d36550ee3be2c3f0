"""The threads that handlers run in.

Owns that a handler finds one at once, and that one which is not needed ends. Must not know what
runs in them.
"""

import queue
import threading
from collections.abc import Callable

IDLE_SECONDS = 1.0
"""How long a thread waits for the next handler: to start one costs more than most handlers."""


class HandlerThreads:
    """As many as there are handlers at a time; a handler that hangs keeps its own.

    ``idle`` is how many wait for the next one.
    """

    def __init__(self, idle_seconds: float = IDLE_SECONDS) -> None:
        self._idle_seconds = idle_seconds
        self._calls: queue.SimpleQueue[tuple[Callable[[], None], str]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self.idle = 0

    def start(self, call: Callable[[], None], name: str) -> None:
        """Have it run, in a thread with this name; raises RuntimeError if no thread can start."""
        with self._lock:
            was_idle = self.idle > 0
            if was_idle:
                self.idle -= 1
        if not was_idle:  # not with the call: a thread keeps its arguments as long as it lives
            threading.Thread(target=self._run, name=name, daemon=True).start()
        self._calls.put((call, name))  # each call in the queue has a thread that waits for it

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
        while True:
            try:
                return self._calls.get(timeout=self._idle_seconds)
            except queue.Empty:
                with self._lock:
                    if self.idle > 0:  # else one was put for a thread that waits: this one
                        self.idle -= 1
                        return None
