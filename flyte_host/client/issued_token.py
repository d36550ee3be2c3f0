"""flyte's token from an issuer, by the client credentials of OAuth 2.

Owns when a new token is asked for, and what happens while the issuer is away. Must not know who
sends the token.
"""

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from flyte_host.client.bearer_token import TokenUnavailable
from flyte_host.client.token import why_no_token
from flyte_host.clock import Clock
from flyte_host.issuer_client import IssuerClient
from flyte_host.json_decoding import decode_json
from flyte_host.secrets import Scrubber, SecretRef

log = logging.getLogger(__name__)

RENEW_AT = 2 / 3
"""The part of a token's life after which a new one is asked for, while the old one still holds."""
RETRY_SECONDS = 5.0
"""The shortest time between two requests to the issuer, for all callers together."""
DEFAULT_LIFE_SECONDS = 300.0
"""The life of a token whose issuer gives no ``expires_in``, or an impossible one."""
LONGEST_LIFE_SECONDS = 366 * 86_400.0
"""A longer life is cut to this, so that dates cannot overflow; renewing early does no harm."""
DISCOVERY = "/.well-known/openid-configuration"


@dataclass(frozen=True, slots=True)
class Credentials:
    """The client, and where it asks: ``token_url``, or what ``issuer_url`` says in its document."""

    client_id: str
    client_secret: SecretRef
    token_url: str | None = None
    issuer_url: str | None = None
    scope: str = ""
    audience: str = ""
    ca_file: Path | None = None


class _Discovery(msgspec.Struct):
    token_endpoint: str


class _Issued(msgspec.Struct):
    access_token: str
    expires_in: float | None = None

    @property
    def life_seconds(self) -> float:
        said = self.expires_in or 0
        return min(said, LONGEST_LIFE_SECONDS) if said > 0 else DEFAULT_LIFE_SECONDS


class IssuedToken:
    """A token that is renewed before it ends; safe in any thread, and never shown.

    The issuer may be away when the host starts, and later: an old token is sent as long as it
    holds. Raises SecretMissing when made without a usable client secret, and ConfigError for a
    ``ca_file`` that cannot be used. ``scrubber`` learns every token and secret that is read.
    """

    def __init__(
        self,
        credentials: Credentials,
        environ: Mapping[str, str],
        *,
        clock: Clock | None = None,
        scrubber: Scrubber | None = None,
    ) -> None:
        self._credentials = credentials
        self._environ = environ
        self._clock = clock or Clock()
        self._scrubber = scrubber or Scrubber()
        self._issuer = IssuerClient(credentials.ca_file, self._clock)
        self._token_url = credentials.token_url
        self._lock = threading.Lock()
        self._value = ""
        self._problem = "no token has been requested yet"
        self._renew_at = self._ends_at = self._ask_at = self._clock.elapsed()
        self._read_secret()

    def current(self) -> str:
        now = self._clock.elapsed()
        if now >= self._renew_at and now >= self._ask_at:
            self._renew(must_wait=now >= self._ends_at)
        if not self._value or self._clock.elapsed() >= self._ends_at:
            raise TokenUnavailable(f"there is no token for flyte: {self._problem}")
        return self._value

    def refresh(self) -> bool:
        """Ask for another one, unless the issuer was asked a moment ago."""
        before = self._value
        if self._clock.elapsed() >= self._ask_at:
            self._renew(must_wait=True)
        return self._value != before

    def expires_at(self) -> datetime | None:
        if not self._value:
            return None
        left = self._ends_at - self._clock.elapsed()
        return self._clock.now() + timedelta(seconds=left)

    def _renew(self, *, must_wait: bool) -> None:
        """One thread asks; others keep using the current token while it is valid."""
        if not self._lock.acquire(blocking=must_wait):
            return
        try:
            if self._clock.elapsed() >= self._ask_at:  # else another thread just did
                self._ask()
        finally:
            self._lock.release()

    def _ask(self) -> None:
        asked_at = self._clock.elapsed()
        try:
            issued = self._request()
        except ValueError as error:
            self._fail(str(error))
        else:
            if self._problem and self._value:
                log.info("flyte's token can be renewed again")
            life_seconds = issued.life_seconds
            self._ends_at = asked_at + life_seconds
            self._renew_at = asked_at + life_seconds * RENEW_AT
            self._value, self._problem = issued.access_token, ""
        self._ask_at = self._clock.elapsed() + RETRY_SECONDS

    def _fail(self, problem: str) -> None:
        if problem != self._problem:
            log.warning("flyte's token cannot be renewed: %s", problem)
        self._problem = problem

    def _request(self) -> _Issued:
        """Raises ValueError with what is wrong."""
        url = self._token_url or self._discover()
        wanted = {"scope": self._credentials.scope, "audience": self._credentials.audience}
        form = {"grant_type": "client_credentials"} | {k: v for k, v in wanted.items() if v}
        body = self._issuer.post(url, form, self._credentials.client_id, self._read_secret())
        try:
            # Some issuers write the number as text.
            issued = decode_json(body, _Issued, strict=False)
        except ValueError as error:
            raise ValueError(f"{url}: found no token: {error}") from None
        self._scrubber.learn(issued.access_token)
        if problem := why_no_token(issued.access_token):
            raise ValueError(f"{url}: the answer {problem}")
        return issued

    def _discover(self) -> str:
        url = f"{str(self._credentials.issuer_url).rstrip('/')}{DISCOVERY}"
        body = self._issuer.fetch(url)
        try:
            document = decode_json(body, _Discovery)
        except ValueError as error:
            raise ValueError(f"{url}: found no token_endpoint: {error}") from None
        self._token_url = document.token_endpoint
        return document.token_endpoint

    def _read_secret(self) -> str:
        """Read each time, since its file may change; raises SecretMissing, a ValueError."""
        secret = self._credentials.client_secret.read(self._environ)
        self._scrubber.learn(secret)
        return secret
