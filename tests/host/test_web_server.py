"""Web servers come, answer and go without leaving a thread or a socket behind."""

import http.client
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from flyte_host.errors import FlyteHostError
from flyte_host.host.web_server import WebServer
from flyte_host.testing.waiting import PATIENCE_SECONDS, wait_until

HERE = ("127.0.0.1", 0)


def hello(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    start_response("200 OK", [("Content-Length", "5")])
    return [b"hello"]


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    wait_until(lambda: set(threading.enumerate()) <= before, "no thread is left")


@pytest.fixture
def serve() -> Iterator[Callable[..., WebServer]]:
    made: list[WebServer] = []

    def run(app: Any = hello, listen: tuple[str, int] = HERE, **more: Any) -> WebServer:
        made.append(WebServer(app, listen, name="pages", **more))
        made[-1].start()
        return made[-1]

    yield run
    for each in made:
        each.stop()


Serve = Callable[..., WebServer]


def test_it_answers_at_its_url(serve: Serve) -> None:
    server = serve()
    assert server.url.startswith("http://127.0.0.1:")
    answer = requests.get(server.url, timeout=PATIENCE_SECONDS)
    assert (answer.status_code, answer.text) == (200, "hello")
    assert answer.headers["Server"] == "flyte-host"


def test_its_thread_has_its_name(serve: Serve) -> None:
    assert serve().thread.name == "pages"


def test_a_request_before_the_start_is_answered_after_it() -> None:
    server = WebServer(hello, HERE, name="pages")
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=PATIENCE_SECONDS) as early:
        early.sendall(b"GET / HTTP/1.0\r\n\r\n")
        server.start()
        assert early.recv(15) == b"HTTP/1.0 200 OK"
    server.stop()


def test_a_port_in_use_is_refused_with_what_to_do(serve: Serve) -> None:
    port = int(serve().url.rpartition(":")[2])
    with pytest.raises(FlyteHostError) as refused:
        WebServer(hello, ("127.0.0.1", port), name="health pages")
    assert str(refused.value) == (
        f"health pages: cannot listen on 127.0.0.1:{port}: Address already in use; "
        "choose another address, or stop what uses it"
    )


@pytest.mark.parametrize("host", ["no-such-host.invalid", "203.0.113.1"])
def test_an_address_of_somebody_else_is_refused(host: str) -> None:
    with pytest.raises(FlyteHostError, match=f"^pages: cannot listen on {host}:0: .+; choose"):
        WebServer(hello, (host, 0), name="pages")


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
def test_it_speaks_ipv6(serve: Serve) -> None:
    try:
        server = serve(listen=("::1", 0))
    except FlyteHostError as error:
        pytest.skip(str(error))
    assert server.url.startswith("http://[::1]:")
    assert requests.get(server.url, timeout=PATIENCE_SECONDS).text == "hello"


def test_requests_are_answered_side_by_side(serve: Serve) -> None:
    together = threading.Barrier(6)

    def meet(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        together.wait(PATIENCE_SECONDS)
        return hello(environ, start_response)

    server = serve(meet, threads=6)
    answers: list[str] = []
    threads = [
        threading.Thread(
            target=lambda: answers.append(requests.get(server.url, timeout=PATIENCE_SECONDS).text)
        )
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_SECONDS)
    assert answers == ["hello"] * 6


def test_a_stop_closes_connections_that_are_kept_alive(serve: Serve) -> None:
    server = serve()
    connection = http.client.HTTPConnection(
        server.url.removeprefix("http://"), timeout=PATIENCE_SECONDS
    )
    connection.request("GET", "/")
    assert connection.getresponse().read() == b"hello"
    kept = connection.sock
    assert kept is not None
    server.stop()
    assert kept.recv(1) == b""
    connection.close()
    assert not server.thread.is_alive()


def test_after_a_stop_the_port_is_free(serve: Serve) -> None:
    server = serve()
    requests.get(server.url, timeout=PATIENCE_SECONDS)
    server.stop()
    with pytest.raises(requests.ConnectionError):
        requests.get(server.url, timeout=PATIENCE_SECONDS)
    port = int(server.url.rpartition(":")[2])
    assert serve(listen=("127.0.0.1", port)).url == server.url


def test_a_stop_lets_an_answer_under_way_finish(serve: Serve) -> None:
    arrived, go_on = threading.Event(), threading.Event()

    def slow(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        arrived.set()
        assert go_on.wait(PATIENCE_SECONDS)
        return hello(environ, start_response)

    server = serve(slow)
    answers: list[str] = []
    client = threading.Thread(
        target=lambda: answers.append(requests.get(server.url, timeout=PATIENCE_SECONDS).text)
    )
    client.start()
    assert arrived.wait(PATIENCE_SECONDS)
    stop = threading.Thread(target=server.stop, kwargs={"wait_seconds": 10})
    stop.start()
    go_on.set()
    stop.join(PATIENCE_SECONDS)
    client.join(PATIENCE_SECONDS)
    assert answers == ["hello"]


def test_a_stop_does_not_wait_for_ever(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    arrived, go_on = threading.Event(), threading.Event()

    def stuck(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        arrived.set()
        assert go_on.wait(PATIENCE_SECONDS)
        return hello(environ, start_response)

    before = set(threading.enumerate())
    server = serve(stuck)
    with socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2]))) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert arrived.wait(PATIENCE_SECONDS)
        server.stop(wait_seconds=0)
        go_on.set()
        wait_until(lambda: not server.thread.is_alive(), "the server ends")
        wait_until(lambda: set(threading.enumerate()) <= before, "the answer ends")
    assert "Bad file descriptor" not in caplog.text


def test_whoever_wakes_a_stopped_server_writes_to_nothing(serve: Serve) -> None:
    server = serve()
    pull, over = server._server.trigger.pull_trigger, threading.Event()
    failed: list[OSError] = []

    def pull_on() -> None:
        try:
            while not over.is_set():
                pull()
        except OSError as error:
            failed.append(error)

    pulling = [threading.Thread(target=pull_on) for _ in range(2)]
    for each in pulling:
        each.start()
    server.stop(wait_seconds=10)
    pull()
    over.set()
    for each in pulling:
        each.join(PATIENCE_SECONDS)
    assert failed == []


def test_a_second_stop_does_nothing(serve: Serve) -> None:
    server = serve()
    server.stop()
    server.stop()


def test_a_server_that_never_started_can_be_stopped() -> None:
    server = WebServer(hello, HERE, name="pages")
    server.stop()
    with pytest.raises(requests.ConnectionError):
        requests.get(server.url, timeout=10)


def count_body(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(len(body)).encode(), b" " * 2_000_000]


def ask(server: WebServer, request: bytes) -> bytes:
    """The first bytes of the answer to a request as it is written here."""
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(request)
        return connection.recv(12)


@pytest.mark.parametrize("limit", [0, 1000])
def test_a_body_is_refused_by_its_length_before_it_is_sent(serve: Serve, limit: int) -> None:
    head = f"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {limit + 1}\r\n\r\n"
    server = serve(count_body, max_body_bytes=limit)
    assert ask(server, head.encode()) == b"HTTP/1.1 413"
    assert ask(server, b"POST / HTTP/1.1\r\nHost: x\r\n\r\n") == b"HTTP/1.1 200"


def test_a_body_without_a_length_is_refused_once_it_is_too_long(serve: Serve) -> None:
    head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    server = serve(count_body, max_body_bytes=1000)
    assert ask(server, head + b"400\r\n" + b"x" * 1024) == b"HTTP/1.1 413"


def test_no_temporary_file_is_needed(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """An event of 700 kB ended as a reset connection where no folder could be written."""
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")
    body = b"x" * 16 * 1024 * 1024
    answer = requests.post(serve(count_body).url, data=body, timeout=20)
    assert answer.text.strip() == str(len(body))
