"""What an operator can set.

Owns names, defaults and their checks. Must not know HTTP beyond the shape of a URL.
"""

import re
from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Literal
from urllib.parse import unquote, urlsplit

from flyte_pack_kit import check_more_than_zero, check_zero_or_more, read_address

Kind = Literal[
    "github", "gitlab", "jira", "slack", "alertmanager", "standard", "hmac", "token", "open"
]

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class HttpCredential:
    """The table ``[packs.<pack>.settings.credentials.<name>]``: a secret, and where it may go."""

    urls: Sequence[str]
    """Beginnings of the URLs that get it, such as ``https://api.example.com/v1``."""

    token: str = field(default="", repr=False)
    """Sent as ``Authorization: Bearer <token>``."""

    user: str = ""
    """Sent with ``password`` as basic authentication."""

    password: str = field(default="", repr=False)
    """The user's password."""

    header: str = ""
    """The name of a header that carries ``secret``, such as ``X-Api-Key``."""

    secret: str = field(default="", repr=False)
    """The header's value."""

    def __post_init__(self) -> None:
        given = [name for name in ("token", "user", "header") if getattr(self, name)]
        if len(given) != 1:
            found = " and ".join(given) or "none"
            raise ValueError(f"token, user, header: found {found}, expected one of them")
        if self.header and not (_TOKEN.fullmatch(self.header) and self.secret):
            raise ValueError("header, secret: expected the name of a header and its value")
        if not self.urls:
            raise ValueError("urls: found none, expected the URLs that get this credential")
        for each in self.urls:
            if _origin(each) is None:
                expected = "one like 'https://api.example.com/v1'"
                raise ValueError(f"urls: found {each!r}, expected {expected}")

    def covers(self, url: str) -> bool:
        """Whether a request to ``url`` gets it; a path that steps upwards is not covered."""
        steps = unquote(urlsplit(url).path).split("/")
        return ".." not in steps and any(_begins_with(url, each) for each in self.urls)


@dataclass(frozen=True, slots=True)
class WebhookEntry:
    """The table ``[packs.<pack>.settings.webhooks.<name>]``."""

    path: str
    """Where senders post it, such as ``/github``."""

    kind: Kind
    """The kind of sender, and so of signature and event; see the README."""

    secret: str = field(default="", repr=False)
    """What signs it, or the token that it carries. Only ``open`` goes without."""

    previous_secret: str = field(default="", repr=False)
    """Taken as well, while a secret is being replaced."""

    event: str = ""
    """The event that is raised; empty: the one of its kind, such as ``GitHubWebhook``."""

    header: str = ""
    """Of ``hmac`` and ``token``: the header with the signature or the token."""

    algorithm: Literal["sha1", "sha256", "sha512"] = "sha256"
    """Of ``hmac``: the hash of the signature."""

    encoding: Literal["hex", "base64"] = "hex"
    """Of ``hmac``: how the signature is written."""

    prefix: str = ""
    """For ``hmac`` and ``token``: the text before it in the header, such as ``sha256=``."""

    def __post_init__(self) -> None:
        if not self.path.startswith("/") or not self.path.isascii() or "?" in self.path:
            raise ValueError(f"path: found {self.path!r}, expected one like '/github'")
        if bool(self.secret) == (self.kind == "open"):
            expected = "none" if self.kind == "open" else "one, as the kind is signed"
            found = "one" if self.secret else "none"
            raise ValueError(f"secret: kind {self.kind!r}: found {found}, expected {expected}")
        if bool(self.header) != (self.kind in {"hmac", "token"}):
            raise ValueError("header: expected one with the kinds 'hmac' and 'token' only")
        if self.header and not _TOKEN.fullmatch(self.header):
            raise ValueError(f"header: found {self.header!r}, expected the name of a header")
        if self.event == "FATAL":
            raise ValueError("event: found 'FATAL', expected a name that does not mean a failure")
        if self.kind == "standard":
            self.standard_keys()

    def standard_keys(self) -> list[bytes]:
        """The keys of Standard Webhooks, which writes them as base64 after ``whsec_``."""
        secrets = [each for each in (self.secret, self.previous_secret) if each]
        try:
            return [b64decode(each.removeprefix("whsec_"), validate=True) for each in secrets]
        except ValueError:
            raise ValueError("secret: kind 'standard': expected base64 after 'whsec_'") from None


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """The table ``[packs.<pack>.settings]``."""

    timeout_seconds: float = 30
    """How long a request may take in all, redirects included; a flow may ask for less."""

    max_response_bytes: int = 1_000_000
    """How large the body of an answer may be, after it was unpacked."""

    max_redirects: int = 5
    """How many redirects a request follows."""

    allowed_networks: Sequence[str] = ()
    """Networks that are not public and may be called, such as ``10.1.0.0/16``."""

    verify: bool = True
    """Whether certificates are checked."""

    ca_file: str | None = None
    """PEM file of the authorities to trust; None: the public ones."""

    credentials: Mapping[str, HttpCredential] = field(default_factory=dict)
    """Secrets by the name under which flows ask for them."""

    listen: str = "127.0.0.1:8095"
    """Where the pack listens, if it has webhooks."""

    hosts: Sequence[str] = ()
    """Names by which others call the listener; only ``open`` webhooks look at them."""

    webhooks: Mapping[str, WebhookEntry] = field(default_factory=dict)
    """Each webhook by its name, which its events carry."""

    max_body_bytes: int = 1_000_000
    """How large the body of a webhook may be."""

    replay_window_seconds: float = 300
    """How far the time that a sender signed may be from ours."""

    remember_seconds: float = 86_400
    """How long the pack knows a webhook again that it had already."""

    remember_file: str | None = None
    """Where it keeps what it knows again; None: in memory, so a restart forgets it."""

    def __post_init__(self) -> None:
        for name in ("timeout_seconds", "max_response_bytes", "max_body_bytes"):
            check_more_than_zero(name, getattr(self, name))
        for name in ("replay_window_seconds", "remember_seconds"):
            check_more_than_zero(name, getattr(self, name))
        check_zero_or_more("max_redirects", self.max_redirects)
        self.networks()
        self.address()
        paths = [each.path for each in self.webhooks.values()]
        for each in paths:
            if paths.count(each) > 1:
                raise ValueError(f"webhooks: found the path {each!r} twice, expected once")

    def networks(self) -> list[IPv4Network | IPv6Network]:
        """The networks in ``allowed_networks``."""
        try:
            return [ip_network(each) for each in self.allowed_networks]
        except ValueError as cause:
            raise ValueError(f"allowed_networks: {cause}") from None

    def address(self) -> tuple[str, int]:
        """Host and port of ``listen``."""
        return read_address("listen", self.listen, "127.0.0.1:8095", least_port=0)


def _origin(url: str) -> tuple[str, str, int] | None:
    """Scheme, host and port; None if it is not a URL of a web service."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in _PORTS or not parts.hostname:
        return None
    return parts.scheme, parts.hostname, port or _PORTS[parts.scheme]


def _begins_with(url: str, beginning: str) -> bool:
    if _origin(url) is None or _origin(url) != _origin(beginning):
        return False
    base = urlsplit(beginning).path.rstrip("/")
    path = urlsplit(url).path
    return path == base or path.startswith(f"{base}/")
