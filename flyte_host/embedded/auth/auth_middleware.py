"""A policy and tokens around an ASGI app: only allowed requests reach it.

Owns the answers 401 and 503. A refused request reaches nothing of the app: unknown paths are
answered with 401 too, as by the Go server.
"""

import asyncio
import logging
import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from starlette.datastructures import Headers
from starlette.responses import Response

from flyte_host.embedded.asgi_app import path_of
from flyte_host.embedded.auth.file_keys import FileKeys
from flyte_host.embedded.auth.issuer_keys import IssuerKeys
from flyte_host.embedded.auth.policy import Policy, PolicyMatch
from flyte_host.embedded.auth.policy_file import PolicyInvalid, read_policy
from flyte_host.embedded.auth.public_keys import KeySource, KeysUnavailable
from flyte_host.embedded.auth.token_verifier import TokenInvalid, TokenVerifier
from flyte_host.embedded.codec import write_json
from flyte_host.errors import ConfigError
from flyte_host.text import reason

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

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
    """An ASGI app that passes on to ``app`` what ``policy`` allows."""

    def __init__(self, app: "ASGIApp", policy: Policy, verifier: TokenVerifier) -> None:
        self._app = app
        self._policy = policy
        self._verifier = verifier

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        try:
            # In a thread: the keys of an issuer may have to be fetched.
            await asyncio.to_thread(self._check, scope)
        except RequestRefused as refused:
            log.info("refused %s: %s", _request_line(scope), refused)
            headers = {"WWW-Authenticate": refused.challenge} if refused.challenge else {}
            answer = _answer(401, str(refused), headers)
        except KeysUnavailable as error:
            seconds = str(math.ceil(error.retry_in_seconds))
            answer = _answer(503, str(error), {"Retry-After": seconds})
        else:
            await self._app(scope, receive, send)
            return
        await answer(scope, receive, send)

    def _check(self, scope: "Scope") -> None:
        """Raises RequestRefused and KeysUnavailable."""
        match = self._policy.find(scope["method"], _path(scope))
        if match is None:
            raise RequestRefused("the policy has no rule for this path and method")
        if not match.is_public:
            self._check_token(match, Headers(scope=scope).get("Authorization", ""))

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


def _path(scope: "Scope") -> str:
    """The path exactly as the API's routing reads it, so that both mean the same."""
    try:
        return path_of(scope) or "/"
    except UnicodeError:
        raise RequestRefused("the path is not UTF-8") from None


def _request_line(scope: "Scope") -> str:
    return ascii(f"{scope['method']} {scope['path']}")


def _answer(status: int, text: str, headers: dict[str, str]) -> Response:
    return Response(write_json({"error": text}), status, headers, "application/json; charset=utf-8")


def protect(app: "ASGIApp", settings: AuthSettings, *, at: str = "auth") -> "ASGIApp":
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
