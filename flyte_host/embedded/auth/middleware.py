"""Only who may gets through to flyte's API: a policy and tokens around a WSGI app.

Owns the answers 401 and 503. Nothing of the app is reached by a request that is refused: on an
unknown path, too, the answer is 401, as of the Go server.
"""

import logging
import math
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flyte_host.config.schema import AuthConfig
from flyte_host.embedded.auth.keys import FileKeys, IssuerKeys, Keys, KeysUnavailable
from flyte_host.embedded.auth.policy import Match, Policy
from flyte_host.embedded.auth.policy_file import PolicyInvalid, read_policy
from flyte_host.embedded.auth.tokens import TokenInvalid, Tokens
from flyte_host.embedded.codec import write_json
from flyte_host.errors import ConfigError
from flyte_host.response_headers import PROTECTIVE_HEADERS
from flyte_host.text import reason

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

log = logging.getLogger("flyte_host.embedded.auth")

ASK = 'Bearer realm="token"'
ASK_FOR_ANOTHER = 'Bearer realm="token", error="invalid_token"'


class Refused(Exception):
    """The request goes no further; ``challenge`` is the WWW-Authenticate, if there is one."""

    def __init__(self, reason: str, challenge: str = "") -> None:
        super().__init__(reason)
        self.challenge = challenge


class Auth:
    """A WSGI app that lets through to ``app`` what ``policy`` allows."""

    def __init__(self, app: "WSGIApplication", policy: Policy, tokens: Tokens) -> None:
        self._app = app
        self._policy = policy
        self._tokens = tokens

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        try:
            self._check(environ)
        except Refused as refused:
            log.info("%s refused: %s", _shown(environ), refused)
            headers = [("WWW-Authenticate", refused.challenge)] if refused.challenge else []
            return _answer(start_response, "401 Unauthorized", str(refused), headers)
        except KeysUnavailable as error:
            seconds = str(math.ceil(error.retry_in_seconds))
            return _answer(
                start_response, "503 Service Unavailable", str(error), [("Retry-After", seconds)]
            )
        return self._app(environ, start_response)

    def _check(self, environ: "WSGIEnvironment") -> None:
        """Raises Refused and KeysUnavailable."""
        match = self._policy.find(environ["REQUEST_METHOD"], _path(environ))
        if match is None:
            raise Refused("the policy has no rule for this path and method")
        if not match.is_public:
            self._check_token(match, environ.get("HTTP_AUTHORIZATION", ""))

    def _check_token(self, match: Match, authorization: str) -> None:
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise Refused("a Bearer token is needed", ASK)
        try:
            claims = self._tokens.claims(token.strip())
        except TokenInvalid as error:
            log.debug("a token is no good: %s", error)
            raise Refused("the token is invalid or expired", ASK_FOR_ANOTHER) from None
        if not match.fulfilled(claims):
            raise Refused("the token has none of the claims that the policy asks for")


def _path(environ: "WSGIEnvironment") -> str:
    """The path exactly as the API's own routing reads it, so that both mean the same."""
    raw: str = environ.get("PATH_INFO", "")
    try:
        return raw.encode("latin-1").decode() or "/"
    except UnicodeError:
        raise Refused("the path is no UTF-8") from None


def _shown(environ: "WSGIEnvironment") -> str:
    return ascii(f"{environ['REQUEST_METHOD']} {environ.get('PATH_INFO', '')}")


def _answer(
    start_response: "StartResponse", status: str, text: str, headers: list[tuple[str, str]]
) -> Iterable[bytes]:
    body = write_json({"error": text})
    kind = ("Content-Type", "application/json; charset=utf-8")
    length = ("Content-Length", str(len(body)))
    start_response(status, [kind, length, *PROTECTIVE_HEADERS, *headers])
    return [body]


def protect(app: "WSGIApplication", config: AuthConfig | None) -> "WSGIApplication":
    """``app`` behind what is configured; raises ConfigError with all problems of its files."""
    if config is None:
        return app
    problems: list[str] = []
    policy = _read(lambda: _policy(config.policy), problems)
    keys = _read(lambda: _keys(config), problems)
    if policy is None or keys is None:
        raise ConfigError(problems)
    return Auth(app, policy, Tokens(keys, config.audience))


def _read(read: Any, problems: list[str]) -> Any:
    try:
        return read()
    except (PolicyInvalid, ConfigError) as error:
        problems += error.problems
    except ValueError as error:
        problems.append(f"flyte.embedded.auth.jwks_file: {error}")
    return None


def _policy(path: Path) -> Policy:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigError([f"flyte.embedded.auth.policy: {path}: {reason(error)}"]) from None
    except UnicodeDecodeError:
        raise ConfigError([f"flyte.embedded.auth.policy: {path}: found no UTF-8"]) from None
    return read_policy(text, source=str(path))


def _keys(config: AuthConfig) -> Keys:
    if config.issuer_url is not None:
        return IssuerKeys(config.issuer_url, ca_file=config.issuer_ca_file)
    return FileKeys(config.jwks_file or Path())
