"""One call of a handler → exactly one outcome, whatever the handler does.

Owns threads for sync handlers, time-outs, and the words of the host's own FATALs. Must not know
flyte, the journal, how many calls there may be at once, nor how the loop of async handlers lives.
"""

import asyncio
import dataclasses
import inspect
import logging
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from flyte_host.client.wire import encode_event, encode_fatal
from flyte_host.counters import Counters
from flyte_host.errors import HandlerFailed
from flyte_host.foreign_code import (
    foreign_frame,
    foreign_part,
    frames_of_thread,
    headline,
    place_among,
)
from flyte_host.model import FATAL, Action, Event, EventDef
from flyte_host.pipeline.coroutines import Coroutines
from flyte_host.pipeline.deadlines import Deadlines
from flyte_host.pipeline.loop_watchdog import CALLER, Caller, frames_of_coroutine, home_of
from flyte_host.plugins.bound_command import (
    BoundCommand,
    InputMismatch,
    RunsElsewhere,
)
from flyte_host.secrets import Scrubber

log = logging.getLogger(__name__)

LONGEST_PROBLEM = 10_000
"""Characters of an exception's text that a FATAL carries: flyte refuses huge documents."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a call ended: the event's name and its JSON for flyte.

    ``problem`` is the payload of a FATAL that the host made itself, else empty. ``timed_out``: the
    handler may still be running.
    """

    event_name: str
    body: bytes
    problem: str = ""
    timed_out: bool = False

    @property
    def ending(self) -> str:
        """The word for it in metrics."""
        if self.timed_out:
            return "timeout"
        return "fatal" if self.event_name == FATAL else "success"


@dataclass(frozen=True, slots=True)
class Watch:
    """What the caller hears of a call: ``settled`` once, then ``ended`` once.

    Between the two lies the time in which a handler past its time-out still runs. ``pack_key`` is
    the pack's name in the configuration, if it has one.
    """

    settled: Callable[[Outcome], None]
    ended: Callable[[], None]
    pack_key: str = ""


class Runner:
    """Runs handlers; every thread it makes is a daemon and lives only while its handler runs."""

    def __init__(
        self,
        scrubber: Scrubber,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        counts: Counters | None = None,
    ) -> None:
        self._scrubber = scrubber
        self._now = now
        self._deadlines = Deadlines()
        self.coroutines = Coroutines((counts or Counters()).blocked)

    @property
    def blocked(self) -> str:
        """Words about a blockage of the loop, naming who blocks it; empty if it turns."""
        return self.coroutines.blocked

    @property
    def threads(self) -> list[threading.Thread]:
        """The threads that must live as long as the host does."""
        return [self._deadlines.thread, *self.coroutines.threads]

    def start(
        self, bound: BoundCommand, document: bytes, action: Action, watch: Watch
    ) -> Callable[[], str]:
        """Decode the input, call the handler, tell ``watch``; returns at once.

        What it returns says where the call stands: `` (at file:line: code)``, or nothing.
        """
        call = _Call(self, bound, document, action, watch)
        if action.deadline is not None:
            seconds = (action.deadline - self._now()).total_seconds()
            call.cancel_deadline = self._deadlines.after(seconds, call.expire)
        try:
            self._launch(call, bound, f"{action.pack}:{action.command}")
        except Exception:  # no thread to be had: the caller settles the call, not its deadline
            call.cancel_deadline()
            raise
        return call.place

    def _launch(self, call: "_Call", bound: BoundCommand, name: str) -> None:
        if _is_async(bound.command.handler):
            loop = self.coroutines.loop()
            loop.call_soon_threadsafe(call.start_on, loop)
        else:
            threading.Thread(target=call.run, name=name, daemon=True).start()

    def outcome_of(self, bound: BoundCommand, event: object) -> Outcome:
        """The outcome for what a handler returned."""
        command = bound.command.name
        if not isinstance(event, Event):
            found = "nothing" if event is None else f"a {type(event).__name__}"
            return self.fatal(f"command {command!r} returned {found}, expected an Event")
        if problem := _definition_problem(event.event_def):
            return self.fatal(f"command {command!r} returned an Event whose {problem}")
        try:
            body = encode_event(event, self._now())
        except ValueError as error:
            return self.fatal(f"command {command!r}: {error}")
        return Outcome(event.event_def.name, body)

    def fatal(self, text: str) -> Outcome:
        """The host's own FATAL; its payload is text, since flows rely on that."""
        text = self._scrubber.scrub(text)
        if len(text) > LONGEST_PROBLEM:
            text = f"{text[:LONGEST_PROBLEM]} …"
        return Outcome(FATAL, encode_fatal(text, self._now()), text)

    def close(self, wait_seconds: float = 1.0) -> None:
        """End the timer and the loop; handlers that still run are left to the process's end.

        Waits for each of the two at most so long.
        """
        self._deadlines.close(wait_seconds)
        self.coroutines.close(wait_seconds)


def run_once(pack: str, bound: BoundCommand, document: bytes, scrubber: Scrubber) -> Outcome:
    """One call of a handler as the host makes it, time-out included, without flyte or journal."""
    now = datetime.now(UTC)
    seconds = bound.command.timeout_seconds
    deadline = None if seconds is None else now + timedelta(seconds=seconds)
    action = Action("local", bound.command.name, pack, now, 1, deadline)
    settled: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
    runner = Runner(scrubber)
    try:
        runner.start(bound, document, action, Watch(settled.put, lambda: None))
        return settled.get()
    finally:
        runner.close()


class _Call:
    """One handler's run; the first to settle it wins, later results are dropped and logged."""

    def __init__(
        self, runner: Runner, bound: BoundCommand, document: bytes, action: Action, watch: Watch
    ) -> None:
        self._runner = runner
        self._bound = bound
        self._document = document
        self._action = action
        self._watch = watch
        self._lock = threading.Lock()
        self._settled = False
        home = home_of(bound.command.handler)
        self._caller = Caller(action.pack, action.command, home, watch.pack_key)
        self._thread: threading.Thread | None = None
        self._coroutine: Any = None
        self._task: asyncio.Task[None] | None = None
        self.cancel_deadline: Callable[[], None] = lambda: None

    def run(self) -> None:
        """In a thread of its own: a sync handler."""
        self._thread = threading.current_thread()
        try:
            returned = self._called()
            if inspect.isawaitable(returned):
                loop = self._runner.coroutines.loop()
                self._coroutine = self._awaited(returned)
                returned = asyncio.run_coroutine_threadsafe(self._coroutine, loop).result()
            outcome = self._runner.outcome_of(self._bound, returned)
        except BaseException as error:  # sys.exit() in a handler ends its action, not the host
            outcome = self._failed(error)
        self._finish(outcome)

    def start_on(self, loop: asyncio.AbstractEventLoop) -> None:
        """On the loop: a coroutine handler, unless the loop was blocked until its time-out."""
        if self._settled:
            self._watch.ended()
            return
        self._coroutine = self._run_async(loop)
        self._task = loop.create_task(self._coroutine)

    async def _run_async(self, loop: asyncio.AbstractEventLoop) -> None:
        CALLER.set(self._caller)
        try:
            outcome = self._runner.outcome_of(self._bound, await self._called())
        except BaseException as error:  # asyncio lets SystemExit of a task stop the loop
            if loop.is_closed():  # the runner left this coroutine over: nothing is known of its end
                raise
            outcome = self._failed(error)
        self._finish(outcome)

    async def _awaited(self, awaitable: Any) -> Any:
        CALLER.set(self._caller)
        return await awaitable

    def place(self) -> str:
        """Where it stands, from any other thread: in its own, in a coroutine, or on the loop."""
        handler: object = self._bound.command.handler
        if isinstance(handler, RunsElsewhere):
            return handler.place_of(self._action)
        frames = [] if self._coroutine is None else frames_of_coroutine(self._coroutine)
        if self._coroutine is not None and foreign_frame(frames) is None:
            # A coroutine that runs now has no inner frames.
            frames = self._runner.coroutines.frames()
        elif self._coroutine is None and self._thread is not None:
            frames = frames_of_thread(self._thread)
        return place_among(frames, self._caller.home)

    def expire(self) -> None:
        """The time-out passed: the action ends now, the handler whenever it will."""
        seconds = self._bound.command.timeout_seconds
        problem = f"command {self._action.command!r} did not finish within {seconds:g} s"
        outcome = dataclasses.replace(self._runner.fatal(problem), timed_out=True)
        if self._settle(outcome) and self._task is not None:
            self._task.get_loop().call_soon_threadsafe(self._task.cancel)

    def _called(self) -> Any:
        return self._bound.call(self._bound.decode(self._document), self._action)

    def _failed(self, error: BaseException) -> Outcome:
        command = self._action.command
        if isinstance(error, InputMismatch):
            return self._runner.fatal(f"command {command!r}: {error}")
        if isinstance(error, HandlerFailed):
            return dataclasses.replace(self._runner.fatal(str(error)), timed_out=error.timed_out)
        if not self._settled:
            log.warning(
                "command %s raised %s",
                command,
                headline(error),
                exc_info=(type(error), error, foreign_part(error.__traceback__)),
                extra=_about(self._action),
            )
        verb = "" if isinstance(error, SystemExit) else "raised "
        return self._runner.fatal(f"command {command!r} {verb}{headline(error)}")

    def _finish(self, outcome: Outcome) -> None:
        self.cancel_deadline()
        if not self._settle(outcome) and not outcome.timed_out:
            log.warning(
                "late %s of command %s dropped: its time-out had passed",
                outcome.event_name,
                self._action.command,
                extra=_about(self._action),
            )
        self._watch.ended()

    def _settle(self, outcome: Outcome) -> bool:
        with self._lock:
            if self._settled:
                return False
            self._settled = True
        self._watch.settled(outcome)
        return True


def _definition_problem(event_def: object) -> str:
    if not isinstance(event_def, EventDef):
        return f"event_def is a {type(event_def).__name__}, expected an EventDef"
    name: object = event_def.name
    if not isinstance(name, str) or not name:
        return f"name is {name!r}, expected a non-empty string"
    return ""


def _about(action: Action) -> dict[str, str]:
    return {"pack": action.pack, "command": action.command, "action": action.id}


def _is_async(handler: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(
        getattr(handler, "__call__", None)  # noqa: B004  an object whose __call__ is async
    )
