"""Bounds the bodies of requests before anybody reads them: each one, and all together.

Owns the answers 413 and 408. How bodies share memory is in :class:`BodyRoom`.
"""

from typing import TYPE_CHECKING

import msgspec
from starlette.responses import Response

from flyte_host.body_room import Body, BodyRoom, BodyTooSlow

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

SHARE = 16
"""All bodies together have room for this part of the largest one."""
SMALL_BYTES = 65_536
"""A body this small never waits: large, dripping ones must not hold back what packs send."""


TOO_SLOW = "the request's body paused while others waited; send it again"


class BodyTooLarge(Exception):
    """A body without a length turned out to be too large."""


class BodyLimit:
    """Hands to ``app`` requests whose body has at most ``most_bytes``; 0: no body at all.

    A larger one is answered before it is read, and its connection is closed. Only what has arrived
    of a body takes room, so a client that announces much and sends little holds nobody back; nor
    does one that stops half way, since it has to leave once others wait. All bodies
    together have room for ``room_bytes``; None: a part of ``most_bytes``.
    """

    def __init__(
        self,
        app: "ASGIApp",
        most_bytes: int,
        *,
        small_bytes: int = SMALL_BYTES,
        room_bytes: int | None = None,
    ) -> None:
        self._app = app
        self._most_bytes = most_bytes
        self._small_bytes = small_bytes
        self._room = BodyRoom(most_bytes // SHARE if room_bytes is None else room_bytes)

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        if _announced_bytes(scope) > self._most_bytes:
            await _refuse(413, too_large(self._most_bytes))(scope, receive, send)
            return
        started = False

        async def start(message: "Message") -> None:
            nonlocal started
            started = True
            await send(message)

        body = Body()
        try:
            await self._app(scope, self._counted(receive, body), start)
        except BodyTooLarge:
            if not started:
                await _refuse(413, too_large(self._most_bytes))(scope, receive, send)
        except BodyTooSlow:
            if not started:
                await _refuse(408, TOO_SLOW)(scope, receive, send)
        finally:
            self._room.free(body)

    def _counted(self, receive: "Receive", body: Body) -> "Receive":
        async def count() -> "Message":
            if body.is_whole:  # it only waits for the client to go: what it keeps it answers for
                self._room.free(body)
                return await receive()
            is_large = body.received > self._small_bytes
            message = await (self._room.read(receive, body) if is_large else receive())
            body.arrive(len(message.get("body", b"")))
            body.is_whole = not message.get("more_body", False)
            if body.received > self._most_bytes:
                raise BodyTooLarge
            if body.received > self._small_bytes:
                await self._room.take(body)
            return message

        return count


def too_large(most_bytes: int) -> str:
    """Why a body of more than ``most_bytes`` is refused."""
    expected = f"at most {most_bytes:,} bytes" if most_bytes else "none"
    return f"the request's body is too large, expected {expected}"


def _refuse(status: int, sentence: str) -> Response:
    return Response(
        msgspec.json.encode({"error": sentence}),
        status,
        {"Connection": "close"},
        "application/json; charset=utf-8",
    )


def _announced_bytes(scope: "Scope") -> int:
    return int(dict(scope["headers"]).get(b"content-length", 0))
