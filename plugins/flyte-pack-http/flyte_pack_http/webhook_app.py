"""The listener's answers: which webhook a request is, and what happens to it.

Owns the order in which a request is checked: path, method, signature, replay, content, journal.
Only what is in the journal is answered with 200.
"""

import asyncio
import json
import logging
import sqlite3
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response

from flyte_host import Event, EventDef, continue_trace
from flyte_host.web.gate import Gate
from flyte_host.web.gated_app import GatedApp
from flyte_pack_http.replay_memory import InProgress, ReplayMemory
from flyte_pack_http.settings import HttpSettings, WebhookEntry
from flyte_pack_http.webhook_counts import WebhookCounts
from flyte_pack_http.webhook_payload import EVENT_NAMES, payload_of
from flyte_pack_http.webhook_request import WebhookRefused, WebhookRequest
from flyte_pack_http.webhook_signature import SignedTime, verify

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

log = logging.getLogger(__name__)

ANSWER_SECONDS = 8.0
"""Senders give up after about ten; what takes longer has to be sent again."""

_RETRY_SECONDS = 30


def event_def(entry: WebhookEntry) -> EventDef:
    """The event that a webhook raises."""
    return EventDef(entry.event or EVENT_NAMES.get(entry.kind, "Webhook"))


class WebhookApp:
    """An ASGI application; ``emit`` returns when the event is in the journal.

    ``now`` is the time of day.
    """

    def __init__(
        self,
        settings: HttpSettings,
        now: Callable[[], float],
        memory: ReplayMemory,
        emit: Callable[[Event], None],
        counts: WebhookCounts,
    ) -> None:
        self._hooks = {each.path: (name, each) for name, each in settings.webhooks.items()}
        self._time = SignedTime(now, settings.replay_window_seconds)
        self._memory = memory
        self._emit = emit
        self._counts = counts
        # Without a secret, only the names in a request tell a sender from somebody's browser.
        gate = Gate(settings.address()[0], settings.hosts, hosts_key="hosts")
        self._gated = GatedApp(self._answer, gate, name="webhooks")

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        _, entry = self._hooks.get(scope["path"], ("", None))
        is_open = entry is not None and entry.kind == "open"
        await (self._gated if is_open else self._answer)(scope, receive, send)

    async def _answer(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        name, entry = self._hooks.get(scope["path"], ("", None))
        try:
            answer = await self._received(name, entry, scope, receive)
        except WebhookRefused as refused:
            self._counts.refuse(name, refused.reason)
            answer = _refusal(refused)
        except ClientDisconnect:
            return
        await answer(scope, receive, send)

    async def _received(
        self, name: str, entry: WebhookEntry | None, scope: "Scope", receive: "Receive"
    ) -> Response:
        if entry is None:
            raise WebhookRefused(404, "no webhook at this path")
        if scope["method"] != "POST":
            raise WebhookRefused(405, "expected the method POST")
        body = await Request(scope, receive).body()
        query = scope["query_string"].decode("latin-1")
        request = WebhookRequest(scope["headers"], body, query)
        digest = verify(entry, request, self._time)
        taking = asyncio.to_thread(self._take, name, entry, request, digest)
        try:
            return await asyncio.wait_for(taking, ANSWER_SECONDS)
        except TimeoutError:
            raise WebhookRefused(503, "the journal takes too long") from None

    def _take(
        self, name: str, entry: WebhookEntry, request: WebhookRequest, digest: bytes
    ) -> Response:
        challenge = _challenge(entry, request)
        if challenge is not None:
            return PlainTextResponse(challenge)
        event = event_def(entry)(payload_of(entry.kind, name, request))
        try:
            if digest and not self._memory.claim(digest):
                self._counts.refuse(name, "it was received before")
                return _json(200, {"result": "duplicate"})
        except InProgress:
            raise WebhookRefused(503, "the same is being received right now") from None
        except sqlite3.Error as cause:
            raise WebhookRefused(503, f"the memory of webhooks fails: {cause}") from cause
        with continue_trace(request.fields()):
            self._raise(event, digest)
        self._counts.accept()
        is_command = entry.kind == "slack"  # Slack shows people what it is answered
        return Response() if is_command else _json(200, {"result": "accepted"})

    def _raise(self, event: Event, digest: bytes) -> None:
        try:
            self._emit(event)
        except ValueError as cause:
            self._memory.release(digest)
            raise WebhookRefused(413, f"{cause}") from cause
        except Exception as cause:
            self._memory.release(digest)
            log.exception("cannot write the event of a webhook to the journal")
            raise WebhookRefused(503, "the journal cannot be written") from cause
        if digest:
            self._keep(digest)

    def _keep(self, digest: bytes) -> None:
        try:
            self._memory.keep(digest)
        except sqlite3.Error:  # the event is in the journal: that counts
            self._memory.release(digest)
            log.exception("cannot remember a webhook; it would be taken a second time")


def _challenge(entry: WebhookEntry, request: WebhookRequest) -> str | None:
    """What Slack asks once, when it learns the URL."""
    if entry.kind != "slack" or request.content_type != "application/json":
        return None
    document = request.document()
    if document.get("type") != "url_verification":
        return None
    return str(document.get("challenge", ""))


def _refusal(refused: WebhookRefused) -> Response:
    headers = {"Connection": "close"} if refused.status in {404, 405} else {}
    if refused.status == 405:
        headers["Allow"] = "POST"
    if refused.status == 503:
        headers["Retry-After"] = f"{_RETRY_SECONDS}"
    return _json(refused.status, {"error": refused.reason}, headers)


def _json(
    status: int, document: Mapping[str, str], headers: Mapping[str, str] | None = None
) -> Response:
    content = json.dumps(document)
    return Response(content, status, dict(headers or {}), "application/json; charset=utf-8")
