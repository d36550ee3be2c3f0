"""What the client asks of a source of flyte's token."""

from datetime import datetime
from typing import Protocol


class TokenUnavailable(Exception):
    """There is no token that flyte could accept; the text says why. Later there may be one."""


class BearerToken(Protocol):
    """A token that may change while the host runs; safe in any thread."""

    def current(self) -> str:
        """The token to send now; raises TokenUnavailable."""

    def refresh(self) -> bool:
        """Look for another one, since flyte refused this; True if there is one."""

    def expires_at(self) -> datetime | None:
        """When it ends, as far as it says."""
