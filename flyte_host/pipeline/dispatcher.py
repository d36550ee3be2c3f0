"""Action → its owner's handler → a result in the journal.

Owns the slots of every pack, the recovery of what the last run left open, and the wait for running
handlers at the end. Must not know how actions are taken nor how results reach flyte, nor what
becomes of one action between its start and its end; that is ``running``.
"""

import functools
import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta

from flyte_host.counters import Counters
from flyte_host.model import Action
from flyte_host.packs import ServedPack
from flyte_host.pipeline.bulkhead import Bulkhead, Load
from flyte_host.pipeline.journal import Delivery, Journal, OpenAction
from flyte_host.pipeline.run import Run, about
from flyte_host.pipeline.runner import Outcome, Runner, Watch
from flyte_host.plugins.bound_command import BoundCommand
from flyte_host.text import nearest

log = logging.getLogger(__name__)

CUT_OFF = "the host stopped while this command was running"
LOOK_SECONDS = 1.0
"""A recovery that waits for slots looks again so often, if it is not told before."""


class Dispatcher:
    """Runs actions; each submitted one ends in the journal exactly once."""

    def __init__(
        self,
        packs: Mapping[str, ServedPack],
        runner: Runner,
        journal: Journal,
        *,
        finished: Callable[[Delivery], None],
        slot_freed: Callable[[str], None],
        now: Callable[[], datetime],
        counts: Counters | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._counts = counts or Counters()
        self._packs = packs
        self._runner = runner
        self._journal = journal
        self._finished = finished
        self._slot_freed = slot_freed
        self._now = now
        self._clock = clock
        self._bulkheads = {
            pack_key: Bulkhead(pack.max_concurrent) for pack_key, pack in packs.items()
        }
        self._changed = threading.Condition()
        self._unsettled = 0
        self._stuck: dict[str, list[Run]] = {}
        self._recovering: list[OpenAction] = []
        self._abandoned = False
        for pack_key, pack in packs.items():
            if pack.process is not None:
                pack.process.when_up(functools.partial(self.freed, pack_key))

    def reserve(self, pack_key: str) -> bool:
        """A slot for an action that is about to be taken; give it to ``submit`` or back.

        There is none while the pack's process is away, whose end :meth:`freed` tells.
        """
        return self.runs(pack_key) and self._bulkheads[pack_key].reserve()

    def runs(self, pack_key: str) -> bool:
        """Whether there is a process to run the pack's commands: the host's, or its own."""
        process = self._packs[pack_key].process
        return process is None or process.child is not None

    def release(self, pack_key: str) -> None:
        """Give back a slot for which there was no action."""
        self._bulkheads[pack_key].release()

    def load(self, pack_key: str) -> Load:
        """What is in the pack's slots now."""
        return self._bulkheads[pack_key].load()

    def stuck(self, pack_key: str) -> list[str]:
        """The pack's handlers that run on past their time-out: each command and where it stands."""
        with self._changed:
            runs = list(self._stuck.get(pack_key, ()))
        return [each.standing() for each in runs]

    @property
    def blocked(self) -> str:
        """Words about who blocks all coroutines; empty if nobody does."""
        return self._runner.blocked

    def submit(self, opened: OpenAction) -> None:
        """Run an action in a reserved slot; returns at once."""
        pack = self._packs[opened.pack_key]
        bound = pack.commands.get(opened.taken.command)
        run = Run(self, bound, opened, self._bulkheads[opened.pack_key])
        with self._changed:
            self._unsettled += 1
        if bound is None:
            run.settled(self._runner.fatal(_unknown_command(opened.taken.command, pack)))
            run.ended()
            return
        log.info("%s started", opened.taken.command, extra=about(opened))
        action = self._action(opened, pack, bound)
        run.started = self._clock()
        watch = Watch(run.settled, run.ended, opened.pack_key)
        try:
            run.place = self._runner.start(bound, opened.taken.input, action, watch)
        except Exception as error:  # no thread to be had: the action must end all the same
            run.settled(self._runner.fatal(f"the host could not run the command: {error}"))
            run.ended()

    def recover(self, opened: Iterable[OpenAction]) -> None:
        """Settle what the last run left open: the journal's unfinished actions of before the start.

        An idempotent command runs again, any other action ends as a FATAL that says so: whether
        its handler got to its end is not known. Waits for slots, so many open actions of one pack
        do not run at once, until :meth:`abandon`.
        """
        for each in opened:
            if self._is_idempotent(each):
                self._recovering.append(each)
            else:
                self._cut_off(each)
        with self._changed:
            while self._recovering and not self._abandoned:
                self._recovering = [each for each in self._recovering if not self._run_again(each)]
                if self._recovering:
                    self._changed.wait(LOOK_SECONDS)

    def recovering(self, pack_key: str) -> int:
        """How many actions of the pack wait for a slot to run again."""
        return sum(each.pack_key == pack_key for each in self._recovering)

    def abandon(self) -> None:
        """Leave to the next run what still waits to be recovered."""
        with self._changed:
            self._abandoned = True
            self._changed.notify_all()

    def drain(self, deadline: float) -> int:
        """Wait for running actions until the clock's ``deadline``; returns how many are left."""
        with self._changed:
            while self._unsettled and (wait := deadline - self._clock()) > 0:
                self._changed.wait(wait)
            return self._unsettled

    def settle(self, opened: OpenAction, outcome: Outcome, started: float | None = None) -> None:
        """Write an outcome down and hand it on; for :class:`Run`."""
        seconds = None if started is None else self._clock() - started
        self._counts.ended(opened.pack_key, opened.taken.command, outcome.ending, seconds)
        delivery = self._journal.finish(opened.number, outcome.body)
        self._finished(delivery)

    def freed(self, pack_key: str) -> None:
        """A slot may be free again; for :class:`Run`."""
        with self._changed:
            self._changed.notify_all()
        self._slot_freed(pack_key)

    def quarantined(self, pack_key: str, stuck: int) -> None:
        """Every slot is held by a handler past its time-out; for :class:`Run`.

        A process of the pack's own can be ended, and a thread cannot.
        """
        process = self._packs[pack_key].process
        if process is not None:
            process.kill(f"{stuck} handlers run on past their time-out")
            return
        log.error(
            "pack is quarantined: %d handlers run on past their time-out; it gets actions again "
            "when one of them ends",
            stuck,
            extra={"pack": pack_key},
        )

    def stick(self, pack_key: str, run: Run, *, on: bool) -> None:
        """A handler runs on past its time-out, or does so no longer; for :class:`Run`."""
        with self._changed:
            runs = self._stuck.setdefault(pack_key, [])
            runs.append(run) if on else runs.remove(run)

    def settled(self) -> None:
        """One running action less; for :class:`Run`."""
        with self._changed:
            self._unsettled -= 1
            self._changed.notify_all()

    def _cut_off(self, opened: OpenAction) -> None:
        log.warning("%s ends as FATAL: %s", opened.taken.command, CUT_OFF, extra=about(opened))
        self.settle(opened, self._runner.fatal(CUT_OFF))

    def _is_idempotent(self, opened: OpenAction) -> bool:
        pack = self._packs.get(opened.pack_key)
        bound = None if pack is None else pack.commands.get(opened.taken.command)
        return bound is not None and bound.command.idempotent

    def _run_again(self, opened: OpenAction) -> bool:
        """Whether there was a slot for it."""
        if not self.reserve(opened.pack_key):
            return False
        try:
            self._journal.again(opened.number)
        except BaseException:
            self.release(opened.pack_key)
            raise
        log.warning("%s runs again: %s", opened.taken.command, CUT_OFF, extra=about(opened))
        self.submit(_next_attempt(opened))
        return True

    def _action(self, opened: OpenAction, pack: ServedPack, bound: BoundCommand) -> Action:
        seconds = bound.command.timeout_seconds
        return Action(
            opened.taken.id,
            opened.taken.command,
            pack.definition.name,
            opened.taken_at,
            opened.attempt,
            None if seconds is None else self._now() + timedelta(seconds=seconds),
        )


def _next_attempt(opened: OpenAction) -> OpenAction:
    return OpenAction(
        opened.number,
        opened.pack_key,
        opened.pack,
        opened.taken,
        opened.taken_at,
        opened.attempt + 1,
    )


def _unknown_command(name: str, pack: ServedPack) -> str:
    known = ", ".join(pack.commands) or "none"
    return (
        f"pack {pack.definition.name!r} has no command {name!r}{nearest(name, pack.commands)}; "
        f"it has: {known}"
    )
