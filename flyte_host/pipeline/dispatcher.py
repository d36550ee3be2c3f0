"""Action → its owner's handler → a result that flyte gets.

Owns what happens to actions that no handler may run. Must not know how actions are taken.
"""

import logging
from collections.abc import Mapping, Sequence
from datetime import timedelta

from flyte_host.model import Action
from flyte_host.packs import ServedPack
from flyte_host.pipeline.journal import JournalError, OpenAction
from flyte_host.pipeline.run import Run, RunParts, about, finish, tell_outcome
from flyte_host.pipeline.runner import Runner
from flyte_host.pipeline.turn import Turn
from flyte_host.plugins.bound_command import BoundCommand
from flyte_host.text import nearest

log = logging.getLogger(__name__)

CUT_OFF = "the host stopped while this command was running"
LOOK_SECONDS = 1.0
"""A recovery that waits for slots looks again so often, if it is not told before."""


class Dispatcher:
    """Safe to use from any thread."""

    def __init__(self, packs: Mapping[str, ServedPack], runner: Runner, parts: RunParts) -> None:
        self._packs = packs
        self._runner = runner
        self._parts = parts

    def run(self, turn: Turn, opened: OpenAction) -> None:
        """Run an action in the turn's slot, and have its result delivered.

        Returns when a sync handler has ended, with the result on its way; an async one may still
        run.
        """
        pack = self._packs[opened.pack_key]
        bound = pack.commands.get(opened.taken.command)
        if bound is None:
            self._end_unknown(turn, pack, opened)
            return
        action = self._action(pack, bound, opened)
        call = self._runner.call(bound, opened.taken.input, action, opened.pack_key, about(opened))
        Run(self._parts, turn, pack, opened, call).carry()

    def recover(self) -> None:
        """Have everything that the last run left open come to an end.

        Whether its handler got to its end is not known. So an idempotent command runs again when
        its pack has a slot, and any other action ends as a FATAL that says so.
        """
        cut_off = self._parts.journal.unfinished()
        self._parts.schedule.add_cut_off(each for each in cut_off if self._is_idempotent(each))
        lost = [each for each in cut_off if not self._is_idempotent(each)]
        if lost:
            self._end_lost(lost)

    def _end_lost(self, lost: Sequence[OpenAction]) -> None:
        fatal = self._runner.outcomes.fatal(CUT_OFF)
        try:
            deliveries = self._parts.journal.finish_all((each, fatal.body) for each in lost)
        except JournalError as error:
            log.error("what the last run left open stays open until the next start: %s", error)
            return
        for each in lost:
            log.warning("%s ends as FATAL: %s", each.taken.command, CUT_OFF, extra=about(each))
            self._parts.counters.ended(each.pack_key, each.taken.command, fatal.ending, None)
        for delivery in deliveries:
            self._parts.courier.add(delivery)

    def _end_unknown(self, turn: Turn, pack: ServedPack, opened: OpenAction) -> None:
        outcome = self._runner.outcomes.fatal(_unknown_command(opened.taken.command, pack))
        tell_outcome(opened, outcome)
        delivery = finish(self._parts, opened, outcome, None)
        turn.ended()
        if delivery is not None:
            self._parts.courier.deliver(delivery)

    def _is_idempotent(self, opened: OpenAction) -> bool:
        pack = self._packs.get(opened.pack_key)
        bound = None if pack is None else pack.commands.get(opened.taken.command)
        return bound is not None and bound.command.idempotent

    def _action(self, pack: ServedPack, bound: BoundCommand, opened: OpenAction) -> Action:
        seconds = bound.command.timeout_seconds
        return Action(
            opened.taken.id,
            opened.taken.command,
            pack.definition.name,
            opened.taken_at,
            opened.attempt,
            None if seconds is None else self._parts.clock.now() + timedelta(seconds=seconds),
        )


def _unknown_command(name: str, pack: ServedPack) -> str:
    known = ", ".join(pack.commands) or "none"
    return (
        f"pack {pack.definition.name!r} has no command {name!r}{nearest(name, pack.commands)}; "
        f"it has: {known}"
    )
