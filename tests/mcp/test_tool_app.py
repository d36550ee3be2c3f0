"""Sessions of tools that fail: waiting requests hear of it, and the next one gets new sessions."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from flyte_host.testing.waiting import PATIENCE_SECONDS, wait_until
from tests.support.asgi import answer_of

if TYPE_CHECKING:
    from mcp.server import Server

    from flyte_host.mcp.tool_app import ToolApp

pytestmark = pytest.mark.xdist_group("tools")  # the SDK is imported once

ANSWERED = 400
"""By the sessions, which find no message of the protocol."""


class FailingSessions:
    """An application whose sessions fail as often as ``failures`` says."""

    def __init__(self, failures: int = 0) -> None:
        from mcp.server import Server  # noqa: PLC0415  a second to import

        from flyte_host.mcp.tool_app import ToolApp  # noqa: PLC0415

        self.failures = failures
        self.end = asyncio.Event()
        self.app = ToolApp(Server("demo", lifespan=self._live))

    @asynccontextmanager
    async def _live(self, _server: "Server[Any]") -> AsyncIterator[None]:
        if self.failures:
            self.failures -= 1
            raise RuntimeError("no room for sessions")
        async with asyncio.TaskGroup() as group:
            failing = group.create_task(self._fail())
            yield
            failing.cancel()

    async def _fail(self) -> None:
        await self.end.wait()
        self.end.clear()
        raise RuntimeError("no room any longer")


async def ask(app: "ToolApp") -> int | str:
    """The status of a request with an empty message, or what the application raised."""
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return (await answer_of(app, "/mcp", "POST", body=b"{}")).status
    except RuntimeError as error:
        return str(error)


def test_waiting_requests_are_told_what_prevents_sessions(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def asked() -> list[int | str]:
        app = FailingSessions(failures=1).app
        first = await asyncio.gather(ask(app), ask(app))
        return [*first, await ask(app)]

    assert asyncio.run(asked()) == ["no room for sessions", "no room for sessions", ANSWERED]
    assert "the tool sessions failed; the next request starts new ones" in caplog.messages


def test_sessions_that_fail_later_are_begun_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.ERROR)

    async def asked() -> list[int | str]:
        sessions = FailingSessions()
        before = await ask(sessions.app)
        sessions.end.set()
        await asyncio.to_thread(wait_until, lambda: caplog.messages, "the failure is logged")
        return [before, await ask(sessions.app)]

    assert asyncio.run(asked()) == [ANSWERED, ANSWERED]
