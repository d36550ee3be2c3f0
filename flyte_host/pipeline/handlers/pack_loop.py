"""The event loop of one pack: all its coroutine handlers run on it, and nobody else's.

Owns its thread, and the calls that wait for their first turn on it. Must not know what runs on it.
"""

import asyncio
import itertools
import logging
import threading
from collections.abc import Callable

from flyte_host.foreign_code import headline
from flyte_host.pipeline.handlers.caller import Caller, caller_on
from flyte_host.thread_watch import ThreadWatch

log = logging.getLogger(__name__)

Withdraw = Callable[[], bool]
"""Take a call back; False if the loop has begun it."""


class PackLoop:
    """The loop runs in its own daemon thread; safe to use from any thread."""

    def __init__(self, pack_key: str, watch: ThreadWatch) -> None:
        # Not new_event_loop: it asks the policy, which a plugin may have set for itself.
        self.loop = asyncio.SelectorEventLoop()
        self.thread = watch.make_thread(self._run, f"coroutines of {pack_key}")
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        self._waiting: dict[int, Callable[[], None]] = {}
        self._called = False
        self._is_ending = False

    @property
    def current(self) -> Caller | None:
        """Whose code runs on the loop at this moment."""
        return caller_on(self.thread)

    def start(self) -> None:
        """Run the loop; raises RuntimeError if no thread can be started."""
        try:
            self.thread.start()
        except RuntimeError:
            self.loop.close()
            raise

    def begin(self, call: Callable[[], None]) -> Withdraw:
        """Call it on the loop; raises RuntimeError if that was closed.

        Calls wait here and not in the loop: those that are withdrawn must not pile up in a loop
        that is blocked for days.
        """
        with self._lock:
            if not self._called:
                self.loop.call_soon_threadsafe(self._begin_waiting)
                self._called = True
            number = next(self._numbers)
            self._waiting[number] = call
        return lambda: self._withdraw(number)

    def ask_to_stop(self) -> None:
        """End the loop when it turns next."""
        self._is_ending = True
        if not self._stopped.is_set():
            self.loop.call_soon_threadsafe(self.loop.stop)

    def wait(self, seconds: float) -> None:
        """Wait for its end; handlers that still run are left to the process's end."""
        if self._stopped.wait(seconds) and self.loop.is_closed():
            self.thread.join(seconds)

    def _withdraw(self, number: int) -> bool:
        with self._lock:
            return self._waiting.pop(number, None) is not None

    def _begin_waiting(self) -> None:
        with self._lock:
            waiting, self._waiting, self._called = self._waiting, {}, False
        for call in waiting.values():
            call()

    def _run(self) -> None:
        """Keep the loop running until :meth:`ask_to_stop`, whatever a handler's task does.

        After ``sys.exit()`` or ``loop.stop()`` in one, asyncio would end it for all.

        When the loop is stopped while handlers are running, this thread stays and keeps them.
        Python closes a coroutine that it collects, and one that swallows even that would run on
        forever in whichever thread collects it.
        """
        while True:
            try:
                self.loop.run_forever()
            except BaseException as error:
                log.warning("a task of a handler %s", headline(error))
            else:
                if self._is_ending:
                    break
                log.warning("a handler stopped the event loop of its pack; restarting it")
        kept = asyncio.all_tasks(self.loop)
        if not kept:
            self.loop.close()
        self._stopped.set()
        if kept:
            threading.Event().wait()
