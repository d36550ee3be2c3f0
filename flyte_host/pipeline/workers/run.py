"""One action, from the look-up of its command to a result on its way to flyte.

Owns what happens to actions that no handler may run. Must not know how actions are taken.
"""

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from flyte_host.clock import Clock
from flyte_host.counters import Counters
from flyte_host.model import FATAL, Action
from flyte_host.packs import ServedPack
from flyte_host.pipeline.delivery.deliveries import Deliveries
from flyte_host.pipeline.handlers.handler_call import HandlerCall
from flyte_host.pipeline.handlers.handler_tools import HandlerTools
from flyte_host.pipeline.handlers.outcome import Outcome
from flyte_host.pipeline.journal import (
    Delivery,
    EntryGone,
    Journal,
    JournalClosed,
    JournalError,
    OpenAction,
)
from flyte_host.pipeline.schedule.turn import Turn
from flyte_host.pipeline.schedule.turns import Turns
from flyte_host.pipeline.tracer import Tracer
from flyte_host.pipeline.workers.overrun import Overrun
from flyte_host.plugins.bound_command import BoundCommand
from flyte_host.text import nearest
from flyte_host.wait import Steps

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Runner:
    """Runs actions in workers; safe to use from any thread."""

    packs: Mapping[str, ServedPack]
    handler_tools: HandlerTools
    turns: Turns
    journal: Journal
    deliveries: Deliveries
    clock: Clock
    counters: Counters
    tracer: Tracer

    def run(self, turn: Turn, opened: OpenAction) -> Steps[None]:
        """Run an action in the turn's slot, and have its result delivered.

        The last step is when a sync handler has ended, with the result on its way; an async one
        may still run.
        """
        opened = self.tracer.begin(opened)
        pack = self.packs[opened.pack_key]
        bound = pack.commands.get(opened.taken.command)
        if bound is None:
            yield from self._end_unknown(turn, pack, opened)
        else:
            yield from Run(self, turn, pack, bound, opened).carry()

    def _end_unknown(self, turn: Turn, pack: ServedPack, opened: OpenAction) -> Steps[None]:
        outcome = self.handler_tools.outcomes.fatal(_unknown_command(opened.taken.command, pack))
        _tell_outcome(opened, outcome, None)
        delivery = yield from self.write_down(opened, outcome, None)
        turn.ended()
        if delivery is not None:
            yield from self.deliveries.deliver(delivery)

    def write_down(
        self, opened: OpenAction, outcome: Outcome, seconds: float | None
    ) -> Steps[Delivery | None]:
        """Write an action's outcome down; None if there is nothing to deliver now.

        ``seconds``: how long the handler ran, None if it did not.
        """
        self.tracer.end(opened, outcome)
        taken = opened.taken
        self.counters.ended(opened.pack_key, taken.command, outcome.ending, seconds, taken.trace)
        try:
            return (yield from self.journal.finishing(opened, outcome.body))
        except EntryGone:
            log.warning(
                "%s ended, but its journal entry has been dropped: discarding its result",
                opened.taken.command,
                extra=opened.about,
            )
        except JournalClosed:
            log.warning(
                "%s ended after the host had stopped; the next start treats it as cut off",
                opened.taken.command,
                extra=opened.about,
            )
        except JournalError as error:
            log.critical(
                "the result of %s waits in memory until the journal can be written: %s",
                opened.taken.command,
                error,
                extra=opened.about,
            )
        except Exception:
            # The result is not in the journal, so it cannot be delivered: the action stays open
            # there until a restart. Its slot must be freed anyway.
            log.critical(
                "internal error: the result of %s could not be written to the journal",
                opened.taken.command,
                exc_info=True,
                extra=opened.about,
            )
        return None


class Run:
    """The handler runs in the worker; what ends elsewhere comes back to a worker."""

    def __init__(
        self, runner: Runner, turn: Turn, pack: ServedPack, bound: BoundCommand, opened: OpenAction
    ) -> None:
        self._runner = runner
        self._turn = turn
        self._pack = pack
        self._bound = bound
        self._opened = opened
        action = _action(pack, bound, opened, runner.clock)
        self._call = HandlerCall(
            bound,
            opened.taken.input,
            action,
            opened.pack_key,
            tools=runner.handler_tools,
            about=opened.about,
        )
        self._started_at = runner.clock.monotonic()
        self._worker = threading.get_ident()
        self._ended_here: Outcome | None = None

    def carry(self) -> Steps[None]:
        """Run the handler; finish the action if its outcome is there when that returns."""
        log.info("%s started", self._opened.taken.command, extra=self._opened.about)
        self._call.outcome.when_set(self._hand_over)
        self._call.start()
        if self._ended_here is not None:
            yield from self._finish(self._ended_here)

    def _hand_over(self, outcome: Outcome) -> None:
        """The loop, and the timer of all timeouts, must not wait for a disk or for flyte."""
        if threading.get_ident() == self._worker:
            self._ended_here = outcome
        else:
            self._runner.turns.add_job(self._finish(outcome))

    def _finish(self, outcome: Outcome) -> Steps[None]:
        seconds = self._runner.clock.monotonic() - self._started_at
        self._tell(outcome, seconds)
        delivery = yield from self._runner.write_down(self._opened, outcome, seconds)
        if outcome.timed_out:
            Overrun(self._turn, self._pack, self._opened, self._call).leave_slot()
        else:
            self._turn.ended()
        if delivery is not None:
            yield from self._runner.deliveries.deliver(delivery)

    def _tell(self, outcome: Outcome, seconds: float) -> None:
        command = self._opened.taken.command
        if outcome.timed_out:
            fields = self._opened.about | {"duration_seconds": seconds}
            log.warning("%s still ran at its timeout%s", command, self._call.place(), extra=fields)
        _tell_outcome(self._opened, outcome, seconds)
        declared = {each.name for each in self._bound.command.output_events}
        if outcome.event_name != FATAL and outcome.event_name not in declared:
            log.warning(
                "%s sent %s, which it does not declare: flow writers cannot know of it",
                command,
                outcome.event_name,
                extra=self._opened.about | {"event": outcome.event_name},
            )


def _action(pack: ServedPack, bound: BoundCommand, opened: OpenAction, clock: Clock) -> Action:
    seconds = bound.command.timeout_seconds
    return Action(
        opened.taken.id,
        opened.taken.command,
        pack.definition.name,
        opened.taken_at,
        opened.attempt,
        None if seconds is None else clock.now() + timedelta(seconds=seconds),
        opened.taken.trace,
    )


def _unknown_command(name: str, pack: ServedPack) -> str:
    known = ", ".join(pack.commands) or "none"
    return (
        f"pack {pack.definition.name!r} has no command {name!r}{nearest(name, pack.commands)}; "
        f"it has: {known}"
    )


def _tell_outcome(opened: OpenAction, outcome: Outcome, seconds: float | None) -> None:
    """Log how an action ended; ``seconds``: how long its handler ran, None if it did not."""
    command = opened.taken.command
    fields = opened.about | {"event": outcome.event_name, "duration_seconds": seconds}
    if outcome.problem:
        log.error("%s → FATAL: %s", command, outcome.problem, extra=fields)
    else:
        level = logging.WARNING if outcome.event_name == FATAL else logging.INFO
        log.log(level, "%s → %s", command, outcome.event_name, extra=fields)
