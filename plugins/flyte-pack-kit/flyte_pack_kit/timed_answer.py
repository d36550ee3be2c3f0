"""An answer over HTTP that ends, for any client that is based on http.client.

A timeout of a socket bounds each wait for bytes, so an answer that drips could last forever.
"""

import http.client
import io
import socket
import time
from typing import Any


class _TimedBytes(io.RawIOBase):
    """What comes from the socket, until the time is over."""

    def __init__(self, source: io.RawIOBase, connection: socket.socket) -> None:
        self._source = source
        self._connection = connection
        self._end = time.monotonic() + (connection.gettimeout() or 0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        self._connection.settimeout(left)
        return self._source.readinto(buffer)

    def close(self) -> None:
        self._source.close()
        super().close()


class TimedAnswer(http.client.HTTPResponse):
    """Ends within the timeout of its connection, which bounds the whole answer."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_TimedBytes(self.fp.detach(), sock))
