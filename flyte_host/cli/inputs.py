"""What the commands read: the configuration, and JSON that a person gives.

Owns where each is found and the words for what cannot be read.
"""

import codecs
import os
import sys
from collections.abc import Mapping
from pathlib import Path

import click

from flyte_host.cli.common import DEFAULT_CONFIG
from flyte_host.config import Config, load_config
from flyte_host.given_file import read_file, read_stream
from flyte_host.json_decoding import decode_json


def config_file(path: Path | None) -> Path | None:
    """The configuration file: the named one, else the one in this folder, else none."""
    if path is None and Path(DEFAULT_CONFIG).exists():
        return Path(DEFAULT_CONFIG)
    return path


def read_config(
    path: Path | None, *, flyte_needed: bool = True, environ: Mapping[str, str] = os.environ
) -> Config:
    return load_config(config_file(path), environ, flyte_needed=flyte_needed)


def read_json_argument(name: str, text: str | None) -> bytes:
    """The argument ``name`` as JSON: itself, ``@FILE``, or stdin; raises UsageError."""
    if text is None:
        document = b"" if sys.stdin.isatty() else _read_stdin(name)
    elif text.startswith("@"):
        try:
            document = read_file(Path(text[1:]))
        except OSError as error:
            raise click.UsageError(f"{name} {text}: {error.strerror}") from error
    else:
        document = text.encode()
    document = without_mark(document)
    if not document.strip():
        return b"null"
    try:
        decode_json(document, object)
    except ValueError as error:
        raise click.UsageError(
            f"{name} is not valid JSON: {error}; a string needs its quotes: '\"text\"'"
        ) from error
    return document


def _read_stdin(name: str) -> bytes:
    try:
        return read_stream(sys.stdin.buffer)
    except OSError as error:
        raise click.UsageError(f"{name}: stdin cannot be read: {error.strerror}") from error


def without_mark(document: bytes) -> bytes:
    """The document without the byte order mark that some editors begin UTF-8 with."""
    return document.removeprefix(codecs.BOM_UTF8)
