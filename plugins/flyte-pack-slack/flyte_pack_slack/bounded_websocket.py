"""A websocket with an end to its handshake and to each message.

Owns how long and how large they may be. The library's timeout starts again with each byte.
"""

import socket
from collections.abc import Callable
from typing import Any

from flyte_pack_kit import TimeLimit
from websocket import ABNF, WebSocket, WebSocketException

MOST_MESSAGE_BYTES = 10_000_000


class BoundedWebSocket(WebSocket):
    """Each message ends within ``limit_seconds`` of its first byte; ``tls`` has the options."""

    sock: socket.socket | None

    def __init__(
        self, limit_seconds: float, monotonic: Callable[[], float], tls: dict[str, Any]
    ) -> None:
        super().__init__(sslopt=tls, enable_multithread=True)
        self._limit_seconds = limit_seconds
        self._monotonic = monotonic
        self._message_began_at = 0.0
        self._message_bytes = 0

    def open(self, url: str) -> None:
        """Connect; a redirect is a failure. Raises OSError or WebSocketException."""
        self.settimeout(self._limit_seconds)
        with TimeLimit(self._limit_seconds) as limit:
            limit.covers(lambda: self.sock)
            self.connect(url, redirect_limit=0)  # type: ignore[no-untyped-call]

    def read_frame(self) -> tuple[int, ABNF]:
        """The next message, ping or pong."""
        found: tuple[int, ABNF] = self.recv_data_frame(control_frame=True)
        if not self.cont_frame.cont_data:  # else it came between the parts of a message
            self._message_bytes = 0
        return found

    def _recv(self, bufsize: int) -> bytes:
        content: bytes = super()._recv(bufsize)  # type: ignore[no-untyped-call]
        if not self._message_bytes:
            self._message_began_at = self._monotonic()
        self._message_bytes += len(content)
        if self._message_bytes > MOST_MESSAGE_BYTES:
            raise WebSocketException(f"a message has more than {MOST_MESSAGE_BYTES} bytes")
        if self._monotonic() - self._message_began_at > self._limit_seconds:
            raise WebSocketException(f"a message has no end after {self._limit_seconds:g} s")
        return content
