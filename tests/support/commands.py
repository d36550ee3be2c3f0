"""Command lines of flyte-host, parsed but not run.

Owns the check that pages use: that a command and its options exist.
"""

import click

from flyte_host.cli import main


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
