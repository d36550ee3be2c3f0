"""What an operator can set, and where the Go pack's environment steps in.

Owns names, defaults and their checks. Must not know HTTP.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from flyte_pack_kit import check_more_than_zero, check_url, complete

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
    """How long Jira may take to accept a connection, and then for the whole answer."""

    verify: bool = True
    """Whether Jira's certificate is checked; the Go pack never did."""

    ca_file: str | None = None
    """PEM file of the authorities to trust; None: the public ones."""

    cloud: bool | None = None
    """Whether it is a Jira Cloud; None: if the host of ``url`` is Atlassian's."""

    go_compatible: bool = True
    """Whether the Go pack's mistakes that flows may rely on are kept; see the README."""

    def __post_init__(self) -> None:
        check_more_than_zero("timeout_seconds", self.timeout_seconds)

    def completed(self, environ: Mapping[str, str]) -> "JiraSettings":
        """Fill what was not set from the environment; raises ValueError if something is missing."""
        found = complete(self, _ENVIRONMENT, environ)
        check_url(found.url, "https://jira.example.com")
        return found

    def is_cloud(self) -> bool:
        """Whether users are accounts and searches are paged by tokens, as at Jira Cloud."""
        if self.cloud is not None:
            return self.cloud
        host = urlsplit(self.url).hostname or ""
        return host == "api.atlassian.com" or host.endswith(".atlassian.net")
