"""Bounds the bodies of requests before anybody reads them: of each one, and of all at once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import msgspec
from starlette.responses import Response

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

BODIES_AT_ONCE = 1
"""How many bodies of the largest size may be in memory; later ones wait to be read."""
SMALL_BYTES = 65_536
"""Such a body never waits: large ones that drip must not hold back what packs send."""


class BodyTooLarge(Exception):
    """A body without a length turned out to be larger than is taken."""


class BodyLimit:
    """Hands requests to ``app`` whose body has at most ``most_bytes``; 0: no body at all.

    An answer to more is sent before the body is read, and ends the connection.
    """

    def __init__(self, app: "ASGIApp", most_bytes: int, *, small_bytes: int = SMALL_BYTES) -> None:
        self._app = app
        self._most_bytes = most_bytes
        self._small_bytes = small_bytes
        self._room = BODIES_AT_ONCE * most_bytes
        self._freed = asyncio.Condition()

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        expected = _expected_bytes(scope, self._most_bytes)
        if expected > self._most_bytes:
            await self._refuse(scope, receive, send)
            return
        started = False

        async def start(message: "Message") -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            async with self._reserved(expected):
                await self._app(scope, self._counted(receive), start)
        except BodyTooLarge:
            if not started:
                await self._refuse(scope, receive, send)

    @asynccontextmanager
    async def _reserved(self, count: int) -> AsyncIterator[None]:
        if count <= self._small_bytes:
            yield
            return
        async with self._freed:
            await self._freed.wait_for(lambda: self._room >= count)
            self._room -= count
        try:
            yield
        finally:
            async with self._freed:
                self._room += count
                self._freed.notify_all()

    def _counted(self, receive: "Receive") -> "Receive":
        received = 0

        async def count() -> "Message":
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._most_bytes:
                raise BodyTooLarge
            return message

        return count

    async def _refuse(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        answer = Response(
            msgspec.json.encode({"error": too_large(self._most_bytes)}),
            413,
            {"Connection": "close"},
            "application/json; charset=utf-8",
        )
        await answer(scope, receive, send)


def too_large(most_bytes: int) -> str:
    """Why a body of more than ``most_bytes`` is refused."""
    expected = f"at most {most_bytes:,} bytes" if most_bytes else "none"
    return f"the request's body is too large, expected {expected}"


def _expected_bytes(scope: "Scope", most_bytes: int) -> int:
    """The length that the request tells; one without may be as long as is taken."""
    headers = dict(scope["headers"])
    if b"content-length" in headers:
        return int(headers[b"content-length"])
    return most_bytes if b"transfer-encoding" in headers else 0
