"""Requests to an ASGI application, without a server.

They share one loop, as those to a server do: a loop for each would begin and end two threads.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from http import HTTPStatus
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote_from_bytes

T = TypeVar("T")

THREADS = 40
"""More than a server has: as many callers as a test likes are answered at once."""


class AsgiAnswer(NamedTuple):
    """What the application sent, with the names of headers as ``Content-Type``."""

    status: int
    headers: dict[str, str]
    body: bytes


def ask_app(app: Any, path: str, method: str = "GET", **request: Any) -> AsgiAnswer:
    """What :func:`answer_of` gives, for callers without a loop."""
    return _run(answer_of(app, path, method, **request))


async def answer_of(
    app: Any,
    path: str,
    method: str = "GET",
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
) -> AsgiAnswer:
    """The whole answer to one whole request, on the loop that runs."""
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
    start, answered = await _whole_answer(app, scope, body)
    told = {name.decode().title(): value.decode("latin-1") for name, value in start["headers"]}
    return AsgiAnswer(start["status"], told, answered)


async def _whole_answer(app: Any, scope: Mapping[str, Any], body: bytes) -> tuple[Any, bytes]:
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    start, *parts = sent
    answered = b"".join(part.get("body", b"") for part in parts)
    return start, b"" if scope["method"] == "HEAD" else answered


def as_wsgi(app: Any) -> Callable[..., Iterable[bytes]]:
    """The application as one of WSGI, for clients that only know that."""

    def wsgi(environ: Mapping[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ["PATH_INFO"].encode("latin-1")
        scope = {
            "type": "http",
            "http_version": "1.1",
            "scheme": environ["wsgi.url_scheme"],
            "method": environ["REQUEST_METHOD"],
            "path": path.decode(errors="replace"),
            "raw_path": quote_from_bytes(path).encode(),
            "query_string": environ.get("QUERY_STRING", "").encode("latin-1"),
            "headers": list(_headers_of(environ)),
            "client": ("127.0.0.1", 40_000),
            "server": (environ["SERVER_NAME"], int(environ["SERVER_PORT"])),
        }
        length = int(environ.get("CONTENT_LENGTH") or 0)
        request = environ["wsgi.input"].read(length)
        start, body = _run(_whole_answer(app, scope, request))
        headers = [(n.decode().title(), v.decode("latin-1")) for n, v in start["headers"]]
        start_response(f"{start['status']} {HTTPStatus(start['status']).phrase}", headers)
        return [body]

    return wsgi


def _run(answer: Coroutine[Any, Any, T]) -> T:
    return asyncio.run_coroutine_threadsafe(answer, _loop()).result()


@cache
def _loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    loop.set_default_executor(ThreadPoolExecutor(THREADS, "asgi"))
    threading.Thread(target=loop.run_forever, name="asgi", daemon=True).start()
    return loop


def _headers_of(environ: Mapping[str, Any]) -> Iterable[tuple[bytes, bytes]]:
    for key, value in environ.items():
        name = key.removeprefix("HTTP_")
        if name != key or (key in {"CONTENT_TYPE", "CONTENT_LENGTH"} and value):
            yield name.replace("_", "-").lower().encode(), value.encode("latin-1")
