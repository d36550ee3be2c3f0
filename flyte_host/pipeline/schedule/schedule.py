"""When each pack is polled: the bottom of the pipeline, which every other part calls.

Owns the plans of all packs; workers get their turns from ``turns``. A part that may have made work
for a pack says so with :meth:`wake` or :meth:`resume`, or gives one of the ``hints``. Must not know
what a turn does.
"""

import logging
from collections.abc import Iterable, Mapping

from flyte_host.client.network import Network
from flyte_host.clock import Clock
from flyte_host.packs import ServedPack
from flyte_host.pipeline.journal import OpenAction
from flyte_host.pipeline.schedule.hints import Hints
from flyte_host.pipeline.schedule.idle_workers import LINGER_SECONDS
from flyte_host.pipeline.schedule.pack_plan import PackPlan
from flyte_host.pipeline.schedule.pack_view import PackView, view_of
from flyte_host.pipeline.schedule.poll_rules import (
    EXTRA_POLLS_PER_SECOND,
    KEEP_ALIVE_SECONDS,
    HintBudget,
    PollRules,
)
from flyte_host.pipeline.schedule.timetable import Timetable
from flyte_host.pipeline.schedule.turns import Turns

log = logging.getLogger(__name__)


class Schedule:
    """Safe to use from any thread.

    ``is_told``: flyte announces every action, either within this process or by a request that stays
    open, and :meth:`wake` is called. So idle packs are rarely polled, and hints are ignored.
    """

    def __init__(
        self,
        poll_interval_seconds: float,
        clock: Clock,
        *,
        is_told: bool = False,
        extra_polls_per_second: float = EXTRA_POLLS_PER_SECOND,
        linger_seconds: float = LINGER_SECONDS,
        keep_alive_seconds: float = KEEP_ALIVE_SECONDS,
    ) -> None:
        self._clock = clock
        self._table = Timetable(clock, linger_seconds=linger_seconds)
        budget = HintBudget(clock.monotonic(), extra_polls_per_second)
        self._rules = PollRules(poll_interval_seconds, keep_alive_seconds, clock.rng, budget)
        self._packs: dict[str, list[ServedPack]] = {}
        self._rules.set_told(is_told=is_told)
        self.turns = Turns(self._table)
        self.hints = Hints(self._table, self._rules, clock.rng)

    def add(self, pack: ServedPack) -> None:
        """Add a pack, which is due at once."""
        with self._table.lock:
            now = self._table.now()
            self._packs.setdefault(pack.definition.name, []).append(pack)
            plan = PackPlan(pack.max_concurrent, self._rules, now, takes=bool(pack.commands))
            self._table.plans[pack.pack_key] = plan
            self._table.place(pack.pack_key, plan)
            self._table.call(now)

    def open(self, network: Network) -> None:
        """Have the workers look at the network, while any of them has a request under way there."""
        self._table.lookout.open(network)
        self._rules.beside_seconds = 0.0  # no other worker has to be woken

    def add_cut_off(self, opened: Iterable[OpenAction]) -> None:
        """Run again what a restart found, as slots come free, before anything is taken."""
        with self._table.lock:
            for each in opened:
                plan = self._table.plans[each.pack_key]
                plan.cut_off.append(each)
                self._table.place(each.pack_key, plan)
            self._table.call(self._table.now())

    # For those who know of work.

    def wake(self, pack_name: str, labels: Mapping[str, str]) -> None:
        """An action for a pack of this name was queued: poll those it may be for at once."""
        with self._table.lock:
            named = self._packs.get(pack_name, ())
            meant = [pack.pack_key for pack in named if _has_labels(pack, labels)]
            self._table.change(meant, PackPlan.wake)

    @property
    def is_told(self) -> bool:
        """Whether flyte announces every action."""
        return self._rules.is_told

    def set_told(self, *, is_told: bool, takes_turns: bool = False) -> None:
        """Set whether flyte announces every action; once it does not, poll all packs.

        ``takes_turns``: idle packs are polled one at a time, since each poll is a request.
        """
        with self._table.lock:
            is_news = self._rules.set_told(is_told=is_told, takes_turns=takes_turns)
            if is_news and not is_told:
                self._table.change(self._table.plans, PackPlan.wake)

    def see_idle(self) -> None:
        """flyte has answered for all packs at once.

        So packs without a problem count as polled, and those without commands as registered again.
        """
        with self._table.lock:
            self._table.change(self._table.plans, PackPlan.see)

    def pause(self, pack_key: str) -> None:
        """Begin no take of the pack, only keep it registered. A second call does nothing."""
        with self._table.lock:
            if self._table.plans[pack_key].paused_since is not None:
                return
            since = self._clock.now()
            self._table.change([pack_key], lambda plan, now: plan.pause(now, since))
        log.info("pack %s is paused: no more actions are taken", pack_key, extra={"pack": pack_key})

    def resume(self, pack_key: str) -> None:
        """Take the pack's actions again, at once. A second call does nothing."""
        with self._table.lock:
            was_paused = self._table.plans[pack_key].paused_since is not None
            self._table.change([pack_key], PackPlan.resume)
        if was_paused:
            log.info("pack %s is resumed", pack_key, extra={"pack": pack_key})

    # For those who look.

    def view(self, pack_key: str) -> PackView:
        """How the pack is now."""
        with self._table.lock:
            return view_of(self._table.plans[pack_key])

    def next_due_at(self) -> float:
        """When the next turn of any pack may begin; infinity: not before something happens."""
        with self._table.lock:
            return self._table.next_due()[0].at

    def stuck_places(self, pack_key: str) -> list[str]:
        """The pack's handlers past their timeout: each command and where it stands."""
        with self._table.lock:
            places = list(self._table.plans[pack_key].slots.stuck)
        return [place() for place in places]

    @property
    def poll_interval_seconds(self) -> float:
        """How often an idle pack is polled."""
        return self._rules.interval_seconds

    @property
    def extra_polls(self) -> int:
        """How many polls were made because of a hint."""
        return self._rules.extra_polls

    @property
    def stopping(self) -> bool:
        """Whether no turn may begin any longer."""
        return self._table.stopping

    @property
    def takes_under_way(self) -> int:
        """How many takes wait for flyte's answer."""
        return self._table.takes_under_way

    # For the end.

    def stop(self) -> None:
        """Begin no more turns; jobs of actions that have ended still run."""
        with self._table.lock:
            self._table.stopping = True

    def drain(self, deadline: float) -> int:
        """Wait for takes and handlers until the clock's ``deadline``; returns how many are left."""
        with self._table.lock:
            while (left := self._table.begun) and (wait := deadline - self._table.now()) > 0:
                self._table.drained.wait(wait)
            return left


def _has_labels(pack: ServedPack, labels: Mapping[str, str]) -> bool:
    return labels.items() <= dict(pack.definition.labels).items()
