"""The plugin's commands and checks, by the numbers by which the host asks for them.

Owns the numbers, and how commands and checks look in messages. Must not know when a handler runs.
"""

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from flyte_host.errors import FlyteHostError
from flyte_host.foreign_code import call_within
from flyte_host.isolation import messages as say
from flyte_host.model import Event, HealthCheck, PackDef
from flyte_host.plugins import Plugin
from flyte_host.plugins.bound_command import BoundCommand
from flyte_host.plugins.contribution import bind_command, check_health_check
from flyte_host.text import printable


class Handles:
    """Numbers only grow: the same answers of hooks in the same order get the same numbers."""

    def __init__(self, limit_seconds: float) -> None:
        self._limit_seconds = limit_seconds
        self._commands: list[BoundCommand] = []
        self._checks: list[HealthCheck] = []

    def add_commands(self, commands: Iterable[Any], plugin: Plugin) -> list[say.CommandText]:
        """Number what a hook of the plugin returned; raises Misbehaved."""
        bound = call_within(
            self._limit_seconds, lambda: [bind_command(each, plugin) for each in commands]
        )
        first = len(self._commands)
        self._commands += bound
        return [
            say.CommandText.of(
                each.command,
                first + at,
                msgspec.json.encode(each.input_schema),
                printable(each.description),
            )
            for at, each in enumerate(bound)
        ]

    def add_check(self, check: HealthCheck) -> say.CheckText:
        """Number what a hook returned; raises Misbehaved."""
        check = check_health_check(check)
        self._checks.append(check)
        return say.CheckText(len(self._checks) - 1, check.name, bool(check.critical))

    def command(self, handle: int) -> BoundCommand:
        """The command of that number."""
        return self._commands[handle]

    def check(self, handle: int) -> HealthCheck:
        """The check of that number."""
        return self._checks[handle]

    def pack(self, text: say.PackText) -> PackDef:
        """The pack, with the plugin's own handlers wherever they are its own."""
        commands = [each.command(self._handler(each.handle)) for each in text.commands]
        return PackDef(text.name, text.help_url, text.labels, text.event_defs, commands)

    def _handler(self, handle: int) -> Callable[..., Any]:
        if handle == say.FOREIGN_HANDLE:
            return _refuse_call
        return self._commands[handle].command.handler


def _refuse_call(_input: Any) -> Event:
    raise FlyteHostError("this command belongs to another plugin, in another process")
