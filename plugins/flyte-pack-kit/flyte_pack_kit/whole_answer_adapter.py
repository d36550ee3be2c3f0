"""requests' transport adapter, with an end to every answer.

Owns how long an answer may take as a whole. urllib3's read timeout bounds each wait for bytes, so
an answer that drips could last forever.
"""

import http.client
import io
import socket
import time
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection


class WholeAnswerAdapter(HTTPAdapter):
    """The read timeout bounds the whole answer, from the request to the last byte."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _PlainPool, "https": _TlsPool}


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
    """Ends within the timeout of its connection, for any client that http.client is below."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_TimedBytes(self.fp.detach(), sock))


class _PlainConnection(HTTPConnection):
    response_class = TimedAnswer


class _TlsConnection(HTTPSConnection):
    response_class = TimedAnswer


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _PlainConnection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection
