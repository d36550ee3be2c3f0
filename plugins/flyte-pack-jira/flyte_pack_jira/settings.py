"""What an operator can set, and where the Go pack's environment steps in.

Owns names, defaults and their checks. Must not know HTTP.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

_ENVIRONMENT = {"url": "JIRA_HOST", "user": "JIRA_USER", "password": "JIRA_PASSWORD"}


@dataclass(frozen=True, slots=True)
class JiraSettings:
    """The table ``[packs.<instance>.settings]``."""

    url: str = ""
    """Where Jira is, without ``/rest``; empty: the variable JIRA_HOST."""

    user: str = ""
    """Who the pack is in Jira; empty: the variable JIRA_USER."""

    password: str = field(default="", repr=False)
    """The user's password or token; empty: the variable JIRA_PASSWORD."""

    timeout_seconds: float = 30
    """How long Jira may take to accept a connection, and to say anything after that."""

    verify: bool = True
    """Whether Jira's certificate is checked; the Go pack never did."""

    ca_file: str | None = None
    """PEM file of the authorities to trust; None: the public ones."""

    cloud: bool | None = None
    """Whether it is a Jira Cloud; None: if the host of ``url`` is Atlassian's."""

    go_compatible: bool = True
    """Whether the Go pack's mistakes that flows may rely on are kept; see the README."""

    def __post_init__(self) -> None:
        if self.timeout_seconds <= 0:
            found = f"{self.timeout_seconds:g}"
            raise ValueError(f"timeout_seconds: found {found}, expected more than 0")

    def completed(self, environ: Mapping[str, str]) -> "JiraSettings":
        """With the environment where nothing was set; raises ValueError if something is missing."""
        found: dict[str, Any] = {
            name: getattr(self, name) or environ.get(variable, "")
            for name, variable in _ENVIRONMENT.items()
        }
        missing = [name for name, value in found.items() if not value]
        if missing:
            raise ValueError("; ".join(_missing(name) for name in missing))
        _check_url(found["url"])
        return replace(self, **found)

    def is_cloud(self) -> bool:
        """Whether users are accounts and searches are paged by tokens, as at Jira Cloud."""
        if self.cloud is not None:
            return self.cloud
        host = urlsplit(self.url).hostname or ""
        return host == "api.atlassian.com" or host.endswith(".atlassian.net")


def _missing(name: str) -> str:
    return f"{name}: missing; set it in the pack's settings or as {_ENVIRONMENT[name]}"


def _check_url(url: str) -> None:
    parts = urlsplit(url)
    if "@" in parts.netloc:
        raise ValueError(
            "url: found a user or password in it, expected them in the settings user and password"
            " (events carry the URL)"
        )
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(f"url: found {url!r}, expected one like 'https://jira.example.com'")
