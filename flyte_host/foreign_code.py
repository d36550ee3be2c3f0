"""Runs plugin code with a time limit and describes what went wrong.

Owns the time limit and the wording. Must not know what is called: imports, constructors, hooks
and health checks all come through here.
"""

import linecache
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from itertools import islice
from pathlib import Path
from types import FrameType, TracebackType
from typing import Generic, TypeVar

T = TypeVar("T")

MOST_MEMBERS = 3
"""Exceptions of a group that a sentence names."""
_STANDARD = str(Path(traceback.__file__).parent) + os.sep
_OURS = str(Path(__file__).parent) + os.sep


class Misbehaved(Exception):
    """Foreign code raised, exited, hung or returned nonsense; the text is a sentence about it."""


class TookTooLong(Exception):
    """A part of the host itself did not return in time; the text is a sentence about it."""


def describe(error: BaseException) -> str:
    """One line for people: what was raised and where, whatever the exception's ``str`` does."""
    return f"{headline(error)}{_place(error.__traceback__)}"


def headline(error: BaseException) -> str:
    """What was raised, without the place."""
    if isinstance(error, Misbehaved | TookTooLong):  # a sentence already
        return str(error)
    try:
        text = str(error).encode(errors="backslashreplace").decode()  # file names have surrogates
    except BaseException:  # even sys.exit() in a __str__ only spoils the message
        text = "(its message cannot be shown)"
    if isinstance(error, SystemExit):
        return f"called sys.exit({text})"
    name = type(error).__name__
    if isinstance(error, BaseExceptionGroup):  # its own text names none of them
        text = f"{text}: {_members(error)}"
    return f"{name}: {text}" if text else name


def _members(group: BaseExceptionGroup[BaseException]) -> str:
    found = [headline(each) for each in islice(_leaves(group), MOST_MEMBERS + 1)]
    return "; ".join([*found[:MOST_MEMBERS], *(["…"] if len(found) > MOST_MEMBERS else [])])


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from _leaves(each)
    else:
        yield error


SLOW_SECONDS = 2.0
"""A call of foreign code that takes longer than this is reported while it still runs."""


Starter = Callable[[Callable[[], None]], threading.Thread]
"""Runs something in a thread; returns that thread at once."""


def start_thread(run: Callable[[], None]) -> threading.Thread:
    """A separate thread."""
    thread = threading.Thread(target=run, name="foreign-code", daemon=True)
    thread.start()
    return thread


def call_within(
    seconds: float,
    call: Callable[[], T],
    report_slow: Callable[[str], None] | None = None,
    start: Starter = start_thread,
) -> T:
    """The result of ``call``; raises Misbehaved if it raises, exits or takes longer.

    ``report_slow`` gets the place where a slow call is, as `` (at file:line: code)``.
    """
    running = ForeignCall(call, start)
    if report_slow is not None and not running.ends_within(min(SLOW_SECONDS, seconds / 2)):
        report_slow(running.place)
    return running.result(seconds)


def run_within(seconds: float, call: Callable[[], T]) -> T:
    """The result of our own ``call``; raises what it raises, and TookTooLong."""
    running = ForeignCall(call)
    if not running.ends_within(seconds):
        raise TookTooLong(f"did not return within {seconds:g} s{running.place}")
    return running.outcome.result()


class ForeignCall(Generic[T]):
    """A call under way, in another thread.

    A call that hangs keeps its thread: Python cannot end it. ``outcome`` is what it
    returned or raised.
    """

    def __init__(self, call: Callable[[], T], start: Starter = start_thread) -> None:
        self._call = call
        self.outcome: Future[T] = Future()
        self._started = time.monotonic()
        self._thread = start(self._run)

    @property
    def ended(self) -> bool:
        """Whether the call has returned or raised."""
        return self.outcome.done()

    @property
    def place(self) -> str:
        """Where it is: `` (at file:line: code)``, or nothing."""
        return place_of_thread(self._thread)

    def ends_within(self, seconds: float) -> bool:
        """Whether it returns or raises within ``seconds`` of its start; returns by then."""
        left = max(0.0, self._started + seconds - time.monotonic())
        return bool(wait([self.outcome], left).done)

    def result(self, seconds: float) -> T:
        """What the call returned within ``seconds`` of its start.

        Raises Misbehaved: for a call that hangs, with the line at which it does.
        """
        if not self.ends_within(seconds):
            raise Misbehaved(f"did not return within {seconds:g} s{self.place}")
        error = self.outcome.exception()
        if isinstance(error, Misbehaved):
            raise error
        if error is not None:
            raise Misbehaved(describe(error)) from error
        return self.outcome.result()

    def _run(self) -> None:
        try:
            self.outcome.set_result(self._call())
        except BaseException as error:  # SystemExit of a plugin must not pass for ours
            self.outcome.set_exception(error)


def place_of_thread(thread: threading.Thread, home: str = "") -> str:
    """`` (at file:line: code)`` for where a running thread is, or nothing."""
    return place_among(frames_of_thread(thread), home)


def frames_of_thread(thread: threading.Thread) -> list[FrameType]:
    """The frames of a running thread, innermost first."""
    frame = sys._current_frames().get(thread.ident or 0)  # noqa: SLF001  the documented way to it
    frames = []
    while frame is not None:
        frames.append(frame)
        frame = frame.f_back
    return frames


def place_among(frames: list[FrameType], home: str = "") -> str:
    """`` (at file:line: code)`` for the most telling frame, or nothing without frames.

    That is the innermost frame of a file that begins with ``home``, the code to blame; else the
    innermost foreign one; else the innermost that does not just wait.
    """
    if not frames:
        return ""
    own = (each for each in frames if home and each.f_code.co_filename.startswith(home))
    waits = (each for each in frames if each.f_code.co_filename != threading.__file__)
    frame = next(own, None) or foreign_frame(frames) or next(waits, frames[0])
    return f" ({_frame_place(frame)})"


def foreign_frame(frames: list[FrameType]) -> FrameType | None:
    """The innermost frame that is neither Python's nor the host's."""
    return next((each for each in frames if _is_foreign(each.f_code.co_filename)), None)


def _is_foreign(file: str) -> bool:
    if file.startswith((_OURS, "<frozen")):
        return False
    return not file.startswith(_STANDARD) or "-packages" + os.sep in file


def _calls_plugins(file: str) -> bool:
    return file.startswith(_OURS) or f"{os.sep}pluggy{os.sep}" in file


def _frame_place(frame: FrameType) -> str:
    file, line = frame.f_code.co_filename, frame.f_lineno
    code = linecache.getline(file, line).strip()
    return f"at {_short(file)}:{line}" + (f": {code}" if code else "")


def _place(trace: TracebackType | None) -> str:
    frames = [
        frame
        for frame in traceback.extract_tb(trace)
        if _is_foreign(frame.filename) and not _calls_plugins(frame.filename)
    ]
    return f" ({_short(frames[-1].filename)}:{frames[-1].lineno})" if frames else ""


def _short(file: str) -> str:
    """The last two parts of a path: enough to find it, without the machine's folders."""
    return "/".join(Path(file).parts[-2:])


def foreign_part(trace: TracebackType | None) -> TracebackType | None:
    """The traceback, starting at a plugin's first frame; all of it if there is none."""
    part = trace
    while part is not None and _calls_plugins(part.tb_frame.f_code.co_filename):
        part = part.tb_next
    return part or trace
