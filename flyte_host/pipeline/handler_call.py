"""One call of a handler → exactly one outcome, whatever the handler does.

Owns the timeout, and the words of the FATALs for what handlers do wrong. Must not know flyte, the
journal, or how many calls there may be at once: the host calls handlers with it, and so does the
process of an isolated plugin.
"""

import asyncio
import contextvars
import inspect
import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass
from typing import Any

from flyte_host.errors import HandlerFailed
from flyte_host.foreign_code import (
    foreign_frame,
    foreign_part,
    frames_of_thread,
    headline,
    place_among,
)
from flyte_host.model import Action
from flyte_host.pipeline.coroutines import Coroutines
from flyte_host.pipeline.deadlines import Deadlines
from flyte_host.pipeline.loop_watchdog import CALLER, Caller, frames_of_coroutine, home_of
from flyte_host.pipeline.outcome import Outcome, Outcomes
from flyte_host.plugins.bound_command import BoundCommand, InputMismatch, RunsElsewhere

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class HandlerTools:
    """What all calls share."""

    outcomes: Outcomes
    deadlines: Deadlines
    coroutines: Coroutines


class HandlerCall:
    """Has two futures: ``outcome`` comes in time, be it a timeout; ``end`` when the handler ended.

    A handler past its timeout runs on, and what it comes to is dropped. The futures' callbacks are
    called in whatever thread it happens.
    """

    def __init__(
        self,
        bound: BoundCommand,
        document: bytes,
        action: Action,
        pack_key: str,
        tools: HandlerTools,
    ) -> None:
        self._bound = bound
        self._document = document
        self._action = action
        self._pack_key = pack_key
        self._tools = tools
        self._thread: threading.Thread | None = None
        self._coroutine: Any = None
        self._task: asyncio.Task[None] | None = None
        self._cancel_deadline: Callable[[], None] = lambda: None
        self.outcome: Future[Outcome] = Future()
        self.end: Future[None] = Future()

    def start(self) -> None:
        """Run a sync handler right here, or put an async one on the loop and return."""
        if self._action.deadline is not None:
            self._cancel_deadline = self._tools.deadlines.at(self._action.deadline, self._expire)
        if not is_async(self._bound.command.handler):
            # In a context of its own, as in a thread of its own: handlers share neither.
            contextvars.Context().run(self._run)
            return
        try:
            loop = self._tools.coroutines.loop()
            loop.call_soon_threadsafe(self._start_on, loop)
        except Exception as error:  # no thread to be had: the action must end all the same
            self._finish(self._tools.outcomes.fatal(f"the host could not run the command: {error}"))

    def place(self) -> str:
        """Where it stands: `` (at file:line: code)``, or nothing; from any other thread."""
        handler: object = self._bound.command.handler
        if isinstance(handler, RunsElsewhere):
            return handler.place_of(self._action)
        frames = [] if self._coroutine is None else frames_of_coroutine(self._coroutine)
        if self._coroutine is not None and foreign_frame(frames) is None:
            # A coroutine that runs now has no inner frames.
            frames = self._tools.coroutines.frames()
        elif self._coroutine is None and self._thread is not None:
            frames = frames_of_thread(self._thread)
        return place_among(frames, home_of(self._bound.command.handler))

    def _run(self) -> None:
        self._thread = threading.current_thread()
        try:
            returned = self._call()
            if inspect.isawaitable(returned):
                loop = self._tools.coroutines.loop()
                self._coroutine = self._await(returned)
                returned = asyncio.run_coroutine_threadsafe(self._coroutine, loop).result()
            outcome = self._tools.outcomes.of(self._action.command, returned)
        except BaseException as error:  # sys.exit() in a handler ends its action, not the host
            outcome = self._failed(error)
        self._thread = None  # it goes on to something else
        self._finish(outcome)

    def _start_on(self, loop: asyncio.AbstractEventLoop) -> None:
        """On the loop, unless the loop was blocked until the timeout."""
        if self.outcome.done():
            self.end.set_result(None)
            return
        self._coroutine = self._run_async(loop)
        self._task = loop.create_task(self._coroutine, context=contextvars.Context())

    async def _run_async(self, loop: asyncio.AbstractEventLoop) -> None:
        self._name_caller()
        try:
            outcome = self._tools.outcomes.of(self._action.command, await self._call())
        except BaseException as error:  # asyncio lets SystemExit of a task stop the loop
            if loop.is_closed():  # the host left this coroutine over: nothing is known of its end
                raise
            outcome = self._failed(error)
        self._finish(outcome)

    async def _await(self, awaitable: Any) -> Any:
        self._name_caller()
        return await awaitable

    def _name_caller(self) -> None:
        """Tell the loop's watchdog whose code runs here."""
        action, home = self._action, home_of(self._bound.command.handler)
        CALLER.set(Caller(action.pack, action.command, home, self._pack_key))

    def _call(self) -> Any:
        return self._bound.call(self._bound.decode(self._document), self._action)

    def _expire(self) -> None:
        """The timeout has passed: the action ends now, the handler whenever it will."""
        seconds = self._bound.command.timeout_seconds
        problem = f"command {self._action.command!r} did not finish within {seconds:g} s"
        if (
            self._settle(self._tools.outcomes.fatal(problem, timed_out=True))
            and self._task is not None
        ):
            self._task.get_loop().call_soon_threadsafe(self._task.cancel)

    def _failed(self, error: BaseException) -> Outcome:
        command = self._action.command
        if isinstance(error, InputMismatch):
            return self._tools.outcomes.fatal(f"command {command!r}: {error}")
        if isinstance(error, HandlerFailed):
            return self._tools.outcomes.fatal(str(error), timed_out=error.timed_out)
        if not self.outcome.done():
            log.warning(
                "command %s raised %s",
                command,
                headline(error),
                exc_info=(type(error), error, foreign_part(error.__traceback__)),
                extra=about_action(self._action),
            )
        verb = "" if isinstance(error, SystemExit) else "raised "
        return self._tools.outcomes.fatal(f"command {command!r} {verb}{headline(error)}")

    def _finish(self, outcome: Outcome) -> None:
        self._cancel_deadline()
        if not self._settle(outcome) and not outcome.timed_out:
            log.warning(
                "dropped the late %s of %s: it had timed out",
                outcome.event_name,
                self._action.command,
                extra=about_action(self._action),
            )
        self.end.set_result(None)

    def _settle(self, outcome: Outcome) -> bool:
        """Whether this outcome came first."""
        try:
            self.outcome.set_result(outcome)
        except InvalidStateError:
            return False
        return True


def about_action(action: Action) -> dict[str, str]:
    """The fields of a log line about an action."""
    return {"pack": action.pack, "command": action.command, "action": action.id}


def is_async(handler: Callable[..., Any]) -> bool:
    """Whether the handler is a coroutine function, or an object whose ``__call__`` is one."""
    return inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(
        getattr(handler, "__call__", None)  # noqa: B004
    )
