"""Servers that do everything but answer properly, for the tables of tests of packs."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Treatment = Callable[[socket.socket, threading.Event], None]

_HTML = b"<html><title>Sign in</title></html>"


def _silent(connection: socket.socket, over: threading.Event) -> None:
    over.wait()


def _hang_up(connection: socket.socket, over: threading.Event) -> None:
    connection.recv(65536)


def _noise(connection: socket.socket, over: threading.Event) -> None:
    connection.recv(65536)
    connection.sendall(b"\xff\xfe\x00" * 9000)


def _drip(start: bytes) -> Treatment:
    """Never finishes, but is never silent for long either."""

    def treat(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(start)
        while not over.wait(0.02):
            connection.sendall(b"x")

    return treat


def _http(status: str, content: bytes, kind: str = "text/html", more: int = 0) -> Treatment:
    def treat(connection: socket.socket, over: threading.Event) -> None:
        connection.recv(65536)
        head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(content) + more}"
        connection.sendall(head.encode() + b"\r\nConnection: close\r\n\r\n" + content)
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass

    return treat


ANY_PROTOCOL: dict[str, Treatment] = {
    "silent": _silent,
    "hangs up": _hang_up,
    "noise": _noise,
    "drips": _drip(b""),
}
HTTP: dict[str, Treatment] = {
    **ANY_PROTOCOL,
    "drips headers": _drip(b"HTTP/1.1 200 OK\r\nX-A: "),
    "drips a body": _drip(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"),
    "drips a redirect": _drip(
        b"HTTP/1.1 302 Found\r\nLocation: https://sso.example.com/\r\n"
        b"Content-Length: 1000000\r\n\r\n"
    ),
    "HTML": _http("200 OK", _HTML),
    "HTML and 502": _http("502 Bad Gateway", _HTML),
    "cut off": _http("200 OK", b'{"a": ', "application/json", more=100),
    "redirect": _http("302 Found\r\nLocation: https://sso.example.com/", b""),
}
NEEDING_PATIENCE = {"silent", "drips", "drips headers", "drips a body", "drips a redirect"}
"""These end by the pack's own time limit only."""


@contextmanager
def bad_server(treat: Treatment) -> Iterator[int]:
    """The port of a server that treats every connection so."""
    over = threading.Event()
    threads: list[threading.Thread] = []

    def handle(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            treat(connection, over)

    def serve(listening: socket.socket) -> None:
        while not over.is_set():
            with contextlib.suppress(TimeoutError):
                connection, _ = listening.accept()
                connection.settimeout(10)
                threads.append(threading.Thread(target=handle, args=(connection,)))
                threads[-1].start()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.02)
        server = threading.Thread(target=serve, args=(listening,))
        server.start()
        try:
            yield listening.getsockname()[1]
        finally:
            over.set()
            server.join()
            for each in threads:
                each.join()


def closed_port() -> int:
    """A port where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port
