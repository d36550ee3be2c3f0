"""Whether the store is away, and the two log lines about it: when it went, and when it is back.

Must not know how a store is reached.
"""

import logging
import time
from threading import Lock

log = logging.getLogger("flyte_host.embedded")


class StoreOutage:
    """``shown`` names the store for people; safe from any thread."""

    def __init__(self, shown: str) -> None:
        self._shown = shown
        self._since: float | None = None
        self._lock = Lock()

    @property
    def is_on(self) -> bool:
        return self._since is not None

    def begin(self, reason: str) -> None:
        """The store cannot be used; only the first call counts."""
        with self._lock:
            if self._since is None:
                self._since = time.monotonic()
                log.warning(
                    "the store %s is away: %s; requests are answered with 503 until it is back",
                    self._shown, reason,
                )  # fmt: skip

    def end(self) -> None:
        """The store was used."""
        if self._since is None:
            return
        with self._lock:
            since, self._since = self._since, None
        if since is not None:
            log.info("the store %s is back after %.1f s", self._shown, time.monotonic() - since)
