"""A small Slack for tests, written from its documentation: the Web API and socket mode.

It has forms and JSON, ``ok`` and ``error``, 429 with Retry-After, pages by cursor, uploads in three
steps, and envelopes that it sends again, on another connection, until they are acknowledged.
"""

import json
import sys
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import Server, ServerConnection, serve

TOKEN, APP_TOKEN = "xoxb-t0ken", "xapp-t0ken"
BOT = {"user_id": "UBOT", "bot_id": "BBOT", "user": "flyte", "team": "Example"}
ANN = {
    "id": "UANN",
    "name": "ann",
    "profile": {
        "email": "ann@example.com",
        "title": "Ops",
        "first_name": "Ann",
        "last_name": "Lee",
    },
}
GENERAL = {"id": "C1", "name": "general", "topic": {"value": "Everything"}}


@dataclass(frozen=True)
class SlackCall:
    """A call of the Web API as it arrived."""

    method: str
    token: str
    content_type: str
    arguments: dict[str, Any]


@dataclass
class SlackEnvelope:
    """An event that Slack sends until it is acknowledged."""

    envelope_id: str
    kind: str
    payload: dict[str, Any]
    tries: int = 0

    def text(self) -> str:
        document = {
            "envelope_id": self.envelope_id,
            "type": self.kind,
            "payload": self.payload,
            "accepts_response_payload": self.kind != "events_api",
        }
        if self.kind == "events_api":
            document |= {"retry_attempt": self.tries - 1, "retry_reason": ""}
        return json.dumps(document)


@dataclass
class SlackStandIn:
    """Channels, users and messages, and what was called; use as a context manager."""

    channels: list[dict[str, Any]] = field(default_factory=lambda: [dict(GENERAL)])
    users: dict[str, Any] = field(default_factory=lambda: {"UANN": ANN, "UBOT": {"id": "UBOT"}})
    posted: list[dict[str, Any]] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    reactions: set[tuple[str, str, str]] = field(default_factory=set)
    calls: list[SlackCall] = field(default_factory=list)
    refused: dict[str, int] = field(default_factory=dict)
    """How many of the next calls of a method are answered with 429, by its name."""
    retry_after: str | None = "1"
    raw: dict[str, Callable[["_ApiHandler"], None]] = field(default_factory=dict)
    """Answers that come before the real ones, by method."""
    upload: Callable[["_ApiHandler"], None] | None = None
    """What answers an upload, if it is not the real one."""
    uploads: int = 0
    errors: dict[str, str] = field(default_factory=dict)
    page_size: int = 1000
    limit_each: int = 0
    """How many messages a channel takes before it wants a pause; 0: any number."""

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[str, SlackEnvelope] = {}
        self._sockets: list[ServerConnection] = []
        self._changed = threading.Condition(self._lock)
        self._numbers = iter(range(1, 10**9))
        self._tickets: deque[str] = deque()
        self.acknowledged: list[str] = []
        self.connections = 0
        self.stopping = threading.Event()

    # Its life ----------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        stand_in = self

        class Handler(_ApiHandler):
            slack = stand_in

        self._http = _ApiServer(("127.0.0.1", 0), Handler)
        self._websocket: Server = serve(self._connected, "127.0.0.1", 0)
        self._threads = [
            threading.Thread(target=self._http.serve_forever, args=(0.01,)),
            threading.Thread(target=self._websocket.serve_forever),
        ]
        for each in self._threads:
            each.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        self.drop()
        self._http.shutdown()
        self._websocket.shutdown()
        for each in self._threads:
            each.join()
        self._http.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}/api/"

    def ticket(self) -> str:
        host, port = self._websocket.socket.getsockname()[:2]
        name = f"ticket-{next(self._numbers)}"
        self._tickets.append(name)
        return f"ws://{host}:{port}/link/?ticket={name}"

    # Socket mode -------------------------------------------------------------------------------

    def tell(self, kind: str, payload: dict[str, Any]) -> str:
        """Send an envelope; its id."""
        with self._lock:
            envelope = SlackEnvelope(f"envelope-{next(self._numbers)}", kind, payload)
            self._waiting[envelope.envelope_id] = envelope
            self._send(envelope)
        return envelope.envelope_id

    def tell_event(self, event: dict[str, Any], event_id: str = "") -> str:
        event_id = event_id or f"Ev{next(self._numbers)}"
        payload = {"type": "event_callback", "event_id": event_id, "event": event}
        return self.tell("events_api", payload)

    def tell_again(self) -> None:
        """Send all that was not acknowledged once more, each event in another envelope."""
        with self._lock:
            for envelope in list(self._waiting.values()):
                self._send(envelope)

    def say(self, text: str) -> None:
        """Send any text on all connections."""
        with self._lock:
            for each in self._sockets:
                each.send(text)

    def drop(self) -> None:
        """Cut all connections without a farewell."""
        with self._lock:
            for each in self._sockets:
                with suppress(OSError):
                    each.socket.shutdown(2)
            self._sockets.clear()

    def ask_to_renew(self) -> None:
        """What Slack does before it ends a connection."""
        self.say(json.dumps({"type": "disconnect", "reason": "refresh_requested"}))

    def close_politely(self) -> None:
        with self._lock:
            found = list(self._sockets)
        for each in found:
            each.close()

    @property
    def connected(self) -> int:
        with self._lock:
            return len(self._sockets)

    @property
    def waiting(self) -> int:
        """How many envelopes are not acknowledged."""
        with self._lock:
            return len(self._waiting)

    def _send(self, envelope: SlackEnvelope) -> None:
        if self._sockets:
            envelope.tries += 1
            with suppress(ConnectionClosed, OSError):
                self._sockets[-1].send(envelope.text())

    def _connected(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        ticket = connection.request.path.rpartition("=")[2]
        if ticket not in self._tickets:  # good for one connection
            return
        self._tickets.remove(ticket)
        connection.send(json.dumps({"type": "hello", "num_connections": 1}))
        with self._lock:
            self.connections += 1
            self._sockets.append(connection)
            for envelope in self._waiting.values():
                self._send(envelope)
        with suppress(ConnectionClosed):
            for message in connection:
                self._acknowledge(json.loads(message)["envelope_id"])
        with self._lock:
            if connection in self._sockets:
                self._sockets.remove(connection)

    def _acknowledge(self, envelope_id: str) -> None:
        with self._lock:
            self._waiting.pop(envelope_id, None)
            self.acknowledged.append(envelope_id)

    # The Web API -------------------------------------------------------------------------------

    def answer(self, call: SlackCall) -> dict[str, Any]:
        wanted = APP_TOKEN if call.method == "apps.connections.open" else TOKEN
        if call.token != wanted:
            return {"ok": False, "error": "invalid_auth"}
        if call.method in self.errors:
            return {"ok": False, "error": self.errors[call.method]}
        answer = getattr(self, "on_" + call.method.replace(".", "_"), None)
        if answer is None:
            return {"ok": False, "error": "unknown_method"}
        with self._lock:
            found: dict[str, Any] = answer(call.arguments)
        return {"ok": "error" not in found} | found

    def is_refused(self, call: SlackCall) -> bool:
        """Whether it is one call too many."""
        with self._lock:
            left = self.refused.get(call.method, 0)
            if left > 0:
                self.refused[call.method] = left - 1
            return left > 0

    def on_auth_test(self, _: dict[str, Any]) -> dict[str, Any]:
        return dict(BOT)

    def on_apps_connections_open(self, _: dict[str, Any]) -> dict[str, Any]:
        return {"url": self.ticket()}

    def on_users_info(self, arguments: dict[str, Any]) -> dict[str, Any]:
        user = self.users.get(arguments["user"])
        return {"user": user} if user else {"error": "user_not_found"}

    def on_conversations_list(self, arguments: dict[str, Any]) -> dict[str, Any]:
        start = int(arguments.get("cursor") or 0)
        size = min(self.page_size, int(arguments["limit"]))
        types = arguments.get("types", "public_channel").split(",")
        found = [each for each in self.channels if each.get("type", "public_channel") in types]
        following = str(start + size) if start + size < len(found) else ""
        page = found[start : start + size]
        return {"channels": page, "response_metadata": {"next_cursor": following}}

    def on_chat_postMessage(self, arguments: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        if arguments["channel"] not in {each["id"] for each in self.channels}:
            return {"error": "channel_not_found"}
        if not (arguments.get("text") or arguments.get("attachments") or arguments.get("blocks")):
            return {"error": "no_text"}
        self.posted.append(arguments)
        return {"channel": arguments["channel"], "ts": f"1700000000.{len(self.posted):06d}"}

    def on_chat_postEphemeral(self, arguments: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        if arguments["user"] not in self.users:
            return {"error": "user_not_in_channel"}
        self.posted.append(arguments)
        return {"message_ts": "1700000000.000001"}

    def on_reactions_add(self, arguments: dict[str, Any]) -> dict[str, Any]:
        if not arguments["name"]:
            return {"error": "invalid_name"}
        key = (arguments["channel"], arguments["timestamp"], arguments["name"])
        if key in self.reactions:
            return {"error": "already_reacted"}
        self.reactions.add(key)
        return {}

    def on_files_getUploadURLExternal(self, arguments: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        file_id = f"F{next(self._numbers)}"
        self.files[file_id] = b""
        return {"upload_url": f"{self.url}upload/{file_id}", "file_id": file_id}

    def on_files_completeUploadExternal(self, arguments: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        found = json.loads(arguments["files"])
        self.posted.append(arguments | {"files": found})
        return {"files": found}


class _ApiServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Some tests are about clients that go away; show any other error."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _ApiHandler(BaseHTTPRequestHandler):
    slack: SlackStandIn
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        method = self.path.removeprefix("/api/")
        if method.startswith("upload/"):
            self._take_file(method.removeprefix("upload/"), content)
            return
        call = self._call(method, content)
        self.slack.calls.append(call)
        if method in self.slack.raw:
            self.slack.raw[method](self)
        elif self.slack.is_refused(call):
            self._refuse()
        else:
            answer = json.dumps(self.slack.answer(call)).encode()
            self.say(200, answer, "application/json; charset=utf-8")

    def _take_file(self, file_id: str, content: bytes) -> None:
        self.slack.uploads += 1
        if self.slack.upload is not None:
            self.slack.upload(self)
            return
        self.slack.files[file_id] = content
        self.say(200, b"OK - 1", "text/plain")

    do_GET = do_POST  # noqa: N815  what a redirect makes of it

    def _call(self, method: str, content: bytes) -> SlackCall:
        kind = self.headers.get("Content-Type", "").split(";")[0]
        # Up to 3.47, Slack's SDK calls its forms JSON as well, and Slack takes them.
        is_json = kind == "application/json" and content.startswith(b"{")
        arguments = json.loads(content) if is_json else dict(parse_qsl(content.decode()))
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        return SlackCall(method, token, kind, arguments)

    def _refuse(self) -> None:
        after = self.slack.retry_after
        headers = {"Retry-After": after} if after is not None else {}
        answer = json.dumps({"ok": False, "error": "ratelimited"}).encode()
        self.say(429, answer, "application/json", headers)

    def say(
        self, status: int, content: bytes, kind: str, headers: dict[str, str] | None = None
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Connection", "close")
        self.close_connection = True
        self.end_headers()
        self.wfile.write(content)
