"""A plugin in its own process, as the host sees it: hooks, handlers, checks, observers.

Each of them behaves as if the plugin were in this process. Must not know how the process
is started or when it starts again.
"""

import threading
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import msgspec

from flyte_host.clock import Clock
from flyte_host.foreign_code import Misbehaved
from flyte_host.hookspecs import Emit, hookimpl
from flyte_host.isolation import messages as say
from flyte_host.isolation.introduction import ANSWER_SHARE, CHECK_SECONDS, Introduction
from flyte_host.isolation.isolated_handler import IsolatedHandler
from flyte_host.isolation.next_start import NextStart
from flyte_host.isolation.open_requests import ProcessEnded
from flyte_host.isolation.restart_budget import RestartBudget
from flyte_host.isolation.supervised_process import SupervisedProcess
from flyte_host.model import Command, EventDef, Health, HealthCheck, PackDef
from flyte_host.thread_watch import lasting_thread


class IsolatedPlugin:
    """Stands for the plugin from :meth:`start` to the close of its ``process``."""

    def __init__(self, load: say.LoadPlugin, environ: Mapping[str, str], clock: Clock) -> None:
        self._introduction = Introduction(load)
        self._heard: threading.Event | None = None
        next_start = NextStart(RestartBudget(), clock)
        self.process = SupervisedProcess(self._introduction, environ, next_start)

    def start(self) -> SimpleNamespace:
        """Start the process; an object with the hooks of the plugin in it. Raises Misbehaved."""
        self.process.start()
        own = self._introduction.hooks
        return SimpleNamespace(**{hook.__name__: hookimpl(hook) for hook in self._hooks()
                                  if hook.__name__ in own})  # fmt: skip

    @property
    def settings_schema(self) -> Mapping[str, Any] | None:
        """The JSON Schema of the plugin's settings, None if it takes none."""
        schema: Mapping[str, Any] | None = msgspec.json.decode(self._introduction.settings_schema)
        return schema

    def _hooks(self) -> tuple[Callable[..., Any], ...]:
        """Every hook, with its name and arguments as pluggy reads them."""

        def flyte_pack() -> PackDef:
            text = self._ask("flyte_pack", None).pack
            if text is None:
                raise Misbehaved("its process described no pack")
            commands = [self._command(each) for each in text.commands]
            return PackDef(text.name, text.help_url, text.labels, text.event_defs, commands)

        def flyte_commands(pack: PackDef) -> list[Command]:
            return [self._command(each) for each in self._ask("flyte_commands", pack).commands]

        def flyte_event_defs(pack: PackDef) -> list[EventDef]:
            return self._ask("flyte_event_defs", pack).event_defs

        def flyte_health_checks(pack: PackDef) -> list[HealthCheck]:
            texts = self._ask("flyte_health_checks", pack).checks
            return [HealthCheck(each.name, self._check(each), each.critical) for each in texts]

        def flyte_observe(pack: PackDef, emit: Emit, stopping: threading.Event) -> None:
            self._observe(self._text(pack), emit, stopping)

        return flyte_pack, flyte_commands, flyte_event_defs, flyte_health_checks, flyte_observe

    def _ask(self, hook: str, pack: PackDef | None) -> say.HookAnswer:
        text = None if pack is None else self._text(pack)
        return self._introduction.ask(self.process.wait_for_child(), hook, text)

    def _text(self, pack: PackDef) -> say.PackText:
        """The pack for the child, which knows the handlers of its own commands."""
        return say.PackText.of(
            pack, [say.CommandText.of(each, self._handle(each)) for each in pack.commands]
        )

    def _handle(self, command: Command) -> int:
        handler: object = command.handler
        if isinstance(handler, IsolatedHandler) and handler.process is self.process:
            return handler.handle
        return say.FOREIGN_HANDLE

    def _command(self, text: say.CommandText) -> Command:
        schema = msgspec.json.decode(text.input_schema)
        handler = IsolatedHandler(self.process, text.handle, schema, text.description)
        return text.command(handler)

    def _check(self, text: say.CheckText) -> Callable[[], Health]:
        def check() -> Health:
            child = self.process.child
            if child is None:
                raise Misbehaved(self.process.problem)
            limit_seconds = CHECK_SECONDS * ANSWER_SHARE
            answer = child.ask(say.RunCheck(text.handle), say.CheckReturned, limit_seconds)
            return Health(answer.healthy, msgspec.json.decode(answer.status))

        return check

    def _observe(self, text: say.PackText, emit: Emit, stopping: threading.Event) -> None:
        self._pass_on(stopping)
        while (child := self.process.wait_for_child_unless(stopping)) is not None:
            try:
                child.ask(say.RunObserver(text), say.ObserverReturned, emit=emit)
            except ProcessEnded:
                continue  # the log has it already, and the observer starts again with the process
            return

    def _pass_on(self, stopping: threading.Event) -> None:
        """Tell the child when observers should return: it cannot see the host's event."""
        if self._heard is not None:
            return
        self._heard = stopping

        def pass_on() -> None:
            stopping.wait()
            self.process.wake()
            child = self.process.child
            if child is not None:
                child.stop_observers()

        name = f"{self._introduction.pack_key} hears stopping"
        lasting_thread(pass_on, name).start()
