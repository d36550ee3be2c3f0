"""A plugin in a process of its own, as the host sees it: hooks, handlers, checks, observers.

Owns that each of them behaves as if the plugin were in this process. Must not know how the process
is started, nor when again; that is ``process`` and ``supervision``.
"""

import threading
import time
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any, TypeVar

import msgspec

from flyte_host.foreign_code import Misbehaved
from flyte_host.hookspecs import Emit, hookimpl
from flyte_host.isolation import messages as say
from flyte_host.isolation.child_process import ChildProcess, ProcessEnded
from flyte_host.isolation.restart_budget import RestartBudget
from flyte_host.isolation.supervised_process import SupervisedProcess
from flyte_host.model import Action, Command, Event, EventDef, Health, HealthCheck, PackDef
from flyte_host.plugins.bound_command import HandlerFailed

T = TypeVar("T", bound=say.Message)

CHILD_SHARE, ANSWER_SHARE = 0.9, 0.95
"""Parts of a time limit after which the child, then the wait for it, give up.

Both before the host does: the child can say where its plugin hangs, the wait can name the process.
"""
CHECK_SECONDS = 5.0
"""How long the health pages wait for a check."""


class IsolatedPlugin:
    """Stands for the plugin from :meth:`start` to the close of its ``process``."""

    def __init__(
        self,
        begin: say.Begin,
        environ: Mapping[str, str],
        *,
        budget: RestartBudget | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._answer_seconds = begin.limit_seconds * ANSWER_SHARE
        self._begin = msgspec.structs.replace(
            begin,
            limit_seconds=begin.limit_seconds * CHILD_SHARE,
            check_seconds=CHECK_SECONDS * CHILD_SHARE,
        )
        self._hooks: list[str] = []
        self._told: list[tuple[say.Ask, say.Described]] = []
        self._emits: dict[int, Emit] = {}
        self._heard: threading.Event | None = None
        self.process = SupervisedProcess(
            begin.pack_key,
            lambda ended: ChildProcess(begin.pack_key, environ, emitted=self._emitted, ended=ended),
            self._prepare,
            budget=budget or RestartBudget(),
            clock=clock,
        )

    def start(self) -> SimpleNamespace:
        """Start the process; an object with the hooks of the plugin in it. Raises Misbehaved."""
        self.process.start()
        answers = {hook: answer for hook, answer in self._answers().items() if hook in self._hooks}
        return SimpleNamespace(**{hook: hookimpl(answer) for hook, answer in answers.items()})

    def run(
        self,
        handle: int,
        document: bytes,
        action: Action,
        asked: Callable[[ChildProcess, int], None],
    ) -> Event:
        """The handler's event; waits for a process that starts again. Raises HandlerFailed."""
        while True:
            child = self.process.up()
            try:
                answer = child.ask(
                    lambda number: say.Run(number, handle, document, action),
                    numbered=lambda number, child=child: asked(child, number),  # type: ignore[misc]
                )
            except ProcessEnded as error:
                if not error.asked:
                    continue
                raise HandlerFailed(
                    f"the pack's process ended ({error.how}) while this command was running"
                ) from error
            if isinstance(answer, say.Failed):
                raise HandlerFailed(answer.problem, timed_out=answer.timed_out)
            returned = _expected(say.Returned, answer)
            return Event(EventDef(returned.event), msgspec.Raw(returned.payload))

    def _answers(self) -> dict[str, Callable[..., Any]]:
        """Every hook, as pluggy takes it."""

        def flyte_pack() -> PackDef:
            text = self._described("flyte_pack", None).pack
            if text is None:
                raise Misbehaved("its process described no pack")
            commands = [self._command(each) for each in text.commands]
            return PackDef(text.name, text.help_url, text.labels, text.event_defs, commands)

        def flyte_commands(pack: PackDef) -> list[Command]:
            texts = self._described("flyte_commands", pack).commands
            return [self._command(each) for each in texts]

        def flyte_event_defs(pack: PackDef) -> list[EventDef]:
            return self._described("flyte_event_defs", pack).event_defs

        def flyte_health_checks(pack: PackDef) -> list[HealthCheck]:
            texts = self._described("flyte_health_checks", pack).checks
            return [HealthCheck(each.name, self._check(each), each.critical) for each in texts]

        def flyte_observe(pack: PackDef, emit: Emit, stopping: threading.Event) -> None:
            self._observe(self._text(pack), emit, stopping)

        hooks = (flyte_pack, flyte_commands, flyte_event_defs, flyte_health_checks, flyte_observe)
        return {hook.__name__: hook for hook in hooks}

    def _prepare(self, child: ChildProcess) -> None:
        """Bring a new process to where the first one is: its handles must mean the same."""
        answer = child.ask(
            lambda number: msgspec.structs.replace(self._begin, number=number),
            self._answer_seconds,
        )
        self._hooks = _expected(say.Loaded, answer).hooks
        for ask, described in self._told:
            if self._describe(child, ask) != described:
                raise Misbehaved(
                    f"{ask.hook} answers otherwise than at the start: restart the host"
                )

    def _described(self, hook: str, pack: PackDef | None) -> say.Described:
        ask = say.Ask(0, hook, None if pack is None else self._text(pack))
        described = self._describe(self.process.up(), ask)
        self._told.append((ask, described))
        return described

    def _describe(self, child: ChildProcess, ask: say.Ask) -> say.Described:
        answer = child.ask(
            lambda number: msgspec.structs.replace(ask, number=number), self._answer_seconds
        )
        return msgspec.structs.replace(_expected(say.Described, answer), number=0)

    def _text(self, pack: PackDef) -> say.PackText:
        """The pack for the child, which knows the handlers of its own commands."""
        return say.PackText.of(
            pack, [say.CommandText.of(each, self._handle(each)) for each in pack.commands]
        )

    def _handle(self, command: Command) -> int:
        handler: object = command.handler
        if isinstance(handler, IsolatedHandler) and handler.plugin is self:
            return handler.handle
        return say.NOBODYS

    def _command(self, text: say.CommandText) -> Command:
        return text.command(IsolatedHandler(self, text.handle))

    def _check(self, text: say.CheckText) -> Callable[[], Health]:
        def check() -> Health:
            child = self.process.child
            if child is None:
                raise Misbehaved(self.process.trouble)
            answer = child.ask(
                lambda number: say.Check(number, text.handle), CHECK_SECONDS * ANSWER_SHARE
            )
            checked = _expected(say.Checked, answer)
            return Health(checked.healthy, msgspec.json.decode(checked.status))

        return check

    def _observe(self, text: say.PackText, emit: Emit, stopping: threading.Event) -> None:
        self._hear(stopping)
        while (child := self.process.up_until(stopping)) is not None:
            try:
                answer = child.ask(
                    lambda number: say.Observe(number, text),
                    numbered=lambda number: self._emits.update({number: emit}),
                )
            except ProcessEnded:
                continue  # that is told, and it starts again; so does the observer with it
            _expected(say.Observed, answer)
            return

    def _hear(self, stopping: threading.Event) -> None:
        """Pass on when observers shall return: the child cannot see the host's event."""
        if self._heard is not None:
            return
        self._heard = stopping

        def pass_on() -> None:
            stopping.wait()
            self.process.wake()
            child = self.process.child
            if child is not None:
                child.tell(say.Stop())

        name = f"{self._begin.pack_key} hears stopping"
        threading.Thread(target=pass_on, name=name, daemon=True).start()

    def _emitted(self, message: say.Emit) -> None:
        event = Event(EventDef(message.event), msgspec.Raw(message.payload))
        self._emits[message.observer](event)


class IsolatedHandler:
    """Passes the input on to the handler in the plugin's process."""

    def __init__(self, plugin: IsolatedPlugin, handle: int) -> None:
        self.plugin = plugin
        self.handle = handle
        self._running: dict[str, tuple[ChildProcess, int]] = {}

    def __call__(self, input: msgspec.Raw, action: Action) -> Event:
        def asked(child: ChildProcess, number: int) -> None:
            self._running[action.id] = (child, number)

        try:
            return self.plugin.run(self.handle, bytes(input), action, asked)
        except Misbehaved as error:
            raise HandlerFailed(f"command {action.command!r} could not run: {error}") from error
        finally:
            self._running.pop(action.id, None)

    def place_of(self, action: Action) -> str:
        """Where the real handler stands, if its time-out passed."""
        running = self._running.get(action.id)
        return "" if running is None else running[0].place(running[1])


def _expected(kind: type[T], answer: say.Message) -> T:
    """The answer, if it is of that kind; raises Misbehaved."""
    if isinstance(answer, say.Failed):
        raise Misbehaved(answer.problem)
    if not isinstance(answer, kind):
        raise Misbehaved(f"its process answered {type(answer).__name__}, not {kind.__name__}")
    return answer
