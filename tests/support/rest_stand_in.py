"""Stand-ins for services in tests of packs: real HTTP on a free port of this machine."""

import base64
import json
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from ssl import SSLContext
from typing import Any, Self
from urllib.parse import parse_qsl, unquote
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server


@dataclass(frozen=True)
class RestRequest:
    """A request as it arrived; ``raw_path`` still has its escapes."""

    method: str
    raw_path: str
    query: dict[str, str]
    headers: dict[str, str]
    content: bytes

    @property
    def segments(self) -> list[str]:
        return [unquote(each) for each in self.raw_path.split("/")[1:]]

    @property
    def body(self) -> Any:
        return json.loads(self.content) if self.content else None


@dataclass(frozen=True)
class RestReply:
    """An answer; ``body`` is JSON unless it is bytes."""

    status: int
    body: Any = b""
    headers: tuple[tuple[str, str], ...] = ()


@dataclass
class RestStandIn:
    """Answers by ``answer``; ``next_replies`` go before that. Use as a context manager."""

    answer: Callable[[RestRequest], RestReply]
    tls: SSLContext | None = None
    requests: list[RestRequest] = field(default_factory=list)
    next_replies: list[RestReply] = field(default_factory=list)
    url: str = ""

    def __enter__(self) -> Self:
        self._server = make_server("127.0.0.1", 0, self._serve, WSGIServer, _QuietHandler)
        if self.tls is not None:
            self._server.socket = self.tls.wrap_socket(self._server.socket, server_side=True)
        self.url = f"http{'s' if self.tls else ''}://localhost:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _serve(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        request = _request(environ)
        self.requests.append(request)
        reply = self.next_replies.pop(0) if self.next_replies else self.answer(request)
        content = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
        headers = [("Content-Length", str(len(content))), *reply.headers]
        start(f"{reply.status} as told", headers)
        return [content] if reply.status != 204 else []


class _QuietHandler(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        pass

    def get_environ(self) -> dict[str, Any]:
        return super().get_environ() | {"RAW_PATH": self.path.partition("?")[0]}


def _request(environ: dict[str, Any]) -> RestRequest:
    length = int(environ.get("CONTENT_LENGTH") or 0)
    headers = {
        name.removeprefix("HTTP_").replace("_", "-").lower(): value
        for name, value in environ.items()
        if name.startswith("HTTP_") or name == "CONTENT_TYPE"
    }
    return RestRequest(
        environ["REQUEST_METHOD"],
        environ["RAW_PATH"],
        dict(parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True)),
        headers,
        environ["wsgi.input"].read(length) if length else b"",
    )


def basic(user: str, password: str) -> str:
    """The header by which a user logs in."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
