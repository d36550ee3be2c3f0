"""Room in memory that the bodies of all requests share.

Owns who gets room, and who has to leave it: a client that sends too slowly while others wait. The
latest to wait is served first: many of the earlier ones may never continue. Must not know answers
or statuses.
"""

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import Message, Receive

WINDOW_SECONDS = 0.75
WINDOW_BYTES = 192 * 1024
"""A client that sends less in a window is slow, and has to leave if others wait for room."""
LOOK_SECONDS = 0.1


class BodyTooSlow(Exception):
    """The client paused in its body while others waited."""


class Body:
    """What has arrived of one body, and how much of it has room."""

    def __init__(self) -> None:
        self.received = 0
        self.held = 0
        self.is_whole = False
        self._window_began = 0.0
        self._window_bytes = 0

    def arrive(self, count: int) -> None:
        self.received += count
        self._window_bytes += count

    def begin_window(self, now: float) -> None:
        self._window_began = now
        self._window_bytes = 0

    def is_window_over(self, now: float) -> bool:
        return now - self._window_began >= WINDOW_SECONDS

    def is_slow(self, now: float) -> bool:
        """Whether too little has come in a window; otherwise, when it is over, a new one begins."""
        if not self.is_window_over(now):
            return False
        if self._window_bytes < WINDOW_BYTES:
            return True
        self.begin_window(now)
        return False


class BodyRoom:
    """``most_bytes`` for all bodies that fit in, and one more body of any size beside them.

    That one can always be read to its end, so no two bodies can wait for each other.
    """

    def __init__(self, most_bytes: int) -> None:
        self._free_bytes = most_bytes
        self._exceeding: Body | None = None
        self._arriving: dict[Body, None] = {}
        self._waiting: dict[Body, asyncio.Future[None]] = {}
        self._reading: dict[Body, asyncio.Timeout] = {}
        self._look: asyncio.TimerHandle | None = None

    async def read(self, receive: "Receive", body: Body) -> "Message":
        """The next part of a body that has room; raises BodyTooSlow."""
        now = asyncio.get_running_loop().time()
        if body.is_window_over(now):
            body.begin_window(now)
        try:
            async with asyncio.timeout(None) as patience:
                self._reading[body] = patience
                return await receive()
        except TimeoutError:
            raise BodyTooSlow from None
        finally:
            self._reading.pop(body, None)

    async def take(self, body: Body) -> None:
        """Wait until there is room for what has arrived of a body."""
        self._arriving.setdefault(body)
        if not self._has_room(body):
            await self._wait(body)
        if body.is_whole:
            self._arriving.pop(body, None)

    async def _wait(self, body: Body) -> None:
        loop = asyncio.get_running_loop()
        future = self._waiting[body] = loop.create_future()
        self._evict()
        try:
            await future
        finally:
            self._waiting.pop(body, None)
        body.begin_window(loop.time())

    def free(self, body: Body) -> None:
        """Give back the room of a body, to those that wait for it."""
        self._arriving.pop(body, None)
        self._free_bytes += body.held
        body.held = 0
        if self._exceeding is body:
            # Not the first to ask for more: many of the earlier ones may never continue.
            self._exceeding = next(reversed(self._arriving), None)
            if self._exceeding is not None:
                self._free_bytes += self._exceeding.held
                self._exceeding.held = 0
        for each, future in reversed(list(self._waiting.items())):
            if not future.done() and self._has_room(each):
                future.set_result(None)

    def _has_room(self, body: Body) -> bool:
        """Take room for what has arrived of a body, if there is any."""
        if self._exceeding is body:
            return True
        wanted = body.received - body.held
        if wanted <= self._free_bytes:
            self._free_bytes -= wanted
            body.held = body.received
            return True
        if self._exceeding is None:
            self._exceeding = body
            self._free_bytes += body.held
            body.held = 0
            return True
        return False

    def _evict(self) -> None:
        """Have slow clients leave, now and while anybody waits."""
        loop = asyncio.get_running_loop()
        if self._look is not None:
            self._look.cancel()
        self._look = loop.call_later(LOOK_SECONDS, self._evict) if self._waiting else None
        now = loop.time()
        for body in [each for each in self._reading if self._waiting and each.is_slow(now)]:
            self._reading.pop(body).reschedule(now)
