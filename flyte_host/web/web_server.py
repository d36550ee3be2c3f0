"""Serves an ASGI application at an address, with one event loop in a thread of this process.

Owns the server's life. An idle connection costs a descriptor but no thread. :class:`Limits` says
what clients may use.
"""

import asyncio
import logging
import threading
from concurrent.futures import Future
from typing import Any

from starlette.requests import ClientDisconnect
from uvicorn.config import Config

from flyte_host.heaps import give_back_large_blocks
from flyte_host.thread_watch import ThreadWatch, WatchedExecutor
from flyte_host.web.bounded_connection import BoundedConnection
from flyte_host.web.connections import CLOSE_SECONDS, Connections
from flyte_host.web.limits import Limits
from flyte_host.web.listening_port import open_port

log = logging.getLogger(__name__)

REPEAT_SECONDS = 60.0
"""Problems of the loop, such as a lack of descriptors, are logged at most this often."""
ABORT_SECONDS = 0.1
"""How long a stop waits for threads that still answer when all connections are closed."""


class WebServer:
    """Answers from :meth:`start` to :meth:`stop`.

    ``threads`` is how many blocking calls ``app`` may run at once with ``asyncio.to_thread``.
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
        """Listen, and answer in a thread; raises FlyteHostError."""
        give_back_large_blocks()
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
        # Not the policy's loop: a plugin may have set another policy.
        runner = asyncio.Runner(loop_factory=asyncio.SelectorEventLoop)
        try:
            runner.run(self._serve())
        finally:
            self._socket.close()  # after an error too: clients should not wait for an answer
            self._all_closed.set()
        runner.close()  # waits for answers under way; after an error nothing waits

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self._tell)
        loop.set_default_executor(
            WatchedExecutor(self._threads, f"{self._name} answer", self._watch)
        )
        connections = Connections(self._limits.within_descriptors())
        config = Config(
            self._answer,
            interface="asgi3",
            http=BoundedConnection,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            timeout_keep_alive=self._limits.idle_seconds,  # type: ignore[arg-type]  # any seconds
        )
        config.load()
        server = await loop.create_server(
            lambda: BoundedConnection(config, connections), sock=self._socket, backlog=1024
        )
        wait_seconds = await asyncio.wrap_future(self._stop_seconds)
        await self._stop_listening(loop, server)
        await connections.end(wait_seconds)

    async def _stop_listening(
        self, loop: asyncio.AbstractEventLoop, server: asyncio.Server
    ) -> None:
        """A closed server drops what it has just accepted, and leaves those sockets open.

        So accept no more, and let connections begin if asyncio has a task for them already.
        """
        loop.remove_reader(self._socket)
        await asyncio.sleep(0)
        server.close()

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await self._app(scope, receive, send)
        except ClientDisconnect:
            pass  # nobody waits for the answer, and clients could fill the log
        except Exception:
            log.exception("%s: %s %s failed", self._name, scope["method"], scope["path"])
            raise

    def _tell(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Log what no caller sees, above all that a connection could not be accepted."""
        now = loop.time()
        if now - self._told_at >= REPEAT_SECONDS:
            self._told_at = now
            error = context.get("exception")
            log.error("%s: %s", self._name, error or context["message"], exc_info=error)
