"""flyte's HTTP API as a Flask app.

Owns status codes, headers and media types; every handler is a few lines. Must not know SQL or the
rules of flows. The routes are those of ``openapi.OPERATIONS``.
"""

import logging
from collections.abc import Callable
from datetime import datetime
from html import escape
from typing import Any

from flask import Flask, Request, Response, request
from werkzeug.datastructures import Headers
from werkzeug.exceptions import HTTPException

from flyte_host.embedded import responses
from flyte_host.embedded.audit import Audit
from flyte_host.embedded.codec import (
    BadDocument,
    read_json,
    read_yaml,
    write_json,
    write_yaml,
)
from flyte_host.embedded.flow_runner import Engine, NotPending, Unknown
from flyte_host.embedded.flows import FlowInvalid, read_flow
from flyte_host.embedded.model import AuditFilter, DataItem
from flyte_host.embedded.openapi import OPERATIONS, document
from flyte_host.embedded.requests import read_event, read_pack
from flyte_host.embedded.store import Store
from flyte_host.origin import first_of_list
from flyte_host.response_headers import PROTECTIVE_HEADERS

log = logging.getLogger("flyte_host.embedded")

MAX_BODY_BYTES = 16 * 1024 * 1024
"""As large as documents in MongoDB, the Go server's store, can be."""
YAML = "application/x-yaml"
DEFAULT_ITEM_TYPE = "text/plain; charset=us-ascii"


class Answer(Response):
    """A response whose Location is sent as it is: flyte does not percent-encode its links."""

    location_as_is: str | None = None

    def get_wsgi_headers(self, environ: Any) -> Headers:
        headers = super().get_wsgi_headers(environ)
        if self.location_as_is is not None:
            headers["Location"] = _header(self.location_as_is)
        return headers


def _header(text: str) -> str:
    """``text`` on one line, in UTF-8: WSGI takes bytes of headers as Latin-1."""
    return text.replace("\r", " ").replace("\n", " ").encode().decode("latin-1")


def create_app(engine: Engine, store: Store, audit: Audit, now: Callable[[], datetime]) -> Flask:
    app = Flask("flyte_host.embedded", static_folder=None)
    app.config.update(MAX_CONTENT_LENGTH=MAX_BODY_BYTES, MAX_FORM_MEMORY_SIZE=MAX_BODY_BYTES)
    app.url_map.merge_slashes = False
    api = _Api(engine, store, audit, now)
    for operation in OPERATIONS:
        app.add_url_rule(
            operation.path.replace("{", "<").replace("}", ">"),
            endpoint=operation.name,
            view_func=getattr(api, operation.name),
            methods=[operation.method],
        )
    app.register_error_handler(Exception, _failed)
    app.after_request(_protected)
    return app


def _protected(answer: Response) -> Response:
    answer.headers.extend(PROTECTIVE_HEADERS)
    return answer


class _Api:
    """The handlers, named as the operations are; parameters are named as in the paths."""

    def __init__(
        self, engine: Engine, store: Store, audit: Audit, now: Callable[[], datetime]
    ) -> None:
        self._engine = engine
        self._store = store
        self._audit = audit
        self._now = now

    # -- info ------------------------------------------------------------------------------

    def index(self) -> Answer:
        return _document(responses.index(_base()))

    def v1(self) -> Answer:
        return _document(responses.v1(_base()))

    def health(self) -> Answer:
        self._store.ping()
        return _empty(200)

    def swagger(self) -> Answer:
        return _document(document(_base()))

    def page(self) -> Answer:
        rows = "".join(
            f"<tr><td>{it.method}</td><td>{escape(it.path)}</td><td>{escape(it.summary)}</td></tr>"
            for it in OPERATIONS
        )
        html = f"<!doctype html><title>flyte</title><h1>flyte</h1><table>{rows}</table>"
        return Answer(html, content_type="text/html; charset=utf-8")

    # -- packs -----------------------------------------------------------------------------

    def register_pack(self) -> Answer:
        pack = read_pack(_body(), self._now())
        self._engine.register(pack)
        answer = _document(responses.pack(_base(), pack, self._now()), status=201)
        # The Go server sets the status too early to name the type: clients have to live with it.
        answer.content_type = "text/plain; charset=utf-8"
        return _located(answer, "v1/packs", pack.sender.id)

    def list_packs(self) -> Answer:
        return _document(responses.packs(_base(), self._store.packs(), self._now()))

    def get_pack(self, packId: str) -> Answer:  # noqa: N803 (flyte's name)
        pack = _there(self._store.pack(packId), "pack", packId)
        return _document(responses.pack(_base(), pack, self._now()))

    def delete_pack(self, packId: str) -> Answer:  # noqa: N803
        _there(self._store.delete_pack(packId) or None, "pack", packId)
        return _empty(204)

    # -- events and actions ----------------------------------------------------------------

    def post_event(self, packId: str) -> Answer:  # noqa: N803
        sender = self._engine.see(packId)
        self._engine.event(read_event(_body(), sender, self._now()))
        return _empty(202)

    def take_action(self, packId: str) -> Answer:  # noqa: N803
        command = request.values.get("actionName") or request.values.get("commandName") or ""
        action = self._engine.take(self._engine.see(packId), command)
        return _document(responses.taken(_base(), packId, action)) if action else _empty(204)

    def post_result(self, packId: str, actionId: str) -> Answer:  # noqa: N803
        sender = self._engine.see(packId)
        self._engine.result(actionId, read_event(_body(), sender, self._now()))
        return _empty(202)

    # -- flows -----------------------------------------------------------------------------

    def put_flow(self) -> Answer:
        flow = read_flow(_body())
        self._engine.put_flow(flow)
        return _located(_empty(201), "v1/flows", flow.name)

    def list_flows(self) -> Answer:
        return _document(responses.flows(_base(), self._store.flows()))

    def get_flow(self, flowName: str) -> Answer:  # noqa: N803
        return _document(
            responses.flow(_base(), _there(self._store.flow(flowName), "flow", flowName))
        )

    def delete_flow(self, flowName: str) -> Answer:  # noqa: N803
        self._engine.delete_flow(flowName)
        return _empty(204)

    # -- datastore -------------------------------------------------------------------------

    def list_items(self) -> Answer:
        return _document(responses.items(_base(), self._store.items()))

    def get_item(self, key: str) -> Answer:
        content_type, value = _there(self._store.item(key), "datastore item", key)
        return Answer(value, content_type=_header(content_type))

    def put_item(self, key: str) -> Answer:
        file = request.files.get("value")
        value = file.read() if file and file.filename else b""
        if not file or not value:
            raise BadDocument(
                "expected multipart/form-data with a file part 'value' that is not empty"
            )
        content_type = file.headers.get("Content-Type") or DEFAULT_ITEM_TYPE
        item = DataItem(key, content_type, request.values.get("description", ""))
        new = self._store.put_item(item, value)
        return _located(_empty(201 if new else 204), "v1/datastore", key)

    def delete_item(self, key: str) -> Answer:
        _there(self._store.delete_item(key) or None, "datastore item", key)
        return _empty(204)

    # -- audit -----------------------------------------------------------------------------

    def list_executions(self) -> Answer:
        return _document(responses.executions(_base(), self._audit.find(_audit_filter(request))))

    def get_execution(self, correlationId: str) -> Answer:  # noqa: N803
        found = _there(self._audit.execution(correlationId), "execution", correlationId)
        return _document(responses.execution(_base(), found))


def _base() -> str:
    """Scheme and host as the caller knows them: a proxy's headers first, as the Go server."""
    headers, environ = request.headers, request.environ
    scheme = first_of_list(headers.get("X-Forwarded-Proto")) or environ["wsgi.url_scheme"]
    host = (
        first_of_list(headers.get("X-Flyte-Host"))
        or first_of_list(headers.get("X-Forwarded-Host"))
        or headers.get("Host")
        or f"{environ['SERVER_NAME']}:{environ['SERVER_PORT']}"
    )
    return f"{scheme}://{host}"


def _body() -> Any:
    data = request.get_data(cache=False)
    if request.headers.get("Content-Type") == YAML:
        return read_yaml(data)
    return read_json(data)


def _document(value: Any, status: int = 200) -> Answer:
    if request.headers.get("Accept") == YAML:
        return Answer(write_yaml(value), status, content_type=f"{YAML}; charset=utf-8")
    return Answer(write_json(value), status, content_type="application/json; charset=utf-8")


def _empty(status: int) -> Answer:
    answer = Answer(status=status)
    del answer.headers["Content-Type"]
    return answer


def _located(answer: Answer, *path: str) -> Answer:
    answer.location_as_is = responses.href(_base(), *path)
    return answer


def _there(found: Any, what: str, name: str) -> Any:
    if found is None:
        raise Unknown(f"no {what} {name!r}")
    return found


def _audit_filter(asked: Request) -> AuditFilter:
    return AuditFilter(
        flow_name=asked.args.get("flowName", ""),
        step_id=asked.args.get("stepId", ""),
        action_name=asked.args.get("actionName", ""),
        action_pack_name=asked.args.get("actionPackName", ""),
        action_pack_labels=_labels(asked.args.get("actionPackLabels", "")),
        start=_number(asked, "start", 0, at_least=0),
        limit=_number(asked, "limit", 50, at_least=1),
    )


def _labels(text: str) -> dict[str, str]:
    pairs = (part.partition(":") for part in text.split(","))
    return {key.strip(): value.strip() for key, colon, value in pairs if colon}


def _number(asked: Request, key: str, default: int, *, at_least: int) -> int:
    text = asked.args.get(key) or str(default)
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text) >= at_least):
        raise BadDocument(f"{key} is {text!r}, expected a number from {at_least} to 999999999")
    return int(text)


def _failed(error: Exception) -> Answer:
    """What went wrong as JSON with a status; anything unforeseen is logged."""
    if isinstance(error, FlowInvalid):
        return _error(400, str(error))
    if isinstance(error, BadDocument):
        return _error(400, str(error))
    if isinstance(error, Unknown):
        return _error(404, str(error))
    if isinstance(error, NotPending):
        # Clients tell "done already" by this very code.
        return _error(500, str(error))
    if isinstance(error, HTTPException) and error.code:
        answer = _error(error.code, error.description or error.name)
        answer.headers.extend((k, v) for k, v in error.get_headers() if k == "Allow")
        return answer
    log.error("%s %s failed", request.method, request.path, exc_info=error)
    return _error(500, f"internal error: {type(error).__name__}")


def _error(status: int, text: str) -> Answer:
    return Answer(
        write_json({"error": text}), status, content_type="application/json; charset=utf-8"
    )
