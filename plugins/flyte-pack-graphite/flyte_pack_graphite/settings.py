"""What an operator can set, with the Go pack's environment as the fallback.

Owns names, defaults and their checks. Must not know HTTP.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from flyte_pack_kit import (
    RestTarget,
    check_both_or_none,
    check_more_than_zero,
    check_url,
    complete,
)


@dataclass(frozen=True, slots=True)
class GraphiteSettings:
    """The table ``[packs.<instance>.settings]``."""

    url: str = ""
    """Where graphite-web is, without ``/events``; empty: the variable GRAPHITE_HOST."""

    user: str = ""
    """The user to log in as, if graphite-web is behind basic authentication."""

    password: str = field(default="", repr=False)
    """The user's password."""

    timeout_seconds: float = 10
    """How long graphite-web may take to accept a connection, and then for the whole answer."""

    verify: bool = True
    """Whether the certificate is checked."""

    ca_file: str | None = None
    """PEM file of the authorities to trust; None: the public ones."""

    go_compatible: bool = True
    """Whether to keep the Go pack's mistakes that flows may rely on; see the README."""

    def __post_init__(self) -> None:
        check_more_than_zero("timeout_seconds", self.timeout_seconds)
        check_both_or_none(self, "user", "password")

    def completed(self, environ: Mapping[str, str]) -> "GraphiteSettings":
        """Fill what was not set from the environment; raises ValueError."""
        found = complete(self, {"url": "GRAPHITE_HOST"}, environ)
        check_url(found.url, "https://graphite.example.com")
        return found

    def target(self) -> RestTarget:
        return RestTarget(
            self.url,
            user=self.user,
            password=self.password,
            timeout_seconds=self.timeout_seconds,
            verify=self.verify,
            ca_file=self.ca_file,
        )
