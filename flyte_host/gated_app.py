"""A WSGI application behind a gate: what may not pass never reaches it.

Owns the answers 400, 403 and 421, and that the log tells of each kind of refusal once.
"""

import json
import logging
import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING

from flyte_host.gate import Gate, Refusal, RequestSource
from flyte_host.origin import first_of_list
from flyte_host.response_headers import PROTECTIVE_HEADERS
from flyte_host.text import escape_controls

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

log = logging.getLogger(__name__)

MOST_LOGGED = 100
"""So many different refusals are logged; whoever can make up names could fill the log else."""
_STATUS = {400: "400 Bad Request", 403: "403 Forbidden", 421: "421 Misdirected Request"}


class GatedApp:
    """Hands to ``app`` what ``gate`` lets pass; ``name`` is the server's in the log."""

    def __init__(self, app: "WSGIApplication", gate: Gate, *, name: str) -> None:
        self._app = app
        self._gate = gate
        self._name = name
        self._logged: set[str] = set()
        self._logging = threading.Lock()

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        refusal = self._gate.refusal(_source(environ))
        if refusal is None:
            return self._app(environ, start_response)
        self._log(refusal, str(environ.get("REMOTE_ADDR", "")))
        return _answer(refusal, environ, start_response)

    def _log(self, refusal: Refusal, address: str) -> None:
        with self._logging:
            if refusal.sentence in self._logged or len(self._logged) > MOST_LOGGED:
                return
            self._logged.add(refusal.sentence)
            last = len(self._logged) > MOST_LOGGED
        if last:
            log.warning("%s: refused many different requests; no more are logged", self._name)
        else:
            log.warning(
                "%s: refused a request from %s: %s",
                self._name,
                escape_controls(address),
                refusal.sentence,
            )


def _source(environ: "WSGIEnvironment") -> RequestSource:
    forwarded = first_of_list(environ.get("HTTP_X_FORWARDED_PROTO")).lower()
    return RequestSource(
        scheme=forwarded or environ["wsgi.url_scheme"],
        version=environ["SERVER_PROTOCOL"],
        host=environ.get("HTTP_HOST"),
        origin=environ.get("HTTP_ORIGIN"),
        site=environ.get("HTTP_SEC_FETCH_SITE"),
    )


def _answer(
    refusal: Refusal, environ: "WSGIEnvironment", start_response: "StartResponse"
) -> Iterable[bytes]:
    body = json.dumps({"error": refusal.sentence}).encode()
    start_response(
        _STATUS[refusal.status],
        [
            ("Content-Type", "application/json; charset=utf-8"),
            ("Content-Length", str(len(body))),
            ("Cache-Control", "no-store"),
            *PROTECTIVE_HEADERS,
        ],
    )
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]
