"""One handle of libcurl: how a request goes in, and what comes out of it as an answer.

Sets its options, and sends a request once. Must not know who performs it, what is asked or what
libcurl's errors mean (``curl_failures``).
"""

import io
import math
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import pycurl
import requests
from pycurl import PREREQFUNCTION  # an older pycurl ends here, as an ImportError

from flyte_host.client.curl_failures import NO_WHOLE_HEAD, TOO_LONG_HEAD, CurlFailure, error_of
from flyte_host.client.curl_response import CurlResponse, HeadFields

METHODS = {"GET", "POST", "DELETE"}

LARGEST_HEAD_LINES = 102
"""The status, a blank line, and as many headers as http.client accepts."""

HEADERS_KEPT = 16

STOP = -1
"""What a callback returns to end the exchange; any other number than that of the bytes it got."""


class CurlHandle:
    """For one request at a time, and one thread."""

    def __init__(self, largest_bytes: int) -> None:
        self._largest_bytes = largest_bytes
        self._head: list[bytes] = []
        self._body = bytearray()
        self._was_sent = self._was_lost = False
        self._timeout: tuple[float, float | None] = (0.0, None)  # libcurl begins with none
        self._headers: Any = None
        self._lines: dict[int, tuple[Mapping[str, Any], list[str]]] = {}
        self._options: dict[int, Any] = {}
        self.curl = curl = pycurl.Curl()
        curl.setopt(pycurl.NOSIGNAL, 1)
        curl.setopt(pycurl.PROXY, "")  # nor one from the environment
        curl.setopt(pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS)
        curl.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1)
        curl.setopt(pycurl.FOLLOWLOCATION, 0)
        curl.setopt(pycurl.PATH_AS_IS, 1)
        curl.setopt(pycurl.SOCKOPTFUNCTION, self._on_socket)
        curl.setopt(PREREQFUNCTION, self._on_request)
        curl.setopt(pycurl.HEADERFUNCTION, self._head.append)  # no Python code for each line
        curl.setopt(pycurl.WRITEFUNCTION, self._on_body)

    def prepare(
        self, request: requests.PreparedRequest, timeout: tuple[float, float | None], *, fresh: bool
    ) -> None:
        """Set what the request wants; a ``fresh`` one goes out on a new connection."""
        if request.method not in METHODS:
            raise requests.RequestException(f"expected GET, POST or DELETE, found {request.method}")
        url = str(request.url)
        self.curl.setopt(pycurl.URL, _without_user_info(url) if "@" in url else url)
        if self._headers is not request.headers:
            self._headers = request.headers
            self.curl.setopt(pycurl.HTTPHEADER, self._lines_of(request.headers))
        if request.method == "POST":
            self.curl.setopt(pycurl.POSTFIELDS, request.body or b"")
        else:
            self.curl.setopt(pycurl.HTTPGET, 1)
        self._set(pycurl.CUSTOMREQUEST, "DELETE" if request.method == "DELETE" else None)
        self._set(pycurl.FRESH_CONNECT, int(fresh))
        self._set_timeout(timeout)
        self._head.clear()
        self._body = bytearray()
        self._was_sent = self._was_lost = False

    def failure(self, code: int, text: str) -> CurlFailure:
        """What libcurl said when the exchange ended otherwise than with a whole answer."""
        code = pycurl.E_GOT_NOTHING if self._was_lost else code
        number = self.curl.getinfo(pycurl.OS_ERRNO)
        return CurlFailure(code, text, number, was_sent=self._was_sent)

    def response(
        self, request: requests.PreparedRequest, failure: CurlFailure | None
    ) -> requests.Response:
        """What came; raises requests.RequestException if that is not even a whole head."""
        response = CurlResponse(request, self.curl.getinfo(pycurl.RESPONSE_CODE))
        head = _last_head(self._head)
        if len(self._head) > LARGEST_HEAD_LINES:
            raise error_of(TOO_LONG_HEAD, request, response)
        if not head:
            raise error_of(failure or NO_WHOLE_HEAD, request, response)
        response.headers = HeadFields(head)  # type: ignore[assignment]
        if failure is None or len(self._body) > self._largest_bytes:
            response.raw = io.BytesIO(self._body)
        else:
            response.raw = _BrokenBody(error_of(failure, request, response))
        return response

    def _set_timeout(self, timeout: tuple[float, float | None]) -> None:
        before, self._timeout = self._timeout, timeout
        if timeout[0] != before[0]:
            self.curl.setopt(pycurl.CONNECTTIMEOUT_MS, _milliseconds(timeout[0]))
        if timeout[1] != before[1]:
            self.curl.setopt(pycurl.TIMEOUT_MS, _milliseconds(timeout[1] or 0))

    def _lines_of(self, headers: Mapping[str, Any]) -> list[str]:
        """Those of ``headers``, which many requests share; they are kept, so no id is reused."""
        known = self._lines.get(id(headers))
        if known is None:
            if len(self._lines) >= HEADERS_KEPT:
                self._lines.clear()
            known = self._lines[id(headers)] = headers, _header_lines(headers)
        return known[1]

    def _set(self, option: int, value: Any) -> None:
        if self._options.get(option) != value:
            self.curl.setopt(option, value)
            self._options[option] = value

    def _claim(self, descriptor: int) -> None:
        """A new connection has this socket."""

    def _on_socket(self, descriptor: int, _: int) -> int:
        """Refuse a new connection for what went out on one that broke: libcurl sends it again."""
        self._claim(descriptor)
        self._was_lost = self._was_sent
        return pycurl.SOCKOPT_ERROR if self._was_sent else pycurl.SOCKOPT_OK

    def _on_request(self, *_: Any) -> int:
        """The same on a connection that there is already."""
        self._was_lost = self._was_sent
        self._was_sent = True
        return pycurl.PREREQFUNC_ABORT if self._was_lost else pycurl.PREREQFUNC_OK

    def _on_body(self, chunk: bytes) -> int | None:
        self._body += chunk
        return STOP if len(self._body) > self._largest_bytes else None


class _BrokenBody(io.RawIOBase):
    def __init__(self, error: requests.RequestException) -> None:
        self._error = error

    def read1(self, _: int) -> bytes:
        raise self._error


def _last_head(lines: list[bytes]) -> bytes:
    """The head of the final answer, which may follow those of a 1xx; empty if it broke off.

    Trailers of a body come behind the blank line.
    """
    heads = b"".join(lines)
    head = heads[heads.rfind(b"\nHTTP/") + 1 :]
    return head if b"\n\r\n" in head or b"\n\n" in head else b""


def _header_lines(headers: Mapping[str, Any]) -> list[str]:
    """All but the length, which libcurl knows; a name with nothing behind it is not sent."""
    lines = [f"{name}: {value}" for name, value in headers.items() if name != "Content-Length"]
    return [*lines, "Accept-Encoding: identity", "Expect:"]


def _without_user_info(url: str) -> str:
    """libcurl would send it as credentials."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _milliseconds(seconds: float) -> int:
    return math.ceil(seconds * 1000)
