"""The event loops of coroutine handlers: one for each pack that has some.

Owns which pack has which loop, and who looks that they turn. Must not know what runs on them. A
coroutine that does not yield keeps the others on its loop from going on: they are of its own pack.
"""

import threading

from flyte_host.clock import Clock
from flyte_host.counters import Counters
from flyte_host.pipeline.handlers.loop_watch import LoopWatch
from flyte_host.pipeline.handlers.loop_watchdog import LoopWatchdog
from flyte_host.pipeline.handlers.pack_loop import PackLoop
from flyte_host.thread_watch import ThreadWatch


class Coroutines:
    """Safe to use from any thread."""

    def __init__(self, clock: Clock, counters: Counters, watch: ThreadWatch) -> None:
        self._clock = clock
        self._counters = counters
        self._watch = watch
        self._lock = threading.Lock()
        self._loops: dict[str, PackLoop] = {}
        self._watches: dict[str, LoopWatch] = {}
        self._watchdog = LoopWatchdog(self._watch)

    @property
    def problems(self) -> list[str]:
        """What blocks loops, in words."""
        return [problem for each in list(self._watches.values()) if (problem := each.problem)]

    @property
    def threads(self) -> list[threading.Thread]:
        """Those of the loops; none before a handler needed one."""
        return [each.thread for each in list(self._loops.values())]

    def problem_of(self, pack_key: str) -> str:
        """What blocks the loop of a pack; empty while it turns."""
        watch = self._watches.get(pack_key)
        return "" if watch is None else watch.problem

    def loop_of(self, pack_key: str) -> PackLoop:
        """The loop of a pack, started when its first handler needs it.

        Raises RuntimeError if no thread can be started: the next handler tries again.
        """
        with self._lock:
            if pack_key not in self._loops:
                self._watchdog.start()
                self._loops[pack_key] = self._start(pack_key)
            return self._loops[pack_key]

    def _start(self, pack_key: str) -> PackLoop:
        made = PackLoop(pack_key, self._watch)
        made.start()
        watch = LoopWatch(pack_key, made.loop, made.thread, self._clock, self._counters)
        self._watches[pack_key] = watch
        self._watchdog.watch(watch)
        return made

    def close(self, wait_seconds: float) -> None:
        """End all loops within that time; handlers that still run are left to the process's end."""
        self._watchdog.stop()
        deadline = self._clock.monotonic() + wait_seconds
        loops = list(self._loops.values())
        for each in loops:
            each.ask_to_stop()
        for each in loops:
            each.wait(max(0.0, deadline - self._clock.monotonic()))
