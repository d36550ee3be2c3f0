"""What one client may take of a server: others notice nothing of it, and memory stays small."""

import asyncio
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any

import pytest

from flyte_host.testing.waiting import wait_until
from flyte_host.web.bounded_connection import HEAD_BYTES
from flyte_host.web.limits import Limits
from flyte_host.web.web_server import WebServer

HANG_SECONDS = 120
GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
HALF = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nhalf"
LARGE = 4_000_000


class Recorder:
    """An application that reads bodies and keeps them; it answers when it may."""

    def __init__(self, answer: bytes = b"hello") -> None:
        self.bodies: list[bytes] = []
        self.headers: list[bytes] = []
        self.begun = 0
        self.cancelled = 0
        self.may_answer = threading.Event()
        self.may_answer.set()
        self._answer = answer

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.begun += 1
        try:
            self.bodies.append(await self._read(receive))
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        self.headers += [name for name, _ in scope["headers"]]
        await asyncio.to_thread(self.may_answer.wait, HANG_SECONDS)
        length = b"%d" % len(self._answer)
        start = {"type": "http.response.start", "status": 200}
        await send(start | {"headers": [(b"content-length", length)]})
        await send({"type": "http.response.body", "body": self._answer})

    async def _read(self, receive: Any) -> bytes:
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        return body


Serve = Callable[..., WebServer]


@pytest.fixture
def serve() -> Iterator[Serve]:
    with ExitStack() as stop:

        def run(app: Any, **limits: Any) -> WebServer:
            server = WebServer(app, ("127.0.0.1", 0), name="pages", limits=Limits(**limits))
            server.start()
            stop.callback(server.stop)
            return server

        yield run


def connect(server: WebServer, *, receive_bytes: int = 0) -> socket.socket:
    client = socket.socket()
    if receive_bytes:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    client.settimeout(HANG_SECONDS)
    client.connect(("127.0.0.1", int(server.url.rpartition(":")[2])))
    return client


def read_all(client: socket.socket) -> bytes:
    """Everything until the server closes the connection, in whatever way."""
    received = b""
    try:
        while chunk := client.recv(65536):
            received += chunk
    except ConnectionResetError:
        pass
    return received


def answer(server: WebServer) -> bytes:
    with connect(server) as client:
        client.sendall(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        return read_all(client)


def send_on(client: socket.socket, piece: bytes) -> None:
    """Send until the server has had enough."""
    with pytest.raises(OSError):  # noqa: PT012
        while True:
            client.sendall(piece)


@pytest.mark.parametrize(
    ("begin", "piece"),
    [
        (b"1\r\nx\r\n0\r\n", b"A: b\r\n" * 1000),
        (b"1\r\nx\r\n0\r\nA: ", b"b" * 4000),
        (b"1;", b"b" * 4000),
        (b"", (b"1;" + b"e" * 100 + b"\r\nx\r\n") * 50),
        (b"", b"1\r\nx\r\n" * 1000),
    ],
    ids=["trailers", "a long trailer", "a long extension", "extensions", "crumbs"],
)
def test_a_request_that_is_mostly_not_its_body_is_refused(
    serve: Serve, begin: bytes, piece: bytes
) -> None:
    app = Recorder()
    server = serve(app)
    with connect(server) as client:
        client.sendall(CHUNKED + begin)
        send_on(client, piece)
    assert answer(server).endswith(b"hello")
    assert app.bodies == [b""]


def test_chunks_and_trailers_of_a_usual_size_are_read(serve: Serve) -> None:
    app = Recorder()
    with connect(serve(app)) as client:
        chunk = b"40\r\n" + b"x" * 64 + b"\r\n"
        client.sendall(CHUNKED)
        for _ in range(100):
            client.sendall(chunk * 200)
        client.sendall(b"0\r\nChecksum: " + b"c" * 1000 + b"\r\n\r\n")
        assert client.recv(12) == b"HTTP/1.1 200"
    assert [len(each) for each in app.bodies] == [64 * 20_000]


def test_trailers_are_not_headers(serve: Serve) -> None:
    recorder = Recorder()
    with connect(serve(recorder)) as client:
        client.sendall(CHUNKED + b"0\r\nX-Forwarded-Host: evil\r\n\r\n")
        assert client.recv(1000).startswith(b"HTTP/1.1 200 ")
    assert recorder.headers == [b"host", b"transfer-encoding"]


def test_a_head_and_trailers_are_limited_apart(serve: Serve) -> None:
    app = Recorder()
    fields = b"A: " + b"b" * (HEAD_BYTES // 2) + b"\r\n"
    with connect(serve(app)) as client:
        for piece in (CHUNKED[:-2], fields, b"\r\n1\r\nx\r\n", b"0\r\n", fields, b"\r\n"):
            client.sendall(piece)
        assert client.recv(12) == b"HTTP/1.1 200"
    assert app.bodies == [b"x"]


def test_a_client_that_sends_many_requests_before_an_answer_is_cut_off(serve: Serve) -> None:
    app = Recorder()
    app.may_answer.clear()
    server = serve(app, pipelined=4)
    with connect(server) as client:
        client.sendall(GET * 400)
        assert read_all(client) == b""
    app.may_answer.set()
    assert answer(server).endswith(b"hello")
    assert app.begun == 2, "those behind the first were never begun"


def test_a_few_requests_before_an_answer_are_answered_in_turn(serve: Serve) -> None:
    with connect(serve(Recorder(), pipelined=4)) as client:
        client.sendall(GET * 5)
        received = b""
        while received.count(b"hello") < 5:
            received += client.recv(4096)


@pytest.mark.parametrize("is_reset", [False, True], ids=["closed", "reset"])
def test_half_a_body_is_not_taken_for_a_whole_one(serve: Serve, is_reset: bool) -> None:
    """Half of a YAML document is one too."""
    app = Recorder()
    server = serve(app)
    with connect(server) as client:
        client.sendall(HALF)
        wait_until(lambda: app.begun == 1, "the request is being read")
        if is_reset:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    wait_until(lambda: app.cancelled == 1, "nobody continues it")
    assert app.bodies == []


def test_a_request_of_a_client_that_went_away_is_carried_out_if_it_was_whole(serve: Serve) -> None:
    app = Recorder()
    server = serve(app)
    with connect(server) as client:
        client.sendall(HALF + b" rest")
    wait_until(lambda: app.bodies == [b"half rest"], "it was read to its end")


def test_the_first_of_too_many_unfinished_requests_makes_room(serve: Serve) -> None:
    app = Recorder()
    server = serve(app, unfinished=3)
    with ExitStack() as open_:
        clients = [open_.enter_context(connect(server)) for _ in range(4)]
        for number, client in enumerate(clients):
            client.sendall(HALF if number % 2 else HALF[:9])
        assert read_all(clients[0]) == b""
        clients[1].sendall(b" rest")
        assert clients[1].recv(12) == b"HTTP/1.1 200"


def test_a_finished_request_takes_no_room_of_unfinished_ones(serve: Serve) -> None:
    server = serve(Recorder(), unfinished=1)
    with connect(server) as first, connect(server) as second:
        for client in (first, second, first, second):
            client.sendall(HALF)
            client.sendall(b" rest")
            received = b""
            while not received.endswith(b"hello"):
                received += client.recv(4096)


def test_answers_that_nobody_reads_make_room_for_others(serve: Serve) -> None:
    server = serve(Recorder(b"x" * LARGE), unread_bytes=2 * LARGE)
    with ExitStack() as open_:
        clients = [open_.enter_context(connect(server, receive_bytes=4096)) for _ in range(4)]
        for client in clients:
            client.sendall(GET)
            assert client.recv(12) == b"HTTP/1.1 200"
        assert len(read_all(clients[0])) < LARGE
        assert len(answer(server)) > LARGE


def test_an_answer_that_nobody_reads_is_given_up(serve: Serve) -> None:
    server = serve(Recorder(b"x" * LARGE), answer_seconds=0.1)
    with ExitStack() as open_:
        for request in (GET, GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")):
            client = open_.enter_context(connect(server, receive_bytes=4096))
            client.sendall(request)
            wait_until(partial(_is_reset, client), "the connection is given up")


def _is_reset(client: socket.socket) -> bool:
    """Whether the server has dropped the connection; reads nothing."""
    try:
        client.send(b"x")
    except OSError:
        return True
    return False


def test_an_answer_that_is_read_slowly_is_read_to_its_end(serve: Serve) -> None:
    server = serve(Recorder(b"x" * LARGE), answer_seconds=0.1, answer_bytes=1)
    with connect(server, receive_bytes=4096) as client:
        client.sendall(GET * 2)
        received = 0
        while received < 2 * LARGE:
            received += len(client.recv(4096))


def test_the_next_request_waits_until_the_answer_before_is_read(serve: Serve) -> None:
    """Else answers pile up that the server could not even begin to send."""
    app = Recorder(b"x" * LARGE)
    server = serve(app)
    with connect(server, receive_bytes=4096) as client:
        client.sendall(GET * 3)
        assert client.recv(12) == b"HTTP/1.1 200"
        answer(server)
        assert app.begun == 2
        received = 0
        while received < 3 * LARGE:
            received += len(client.recv(65536))
    assert app.begun == 4


def test_an_idle_connection_with_an_unread_answer_is_closed(serve: Serve) -> None:
    server = serve(Recorder(b"x" * LARGE), idle_seconds=0.1, answer_seconds=HANG_SECONDS)
    with connect(server) as client:
        client.sendall(GET)
        assert len(read_all(client)) > LARGE
