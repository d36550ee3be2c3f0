"""Keys from an OpenID Connect issuer, found through its discovery document.

Owns how fresh keys are and how often to ask the issuer. Must not know tokens.
"""

import logging
import threading
from collections.abc import Sequence
from pathlib import Path

import msgspec

from flyte_host.clock import Clock
from flyte_host.embedded.auth.public_keys import (
    KeysUnavailable,
    PublicKey,
    read_keys,
    select_keys,
)
from flyte_host.issuer_client import IssuerClient
from flyte_host.json_decoding import decode_json
from flyte_host.origin import is_secure

log = logging.getLogger("flyte_host.embedded.auth")

REFRESH_SECONDS = 30.0
"""The shortest time between two requests to the issuer because of an unknown key."""
RETRY_SECONDS = 5.0
"""The shortest time between two requests while the issuer is away."""
LONGEST_SECONDS = 3600.0
"""How old keys may get: a key that the issuer has withdrawn must stop working."""
WAIT_SECONDS = 2.0
"""How long a request waits while another one fetches the first keys."""


class _DiscoveryDocument(msgspec.Struct):
    issuer: str
    jwks_uri: str


class IssuerKeys:
    """The keys of an issuer, fetched when the first token has to be checked.

    An issuer that is away is logged once, and once more when it is back. Raises ConfigError for a
    bad ``ca_file``.
    """

    def __init__(
        self, issuer: str, *, ca_file: Path | None = None, clock: Clock | None = None
    ) -> None:
        self.issuer: str | None = issuer
        self._url = issuer
        clock = clock or Clock()
        self._client = IssuerClient(ca_file, clock)
        self._elapsed = clock.elapsed
        self._lock = threading.Lock()
        self._keys: list[PublicKey] = []
        self._read_at = self._asked_at = float("-inf")
        self._is_away = False

    def find(self, kid: str | None, algorithm: str) -> Sequence[PublicKey]:
        if not self._keys:
            self._refresh(RETRY_SECONDS, WAIT_SECONDS)
        elif self._elapsed() - self._read_at > LONGEST_SECONDS:
            self._refresh(REFRESH_SECONDS, 0)
        if not self._keys:
            raise KeysUnavailable(RETRY_SECONDS)
        if not select_keys(self._keys, kid, algorithm):
            self._refresh(REFRESH_SECONDS, 0)
        return select_keys(self._keys, kid, algorithm)

    def _refresh(self, pause_seconds: float, wait_seconds: float) -> None:
        """Ask the issuer, unless it was asked recently or another request is asking."""
        if not self._lock.acquire(timeout=wait_seconds):
            return
        try:
            if self._elapsed() - self._asked_at >= pause_seconds:
                self._ask()
                self._asked_at = self._elapsed()
        finally:
            self._lock.release()

    def _ask(self) -> None:
        try:
            self._keys = read_keys(self._client.fetch(self._keys_url()))
        except ValueError as error:
            if not self._is_away:
                log.error("tokens of %s cannot be checked: %s", self._url, error)
            self._is_away = True
        else:
            self._read_at = self._elapsed()
            if self._is_away:
                log.info("tokens of %s can be checked again", self._url)
            self._is_away = False

    def _keys_url(self) -> str:
        where = self._url.rstrip("/") + "/.well-known/openid-configuration"
        body = self._client.fetch(where)
        try:
            document = decode_json(body, _DiscoveryDocument)
        except ValueError as error:
            raise ValueError(f"{where} is not a discovery document: {error}") from None
        url = document.jwks_uri
        if document.issuer != self._url:
            raise ValueError(
                f"{where} is for issuer {document.issuer!r}, expected exactly {self._url!r}"
            )
        if not is_secure(url):
            raise ValueError(f"{where} names keys at {url!r}, expected https://")
        return url
