"""The API as a Flask app.

Owns routing and the way between Flask's requests and responses and those of ``api``.
"""

import logging
from typing import Any

from flask import Flask, Response, request
from werkzeug.datastructures import Headers
from werkzeug.exceptions import HTTPException

from flyte_host.embedded.api import Api, ApiRequest, ApiResponse, error_response
from flyte_host.embedded.codec import BadDocument
from flyte_host.embedded.forms import read_query
from flyte_host.embedded.operations import OPERATIONS, Operation
from flyte_host.origin import first_of_list
from flyte_host.response_headers import PROTECTIVE_HEADERS

log = logging.getLogger("flyte_host.embedded")

MAX_BODY_BYTES = 16 * 1024 * 1024
"""As large as documents in MongoDB, the Go server's store, can be."""


class FlaskResponse(Response):
    """A response whose Location is sent as it is: flyte does not percent-encode its links."""

    location_as_is: str | None = None

    def get_wsgi_headers(self, environ: Any) -> Headers:
        headers = super().get_wsgi_headers(environ)
        if self.location_as_is is not None:
            headers["Location"] = _header(self.location_as_is)
        return headers


def _header(text: str) -> str:
    """``text`` on one line, in UTF-8: WSGI takes bytes of headers as Latin-1."""
    return text.replace("\r", " ").replace("\n", " ").strip().encode().decode("latin-1")


def create_app(api: Api) -> Flask:
    """Routes for all operations."""
    app = Flask("flyte_host.embedded", static_folder=None)
    app.config.update(MAX_CONTENT_LENGTH=MAX_BODY_BYTES)
    app.url_map.merge_slashes = False
    for operation in OPERATIONS:
        app.add_url_rule(
            operation.path.replace("{", "<").replace("}", ">"),
            endpoint=operation.name,
            view_func=_view(api, operation),
            methods=[operation.method],
        )
    app.register_error_handler(HTTPException, _http_error)
    return app


def _view(api: Api, operation: Operation) -> Any:
    names = operation.parameters()

    def view(**parameters: str) -> FlaskResponse:
        try:
            asked = _api_request()
        except BadDocument as error:
            return _flask_response(error_response(400, str(error)))
        return _flask_response(api.answer(operation, asked, *(parameters[name] for name in names)))

    return view


def _api_request() -> ApiRequest:
    headers = request.headers
    if "Host" not in headers and request.environ.get("SERVER_PROTOCOL") == "HTTP/1.1":
        raise BadDocument("found no Host header, expected one")
    return ApiRequest(
        _base(),
        read_query(request.query_string.decode("latin-1")),
        headers.get("Accept", ""),
        headers.get("Content-Type", ""),
        request.get_data(cache=False),
    )


def _base() -> str:
    """Scheme and host as the caller knows them: a proxy's headers first, as in the Go server."""
    headers, environ = request.headers, request.environ
    scheme = first_of_list(headers.get("X-Forwarded-Proto")) or environ["wsgi.url_scheme"]
    host = (
        first_of_list(headers.get("X-Flyte-Host"))
        or first_of_list(headers.get("X-Forwarded-Host"))
        or headers.get("Host")
        or f"{environ['SERVER_NAME']}:{environ['SERVER_PORT']}"
    )
    return f"{scheme}://{host}"


def _flask_response(response: ApiResponse) -> FlaskResponse:
    answer = FlaskResponse(response.body, response.status)
    answer.headers.extend(PROTECTIVE_HEADERS)
    if response.content_type is None:
        del answer.headers["Content-Type"]
    else:
        answer.headers["Content-Type"] = _header(response.content_type)
    answer.location_as_is = response.location
    return answer


def _http_error(error: HTTPException) -> FlaskResponse:
    """What Flask itself refuses: unknown paths, wrong methods, large bodies."""
    answer = _flask_response(error_response(error.code or 500, error.description or error.name))
    answer.headers.extend((k, v) for k, v in error.get_headers() if k == "Allow")
    return answer
