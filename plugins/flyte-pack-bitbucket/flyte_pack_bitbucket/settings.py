"""What an operator can set, and where the Go pack's environment steps in.

Owns names, defaults and their checks. Must not know HTTP.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from flyte_pack_kit import RestTarget, check_more_than_zero, check_url, complete

_ENVIRONMENT = {"url": "BITBUCKET_HOST", "user": "BITBUCKET_USER", "password": "BITBUCKET_PASS"}


@dataclass(frozen=True, slots=True)
class BitBucketSettings:
    """The table ``[packs.<instance>.settings]``."""

    url: str = ""
    """Where Bitbucket is, without ``/rest``; empty: the variable BITBUCKET_HOST."""

    user: str = ""
    """Who the pack is in Bitbucket; empty: the variable BITBUCKET_USER."""

    password: str = field(default="", repr=False)
    """The user's password or token; empty: the variable BITBUCKET_PASS."""

    timeout_seconds: float = 30
    """How long Bitbucket may take to accept a connection, and then for the whole answer."""

    verify: bool = True
    """Whether Bitbucket's certificate is checked."""

    ca_file: str | None = None
    """PEM file of the authorities to trust; None: the public ones."""

    go_compatible: bool = True
    """Whether the Go pack's mistakes that flows may rely on are kept; see the README."""

    def __post_init__(self) -> None:
        check_more_than_zero("timeout_seconds", self.timeout_seconds)

    def completed(self, environ: Mapping[str, str]) -> "BitBucketSettings":
        """Fill what was not set from the environment; raises ValueError if something is missing."""
        found = complete(self, _ENVIRONMENT, environ)
        check_url(found.url, "https://bitbucket.example.com")
        return found

    def target(self) -> RestTarget:
        """How to talk to Bitbucket."""
        return RestTarget(
            self.url,
            "rest/api/1.0",
            self.user,
            self.password,
            timeout_seconds=self.timeout_seconds,
            verify=self.verify,
            ca_file=self.ca_file,
        )
