"""A policy and tokens around an ASGI app: only allowed requests reach it.

Owns how both are read from the configured files. The answers to other requests are in ``access``.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from starlette.datastructures import Headers
from starlette.responses import Response

from flyte_host.embedded.auth.access import Access
from flyte_host.embedded.auth.file_keys import FileKeys
from flyte_host.embedded.auth.issuer_keys import IssuerKeys
from flyte_host.embedded.auth.policy import Policy
from flyte_host.embedded.auth.policy_file import PolicyInvalid, read_policy
from flyte_host.embedded.auth.public_keys import KeySource
from flyte_host.embedded.auth.token_verifier import TokenVerifier
from flyte_host.errors import ConfigError
from flyte_host.given_file import read_file
from flyte_host.text import reason

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

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


class AuthMiddleware:
    """An ASGI app that passes to ``app`` what ``access`` does not deny."""

    def __init__(self, app: "ASGIApp", access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        raw_path = scope.get("raw_path") or scope["path"].encode()
        # In a thread: the keys of an issuer may have to be fetched.
        denial = await asyncio.to_thread(
            self._access.denial,
            scope["method"],
            raw_path.decode("ascii", "surrogateescape"),
            Headers(scope=scope).get("Authorization", ""),
        )
        if denial is None:
            await self._app(scope, receive, send)
            return
        await Response(denial.body, denial.status, denial.headers)(scope, receive, send)


def read_access(settings: AuthSettings, *, at: str) -> Access:
    """Who may call what; raises ConfigError with all problems of the files.

    ``at`` is where the settings are in the configuration, for the text of a problem.
    """
    problems: list[str] = []
    policy = _read(f"{at}.policy", lambda: _read_policy_file(settings.policy), problems)
    keys = _read(f"{at}.jwks_file", lambda: _key_source(settings), problems)
    if policy is None or keys is None:
        raise ConfigError(problems)
    return Access(policy, TokenVerifier(keys, settings.audience))


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
        text = read_file(path).decode("utf-8-sig")
    except OSError as error:
        raise ValueError(f"{path}: {reason(error)}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path}: found bytes that are not UTF-8") from None
    return read_policy(text, source=str(path))


def _key_source(settings: AuthSettings) -> KeySource:
    if settings.issuer_url is not None:
        return IssuerKeys(settings.issuer_url, ca_file=settings.issuer_ca_file)
    return FileKeys(settings.jwks_file or Path())
