"""One action on its way through its pack's bulkhead, from its start to its handler's end.

Owns when its slot is given back, and what the log says of its end. Must not know other actions, nor
how its outcome is kept.
"""

import logging
import threading
from collections.abc import Callable
from typing import Protocol

from flyte_host.model import FATAL
from flyte_host.pipeline.bulkhead import Bulkhead
from flyte_host.pipeline.journal import JournalClosed, OpenAction
from flyte_host.pipeline.runner import Outcome
from flyte_host.plugins.bound_command import BoundCommand

log = logging.getLogger(__name__)


class Owner(Protocol):
    """Who keeps the outcome of a run, and counts runs."""

    def settle(self, opened: OpenAction, outcome: Outcome, started: float | None = None) -> None:
        """Write an outcome down and hand it on; ``started``: the clock's time, if it did."""

    def settled(self) -> None:
        """One running action less."""

    def freed(self, pack_key: str) -> None:
        """A slot may be free again."""

    def quarantined(self, pack_key: str, stuck: int) -> None:
        """Every slot of the pack is held by a handler past its time-out."""

    def stick(self, pack_key: str, run: "Run", *, on: bool) -> None:
        """A handler runs on past its time-out, or does so no longer."""


class Run:
    """One action on its way through its pack's bulkhead."""

    def __init__(
        self,
        owner: Owner,
        bound: BoundCommand | None,
        opened: OpenAction,
        bulkhead: Bulkhead,
    ) -> None:
        self._owner = owner
        output_events = () if bound is None else bound.command.output_events
        self._declared = {each.name for each in output_events}
        self._opened = opened
        self._bulkhead = bulkhead
        self._lock = threading.Lock()
        self._over = False
        self._stuck = False
        self.place: Callable[[], str] = str
        self.started: float | None = None

    def standing(self) -> str:
        """The command, and where its handler stands."""
        return f"{self._opened.taken.command}{self.place()}"

    def settled(self, outcome: Outcome) -> None:
        self._tell(outcome)
        try:
            self._owner.settle(self._opened, outcome, self.started)
        except JournalClosed:
            log.warning(
                "%s ended after the host's stop; the next start settles it",
                self._opened.taken.command,
                extra=about(self._opened),
            )
        except Exception:
            # Without a journal there is no delivery; the action stays open there and a restart
            # settles it. The slot must come back all the same.
            log.critical(
                "result of %s could not be written down",
                self._opened.taken.command,
                exc_info=True,
                extra=about(self._opened),
            )
        finally:
            self._leave_slot(timed_out=outcome.timed_out)
            self._owner.settled()

    def ended(self) -> None:
        with self._lock:
            self._over = True
            load = self._bulkhead.unstuck() if self._stuck else None
        if load is not None:
            self._owner.stick(self._opened.pack_key, self, on=False)
            log.warning(
                "%s ended after its time-out; stuck handlers of this pack: %d",
                self._opened.taken.command,
                load.stuck,
                extra=about(self._opened),
            )
            self._owner.freed(self._opened.pack_key)

    def _leave_slot(self, *, timed_out: bool) -> None:
        with self._lock:
            self._stuck = timed_out and not self._over
            load = self._bulkhead.expired() if self._stuck else self._bulkhead.release()
            if self._stuck:
                self._owner.stick(self._opened.pack_key, self, on=True)
        if self._stuck and load.quarantined:
            self._owner.quarantined(self._opened.pack_key, load.stuck)
        self._owner.freed(self._opened.pack_key)

    def _tell(self, outcome: Outcome) -> None:
        command, name = self._opened.taken.command, outcome.event_name
        if outcome.timed_out:
            log.warning(
                "%s still ran at its time-out%s", command, self.place(), extra=about(self._opened)
            )
        if outcome.problem:
            log.error("%s → FATAL: %s", command, outcome.problem, extra=about(self._opened))
        else:
            level = logging.WARNING if name == FATAL else logging.INFO
            log.log(level, "%s → %s", command, name, extra=about(self._opened))
        if name != FATAL and name not in self._declared:
            log.warning(
                "%s sent %s, which it does not declare: flow writers cannot know of it",
                command,
                name,
                extra=about(self._opened),
            )


def about(opened: OpenAction) -> dict[str, str]:
    """The fields of a log line about an action."""
    return {
        "pack": opened.pack_key,
        "command": opened.taken.command,
        "action": opened.taken.id,
    }
