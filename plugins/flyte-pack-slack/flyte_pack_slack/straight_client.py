"""Slack's SDK without redirects, and with an end to every answer.

Owns how its requests are sent. Must not know methods of the API.

The SDK follows a redirect anywhere and sends the token or the file along, even to another host or
without TLS. It reads an answer however long it is, and its timeout starts again with each byte.
"""

import http.client
import json
from ssl import SSLContext
from typing import Any
from urllib.request import (
    HTTPErrorProcessor,
    HTTPHandler,
    HTTPSHandler,
    ProxyHandler,
    Request,
    build_opener,
)

from flyte_pack_kit import TimedAnswer, parse_json
from slack_sdk import WebClient
from slack_sdk.web.file_upload_v2_result import FileUploadV2Result

MOST_ANSWER_BYTES = 10_000_000


class StraightClient(WebClient):
    """A redirect is a failure with its status, like any other answer but 200."""

    def _perform_urllib_http_request_internal(
        self,
        url: str,  # noqa: ARG002  the request has it
        req: Request,
    ) -> dict[str, Any]:
        handlers: list[Any] = [_EveryStatus, _TimedHttp, _TimedHttps(self.ssl)]
        if self.proxy:
            handlers.append(ProxyHandler({"http": self.proxy, "https": self.proxy}))
        with build_opener(*handlers).open(req, timeout=self.timeout) as answer:
            body = _text(_read(answer))
        return {"status": answer.status, "headers": answer.headers, "body": body}

    def _upload_file(self, *, url: str, data: bytes, **_: Any) -> FileUploadV2Result:
        if not url.startswith(("https://", "http://")):
            raise ValueError("the address for the file is not one of HTTP")
        request = Request(url, data, method="POST")  # noqa: S310  see above
        sent = self._perform_urllib_http_request_internal(url, request)
        return FileUploadV2Result(sent["status"], sent["body"])


def _read(answer: http.client.HTTPResponse) -> bytes:
    content = answer.read(MOST_ANSWER_BYTES + 1)
    if len(content) > MOST_ANSWER_BYTES:
        raise OSError(f"the answer has more than {MOST_ANSWER_BYTES} bytes")
    if answer.length:
        raise http.client.IncompleteRead(content, answer.length)
    return content


def _text(content: bytes) -> str:
    """The answer; no event can have the halves of surrogate pairs that the SDK would take."""
    try:
        return json.dumps(parse_json(content))
    except ValueError:
        return content.decode(errors="replace")


class _EveryStatus(HTTPErrorProcessor):
    """Leaves statuses to the SDK, redirects included."""

    def http_response(self, request: Request, response: Any) -> Any:  # noqa: ARG002  an override
        return response

    https_response = http_response


class _TimedConnection(http.client.HTTPConnection):
    response_class = TimedAnswer


class _TimedTlsConnection(http.client.HTTPSConnection):
    response_class = TimedAnswer


class _TimedHttp(HTTPHandler):
    def http_open(self, req: Request) -> Any:
        return self.do_open(_TimedConnection, req)


class _TimedHttps(HTTPSHandler):
    def __init__(self, tls: SSLContext | None) -> None:
        super().__init__(context=tls)
        self._tls = tls

    def https_open(self, req: Request) -> Any:
        return self.do_open(_TimedTlsConnection, req, context=self._tls)
