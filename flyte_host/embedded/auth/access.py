"""Whether a request may reach flyte, by a policy and the caller's token.

Owns the answers 401 and 503. A refused request does not reach the app, so unknown paths get a 401
too, as in the Go server. May block to fetch an issuer's keys.
"""

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from flyte_host.embedded.auth.policy import Policy, PolicyMatch
from flyte_host.embedded.auth.public_keys import KeysUnavailable
from flyte_host.embedded.auth.token_verifier import TokenInvalid, TokenVerifier
from flyte_host.embedded.codec import write_json

log = logging.getLogger("flyte_host.embedded.auth")

ASK = 'Bearer realm="token"'
ASK_FOR_ANOTHER = 'Bearer realm="token", error="invalid_token"'
JSON_TYPE = "application/json; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Denial:
    """The answer to a refused request."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class _RequestRefused(Exception):
    """``challenge`` is the WWW-Authenticate header, if any."""

    def __init__(self, reason: str, challenge: str = "") -> None:
        super().__init__(reason)
        self.challenge = challenge


class Access:
    """Lets requests pass that ``policy`` allows; safe from any thread."""

    def __init__(self, policy: Policy, verifier: TokenVerifier) -> None:
        self._policy = policy
        self._verifier = verifier

    def denial(self, method: str, raw_path: str, authorization: str) -> Denial | None:
        """The refusal of the request, if any; ``raw_path`` is the path as it was sent."""
        try:
            self._check(method, raw_path, authorization)
        except _RequestRefused as refused:
            log.info("refused %s: %s", ascii(f"{method} {unquote(raw_path)}"), refused)
            headers = {"WWW-Authenticate": refused.challenge} if refused.challenge else {}
            return _denial(401, str(refused), headers)
        except KeysUnavailable as error:
            seconds = str(math.ceil(error.retry_in_seconds))
            return _denial(503, str(error), {"Retry-After": seconds})
        return None

    def _check(self, method: str, raw_path: str, authorization: str) -> None:
        """Raises _RequestRefused and KeysUnavailable."""
        match = self._policy.find(method, _path(raw_path))
        if match is None:
            raise _RequestRefused("the policy has no rule for this path and method")
        if not match.is_public:
            self._check_token(match, authorization)

    def _check_token(self, match: PolicyMatch, authorization: str) -> None:
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise _RequestRefused("a Bearer token is needed", ASK)
        try:
            claims = self._verifier.claims(token.strip())
        except TokenInvalid as error:
            log.debug("bad token: %s", error)
            raise _RequestRefused("the token is invalid or expired", ASK_FOR_ANOTHER) from None
        if not match.is_fulfilled(claims):
            raise _RequestRefused("the token has none of the claims that the policy asks for")


def _path(raw_path: str) -> str:
    """The path exactly as the API's routing reads it, so that both mean the same."""
    try:
        return unquote(raw_path, errors="strict") or "/"
    except UnicodeError:
        raise _RequestRefused("the path is not UTF-8") from None


def _denial(status: int, text: str, headers: Mapping[str, str]) -> Denial:
    return Denial(status, {"Content-Type": JSON_TYPE, **headers}, write_json({"error": text}))
