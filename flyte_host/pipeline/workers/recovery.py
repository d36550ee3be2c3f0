"""What the last run left open → actions that run again, or end as a FATAL.

Owns which of the two. Must not know how an action runs.
"""

import logging
from collections.abc import Sequence

from flyte_host.pipeline.journal import JournalError, OpenAction
from flyte_host.pipeline.schedule.schedule import Schedule
from flyte_host.pipeline.workers.run import Runner

log = logging.getLogger(__name__)

CUT_OFF = "the host stopped while this command was running"


def recover(runner: Runner, schedule: Schedule) -> None:
    """End everything that the last run left open, at the start of a host.

    Nobody knows whether its handler had finished. So an idempotent command runs again when its
    pack has a slot, and any other action ends as a FATAL that says so.
    """
    cut_off = runner.journal.unfinished()
    schedule.add_cut_off(each for each in cut_off if _is_idempotent(runner, each))
    lost = [each for each in cut_off if not _is_idempotent(runner, each)]
    if lost:
        _end_lost(runner, lost)


def _is_idempotent(runner: Runner, opened: OpenAction) -> bool:
    pack = runner.packs.get(opened.pack_key)
    bound = None if pack is None else pack.commands.get(opened.taken.command)
    return bound is not None and bound.command.idempotent


def _end_lost(runner: Runner, lost: Sequence[OpenAction]) -> None:
    fatal = runner.handler_tools.outcomes.fatal(CUT_OFF)
    try:
        deliveries = runner.journal.finish_all((each, fatal.body) for each in lost)
    except JournalError as error:
        log.error("actions left open by the last run stay open until the next start: %s", error)
        return
    for each in lost:
        log.warning("%s ends as FATAL: %s", each.taken.command, CUT_OFF, extra=each.about)
        runner.tracer.end(runner.tracer.begin(each), fatal)
        runner.counters.ended(each.pack_key, each.taken.command, fatal.ending, None)
    for delivery in deliveries:
        runner.deliveries.add(delivery)
