"""One HTTP request and its answer.

Owns addresses, credentials, TLS and timeouts. Must not know flyte's API or what a status code
means. Nothing else imports requests.

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
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache, partial
from typing import Any, NamedTuple
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit

import requests
import urllib3
from requests.structures import CaseInsensitiveDict

from flyte_host.client.bearer_token import BearerToken, TokenUnavailable
from flyte_host.client.direct_calls import Application, DirectCalls
from flyte_host.client.engine import Engine, find_engine
from flyte_host.client.failures import explain
from flyte_host.client.network import Network
from flyte_host.client.tls_files import TlsFiles
from flyte_host.errors import ConfigError
from flyte_host.metadata import version
from flyte_host.traceparent import write_trace
from flyte_host.wait import Steps

log = logging.getLogger(__name__)

LARGEST_BODY_BYTES = 32 * 1024 * 1024
CHUNK_BYTES = 64 * 1024
HEADERS_KEPT = 64
PLAIN_PATH = re.compile(r"[A-Za-z0-9_~-]+(?:[./][A-Za-z0-9_~-]+)*")
"""A path that is sent as it is: nothing to escape, no empty part and none of dots alone."""
EXPECTED_URL = "expected http(s)://host[:port][/path]"
DEFAULT_PORTS = {"http": 80, "https": 443}
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
        self.base, basic = _entry(url)
        self.origin = origin(self.base)
        self._below = f"{self.base}/"
        self._own_origins = {self.origin}
        self.token = token
        self._basic = basic
        self._tls_files = tls_files
        if not tls_files.verify:
            _accept_unverified(self.origin)
        self._engine = engine or find_engine()
        self._direct = None if application is None else DirectCalls(self.base, application)
        self._adapter = self._engine.make_adapter(LARGEST_BODY_BYTES)
        self._network: Network | None = None
        self._foreign_origins: set[str] = set()
        self._lock = threading.Lock()

    def open_network(self) -> Network | None:
        """From now on :meth:`exchanging` keeps no thread; the caller sees to it that one looks.

        None: with this engine, or to this flyte, each request needs a thread.
        """
        if self._engine.make_network is None or self.is_direct or not self.is_plain:
            return None
        self._network = self._engine.make_network(LARGEST_BODY_BYTES)
        return self._network

    @property
    def is_plain(self) -> bool:
        """Whether flyte is called without TLS."""
        return self.base.startswith("http:")

    @property
    def is_direct(self) -> bool:
        """Whether flyte is in this process."""
        return self._direct is not None

    @property
    def engine_name(self) -> str:
        """What carries the requests."""
        return "calls within the process" if self.is_direct else self._engine.name

    def add_own(self, url: str) -> None:
        """Count the origin of ``url`` as flyte's as well. No credentials are sent there."""
        self._own_origins.add(origin(url))

    def is_own(self, url: str) -> bool:
        """Whether ``url`` leads to flyte, by any address that flyte is known by."""
        return url.startswith(self._below) or origin(url) in self._own_origins

    def absolute(self, href: str) -> str:
        """``href`` with the path prefix of ``url``, of which a flyte behind a proxy cannot know.

        Raises ValueError for what is not a URL.
        """
        if href.startswith("v1/") and PLAIN_PATH.fullmatch(href):  # from :meth:`relative`
            return self._below + href
        if self._is_plain(href):
            return href
        url = urljoin(self._below, href)
        prefix = urlsplit(self.base).path
        parts = urlsplit(url)
        if origin(url) != self.origin or parts.path.startswith(f"{prefix}/"):
            return url
        return parts._replace(path=prefix + parts.path).geturl()

    def relative(self, url: str) -> str:
        """An absolute ``url`` of flyte's own as a path below its base; another one as it is.

        :meth:`absolute` is the way back, even after flyte has moved to another address.
        """
        if url.startswith(f"{self._below}v1/") and self._is_plain(url):
            return url[len(self._below) :]
        prefix = f"{urlsplit(self.base).path}/"
        parts = urlsplit(url)
        below = parts.path.removeprefix(prefix)
        if origin(url) != self.origin or not below.startswith("v1/"):
            return url
        return urlunsplit(("", "", below, parts.query, ""))

    def prepare(self, method: str, url: str, body: bytes | None, trace: str = "") -> Request:
        """The request with its credentials; raises ValueError for what is not a URL.

        ``trace`` is the trace context of what is sent.
        """
        request = Request()
        request.method = method
        request.url = url if self._is_plain(url) else _quote(url)
        request.body = body
        is_flyte = request.url.startswith(self._below) or self._is_same_origin(request.url)
        length = None if body is None else len(body)
        headers = _headers(length, self._authorization() if is_flyte else None)
        if trace:
            headers = headers.copy()
            headers.update(write_trace(trace))
        request.headers = headers
        return request

    def _is_plain(self, url: str) -> bool:
        """Whether it is flyte's own, and is sent as it is: so are nearly all, which saves time."""
        return url.startswith(self._below) and bool(PLAIN_PATH.fullmatch(url, len(self._below)))

    def _is_same_origin(self, url: str) -> bool:
        target = origin(url)
        if target != self.origin:
            self._warn_of(target)
        return target == self.origin

    def _authorization(self) -> str | None:
        """The credentials for flyte's own origin; no other origin gets any."""
        return self._basic if self.token is None else f"Bearer {self.token.current()}"

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
            log.warning(FOREIGN_LINK, self.origin, target)


def origin(url: str) -> str:
    """``scheme://host:port`` with the port always there; ValueError for what is not an HTTP URL."""
    parts = urlsplit(url)
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
        raise ValueError(EXPECTED_URL)
    host = parts.hostname.encode("idna").decode()
    port = DEFAULT_PORTS[parts.scheme] if parts.port is None else parts.port
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}:{port}"


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


def _quote(url: str) -> str:
    """``url`` as it is sent; raises ValueError for what is not a URL."""
    request = Request()
    request.prepare_url(url, None)
    return str(request.url)


def safe_url(url: str) -> str:
    """``url`` without user-info and query, for people; any text will do."""
    return ascii(re.sub(r"(?s)//.*@", "//", url).partition("?")[0])[1:-1]


def retry_after_seconds(value: str | None, now: datetime) -> float | None:
    """What a Retry-After header asks for, be it seconds or a date; None if it says nothing."""
    if value is None:
        return None
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        return max((parsedate_to_datetime(value).astimezone(UTC) - now).total_seconds(), 0.0)
    except (ValueError, OverflowError):
        return None


def _entry(url: str) -> tuple[str, str | None]:
    """``url`` as requests writes it, without user-info, query and closing slash; credentials."""
    try:
        parts = urlsplit(url)
        userinfo, _, place = parts.netloc.rpartition("@")
        bare = parts._replace(netloc=place, path=parts.path.rstrip("/"), query="", fragment="")
        origin(bare.geturl())
        base = _quote(bare.geturl()).rstrip("/")
    except ValueError:  # its text may hold the user-info
        found = f"flyte's URL cannot be used: found '{safe_url(url)}'"
        raise ConfigError([f"{found}, {EXPECTED_URL}"]) from None
    user, _, password = userinfo.partition(":")
    credentials = b64encode(unquote(f"{user}:").encode() + unquote(password).encode()).decode()
    return base, f"Basic {credentials}" if userinfo else None


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
