"""requests' transport adapter on libcurl, which costs a fraction of the usual one.

Owns handles of libcurl, and that a request goes out once. Must not know what is asked or what
libcurl's errors mean (``curl_failures``).

A handle keeps one connection, and one thread at a time uses it. They are in a list, not in
``threading.local``: a process that a plugin forks would end those of all other threads, and with
them the TLS connections that it shares with the host.
"""

import io
import math
import select
import socket
import threading
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import pycurl
import requests
from pycurl import PREREQFUNCTION  # an older pycurl ends here, as an ImportError
from requests.adapters import BaseAdapter
from requests.utils import DEFAULT_CA_BUNDLE_PATH

from flyte_host import forks
from flyte_host.client.curl_failures import NO_WHOLE_HEAD, TOO_LONG_HEAD, CurlFailure, error_of
from flyte_host.client.curl_response import CurlResponse, HeadFields

METHODS = {"GET", "POST", "DELETE"}

LARGEST_HEAD_LINES = 102
"""The status, a blank line, and as many headers as http.client accepts."""

HEADERS_KEPT = 16

STOP = -1
"""What a callback returns to end the exchange; any other number than that of the bytes it got."""


class CurlAdapter(BaseAdapter):
    """``read`` of a timeout bounds the whole exchange, from connecting to the last byte.

    Of a body it reads little more than ``largest_bytes``. No more than ``handles_kept`` stay open.
    """

    def __init__(self, *, largest_bytes: int, handles_kept: int) -> None:
        super().__init__()
        self._largest_bytes = largest_bytes
        self._handles_kept = handles_kept
        self._idle: list[_Handle] = []
        self._pid = forks.process_id()
        self._inherited: list[list[_Handle]] = []

    def send(  # type: ignore[override]
        self,
        request: requests.PreparedRequest,
        *,
        timeout: tuple[float, float | None],
        verify: bool | str,
        cert: str | tuple[str, str] | None = None,
        **_: Any,
    ) -> requests.Response:
        idle = self._own_idle()
        try:
            handle = idle.pop()
        except IndexError:
            handle = _Handle(self._largest_bytes)
        try:
            handle.secure(verify, cert)
            handle.set_timeout(timeout)
            return handle.send(request)
        finally:
            self._put_back(handle, idle)

    def close(self) -> None:
        """Drop idle connections; those in use are dropped when they are put back."""
        idle, self._idle = self._own_idle(), []
        while idle:
            idle.pop().close()

    def __del__(self) -> None:
        # Left to the garbage collector, libcurl and our sockets would close the same numbers.
        self.close()

    def _own_idle(self) -> list["_Handle"]:
        """The idle handles, of which a forked process has only copies: it leaves them alone."""
        if forks.process_id() != self._pid:
            self._inherited.append(self._idle)
            self._pid, self._idle = forks.process_id(), []
        return self._idle

    def _put_back(self, handle: "_Handle", idle: list["_Handle"]) -> None:
        if idle is self._idle and len(idle) < self._handles_kept:
            idle.append(handle)
        else:
            handle.close()


class _Handle:
    """One handle of libcurl, and what came for its last request."""

    def __init__(self, largest_bytes: int) -> None:
        self._largest_bytes = largest_bytes
        self._head: list[bytes] = []
        self._body = bytearray()
        self._was_sent = self._was_sent_in_vain = False
        self._connections: dict[int, socket.socket] = {}
        self._readable = select.poll()
        self._tls: Any = None
        self._timeout: tuple[float, float | None] = (0.0, None)  # libcurl begins with none
        self._headers: Any = None
        self._lines: dict[int, tuple[Mapping[str, Any], list[str]]] = {}
        self._options: dict[int, Any] = {}
        self._curl = curl = pycurl.Curl()
        curl.setopt(pycurl.NOSIGNAL, 1)
        curl.setopt(pycurl.PROXY, "")  # also none from the environment
        curl.setopt(pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS)
        curl.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1)
        curl.setopt(pycurl.FOLLOWLOCATION, 0)
        curl.setopt(pycurl.PATH_AS_IS, 1)
        curl.setopt(pycurl.MAXCONNECTS, 1)
        curl.setopt(pycurl.SSLVERSION, pycurl.SSLVERSION_TLSv1_2)
        curl.setopt(pycurl.XFERINFOFUNCTION, self._on_progress)
        curl.setopt(pycurl.SOCKOPTFUNCTION, self._on_socket)
        curl.setopt(pycurl.CLOSESOCKETFUNCTION, self._on_close)
        curl.setopt(PREREQFUNCTION, self._on_request)
        curl.setopt(pycurl.HEADERFUNCTION, self._head.append)  # no Python code for each line
        curl.setopt(pycurl.WRITEFUNCTION, self._on_body)

    def secure(self, verify: bool | str, cert: str | tuple[str, str] | None) -> None:
        """``verify`` and ``cert`` in the words of requests."""
        if self._tls == (verify, cert):
            return
        self._tls = verify, cert
        self._set(pycurl.SSL_VERIFYPEER, int(bool(verify)))
        self._set(pycurl.SSL_VERIFYHOST, 2 if verify else 0)
        self._set(pycurl.CAINFO, verify if isinstance(verify, str) else DEFAULT_CA_BUNDLE_PATH)
        cert_file, key_file = cert if isinstance(cert, tuple) else (cert, cert)
        self._set(pycurl.SSLCERT, cert_file)
        self._set(pycurl.SSLKEY, key_file)

    def set_timeout(self, timeout: tuple[float, float | None]) -> None:
        before, self._timeout = self._timeout, timeout
        if timeout[0] != before[0]:
            self._curl.setopt(pycurl.CONNECTTIMEOUT_MS, _milliseconds(timeout[0]))
        if timeout[1] != before[1]:
            self._curl.setopt(pycurl.TIMEOUT_MS, _milliseconds(timeout[1] or 0))

    def send(self, request: requests.PreparedRequest) -> requests.Response:
        if request.method not in METHODS:
            raise requests.RequestException(f"expected GET, POST or DELETE, found {request.method}")
        url = str(request.url)
        self._curl.setopt(pycurl.URL, _without_user_info(url) if "@" in url else url)
        if self._headers is not request.headers:
            self._headers = request.headers
            self._curl.setopt(pycurl.HTTPHEADER, self._lines_of(request.headers))
        if request.method == "POST":
            self._curl.setopt(pycurl.POSTFIELDS, request.body or b"")
        else:
            self._curl.setopt(pycurl.HTTPGET, 1)
        self._set(pycurl.CUSTOMREQUEST, "DELETE" if request.method == "DELETE" else None)
        self._set(pycurl.FRESH_CONNECT, int(self._is_connection_over()))
        failure = self._perform()
        response = CurlResponse(request, self._curl.getinfo(pycurl.RESPONSE_CODE))
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

    def close(self) -> None:
        self._curl.close()

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
            self._curl.setopt(option, value)
            self._options[option] = value

    def _is_connection_over(self) -> bool:
        """Whether the server has ended it: libcurl looks once a second, and relies on resending."""
        return bool(self._connections) and bool(self._readable.poll(0))

    def _perform(self) -> CurlFailure | None:
        self._head.clear()
        self._body = bytearray()
        self._was_sent = self._was_sent_in_vain = False
        # Python looks at signals only between its own instructions, and only in the main thread:
        # there it gets a turn, or Ctrl-C would wait for the answer.
        is_main = threading.current_thread() is threading.main_thread()
        self._set(pycurl.NOPROGRESS, int(not is_main))
        try:
            self._curl.perform()
        except pycurl.error as error:
            code = pycurl.E_GOT_NOTHING if self._was_sent_in_vain else int(error.args[0])
            number = self._curl.getinfo(pycurl.OS_ERRNO)
            return CurlFailure(code, str(error.args[-1]), number, was_sent=self._was_sent)
        except BaseException:  # Ctrl-C: the connection was closed already, without our callback
            while self._connections:
                self._connections.popitem()[1].detach()
            raise
        return None

    def _on_progress(self, *_: int) -> None:
        """There is nothing to do: Python raises KeyboardInterrupt here."""

    def _on_socket(self, descriptor: int, _: int) -> int:
        """Refuse a new connection for what went out on one that broke: libcurl sends it again."""
        self._connections[descriptor] = connection = socket.socket(fileno=descriptor)
        forks.own_connection(connection)
        self._readable.register(descriptor, select.POLLIN)
        self._was_sent_in_vain = self._was_sent
        return pycurl.SOCKOPT_ERROR if self._was_sent else pycurl.SOCKOPT_OK

    def _on_close(self, descriptor: int) -> int:
        # In a forked process this closes nothing: there the socket has let go of its number.
        self._readable.unregister(descriptor)
        self._connections.pop(descriptor).close()
        return 0

    def _on_request(self, *_: Any) -> int:
        self._was_sent = True
        return pycurl.PREREQFUNC_OK

    def _on_body(self, chunk: bytes) -> int | None:
        self._body += chunk
        return STOP if len(self._body) > self._largest_bytes else None


class _BrokenBody(io.RawIOBase):
    def __init__(self, error: requests.RequestException) -> None:
        self._error = error

    def read1(self, _: int) -> bytes:
        raise self._error


def _last_head(lines: list[bytes]) -> bytes:
    """The head of the final answer, which may stand behind those of a 1xx; empty if it broke off.

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
