"""Command lines of flyte-host, parsed but not run.

Owns the check that pages use: that a command and its options exist.
"""

from collections.abc import Iterator

import click

from flyte_host.cli import main
from flyte_host.cli.lazy_group import LazyGroup


def commands_of(group: click.Group) -> Iterator[tuple[str, click.Command]]:
    """The commands of a group by name, each as it is when it runs."""
    for name in sorted(group.commands):
        yield name, group.load(name) if isinstance(group, LazyGroup) else group.commands[name]


def check_options(arguments: list[str]) -> None:
    """Let click parse the arguments of flyte-host; raises UsageError for what does not exist."""
    try:
        context = main.make_context("flyte-host", list(arguments))
        while isinstance(context.command, click.Group):
            rest = [*context._protected_args, *context.args]
            name, command, left = context.command.resolve_command(context, rest)
            assert command is not None
            context = command.make_context(name, left, parent=context)
    except click.exceptions.Exit:
        pass
