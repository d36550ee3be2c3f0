"""A policy and tokens around a WSGI app: only allowed requests reach it.

Owns the answers 401 and 503. A refused request reaches nothing of the app: unknown paths are
answered with 401 too, as by the Go server.
"""

import logging
import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from flyte_host.embedded.auth.file_keys import FileKeys
from flyte_host.embedded.auth.issuer_keys import IssuerKeys
from flyte_host.embedded.auth.policy import Policy, PolicyMatch
from flyte_host.embedded.auth.policy_file import PolicyInvalid, read_policy
from flyte_host.embedded.auth.public_keys import KeySource, KeysUnavailable
from flyte_host.embedded.auth.token_verifier import TokenInvalid, TokenVerifier
from flyte_host.embedded.codec import write_json
from flyte_host.errors import ConfigError
from flyte_host.response_headers import PROTECTIVE_HEADERS
from flyte_host.text import reason

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

log = logging.getLogger("flyte_host.embedded.auth")

ASK = 'Bearer realm="token"'
ASK_FOR_ANOTHER = 'Bearer realm="token", error="invalid_token"'

_T = TypeVar("_T")


class AuthSettings(Protocol):
    """The policy file, and where keys come from: ``jwks_file`` or ``issuer_url``."""

    @property
    def policy(self) -> Path: ...
    @property
    def audience(self) -> str: ...
    @property
    def jwks_file(self) -> Path | None: ...
    @property
    def issuer_url(self) -> str | None: ...
    @property
    def issuer_ca_file(self) -> Path | None: ...


class RequestRefused(Exception):
    """The request goes no further; ``challenge`` is the WWW-Authenticate header, if any."""

    def __init__(self, reason: str, challenge: str = "") -> None:
        super().__init__(reason)
        self.challenge = challenge


class AuthMiddleware:
    """A WSGI app that passes on to ``app`` what ``policy`` allows."""

    def __init__(self, app: "WSGIApplication", policy: Policy, verifier: TokenVerifier) -> None:
        self._app = app
        self._policy = policy
        self._verifier = verifier

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        try:
            self._check(environ)
        except RequestRefused as refused:
            log.info("refused %s: %s", _request_line(environ), refused)
            headers = [("WWW-Authenticate", refused.challenge)] if refused.challenge else []
            return _answer(start_response, "401 Unauthorized", str(refused), headers)
        except KeysUnavailable as error:
            seconds = str(math.ceil(error.retry_in_seconds))
            return _answer(
                start_response, "503 Service Unavailable", str(error), [("Retry-After", seconds)]
            )
        return self._app(environ, start_response)

    def _check(self, environ: "WSGIEnvironment") -> None:
        """Raises RequestRefused and KeysUnavailable."""
        match = self._policy.find(environ["REQUEST_METHOD"], _path(environ))
        if match is None:
            raise RequestRefused("the policy has no rule for this path and method")
        if not match.is_public:
            self._check_token(match, environ.get("HTTP_AUTHORIZATION", ""))

    def _check_token(self, match: PolicyMatch, authorization: str) -> None:
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise RequestRefused("a Bearer token is needed", ASK)
        try:
            claims = self._verifier.claims(token.strip())
        except TokenInvalid as error:
            log.debug("bad token: %s", error)
            raise RequestRefused("the token is invalid or expired", ASK_FOR_ANOTHER) from None
        if not match.is_fulfilled(claims):
            raise RequestRefused("the token has none of the claims that the policy asks for")


def _path(environ: "WSGIEnvironment") -> str:
    """The path exactly as the API's routing reads it, so that both mean the same."""
    raw: str = environ.get("PATH_INFO", "")
    try:
        return raw.encode("latin-1").decode() or "/"
    except UnicodeError:
        raise RequestRefused("the path is not UTF-8") from None


def _request_line(environ: "WSGIEnvironment") -> str:
    return ascii(f"{environ['REQUEST_METHOD']} {environ.get('PATH_INFO', '')}")


def _answer(
    start_response: "StartResponse", status: str, text: str, headers: list[tuple[str, str]]
) -> Iterable[bytes]:
    body = write_json({"error": text})
    kind = ("Content-Type", "application/json; charset=utf-8")
    length = ("Content-Length", str(len(body)))
    start_response(status, [kind, length, *PROTECTIVE_HEADERS, *headers])
    return [body]


def protect(
    app: "WSGIApplication", settings: AuthSettings, *, at: str = "auth"
) -> "WSGIApplication":
    """``app`` behind a policy; raises ConfigError with all problems of the files.

    ``at`` is where the settings stand in the configuration, for the words of a problem.
    """
    problems: list[str] = []
    policy = _read(f"{at}.policy", lambda: _read_policy_file(settings.policy), problems)
    keys = _read(f"{at}.jwks_file", lambda: _key_source(settings), problems)
    if policy is None or keys is None:
        raise ConfigError(problems)
    return AuthMiddleware(app, policy, TokenVerifier(keys, settings.audience))


def _read(key: str, read: Callable[[], _T], problems: list[str]) -> _T | None:
    try:
        return read()
    except (PolicyInvalid, ConfigError) as error:
        problems += error.problems
    except ValueError as error:
        problems.append(f"{key}: {error}")
    return None


def _read_policy_file(path: Path) -> Policy:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ValueError(f"{path}: {reason(error)}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path}: found bytes that are not UTF-8") from None
    return read_policy(text, source=str(path))


def _key_source(settings: AuthSettings) -> KeySource:
    if settings.issuer_url is not None:
        return IssuerKeys(settings.issuer_url, ca_file=settings.issuer_ca_file)
    return FileKeys(settings.jwks_file or Path())
