"""Web servers come, answer and go, whatever clients do, and leave no thread or socket behind."""

import asyncio
import gc
import http.client
import logging
import resource
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import requests
from starlette.requests import ClientDisconnect

from flyte_host.errors import FlyteHostError
from flyte_host.testing.waiting import wait_until
from flyte_host.web.bounded_connection import HEAD_BYTES, UNWANTED_BYTES
from flyte_host.web.connections import CLOSE_SECONDS
from flyte_host.web.limits import Limits
from flyte_host.web.web_server import WebServer

HERE = ("127.0.0.1", 0)
HANG_SECONDS = 120
GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


async def hello(scope: Any, receive: Any, send: Any) -> None:
    headers = [(b"content-length", b"5")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"hello"})


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    wait_until(lambda: set(threading.enumerate()) <= before, "no thread is left")


Serve = Callable[..., WebServer]


@pytest.fixture
def serve() -> Iterator[Serve]:
    with ExitStack() as stop:

        def run(app: Any = hello, listen: tuple[str, int] = HERE, **more: Any) -> WebServer:
            server = WebServer(app, listen, name="pages", **more)
            server.start()
            stop.callback(server.stop)
            return server

        yield run


def port_of(server: WebServer) -> int:
    return int(server.url.rpartition(":")[2])


def connect(server: WebServer) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port_of(server)), timeout=HANG_SECONDS)


def answer_to(server: WebServer, request: bytes) -> bytes:
    """The answer's status line; empty if the connection was closed without one."""
    with connect(server) as client:
        client.sendall(request)
        return client.makefile("rb").readline()


def ask(client: socket.socket) -> None:
    """Ask once more on a connection, and read the answer."""
    client.sendall(GET)
    received = b""
    while not received.endswith(b"hello"):
        chunk = client.recv(4096)
        assert chunk, received
        received += chunk


def is_closed(client: socket.socket) -> bool:
    """Wait for the server's end of the connection to close."""
    try:
        return client.recv(1) == b""
    except ConnectionResetError:
        return True


def test_a_server_answers_at_its_url(serve: Serve) -> None:
    server = serve()
    assert server.url.startswith("http://127.0.0.1:")
    answer = requests.get(server.url, timeout=HANG_SECONDS)
    assert (answer.status_code, answer.text) == (200, "hello")
    assert answer.headers["Server"] == "flyte-host"
    assert answer.headers["Date"].endswith(" GMT")


def test_a_server_answers_in_a_thread_of_its_name(serve: Serve) -> None:
    assert serve().thread.name == "pages"


def test_a_port_in_use_is_refused_with_what_to_do(serve: Serve) -> None:
    port = port_of(serve())
    with pytest.raises(FlyteHostError) as refused:
        serve(listen=("127.0.0.1", port))
    assert str(refused.value) == (
        f"pages: cannot listen on 127.0.0.1:{port}: Address already in use; "
        "choose another address, or stop what uses it"
    )


@pytest.mark.parametrize("host", ["no-such-host.invalid", "203.0.113.1"])
def test_an_address_of_another_machine_is_refused(serve: Serve, host: str) -> None:
    with pytest.raises(FlyteHostError, match=f"^pages: cannot listen on {host}:0: .+; choose"):
        serve(listen=(host, 0))


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
def test_a_server_speaks_ipv6(serve: Serve) -> None:
    try:
        server = serve(listen=("::1", 0))
    except FlyteHostError as error:
        pytest.skip(str(error))
    assert server.url.startswith("http://[::1]:")
    assert requests.get(server.url, timeout=HANG_SECONDS).text == "hello"


def test_a_connection_is_kept_after_an_answer(serve: Serve) -> None:
    with connect(serve()) as client:
        for _ in range(2):
            ask(client)


@pytest.mark.parametrize(
    "request_",
    [
        b"GET / HTTP/9.9\r\nHost: a\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
        b"POST / HTTP/1.1\r\nContent-Length: -3\r\n\r\nabc",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET / HTTP/1.1\r\nA\x00B: c\r\n\r\n",
        b"GET / HTTP/2.0\r\nHost: a\r\n\r\n",
        b"GET / HTTP/0.9\r\nHost: a\r\n\r\n",
        b"\x16\x03\x01\x02\x00",
    ],
    ids=[
        "version", "bytes in the path", "length and chunks", "two lengths", "negative length",
        "bad chunk", "NUL in a header", "version 2", "version 0.9", "TLS",
    ],
)  # fmt: skip
def test_nonsense_is_answered_with_400(serve: Serve, request_: bytes) -> None:
    server = serve()
    assert answer_to(server, request_).startswith(b"HTTP/1.1 400 ")
    assert answer_to(server, GET).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    "fields", [b"A: b\r\n" * HEAD_BYTES, b"A: " + b"b" * 2 * HEAD_BYTES], ids=["many", "long"]
)
def test_a_head_that_is_too_large_is_refused(serve: Serve, fields: bytes) -> None:
    """A client that keeps sending may see a reset connection instead of the answer."""
    with connect(serve()) as client:
        try:
            client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n" + fields)
            status = client.recv(12)
        except OSError:
            status = b""
    assert status in {b"HTTP/1.1 431", b""}


@pytest.mark.parametrize(
    "head",
    [
        b"GET /?%s HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nA: %s\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n%s: b\r\n\r\n",
    ],
    ids=["path", "value", "name"],
)
@pytest.mark.parametrize(("size", "status"), [(HEAD_BYTES - 100, 200), (HEAD_BYTES, 431)])
def test_a_head_has_a_bound_even_if_it_is_whole(
    serve: Serve, head: bytes, size: int, status: int
) -> None:
    server = serve()
    assert answer_to(server, head % (b"a" * size)).startswith(b"HTTP/1.1 %d " % status)
    assert answer_to(server, GET).startswith(b"HTTP/1.1 200 ")


def test_many_headers_are_refused_in_a_later_request_too(serve: Serve) -> None:
    many = b"".join(b"A%d: b\r\n" % each for each in range(HEAD_BYTES // 8))
    with connect(serve()) as client:
        ask(client)
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n" + many + b"\r\n")
        said = client.makefile("rb").read()
    assert said.startswith(b"HTTP/1.1 431 ")
    assert said.endswith(b"\r\n\r\nThe head of a request may have 32768 bytes.")


def test_a_request_that_fails_is_a_500_and_a_line_in_the_log(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(scope: Any, receive: Any, send: Any) -> None:
        raise RuntimeError("no wire")

    assert answer_to(serve(broken), GET).startswith(b"HTTP/1.1 500 ")
    [line] = caplog.records
    assert line.getMessage() == "pages: GET / failed"
    assert line.exc_info is not None


def test_a_client_that_has_gone_leaves_no_line_in_the_log(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    """Else a thousand that reset their connections leave a thousand tracebacks."""
    gone = threading.Event()

    async def miss(scope: Any, receive: Any, send: Any) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        gone.set()
        raise ClientDisconnect

    server = serve(miss)
    with connect(server) as client:
        client.sendall(GET)
    assert gone.wait(HANG_SECONDS)
    server.stop()
    assert caplog.records == []


def test_no_handler_of_a_plugin_runs_in_the_loop(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Common recipes hand the lines of all loggers to one handler, which may block or raise."""
    heard: list[str] = []

    class Handler(logging.Handler):
        def handle(self, record: logging.LogRecord) -> bool:
            heard.append(record.getMessage())
            raise KeyboardInterrupt

    server = serve()
    answer_to(server, GET)  # uvicorn has set up its loggers
    monkeypatch.setattr(logging.getLogger(), "handlers", [Handler()])
    for name in ("uvicorn.access", "uvicorn.error"):
        logger = logging.getLogger(name)
        monkeypatch.setattr(logger, "propagate", True)
        monkeypatch.setattr(logger, "level", logging.NOTSET)
        logger.setLevel(logging.DEBUG)
    assert answer_to(server, b"nonsense\r\n\r\n").startswith(b"HTTP/1.1 400 ")
    assert answer_to(server, GET).startswith(b"HTTP/1.1 200 ")
    assert heard == []


def test_a_plugin_that_configures_logging_delays_no_answer(serve: Serve) -> None:
    """``dictConfig`` holds this lock as long as the handlers that it makes need to connect."""
    server = serve()
    answer_to(server, GET)
    with logging._lock:  # type: ignore[attr-defined]
        assert answer_to(server, GET).startswith(b"HTTP/1.1 200 ")


def test_a_body_that_goes_on_after_the_answer_ends_the_connection(serve: Serve) -> None:
    head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 999999999\r\n\r\n"
    with connect(serve()) as client:
        client.sendall(head)
        assert client.recv(12) == b"HTTP/1.1 200"
        with pytest.raises(OSError):  # noqa: PT012
            for _ in range(999):
                client.sendall(b"x" * 1_000_000)


def test_a_body_that_ends_soon_after_the_answer_leaves_the_connection_open(serve: Serve) -> None:
    head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"
    with connect(serve()) as client:
        for length in (UNWANTED_BYTES, 5, UNWANTED_BYTES):
            client.sendall(head % length)
            answer = b""
            while not answer.endswith(b"hello"):
                answer += client.recv(4096)
            client.sendall(b"x" * length)
        ask(client)


SHORT = Limits(head_seconds=0.2, body_seconds=0.2, idle_seconds=0.2)


@pytest.mark.parametrize(
    "begun",
    [b"", b"GET / HT", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf"],
    ids=["nothing", "half a head", "half a body"],
)
def test_a_request_that_does_not_arrive_is_given_up(serve: Serve, begun: bytes) -> None:
    async def read(scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            pass

    with connect(serve(read, limits=SHORT)) as client:
        client.sendall(begun)
        assert is_closed(client)


def test_a_dripping_head_is_given_up(serve: Serve) -> None:
    server = serve(limits=SHORT)
    with connect(server) as client, pytest.raises(OSError):  # noqa: PT012
        client.sendall(b"GET / HTTP/1.1\r\n")
        while True:
            client.sendall(b"A: b\r\n")


def test_a_connection_that_was_answered_is_closed_when_idle(serve: Serve) -> None:
    with connect(serve(limits=SHORT)) as client:
        client.sendall(GET)
        assert client.makefile("rb").read().endswith(b"hello")


def test_the_longest_idle_connection_makes_room_for_a_new_one(serve: Serve) -> None:
    server = serve(limits=Limits(connections=2))
    with connect(server) as first, connect(server) as second:
        for client in (second, first):
            ask(client)
        assert answer_to(server, GET).startswith(b"HTTP/1.1 200 ")
        assert is_closed(second)
        ask(first)


def test_idle_connections_leave_descriptors_for_the_rest(serve: Serve) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (250, hard))
    try:
        server = serve()
        with ExitStack() as open_:
            first, *_ = clients = [open_.enter_context(connect(server)) for _ in range(50)]
            for client in clients:
                ask(client)
            assert answer_to(server, GET).startswith(b"HTTP/1.1 200 ")
            assert is_closed(first)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_idle_and_dripping_connections_delay_nobody(serve: Serve) -> None:
    server = serve()
    with ExitStack() as open_:
        for number in range(1200):
            client = open_.enter_context(connect(server))
            if number % 6 == 0:
                client.sendall(b"GET / HTTP/1.1\r\nA: ")
        assert answer_to(server, GET).startswith(b"HTTP/1.1 200 ")


def test_a_lack_of_descriptors_is_told_once_and_passes(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    server = serve()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with connect(server) as known, connect(server) as client:
        ask(known)
        # The descriptor above the limit is the next one that anybody opens here.
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
        try:
            unheard = socket.socket.__new__(socket.socket)
            with pytest.raises(OSError, match="Too many open files"):
                socket.socket.__init__(unheard)
            ask(known)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        ask(client)
    assert len([each for each in caplog.records if "out of system resource" in str(each)]) <= 1


def test_a_descriptor_above_1023_is_served(serve: Serve) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4096)), hard))
    server = serve()
    try:
        with ExitStack() as open_:
            while open_.enter_context(socket.socket()).fileno() < 1100:
                pass
            assert answer_to(server, GET).startswith(b"HTTP/1.1 200 ")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_stop_closes_connections_that_are_kept_alive(serve: Serve) -> None:
    server = serve()
    connection = http.client.HTTPConnection("127.0.0.1", port_of(server), timeout=HANG_SECONDS)
    connection.request("GET", "/")
    assert connection.getresponse().read() == b"hello"
    kept = connection.sock
    assert kept is not None
    server.stop()
    assert kept.recv(1) == b""
    connection.close()
    assert not server.thread.is_alive()


def test_a_stop_frees_the_port(serve: Serve) -> None:
    server = serve()
    requests.get(server.url, timeout=HANG_SECONDS)
    server.stop()
    with pytest.raises(requests.ConnectionError):
        requests.get(server.url, timeout=HANG_SECONDS)
    assert serve(listen=("127.0.0.1", port_of(server))).url == server.url


class Slow:
    """An application that answers when it may."""

    def __init__(self) -> None:
        self.arrived, self.may_answer = threading.Event(), threading.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.arrived.set()
        await asyncio.to_thread(self.may_answer.wait, HANG_SECONDS)
        await hello(scope, receive, send)


def test_a_stop_lets_an_answer_under_way_finish(serve: Serve) -> None:
    slow = Slow()
    server = serve(slow)
    with connect(server) as client:
        client.sendall(GET)
        assert slow.arrived.wait(HANG_SECONDS)
        stop = threading.Thread(target=server.stop, kwargs={"wait_seconds": HANG_SECONDS})
        stop.start()
        slow.may_answer.set()
        assert client.makefile("rb").read().endswith(b"hello")
    stop.join(HANG_SECONDS)


def test_a_stop_abandons_an_answer_that_takes_too_long(serve: Serve) -> None:
    slow = Slow()
    server = serve(slow)
    with connect(server) as client:
        client.sendall(GET)
        assert slow.arrived.wait(HANG_SECONDS)
        server.stop(wait_seconds=0)
        assert is_closed(client)
    slow.may_answer.set()


def test_a_stop_closes_connections_that_come_in_the_same_moment(serve: Serve) -> None:
    """They wait in the backlog while the loop is busy, and it sees them and the stop at once."""
    with ExitStack() as clients:
        waiting: list[socket.socket] = []

        async def busy(scope: Any, receive: Any, send: Any) -> None:
            waiting.extend(clients.enter_context(connect(server)) for _ in range(5))
            asking = threading.Thread(target=server.stop, args=(-CLOSE_SECONDS,))
            asking.start()
            asking.join(HANG_SECONDS)
            await hello(scope, receive, send)

        server = serve(busy)
        assert answer_to(server, GET) == b"HTTP/1.1 200 OK\r\n"
        assert all(is_closed(each) for each in waiting)
    server.thread.join(HANG_SECONDS)
    gc.collect()  # a socket that was left open would warn


def test_a_second_stop_does_nothing(serve: Serve) -> None:
    server = serve()
    server.stop()
    server.stop()


def test_a_server_that_never_started_can_be_stopped() -> None:
    WebServer(hello, HERE, name="pages").stop()
