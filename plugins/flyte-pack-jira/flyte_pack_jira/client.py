"""Jira's REST API, version 2, over HTTP.

Owns connections, the password and where it goes. Must not know commands or events. A session per
thread: Sessions of requests are not made to be shared.
"""

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote, unquote, urlsplit

import msgspec
import requests
from requests.auth import HTTPBasicAuth

from flyte_pack_jira.decoding import Decoded, decode
from flyte_pack_jira.settings import JiraSettings

T = TypeVar("T")

API = "rest/api/2"


class NoAnswer(Exception):
    """Jira gave no answer: it was not reached, or not asked at all; the text is the cause."""


@dataclass(frozen=True, slots=True)
class JiraAnswer:
    """What Jira said."""

    status: int
    content: bytes = b""
    location: str = ""

    def decoded(self, wanted: type[T]) -> Decoded[T]:
        """The body by Go's rules; one that is not valid JSON is an error as well."""
        try:
            return decode(wanted, _document(self.content))
        except (ValueError, RecursionError) as error:
            return Decoded(wanted(), f"not valid JSON: {error}")

    @property
    def complaints(self) -> list[str]:
        """What Jira itself says is wrong; nothing if it says nothing that can be read."""
        try:
            complaint = msgspec.convert(_document(self.content), Complaint)
        except (ValueError, RecursionError):
            return []
        told = [*complaint.error_messages, *complaint.errors.values()]
        return [" ".join(each.split()) for each in told if each.strip()]


class Complaint(msgspec.Struct, frozen=True, rename="camel"):
    error_messages: list[str] = []
    errors: dict[str, str] = {}


# msgspec crashes if two threads use a type for the first time at once: this is the first time.
msgspec.json.Decoder(Complaint)


class JiraClient:
    """Asks one Jira as one user; ``settings`` are completed."""

    def __init__(self, settings: JiraSettings) -> None:
        self.url = settings.url
        self.is_cloud = settings.is_cloud()
        self._settings = settings
        self._sessions = threading.local()

    def send(
        self,
        method: str,
        *segments: str,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        limit_seconds: float = 0,
    ) -> JiraAnswer:
        """Send a request to the path below the API; raises NoAnswer.

        Redirects are answers: following one would hand the password to where it leads, or turn a
        POST into a GET.
        """
        escaped = "/".join(_escaped(segment) for segment in segments)
        try:
            response = self._session().request(
                method,
                f"{self.url.removesuffix('/')}/{API}/{escaped}",
                params=query,
                json=body,
                timeout=limit_seconds or self._settings.timeout_seconds,
                allow_redirects=False,
            )
        except (requests.RequestException, ValueError, OSError) as error:
            raise NoAnswer(f"{type(error).__name__}: {error}") from error
        return JiraAnswer(
            response.status_code, response.content, response.headers.get("Location", "")
        )

    def path(self, *segments: str) -> str:
        """The path of a request as people read it, without escapes."""
        base = unquote(urlsplit(self.url).path).removesuffix("/")
        return "/".join((base, API, *segments))

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._sessions, "session", None)
        if session is None:
            session = self._sessions.session = self._new_session()
        return session

    def _new_session(self) -> requests.Session:
        settings = self._settings
        session = requests.Session()
        # Neither a netrc file nor a proxy of the host's environment may see the password.
        session.trust_env = False
        # As bytes, because requests writes text as Latin-1 and Jira reads UTF-8.
        session.auth = HTTPBasicAuth(settings.user.encode(), settings.password.encode())
        session.verify = (settings.ca_file or True) if settings.verify else False
        session.headers["Accept"] = "application/json"
        return session


def _document(content: bytes) -> Any:
    """The JSON of a body; a lone surrogate, which Go replaces, is replaced here too."""
    try:
        return msgspec.json.decode(content)
    except msgspec.DecodeError:
        if b"\\u" not in content:
            raise
    return _replace_surrogates(json.loads(content))


def _replace_surrogates(value: Any) -> Any:
    match value:
        case str():
            return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        case list():
            return [_replace_surrogates(each) for each in value]
        case dict():
            return {
                _replace_surrogates(key): _replace_surrogates(each) for key, each in value.items()
            }
    return value


def _escaped(segment: str) -> str:
    if segment in {".", ".."}:
        raise NoAnswer(f"{segment!r} is not an id")  # it would lead to another place of Jira's API
    return quote(segment, safe="")
