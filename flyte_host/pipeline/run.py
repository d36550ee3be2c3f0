"""One action, from its handler's start to a result that the courier has."""

import logging
import threading
from dataclasses import dataclass

from flyte_host.clock import Clock
from flyte_host.counters import Counters
from flyte_host.model import FATAL
from flyte_host.packs import ServedPack
from flyte_host.pipeline.action_fields import about_action
from flyte_host.pipeline.courier import Courier
from flyte_host.pipeline.handler_call import HandlerCall
from flyte_host.pipeline.journal import (
    Delivery,
    EntryGone,
    Journal,
    JournalClosed,
    JournalError,
    OpenAction,
)
from flyte_host.pipeline.outcome import Outcome
from flyte_host.pipeline.schedule import Schedule
from flyte_host.pipeline.turn import Turn
from flyte_host.text import counted

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RunParts:
    """What every run needs."""

    schedule: Schedule
    journal: Journal
    courier: Courier
    clock: Clock
    counters: Counters


class Run:
    """The handler runs in the worker; what ends elsewhere comes back to a worker."""

    def __init__(
        self, parts: RunParts, turn: Turn, pack: ServedPack, opened: OpenAction, call: HandlerCall
    ) -> None:
        self._parts = parts
        self._turn = turn
        self._pack = pack
        self._opened = opened
        self._call = call
        self._started_at = parts.clock.monotonic()
        self._worker = threading.get_ident()
        self._ended_here = False

    def carry(self) -> None:
        """Run the handler; finish the action if its outcome is there when that returns."""
        log.info("%s started", self._opened.taken.command, extra=about(self._opened))
        self._call.outcome.add_done_callback(lambda _: self._hand_over())
        self._call.start()
        if self._ended_here:
            self._finish()

    def _hand_over(self) -> None:
        """The loop, and the timer of all timeouts, must not wait for a disk or for flyte."""
        if threading.get_ident() == self._worker:
            self._ended_here = True
        else:
            self._parts.schedule.add_ended(self._finish)

    def _finish(self) -> None:
        outcome = self._call.outcome.result()
        seconds = self._parts.clock.monotonic() - self._started_at
        self._tell(outcome, seconds)
        delivery = finish(self._parts, self._opened, outcome, seconds)
        self._leave_slot(outcome)
        if delivery is not None:
            self._parts.courier.deliver(delivery)

    def _leave_slot(self, outcome: Outcome) -> None:
        """A handler that only waits for a loop which another one blocks is not stuck."""
        if outcome.timed_out and self._call.overrun.done() and not self._call.end.done():
            self._stick()
            return
        self._turn.ended()
        if outcome.timed_out:
            self._call.overrun.add_done_callback(lambda _: self._stick())

    def _stick(self) -> None:
        stuck = self._turn.timed_out(self._standing)
        if stuck:
            self._quarantine(stuck)
        self._call.end.add_done_callback(lambda _: self._come_unstuck())

    def _come_unstuck(self) -> None:
        log.warning(
            "%s ended after its timeout; handlers of pack %s still stuck: %d",
            self._opened.taken.command,
            self._opened.pack_key,
            self._turn.unstuck(),
            extra=about(self._opened),
        )

    def _quarantine(self, stuck: int) -> None:
        """A process of the pack's own can be ended, and a thread cannot."""
        if self._pack.process is not None:
            self._pack.process.kill(_stuck_words(stuck))
            return
        log.error(
            "pack %s is quarantined: %s; it gets actions again when one of them ends",
            self._opened.pack_key,
            _stuck_words(stuck),
            extra=about(self._opened),
        )

    def _standing(self) -> str:
        """The command, and where its handler stands."""
        return f"{self._opened.taken.command}{self._call.place()}"

    def _tell(self, outcome: Outcome, seconds: float) -> None:
        command = self._opened.taken.command
        if outcome.timed_out:
            fields = about(self._opened) | {"duration_seconds": seconds}
            log.warning("%s still ran at its timeout%s", command, self._call.place(), extra=fields)
        tell_outcome(self._opened, outcome, seconds)
        declared = {each.name for each in self._pack.commands[command].command.output_events}
        if outcome.event_name != FATAL and outcome.event_name not in declared:
            log.warning(
                "%s sent %s, which it does not declare: flow writers cannot know of it",
                command,
                outcome.event_name,
                extra=about(self._opened) | {"event": outcome.event_name},
            )


def _stuck_words(stuck: int) -> str:
    return counted(stuck, "handler runs on past its timeout", "handlers run on past their timeout")


def tell_outcome(opened: OpenAction, outcome: Outcome, seconds: float | None = None) -> None:
    """Log how an action ended; ``seconds``: how long its handler ran, None if it did not."""
    command = opened.taken.command
    fields = about(opened) | {"event": outcome.event_name, "duration_seconds": seconds}
    if outcome.problem:
        log.error("%s → FATAL: %s", command, outcome.problem, extra=fields)
    else:
        level = logging.WARNING if outcome.event_name == FATAL else logging.INFO
        log.log(level, "%s → %s", command, outcome.event_name, extra=fields)


def finish(
    parts: RunParts, opened: OpenAction, outcome: Outcome, seconds: float | None
) -> Delivery | None:
    """Write the outcome down; None if there is nothing to deliver now.

    ``seconds``: how long the handler ran, None if it did not.
    """
    parts.counters.ended(opened.pack_key, opened.taken.command, outcome.ending, seconds)
    try:
        return parts.journal.finish(opened, outcome.body)
    except EntryGone:
        log.warning(
            "%s ended, but somebody dropped its entry meanwhile: its result goes nowhere",
            opened.taken.command,
            extra=about(opened),
        )
    except JournalClosed:
        log.warning(
            "%s ended after the host's stop; the next start settles it",
            opened.taken.command,
            extra=about(opened),
        )
    except JournalError as error:
        log.critical(
            "the result of %s waits in memory until the journal can be written: %s",
            opened.taken.command,
            error,
            extra=about(opened),
        )
    except Exception:
        # Without a journal there is no delivery; the action stays open there and a restart settles
        # it. Its slot must come back all the same.
        log.critical(
            "internal error: the result of %s could not be written down",
            opened.taken.command,
            exc_info=True,
            extra=about(opened),
        )
    return None


def about(opened: OpenAction) -> dict[str, str]:
    """The fields of a log line about an action."""
    taken = opened.taken
    return about_action(opened.pack_key, taken.command, taken.id, taken.step)
