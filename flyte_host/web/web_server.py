"""An ASGI application served on an address, by one event loop in a thread of this process.

Owns the server's life, and what one client may take of it: time for a request's head and body, time
between requests, and connections. An idle connection costs a descriptor and no thread.
"""

import asyncio
import logging
import threading
import time
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from flyte_host.thread_watch import ThreadWatch, WatchedExecutor
from flyte_host.web.listening_port import open_port

log = logging.getLogger(__name__)

REPEAT_SECONDS = 60.0
"""How long the loop keeps quiet about a problem, such as a lack of descriptors, once it told."""
HEAD_BYTES = 64 * 1024
UNWANTED_BYTES = 1024 * 1024
"""So much of a body may arrive after the answer, such as 401: a client should get to read that."""
ABORT_SECONDS = 0.1
"""How long a stop waits for threads that still answer when all connections are closed."""
CLOSE_SECONDS = 5.0
"""How long the loop may take to close connections, which is milliseconds unless it is starved."""

_protocol_log = logging.getLogger("uvicorn.error")
_protocol_log.setLevel(logging.CRITICAL)  # clients could fill the log with nonsense


@dataclass(frozen=True, slots=True)
class Limits:
    """What clients may take. ``idle_seconds`` is longer than any usual pause between two polls."""

    head_seconds: float = 10.0
    body_seconds: float = 60.0
    idle_seconds: float = 120.0
    connections: int = 1500


class WebServer:
    """Answers from :meth:`start` to :meth:`stop`.

    ``asyncio.to_thread`` in ``app`` has so many ``threads`` for what blocks.
    """

    def __init__(
        self,
        app: Any,
        listen: tuple[str, int],
        *,
        name: str,
        threads: int = 8,
        limits: Limits | None = None,
        watch: ThreadWatch | None = None,
    ) -> None:
        self._app = app
        self._listen = listen
        self._name = name
        self._threads = threads
        self._limits = limits or Limits()
        self._stop_seconds: Future[float] = Future()
        self._all_closed = threading.Event()
        self._told_at = -REPEAT_SECONDS
        self._watch = watch or ThreadWatch()
        self.url = ""
        self.thread = self._watch.make_thread(self._run, name)

    def start(self) -> None:
        """Listen, and answer from a thread of its own; raises FlyteHostError."""
        self._socket = open_port(self._listen, self._name)
        host, port = self._socket.getsockname()[:2]
        self.url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        self.thread.start()

    def stop(self, wait_seconds: float = 2) -> None:
        """Accept nothing new, and end answers that are under way within ``wait_seconds``.

        A second call does nothing.
        """
        if self.thread.ident is None or self._stop_seconds.done():
            return
        self._stop_seconds.set_result(wait_seconds)
        self._all_closed.wait(wait_seconds + CLOSE_SECONDS)
        self.thread.join(ABORT_SECONDS)

    def _run(self) -> None:
        # Not what the policy gives: a plugin may have set one for itself.
        runner = asyncio.Runner(loop_factory=asyncio.SelectorEventLoop)
        try:
            runner.run(self._serve())
        finally:
            self._all_closed.set()
        runner.close()  # waits for answers under way; not after an error, which is told at once

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self._tell)
        loop.set_default_executor(
            WatchedExecutor(self._threads, f"{self._name} answer", self._watch)
        )
        connections = _Connections(self._limits)
        config = Config(
            self._answer,
            interface="asgi3",
            http=HttpToolsProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            timeout_keep_alive=self._limits.idle_seconds,  # type: ignore[arg-type]  # any seconds
        )
        config.load()
        server = await loop.create_server(
            lambda: _Bounded(config, connections, self._limits), sock=self._socket, backlog=1024
        )
        wait_seconds = await asyncio.wrap_future(self._stop_seconds)
        server.close()
        await connections.end(wait_seconds)

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await self._app(scope, receive, send)
        except Exception:
            log.exception("%s: %s %s failed", self._name, scope["method"], scope["path"])
            raise

    def _tell(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """What the loop cannot tell a caller: above all that it could not accept a connection."""
        now = loop.time()
        if now - self._told_at >= REPEAT_SECONDS:
            self._told_at = now
            error = context.get("exception")
            log.error("%s: %s", self._name, error or context["message"], exc_info=error)


class _Connections(ServerState):
    """All connections of one server, the oldest first."""

    def __init__(self, limits: Limits) -> None:
        super().__init__()
        self._limits = limits
        self._by_age: dict[_Bounded, None] = {}
        self._second = 0
        self._is_ending = False
        self._none_left = asyncio.Event()

    def add(self, connection: "_Bounded") -> None:
        """Take it on; beyond the limit the one that has been idle longest makes room."""
        self._by_age[connection] = None
        if self._is_ending:  # it was accepted just before
            connection.abort()
        elif len(self._by_age) > self._limits.connections:
            idle = (each for each in self._by_age if each.is_idle)
            next(idle, connection).abort()

    def renew(self, connection: "_Bounded") -> None:
        """It had an answer: it is the youngest of those that are idle."""
        if connection in self._by_age:
            del self._by_age[connection]
            self._by_age[connection] = None

    def discard(self, connection: "_Bounded") -> None:
        self._by_age.pop(connection, None)
        if self._is_ending and not self._by_age:
            self._none_left.set()

    async def end(self, wait_seconds: float) -> None:
        """Close all of them, those with an answer under way once that is sent, or time is up."""
        for each in list(self._by_age):
            each.shutdown()
        if self.tasks:
            await asyncio.wait(self.tasks, timeout=wait_seconds)
        for task in self.tasks:
            task.cancel()
        self._is_ending = True
        for each in list(self._by_age):
            each.abort()
        await self._wait_until_none_is_left()

    async def _wait_until_none_is_left(self) -> None:
        """A loop that closed while a transport was open would leave its socket open for good.

        A connection that was just accepted has no protocol yet; a task of asyncio's makes it.
        """
        others = asyncio.all_tasks() - {asyncio.current_task()}
        if others:
            await asyncio.wait(others, timeout=CLOSE_SECONDS / 2)
        if self._by_age:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._none_left.wait(), CLOSE_SECONDS / 2)

    @property
    def default_headers(self) -> list[tuple[bytes, bytes]]:
        """uvicorn renews them by a timer that ticks ten times a second, also when nobody asks."""
        second = int(time.time())
        if second != self._second:
            self._second = second
            date = formatdate(second, usegmt=True).encode()
            self._headers = [(b"date", date), (b"server", b"flyte-host")]
        return self._headers

    @default_headers.setter
    def default_headers(self, _: list[tuple[bytes, bytes]]) -> None:
        """Nobody sets them but uvicorn, to nothing, at the start."""


class _Bounded(HttpToolsProtocol):
    """A connection whose requests have to arrive in time: one timer, for what is awaited now."""

    def __init__(self, config: Config, connections: _Connections, limits: Limits) -> None:
        super().__init__(config, connections, {})
        self._open = connections
        self._limits = limits
        self._timer: asyncio.TimerHandle | None = None
        self._within_seconds: float | None = None
        self._head_bytes = 0
        self._unwanted_bytes = 0

    @property
    def is_idle(self) -> bool:
        """Whether no request of it is being answered."""
        cycle: Any = self.cycle  # None before the first request
        return cycle is None or bool(cycle.response_complete)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._open.add(self)
        self._await_within(self._limits.head_seconds)
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        self._open.discard(self)
        super().connection_lost(exc)

    def abort(self) -> None:
        """Close it now, whatever has not been sent."""
        self._stop_timer()
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._head_bytes:
            self._head_bytes += len(data)
        super().data_received(data)
        self._start_timer()  # only now: most requests come in one piece, and need none
        if self._head_bytes > HEAD_BYTES:
            self.send_400_response(f"The head of a request may have {HEAD_BYTES} bytes.")
            self._head_bytes = 0

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head_bytes = 1
        self._unwanted_bytes = 0
        self._await_within(self._limits.head_seconds)

    def on_headers_complete(self) -> None:
        self._head_bytes = 0
        self._await_within(self._limits.body_seconds)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if self.is_idle:
            self._unwanted_bytes += len(body)
        if self._unwanted_bytes > UNWANTED_BYTES:
            self.abort()
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        self._stop_timer()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        self._open.renew(self)
        super().on_response_complete()

    def _await_within(self, seconds: float) -> None:
        self._stop_timer()
        self._within_seconds = seconds

    def _start_timer(self) -> None:
        """For what is awaited since the last time, if anything."""
        if self._within_seconds is not None:
            self._timer = self.loop.call_later(self._within_seconds, self.abort)
            self._within_seconds = None

    def _stop_timer(self) -> None:
        self._within_seconds = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
