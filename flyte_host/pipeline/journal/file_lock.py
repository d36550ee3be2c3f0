"""Makes one host the only one on a journal, whatever name the file is opened by.

Owns the lock. Must not know what the file holds.

The lock is on the file itself, so a symlink or a hard link to it meets the same lock. It covers
one byte that SQLite never uses, far behind the end of the file, so the two do not disturb each
other, on network file systems neither.
"""

import errno
import fcntl
import os
import struct
import sys
from pathlib import Path

from flyte_host.pipeline.journal.errors import JournalError, unusable

LOCKED_BYTE = 1 << 40


class FileLock:
    """Creates the file if there is none; raises JournalError if it cannot have it alone.

    Close SQLite's connections first: closing any descriptor of a file drops the POSIX locks that
    this process has on it, and SQLite relies on those.
    """

    def __init__(self, path: Path) -> None:
        try:
            # Inputs and results are private; SQLite gives its side files the same mode.
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise unusable(path, error) from error
        try:
            _lock(self._descriptor)
        except OSError as error:
            # The descriptor stays open: if the other host is in this process, closing it would
            # drop that host's locks.
            if error.errno not in {errno.EAGAIN, errno.EACCES}:
                raise JournalError(
                    f"journal {path}: the file cannot be locked: {error.strerror}; give [host] "
                    "state a path on another file system"
                ) from error
            raise JournalError(
                f"journal {path}: another flyte-host uses it; give each host a [host] state of its "
                "own"
            ) from error

    def close(self) -> None:
        """Let another host have the file."""
        os.close(self._descriptor)


def _lock(descriptor: int) -> None:
    if sys.platform == "linux":
        # Owned by the open file, not by the process: it survives other descriptors being closed.
        byte = struct.pack("hhqqi", fcntl.F_WRLCK, os.SEEK_SET, LOCKED_BYTE, 1, 0)
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, byte)
    else:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, LOCKED_BYTE)
