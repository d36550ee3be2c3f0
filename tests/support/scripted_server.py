r"""A real HTTP server on loopback that answers what a test tells it to, byte for byte.

::

    with ScriptedServer() as server:
        server.on("GET /v1", reply(200, links(server.url)))
        server.on("POST /v1/packs/M/events", reply(503), reply(202))  # in this order
        server.on("GET /slow", [b"HTTP/1.1 200 OK\r\n", HANG])  # the first half, then nothing
        ...
        assert [r.path for r in server.requests] == ["/v1", ...]

The key is method and path, without the query; the last answer of a key is repeated. An answer is
bytes, or a list of steps: bytes to send, ``HANG`` (until the server stops), ``CLOSE`` (the
connection) or ``RESET`` (close it without the usual farewell), a ``threading.Event`` to wait for,
or a callable that gets the recorded :class:`Seen` and returns bytes. Connections stay open after
an answer; an unscripted request is answered with 404. ``ScriptedServer(tls=ssl_context)`` speaks
TLS. Nothing sleeps; leaving the block ends every connection and joins every thread.

:func:`links`, :func:`registered` and :func:`action` are what a real flyte answers.
"""

import contextlib
import json
import socket
import socketserver
import ssl
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Self

from flyte_host.testing.waiting import PATIENCE_SECONDS

CRLF = b"\r\n"
HANG = "hang"
CLOSE = "close"
RESET = "reset"


@dataclass(frozen=True)
class Seen:
    """A request as it came; header names in lower case; ``connection`` counts from 1."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes
    connection: int


Step = bytes | str | threading.Event | Callable[[Seen], bytes]
Reply = bytes | Sequence[Step]


def reply(status: int, body: bytes = b"", **headers: str) -> bytes:
    """A whole answer; ``Retry_After="3"`` becomes the header ``Retry-After: 3``."""
    lines = [f"HTTP/1.1 {status} Said So"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    if status != 204:
        lines.append(f"Content-Length: {len(body)}")
    return CRLF.join(line.encode() for line in lines) + CRLF + CRLF + body


def reply_together(requests: int, status: int) -> Callable[[Seen], bytes]:
    """An answer that each request gets once ``requests`` of them are there."""
    together = threading.Barrier(requests)

    def answer(_: Seen) -> bytes:
        together.wait(PATIENCE_SECONDS)
        return reply(status)

    return answer


def chunked(status: int, *chunks: bytes) -> bytes:
    head = f"HTTP/1.1 {status} Said So\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    return head + b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in (*chunks, b""))


def links(url: str, **more: str) -> bytes:
    """flyte's answer to GET /v1."""
    rels = {
        "self": "/v1",
        f"{url}/swagger#!/info/health": "/health",
        f"{url}/swagger#!/pack/listPacks": "/v1/packs",
        f"{url}/swagger#!/flowAudit/findFlows": "/v1/audit/flows",
    }
    found = [{"href": f"{url}{path}", "rel": rel} for rel, path in rels.items()]
    found += [{"href": href, "rel": rel} for rel, href in more.items()]
    return json.dumps({"links": found}).encode()


def registered(url: str, pack_id: str, *own: dict[str, str]) -> bytes:
    """flyte's answer to a registration: the pack's own links first, and no id escaped."""
    pack = f"{url}/v1/packs/{pack_id}"
    take = {"href": f"{pack}/actions/take", "rel": f"{url}/swagger#!/action/takeAction"}
    document: dict[str, Any] = {
        "id": pack_id,
        "name": pack_id,
        "commands": [{"name": "echo", "links": [take | {"href": "http://127.0.0.1:1/wrong"}]}],
        "links": [
            *own,
            {"href": pack, "rel": "self"},
            take,
            {"href": f"{pack}/events", "rel": f"{url}/swagger#/event"},
        ],
        "status": "live",
    }
    return json.dumps(document, ensure_ascii=False).encode()


def action(url: str, pack_id: str, action_id: str, **more: Any) -> bytes:
    """flyte's answer to a take that found something."""
    href = f"{url}/v1/packs/{pack_id}/actions/{action_id}/result"
    document = {
        "command": "echo",
        "input": None,
        "links": [{"href": href, "rel": f"{url}/swagger#/actionResult"}],
    }
    return json.dumps(document | more, ensure_ascii=False).encode()


@dataclass
class _Script:
    replies: list[Reply] = field(default_factory=list)

    def next(self) -> Reply:
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]


@contextmanager
def port_of_nobody() -> Iterator[int]:
    """A port that refuses connections and that no other test gets; a server may still take it."""
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


class ScriptedServer(socketserver.ThreadingTCPServer):
    """See the module; ``url`` has neither path nor closing slash."""

    daemon_threads = False
    block_on_close = True
    allow_reuse_address = True

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.port = self.server_address[1]
        self.url = f"{'https' if tls else 'http'}://localhost:{self.port}"
        self.requests: list[Seen] = []
        self.stopping = threading.Event()
        self.connections = 0
        self._tls = tls
        self._scripts: dict[str, _Script] = {}
        self._changed = threading.Condition()
        self._open: set[socket.socket] = set()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,))

    def on(self, request: str, *replies: Reply) -> None:
        """What ``"METHOD /path"`` is answered from now on."""
        with self._changed:
            self._scripts[request] = _Script(list(replies))

    def wait_for(self, count: int, seconds: float = PATIENCE_SECONDS) -> list[Seen]:
        """The requests, once there are ``count`` of them."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.requests) >= count, seconds)
            return list(self.requests)

    def wait_until_idle(self, seconds: float = PATIENCE_SECONDS) -> None:
        """Wait until no connection is open."""
        with self._changed:
            assert self._changed.wait_for(lambda: not self._open, seconds)

    @property
    def open_connections(self) -> int:
        """How many are open now."""
        return len(self._open)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        self.shutdown()
        self._thread.join()
        self.end_connections()
        self.server_close()

    def process_request(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request(request, client_address)
        except RuntimeError:  # no thread can be started: there is none to wait for at the end
            self._threads.pop()  # type: ignore[attr-defined]
            raise

    def end_connections(self) -> None:
        """Like a server or balancer that closes connections idle for too long."""
        with self._changed:
            for connection in self._open:
                with contextlib.suppress(OSError):  # the client was faster
                    connection.shutdown(socket.SHUT_RDWR)

    def opened(self, connection: socket.socket) -> int:
        with self._changed:
            self._open.add(connection)
            self.connections += 1
            return self.connections

    def closed(self, connection: socket.socket) -> None:
        with self._changed:
            self._open.discard(connection)
            self._changed.notify_all()

    def secured(self, connection: socket.socket) -> socket.socket:
        return self._tls.wrap_socket(connection, server_side=True) if self._tls else connection

    def answer_to(self, seen: Seen) -> Reply:
        with self._changed:
            self.requests.append(seen)
            self._changed.notify_all()
            script = self._scripts.get(f"{seen.method} {seen.path}")
            return script.next() if script else reply(404)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away, or fails to shake hands, is part of what is tested."""


class _Connection(socketserver.BaseRequestHandler):
    server: ScriptedServer

    def handle(self) -> None:
        number = self.server.opened(self.request)
        try:
            with self.server.secured(self.request) as connection:
                self._serve(connection, number)
        finally:
            self.server.closed(self.request)

    def _serve(self, connection: socket.socket, number: int) -> None:
        with connection.makefile("rb") as stream:
            while seen := _read(stream, number):
                answer = self.server.answer_to(seen)
                for step in [answer] if isinstance(answer, bytes) else answer:
                    if step == RESET:
                        abrupt = struct.pack("ii", 1, 0)
                        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, abrupt)
                    if step in (CLOSE, RESET):
                        return
                    self._do(connection, step, seen)

    def _do(self, connection: socket.socket, step: Step, seen: Seen) -> None:
        if isinstance(step, bytes):
            connection.sendall(step)
        elif isinstance(step, threading.Event):
            assert step.wait(PATIENCE_SECONDS)
        elif step == HANG:
            self.server.stopping.wait(PATIENCE_SECONDS)
        elif callable(step):
            connection.sendall(step(seen))
        else:
            raise AssertionError(f"found {step!r}, which is not a step of a script")


def _read(stream: BinaryIO, number: int) -> Seen | None:
    line = stream.readline()
    if not line:
        return None
    method, target, _ = line.decode("latin-1").split()
    headers = {}
    while line := stream.readline().strip():
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.lower()] = value.strip()
    body = stream.read(int(headers.get("content-length", 0)))
    path, _, query = target.partition("?")
    return Seen(method, path, query, headers, body, number)
