"""A WSGI application served on an address, in threads of this process.

Owns the server's life. Must not know what the application answers.
"""

import socket
import threading
import time
from typing import TYPE_CHECKING, Any

from waitress import trigger, wasyncore
from waitress.server import create_server

from flyte_host.errors import FlyteHostError

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


MAX_BODY_BYTES = 16 * 1024 * 1024
"""As large as documents in MongoDB, the Go server's store, can be."""
LARGEST_ANSWER_BYTES = 1 << 40


class WebServer:
    """Listens as soon as it is made, answers from :meth:`start` to :meth:`stop`."""

    def __init__(
        self,
        app: "WSGIApplication",
        listen: tuple[str, int],
        *,
        name: str,
        threads: int = 8,
        max_body_bytes: int = MAX_BODY_BYTES,
    ) -> None:
        self._socket = _listening(listen, name)
        host, port = self._socket.getsockname()[:2]
        self.url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        # One listening socket makes one server; typeshed knows only the union of all kinds.
        server: Any = create_server(
            app,
            sockets=[self._socket],
            threads=threads,
            ident="flyte-host",
            clear_untrusted_proxy_headers=False,
            # A longer body is refused by its length, before anybody reads it.
            max_request_body_size=max_body_bytes + 1,
            # Bodies and answers stay in memory: no folder for temporary files is needed.
            inbuf_overflow=max_body_bytes + 1,
            outbuf_overflow=LARGEST_ANSWER_BYTES,
        )
        server.trigger.close()
        server.trigger = _Trigger(server._map)  # noqa: SLF001  no public way
        self._server = server
        self.thread = threading.Thread(target=self._server.run, name=name, daemon=True)

    def start(self) -> None:
        """Answer requests, from a thread of its own."""
        self.thread.start()

    def stop(self, wait_seconds: float = 2) -> None:
        """Close every connection; returns within ``wait_seconds``, whatever is under way.

        A second call does nothing.
        """
        until = time.monotonic() + wait_seconds
        self._server.task_dispatcher.shutdown(cancel_pending=True, timeout=wait_seconds)
        if self.thread.is_alive():
            # The sockets belong to that thread: it closes them when the trigger wakes it.
            self._server.trigger.pull_trigger(self._close_all)
            self.thread.join(max(0.0, until - time.monotonic()))
        else:
            self._close_all()

    def _close_all(self) -> None:
        wasyncore.close_all(self._server._map, ignore_all=True)  # noqa: SLF001  no public way


class _Trigger(trigger.trigger):
    """Wakes the server's thread; nothing is written once it is closed.

    A thread that answers pulls it whenever it is done, also long after the stop, and its
    descriptor's number could be somebody else's file by then.
    """

    _closed: bool

    def __init__(self, channels: Any) -> None:
        self._open = threading.RLock()
        super().__init__(channels)

    def _physical_pull(self) -> None:
        with self._open:
            if not self._closed:
                super()._physical_pull()  # type: ignore[misc]  # the stubs leave it out

    def close(self) -> None:
        with self._open:
            super().close()


def _listening(listen: tuple[str, int], name: str) -> socket.socket:
    host, port = listen
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server(listen, family=family, backlog=256)
    except OSError as error:
        reason = (error.strerror or str(error)).partition(" (while attempting")[0]
        raise FlyteHostError(
            f"{name}: cannot listen on {host}:{port}: {reason}; "
            "choose another address, or stop what uses it"
        ) from error
