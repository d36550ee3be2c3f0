"""Looks at the event loops of all packs, in a thread of its own.

Must not know what it takes for a blockage: ``loop_watch`` does.
"""

import sys
import threading

from flyte_host.pipeline.handlers.loop_watch import LoopWatch
from flyte_host.thread_watch import ThreadWatch

LOOK_SECONDS = 0.5


class LoopWatchdog:
    """Looks from the first :meth:`watch` to :meth:`stop`; safe to use from any thread."""

    def __init__(self, watch: ThreadWatch, *, look_seconds: float = LOOK_SECONDS) -> None:
        self._look_seconds = look_seconds
        self._stopped = threading.Event()
        self._watches: list[LoopWatch] = []
        self._thread_watch = watch
        self.thread = self._make_thread()

    def start(self) -> None:
        """Begin to look, if not begun yet. Raises RuntimeError if no thread can be started."""
        if self.thread.ident is None:
            # A new one for each try: Python 3.13 does not start one that it once could not start.
            self.thread = self._make_thread()
            self.thread.start()

    def watch(self, watch: LoopWatch) -> None:
        """Look at one more loop."""
        self._watches.append(watch)

    def stop(self) -> None:
        """Stop looking."""
        self._stopped.set()

    def _make_thread(self) -> threading.Thread:
        return self._thread_watch.make_thread(self._run, "loop-watchdog", runs_again=True)

    def _run(self) -> None:
        while not self._stopped.wait(self._look_seconds):
            frames = sys._current_frames()  # noqa: SLF001  the documented way to it
            for each in list(self._watches):
                try:
                    each.look(frames.get(each.thread.ident or 0))
                except RuntimeError:  # somebody closed the loop
                    self._watches.remove(each)
            del frames  # they keep what the code of others holds
