"""A web service for tests on a free port of this machine, and what it was asked."""

import gzip
import json
import sys
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ssl import SSLContext
from typing import Any, Self

MIB = 1 << 20


@dataclass(frozen=True)
class AskedOfService:
    """A request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: str


@dataclass
class WebService:
    """Answers by the path; use as a context manager."""

    tls: SSLContext | None = None
    asked: list[AskedOfService] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        service = self

        class Handler(_Handler):
            web_service = service

        self._server = _QuietServer(("127.0.0.1", 0), Handler)
        if self.tls is not None:
            self._server.socket = self.tls.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_port
        self.url = f"http{'s' if self.tls else ''}://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _QuietServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away in the middle is what some tests are about, and no other."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    web_service: WebService
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length).decode()
        headers = {name.lower(): value for name, value in self.headers.items()}
        asked = AskedOfService(self.command, self.path, headers, body)
        self.web_service.asked.append(asked)
        name, _, rest = self.path.lstrip("/").partition("/")
        try:
            getattr(self, f"answer_{name.partition('?')[0]}", self.answer_nothing)(rest)
        except (ConnectionError, TimeoutError):
            self.close_connection = True

    do_POST = do_PUT = do_HEAD = do_DELETE = do_GET  # noqa: N815  names of the standard library

    def say(self, status: int, content: bytes = b"", kind: str = "", **headers: str) -> None:
        self.send_response(status)
        if kind:
            self.send_header("Content-Type", kind)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def answer_nothing(self, _: str) -> None:
        self.say(404, b"<html>nothing here</html>", "text/html")

    def answer_echo(self, _: str) -> None:
        asked: Any = self.web_service.asked[-1]
        document = {"method": asked.method, "headers": asked.headers, "body": asked.body}
        self.say(200, json.dumps(document).encode(), "application/json", Set_Cookie="a=secret")

    def answer_status(self, status: str) -> None:
        self.say(int(status), b"<h1>so it is</h1>", "text/html; charset=utf-8")

    def answer_latin(self, _: str) -> None:
        self.say(200, "Grüße".encode("latin-1"), "text/plain; charset=iso-8859-1")

    def answer_odd(self, _: str) -> None:
        self.say(200, "Grüße".encode(), "text/plain; charset=no-such-charset")

    def answer_binary(self, _: str) -> None:
        self.say(200, b"\xff\xfe\x00", "application/octet-stream")

    def answer_badjson(self, _: str) -> None:
        self.say(200, b"[" * 100_000, "application/json")

    def answer_surrogate(self, _: str) -> None:
        self.say(200, rb'{"a": "b\ud83d"}', "application/json")

    def answer_to(self, rest: str) -> None:
        status, _, target = rest.partition("/")
        self.say(int(status), b"x" * 100, Location=target)

    def answer_loop(self, _: str) -> None:
        self.say(302, Location="/loop")

    def answer_large(self, size: str) -> None:
        self.say(200, b"x" * int(size), "text/plain")

    def answer_bomb(self, _: str) -> None:
        content = gzip.compress(b"\0" * 50 * MIB)
        self.say(200, content, "text/plain", Content_Encoding="gzip")

    def answer_endless(self, rest: str) -> None:
        """A byte now and then, in the head or in the body: no timeout of a socket ends it."""
        start = b"HTTP/1.1 200 OK\r\n" if rest == "head" else b"HTTP/1.1 200 OK\r\n\r\n"
        self.wfile.write(start)
        while not self.web_service.stopping.is_set():
            self.wfile.write(b"x")
            self.wfile.flush()
            time.sleep(0.01)
        self.close_connection = True

    def answer_silent(self, _: str) -> None:
        self.web_service.stopping.wait()
        self.close_connection = True

    def answer_redirectbody(self, _: str) -> None:
        self.wfile.write(b"HTTP/1.1 302 Found\r\nLocation: /echo\r\n\r\n")
        while not self.web_service.stopping.is_set():
            self.wfile.write(b"x" * MIB)

    def answer_garbage(self, _: str) -> None:
        self.wfile.write(b"\0\1\2 this is not HTTP\r\n\r\n")
        self.close_connection = True
