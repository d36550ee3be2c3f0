"""When to ask flyte: rules as data, told by times that the test makes up."""

import heapq
import itertools
import math
import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from flyte_host.pipeline.schedule import (
    CONTENTION_LIMIT,
    EXTRA_POLLS_BURST,
    EXTRA_POLLS_PER_SECOND,
    LADDER_SECONDS,
    LIKELY_PACKS,
    Schedule,
)
from tests.support.host_parts import Middle

INTERVAL = 5.0
START = 1000.0
IDLE = INTERVAL * 0.9
"""The pause of an idle pack when the middle of every range is drawn."""


def schedule_of(*pack_keys: str, rng: random.Random | None = None, max_width: int = 8) -> Schedule:
    return Schedule(
        pack_keys or ("p",),
        interval_seconds=INTERVAL,
        now=START,
        rng=rng or Middle(),
        max_width=max_width,
    )


def due_in(schedule: Schedule, now: float = START) -> float:
    """Seconds until the first pack is due; infinity for never."""
    due = schedule.next_due()
    return math.inf if due is None else round(due[0] - now, 6)


def begun(*pack_keys: str, **more: int) -> Schedule:
    """A schedule with a take of the first pack under way."""
    schedule = schedule_of(*pack_keys, **more)
    schedule.begin((pack_keys or ("p",))[0], START)
    return schedule


def test_without_packs_nothing_is_due() -> None:
    nothing = Schedule((), interval_seconds=INTERVAL, now=START, rng=Middle())
    assert nothing.next_due() is None


def test_every_pack_is_due_at_the_start() -> None:
    schedule = schedule_of("b", "a")
    order = []
    while (due := schedule.next_due()) is not None:
        assert due[0] == START
        order.append(due[1])
        schedule.begin(due[1], START)
    assert order == ["a", "b"]


def test_who_is_due_first_comes_first() -> None:
    schedule = schedule_of("a", "b")
    schedule.begin("a", START)
    schedule.begin("b", START)
    schedule.failed("a", START, 3)
    schedule.failed("b", START, 2)
    assert schedule.next_due() == (START + 2, "b")


def test_a_pack_whose_take_is_under_way_is_not_due() -> None:
    assert begun().next_due() is None


def test_an_idle_pack_is_due_after_the_interval() -> None:
    schedule = begun()
    schedule.empty("p", START)
    assert due_in(schedule) == IDLE


@pytest.mark.parametrize(("draw", "seconds"), [(min, 4.0), (max, 5.0)])
def test_the_interval_is_jittered_downwards(
    draw: Callable[[float, float], float], seconds: float
) -> None:
    class Draws(random.Random):
        def uniform(self, a: float, b: float) -> float:
            return draw(a, b)

    schedule = schedule_of(rng=Draws())
    schedule.begin("p", START)
    schedule.empty("p", START)
    assert due_in(schedule) == seconds


def test_a_find_is_followed_by_two_takes_at_once() -> None:
    schedule = begun()
    schedule.found("p", START)
    for _ in range(2):
        assert due_in(schedule) == 0
        schedule.begin("p", START)
    assert schedule.next_due() is None


def test_finds_widen_up_to_the_greatest_width() -> None:
    schedule = begun(max_width=3)
    for _ in range(5):
        schedule.found("p", START)
        schedule.begin("p", START)
    under_way = 1
    while schedule.next_due() is not None:
        schedule.begin("p", START)
        under_way += 1
    assert under_way == 3


def test_an_empty_take_narrows_and_does_not_poll_beside_what_is_under_way() -> None:
    schedule = begun()
    schedule.found("p", START)
    schedule.begin("p", START)
    schedule.begin("p", START)
    schedule.empty("p", START)
    assert schedule.next_due() is None  # one is wide enough, and it is under way
    schedule.empty("p", START)
    assert due_in(schedule) == IDLE


def test_an_empty_take_does_not_put_off_one_that_is_due_already() -> None:
    schedule = begun()
    schedule.found("p", START)
    schedule.begin("p", START)
    schedule.found("p", START)
    schedule.begin("p", START)
    schedule.empty("p", START)
    assert due_in(schedule) == 0


def test_contention_halves_the_width() -> None:
    schedule = begun()
    for _ in range(3):
        schedule.found("p", START)
        schedule.begin("p", START)
    assert schedule._turns["p"].width == 4
    schedule.contended("p", START)
    assert schedule._turns["p"].width == 2
    schedule.begin("p", START)
    schedule.contended("p", START)
    schedule.begin("p", START)
    schedule.contended("p", START)
    assert schedule._turns["p"].width == 1


def test_a_lost_race_is_followed_by_a_quick_retry() -> None:
    schedule = begun()
    assert schedule.contended("p", START) == 0.025
    assert due_in(schedule) == 0.025
    assert not schedule.is_contended("p")


def test_lost_races_without_end_back_off() -> None:
    schedule = schedule_of()
    now, pauses = START, []
    for _ in range(CONTENTION_LIMIT + 9):
        schedule.begin("p", now)
        pauses.append(schedule.contended("p", now))
        assert due_in(schedule, now) == round(pauses[-1], 6)
        now += pauses[-1]
    assert max(pauses[:CONTENTION_LIMIT]) < 0.25
    assert pauses[CONTENTION_LIMIT:] == [0.75, 1.5, 3, 6, 12, 24, 45, 45, 45]
    assert schedule.is_contended("p")
    schedule.begin("p", now)
    schedule.empty("p", now)
    assert not schedule.is_contended("p")
    schedule.begin("p", now)
    assert schedule.contended("p", now) == 0.025


def test_many_takes_that_collide_at_once_back_off_too() -> None:
    schedule = begun(max_width=16)
    for _ in range(15):
        schedule.found("p", START)
        schedule.begin("p", START)
    while schedule.next_due() is not None:
        schedule.begin("p", START)
    pauses = [schedule.contended("p", START) for _ in range(16)]
    assert pauses[0] == 0.025
    assert due_in(schedule) == pauses[-1] > 10


def test_a_failure_narrows_and_pauses_as_long_as_it_says() -> None:
    schedule = begun()
    schedule.found("p", START)
    schedule.begin("p", START)
    assert schedule.failed("p", START, 7.5) == 7.5
    assert due_in(schedule) == 7.5
    schedule.begin("p", START + 7.5)
    assert schedule.next_due() is None


def test_failures_without_a_pause_back_off_until_one_succeeds() -> None:
    schedule = schedule_of()
    pauses = []
    for _ in range(10):
        schedule.begin("p", START)
        pauses.append(schedule.failed("p", START))
    assert pauses == [0.75, 1.5, 3, 6, 12, 24, 45, 45, 45, 45]
    schedule.begin("p", START)
    schedule.found("p", START)
    schedule.begin("p", START)
    assert schedule.failed("p", START) == 0.75


def test_a_pack_without_a_slot_is_due_when_it_has_one() -> None:
    schedule = begun()
    schedule.wait_for_slot("p")
    schedule.wake("p", START)
    schedule.hint(["p"], START)
    assert schedule.next_due() is None
    schedule.slot_freed("p", START + 1)
    assert schedule.next_due() == (START + 1, "p")


def test_a_freed_slot_is_nothing_to_a_pack_that_waits_for_none() -> None:
    schedule = begun()
    schedule.empty("p", START)
    schedule.slot_freed("p", START)
    assert due_in(schedule) == IDLE


def test_an_empty_take_that_gave_its_slot_back_ends_the_wait_for_one() -> None:
    """Two takes, one slot: the second waits for it, the first one finds nothing."""
    schedule = begun()
    schedule.found("p", START)
    schedule.begin("p", START)
    schedule.begin("p", START)
    schedule.wait_for_slot("p")
    schedule.empty("p", START)
    schedule.wake("p", START)
    assert due_in(schedule) == 0


def test_a_pack_without_commands_rests_as_long_as_it_says() -> None:
    schedule = begun()
    schedule.rest("p", START, 240)
    assert due_in(schedule) == 240


def test_a_woken_pack_is_due_at_once() -> None:
    schedule = begun()
    schedule.empty("p", START)
    schedule.wake("p", START + 1)
    assert due_in(schedule, START + 1) == 0


def test_waking_does_not_put_off() -> None:
    schedule = schedule_of()
    schedule.wake("p", START + 1)
    assert due_in(schedule) == 0


def test_a_pack_woken_while_a_take_is_under_way_is_polled_right_after_it() -> None:
    """The take may have been answered before the work was queued; it costs no extra poll."""
    schedule = begun()
    schedule.wake("p", START)
    assert schedule.next_due() is None
    schedule.empty("p", START)
    assert due_in(schedule) == 0
    schedule.begin("p", START)
    schedule.empty("p", START)
    assert due_in(schedule) == IDLE


def test_a_hint_polls_on_a_growing_ladder() -> None:
    schedule = begun()
    schedule.empty("p", START)
    schedule.hint(["p"], START)
    now, pauses = START, []
    for _ in range(len(LADDER_SECONDS) + 1):
        pauses.append(due_in(schedule, now))
        now += pauses[-1]
        schedule.begin("p", now)
        schedule.empty("p", now)
    assert pauses == [*LADDER_SECONDS, IDLE]


def test_no_step_of_the_ladder_is_longer_than_the_interval() -> None:
    schedule = Schedule(["p"], interval_seconds=0.01, now=START, rng=Middle())
    schedule.begin("p", START)
    schedule.empty("p", START)
    schedule.hint(["p"], START)
    assert due_in(schedule) <= 0.01


def test_a_hint_is_kept_for_a_take_under_way() -> None:
    schedule = begun()
    schedule.hint(["p"], START)
    assert schedule.next_due() is None
    schedule.empty("p", START)
    assert due_in(schedule) == LADDER_SECONDS[0]


def test_a_hint_does_not_shorten_a_backoff() -> None:
    schedule = begun()
    pause = schedule.failed("p", START)
    schedule.hint(["p"], START)
    assert due_in(schedule) == pause


def test_a_hint_polls_those_that_last_found_work() -> None:
    names = [f"p{number:02}" for number in range(20)]
    schedule = schedule_of(*names)
    for name in names:
        schedule.begin(name, START)
    busy = set(names[5 : 5 + LIKELY_PACKS])
    for number, name in enumerate(names):
        if name in busy:
            schedule.found(name, START + number)
            schedule.begin(name, START + number)
        schedule.empty(name, START + number)
    schedule.hint(names, START + 20)
    soon = {name for name in names if schedule._turns[name].step == 1}
    assert soon == busy


def idle(count: int) -> tuple[Schedule, list[str]]:
    names = [f"p{number:03}" for number in range(count)]
    schedule = schedule_of(*names)
    for name in names:
        schedule.begin(name, START)
        schedule.empty(name, START)
    return schedule, names


@pytest.mark.parametrize("seconds", [0.0, 1.0, 10.0])
def test_extra_polls_have_a_budget_for_the_whole_host(seconds: float) -> None:
    """However many hints there are, every poll before its interval costs a token."""
    schedule, names = idle(50)
    extra = 0
    for step in range(1001):
        now = START + seconds * step / 1000
        for first in range(0, len(names), LIKELY_PACKS):
            schedule.hint(names[first : first + LIKELY_PACKS], now)
        while (due := schedule.next_due()) is not None and due[0] <= now:
            schedule.begin(due[1], now)
            schedule.empty(due[1], now)
            extra += 1
    usual = len(names) * math.ceil(seconds / (0.8 * INTERVAL))
    assert extra <= EXTRA_POLLS_BURST + EXTRA_POLLS_PER_SECOND * seconds + usual
    if seconds == 10:
        assert extra > usual


def test_past_the_burst_extra_polls_are_spread_by_the_budget() -> None:
    schedule, names = idle(60)
    for name in names:
        schedule.hint([name], START)
    dues = sorted(round(schedule._turns[name].due - START, 6) for name in names)
    burst = int(EXTRA_POLLS_BURST)
    assert dues[:burst] == [LADDER_SECONDS[0]] * burst
    assert dues[burst:] == [round(n / EXTRA_POLLS_PER_SECOND, 6) for n in range(1, 21)]


def test_without_budget_the_interval_holds() -> None:
    schedule, names = idle(200)
    for name in names:
        schedule.hint([name], START)
    soon = [name for name in names if schedule._turns[name].extra]
    lent = int(IDLE * EXTRA_POLLS_PER_SECOND) - 1
    assert len(soon) == EXTRA_POLLS_BURST + lent
    assert max(schedule._turns[name].due for name in names) <= START + INTERVAL


def test_extra_polls_are_counted_when_they_are_made() -> None:
    schedule = begun()
    schedule.empty("p", START)
    assert schedule.extra_polls == 0
    schedule.hint(["p"], START)
    assert schedule.extra_polls == 0
    for made, pause in enumerate(LADDER_SECONDS, 1):
        schedule.begin("p", START + pause)
        assert schedule.extra_polls == made
        schedule.empty("p", START + pause)
    schedule.begin("p", START + 2 * INTERVAL)
    assert schedule.extra_polls == len(LADDER_SECONDS)


def test_a_hint_for_a_pack_with_an_extra_poll_ahead_costs_nothing() -> None:
    schedule, names = idle(1)
    for _ in range(500):
        schedule.hint(names, START)
    assert due_in(schedule) == LADDER_SECONDS[0]
    assert schedule._tokens == EXTRA_POLLS_BURST - 1


def test_a_hint_brings_an_extra_poll_forward() -> None:
    schedule, [name] = idle(1)
    schedule.hint([name], START)
    for _ in range(3):
        now = schedule._turns[name].due
        schedule.begin(name, now)
        schedule.empty(name, now)
    assert due_in(schedule, now) > LADDER_SECONDS[0]
    schedule.hint([name], now)
    assert due_in(schedule, now) == LADDER_SECONDS[0]


def test_a_hint_without_budget_leaves_an_extra_poll_where_it_is() -> None:
    schedule, names = idle(60)
    for name in names:
        schedule.hint([name], START)
    dues = [schedule._turns[name].due for name in names]
    schedule.hint([names[-1]], START)
    assert [schedule._turns[name].due for name in names] == dues


def simulate(
    schedule: Schedule,
    rng: random.Random,
    *,
    takers: int,
    seconds: float,
    finds: Callable[[str], bool],
    take_seconds: float,
) -> dict[str, list[float]]:
    """Takers that follow the schedule; when the takes of each pack began."""
    now, under_way = START, []
    begun: dict[str, list[float]] = {pack_key: [START] for pack_key in schedule._turns}
    while now < START + seconds:
        due = schedule.next_due()
        ends = under_way[0][0] if under_way else math.inf
        if due is not None and len(under_way) < takers and due[0] <= ends:
            now = max(now, due[0])
            schedule.begin(due[1], now)
            begun[due[1]].append(now)
            heapq.heappush(under_way, (now + rng.uniform(0, take_seconds), due[1]))
            continue
        now, pack_key = heapq.heappop(under_way)
        (schedule.found if finds(pack_key) else schedule.empty)(pack_key, now)
    for times in begun.values():
        times.append(now)
    return begun


def gaps(times: list[float]) -> list[float]:
    return [later - earlier for earlier, later in itertools.pairwise(times)]


@settings(max_examples=30)
@given(seed=st.integers(0, 10**6), packs=st.integers(1, 12))
def test_an_idle_pack_is_polled_every_interval_and_not_more_often(seed: int, packs: int) -> None:
    rng = random.Random(seed)
    names = [f"p{number}" for number in range(packs)]
    schedule = Schedule(names, interval_seconds=INTERVAL, now=START, rng=rng)
    begun = simulate(
        schedule, rng, takers=packs, seconds=60, finds=lambda _: False, take_seconds=0.1
    )
    for times in begun.values():
        assert max(gaps(times)) <= INTERVAL + 0.1
        assert min(gaps(times[1:-1])) >= 0.8 * INTERVAL


@settings(max_examples=30)
@given(
    seed=st.integers(0, 10**6),
    hot=st.integers(1, 6),
    cold=st.integers(1, 12),
    takers=st.integers(1, 8),
)
def test_no_pack_starves_beside_busy_ones(seed: int, hot: int, cold: int, takers: int) -> None:
    rng = random.Random(seed)
    names = [f"a-hot{number}" for number in range(hot)] + [f"cold{n}" for n in range(cold)]
    schedule = Schedule(names, interval_seconds=INTERVAL, now=START, rng=rng)
    begun = simulate(
        schedule,
        rng,
        takers=takers,
        seconds=40,
        finds=lambda name: "hot" in name,
        take_seconds=0.1,
    )
    # Each waits at most for one round of all takes that the others may have at once.
    patience = INTERVAL + 0.1 * (1 + (8 * hot + cold) / takers)
    longest = {name: max(gaps(times)) for name, times in begun.items()}
    assert {name: gap for name, gap in longest.items() if gap > patience} == {}


class Rules(RuleBasedStateMachine):
    """Whatever happens in whatever order, the bounds hold."""

    names = st.sampled_from(["a", "b", "c"])

    def __init__(self) -> None:
        super().__init__()
        self.now = START
        self.under_way = dict.fromkeys("abc", 0)
        self.schedule = Schedule(
            "abc", interval_seconds=INTERVAL, now=START, rng=random.Random(1), max_width=4
        )

    @rule(seconds=st.sampled_from([0.01, 0.3, 2.0, 70.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @precondition(lambda self: (due := self.schedule.next_due()) and due[0] <= self.now)
    @rule()
    def begin(self) -> None:
        due = self.schedule.next_due()
        assert due is not None
        self.under_way[due[1]] += 1
        assert self.under_way[due[1]] <= self.schedule._turns[due[1]].width <= 4
        self.schedule.begin(due[1], self.now)

    @precondition(lambda self: any(self.under_way.values()))
    @rule(data=st.data(), how=st.sampled_from(["found", "empty", "contended", "failed", "slot"]))
    def end(self, data: st.DataObject, how: str) -> None:
        name = data.draw(st.sampled_from([each for each, n in self.under_way.items() if n]))
        self.under_way[name] -= 1
        if how == "slot":
            self.schedule.wait_for_slot(name)
        else:
            getattr(self.schedule, how)(name, self.now)

    @rule(name=names)
    def wake(self, name: str) -> None:
        self.schedule.wake(name, self.now)

    @rule()
    def hint(self) -> None:
        self.schedule.hint("abc", self.now)

    @rule(name=names)
    def slot_freed(self, name: str) -> None:
        self.schedule.slot_freed(name, self.now)

    @invariant()
    def nobody_is_forgotten(self) -> None:
        for name, turn in self.schedule._turns.items():
            assert turn.under_way == self.under_way[name]
            if not turn.under_way and not turn.waits_for_slot:
                assert turn.due <= self.now + 60
            assert 1 <= turn.width <= 4


TestRules = Rules.TestCase
TestRules.settings = settings(max_examples=60, stateful_step_count=40)


def test_a_paused_pack_is_due_once_then_only_as_it_rests() -> None:
    schedule = schedule_of()
    schedule.begin("p", START)
    schedule.empty("p", START)
    schedule.pause("p", START + 1)
    assert due_in(schedule, START + 1) == 0  # to have its registration young
    schedule.begin("p", START + 1)
    assert schedule.next_due() is None
    schedule.rest("p", START + 1, 240)
    assert due_in(schedule, START + 1) == 240
    schedule.hint(["p"], START + 2)
    schedule.wake("p", START + 2)
    schedule.slot_freed("p", START + 2)
    assert due_in(schedule, START + 1) == 240
    schedule.resume("p", START + 3)
    assert due_in(schedule, START + 3) == 0


def test_a_take_under_way_when_its_pack_is_paused_brings_no_other() -> None:
    schedule = begun()
    schedule.pause("p", START)
    assert schedule.next_due() is None  # its one turn is under way
    schedule.found("p", START + 1)
    schedule.begin("p", START + 1)
    schedule.rest("p", START + 1, 240)
    assert due_in(schedule, START + 1) == 240


def test_a_paused_pack_that_cannot_be_registered_is_tried_again() -> None:
    schedule = schedule_of()
    schedule.pause("p", START)
    schedule.begin("p", START)
    pause = schedule.failed("p", START)
    assert due_in(schedule) == round(pause, 6) == 0.75
    schedule.begin("p", START + 1)
    schedule.failed("p", START + 1, 7)
    assert due_in(schedule, START + 1) == 7


def test_a_resumed_pack_without_a_slot_waits_for_one() -> None:
    schedule = begun()
    schedule.wait_for_slot("p")
    schedule.pause("p", START)
    schedule.resume("p", START + 1)
    assert schedule.next_due() is None
    schedule.slot_freed("p", START + 2)
    assert due_in(schedule, START + 2) == 0
