"""A group whose commands are imported when they are run.

A help text lists commands without importing any. Must not know the commands.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click

from flyte_host.cli.help_texts import restore_help


class LazyGroup(click.Group):
    """``lazily`` has the module, the name in it and the first sentence of each command's help.

    ``commands`` has stand-ins for them, which know no more than that sentence.
    """

    def __init__(self, *args: Any, lazily: Mapping[str, tuple[str, str, str]], **more: Any) -> None:
        super().__init__(*args, **more)
        self._homes = {name: (module, attribute) for name, (module, attribute, _) in lazily.items()}
        for name, (_, _, summary) in lazily.items():
            self.add_command(click.Command(name, help=summary))

    def load(self, name: str) -> click.Command:
        """The command itself."""
        if name not in self._homes:
            return self.commands[name]
        module, attribute = self._homes[name]
        command: click.Command = getattr(import_module(module), attribute)
        restore_help(command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name, command, rest = super().resolve_command(ctx, args)
        return name, command if name is None else self.load(name), rest
