"""Standard streams and arguments as a shell may hand them over: closed, full, in another encoding.

Each of these becomes one clear line. Must not know the commands.
"""

import errno
import fcntl
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TextIO, cast

import click

from flyte_host.cli.common import echo

STREAMS = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}


class _ForgivingStderr:
    """stderr that drops what cannot be written, so that a command works and ends as usual.

    There is nowhere to report it. Logs have their own descriptor and writer.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def open_standard_streams() -> None:
    """Open closed ones on ``/dev/null``, and let stderr be full or without a reader.

    Otherwise the next file or socket gets the number, and everything printed goes into it. One
    that is open the wrong way is as good as closed: ``nohup`` gives a stdin that only writes.
    """
    for number, (name, mode) in enumerate(STREAMS):
        if not _is_open(number, mode):
            _open_on_nothing(number)
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, mode, closefd=False))
    sys.stderr = cast("TextIO", _ForgivingStderr(sys.stderr))


def _is_open(descriptor: int, mode: str) -> bool:
    try:
        access = fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE
    except OSError:
        return False
    return access in {os.O_RDWR, os.O_RDONLY if mode == "r" else os.O_WRONLY}


def _open_on_nothing(descriptor: int) -> None:
    null = os.open(os.devnull, os.O_RDWR)  # a closed one has the lowest number
    if null == descriptor:
        os.set_inheritable(null, True)
    else:
        os.dup2(null, descriptor)
        os.close(null)


def check_arguments(arguments: Sequence[str]) -> None:
    """Refuse those that are not UTF-8: no name of a pack, no JSON and no key could be."""
    for argument in arguments:
        if any("\ud800" <= character <= "\udfff" for character in argument):
            shown = argument.encode(errors="surrogateescape").decode(errors="backslashreplace")
            raise click.UsageError(f"found an argument that is not UTF-8: {shown}")


@contextmanager
def report_full_output() -> Iterator[None]:
    """Exit with 1, after one line, if the output cannot be written."""
    try:
        yield
    except OSError as error:
        if error.filename is not None or error.errno not in FULL:
            raise
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)  # Python writes the rest there at its end
        echo(f"flyte-host: stdout cannot be written: {error.strerror}", err=True)
        sys.exit(1)
