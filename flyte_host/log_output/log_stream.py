"""What log lines are written to.

Owns a descriptor that nobody else can close. A reader who is slow or gone keeps no lock that others
need. Must not know lines.
"""

import contextlib
import os
import select
import weakref
from typing import TextIO

POLL_MILLISECONDS = 1_000


class LogStream:
    """A second descriptor of what ``stream`` writes to; the stream itself if it has none.

    Were the descriptor not ours alone, lines would go to whatever gets its number once somebody has
    closed it, even to a client.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._descriptor = _own_descriptor(stream)
        if self._descriptor is not None:
            weakref.finalize(self, os.close, self._descriptor)

    def write(self, text: str) -> None:
        """Write all of it, without a lock: a write may wait for its reader forever."""
        with contextlib.suppress(OSError, ValueError):  # its reader is gone, or it is closed
            if self._descriptor is not None:
                _write_bytes(self._descriptor, text.encode(errors="backslashreplace"))
            else:
                self._stream.write(text)
                self._stream.flush()


def _own_descriptor(stream: TextIO) -> int | None:
    """None if it is in memory, or closed."""
    try:
        return os.dup(stream.fileno())
    except (OSError, ValueError, AttributeError):
        return None


def _write_bytes(descriptor: int, data: bytes) -> None:
    while data:
        try:
            data = data[os.write(descriptor, data) :]
        except BlockingIOError:  # a program that shares it made it non-blocking
            poll = select.poll()
            poll.register(descriptor, select.POLLOUT)
            poll.poll(POLL_MILLISECONDS)
