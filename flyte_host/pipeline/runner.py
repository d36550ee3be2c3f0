"""What handlers need to run: their deadlines, the loops of async ones, the words of FATALs.

The host has one, and so has the process of an isolated plugin. Must not know flyte or the journal.
"""

import logging
import threading
from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType

from flyte_host.clock import Clock
from flyte_host.counters import Counters
from flyte_host.model import Action
from flyte_host.pipeline.action_fields import about_action
from flyte_host.pipeline.coroutines import Coroutines
from flyte_host.pipeline.deadlines import Deadlines
from flyte_host.pipeline.handler_call import HandlerCall, HandlerTools
from flyte_host.pipeline.outcome import Outcome, Outcomes
from flyte_host.plugins.bound_command import BoundCommand
from flyte_host.secrets import Scrubber
from flyte_host.thread_watch import ThreadWatch

log = logging.getLogger(__name__)

NOTHING_MORE: Mapping[str, str] = MappingProxyType({})


class Runner:
    """Makes calls of handlers from :meth:`start` to :meth:`close`; safe to use from any thread."""

    def __init__(
        self,
        scrubber: Scrubber,
        clock: Clock,
        counters: Counters,
        watch: ThreadWatch | None = None,
    ) -> None:
        watch = watch or ThreadWatch()
        self._deadlines = Deadlines(clock, watch)
        self._coroutines = Coroutines(clock, counters, watch)
        self.outcomes = Outcomes(scrubber, clock)
        self._tools = HandlerTools(self.outcomes, self._deadlines, self._coroutines)

    @property
    def problems(self) -> list[str]:
        """Which handlers block the other async ones of their packs, in words."""
        return self._coroutines.problems

    def problem_of(self, pack_key: str) -> str:
        """Which handler blocks the other async ones of a pack; empty if none does."""
        return self._coroutines.problem_of(pack_key)

    def start(self) -> None:
        """Watch deadlines."""
        self._deadlines.start()

    def call(
        self,
        bound: BoundCommand,
        document: bytes,
        action: Action,
        pack_key: str = "",
        about: Mapping[str, str] = NOTHING_MORE,
    ) -> HandlerCall:
        """A call of the handler, not started yet; its log lines are ``about`` the action."""
        return HandlerCall(bound, document, action, pack_key, tools=self._tools, about=about)

    def close(self, wait_seconds: float = 1.0) -> None:
        """End the timer and the loops; handlers that still run are left to the process's end.

        Waits at most this long for each of the two.
        """
        self._deadlines.close(wait_seconds)
        self._coroutines.close(wait_seconds)


def run_once(
    pack: str,
    bound: BoundCommand,
    document: bytes,
    scrubber: Scrubber,
    *,
    action_id: str = "local",
) -> Outcome:
    """One call of a handler as the host makes it, timeout included, without flyte or journal."""
    clock = Clock()
    now, seconds = clock.now(), bound.command.timeout_seconds
    deadline = None if seconds is None else now + timedelta(seconds=seconds)
    runner = Runner(scrubber, clock, Counters())
    runner.start()
    try:
        action = Action(action_id, bound.command.name, pack, now, 1, deadline)
        call = runner.call(bound, document, action, bound.owner)
        threading.Thread(
            target=call.start, name=f"{pack}:{bound.command.name}", daemon=True
        ).start()
        outcome = call.outcome.result()
        if outcome.timed_out:
            place = call.place()
            fields = about_action(bound.owner, action.command, action.id, None, action.trace)
            log.warning("%s still ran at its timeout%s", action.command, place, extra=fields)
        return outcome
    finally:
        runner.close()
