"""One HTTP request and its answer.

Owns credentials, TLS and timeouts. Must not know flyte's API or what a status code means.

Deliberately without ``requests.Session``: requests are prepared and handed to one adapter, which is
safe to share between threads. So by construction there is no netrc (it would replace the
token), no proxy and no CA bundle from the environment (today's Go packs ignore them too, and a
proxy for plain HTTP would read the token), no cookie, no redirect followed (nor its body read to
the end), and no request sent a second time behind the caller's back.
"""

import logging
import re
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache, partial
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import requests
import urllib3
from requests.structures import CaseInsensitiveDict

from flyte_host.client.bearer_token import BearerToken, TokenUnavailable
from flyte_host.client.direct_calls import Application, DirectCalls
from flyte_host.client.engine import Engine, find_engine
from flyte_host.client.failures import explain
from flyte_host.client.flyte_address import FlyteAddress, origin
from flyte_host.client.network import Network
from flyte_host.client.tls_files import TlsFiles
from flyte_host.metadata import version
from flyte_host.traceparent import write_trace
from flyte_host.wait import Steps

log = logging.getLogger(__name__)

LARGEST_BODY_BYTES = 32 * 1024 * 1024
CHUNK_BYTES = 64 * 1024
HEADERS_KEPT = 64
FOREIGN_LINK = (
    "flyte at %s links to %s, where no token is sent; if that is flyte as well, make it flyte's "
    "URL, or let the proxy set X-Forwarded-Proto and X-Forwarded-Host"
)

Request = requests.PreparedRequest


class Timeout(NamedTuple):
    """Seconds for connecting, and for the whole answer (None: no bound)."""

    connect: float
    read: float | None


class Unreachable(Exception):
    """No whole answer came; ``may_have_arrived`` is False only if the request was never sent.

    ``broke_off``: there was a connection, and it was lost.
    """

    def __init__(self, reason: str, *, may_have_arrived: bool, broke_off: bool) -> None:
        super().__init__(reason)
        self.may_have_arrived = may_have_arrived
        self.broke_off = broke_off


@dataclass(frozen=True, slots=True)
class Answer:
    """``body`` is None if it was larger than 32 MB, or no whole one came with an error."""

    request: Request
    status: int
    headers: Mapping[str, str]
    body: bytes | None


class Transport:
    """Sends requests to flyte and to where its links lead; safe in any thread.

    User-info in ``url`` is sent as Basic credentials if there is no ``token``. Either goes to the
    origin of ``url`` only. ``application`` is flyte itself, if it is in this process. ``engine`` is
    the best that is installed, unless it is given. Raises ConfigError for a URL that cannot be
    used.
    """

    def __init__(
        self,
        url: str,
        tls_files: TlsFiles,
        *,
        token: BearerToken | None = None,
        application: Application | None = None,
        engine: Engine | None = None,
    ) -> None:
        self.address = FlyteAddress(url)
        self.token = token
        self._tls_files = tls_files
        if not tls_files.verify:
            _accept_unverified(self.address.origin)
        self._engine = engine or find_engine()
        self._direct = None if application is None else DirectCalls(self.address.base, application)
        self._adapter = self._engine.make_adapter(LARGEST_BODY_BYTES)
        self._network: Network | None = None
        self._foreign_origins: set[str] = set()
        self._lock = threading.Lock()

    def open_network(self) -> Network | None:
        """From now on :meth:`exchanging` blocks no thread; the caller makes sure that one looks.

        None: with this engine, or to this flyte, each request needs a thread.
        """
        if self._engine.make_network is None or self.is_direct or not self.is_plain:
            return None
        self._network = self._engine.make_network(LARGEST_BODY_BYTES)
        return self._network

    @property
    def is_plain(self) -> bool:
        """Whether flyte is called without TLS."""
        return self.address.base.startswith("http:")

    @property
    def is_direct(self) -> bool:
        """Whether flyte is in this process."""
        return self._direct is not None

    @property
    def engine_name(self) -> str:
        """What carries the requests."""
        return "calls within the process" if self.is_direct else self._engine.name

    def prepare(self, method: str, url: str, body: bytes | None, trace: str = "") -> Request:
        """The request with its credentials; raises ValueError for what is not a URL.

        ``trace`` is the trace context of what is sent.
        """
        request = Request()
        request.method = method
        request.url = self.address.written(url)
        request.body = body
        is_flyte = self.address.is_below(request.url) or self._is_same_origin(request.url)
        length = None if body is None else len(body)
        headers = _headers(length, self._authorization() if is_flyte else None)
        if trace:
            headers = headers.copy()
            headers.update(write_trace(trace))
        request.headers = headers
        return request

    def _is_same_origin(self, url: str) -> bool:
        target, own = origin(url), self.address.origin
        if target != own:
            self._warn_of(target)
        return target == own

    def _authorization(self) -> str | None:
        """The credentials for flyte's own origin; no other origin gets any."""
        return self.address.basic if self.token is None else f"Bearer {self.token.current()}"

    def has_other_token(self, request: Request) -> bool:
        """Whether there is a token now that is not the one in ``request``."""
        sent = request.headers.get("Authorization")
        if self.token is None or sent is None:
            return False
        # Another thread may have read the new token before: so compare with what was sent.
        try:
            return self.token.refresh() or sent != self._authorization()
        except TokenUnavailable:
            return False

    def exchange(self, request: Request, timeout: Timeout) -> Answer:
        """Send it, once. Raises Unreachable if no whole answer comes in time."""
        with _explained(request, timeout):
            if self._direct is not None and self._direct.lead_to(request):
                return Answer(request, *self._direct.call(request))
            return _answer(request, self._send(request, timeout))

    def exchanging(self, request: Request, timeout: Timeout) -> Steps[Answer]:
        """What :meth:`exchange` does, for a worker that has other things to do meanwhile."""
        if self._network is None or not self._network.carries(request):
            return self.exchange(request, timeout)
        begun = self._network.make(request, timeout, partial(self._send, request, timeout))
        yield begun
        with _explained(request, timeout):
            return _answer(request, begun.response())

    def _send(self, request: Request, timeout: Timeout) -> requests.Response:
        if self._tls_files.have_changed():
            self._reconnect()
        tls = self._tls_files.options
        return self._adapter.send(request, stream=True, timeout=timeout, **tls)

    def close(self) -> None:
        """Drop idle connections; an exchange under way in a thread ends as it would have."""
        self._adapter.close()
        if self._network is not None:
            self._network.close()

    def _reconnect(self) -> None:
        """Drop the connections, and with them what the engine read from the old files."""
        old, self._adapter = self._adapter, self._engine.make_adapter(LARGEST_BODY_BYTES)
        old.close()

    def _warn_of(self, target: str) -> None:
        with self._lock:
            known = target in self._foreign_origins
            self._foreign_origins.add(target)
        if not known:
            log.warning(FOREIGN_LINK, self.address.origin, target)


@lru_cache(HEADERS_KEPT)
def _headers(length: int | None, authorization: str | None) -> CaseInsensitiveDict[str | bytes]:
    """Those of a request with a body of that length; requests share them, so they never change."""
    headers = CaseInsensitiveDict[str | bytes](
        {"Accept": "application/json", "User-Agent": f"flyte-host/{version('flyte-host')}"}
    )
    if length is not None:
        headers["Content-Type"] = "application/json"
        headers["Content-Length"] = str(length)
    if authorization is not None:
        headers["Authorization"] = authorization
    return headers


def retry_after_seconds(value: str | None, now: datetime) -> float | None:
    """What a Retry-After header asks for, as seconds or as a date; None if it says nothing."""
    if value is None:
        return None
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        return max((parsedate_to_datetime(value).astimezone(UTC) - now).total_seconds(), 0.0)
    except (ValueError, OverflowError):
        return None


def _accept_unverified(own: str) -> None:
    """Say once what this means, instead of a Python warning for each connection to that host."""
    log.warning(
        "verify = false: the certificate of %s is unchecked: anyone in between can read the token",
        own,
    )
    message = f"Unverified HTTPS request is being made to host '{urlsplit(own).hostname}'"
    category = urllib3.exceptions.InsecureRequestWarning
    warnings.filterwarnings("ignore", re.escape(message), category)


@contextmanager
def _explained(request: Request, timeout: Timeout) -> Iterator[None]:
    """Raise Unreachable for what goes wrong below HTTP."""
    try:
        yield
        return
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
        host = origin(str(request.url)).partition("//")[2]
        found = explain(error, host, timeout.connect, timeout.read)
    raise Unreachable(
        found.reason, may_have_arrived=found.may_have_arrived, broke_off=found.broke_off
    )


def _answer(request: Request, response: requests.Response) -> Answer:
    try:
        return Answer(request, response.status_code, response.headers, _body(response))
    finally:
        response.close()


def _body(response: requests.Response) -> bytes | None:
    if response.status_code < 300:
        return _read(response.raw)
    # The status says it all; a body read to its end only keeps the connection usable.
    with suppress(urllib3.exceptions.HTTPError, OSError):
        return _read(response.raw)
    return None


def _read(raw: Any) -> bytes | None:
    body = bytearray()
    while chunk := raw.read1(CHUNK_BYTES):
        body += chunk
        if len(body) > LARGEST_BODY_BYTES:
            return None
    return bytes(body)
