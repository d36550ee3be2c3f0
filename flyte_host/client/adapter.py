"""requests' transport adapter, with an end to every answer.

Owns how long an answer may take as a whole. Must not know what is asked.

urllib3's read timeout bounds each wait for bytes, so headers or a body that drip would last as long
as they like.
"""

import http.client
import io
import socket
import time
from contextlib import suppress
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

from flyte_host import forks


class Adapter(HTTPAdapter):
    """``read`` of a timeout bounds the whole answer, from the request to the last byte."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _HTTPPool, "https": _HTTPSPool}

    def close(self) -> None:
        """Close idle connections now; urllib3 leaves them to the garbage collector."""
        pools = self.poolmanager.pools
        for key in pools.keys():  # noqa: SIM118 - not a dict: it refuses to be iterated
            if (pool := pools.get(key)) is not None:
                pool.close()
        super().close()

    def cert_verify(self, *args: Any, **kwargs: Any) -> None:
        """requests refuses every call while a file is away; an open connection needs none."""
        with suppress(OSError):
            super().cert_verify(*args, **kwargs)


class _Bytes(io.RawIOBase):
    """What comes from the socket, until the time is over."""

    def __init__(self, source: io.RawIOBase, connection: socket.socket) -> None:
        self._source = source
        self._connection = connection
        self._seconds = connection.gettimeout()
        self._began: float | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self._seconds is not None:
            self._shorten(self._seconds)
        return self._source.readinto(buffer)

    def _shorten(self, seconds: float) -> None:
        """Let the next wait be as long as the time that is left; the first has all of it."""
        now = time.monotonic()
        if self._began is None:
            self._began = now
            return
        left = self._began + seconds - now
        if left <= 0:
            raise TimeoutError
        self._connection.settimeout(left)

    def close(self) -> None:
        self._source.close()
        super().close()


class _Response(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_Bytes(self.fp.detach(), sock))


class _HTTPConnection(HTTPConnection):
    response_class = _Response

    def connect(self) -> None:
        super().connect()
        forks.own_connection(self.sock)


class _HTTPSConnection(HTTPSConnection):
    response_class = _Response

    def connect(self) -> None:
        super().connect()
        forks.own_connection(self.sock)


class _HTTPPool(HTTPConnectionPool):
    ConnectionCls = _HTTPConnection


class _HTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _HTTPSConnection
