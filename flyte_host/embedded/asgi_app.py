"""The API as an ASGI application.

Owns routing and the way between requests and responses of HTTP and those of ``api``. Handlers run
in threads, since they wait for the store.
"""

import asyncio
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.routing import compile_path

from flyte_host.embedded.api import Api, ApiRequest, ApiResponse, error_response
from flyte_host.embedded.codec import BadDocument
from flyte_host.embedded.forms import read_query
from flyte_host.embedded.operations import OPERATIONS, Operation
from flyte_host.origin import first_of_list

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

MAX_BODY_BYTES = 16 * 1024 * 1024
"""As large as documents in MongoDB, the Go server's store, can be."""
_TOO_LARGE = f"the body is too large, expected at most {MAX_BODY_BYTES:,} bytes"
_CONTROLS = re.compile("[\x00-\x1f\x7f]")

Methods = dict[str, Operation]


class AsgiApp:
    """Routes every request to an operation of ``api``."""

    def __init__(self, api: Api) -> None:
        self._api = api
        by_path: dict[str, Methods] = {}
        for operation in OPERATIONS:
            by_path.setdefault(operation.path, {})[operation.method] = operation
        self._routes = [(compile_path(path)[0], methods) for path, methods in by_path.items()]

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        answer = await self._answer(scope, receive)
        await _http_response(answer)(scope, receive, send)

    async def _answer(self, scope: "Scope", receive: "Receive") -> ApiResponse:
        methods, parameters = self._find(scope["path"])
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        operation = methods.get(method)
        if not methods:
            return error_response(404, f"not found: no operation has the path {scope['path']!r}")
        if operation is None:
            return _other_method(method, methods)
        body = await _read_body(receive)
        if body is None:
            return error_response(413, _TOO_LARGE)
        try:
            asked = _api_request(scope, body)
        except BadDocument as error:
            return error_response(400, str(error))
        return await asyncio.to_thread(self._api.answer, operation, asked, *parameters)

    def _find(self, path: str) -> tuple[Methods, list[str]]:
        """The operations of a path, by method, and the values of its parameters."""
        for pattern, methods in self._routes:
            if found := pattern.match(path):
                return methods, list(found.groups())
        return {}, []


def path_of(scope: "Scope") -> str:
    """The path as the routes read it; raises ValueError if it is not UTF-8."""
    raw = scope.get("raw_path") or scope["path"].encode()
    return unquote(raw.decode("ascii", "surrogateescape"), errors="strict")


async def _read_body(receive: "Receive") -> bytes | None:
    """The whole body; None if it is too large."""
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > MAX_BODY_BYTES:
            return None
        if not message.get("more_body"):
            return bytes(body)


def _api_request(scope: "Scope", body: bytes) -> ApiRequest:
    headers = Headers(scope=scope)
    if "Host" not in headers and scope["http_version"] == "1.1":
        raise BadDocument("found no Host header, expected one")
    return ApiRequest(
        _base(scope, headers),
        read_query(scope["query_string"].decode("latin-1")),
        headers.get("Accept", ""),
        headers.get("Content-Type", ""),
        body,
    )


def _base(scope: "Scope", headers: Headers) -> str:
    """Scheme and host as the caller knows them: a proxy's headers first, as in the Go server."""
    scheme = first_of_list(headers.get("X-Forwarded-Proto")) or scope["scheme"]
    host = (
        first_of_list(headers.get("X-Flyte-Host"))
        or first_of_list(headers.get("X-Forwarded-Host"))
        or headers.get("Host")
        or "{}:{}".format(*scope["server"])
    )
    return f"{scheme}://{host}"


def _other_method(method: str, methods: Methods) -> ApiResponse:
    allowed = ", ".join(sorted({*methods, "OPTIONS", *({"HEAD"} if "GET" in methods else ())}))
    if method == "OPTIONS":
        return ApiResponse(200, allow=allowed)
    refused = error_response(405, f"the method {method} is not allowed here, expected {allowed}")
    return ApiResponse(405, refused.body, refused.content_type, allow=allowed)


def _http_response(answer: ApiResponse) -> Response:
    response = Response(answer.body, answer.status)
    # flyte does not percent-encode its links, and an item's type is whatever its sender chose.
    response.raw_headers += list(_raw_headers(answer))
    return response


def _raw_headers(answer: ApiResponse) -> Iterator[tuple[bytes, bytes]]:
    fields: dict[bytes, Any] = {
        b"content-type": answer.content_type,
        b"location": answer.location,
        b"allow": answer.allow,
    }
    for name, value in fields.items():
        if value is not None:
            yield name, _CONTROLS.sub(" ", value).strip().encode()
