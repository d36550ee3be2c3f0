"""The API as an ASGI application.

Translates between ASGI and the requests and responses of ``api``. Handlers run in threads, because
they wait for the store; a take that finds nothing needs none.
"""

import asyncio
from collections import defaultdict
from contextlib import AbstractAsyncContextManager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any

from starlette.requests import ClientDisconnect
from starlette.responses import Response

from flyte_host.embedded.api_response import ApiResponse, error_response
from flyte_host.embedded.operations import Operation
from flyte_host.embedded.pages.page_templates import PageAnswer
from flyte_host.embedded.pages.pages import PAGE_POLICY, Pages
from flyte_host.embedded.router import Route, Router, base_of, headers_of
from flyte_host.embedded.waiting_board import News, PackWatch, WaitingBoard

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send


MANY_PARTS = 1000
"""More than the largest body has, unless a client sends tiny parts."""
AT_ONCE = 3
"""How many GETs of one tag, or pages, are answered in parallel: items and audits may be large."""
PAGES = "pages"
MOST_HELD_BYTES = 4 * 1024 * 1024
"""The limit for the bodies of all requests kept open; one beyond it is answered at once."""


class AsgiApp:
    """Passes requests of browsers to ``pages``, and all others to ``router``."""

    def __init__(self, router: Router, board: WaitingBoard, pages: Pages) -> None:
        self._router = router
        self._board = board
        self._pages = pages
        self._turns = defaultdict[str, asyncio.Semaphore](lambda: asyncio.Semaphore(AT_ONCE))
        self._held_bytes = 0

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        accept = _headers(scope).get("accept", "")
        if self._pages.is_page(scope["method"], scope["path"], accept):
            async with self._turns[PAGES]:
                response = _page_response(await self._page(scope, receive))
                await response(scope, receive, send)
            return
        route = self._router.find(scope["method"], scope["path"])
        if isinstance(route, ApiResponse):
            await _http_response(route)(scope, receive, send)
            return
        async with self._turn(route.operation):
            answer = await self._answer(route, scope, receive)
            await _http_response(answer)(scope, receive, send)

    def _turn(self, operation: Operation) -> AbstractAsyncContextManager[Any]:
        """What to wait for: only a few large answers are made and sent at a time."""
        return self._turns[operation.tag] if operation.method == "GET" else nullcontext()

    async def _page(self, scope: "Scope", receive: "Receive") -> PageAnswer:
        path = scope["path"]
        if scope["method"] == "POST":
            body = await _read_body(receive)
            content_type = _headers(scope).get("content-type", "")
            return await asyncio.to_thread(self._pages.try_flow, path, content_type, body)
        query = scope["query_string"].decode("latin-1")
        return await asyncio.to_thread(self._pages.show, path, query)

    async def _answer(self, route: Route, scope: "Scope", receive: "Receive") -> ApiResponse:
        body = await _read_body(receive)
        headers = _headers(scope)
        if "host" not in headers and scope["http_version"] == "1.1":
            return error_response(400, "found no Host header, expected one")
        host = headers.get("host") or "{}:{}".format(*scope["server"])
        base = base_of(scope["scheme"], host, headers)
        query = scope["query_string"].decode("latin-1")
        if found := self._router.answer_at_once(route, query, headers):
            return found
        ask = partial(self._router.answer, route, base, query, headers, body)
        answer = await asyncio.to_thread(ask)
        held = answer.held
        room = MOST_HELD_BYTES - self._held_bytes
        if held is None or held.watch.seconds == 0 or len(body) > room:
            return answer
        self._held_bytes += len(body)
        try:
            return held.answer(await self._hold(held.watch, receive))
        finally:
            self._held_bytes -= len(body)

    async def _hold(self, watch: PackWatch, receive: "Receive") -> News:
        """Wait for news until the time is up or the caller has gone."""
        told, loop = asyncio.Event(), asyncio.get_running_loop()
        with self._board.watching(watch, lambda: loop.call_soon_threadsafe(told.set)):
            if (news := await self._news(watch)).waiting:  # it came before we watched
                return news
            ends = [asyncio.create_task(told.wait()), asyncio.create_task(_disconnect(receive))]
            await asyncio.wait(ends, timeout=watch.seconds, return_when=asyncio.FIRST_COMPLETED)
            for each in ends:
                each.cancel()
        return await self._news(watch)

    async def _news(self, watch: PackWatch) -> News:
        """Look without a thread, which would cost more, unless looking has to wait."""
        if (found := self._board.news_at_once(watch)) is not None:
            return found
        return await asyncio.to_thread(self._board.news, watch)


async def _disconnect(receive: "Receive") -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _read_body(receive: "Receive") -> bytes:
    """The whole body: its size is limited around the application.

    Raises ClientDisconnect if the client disconnected: half a body may look like a whole one.
    """
    parts: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        parts.append(message.get("body", b""))
        if len(parts) > MANY_PARTS:  # tiny ones cost more than what they hold
            parts = [b"".join(parts)]
        if not message.get("more_body"):
            return b"".join(parts)


def _headers(scope: "Scope") -> dict[str, str]:
    """The first value of each header."""
    fields = reversed(scope["headers"])
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in fields}


def _http_response(answer: ApiResponse) -> Response:
    response = Response(answer.body, answer.status)
    # flyte does not percent-encode its links, and an item's type is whatever its sender chose.
    response.raw_headers += [(name.encode(), value.encode()) for name, value in headers_of(answer)]
    return response


def _page_response(page: PageAnswer) -> Response:
    headers = {
        "Content-Security-Policy": PAGE_POLICY,
        "Cache-Control": "no-store",
        # Without a referrer a browser sends forms with the Origin "null", which is foreign.
        "Referrer-Policy": "same-origin",
    }
    return Response(page.body, page.status, headers, page.content_type)
