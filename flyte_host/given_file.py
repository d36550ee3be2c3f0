"""Files that people name, and stdin: read to their end, if they have one and it comes.

Owns what a path may lead to instead of a file. Must not know what the files hold.
"""

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

LARGEST_BYTES = 64 * 1024 * 1024
"""More than any file that is read whole: a device such as ``/dev/zero`` has no end."""
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def read_file(path: Path, most_bytes: int = LARGEST_BYTES) -> bytes:
    """At most one byte more than ``most_bytes``, so that callers can see that it is too large.

    Raises OSError, also for a pipe that nobody writes to, and by default for a file that is too
    large. A shell's ``<(command)`` is a pipe that somebody writes to.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with open(descriptor, "rb") as file:  # noqa: PTH123  a descriptor
        content = read_stream(file, most_bytes)
        if not content and stat.S_ISFIFO(os.fstat(descriptor).st_mode):
            raise OSError(errno.EPIPE, "it is a pipe that nobody writes to", str(path))
    return content


def read_stream(stream: BinaryIO, most_bytes: int = LARGEST_BYTES) -> bytes:
    """The same of what is open already, such as stdin, however a program has left it."""
    os.set_blocking(stream.fileno(), True)
    content = stream.read(most_bytes + 1)
    if len(content) > LARGEST_BYTES:
        raise OSError(errno.EFBIG, "it is larger than 64 MB")
    return content


def why_not_a_file(path: Path) -> str:
    """``found a named pipe, expected a file``; empty for a file, and where nothing is yet."""
    try:
        kind = stat.S_IFMT(path.stat().st_mode)
    except (OSError, ValueError):
        return ""
    return "" if kind == stat.S_IFREG else f"found {_KINDS.get(kind, 'no file')}, expected a file"
