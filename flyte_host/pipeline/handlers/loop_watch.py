"""One event loop under watch: whether it turns, and who keeps it from turning.

Owns the words for a blockage. Must not know when to look: ``loop_watchdog`` does.
"""

import asyncio
import logging
import selectors
import threading
from dataclasses import dataclass
from types import FrameType

from flyte_host.clock import Clock
from flyte_host.counters import Counters
from flyte_host.foreign_code import frames_of_thread, place_among
from flyte_host.pipeline.handlers.caller import Caller, caller_among

log = logging.getLogger(__name__)

BLOCKED_SECONDS = 1.0
"""A loop that has not turned for this long is blocked: nothing else on it goes on meanwhile."""
BREATH_SECONDS = 0.1
"""What a process that was stopped as a whole gets before its loop is called blocked."""

BLOCKED = "the coroutines of pack %s have been blocked for %.1f s by %s"

_TURN = asyncio.BaseEventLoop._run_once.__code__  # type: ignore[attr-defined]  # noqa: SLF001


@dataclass(frozen=True, slots=True)
class Blockage:
    """What blocks the loop, and since when; ``who`` is ``pack:command`` and its current line."""

    since: float
    who: str
    caller: Caller | None


class LoopWatch:
    """Asks a busy loop to answer, and takes a missing answer for a blockage; counts them by pack.

    ``of`` is the key of the pack that the loop belongs to. A loop that waits for something to do is
    not asked: that would wake it.
    """

    def __init__(
        self,
        of: str,
        loop: asyncio.AbstractEventLoop,
        thread: threading.Thread,
        clock: Clock,
        counters: Counters,
        *,
        blocked_seconds: float = BLOCKED_SECONDS,
    ) -> None:
        self.of = of
        self.thread = thread
        self._loop = loop
        self._clock = clock
        self._counters = counters
        self._blocked_seconds = blocked_seconds
        self._answered = threading.Event()
        self._answered.set()
        self._answered_at = self._asked_at = self._next_at = 0.0
        self._interval = 0.0
        self._blockage: Blockage | None = None

    @property
    def problem(self) -> str:
        """The blockage of this moment in words; empty if there is none."""
        blockage = self._blockage
        if blockage is None or self._answered.is_set():
            return ""
        seconds = self._clock.monotonic() - blockage.since
        return BLOCKED % (self.of, seconds, blockage.who)

    def look(self, frame: FrameType | None) -> None:
        """See whether it turns; raises RuntimeError if somebody closed it.

        ``frame`` is the innermost one of the loop's thread.
        """
        if self._answered.is_set():
            self._tell_end()
            if not _waits(frame):
                self._ask()
        elif self._clock.monotonic() >= self._next_at and not self._answers_late():
            self._tell()
        elif self._blockage is not None:
            self._blame(self._blockage.caller)

    def _ask(self) -> None:
        self._answered = answered = threading.Event()
        self._asked_at = self._clock.monotonic()
        self._interval = self._blocked_seconds
        self._next_at = self._asked_at + self._interval

        def answer() -> None:
            self._answered_at = self._clock.monotonic()
            answered.set()

        self._loop.call_soon_threadsafe(answer)

    def _answers_late(self) -> bool:
        return self._blockage is None and self._answered.wait(BREATH_SECONDS)

    def _tell(self) -> None:
        """Report what blocks the loop, at growing intervals."""
        frames = frames_of_thread(self.thread)
        caller = caller_among(frames)
        if self._blockage is None:
            self._counters.blocked(self.of)
        self._blockage = Blockage(self._asked_at, _who(caller, frames), caller)
        now, who = self._clock.monotonic(), self._blockage.who
        log.warning(BLOCKED, self.of, now - self._asked_at, who, extra={"pack": self.of})
        self._blame(caller)
        self._interval *= 2
        self._next_at = now + self._interval

    def _blame(self, caller: Caller | None) -> None:
        if caller is not None and not self._answered.is_set():
            caller.blocks()

    def _tell_end(self) -> None:
        blockage, self._blockage = self._blockage, None
        if blockage is not None:
            log.info(
                "the coroutines of pack %s are running again after %.1f s",
                self.of,
                self._answered_at - blockage.since,
                extra={"pack": self.of},
            )


def _waits(frame: FrameType | None) -> bool:
    """Whether the loop itself, and not code on it, waits for something to happen."""
    return (
        frame is not None
        and frame.f_code.co_filename == selectors.__file__
        and frame.f_back is not None
        and frame.f_back.f_code is _TURN
    )


def _who(caller: Caller | None, frames: list[FrameType]) -> str:
    if caller is None:
        return f"a callback of an unknown handler{place_among(frames)}"
    return f"{caller.pack}:{caller.command}{place_among(frames, caller.home)}"
