"""Clients that connect and then say nothing, or as little and as slowly as they may."""

import selectors
import socket
import threading
from collections.abc import Sequence
from typing import Self
from urllib.parse import urlsplit

from flyte_host.testing.waiting import PATIENCE_SECONDS

DRIP_SECONDS = 0.5
HEAD = b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: "
SMALL_BODY = b"POST /v1/packs/P/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 60000\r\n\r\n"
LARGE_BODY = SMALL_BODY.replace(b"60000", b"16000000")
BEGINNINGS = (HEAD, SMALL_BODY, LARGE_BODY)


class IdleCrowd:
    """``idle`` connections to each of ``urls`` that say nothing, and ``dripping`` ones to each.

    If a server closes a connection, another one takes its place. Use it with ``with``.
    """

    def __init__(self, urls: Sequence[str], *, idle: int, dripping: int = 0) -> None:
        self._urls = urls
        self._idle = [url for url in urls for _ in range(idle)]
        self._dripping = [url for url in urls for _ in range(dripping)]
        self._open = selectors.DefaultSelector()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._drip, daemon=True)
        self.closed = 0

    def __enter__(self) -> Self:
        for url in self._idle:
            self._connect(url, b"")
        for number, url in enumerate(self._dripping):
            self._connect(url, BEGINNINGS[number % len(BEGINNINGS)])
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join(PATIENCE_SECONDS)
        for key in list(self._open.get_map().values()):
            self._drop(key)
        self._open.close()

    def _connect(self, url: str, beginning: bytes) -> None:
        address = urlsplit(url)
        client = socket.create_connection(
            (address.hostname or "", address.port or 0), timeout=PATIENCE_SECONDS
        )
        client.sendall(beginning)
        client.setblocking(False)
        self._open.register(client, selectors.EVENT_READ, (url, beginning))

    def _drop(self, key: selectors.SelectorKey) -> None:
        client = key.fileobj
        assert isinstance(client, socket.socket)
        self._open.unregister(client)
        client.close()

    def _drip(self) -> None:
        while not self._done.wait(DRIP_SECONDS):
            for key, _ in self._open.select(0):  # nobody answers them: it was closed
                self.closed += 1
                self._drop(key)
                self._connect(*key.data)
            for key in list(self._open.get_map().values()):
                self._send_a_byte(key)

    def _send_a_byte(self, key: selectors.SelectorKey) -> None:
        if not key.data[1]:
            return
        client = key.fileobj
        assert isinstance(client, socket.socket)
        try:
            client.send(b"x")
        except OSError:  # closed since the look
            return
