"""Which trace an action or an event belongs to.

Owns the interface to a recorder of spans, and the default without one: whatever arrives with a
trace passes it on. ``traces`` records spans.
"""

from flyte_host.pipeline.handlers.outcome import Outcome
from flyte_host.pipeline.journal import OpenAction
from flyte_host.traceparent import CURRENT


class Tracer:
    """Records nothing; safe in any thread. None of its methods may wait or raise."""

    def begin(self, opened: OpenAction) -> OpenAction:
        """The action with the trace context in which it runs."""
        return opened

    def end(self, opened: OpenAction, outcome: Outcome) -> None:
        """The action, as :meth:`begin` returned it, has this outcome."""

    def raise_event(self, pack_key: str, pack: str, event: str) -> str:  # noqa: ARG002
        """The trace context of an event that a pack raises by itself."""
        return CURRENT.get()

    def close(self, wait_seconds: float) -> None:
        """Send what was recorded, as far as that is possible in the time."""
