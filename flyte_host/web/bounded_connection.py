"""One connection of a client, and the limits on it.

A request must arrive in time and be mostly body, and its answer must be read. A request that broke
off is not answered. :class:`Connections` limits what all clients use together.
"""

import asyncio
import logging
from types import FunctionType, SimpleNamespace
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http import httptools_impl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from flyte_host.web.connections import Connections

VERSIONS = frozenset({"1.0", "1.1"})
"""Those whose requests look as the parser reads them."""
HEAD_BYTES = 32 * 1024
"""The limit for the head of a request: its first line and its headers."""
BESIDE_BYTES = 64 * 1024
"""The limit for the rest of a request beside head and body: chunk sizes and trailers."""
CRUMB_BYTES = 48
"""Chunks of this size pay for themselves; smaller ones take from ``BESIDE_BYTES``."""
UNWANTED_BYTES = 1024 * 1024
"""How much of a body may arrive after an answer such as 401, so that the client can read that."""
READ_BYTES = HEAD_BYTES
"""What is read at once: a body that waits for room keeps some of it in memory."""
WRITE_BYTES = 16 * 1024
"""A client that leaves more than this of an answer unread is watched."""

_SILENT = logging.Logger("connections", logging.CRITICAL)  # noqa: LOG001
_begin = FunctionType(
    HttpToolsProtocol.__init__.__code__,
    {**vars(httptools_impl), "logging": SimpleNamespace(getLogger=lambda _: _SILENT)},
    argdefs=HttpToolsProtocol.__init__.__defaults__,
)
"""uvicorn's constructor, with loggers of its own that no plugin knows.

By their names, it would find those that plugins configure: handlers that block would run in the
loop, and a plugin that configures logging keeps all who ask for a logger waiting. What is logged
there is about nonsense that clients sent.
"""


class BoundedConnection(HttpToolsProtocol):
    """Has two timers: one until a request is complete, one until its answer is read."""

    def __init__(self, config: Config, connections: Connections) -> None:
        _begin(self, config, connections, {})
        self._open = connections
        self._limits = connections.limits
        self._answer = self.app
        self.app = self._answer_request
        self._timer: asyncio.TimerHandle | None = None
        self._within_seconds: float | None = None
        self._unread_timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[Any] | None = None
        self._is_answer_unread = False
        self._is_arriving = False
        self._has_begun = False
        self._is_in_head = False
        self._beside_bytes = 0
        self._unwanted_bytes = 0

    @property
    def is_idle(self) -> bool:
        """Whether none of its requests is being answered."""
        cycle: Any = self.cycle  # None before the first request
        return cycle is None or bool(cycle.response_complete)

    @property
    def unread_bytes(self) -> int:
        """How much of its answers the system could not send yet."""
        return self.transport.get_write_buffer_size()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        transport.max_size = READ_BYTES  # type: ignore[attr-defined]
        transport.set_write_buffer_limits(WRITE_BYTES)
        self._open.add(self)
        self._await_within(self._limits.head_seconds)
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        self._stop_unread_timer()
        self._open.discard(self)
        if self._is_arriving and self._task is not None:
            self._task.cancel()  # it would mistake what has arrived for the whole
        super().connection_lost(exc)
        self.app = self._answer  # breaks a reference cycle

    def abort(self) -> None:
        """Close it now, whatever has not been sent."""
        self._stop_timer()
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._is_arriving:
            self._beside_bytes += len(data)
        super().data_received(data)
        self._start_timer()  # only now: most requests come in one piece, and need none
        if self._is_arriving:
            self._has_begun = True
            self._open.begin(self)
            if self._is_in_head and self._beside_bytes > HEAD_BYTES:
                self._refuse_head()
            elif self._beside_bytes > BESIDE_BYTES:
                self.send_400_response(f"A request may have {BESIDE_BYTES} bytes beside its body.")
        elif self._has_begun:
            self._has_begun = False
            self._open.finish(self)

    def send_400_response(self, msg: str) -> None:
        if not self.transport.is_closing():
            super().send_400_response(msg)

    def _head_bytes(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def _refuse_head(self) -> None:
        if not self.transport.is_closing():
            said = f"The head of a request may have {HEAD_BYTES} bytes."
            self.transport.write(
                b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
                b"content-type: text/plain; charset=utf-8\r\n"
                b"content-length: %d\r\nconnection: close\r\n\r\n%s" % (len(said), said.encode())
            )
            self.transport.close()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._is_arriving = True
        self._task = None
        self._is_in_head = True
        self._beside_bytes = 0
        self._unwanted_bytes = 0
        self._await_within(self._limits.head_seconds)

    def on_headers_complete(self) -> None:
        # One read never exceeds the limit, and most heads come in one.
        if self._beside_bytes and self._head_bytes() > HEAD_BYTES:
            self._refuse_head()
            raise ConnectionAbortedError  # nothing of it is answered
        if self.parser.get_http_version() not in VERSIONS:
            self.send_400_response("Expected HTTP/1.1 or HTTP/1.0.")
            raise ConnectionAbortedError
        self._is_in_head = False
        self._beside_bytes = 0
        self._await_within(self._limits.body_seconds)
        super().on_headers_complete()
        # Trailers go here: as headers they would get past a proxy that looks at heads.
        self.headers = []
        if len(self.pipeline) > self._limits.pipelined:
            self.abort()
            raise ConnectionAbortedError  # otherwise the parser continues

    def on_body(self, body: bytes) -> None:
        if self._beside_bytes:  # the first piece came with the head
            paid = len(body) + len(body) // CRUMB_BYTES * 8
            self._beside_bytes = max(0, self._beside_bytes - paid)
        if self.is_idle:
            self._unwanted_bytes += len(body)
        if self._unwanted_bytes > UNWANTED_BYTES:
            self.abort()
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        self._stop_timer()
        self._is_arriving = False
        super().on_message_complete()

    def on_response_complete(self) -> None:
        self._open.renew(self)
        self._is_answer_unread = self.flow.write_paused
        if not self._is_answer_unread:  # else the next request has to wait
            super().on_response_complete()
        if self.transport.is_closing() and self.unread_bytes:
            self._expect_reading()

    def timeout_keep_alive_handler(self) -> None:
        self.abort()  # an unread last answer would keep it open

    def pause_writing(self) -> None:
        super().pause_writing()
        self.flow.pause_reading()
        self._open.pile_up(self)
        self._expect_reading()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._open.clear(self)
        if self.transport.is_closing():
            return
        self._stop_unread_timer()
        self.flow.resume_reading()
        if self._is_answer_unread:
            self._is_answer_unread = False
            super().on_response_complete()

    async def _answer_request(self, scope: Any, receive: Any, send: Any) -> None:
        if scope is self.scope:
            self._task = asyncio.current_task()
        await self._answer(scope, receive, send)

    def _expect_reading(self) -> None:
        if self._unread_timer is None:
            self._look_at_reading(self.unread_bytes + self._limits.answer_bytes)

    def _look_at_reading(self, unread_before: int) -> None:
        unread = self.unread_bytes
        if unread + self._limits.answer_bytes > unread_before:
            self.abort()
            return
        self._unread_timer = self.loop.call_later(
            self._limits.answer_seconds, self._look_at_reading, unread
        )

    def _stop_unread_timer(self) -> None:
        if self._unread_timer is not None:
            self._unread_timer.cancel()
            self._unread_timer = None

    def _await_within(self, seconds: float) -> None:
        self._stop_timer()
        self._within_seconds = seconds

    def _start_timer(self) -> None:
        """Start it if something new is awaited."""
        if self._within_seconds is not None:
            self._timer = self.loop.call_later(self._within_seconds, self.abort)
            self._within_seconds = None

    def _stop_timer(self) -> None:
        self._within_seconds = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
