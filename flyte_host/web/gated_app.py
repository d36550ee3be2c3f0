"""An ASGI application behind a gate: a refused request never reaches it.

Owns the answers 400, 403 and 421, logs each kind of refusal once, and sets the headers that keep a
browser from misinterpreting an answer.
"""

import json
import logging
from typing import TYPE_CHECKING

from starlette.datastructures import MutableHeaders
from starlette.responses import Response

from flyte_host.origin import first_of_list
from flyte_host.text import escape_controls
from flyte_host.web.gate import Gate, Refusal, RequestSource

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger(__name__)

MOST_LOGGED = 100
"""How many different refusals are logged: a client that makes up names could fill the log."""

PROTECTIVE_HEADERS = {
    # Text stays text, however much it looks like HTML or a script.
    "X-Content-Type-Options": "nosniff",
    # A page runs no script, sends no form, loads nothing, belongs to no site, is in no frame.
    "Content-Security-Policy": "sandbox; default-src 'none'; frame-ancestors 'none'",
    # Pages of other sites cannot load an answer as a script, an image or a style.
    "Cross-Origin-Resource-Policy": "same-origin",
    # Sites that a page links to do not learn the ids in its address.
    "Referrer-Policy": "no-referrer",
}
"""On every answer, unless it has its own.

A datastore item has the bytes and the content type that its sender chose. Without these headers, it
could run scripts with the rights of this server's own pages.
"""


class GatedApp:
    """Passes to ``app`` what ``gate`` allows; ``name`` is the server's name in the log."""

    def __init__(self, app: "ASGIApp", gate: Gate, *, name: str) -> None:
        self._app = app
        self._gate = gate
        self._name = name
        self._logged: set[str] = set()

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        async def protect(message: "Message") -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in PROTECTIVE_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        refusal = self._refusal(scope)
        if refusal is None:
            await self._app(scope, receive, protect)
            return
        self._log(refusal, scope)
        await _answer(refusal)(scope, receive, protect)

    def _refusal(self, scope: "Scope") -> Refusal | None:
        hosts = _values(scope, b"host")
        if len(hosts) > 1:
            return Refusal(400, f"found {len(hosts)} Host headers, expected one")
        return self._gate.refusal(_source(scope, hosts))

    def _log(self, refusal: Refusal, scope: "Scope") -> None:
        if refusal.sentence in self._logged or len(self._logged) > MOST_LOGGED:
            return
        self._logged.add(refusal.sentence)
        if len(self._logged) > MOST_LOGGED:
            log.warning("%s: refused many different requests; no more are logged", self._name)
            return
        log.warning(
            "%s: refused a request from %s: %s",
            self._name,
            escape_controls(scope["client"][0] if scope["client"] else "an unknown address"),
            refusal.sentence,
        )


def _values(scope: "Scope", name: bytes) -> list[str]:
    return [value.decode("latin-1") for each, value in scope["headers"] if each == name]


def _source(scope: "Scope", hosts: list[str]) -> RequestSource:
    forwarded = _values(scope, b"x-forwarded-proto")
    return RequestSource(
        scheme=first_of_list(forwarded[0] if forwarded else "").lower() or scope["scheme"],
        version=f"HTTP/{scope['http_version']}",
        host=next(iter(hosts), None),
        # If several differ, at least one is a lie, so none of them counts as ours.
        origin=", ".join(_values(scope, b"origin")) or None,
        site=", ".join(_values(scope, b"sec-fetch-site")) or None,
    )


def _answer(refusal: Refusal) -> Response:
    return Response(
        json.dumps({"error": refusal.sentence}),
        refusal.status,
        {"Cache-Control": "no-store"},
        "application/json; charset=utf-8",
    )
