"""What the commands share: options, output, words for errors.

Owns how every command looks from outside. Must not know any of them or import anything slow:
``flyte-host --help`` needs this module.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click

from flyte_host import logs
from flyte_host.errors import FlyteHostError
from flyte_host.secrets import Scrubber
from flyte_host.text import escape_controls, escape_in_json

DEFAULT_CONFIG = "flyte-host.toml"

F = TypeVar("F", bound=Callable[..., Any])


def common_options(function: F) -> F:
    """The options of every command."""
    for option in (
        click.option("--log-level", default="info", show_default=True,
                     type=click.Choice(["debug", "info", "warning", "error"]),
                     help="The least severe log lines to write to stderr."),
        click.option("--log-format", default="text", show_default=True,
                     type=click.Choice(["text", "json"]),
                     help="Lines for people, or one JSON object a line."),
        click.option("-c", "--config", "config_path", type=click.Path(path_type=Path),
                     help=f"The configuration file. Without it {DEFAULT_CONFIG} of this folder is "
                     "read, if there is one, and the environment."),
    ):  # fmt: skip
        function = option(function)
    return function


@contextmanager
def words_for_errors(scrubber: Scrubber) -> Iterator[None]:
    """A FlyteHostError becomes its sentence and its exit code; any other error is a bug."""
    try:
        yield
    except FlyteHostError as error:
        logs.flush()  # lines that say more come first
        for line in error.lines:
            echo(f"flyte-host: {scrubber.scrub(line)}", err=True)
        sys.exit(error.exit_code)


@contextmanager
def command_session(log_format: str, log_level: str) -> Iterator[Scrubber]:
    """What a command is given: its log, words for its errors, and what hides secrets in both."""
    scrubber = Scrubber()
    logs.configure(log_format, log_level, scrubber)
    with words_for_errors(scrubber):
        yield scrubber


def quieter(level: str) -> str:
    """The level for commands that print what is wrong with plugins themselves."""
    return "critical" if level == "info" else level


def echo(line: str, *, err: bool = False) -> None:
    """Print one line; text from elsewhere can neither break it nor control the terminal."""
    click.echo(escape_controls(line), err=err)


def echo_json(document: str) -> None:
    """Print a JSON document that may have several lines."""
    click.echo(escape_in_json(document))
