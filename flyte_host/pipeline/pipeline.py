"""Everything between flyte and the handlers, started and stopped in its order.

Owns the stages of starting, and those of stopping by one deadline. Must not know configuration
files, signals or web servers.
"""

import logging

from flyte_host.foreign_code import headline, run_within
from flyte_host.pipeline.parts import Parts
from flyte_host.pipeline.workers.recovery import recover
from flyte_host.text import counted

log = logging.getLogger(__name__)

CLOSE_SECONDS = 0.1
"""How long closing one part may take past the deadline; a locked journal would take longer."""
TRACES_SECONDS = 1.0
"""How long a stop waits at most for traces to be sent: they are worth less than a quick restart."""
OBSERVER_GRACE_SECONDS = 2.0
"""How long the drain waits for an observer that ignores ``stopping``."""


class Pipeline:
    """Takes, runs and delivers from :meth:`start` to :meth:`stop`."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self._stopped = False

    def start(self) -> None:
        """Deliver what is owed, end what was cut off, then take and observe."""
        parts = self.parts
        parts.handler_tools.start()
        parts.courier.start()
        recover(parts.runner, parts.schedule)  # before anything new is taken: it is not cut off
        parts.workers.start()
        parts.observers.start()
        parts.listener.start()

    def stop(self, deadline: float) -> int:
        """Stop by the clock's ``deadline``; returns how much the journal keeps for the next run.

        Closing the parts may take half a second beyond it. A second call does nothing.
        """
        if self._stopped:
            return 0
        self._stopped = True
        parts = self.parts
        parts.listener.stop()
        parts.observers.stop()
        parts.deliveries.stop()
        parts.schedule.stop()
        busy = parts.schedule.drain(deadline)
        taking = parts.schedule.takes_under_way
        running = max(busy - taking, 0)  # what a take brings now is in no journal
        if taking:
            log.warning(
                "a take was still unanswered at the deadline; an action it returns will stay "
                "PENDING in flyte"
            )
        grace = parts.clock.monotonic() + OBSERVER_GRACE_SECONDS
        observing = parts.observers.drain(min(deadline, grace))
        undelivered = parts.courier.drain(deadline)
        left = self._close(deadline, running + undelivered)
        for name in observing:
            log.warning("%s did not return when it was asked to stop", name)
        if running or undelivered:
            log.warning(
                "stopped with %s: the journal keeps them",
                _told_left(running, undelivered),
            )
        return left

    def _close(self, deadline: float, known: int) -> int:
        """How much the journal keeps, or what is known of it if it does not tell."""
        parts, left = self.parts, known
        seconds = max(CLOSE_SECONDS, deadline - parts.clock.monotonic())
        parts.schedule.turns.close()
        parts.deliveries.close()
        try:
            left = run_within(seconds, parts.journal.left)
        except Exception as error:
            log.warning("cannot count what is left in the journal: %s", headline(error))
        parts.handler_tools.close(CLOSE_SECONDS)
        parts.client.close()
        seconds = max(0.0, deadline - parts.clock.monotonic())
        parts.tracer.close(min(TRACES_SECONDS, seconds))
        seconds = max(CLOSE_SECONDS, deadline - parts.clock.monotonic())
        try:
            run_within(seconds, parts.journal.close)
        except Exception as error:
            log.warning("the journal was not closed: %s", headline(error))
        return left


def _told_left(running: int, undelivered: int) -> str:
    told = []
    if running:
        told.append(f"{counted(running, 'action')} running")
    if undelivered:
        told.append(f"{counted(undelivered, 'delivery', 'deliveries')} open")
    return " and ".join(told)
