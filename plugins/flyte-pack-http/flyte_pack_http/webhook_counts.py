"""How many webhooks arrived, for the health page.

Owns which refusals are logged.
"""

import logging
import threading

log = logging.getLogger(__name__)

_MOST_REASONS = 100
"""How many are logged."""


class WebhookCounts:
    """How many requests became events, and how many were refused, and why last."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._told: set[str] = set()
        self.accepted = 0
        self.refused = 0
        self.last_refusal = ""

    def accept(self) -> None:
        with self._lock:
            self.accepted += 1

    def refuse(self, hook: str, reason: str) -> None:
        """Count it; log each reason once, or anybody could fill the log."""
        told = f"{hook}: {reason}" if hook else reason
        with self._lock:
            self.refused += 1
            self.last_refusal = told
            is_new = told not in self._told and len(self._told) < _MOST_REASONS
            if is_new:
                self._told.add(told)
        if is_new:
            log.warning("refused a webhook: %s", told)

    def status(self) -> str:
        with self._lock:
            told = f"{self.accepted} accepted, {self.refused} refused"
            return f"{told}, the last because {self.last_refusal}" if self.refused else told
