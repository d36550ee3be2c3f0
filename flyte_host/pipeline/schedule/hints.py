"""Which packs are polled sooner because flyte accepted something: flows may have queued work.

Owns the guess, by what ``followers`` knows. Must not know how a pack is polled after a hint; that
is its ``ladder``.
"""

import heapq
import random

from flyte_host.pipeline.schedule.ladder import LADDER_SECONDS
from flyte_host.pipeline.schedule.pack_plan import PackPlan
from flyte_host.pipeline.schedule.poll_rules import PollRules
from flyte_host.pipeline.schedule.timetable import Timetable

GUESSED_PACKS = 20
"""How many packs a hint polls if nothing is known of followers: those that last found work."""
GUESSED_POLLS = 40
"""How many polls that makes at most: many packs get only the first steps of the ladder."""
HINT_SECONDS = LADDER_SECONDS[0] / 2
"""A hint so soon after another adds nothing: the first extra poll is still to come."""


class Hints:
    """Safe to use from any thread."""

    def __init__(self, timetable: Timetable, rules: PollRules, rng: random.Random) -> None:
        self._table = timetable
        self._rules = rules
        self._rng = rng

    def give(self, pack_key: str) -> None:
        """flyte accepted a result or an event of the pack: flows may have queued work for others.

        Thousands in a second cost no more than some dozens. At a flyte that announces every action
        a hint means nothing.
        """
        if self._rules.is_told:
            return
        table, followers = self._table, self._table.followers
        if table.now() - followers.accepted_at(pack_key) < HINT_SECONDS:
            return  # as most do while much is done, without the lock
        with table.lock:
            now = table.now()
            if now - followers.accepted_at(pack_key) < HINT_SECONDS:
                return
            followers.accept(pack_key, now)
            likely = followers.likely(pack_key)
            if likely:
                table.change(likely, PackPlan.hint)
            else:
                self._guess(followers.unfollowed(pack_key))

    def _guess(self, unfollowed: int) -> None:
        """Half as many after each result that nobody followed."""
        guessed = self._last_found(GUESSED_PACKS >> (unfollowed - 1))
        steps = GUESSED_POLLS // max(1, len(guessed))
        self._table.change(guessed, lambda plan, now: plan.hint(now, steps))

    def _last_found(self, number: int) -> list[str]:
        """The packs that found work last; of those that never did, any."""
        plans, chance = self._table.plans, self._rng.random
        takers = [key for key, plan in plans.items() if plan.takes]
        return heapq.nlargest(number, takers, lambda key: (plans[key].last_found, chance()))
