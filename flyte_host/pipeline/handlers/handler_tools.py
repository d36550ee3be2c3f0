"""What calls of handlers share: their deadlines, the loops of async ones, the words of FATALs.

The host has one, and so has the process of an isolated plugin. Must not know flyte or the journal.
"""

from flyte_host.clock import Clock
from flyte_host.counters import Counters
from flyte_host.pipeline.handlers.coroutines import Coroutines
from flyte_host.pipeline.handlers.deadlines import Deadlines
from flyte_host.pipeline.handlers.outcome import Outcomes
from flyte_host.secrets import Scrubber
from flyte_host.thread_watch import ThreadWatch


class HandlerTools:
    """Serves calls from :meth:`start` to :meth:`close`; safe to use from any thread."""

    def __init__(
        self,
        scrubber: Scrubber,
        clock: Clock,
        counters: Counters,
        watch: ThreadWatch,
    ) -> None:
        self.deadlines = Deadlines(clock, watch)
        self.coroutines = Coroutines(clock, counters, watch)
        self.outcomes = Outcomes(scrubber, clock)

    def start(self) -> None:
        """Watch deadlines."""
        self.deadlines.start()

    def close(self, wait_seconds: float = 1.0) -> None:
        """End the timer and the loops; handlers that still run are left to the process's end.

        Waits at most this long for each of the two.
        """
        self.deadlines.close(wait_seconds)
        self.coroutines.close(wait_seconds)
