"""One request to a web service: what a flow asks for, and its outcome.

Owns the input of ``Request``, redirects, and which secret goes where. Must not know events.
"""

import base64
import codecs
import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import urljoin, urlsplit

import msgspec
import requests
import urllib3
from flyte_pack_kit import ServerWords, TimeLimit, parse_json
from requests.utils import requote_uri

from flyte_host import trace_headers
from flyte_pack_http.public_address import GuardedAdapter
from flyte_pack_http.settings import HttpCredential, HttpSettings

_CHUNK_BYTES = 16_384
_NO_CHARSETS = {"idna", "punycode", "raw-unicode-escape", "undefined", "unicode-escape", "utf-7"}
"""Codecs of Python that no service means: some are slow for long texts, some make surrogates."""
_REDIRECTS = {301, 302, 303, 307, 308}
_KEPT_TO_ITSELF = {"set-cookie", "set-cookie2"}
"""Headers of an answer that are secrets between the service and us."""


class NoWebAnswer(Exception):
    """There is no answer: the request could not be sent, or was not answered; the text says why."""


class WebRequest(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """The input of ``Request``."""

    url: str
    method: str = "GET"
    headers: dict[str, str] = {}
    query: dict[str, str | list[str]] = {}
    json: Any = None
    form: dict[str, str | list[str]] = {}
    body: str = ""
    credential: str = ""
    timeout_seconds: float | None = None
    expected_status: list[int] = []
    follow_redirects: bool = True


@dataclass(frozen=True, slots=True)
class WebResponse:
    """What a service answered."""

    url: str
    status: int
    seconds: float
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes = b""
    charset: str = ""

    def is_expected(self, expected_status: list[int]) -> bool:
        """Whether it is what the flow expected: one of these, or any success."""
        if expected_status:
            return self.status in expected_status
        return 200 <= self.status < 300

    def payload(self) -> dict[str, Any]:
        """Everything, the body as text and, if it is JSON, as a document too."""
        text, is_text = self._text()
        return {
            "url": self.url,
            "status": self.status,
            "headers": self.headers,
            "contentType": self.headers.get("content-type", "").split(";")[0].strip().lower(),
            "body": text if is_text else "",
            "bodyBase64": "" if is_text else base64.b64encode(self.content).decode(),
            "json": _document(text) if is_text else None,
            "seconds": round(self.seconds, 3),
        }

    def _text(self) -> tuple[str, bool]:
        for charset in (self.charset, "utf-8"):
            try:
                if charset and codecs.lookup(charset).name not in _NO_CHARSETS:
                    return self.content.decode(charset), True
            except (ValueError, LookupError):
                continue
        return "", False


class WebSender:
    """Sends requests, each within its time and over its own connections."""

    def __init__(self, settings: HttpSettings) -> None:
        self._settings = settings
        self._networks = settings.networks()
        self._verify: bool | str = (settings.ca_file or True) if settings.verify else False

    def send(self, wanted: WebRequest) -> WebResponse:
        """The answer, after redirects; raises NoWebAnswer."""
        limit_seconds = min(
            wanted.timeout_seconds or self._settings.timeout_seconds,
            self._settings.timeout_seconds,
        )
        if limit_seconds <= 0:
            raise NoWebAnswer(f"timeoutSeconds: found {limit_seconds:g}, expected more than 0")
        credential = self._credential(wanted.credential)
        words = _words_without(credential)
        request = _prepared(wanted)
        started = time.monotonic()
        with TimeLimit(limit_seconds) as limit:
            try:
                answer = self._follow(wanted, request, credential, limit)
            except NoWebAnswer as cause:  # it may name where a service redirected us
                raise NoWebAnswer(words.show(str(cause))) from cause
            except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as cause:
                told = f"{_over(limit, limit_seconds)}{_reason(cause)}"
                raise NoWebAnswer(words.show(told)) from cause
            except ValueError as cause:  # what the parsers of URLs raise for some of them
                raise NoWebAnswer(words.show(f"{type(cause).__name__}: {cause}")) from cause
        return _answer(answer, words, time.monotonic() - started)

    def _credential(self, name: str) -> HttpCredential | None:
        if not name:
            return None
        if name not in self._settings.credentials:
            known = ", ".join(self._settings.credentials) or "none"
            raise NoWebAnswer(f"credential: found {name!r}, expected one of the settings: {known}")
        return self._settings.credentials[name]

    def _follow(
        self,
        wanted: WebRequest,
        request: requests.PreparedRequest,
        credential: HttpCredential | None,
        limit: TimeLimit,
    ) -> "_Read":
        """Every hop is a new request: its address and its secrets are checked again."""
        if credential is not None and not credential.covers(request.url or ""):
            raise NoWebAnswer(
                f"credential {wanted.credential!r} is not for this URL, but for"
                f" {', '.join(credential.urls)}"
            )
        for _ in range(self._settings.max_redirects + 1):
            answer = self._ask(request, credential, limit)
            if not (wanted.follow_redirects and answer.is_redirect()):
                return answer
            request = _redirected(request, answer)
        raise NoWebAnswer(f"more than {self._settings.max_redirects} redirects (max_redirects)")

    def _ask(
        self,
        request: requests.PreparedRequest,
        credential: HttpCredential | None,
        limit: TimeLimit,
    ) -> "_Read":
        sent = request.copy()
        if credential is not None and credential.covers(sent.url or ""):
            sent.headers.update(_secret_headers(credential))
        adapter = GuardedAdapter(self._networks, limit)
        try:
            response = adapter.send(
                sent, stream=True, timeout=limit.left_seconds(), verify=self._verify, proxies={}
            )
            with contextlib.closing(response):
                # Nobody needs the body of a redirect.
                content = b"" if _is_redirect(response) else self._read(response)
            if limit.is_over:
                raise TimeoutError("cut off")
            return _Read(response, sent.url or "", content)
        finally:
            adapter.close()

    def _read(self, response: requests.Response) -> bytes:
        most = self._settings.max_response_bytes
        content = bytearray()
        for chunk in response.raw.stream(_CHUNK_BYTES, decode_content=True):
            content += chunk
            if len(content) > most:
                raise NoWebAnswer(
                    f"{response.status_code}, with a body of more than {most} bytes"
                    " (max_response_bytes)"
                )
        return bytes(content)


@dataclass(frozen=True, slots=True)
class _Read:
    """An answer whose body was read."""

    response: requests.Response
    url: str
    content: bytes

    def is_redirect(self) -> bool:
        return _is_redirect(self.response)


def _is_redirect(response: requests.Response) -> bool:
    return response.status_code in _REDIRECTS and "location" in response.headers


def _prepared(wanted: WebRequest) -> requests.PreparedRequest:
    given = [name for name in ("json", "form", "body") if getattr(wanted, name)]
    if len(given) > 1:
        raise NoWebAnswer(f"{' and '.join(given)}: found both, expected one of them")
    _check_url(wanted.url)
    try:
        return requests.Request(
            wanted.method.upper(),
            wanted.url,
            headers={**trace_headers(), **wanted.headers},
            params=wanted.query,
            data=dict(wanted.form) or wanted.body.encode() or None,
            json=wanted.json,
        ).prepare()
    except (requests.RequestException, ValueError) as cause:
        raise NoWebAnswer(f"{type(cause).__name__}: {cause}") from cause


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        has_user = parts.username is not None or parts.password is not None
    except ValueError as cause:
        raise NoWebAnswer(f"url: {cause}") from cause
    if has_user:
        raise NoWebAnswer("url: found a user or password in it, expected a credential")
    if parts.scheme.lower() not in {"http", "https"} or not parts.hostname:
        raise NoWebAnswer(f"url: found {url!r}, expected one like 'https://api.example.com/v1'")


def _redirected(request: requests.PreparedRequest, answer: _Read) -> requests.PreparedRequest:
    """The next hop, as browsers and requests make it: most become a GET without a body."""
    status = answer.response.status_code
    target = answer.response.headers["location"].encode("latin-1").decode("utf-8", "replace")
    url = urljoin(answer.url, target)
    _check_url(url)
    following = request.copy()
    is_post_no_more = status in {301, 302} and request.method == "POST"
    if (status == HTTPStatus.SEE_OTHER and request.method != "HEAD") or is_post_no_more:
        following.method = "GET"
        following.body = None
        for name in ("Content-Length", "Content-Type", "Transfer-Encoding"):
            following.headers.pop(name, None)
    if _site(url) != _site(answer.url):
        for name in ("Authorization", "Cookie", "Proxy-Authorization"):
            following.headers.pop(name, None)
    following.headers.pop("Host", None)
    following.prepare_url(requote_uri(url), {})
    return following


def _site(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port


def _secret_headers(credential: HttpCredential) -> dict[str, str]:
    if credential.header:
        return {credential.header: credential.secret}
    if credential.token:
        return {"Authorization": f"Bearer {credential.token}"}
    return {"Authorization": f"Basic {_basic(credential)}"}


def _basic(credential: HttpCredential) -> str:
    return base64.b64encode(f"{credential.user}:{credential.password}".encode()).decode()


def _words_without(credential: HttpCredential | None) -> ServerWords:
    """Hides the secret: some services and proxies repeat what they were sent."""
    if credential is None:
        return ServerWords()
    secrets = [credential.token, credential.password, credential.secret]
    if credential.user:
        secrets.append(_basic(credential))
    # Bodies and headers are checked as Latin-1, in which UTF-8 is other characters.
    return ServerWords(*secrets, *(each.encode().decode("latin-1") for each in secrets))


def _answer(read: _Read, words: ServerWords, seconds: float) -> WebResponse:
    content = words.hide(read.content.decode("latin-1")).encode("latin-1")
    headers = {
        name.lower(): words.hide(value)
        for name, value in read.response.headers.items()
        if name.lower() not in _KEPT_TO_ITSELF
    }
    charset = requests.utils.get_encoding_from_headers(read.response.headers) or ""
    if "charset" not in headers.get("content-type", ""):
        charset = ""  # not the guess of an older standard, but UTF-8 or no text
    url = words.hide(read.url)
    return WebResponse(url, read.response.status_code, seconds, headers, content, charset)


def _document(text: str) -> Any:
    try:
        return parse_json(text.encode())
    except ValueError:
        return None


def _over(limit: TimeLimit, limit_seconds: float) -> str:
    return f"no end after {limit_seconds:g} s: " if limit.is_over else ""


def _reason(cause: BaseException) -> str:
    """The innermost words: requests and urllib3 wrap them several times."""
    while True:
        inner = next((each for each in cause.args if isinstance(each, BaseException)), None)
        inner = inner or getattr(cause, "reason", None)
        if not isinstance(inner, BaseException):
            return f"{type(cause).__name__}: {cause}"
        cause = inner
