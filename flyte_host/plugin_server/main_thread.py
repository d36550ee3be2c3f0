"""The main thread of a plugin's process.

The plugin is imported there: only the main thread may set signal handlers, and libraries
look for its event loop.
"""

import queue
import threading
from collections.abc import Callable


class MainThread:
    """Runs the calls that it is given, one at a time."""

    def __init__(self) -> None:
        self._calls: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()

    def start(self, run: Callable[[], None]) -> threading.Thread:
        """Have it run there, from any thread; returns at once."""
        self._calls.put(run)
        return threading.main_thread()

    def run(self) -> None:
        """In the main thread, until the process ends."""
        while True:
            self._calls.get()()
