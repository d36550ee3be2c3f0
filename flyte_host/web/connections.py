"""All connections of one server: how many are allowed, and which one is closed to make room.

Must not know what is sent over a connection.
"""

import asyncio
import time
from contextlib import suppress
from email.utils import formatdate
from typing import Protocol

from uvicorn.server import ServerState

from flyte_host.web.limits import Limits

CLOSE_SECONDS = 5.0
"""How long the loop may take to close connections; unless starved, it needs milliseconds."""


class ClientConnection(Protocol):
    """What has to be known of a connection to choose among them."""

    @property
    def is_idle(self) -> bool:
        """Whether none of its requests is being answered."""

    @property
    def unread_bytes(self) -> int:
        """How much of its answers the system could not send yet."""

    def shutdown(self) -> None:
        """Close it when its answer is sent."""

    def abort(self) -> None:
        """Close it now."""


class Connections(ServerState):
    """The connections, oldest first; ``limits`` says how many of each kind are allowed."""

    def __init__(self, limits: Limits) -> None:
        super().__init__()
        self.limits = limits
        self._by_age: dict[ClientConnection, None] = {}
        self._unfinished: dict[ClientConnection, None] = {}
        self._unread: dict[ClientConnection, None] = {}
        self._second = -1
        self._is_ending = False
        self._none_left = asyncio.Event()

    def add(self, connection: ClientConnection) -> None:
        """Add it; over the limit, close the one that has been idle longest."""
        self._by_age[connection] = None
        if self._is_ending:  # it was accepted just before
            connection.abort()
        elif len(self._by_age) > self.limits.connections:
            idle = (each for each in self._by_age if each.is_idle)
            next(idle, connection).abort()

    def renew(self, connection: ClientConnection) -> None:
        """It has been answered, and is now the most recent of the idle ones."""
        if connection in self._by_age:
            del self._by_age[connection]
            self._by_age[connection] = None

    def begin(self, connection: ClientConnection) -> None:
        """Part of a request has arrived; over the limit, close the one that began first.

        The part is kept in memory, and an honest request is soon complete.
        """
        self._unfinished.setdefault(connection)
        if len(self._unfinished) > self.limits.unfinished:
            oldest = next(iter(self._unfinished))
            del self._unfinished[oldest]
            oldest.abort()

    def finish(self, connection: ClientConnection) -> None:
        """The whole request has arrived."""
        self._unfinished.pop(connection, None)

    def pile_up(self, connection: ClientConnection) -> None:
        """Its client does not read the answer; over the limit, close the first of those."""
        self._unread.setdefault(connection)
        while sum(each.unread_bytes for each in self._unread) > self.limits.unread_bytes:
            oldest = next(iter(self._unread))
            del self._unread[oldest]
            oldest.abort()

    def clear(self, connection: ClientConnection) -> None:
        """Its client reads again."""
        self._unread.pop(connection, None)

    def discard(self, connection: ClientConnection) -> None:
        """Forget it: it is closed."""
        for kind in (self._by_age, self._unfinished, self._unread):
            kind.pop(connection, None)
        if self._is_ending and not self._by_age:
            self._none_left.set()

    async def end(self, wait_seconds: float) -> None:
        """Close all of them; answers under way have ``wait_seconds`` to finish."""
        for each in list(self._by_age):
            each.shutdown()
        if self.tasks:
            await asyncio.wait(self.tasks, timeout=wait_seconds)
        for task in self.tasks:
            task.cancel()
        self._is_ending = True
        for each in list(self._by_age):
            each.abort()
        await self._wait_until_none_is_left()

    async def _wait_until_none_is_left(self) -> None:
        """A loop that closes before a transport leaves its socket open forever.

        A connection that was just accepted has no protocol yet; a task of asyncio makes it.
        """
        others = asyncio.all_tasks() - {asyncio.current_task()}
        if others:
            await asyncio.wait(others, timeout=CLOSE_SECONDS / 2)
        if self._by_age:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._none_left.wait(), CLOSE_SECONDS / 2)

    @property
    def default_headers(self) -> list[tuple[bytes, bytes]]:
        """Made on demand: uvicorn's timer would renew them ten times a second."""
        second = int(time.time())
        if second != self._second:
            self._second = second
            date = formatdate(second, usegmt=True).encode()
            self._headers = [(b"date", date), (b"server", b"flyte-host")]
        return self._headers

    @default_headers.setter
    def default_headers(self, _: list[tuple[bytes, bytes]]) -> None:
        """Ignore it: only uvicorn sets them, to an empty list at the start."""
