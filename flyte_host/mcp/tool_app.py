"""The tools over streamable HTTP, as an ASGI application.

Owns the life of the sessions, and who may call: a token, if one is set. Whether a page of another
site may is asked before.
"""

import asyncio
import hmac
from typing import TYPE_CHECKING, Any

from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from starlette.responses import JSONResponse

if TYPE_CHECKING:
    from mcp.server import Server
    from starlette.types import Receive, Scope, Send

PATH = "/mcp"
MOST_SESSIONS = 500
"""Open at once, at 40 kB each; the SDK ends those that nobody used for half an hour."""


class ToolApp:
    """Begins to answer at the first request, on the loop of the one who asks."""

    def __init__(self, server: "Server[Any]", token: str = "") -> None:
        self._token = token
        self._sessions = StreamableHTTPSessionManager(
            server,
            # Host and Origin are looked at for every server of the host in the same way.
            security_settings=TransportSecuritySettings(enable_dns_rebinding_protection=False),
            max_sessions=MOST_SESSIONS,
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        self._running: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()
        self._ending = asyncio.Event()

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        if scope["path"].rstrip("/") != PATH:
            await JSONResponse({"error": f"the tools are at {PATH}"}, 404)(scope, receive, send)
        elif not self._may_call(scope):
            headers = {"WWW-Authenticate": "Bearer"}
            answer = JSONResponse({"error": "found no valid token"}, 401, headers)
            await answer(scope, receive, send)
        else:
            await self._begin()
            await self._sessions.handle_request(scope, receive, send)

    def close(self) -> None:
        """End all sessions; from any thread."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._ending.set)

    def _may_call(self, scope: "Scope") -> bool:
        if not self._token:
            return True
        sent = [value for name, value in scope["headers"] if name == b"authorization"]
        return len(sent) == 1 and hmac.compare_digest(sent[0], b"Bearer " + self._token.encode())

    async def _begin(self) -> None:
        if self._running is None:
            self._loop = asyncio.get_running_loop()
            self._running = asyncio.create_task(self._run())
        await self._ready.wait()

    async def _run(self) -> None:
        async with self._sessions.run():
            self._ready.set()
            await self._ending.wait()
