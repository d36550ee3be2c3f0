"""Calls of one service over HTTP.

Owns connections, the password and where it goes, and how long and how large an answer may be. Must
not know commands or events. A session per thread: those of requests are not meant to be shared.
"""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.cookiejar import DefaultCookiePolicy
from typing import Any, TypeVar
from urllib.parse import quote, unquote, urlsplit

import requests
from requests.auth import HTTPBasicAuth

from flyte_host import trace_headers
from flyte_pack_kit.go_json import Decoded, decode, parse_json
from flyte_pack_kit.server_words import ServerWords
from flyte_pack_kit.whole_answer_adapter import WholeAnswerAdapter

T = TypeVar("T")

_CHUNK_BYTES = 65536
_LONGEST_LOCATION = 200
_LEAST_SECONDS = 0.001
"""Sockets take a timeout of 0 for none."""


class NoAnswer(Exception):
    """The service gave no answer: not reached, cut off, or not asked at all; the text says why."""


@dataclass(frozen=True, slots=True)
class RestTarget:
    """A service and how to talk to it."""

    url: str
    """Where it is; calls go below ``root``, which follows it."""

    root: str = ""
    user: str = ""
    """Who we are, by basic authentication; empty: nobody."""

    password: str = field(default="", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Sent with every call; their values are secrets."""

    timeout_seconds: float = 30
    """How long a connection may take, and then the whole answer."""

    verify: bool = True
    ca_file: str | None = None
    client_certificate: tuple[str, str] | None = None
    """PEM files of a certificate and its key."""

    max_answer_bytes: int = 10_000_000

    def words(self) -> ServerWords:
        """What shows the words of the service, without the secrets it is sent."""
        return ServerWords(self.password, *self.headers.values())


@dataclass(frozen=True, slots=True)
class RestAnswer:
    """What the service said."""

    status: int
    content: bytes = b""
    location: str = ""
    words: ServerWords = field(default_factory=ServerWords, repr=False, compare=False)
    """Shows what the service said, without the secrets it was sent."""

    @property
    def is_html(self) -> bool:
        """Whether it is a page for people, like that of a login in front of the service."""
        start = self.content[:200].lstrip().lower()
        return start.startswith((b"<html", b"<!doctype html"))

    @property
    def stranger(self) -> str:
        """Words for an answer of something in front of the service; empty if it may be its own."""
        if 300 <= self.status < 400 and self.location:
            target = self.words.show(self.location.partition("?")[0])
            return f"a redirect to {target[:_LONGEST_LOCATION]}"
        return "a page of HTML" if self.is_html else ""

    def document(self) -> Any:
        """The body as JSON; raises ValueError."""
        if self.is_html:
            raise ValueError("it is a page of HTML")
        return parse_json(self.content)

    def decoded(self, wanted: type[T]) -> Decoded[T]:
        """The body by Go's rules; one that is not valid JSON is an error as well."""
        try:
            return decode(wanted, self.document())
        except ValueError as error:
            return Decoded(wanted(), f"not valid JSON: {error}")


class RestClient:
    """Asks one service as one user."""

    def __init__(self, target: RestTarget) -> None:
        self.target = target
        self.words = target.words()
        self._base = "/".join(filter(None, (target.url.removesuffix("/"), target.root)))
        self._sessions = threading.local()

    def send(
        self,
        method: str,
        *segments: str,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        limit_seconds: float = 0,
    ) -> RestAnswer:
        """Send a request to the path below the root; raises NoAnswer.

        Each segment is escaped, so that no value leads elsewhere. Redirects are answers: following
        one would hand the password to where it leads, or turn a POST into a GET. A GET whose
        connection broke is sent once more, in the time that is left. The trace of the action goes
        with it.
        """
        url = "/".join([self._base, *map(_escaped, segments)])
        left = limit_seconds or self.target.timeout_seconds
        ends_at = time.monotonic() + left
        attempts = 2 if method == "GET" else 1
        while True:
            attempts -= 1
            try:
                return self._answer(method, url, query, body, left)
            except (requests.RequestException, ValueError, OSError) as error:
                is_over = time.monotonic() >= ends_at
                if is_over or not attempts or not _may_be_retried(error):
                    raise NoAnswer(self.words.show(f"{type(error).__name__}: {error}")) from error
                left = max(ends_at - time.monotonic(), _LEAST_SECONDS)

    def path(self, *segments: str) -> str:
        """The path of a request as people read it, without escapes."""
        return "/".join([unquote(urlsplit(self._base).path), *segments])

    def _answer(
        self, method: str, url: str, query: Mapping[str, str] | None, body: Any, seconds: float
    ) -> RestAnswer:
        with self._session().request(
            method,
            url,
            params=query,
            json=body,
            headers=trace_headers(),
            timeout=seconds,
            allow_redirects=False,
            stream=True,
        ) as response:
            content = bytearray()
            for chunk in response.iter_content(_CHUNK_BYTES):
                content += chunk
                if len(content) > self.target.max_answer_bytes:
                    limit = self.target.max_answer_bytes
                    raise ValueError(f"the answer has more than {limit} bytes")
            location = response.headers.get("Location", "")
            return RestAnswer(response.status_code, bytes(content), location, self.words)

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._sessions, "session", None)
        if session is None:
            session = self._sessions.session = self._new_session()
        return session

    def _new_session(self) -> requests.Session:
        target = self.target
        session = _StraightSession()
        session.mount("http://", WholeAnswerAdapter())
        session.mount("https://", WholeAnswerAdapter())
        # Neither a netrc file nor a proxy of the host's environment may see the password.
        session.trust_env = False
        # A session at the service would outlive a password, and nobody bounds how much it may keep.
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        if target.user:
            # As bytes, because requests writes text as Latin-1 and services read UTF-8.
            session.auth = HTTPBasicAuth(target.user.encode(), target.password.encode())
        session.verify = (target.ca_file or True) if target.verify else False
        session.cert = target.client_certificate
        session.headers.update({"Accept": "application/json", "Accept-Encoding": "identity"})
        session.headers.update(target.headers)
        return session


class _StraightSession(requests.Session):
    """Takes a redirect as it is: requests would read its body, however long, for the next one."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        """There is no next request."""


def _may_be_retried(error: Exception) -> bool:
    """Whether the connection broke; a timeout has used up the time, and others would repeat."""
    broken = isinstance(error, requests.ConnectionError)
    return broken and not isinstance(error, (requests.Timeout, requests.exceptions.SSLError))


def _escaped(segment: str) -> str:
    if segment in {".", ".."}:
        raise NoAnswer(f"{segment!r} is not an id")  # it would lead to another place of the API
    return quote(segment, safe="", errors="replace")
