"""What the commands share: options, reading, words for errors.

Owns how every command looks from outside. Must not know any of them.
"""

import codecs
import logging
import os
import re
import sys
import zoneinfo
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from flyte_host import logs
from flyte_host.config import Config, load_config, secret_variables
from flyte_host.errors import FlyteHostError
from flyte_host.packs import ServedPacks, merge_packs
from flyte_host.plugins import Loader, discover
from flyte_host.secrets import Scrubber
from flyte_host.text import escape_controls, escape_in_json

DEFAULT_CONFIG = "flyte-host.toml"
POSIX_ZONE = re.compile(r"(?:[A-Za-z]{3,}|<[^>]+>)[+-]?\d")
"""``CET-1CEST`` needs no file."""

log = logging.getLogger(__name__)
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
        for line in scrubber.scrub(str(error)).split("\n"):
            echo(f"flyte-host: {line}", err=True)
        sys.exit(error.exit_code)


def config_file(path: Path | None) -> Path | None:
    """The configuration file: the one that was named, that of this folder, or none."""
    if path is None and Path(DEFAULT_CONFIG).exists():
        return Path(DEFAULT_CONFIG)
    return path


def read_config(
    path: Path | None, *, flyte_needed: bool = True, environ: Mapping[str, str] = os.environ
) -> Config:
    return load_config(config_file(path), environ, flyte_needed=flyte_needed)


@contextmanager
def read_packs(config: Config, scrubber: Scrubber) -> Iterator[ServedPacks]:
    """What a host would serve; the processes of isolated plugins last as long as this."""
    hidden = secret_variables(config)
    loader = Loader(discover(), os.environ, scrubber, secret_variables=hidden)
    try:
        yield merge_packs(loader.load(config.packs), config)
    finally:
        loader.close()


def warn_about_time_zone(environ: Mapping[str, str]) -> None:
    """The C library takes a zone that it does not know for UTC, without a word."""
    zone = environ.get("TZ", "").removeprefix(":")
    if not zone or POSIX_ZONE.match(zone) or Path(zone).is_absolute():
        return
    try:
        zoneinfo.ZoneInfo(zone)
    except (KeyError, OSError, ValueError):
        log.warning("TZ=%s is not a known time zone: times are in UTC", zone)


def quieter(level: str) -> str:
    """What these commands have to say about plugins they print themselves."""
    return "critical" if level == "info" else level


def echo(line: str, *, err: bool = False) -> None:
    """Print one line; whatever text of others stands in it, it stays one and obeys nobody."""
    click.echo(escape_controls(line), err=err)


def echo_json(document: str) -> None:
    """Print a JSON document that may have several lines."""
    click.echo(escape_in_json(document))


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines with the cells of ``rows`` in columns."""
    rows = [[escape_controls(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def read_json_argument(name: str, text: str | None) -> bytes:
    """The argument ``name`` as JSON: itself, ``@FILE``, or stdin; raises UsageError."""
    if text is None:
        document = b"" if sys.stdin.isatty() else sys.stdin.buffer.read()
    elif text.startswith("@"):
        try:
            document = Path(text[1:]).read_bytes()
        except OSError as error:
            raise click.UsageError(f"{name} {text}: {error.strerror}") from error
    else:
        document = text.encode()
    document = without_mark(document)
    if not document.strip():
        return b"null"
    try:
        msgspec.json.decode(document)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise click.UsageError(
            f"{name} is not valid JSON: {error}; a string needs its quotes: '\"text\"'"
        ) from error
    return document


def without_mark(document: bytes) -> bytes:
    """The document without the byte order mark that some editors begin UTF-8 with."""
    return document.removeprefix(codecs.BOM_UTF8)
