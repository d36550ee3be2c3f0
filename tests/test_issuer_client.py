"""Documents of an issuer, from real servers that misbehave."""

import itertools
import socket
import threading
from collections.abc import Callable, Iterator

import pytest
from starlette.responses import Response

from flyte_host.clock import Clock
from flyte_host.issuer_client import LARGEST_BODY_BYTES, READ_SECONDS, IssuerClient
from flyte_host.web.web_server import WebServer
from tests.support.scripted_server import port_of_nobody

Serve = Callable[..., str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serves one answer to everything; returns the URL."""
    servers = []

    def serve(body: bytes, status: int = 200, **headers: str) -> str:
        server = WebServer(Response(body, status, headers), ("127.0.0.1", 0), name="issuer")
        server.start()
        servers.append(server)
        return server.url

    yield serve
    for each in servers:
        each.stop()


def problem(url: str, clock: Clock | None = None) -> str:
    with pytest.raises(ValueError) as raised:
        IssuerClient(None, clock or Clock()).fetch(url)
    return str(raised.value)


def test_a_document_is_fetched_whatever_the_environment_says(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    with port_of_nobody() as port:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{port}")
        assert IssuerClient(None, Clock()).fetch(serve(b"{}")) == b"{}"


def test_a_redirect_is_not_followed(serve: Serve) -> None:
    url = serve(b"", 302, Location="http://127.0.0.1:1/")
    assert problem(url) == f"{url}: found status 302, expected 200 with a document"


def test_a_large_document_is_refused(serve: Serve) -> None:
    url = serve(b"x" * (LARGEST_BODY_BYTES + 1))
    assert problem(url) == f"{url}: found over {LARGEST_BODY_BYTES} bytes, expected fewer"


def test_a_large_redirect_is_refused(serve: Serve) -> None:
    url = serve(b"x" * (LARGEST_BODY_BYTES + 1), 302, Location="http://127.0.0.1:1/")
    assert problem(url) == f"{url}: found over {LARGEST_BODY_BYTES} bytes, expected fewer"


def test_a_document_that_drips_is_given_up(serve: Serve) -> None:
    seconds = itertools.count(0.0, READ_SECONDS + 1)
    url = serve(b"x")
    found = problem(url, Clock(monotonic=lambda: next(seconds)))
    assert found == f"{url}: no whole answer from {url.removeprefix('http://')} in 5 s"


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("http://127.0.0.1:1/", "connection refused by 127.0.0.1:1"),
        ("http://nobody.invalid/", "the host name of nobody.invalid was not found"),
        ("http://", "found 'http://', which is not a URL"),
    ],
)
def test_what_cannot_be_reached_is_said_shortly(url: str, sentence: str) -> None:
    assert problem(url).removeprefix(f"{url}: ") == sentence


def test_an_answer_that_is_not_http_is_named() -> None:
    def answer(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(b"not HTTP\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=answer, args=(listening,))
        thread.start()
        host = f"127.0.0.1:{listening.getsockname()[1]}"
        assert problem(f"http://{host}/").endswith(
            f"the exchange with {host} failed: BadStatusLine"
        )
        thread.join()
