"""Bodies are refused before they are read, and wait where many come at once."""

import asyncio
from typing import Any

import pytest

from flyte_host.body_limit import BODIES_AT_ONCE, BodyLimit

MOST = 10


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
        ([b"x" * 4, b"x" * 6], {"transfer_encoding": "chunked"}),
    ],
    ids=["none", "length", "chunks"],
)
def test_a_body_that_fits_is_read(chunks: list[bytes], headers: dict[str, str]) -> None:
    reader = Reader()
    assert status(BodyLimit(reader, MOST), chunks, **headers) == 200
    assert reader.read == [b"".join(chunks)]


def test_a_body_that_is_announced_too_large_is_not_read() -> None:
    reader = Reader()
    assert status(BodyLimit(reader, MOST), [], content_length="11") == 413
    assert reader.read == []


def test_chunks_are_read_until_they_are_too_many() -> None:
    reader = Reader()
    chunks = [b"x" * 6, b"x" * 6, b"never read"]
    assert status(BodyLimit(reader, MOST), chunks, transfer_encoding="chunked") == 413
    assert reader.read == []


def test_pages_that_take_no_body_take_none() -> None:
    assert status(BodyLimit(Reader(), 0), [b""]) == 200
    assert status(BodyLimit(Reader(), 0), [], content_length="1") == 413
    assert status(BodyLimit(Reader(), 0), [b"x"], transfer_encoding="chunked") == 413


def test_many_large_bodies_wait_for_room() -> None:
    async def crowd() -> tuple[int, int, list[int]]:
        reader = Reader()
        reader.may_answer.clear()
        app = BodyLimit(reader, MOST, small_bytes=1)
        asked = [
            asyncio.create_task(status_of(app, [b"x" * MOST], content_length=str(MOST)))
            for _ in range(2 * BODIES_AT_ONCE)
        ]
        small = asyncio.create_task(status_of(app, [b"x"], content_length="1"))
        for _ in range(200):  # turns of the loop, in which all that may be read is read
            await asyncio.sleep(0)
        at_once = len(reader.read)
        reader.may_answer.set()
        return at_once, await small, await asyncio.gather(*asked)

    at_once, small, large = asyncio.run(crowd())
    assert at_once == BODIES_AT_ONCE + 1, "the small one waits for nobody"
    assert {small, *large} == {200}


def test_an_answer_that_began_is_not_followed_by_another() -> None:
    async def eager(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await receive()

    assert status(BodyLimit(eager, MOST), [b"x" * 11], transfer_encoding="chunked") == 200
