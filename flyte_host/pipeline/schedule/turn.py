"""One turn of a pack, in the hands of one worker.

Says how the turn went on, and gives its slot back exactly once.
"""

import logging
from collections.abc import Callable
from typing import TypeVar

from flyte_host.pipeline.journal import OpenAction
from flyte_host.pipeline.schedule.pack_plan import PackPlan
from flyte_host.pipeline.schedule.poll_record import CONTENTION_LIMIT
from flyte_host.pipeline.schedule.slots import Place
from flyte_host.pipeline.schedule.timetable import Phase, Timetable

log = logging.getLogger(__name__)

T = TypeVar("T")
Rule = Callable[[PackPlan, float], T]


class Turn:
    """Made by the schedule; safe to use from any thread, by one at a time."""

    def __init__(
        self,
        timetable: Timetable,
        pack_key: str,
        began_at: float,
        cut_off: OpenAction | None = None,
    ) -> None:
        self._timetable = timetable
        self._began_at = began_at
        self.pack_key = pack_key
        self.phase = Phase.ENDED
        self.cut_off = cut_off
        """An action that a restart found, to be run in this turn instead of a take."""

    @property
    def keeps(self) -> bool:
        """Whether the turn is only to keep the pack registered."""
        return self.phase is Phase.KEEPING

    def move(self, plan: PackPlan, phase: Phase) -> None:
        """Come further; the lock is held.

        What a restart found, and did not begin in this turn, is left to a later one.
        """
        if phase is Phase.ENDED and self.phase is Phase.CUT_OFF and self.cut_off is not None:
            plan.cut_off.insert(0, self.cut_off)
        self._timetable.move(plan, self.phase, phase)
        self.phase = phase

    def may_begin(self) -> bool:
        """Whether the take, or the handler, may still begin. The turn is over if it may not.

        Asked right before, since a stop or a pause may have come meanwhile.
        """
        table = self._timetable
        with table.lock:
            plan = table.plans[self.pack_key]
            if not table.stopping and (self.cut_off is not None or not plan.only_kept):
                self.move(plan, Phase.TAKING if self.cut_off is None else Phase.RUNNING)
                return True
            self.move(plan, Phase.ENDED)
            table.place(self.pack_key, plan)
            return False

    def may_repeat(self) -> bool:
        """Whether a take that flyte refused unread may be made once more."""
        table = self._timetable
        with table.lock:
            return not table.stopping and not table.plans[self.pack_key].only_kept

    def found(self) -> None:
        """The take got an action, which keeps the slot until :meth:`ended`."""

        def rule(plan: PackPlan, now: float) -> bool:
            if plan.found(now, now - self._began_at):
                self._timetable.followers.find(self.pack_key, now)
            return plan.polls.succeed(now)

        if self._apply(rule, Phase.WRITING, stays_away=True):
            self._tell_well()

    def written(self) -> None:
        """The action is on disk: its handler may start."""
        table = self._timetable
        with table.lock:
            was_full = table.is_full
            self.move(table.plans[self.pack_key], Phase.RUNNING)
            if was_full:
                table.call(table.now())

    def empty(self) -> None:
        """The take got nothing."""

        def rule(plan: PackPlan, now: float) -> bool:
            if plan.empty(now, now - self._began_at):
                self._timetable.followers.miss(self.pack_key, now)
            return plan.polls.succeed(now)

        if self._apply(rule):
            self._tell_well()

    def kept(self) -> None:
        """The pack is registered, and takes nothing."""

        def rule(plan: PackPlan, now: float) -> bool:
            plan.keep(now)
            return plan.polls.succeed(now)

        if self._apply(rule):
            self._tell_well()

    def contended(self, problem: str) -> None:
        """The take lost a race; too many in a row are a problem."""
        problem = f"{problem}, {CONTENTION_LIMIT} times in a row"

        def rule(plan: PackPlan, now: float) -> bool:
            plan.contend(now, now - self._began_at)
            return plan.polls.is_contended and plan.polls.note_problem(problem)

        if self._apply(rule):
            self._tell_problem(problem)

    def failed(self, problem: str, pause_seconds: float | None = None) -> None:
        """The turn could not be done; without a pause of the caller's, pauses grow.

        A problem that comes with a pause is logged by the caller, who knows how long it takes.
        """

        def rule(plan: PackPlan, now: float) -> bool:
            plan.fail(now, self._began_at, pause_seconds)
            is_ours = pause_seconds is None and not self._timetable.stopping
            return plan.polls.note_problem(problem, tell=is_ours)

        if self._apply(rule):
            self._tell_problem(problem)

    def forgotten(self, problem: str) -> None:
        """flyte does not know the pack."""

        def rule(plan: PackPlan, now: float) -> bool:
            return plan.polls.note_problem(problem, tell=plan.forget(now, self._began_at))

        if self._apply(rule):
            self._tell_problem(problem)

    def rest(self, pause_seconds: float) -> None:
        """Nothing can be done for the pack before the pause is over."""
        self._apply(lambda plan, now: plan.rest(now + pause_seconds))

    def ended(self) -> None:
        """The action is over: its slot is free."""
        self._apply(lambda _plan, _now: None, stays_away=True)

    def timed_out(self, place: Place) -> int:
        """The handler is still running past its timeout: its slot is free, its thread is not.

        Returns how many of the pack are stuck, 0 if that does not quarantine it.
        """
        return self._apply(lambda plan, _: plan.slots.stick(place), stays_away=True)

    def unstuck(self, place: Place) -> int:
        """A handler ended after its timeout; returns how many of the pack are still stuck."""
        return self._apply(lambda plan, _: plan.slots.unstick(place), stays_away=True)

    def _apply(self, rule: Rule[T], phase: Phase = Phase.ENDED, *, stays_away: bool = False) -> T:
        """Come to that phase, which changes the pack's plan.

        ``stays_away``: the worker does not come for its next turn now, so that somebody else has to
        see to what is due.
        """
        table = self._timetable
        with table.lock:
            now, plan = table.now(), table.plans[self.pack_key]
            self.move(plan, phase)
            result = rule(plan, now)
            table.place(self.pack_key, plan)
            if stays_away:
                table.call(now)
            return result

    def _tell_well(self) -> None:
        log.info("pack %s is polled again", self.pack_key, extra={"pack": self.pack_key})

    def _tell_problem(self, problem: str) -> None:
        log.warning(
            "cannot poll pack %s: %s", self.pack_key, problem, extra={"pack": self.pack_key}
        )
