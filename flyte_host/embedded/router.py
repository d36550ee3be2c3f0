"""From a method and a path to the operation that they mean, and to its answer.

Owns routing, and what a request says about the address that it was sent to. Must not know any web
server: callers pass what they found in the request.
"""

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from starlette.routing import compile_path

from flyte_host.embedded.api import Api
from flyte_host.embedded.api_request import ApiRequest
from flyte_host.embedded.api_response import ApiResponse, error_response
from flyte_host.embedded.codec import BadDocument
from flyte_host.embedded.forms import read_query
from flyte_host.embedded.operations import OPERATIONS, Operation
from flyte_host.origin import SCHEMES, first_of_list, read_host
from flyte_host.traceparent import read_trace, write_trace

MAX_BODY_BYTES = 16 * 1024 * 1024
"""The limit of documents in MongoDB, the Go server's store."""
_HOST_HEADERS = ("x-flyte-host", "x-forwarded-host")
_CONTROLS = re.compile("[\x00-\x1f\x7f]")

Methods = dict[str, Operation]


class Route(NamedTuple):
    """What a request asks for, with the values of the path's parameters."""

    operation: Operation
    parameters: list[str]


class Router:
    """Routes requests to the operations of ``api``."""

    def __init__(self, api: Api) -> None:
        self._api = api
        by_path: dict[str, Methods] = {}
        for operation in OPERATIONS:
            by_path.setdefault(operation.path, {})[operation.method] = operation
        self._routes: dict[int, list[tuple[re.Pattern[str], Methods]]] = {}
        for path, methods in by_path.items():  # no parameter has a slash
            self._routes.setdefault(path.count("/"), []).append((compile_path(path)[0], methods))

    def find(self, method: str, path: str) -> Route | ApiResponse:
        """The route of ``path``, which is not percent-encoded; an answer if there is none."""
        methods, parameters = self._find(path)
        if not methods:
            return error_response(404, f"not found: no operation has the path {path!r}")
        operation = methods.get("GET" if method == "HEAD" else method)
        if operation is None:
            return _other_method(method, methods)
        return Route(operation, parameters)

    def answer(
        self, route: Route, base: str, query: str, headers: Mapping[str, str], body: bytes
    ) -> ApiResponse:
        """The answer of the route's operation; ``headers`` have lower-case names."""
        try:
            fields = read_query(query)
        except BadDocument as error:
            return error_response(400, str(error))
        asked = ApiRequest(
            base, fields, headers.get("accept", ""), headers.get("content-type", ""), body,
            read_trace(headers),
        )  # fmt: skip
        return self._api.answer(route.operation, asked, *route.parameters)

    def answer_at_once(
        self, route: Route, query: str, headers: Mapping[str, str]
    ) -> ApiResponse | None:
        """The answer, if it needs no wait: a take without query and form that finds nothing."""
        content_type = headers.get("content-type", "").lower()
        if route.operation.name != "take_action" or query or "form" in content_type:
            return None
        return self._api.take_at_once(*route.parameters)

    def _find(self, path: str) -> tuple[Methods, list[str]]:
        """The operations of a path, by method, and the values of its parameters."""
        for pattern, methods in self._routes.get(path.count("/"), ()):
            if found := pattern.match(path):
                return methods, list(found.groups())
        return {}, []


def base_of(scheme: str, host: str, headers: Mapping[str, str]) -> str:
    """Scheme and host as the caller knows them: a proxy's headers first, as in the Go server.

    What is not a scheme of HTTP, or not a host, does not count: links are followed.
    """
    forwarded = first_of_list(headers.get("x-forwarded-proto")).lower()
    hosts = (first_of_list(headers.get(name)) for name in _HOST_HEADERS)
    host = next((each for each in hosts if read_host(each)), host)
    return f"{forwarded if forwarded in SCHEMES else scheme}://{host}"


def headers_of(answer: ApiResponse) -> Iterator[tuple[str, str]]:
    """The headers of an answer, without characters that would end them."""
    fields = {
        "content-type": answer.content_type,
        "location": answer.location,
        "allow": answer.allow,
        "link": answer.link,
        "flyte-action-state": answer.action_state,
    }
    for name, value in fields.items():
        if value is not None:
            yield name, _CONTROLS.sub(" ", value).strip()
    yield from write_trace(answer.trace).items()


def _other_method(method: str, methods: Methods) -> ApiResponse:
    allowed = ", ".join(sorted({*methods, "OPTIONS", *({"HEAD"} if "GET" in methods else ())}))
    if method == "OPTIONS":
        return ApiResponse(200, allow=allowed)
    refused = error_response(405, f"the method {method} is not allowed here, expected {allowed}")
    return ApiResponse(405, refused.body, refused.content_type, allow=allowed)
