"""What an operator can set, and where the Go pack's environment steps in.

Owns names, defaults and their checks. Must not know HTTP.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from flyte_pack_kit import RestTarget, check_more_than_zero, check_url, complete

_ENVIRONMENT = {"url": "BAMBOO_HOST", "user": "BAMBOO_USER", "password": "BAMBOO_PASS"}


@dataclass(frozen=True, slots=True)
class BambooSettings:
    """The table ``[packs.<instance>.settings]``."""

    url: str = ""
    """Where Bamboo is, without ``/rest``; empty: the variable BAMBOO_HOST."""

    user: str = ""
    """Who the pack is in Bamboo; empty: the variable BAMBOO_USER."""

    password: str = field(default="", repr=False)
    """The user's password; empty: the variable BAMBOO_PASS."""

    timeout_seconds: float = 60
    """How long Bamboo may take to accept a connection, and then for the whole answer."""

    verify: bool = True
    """Whether Bamboo's certificate is checked; the Go pack never did."""

    ca_file: str | None = None
    """PEM file of the authorities to trust; None: the public ones."""

    max_retry_seconds: float = 3600
    """How long a StartStage with ``maxRetry`` may wait in all; no delay counts as a second."""

    go_compatible: bool = True
    """Whether the Go pack's mistakes that flows may rely on are kept; see the README."""

    def __post_init__(self) -> None:
        check_more_than_zero("timeout_seconds", self.timeout_seconds)
        check_more_than_zero("max_retry_seconds", self.max_retry_seconds)

    def completed(self, environ: Mapping[str, str]) -> "BambooSettings":
        """Fill what was not set from the environment; raises ValueError if something is missing."""
        found = complete(self, _ENVIRONMENT, environ)
        check_url(found.url, "https://bamboo.example.com")
        return found

    def target(self) -> RestTarget:
        """How to talk to Bamboo."""
        return RestTarget(
            self.url,
            "rest/api/latest",
            self.user,
            self.password,
            timeout_seconds=self.timeout_seconds,
            verify=self.verify,
            ca_file=self.ca_file,
        )
