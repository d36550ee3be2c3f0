"""When one pack has its next turn.

Holds every rule about when to ask flyte, as plain data: no lock, no thread, no clock of its own.
``schedule`` guards it and tells it the time.
"""

import math
from datetime import datetime
from typing import NamedTuple

from flyte_host.pipeline.journal import OpenAction
from flyte_host.pipeline.schedule.busy_workers import BACK_SECONDS
from flyte_host.pipeline.schedule.ladder import LADDER_SECONDS, Ladder
from flyte_host.pipeline.schedule.pace import Pace
from flyte_host.pipeline.schedule.poll_record import PollRecord
from flyte_host.pipeline.schedule.poll_rules import SHORTEST, PollRules
from flyte_host.pipeline.schedule.slots import Slots

EARLY = 0.02
"""How much earlier, as a share of the interval, a worker that is awake polls an idle pack. With
many idle packs it polls several whenever it wakes: waking costs as much as a poll."""


class Due(NamedTuple):
    """``at`` is the place in the order, ``wake_at`` for waking a worker that is idle.

    One that is awake and has nothing else to do may begin ``early_seconds`` before.
    """

    at: float
    wake_at: float
    early_seconds: float = 0.0


NEVER = Due(math.inf, math.inf)


class PackPlan:
    """One pack's slots, its pauses, and its place in the schedule; times are in seconds."""

    def __init__(self, slots: int, rules: PollRules, now: float, *, takes: bool = True) -> None:
        self.slots = Slots(slots)
        self.takes = takes
        """False for a pack without commands, which is only kept registered."""
        self.cut_off: list[OpenAction] = []
        """What a restart found and may run again; a deque would take 0.7 KB in each pack."""
        self.paused_since: datetime | None = None
        self.polls = PollRecord(rules.rng)
        self.last_found = -math.inf
        self.under_way = 0
        self._pace = Pace(slots)
        self._ladder = Ladder(rules.budget)
        self._rules = rules
        self._due = now
        self._patience = 0.0
        self._early_seconds = 0.0
        self._again_at = now
        self._kept_at = now
        self._turn_at = -math.inf
        self._idle = True
        self._woken = False

    @property
    def only_kept(self) -> bool:
        """Whether the next turn takes nothing: the pack has no commands, or is paused."""
        return not self.takes or self.paused_since is not None

    @property
    def again(self) -> bool:
        """Whether the next turn runs what a restart found."""
        return bool(self.cut_off) and self.slots.free

    def due(self) -> Due:
        """When the next turn may begin: due, and with a free slot if it needs one."""
        if self.again:
            return Due(self._again_at, self._again_at)
        if self.only_kept:
            return NEVER if self.under_way else Due(self._kept_at, self._kept_at)
        return self._take_due()

    def _take_due(self) -> Due:
        pace = self._pace
        if self.under_way >= pace.width or not self.slots.free:
            return NEVER
        if pace.beside_at < self._due:
            at = pace.not_before(pace.beside_at)
            return Due(at, at)
        at = pace.not_before(self._due)
        return Due(at, at + self._patience, self._early_seconds)

    def begin_take(self, now: float) -> None:
        """A take goes out; while the pack is wide, more may follow."""
        if self._ladder.is_next:
            self._ladder.is_next = False
            self._rules.extra_polls += 1
        self._due = math.inf
        self._pace.begin(now, self._rules.beside_seconds)

    def found(self, now: float, took_seconds: float) -> bool:
        """The take got an action: the next one may go out soon, and later one more beside it.

        True: the pack had none before.
        """
        self._pace.find(took_seconds)
        self.last_found = now
        self._set_due(now)
        if not self._pace.is_slow:  # else another worker asks again at once
            self._follow(now)
        self._ladder.find()
        was_idle, self._idle = self._idle, False
        return was_idle

    def empty(self, now: float, took_seconds: float) -> bool:
        """The take got nothing. True: it was the last one on the ladder after a hint."""
        self._pace.miss(took_seconds)
        if self._woken:
            self._woken = False
            self._set_due(now)
        else:
            self._set_due(min(self._due, now + self._climb(now)))
            if not self._ladder.is_next:
                least = now + SHORTEST * self._rules.interval_seconds
                self._early_seconds = min(
                    EARLY * self._rules.interval_seconds, max(0.0, self._due - least)
                )
        self._idle = True
        return self._ladder.miss()

    def contend(self, now: float, took_seconds: float) -> None:
        """The take met a 500: a lost race until it repeats."""
        if self._pace.collide(now, took_seconds):
            self.polls.collide()
        if self.polls.is_contended:
            self._pace.restart()
            self._set_due(self.polls.back_off(now, now - took_seconds))
        else:
            self._set_due(min(self._due, now + self.polls.race_seconds()))

    def fail(self, now: float, began_at: float, pause_seconds: float | None = None) -> None:
        """The turn could not be done; without a pause of the caller's, pauses grow."""
        self._pace.restart()
        if pause_seconds is None:
            self.rest(self.polls.back_off(now, began_at))
        else:
            self.rest(now + pause_seconds)

    def forget(self, now: float, began_at: float) -> bool:
        """flyte does not know the pack. It registers at once, later if that repeats (True)."""
        is_again = self.polls.forget()
        self.fail(now, began_at, None if is_again else 0.0)
        return is_again

    def rest(self, until: float) -> None:
        """Do nothing for the pack for some time."""
        self._again_at = self._kept_at = until
        self._set_due(until)

    def keep(self, now: float) -> None:
        """The pack was just registered; one that was resumed meanwhile stays due."""
        self._kept_at = now + self._rules.keep_alive_seconds

    def pause(self, now: float, since: datetime) -> None:
        """The pack is due now, and then whenever :meth:`keep` says, until :meth:`resume`."""
        self.paused_since = since
        self._kept_at = now

    def resume(self, now: float) -> None:
        """The pack is due at once, if it has a free slot."""
        self.paused_since = None
        self._again_at = now
        self._set_due(now)

    def wake(self, now: float) -> None:
        """There certainly is work for the pack: a take under way may have missed it.

        flyte has one more action, so one more take is enough; or it has deleted the pack, which a
        take finds out. A pack without commands registers.
        """
        if not self.takes:
            self._kept_at = now
        elif self.under_way >= self._pace.width:
            self._woken = True
        else:
            self._set_due(min(self._due, now))

    def see(self, now: float) -> None:
        """flyte has answered for this pack, as for all others; only a poll ends a problem."""
        polls = self.polls
        if polls.polled_at is None or polls.problem or self.paused_since is not None:
            return
        polls.polled_at = now
        if not self.takes and not self.under_way:
            self._kept_at = now + self._rules.keep_alive_seconds

    def hint(self, now: float, steps: int = len(LADDER_SECONDS)) -> None:
        """There may be work for the pack: it is polled on the first ``steps`` of a short ladder."""
        self._ladder.hint(steps)
        if self.under_way or self.polls.failures or not self.slots.free:
            return
        if not self._ladder.is_next:
            self._set_due(min(self._due, now + self._climb(now)))
        elif self._ladder.may_hurry(now):
            self._set_due(min(self._due, now + LADDER_SECONDS[0]))

    def _follow(self, now: float) -> None:
        """After a quick find: take the next later, since this action may be the only one."""
        if self._idle and not self._woken:
            self._due, self._early_seconds = now + BACK_SECONDS, BACK_SECONDS
        else:
            self._patience = BACK_SECONDS

    def _set_due(self, at: float) -> None:
        self._due, self._patience, self._early_seconds = at, 0.0, 0.0

    def _climb(self, now: float) -> float:
        """The time until the next poll: a step of the ladder, or the interval."""
        rules = self._rules
        idle = self._turn_seconds(now) if rules.takes_turns else rules.idle_seconds()
        return self._ladder.climb(now, idle)

    def _turn_seconds(self, now: float) -> float:
        """The time until the pack's turn, which it keeps when it finds work before that."""
        if self._turn_at <= now:
            self._turn_at = self._rules.next_turn_at(now)
        return self._turn_at - now
