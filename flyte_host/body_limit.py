"""Bounds the bodies of requests before anybody reads them: of each one, and of all at once."""

import asyncio
from typing import TYPE_CHECKING

import msgspec
from starlette.responses import Response

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

SHARE = 16
"""All bodies together have room for this part of the largest one."""
SMALL_BYTES = 65_536
"""Such a body never waits: large ones that drip must not hold back what packs send."""


class BodyTooLarge(Exception):
    """A body without a length turned out to be larger than is taken."""


class BodyLimit:
    """Hands requests to ``app`` whose body has at most ``most_bytes``; 0: no body at all.

    An answer to more is sent before the body is read, and ends the connection. Only what has
    arrived of a body takes room, so a client that announces much and sends little holds back
    nobody. All bodies share room for a part of ``most_bytes``. One that does not fit in stands
    beside it and can always be read to its end; the next such one waits for that.
    """

    def __init__(self, app: "ASGIApp", most_bytes: int, *, small_bytes: int = SMALL_BYTES) -> None:
        self._app = app
        self._most_bytes = most_bytes
        self._small_bytes = small_bytes
        self._room = most_bytes // SHARE
        self._exceeding: _Body | None = None
        self._freed = asyncio.Condition()

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        if _announced_bytes(scope) > self._most_bytes:
            await self._refuse(scope, receive, send)
            return
        started = False

        async def start(message: "Message") -> None:
            nonlocal started
            started = True
            await send(message)

        body = _Body()
        try:
            await self._app(scope, self._counted(receive, body), start)
        except BodyTooLarge:
            if not started:
                await self._refuse(scope, receive, send)
        finally:
            await self._free(body)

    def _counted(self, receive: "Receive", body: "_Body") -> "Receive":
        async def count() -> "Message":
            message = await receive()
            body.received += len(message.get("body", b""))
            if body.received > self._most_bytes:
                raise BodyTooLarge
            if body.received > self._small_bytes and not self._has_room(body):
                async with self._freed:
                    await self._freed.wait_for(lambda: self._has_room(body))
            return message

        return count

    def _has_room(self, body: "_Body") -> bool:
        """Take room for what has arrived of a body, if there is any."""
        if self._exceeding is body:
            return True
        wanted = body.received - body.held
        if wanted <= self._room:
            self._room -= wanted
            body.held = body.received
            return True
        if self._exceeding is None:
            self._exceeding = body
            self._room += body.held
            body.held = 0
            return True
        return False

    async def _free(self, body: "_Body") -> None:
        if self._exceeding is body:
            self._exceeding = None
        elif not body.held:
            return
        self._room += body.held
        async with self._freed:
            self._freed.notify_all()

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


class _Body:
    """What has arrived of one body, and for how much of that there was room."""

    def __init__(self) -> None:
        self.received = 0
        self.held = 0


def _announced_bytes(scope: "Scope") -> int:
    return int(dict(scope["headers"]).get(b"content-length", 0))
