"""Bodies are refused before they are read, and wait where many come at once."""

import asyncio
from typing import Any

import pytest

from flyte_host.body_limit import SHARE, BodyLimit

MOST = 160


class Reader:
    """An application that reads whole bodies, and answers when it may."""

    def __init__(self) -> None:
        self.read: list[bytes] = []
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body += message["body"]
            more = message["more_body"]
        self.read.append(body)
        await self.may_answer.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})


async def status_of(app: Any, chunks: list[bytes], **headers: str) -> int:
    """The status for a request whose body comes in ``chunks``, none of which must be left over."""
    sent: list[Any] = []
    waiting = list(chunks)

    async def receive() -> Any:
        chunk = waiting.pop(0)
        return {"type": "http.request", "body": chunk, "more_body": bool(waiting)}

    async def send(message: Any) -> None:
        sent.append(message)

    fields = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    await app({"type": "http", "method": "POST", "headers": fields}, receive, send)
    status: int = sent[0]["status"]
    return status


def status(app: Any, chunks: list[bytes], **headers: str) -> int:
    return asyncio.run(status_of(app, chunks, **headers))


@pytest.mark.parametrize(
    ("chunks", "headers"),
    [
        ([b""], {}),
        ([b"x" * MOST], {"content_length": str(MOST)}),
        ([b"x" * 70, b"x" * 90], {"transfer_encoding": "chunked"}),
    ],
    ids=["none", "length", "chunks"],
)
def test_a_body_that_fits_is_read(chunks: list[bytes], headers: dict[str, str]) -> None:
    reader = Reader()
    assert status(BodyLimit(reader, MOST), chunks, **headers) == 200
    assert reader.read == [b"".join(chunks)]


def test_a_body_that_is_announced_too_large_is_not_read() -> None:
    reader = Reader()
    assert status(BodyLimit(reader, MOST), [], content_length="161") == 413
    assert reader.read == []


def test_chunks_are_read_until_they_are_too_many() -> None:
    reader = Reader()
    chunks = [b"x" * 90, b"x" * 90, b"never read"]
    assert status(BodyLimit(reader, MOST), chunks, transfer_encoding="chunked") == 413
    assert reader.read == []


def test_pages_that_take_no_body_take_none() -> None:
    assert status(BodyLimit(Reader(), 0), [b""]) == 200
    assert status(BodyLimit(Reader(), 0), [], content_length="1") == 413
    assert status(BodyLimit(Reader(), 0), [b"x"], transfer_encoding="chunked") == 413


class BodyCrowd:
    """Requests with bodies that the test sends, chunk by chunk."""

    def __init__(self, app: BodyLimit) -> None:
        self._app = app
        self._sent: list[asyncio.Queue[tuple[bytes, bool]]] = []
        self.tasks: list[asyncio.Task[int]] = []

    def ask(self) -> int:
        """Announce a body of MOST bytes; returns the request's number."""
        sent: asyncio.Queue[tuple[bytes, bool]] = asyncio.Queue()
        self._sent.append(sent)
        self.tasks.append(asyncio.create_task(self._request(sent)))
        return len(self.tasks) - 1

    async def send(self, number: int, chunk: bytes, *, more: bool = True) -> None:
        self._sent[number].put_nowait((chunk, more))
        for _ in range(50):  # turns of the loop, in which all that may be read is read
            await asyncio.sleep(0)

    async def _request(self, sent: asyncio.Queue[tuple[bytes, bool]]) -> int:
        async def receive() -> Any:
            chunk, more = await sent.get()
            return {"type": "http.request", "body": chunk, "more_body": more}

        statuses: list[int] = []

        async def send(message: Any) -> None:
            statuses.extend([message["status"]] if "status" in message else [])

        fields = [(b"content-length", str(MOST).encode())]
        await self._app({"type": "http", "method": "POST", "headers": fields}, receive, send)
        return statuses[0]


def test_one_of_many_large_bodies_is_read_at_a_time() -> None:
    async def crowd() -> None:
        reader = Reader()
        reader.may_answer.clear()
        crowd = BodyCrowd(BodyLimit(reader, MOST, small_bytes=1))
        for number in range(4):
            crowd.ask()
            await crowd.send(number, b"x" * MOST, more=False)
        small = crowd.ask()
        await crowd.send(small, b"x", more=False)
        assert reader.read == [b"x" * MOST, b"x"], "the small one waits for nobody"
        reader.may_answer.set()
        assert await asyncio.gather(*crowd.tasks) == [200] * 5

    asyncio.run(crowd())


def test_large_bodies_that_drip_hold_back_nobody() -> None:
    async def crowd() -> None:
        reader = Reader()
        crowd = BodyCrowd(BodyLimit(reader, MOST, small_bytes=1))
        for _ in range(20):
            await crowd.send(crowd.ask(), b"x")
        honest = crowd.ask()
        await crowd.send(honest, b"x" * MOST, more=False)
        assert await crowd.tasks[honest] == 200
        for each in crowd.tasks[:honest]:
            each.cancel()

    asyncio.run(crowd())


def test_two_halves_cannot_block_each_other() -> None:
    async def crowd() -> None:
        crowd = BodyCrowd(BodyLimit(Reader(), MOST, small_bytes=1))
        halves = [crowd.ask() for _ in range(3)]
        for chunk, more in ((b"x" * 4, True), (b"x" * 156, False)):
            for number in halves:
                await crowd.send(number, chunk, more=more)
        assert await asyncio.gather(*crowd.tasks) == [200] * 3

    asyncio.run(crowd())


def test_one_that_stops_half_way_is_sent_away_when_others_wait() -> None:
    async def crowd() -> None:
        crowd = BodyCrowd(BodyLimit(Reader(), MOST, small_bytes=1))
        hogs = [crowd.ask() for _ in range(3)]
        for hog in hogs:
            await crowd.send(hog, b"x" * (MOST - 1))
        honest = crowd.ask()
        await crowd.send(honest, b"x" * MOST, more=False)
        assert await crowd.tasks[honest] == 200
        assert await crowd.tasks[hogs[0]] == 408
        for each in crowd.tasks:
            each.cancel()

    asyncio.run(crowd())


def test_one_that_pauses_after_its_answer_began_is_cut_off() -> None:
    async def eager(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while (await receive())["more_body"]:
            pass

    async def crowd() -> None:
        crowd = BodyCrowd(BodyLimit(eager, MOST, small_bytes=1))
        hog, honest = crowd.ask(), crowd.ask()
        await crowd.send(hog, b"x" * (MOST - 1))
        await crowd.send(honest, b"x" * MOST, more=False)
        assert [await crowd.tasks[each] for each in (hog, honest)] == [200, 200]

    asyncio.run(crowd())


def test_one_that_waits_for_its_client_to_go_takes_no_room() -> None:
    async def crowd() -> None:
        waiting = []

        async def wait_for_the_client(scope: Any, receive: Any, send: Any) -> None:
            while (await receive())["more_body"]:
                pass
            waiting.append(scope)
            await receive()

        crowd = BodyCrowd(BodyLimit(wait_for_the_client, MOST, small_bytes=1))
        for number in range(3):
            crowd.ask()
            await crowd.send(number, b"x" * MOST, more=False)
        assert len(waiting) == 3
        for each in crowd.tasks:
            each.cancel()

    asyncio.run(crowd())


def test_one_that_stops_half_way_holds_back_only_those_of_its_size() -> None:
    async def crowd() -> None:
        crowd = BodyCrowd(BodyLimit(Reader(), MOST, small_bytes=1))
        hog = crowd.ask()
        await crowd.send(hog, b"x" * (MOST - 1))
        for _ in range(3):
            medium = crowd.ask()
            await crowd.send(medium, b"x" * (MOST // SHARE), more=False)
            assert await crowd.tasks[medium] == 200
        crowd.tasks[hog].cancel()

    asyncio.run(crowd())


def test_a_client_that_goes_away_leaves_its_room() -> None:
    async def crowd() -> None:
        crowd = BodyCrowd(BodyLimit(Reader(), MOST, small_bytes=1))
        gone = crowd.ask()
        await crowd.send(gone, b"x" * (MOST - 1))
        waiting = crowd.ask()
        await crowd.send(waiting, b"x" * MOST, more=False)
        assert not crowd.tasks[waiting].done()
        crowd.tasks[gone].cancel()
        assert await crowd.tasks[waiting] == 200

    asyncio.run(crowd())


def test_an_answer_that_began_is_not_followed_by_another() -> None:
    async def eager(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await receive()

    assert status(BodyLimit(eager, MOST), [b"x" * (MOST + 1)], transfer_encoding="chunked") == 200
