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
from collections.abc import Callable, Mapping
from functools import partial
from types import FrameType
from typing import Any

from flyte_host import forks, traceparent
from flyte_host.errors import HandlerFailed
from flyte_host.foreign_code import foreign_part, frames_of_thread, headline, place_among
from flyte_host.isolation.isolated_handler import IsolatedCall
from flyte_host.log_fields import CURRENT
from flyte_host.model import Action
from flyte_host.once import Once
from flyte_host.pipeline.handlers.caller import CALLER, Caller, frames_of_coroutine, home_of
from flyte_host.pipeline.handlers.handler_tools import HandlerTools
from flyte_host.pipeline.handlers.outcome import Outcome
from flyte_host.pipeline.handlers.pack_loop import PackLoop, Withdraw
from flyte_host.plugins.bound_command import BoundCommand, InputMismatch

log = logging.getLogger(__name__)

OBEY_SECONDS = 0.1
"""How long a coroutine may clean up after it was cancelled before it counts as running on."""


class HandlerCall:
    """Tells three things.

    ``outcome`` is there by the timeout at the latest, if only to say that it has passed.
    ``overrun`` says that the handler itself still runs after its timeout, rather than waits for a
    loop that another one blocks. ``end`` says that the handler has ended, or will never begin. The
    result of a handler past its timeout is dropped. All log lines, even those of the handler, are
    ``about`` the action.
    """

    def __init__(
        self,
        bound: BoundCommand,
        document: bytes,
        action: Action,
        pack_key: str,
        *,
        tools: HandlerTools,
        about: Mapping[str, str],
    ) -> None:
        self._bound = bound
        self._document = document
        self._action = action
        self._pack_key = pack_key
        self._tools = tools
        self._about = about
        self._thread: threading.Thread | None = None
        self._elsewhere: IsolatedCall | None = None
        self._loop: PackLoop | None = None
        self._withdraw: Withdraw = lambda: False
        self._forgo: Callable[[], None] = lambda: None
        self._task: asyncio.Task[None] | None = None
        self._cancel_deadline: Callable[[], None] = lambda: None
        self._caller: Caller | None = None
        self.outcome = Once[Outcome]()
        self.overrun = Once[None]()
        self.end = Once[None]()

    def start(self) -> None:
        """Run a sync handler right here; one on its pack's loop, or in another process, goes on."""
        if self._action.deadline is not None:
            self._cancel_deadline = self._tools.deadlines.at(self._action.deadline, self._expire)
        if self._bound.is_async:
            self._go_to_loop(self._call, contextvars.Context())
        else:
            # In a new context, as in a new thread: handlers share neither.
            contextvars.Context().run(self._run)

    def place(self) -> str:
        """Where it stands: `` (at file:line: code)``, or nothing; from any other thread."""
        if self._elsewhere is not None:
            return self._elsewhere.place
        if self._loop is not None and self._task is None:
            return " (waiting for the event loop of its pack)"
        return place_among(self._frames(), home_of(self._bound.command.handler))

    def _frames(self) -> list[FrameType]:
        thread, loop, task = self._thread, self._loop, self._task
        if loop is None:
            return [] if thread is None else frames_of_thread(thread)
        if loop.current is self._caller:  # a coroutine that runs now has no inner frames
            return frames_of_thread(loop.thread)
        return [] if task is None else frames_of_coroutine(task.get_coro())

    def _run(self) -> None:
        self._enter()
        self._thread = threading.current_thread()
        try:
            returned = self._call()
            if isinstance(returned, IsolatedCall):
                self._thread, self._elsewhere = None, returned
                returned.when_over(partial(self._end_elsewhere, returned))
                return
            if inspect.isawaitable(returned):
                if inspect.iscoroutine(returned):
                    self._forgo = returned.close
                self._go_to_loop(lambda: returned, contextvars.copy_context())
                return
            outcome = self._tools.outcomes.of(self._action.command, returned)
        except BaseException as error:  # sys.exit() in a handler ends its action, not the host
            outcome = self._failed(error)
        self._thread = None  # it goes on to something else
        self._finish(outcome)

    def _end_elsewhere(self, call: IsolatedCall) -> None:
        try:
            outcome = self._tools.outcomes.of(self._action.command, call.event())
        except BaseException as error:  # the thread is one that hears of other calls too
            outcome = self._failed(error)
        self._finish(outcome)

    def _enter(self) -> None:
        """In the handler's context: what its lines are about, and its trace."""
        CURRENT.set(self._about)
        if self._action.trace:
            traceparent.CURRENT.set(self._action.trace)

    def _go_to_loop(self, begin: Callable[[], Any], context: contextvars.Context) -> None:
        """Await what ``begin`` returns when the loop comes to it."""
        action, home = self._action, home_of(self._bound.command.handler)
        self._caller = Caller(
            action.pack, action.command, home, self._pack_key, blocks=self._note_overrun
        )
        context.run(CALLER.set, self._caller)
        context.run(self._enter)
        try:
            self._loop = self._tools.coroutines.loop_of(self._pack_key)
            self._withdraw = self._loop.begin(lambda: self._start_on_loop(begin, context))
        except Exception as error:  # no thread could be started: the action must still end
            self._forgo()
            self._finish(self._tools.outcomes.fatal(f"the host could not run the command: {error}"))

    def _start_on_loop(self, begin: Callable[[], Any], context: contextvars.Context) -> None:
        """On the loop, unless the loop was blocked until the timeout."""
        if self.outcome.is_set:
            self._end_unbegun()
            return
        loop = asyncio.get_running_loop()
        self._task = loop.create_task(self._run_on_loop(loop, begin), context=context)

    async def _run_on_loop(self, loop: asyncio.AbstractEventLoop, begin: Callable[[], Any]) -> None:
        try:
            returned = await forks.end_children_of(begin())
            outcome = self._tools.outcomes.of(self._action.command, returned)
        except BaseException as error:  # asyncio lets SystemExit of a task stop the loop
            if loop.is_closed():  # the host left this coroutine over: nothing is known of its end
                raise
            outcome = self._failed(error)
        self._finish(outcome)

    def _call(self) -> Any:
        return self._bound.call(self._document, self._action)

    def _expire(self) -> None:
        """The timeout has passed: the action ends now, the handler whenever it will."""
        seconds = self._bound.command.timeout_seconds
        problem = f"command {self._action.command!r} did not finish within {seconds:g} s"
        loop = self._loop
        if loop is None or loop.current is self._caller:
            self.overrun.set(None)
        elif blocked := self._tools.coroutines.problem_of(self._pack_key):
            problem += f": {blocked}"
        is_late = self.outcome.set(self._tools.outcomes.fatal(problem, timed_out=True))
        if loop is None or not is_late:
            return
        if self._withdraw():
            self._end_unbegun()
        else:
            loop.loop.call_soon_threadsafe(self._cancel, loop.loop)

    def _cancel(self, loop: asyncio.AbstractEventLoop) -> None:
        """On the loop, after it came to the handler; one that obeys is not called an overrun."""
        if self._task is not None and not self._task.done():
            loop.call_soon(self._task.cancel)  # after its first step: one without it never ends
            loop.call_later(OBEY_SECONDS, self._note_overrun)

    def _end_unbegun(self) -> None:
        self._forgo()
        self.end.set(None)

    def _note_overrun(self) -> None:
        if self.outcome.is_set and not self.end.is_set and self.outcome.wait().timed_out:
            self.overrun.set(None)

    def _failed(self, error: BaseException) -> Outcome:
        command = self._action.command
        if isinstance(error, InputMismatch):
            return self._tools.outcomes.fatal(f"command {command!r}: {error}")
        if isinstance(error, HandlerFailed):
            return self._tools.outcomes.fatal(str(error), timed_out=error.timed_out)
        if not self.outcome.is_set:
            log.warning(
                "command %s failed: %s",
                command,
                headline(error),
                exc_info=(type(error), error, foreign_part(error.__traceback__)),
                extra=self._about,
            )
        verb = "" if isinstance(error, SystemExit) else "raised "
        return self._tools.outcomes.fatal(f"command {command!r} {verb}{headline(error)}")

    def _finish(self, outcome: Outcome) -> None:
        self._cancel_deadline()
        if not self.outcome.set(outcome) and not outcome.timed_out:
            log.warning(
                "dropped the late %s of %s: it had timed out",
                outcome.event_name,
                self._action.command,
                extra=self._about,
            )
        self.end.set(None)
