"""What an operator can set, with the Go pack's environment as the fallback.

Owns names, defaults and their checks. Must not know SMTP.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from flyte_pack_kit import (
    check_both_or_none,
    check_more_than_zero,
    check_zero_or_more,
    complete,
    read_address,
)


@dataclass(frozen=True, slots=True)
class EmailSettings:
    """The table ``[packs.<instance>.settings]``."""

    server: str = ""
    """The mail server as ``host:port``; empty: the variable SMTPSERVER."""

    security: Literal["none", "starttls", "tls"] = "none"
    """How to protect the connection: not at all, as the Go pack, by STARTTLS, or by TLS."""

    user: str = ""
    """The user to log in as; empty: no login. Needs TLS or STARTTLS."""

    password: str = field(default="", repr=False)
    """The user's password."""

    verify: bool = True
    """Whether the server's certificate is checked."""

    ca_file: str | None = None
    """PEM file of the authorities to trust; None: those of the system."""

    hello_name: str = "localhost"
    """The name by which the pack greets the server."""

    timeout_seconds: float = 30
    """How long a mail may take in all, from the connection to the server's last answer."""

    max_attachments_bytes: int = 10_000_000
    """How large all attachments of a mail together may be, before they are encoded."""

    go_compatible: bool = True
    """Whether to keep the Go pack's mistakes that flows may rely on; see the README."""

    def __post_init__(self) -> None:
        check_more_than_zero("timeout_seconds", self.timeout_seconds)
        check_zero_or_more("max_attachments_bytes", self.max_attachments_bytes)
        if self.user and self.security == "none":
            raise ValueError(
                "security: found 'none', expected 'starttls' or 'tls', because with user set a"
                " password would travel in the clear"
            )
        check_both_or_none(self, "user", "password")

    def completed(self, environ: Mapping[str, str]) -> "EmailSettings":
        """Fill what was not set from the environment; raises ValueError if something is missing."""
        found = complete(self, {"server": "SMTPSERVER"}, environ)
        found.address()
        return found

    def address(self) -> tuple[str, int]:
        """Host and port of the server."""
        return read_address("server", self.server, "mail.example.com:25")
