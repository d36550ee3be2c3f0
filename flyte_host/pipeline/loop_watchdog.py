"""Finds out which coroutine blocks the event loop, and where a handler's call stands.

Owns the thread that looks, and the words for a blockage. Must not know what handlers are for.
"""

import asyncio
import contextvars
import functools
import inspect
import logging
import os
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from types import FrameType
from typing import Any

from flyte_host.clock import Clock
from flyte_host.counters import Counters
from flyte_host.foreign_code import frames_of_thread, place_among
from flyte_host.thread_watch import ThreadWatch

log = logging.getLogger(__name__)

BLOCKED_SECONDS = 1.0
"""A loop that has not turned for this long is blocked: nothing else on it goes on meanwhile."""
LOOK_SECONDS = 0.5
BREATH_SECONDS = 0.1
"""What a process that was stopped as a whole gets before its loop is called blocked."""


@dataclass(frozen=True, slots=True)
class Caller:
    """For whom code runs: a command of a pack, and where its handler's own code lies.

    ``pack_key`` is the pack's name in the configuration.
    """

    pack: str
    command: str
    home: str
    pack_key: str


CALLER: contextvars.ContextVar[Caller] = contextvars.ContextVar("caller")
"""Set in each coroutine handler; its tasks and callbacks inherit it."""


@dataclass(frozen=True, slots=True)
class Blockage:
    """What blocks the loop, and since when; ``who`` is ``pack:command`` and its current line."""

    since: float
    who: str


class LoopWatchdog:
    """Looks at a loop from :meth:`start` to :meth:`stop`, and counts blockages by pack."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        loop_thread: threading.Thread,
        clock: Clock,
        counters: Counters,
        *,
        blocked_seconds: float = BLOCKED_SECONDS,
        watch: ThreadWatch | None = None,
    ) -> None:
        self._loop = loop
        self._loop_thread = loop_thread
        self._clock = clock
        self._counters = counters
        self._blocked_seconds = blocked_seconds
        self._stopped = threading.Event()
        self._turned = threading.Event()
        self._blockage: Blockage | None = None
        watch = watch or ThreadWatch()
        self.thread = watch.make_thread(self._run, "loop-watchdog", runs_again=True)

    @property
    def problem(self) -> str:
        """The blockage of this moment in words; empty if there is none."""
        blockage = self._blockage
        if blockage is None:
            return ""
        return _words(blockage.who, self._clock.monotonic() - blockage.since)

    def start(self) -> None:
        """Begin to look."""
        self.thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._stopped.set()
        self._turned.set()

    def _run(self) -> None:
        self._blockage = None  # one that was told of before this thread ran again
        while not self._stopped.wait(LOOK_SECONDS):
            self._turned = turned = threading.Event()
            since = self._clock.monotonic()
            try:
                self._loop.call_soon_threadsafe(turned.set)
            except RuntimeError:  # the loop was closed
                return
            if not (turned.wait(self._blocked_seconds) or turned.wait(BREATH_SECONDS)):
                self._tell(turned, since)

    def _tell(self, turned: threading.Event, since: float) -> None:
        """Report what blocks the loop, at growing intervals, until it turns."""
        interval = self._blocked_seconds
        caller = _caller_of(frames_of_thread(self._loop_thread))
        self._counters.blocked("" if caller is None else caller.pack_key)
        while not (turned.is_set() or self._stopped.is_set()):
            self._blockage = Blockage(since, self._who())
            log.warning("%s", self.problem)
            interval *= 2
            turned.wait(interval)
        self._blockage = None
        if not self._stopped.is_set():
            log.info("coroutines run again after %.1f s", self._clock.monotonic() - since)

    def _who(self) -> str:
        frames = frames_of_thread(self._loop_thread)
        caller = _caller_of(frames)
        if caller is None:
            return f"a callback of nobody's{place_among(frames)}"
        return f"{caller.pack}:{caller.command}{place_among(frames, caller.home)}"


def _words(who: str, seconds: float) -> str:
    return f"all coroutines have been blocked for {seconds:.1f} s by {who}"


def _caller_of(frames: list[FrameType]) -> Caller | None:
    """Whose context the loop's current callback runs in: that of a task's step, too."""
    for frame in frames:
        if frame.f_code is asyncio.Handle._run.__code__:  # noqa: SLF001  no public way
            context = getattr(frame.f_locals.get("self"), "_context", {})
            found: Caller | None = context.get(CALLER)
            return found
    return None


def frames_of_coroutine(coroutine: Coroutine[Any, Any, Any]) -> list[FrameType]:
    """The frames of a suspended coroutine and of what it awaits, innermost first."""
    frames: list[FrameType] = []
    current: Any = coroutine
    while (frame := getattr(current, "cr_frame", None)) is not None:
        frames.insert(0, frame)
        current = current.cr_await
    return frames


def home_of(handler: Callable[..., Any]) -> str:
    """Where a handler's own code lies: a folder, or a file that shares its folder with others."""
    function: Any = inspect.unwrap(handler)
    while isinstance(function, functools.partial):
        function = function.func
    code = getattr(function, "__code__", None) or getattr(type(function).__call__, "__code__", None)
    file = "" if code is None else code.co_filename
    folder = os.path.dirname(file)  # noqa: PTH120  of any text, <string> too
    shared = os.path.basename(folder) in {"site-packages", "dist-packages", ""}  # noqa: PTH119
    return file if shared else folder + os.sep
