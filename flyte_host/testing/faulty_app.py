"""An ASGI application that fails when a test says so.

Owns the faults; the test's own requests meet none.
"""

import threading
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any, Literal

from starlette.responses import JSONResponse

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

KIT_HEADER = "x-flyte-test-kit"
"""The test's own requests carry it."""

Request = Literal["take", "result", "event", "registration"]
"""What packs ask of flyte."""


class FaultyApp:
    """Passes on to ``app`` every request that no fault is scripted for."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._lock = threading.Lock()
        self._status = 0
        self._lost_answers: list[Request] = []

    @contextmanager
    def answering(self, status: int) -> Iterator[None]:
        """Answer everything with this status while the context lasts."""
        before, self._status = self._status, status
        try:
            yield
        finally:
            self._status = before

    def lose_answers(self, request: Request, times: int) -> None:
        """Do what the next requests of a kind ask for, and answer 500."""
        with self._lock:
            self._lost_answers += [request] * times

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if any(name.decode("latin-1") == KIT_HEADER for name, _ in scope["headers"]):
            await self._app(scope, receive, send)
        elif status := self._status:
            await _failure(status)(scope, receive, send)
        elif self._loses_answer_to(_kind_of(scope["method"], scope["path"])):
            await self._app(scope, receive, _drop)
            await _failure(500)(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _loses_answer_to(self, request: str) -> bool:
        with self._lock:
            for number, each in enumerate(self._lost_answers):
                if each == request:
                    del self._lost_answers[number]
                    return True
        return False


async def _drop(_: MutableMapping[str, Any]) -> None:
    """Drop the real answer."""


def _failure(status: int) -> JSONResponse:
    return JSONResponse({"error": "a fault that the test asked for"}, status)


def _kind_of(method: str, path: str) -> str:
    if method != "POST":
        return ""
    if path.rstrip("/") == "/v1/packs":
        return "registration"
    if path.endswith("/actions/take"):
        return "take"
    return "event" if path.endswith("/events") else "result" if "/actions/" in path else ""
