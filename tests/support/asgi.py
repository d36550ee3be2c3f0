"""One request to an ASGI application, without a server."""

import asyncio
from collections.abc import Mapping
from typing import Any, NamedTuple


class AsgiAnswer(NamedTuple):
    """What the application sent, with the names of headers as ``Content-Type``."""

    status: int
    headers: dict[str, str]
    body: bytes


def ask_app(
    app: Any,
    path: str,
    method: str = "GET",
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
) -> AsgiAnswer:
    """The whole answer to one whole request."""
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    given = {"Host": "localhost", **(headers or {})}
    path, _, query = path.partition("?")
    scope = {
        "type": "http",
        "http_version": "1.1",
        "scheme": "http",
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "headers": [(name.lower().encode(), value.encode()) for name, value in given.items()],
        "client": ("127.0.0.1", 40_000),
        "server": ("127.0.0.1", 80),
    }
    asyncio.run(app(scope, receive, send))
    start, *parts = sent
    told = {name.decode().title(): value.decode("latin-1") for name, value in start["headers"]}
    return AsgiAnswer(start["status"], told, b"".join(part.get("body", b"") for part in parts))
