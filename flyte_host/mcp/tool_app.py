"""The tools over streamable HTTP, as an ASGI application.

Owns the life of the sessions, even when they fail, and who may call: holders of the token, if one
is set. The gate in front of it refuses pages of other sites.
"""

import asyncio
import hmac
import logging
from typing import TYPE_CHECKING, Any

from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from starlette.responses import JSONResponse

if TYPE_CHECKING:
    from mcp.server import Server
    from starlette.types import Receive, Scope, Send

log = logging.getLogger(__name__)

PATH = "/mcp"
MOST_SESSIONS = 500
"""Sessions open at a time, at 40 kB each; the SDK ends those unused for half an hour."""


class ToolApp:
    """Starts its sessions at the first request, on the caller's loop."""

    def __init__(self, server: "Server[Any]", token: str = "") -> None:
        self._server = server
        self._token = token
        self._loop: asyncio.AbstractEventLoop | None = None
        self._running: asyncio.Task[None] | None = None
        self._opened: asyncio.Future[StreamableHTTPSessionManager] | None = None
        self._ending = asyncio.Event()

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        if scope["path"].rstrip("/") != PATH:
            await JSONResponse({"error": f"the tools are at {PATH}"}, 404)(scope, receive, send)
        elif not self._may_call(scope):
            headers = {"WWW-Authenticate": "Bearer"}
            answer = JSONResponse({"error": "found no valid token"}, 401, headers)
            await answer(scope, receive, send)
        else:
            sessions = await self._sessions()
            await sessions.handle_request(scope, receive, send)

    def close(self) -> None:
        """End all sessions; from any thread."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._ending.set)

    def _may_call(self, scope: "Scope") -> bool:
        if not self._token:
            return True
        sent = [value for name, value in scope["headers"] if name == b"authorization"]
        return len(sent) == 1 and hmac.compare_digest(sent[0], b"Bearer " + self._token.encode())

    async def _sessions(self) -> StreamableHTTPSessionManager:
        """Begun at the first request, and again after they failed; raises what prevents them."""
        if self._opened is None:
            self._loop = asyncio.get_running_loop()
            self._opened = self._loop.create_future()
            self._running = self._loop.create_task(self._run(self._opened))
        return await asyncio.shield(self._opened)

    async def _run(self, opened: "asyncio.Future[StreamableHTTPSessionManager]") -> None:
        sessions = StreamableHTTPSessionManager(
            self._server,
            # Host and Origin are checked in the same way for every server of the host.
            security_settings=TransportSecuritySettings(enable_dns_rebinding_protection=False),
            max_sessions=MOST_SESSIONS,
        )
        try:
            async with sessions.run():
                opened.set_result(sessions)
                await self._ending.wait()
        except Exception as error:  # of the SDK, and not of a request
            log.exception("the tool sessions failed; the next request starts new ones")
            if not opened.done():
                opened.set_exception(error)
            self._opened = None
