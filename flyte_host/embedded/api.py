"""flyte's HTTP API: requests in, responses out, independent of any web framework.

Owns status codes and headers; every handler is a few lines, and has the name of its operation. Must
not know SQL or the rules of flows.
"""

import logging
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from threading import Lock
from typing import Any, TypeVar
from urllib.parse import quote

from flyte_host.clock import Clock
from flyte_host.embedded import responses
from flyte_host.embedded.api_request import ApiRequest
from flyte_host.embedded.api_response import (
    ApiResponse,
    HeldAnswer,
    document_response,
    error_response,
)
from flyte_host.embedded.audit import Audit
from flyte_host.embedded.audit_query import read_audit_query
from flyte_host.embedded.codec import BadDocument
from flyte_host.embedded.datastore import Datastore
from flyte_host.embedded.flow_reader import FlowInvalid, read_flow
from flyte_host.embedded.flow_runner import FlowRunner, NotFound, NotPending
from flyte_host.embedded.model import DataItem, GivenEvent, TakenAction, with_lists
from flyte_host.embedded.names import why_unaddressable
from flyte_host.embedded.openapi import openapi_document
from flyte_host.embedded.operations import OPERATIONS, Operation
from flyte_host.embedded.requests import read_event, read_pack, read_watch
from flyte_host.embedded.store import Store
from flyte_host.embedded.waiting_board import News, WaitingBoard
from flyte_host.errors import StoreAway
from flyte_host.text import escape_html

log = logging.getLogger("flyte_host.embedded")

AUDIT_TAG = "flowExecs"
LARGE_BYTES = 1_000_000
DEFAULT_ITEM_TYPE = "text/plain; charset=us-ascii"

_T = TypeVar("_T")


class Api:
    """The handlers; each takes the request, then the parameters of its path."""

    def __init__(
        self,
        runner: FlowRunner,
        store: Store,
        datastore: Datastore,
        audit: Audit,
        board: WaitingBoard,
        *,
        clock: Clock,
    ) -> None:
        self._runner = runner
        self._store = store
        self._datastore = datastore
        self._audit = audit
        self._board = board
        self._now = clock.now
        self._large = Lock()
        self._auditing = Lock()

    def answer(self, operation: Operation, request: ApiRequest, *parameters: str) -> ApiResponse:
        """Carry out ``operation``; never raises."""
        # One at a time: in parallel they would take more memory and save no time.
        with self._turn(operation, request):
            return self._answer(operation, request, *parameters)

    def _turn(self, operation: Operation, request: ApiRequest) -> AbstractContextManager[Any]:
        """The lock to wait for: large bodies take turns, and so do pages of the audit."""
        if request.weight() >= LARGE_BYTES:
            return self._large
        return self._auditing if operation.tag == AUDIT_TAG else nullcontext()

    def _answer(self, operation: Operation, request: ApiRequest, *parameters: str) -> ApiResponse:
        try:
            response: ApiResponse = getattr(self, operation.name)(request, *parameters)
        except (BadDocument, FlowInvalid) as error:
            return error_response(400, str(error))
        except NotFound as error:
            return error_response(404, str(error))
        except NotPending as error:
            # Clients recognise "already done" by exactly this code.
            return replace(error_response(500, str(error)), action_state=error.state)
        except StoreAway as error:
            return error_response(503, str(error))
        except Exception as error:
            log.exception(
                "internal error in %s %s (please report this)", operation.method, operation.path
            )
            return error_response(500, f"internal error: {type(error).__name__}")
        return response

    # -- info ------------------------------------------------------------------------------

    def index(self, request: ApiRequest) -> ApiResponse:
        return document_response(request, responses.index(request.base))

    def v1(self, request: ApiRequest) -> ApiResponse:
        return document_response(request, responses.v1(request.base))

    def health(self, _: ApiRequest) -> ApiResponse:
        self._store.ping()
        return ApiResponse(200)

    def swagger(self, request: ApiRequest) -> ApiResponse:
        return document_response(request, openapi_document(request.base))

    def page(self, _: ApiRequest) -> ApiResponse:
        rows = "".join(
            f"<tr><td>{it.method}</td><td>{escape_html(it.path)}</td>"
            f"<td>{escape_html(it.summary)}</td></tr>"
            for it in OPERATIONS
        )
        html = f"<!doctype html><title>flyte</title><h1>flyte</h1><table>{rows}</table>"
        return ApiResponse(200, html.encode(), "text/html; charset=utf-8")

    # -- packs -----------------------------------------------------------------------------

    def register_pack(self, request: ApiRequest) -> ApiResponse:
        pack = read_pack(request.document(), self._now())
        self._runner.register(pack)
        shown = document_response(request, responses.pack(request.base, pack, self._now()))
        # The Go server sets the status before it sets the type, so clients expect this type.
        text = "text/plain; charset=utf-8"
        where = responses.href(request.base, "v1/packs", pack.sender.id)
        # Our own link goes in a header: the body must equal Go's, byte for byte.
        link = f'<{request.base}/v1/waiting>; rel="{request.base}/swagger#!/pack/waiting"'
        return ApiResponse(201, shown.body, text, where, link=link)

    def list_packs(self, request: ApiRequest) -> ApiResponse:
        packs = self._store.packs.all()
        return document_response(request, responses.packs(request.base, packs, self._now()))

    def get_pack(self, request: ApiRequest, pack_id: str) -> ApiResponse:
        pack = with_lists(_known(self._store.packs.get(pack_id), "pack", pack_id))
        return document_response(request, responses.pack(request.base, pack, self._now()))

    def delete_pack(self, _: ApiRequest, pack_id: str) -> ApiResponse:
        self._runner.delete_pack(pack_id)
        return ApiResponse(204)

    # -- events and actions ----------------------------------------------------------------

    def post_event(self, request: ApiRequest, pack_id: str) -> ApiResponse:
        self._runner.event(pack_id, self._event(request, pack_id))
        return ApiResponse(202)

    def _event(self, request: ApiRequest, pack_id: str) -> GivenEvent:
        """The event or result in the body; NotFound comes before BadDocument."""
        try:
            return read_event(request.document(), self._now(), request.trace)
        except BadDocument:
            self._runner.see(pack_id)
            raise

    def take_action(self, request: ApiRequest, pack_id: str) -> ApiResponse:
        command = request.field(request.form(), "actionName", "commandName")
        action = self._runner.take(pack_id, command)
        if action is None:
            return ApiResponse(204)
        answer = document_response(request, responses.taken(request.base, pack_id, action))
        return replace(answer, step=_step_of(action), trace=action.trace)

    def take_at_once(self, pack_id: str) -> ApiResponse | None:
        """The answer to a take that finds nothing, if that is known without waiting."""
        return ApiResponse(204) if self._runner.finds_nothing(pack_id) else None

    def wait_for_actions(self, request: ApiRequest) -> ApiResponse:
        """What waits now; a web server may hold back an empty answer."""
        watch = read_watch(request.body)
        news = self._board.news(watch)
        if watch.is_check:
            # Report packs that flyte does not know too, so that they register.
            news = News(news.cursor, [*news.waiting, *self._runner.see_all(watch.packs)])
        answer = partial(_tell, replace(request, body=b""))
        # The first answer comes at once; later ones wait for news.
        if news.waiting or not watch.cursor:
            return answer(news)
        told = watch._replace(cursor=news.cursor, is_check=False)
        return replace(answer(news), held=HeldAnswer(told, answer))

    def post_result(self, request: ApiRequest, pack_id: str, action_id: str) -> ApiResponse:
        self._runner.result(pack_id, action_id, self._event(request, pack_id))
        return ApiResponse(202)

    # -- flows -----------------------------------------------------------------------------

    def put_flow(self, request: ApiRequest) -> ApiResponse:
        flow = read_flow(request.document(is_whole=True))
        self._runner.put_flow(flow)
        return ApiResponse(201, location=responses.href(request.base, "v1/flows", flow.name))

    def list_flows(self, request: ApiRequest) -> ApiResponse:
        return document_response(request, responses.flows(request.base, self._store.flows.all()))

    def get_flow(self, request: ApiRequest, name: str) -> ApiResponse:
        flow = _known(self._store.flows.get(name), "flow", name)
        return document_response(request, responses.flow(request.base, flow))

    def delete_flow(self, _: ApiRequest, name: str) -> ApiResponse:
        self._runner.delete_flow(name)
        return ApiResponse(204)

    # -- datastore -------------------------------------------------------------------------

    def list_items(self, request: ApiRequest) -> ApiResponse:
        return document_response(request, responses.items(request.base, self._datastore.items()))

    def get_item(self, _: ApiRequest, key: str) -> ApiResponse:
        content_type, value = _known(self._datastore.get(key), "datastore item", key)
        return ApiResponse(200, value, content_type)

    def put_item(self, request: ApiRequest, key: str) -> ApiResponse:
        if reason := why_unaddressable(key):
            raise BadDocument(f"the key {key!r} {reason}, so no URL could address the item")
        form = request.form()
        file = form.files.get("value")
        if file is None or not file.value:
            raise BadDocument(
                "expected multipart/form-data with a file part 'value' that is not empty"
            )
        item = DataItem(
            key, file.content_type or DEFAULT_ITEM_TYPE, request.field(form, "description")
        )
        return ApiResponse(201 if self._datastore.put(item, file.value) else 204)

    def delete_item(self, _: ApiRequest, key: str) -> ApiResponse:
        _known(self._datastore.delete(key) or None, "datastore item", key)
        return ApiResponse(204)

    # -- audit -----------------------------------------------------------------------------

    def list_executions(self, request: ApiRequest) -> ApiResponse:
        found = self._audit.find(read_audit_query(request.query))
        return document_response(request, responses.executions(request.base, found, request.query))

    def get_execution(self, request: ApiRequest, correlation_id: str) -> ApiResponse:
        found = _known(self._audit.execution(correlation_id), "execution", correlation_id)
        return document_response(request, responses.execution(request.base, found))

    def list_decisions(self, request: ApiRequest) -> ApiResponse:
        kept = self._audit.decisions(request.query.get("flowName", ""))
        unheard = [
            (each, self._store.flows.nearest_trigger(each.event.pack.name, each.event.name))
            for each in self._audit.unheard()
        ]
        return document_response(request, responses.decisions(request.base, kept, unheard))


def _step_of(action: TakenAction) -> str:
    return "/".join(
        quote(each, safe="") for each in (action.flow_name, action.step_id, action.correlation_id)
    )


def _tell(request: ApiRequest, news: News) -> ApiResponse:
    return document_response(request, responses.news(news))


def _known(found: _T | None, what: str, name: str) -> _T:
    if found is None:
        raise NotFound(f"no {what} {name!r}")
    return found
