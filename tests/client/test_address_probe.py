"""What answers at flyte's address."""

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from flyte_host.client.address_probe import why_wrong_scheme


@contextmanager
def answering(answer: bytes) -> Iterator[str]:
    """A server with one answer to everything; its address."""

    class Answering(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(1000)
            self.request.sendall(answer)

    with socketserver.TCPServer(("127.0.0.1", 0), Answering) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


PLAIN = b"HTTP/1.0 404 Not Found\r\nServer: nginx\r\n\r\n"
GO_TLS = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"
NGINX_TLS = (
    b"HTTP/1.1 400 Bad Request\r\nServer: nginx\r\n\r\n"
    b"<h1>The plain HTTP request was sent to HTTPS port</h1>"
)
ALERT = b"\x15\x03\x01\x00\x02\x02\x46"
TLS = (GO_TLS, NGINX_TLS, ALERT)


@pytest.mark.parametrize(
    ("scheme", "answer", "words"),
    [
        ("http", PLAIN, ""),
        ("https", PLAIN, "https at a port that speaks http: HTTP/1.0 404 Not Found of nginx; wr"),
        ("https", b"HTTP/1.1 200 OK\r\n\r\n", "https at a port that speaks http: HTTP/1.1 200"),
        *(("http", tls, "http at a port that speaks https") for tls in TLS),
        *(("https", tls, "") for tls in (*TLS, b"")),
        ("http", b"", ""),
    ],
)  # fmt: skip
def test_schemes(scheme: str, answer: bytes, words: str) -> None:
    with answering(answer) as address:
        why = why_wrong_scheme(f"{scheme}://{address}")
    assert why.startswith(words)
    assert bool(why) == bool(words)


@pytest.mark.parametrize("url", ["https://127.0.0.1:1", "http:", "https://[::1]:1"])
def test_where_nothing_answers(url: str) -> None:
    assert why_wrong_scheme(url, seconds=0.5) == ""
