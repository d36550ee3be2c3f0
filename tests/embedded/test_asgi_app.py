"""The API as an ASGI application, where a test of its answers cannot see what is wrong."""

import asyncio
from typing import Any

import pytest
from starlette.requests import ClientDisconnect

from tests.embedded.conftest import EmbeddedCaller


def test_half_a_body_is_not_taken_for_a_whole_one(call: EmbeddedCaller) -> None:
    """Whatever web server hands it over: the first lines of a YAML document are one too."""
    call.pack()
    messages: list[Any] = [
        {"type": "http.request", "body": b"event: Go\npayload: a", "more_body": True},
        {"type": "http.disconnect"},
    ]
    scope = {
        "type": "http",
        "http_version": "1.1",
        "scheme": "http",
        "method": "POST",
        "path": "/v1/packs/P/events",
        "query_string": b"",
        "headers": [(b"host", b"localhost"), (b"content-type", b"application/x-yaml")],
        "client": None,
        "server": ("127.0.0.1", 80),
    }

    async def receive() -> Any:
        return messages.pop(0)

    async def send(message: Any) -> None:
        raise AssertionError(message)

    with pytest.raises(ClientDisconnect):
        asyncio.run(call.flyte.asgi(scope, receive, send))
