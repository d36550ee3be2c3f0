"""What is worked on next, and when, by a clock that the test moves."""

import heapq
import itertools
import math
import random
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from flyte_host.clock import Clock
from flyte_host.pipeline.journal import OpenAction
from flyte_host.pipeline.schedule.busy_workers import BACK_SECONDS
from flyte_host.pipeline.schedule.ladder import LADDER_SECONDS
from flyte_host.pipeline.schedule.pace import FIRST_SPACING
from flyte_host.pipeline.schedule.poll_record import CONTENTION_LIMIT, CONTENTION_SECONDS
from flyte_host.pipeline.schedule.poll_rules import (
    EXTRA_POLLS_BURST,
    EXTRA_POLLS_PER_SECOND,
    TOLD_INTERVAL_SECONDS,
)
from flyte_host.pipeline.schedule.schedule import Schedule
from flyte_host.pipeline.schedule.timetable import ASKING
from flyte_host.pipeline.schedule.turn import Turn
from tests.support.host_parts import taken
from tests.support.stage import IDLE, INTERVAL, SLOW, Stage, idle, under_way


def test_without_packs_nothing_is_due() -> None:
    assert Schedule(INTERVAL, Clock()).turns.next(waits=False) is None


def test_every_pack_is_due_at_the_start_in_the_order_of_adding() -> None:
    stage = Stage("b", "a")
    assert [stage.turn().pack_key for _ in range(2)] == ["b", "a"]
    assert stage.look() is None


def test_the_pack_that_is_due_first_comes_first() -> None:
    stage = Stage("a", "b")
    first, second = stage.turn(), stage.turn()
    first.failed("no", 3)
    second.failed("no", 2)
    stage.hand.seconds += 4
    assert [stage.turn().pack_key for _ in range(2)] == ["b", "a"]


def test_a_pack_whose_take_is_under_way_is_not_due() -> None:
    stage = Stage()
    stage.take()
    assert stage.due_in() == math.inf
    assert stage.look() is None


def test_an_idle_pack_is_due_after_the_interval() -> None:
    assert idle().due_in() == IDLE


@pytest.mark.parametrize(("draw", "seconds"), [(min, 4.5), (max, 5.0)])
def test_the_interval_is_jittered_downwards(
    draw: Callable[[float, float], float], seconds: float
) -> None:
    class Draws(random.Random):
        def uniform(self, a: float, b: float) -> float:
            return draw(a, b)

    stage = Stage(rng=Draws())
    stage.take().empty()
    assert stage.due_in() == seconds


# The disk ----------------------------------------------------------------------------------------


def busy_with_disk(seconds: float) -> Stage:
    """Its worker is busy, and has waited for the disk before."""
    stage = Stage()
    stage.take()
    with stage.schedule.turns.disk_wait():
        stage.hand.seconds += seconds
    return stage


def found_by_another(stage: Stage) -> object:
    """What another worker finds to do, at once."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(stage.look_for_anything).result()


def test_another_worker_goes_on_while_one_waits_for_a_slow_disk() -> None:
    stage, job = busy_with_disk(0.004), print
    with stage.schedule.turns.disk_wait():
        stage.schedule.turns.add_job(job)
        assert found_by_another(stage) is job


def test_a_worker_that_waits_for_a_quick_disk_goes_on_itself() -> None:
    stage, job = busy_with_disk(0.0001), print
    with stage.schedule.turns.disk_wait():
        stage.schedule.turns.add_job(job)
        assert found_by_another(stage) is None
    assert stage.look_for_anything() is job


# Width -------------------------------------------------------------------------------------------


def test_a_worker_that_is_awake_polls_idle_packs_a_little_earlier() -> None:
    stage = idle("a", "b")
    stage.hand.seconds += stage.due_in("a") - 0.11
    assert stage.look() is None
    stage.hand.seconds += 0.02
    assert [stage.take().pack_key for _ in range(2)] == ["a", "b"]


def test_what_a_hint_or_a_pause_made_due_is_not_polled_earlier() -> None:
    stage = idle("a", "b")
    stage.schedule.hints.give("b")
    assert stage.due_in("a") < 0.05
    assert stage.look() is None
    stage.hand.seconds += 6
    stage.take().failed("no", 3.0)
    stage.take().failed("no", 3.0)
    stage.hand.seconds += 2.99
    assert stage.look() is None


def test_a_find_is_followed_at_once() -> None:
    stage = Stage()
    stage.slowly().found()
    assert stage.due_in() <= 0


def test_what_may_be_all_there_is_is_written_down_before_more_is_asked_for() -> None:
    """Nobody idle comes for that take, and a worker that is awake has better things to do."""
    stage = Stage()
    stage.take().found()
    assert stage.due_in() == BACK_SECONDS
    done: list[str] = []
    stage.schedule.turns.add_chore(lambda: done.append("written"))
    write = stage.schedule.turns.next(waits=False)
    assert callable(write)
    write()
    assert done == ["written"]
    assert stage.look() is not None


def test_a_find_after_a_wake_up_for_more_is_followed_at_once() -> None:
    stage = Stage()
    turn = stage.take()
    stage.schedule.wake("p", {})
    turn.found()
    assert stage.due_in() == 0


def test_a_quick_flyte_gets_one_take_of_a_pack_at_a_time() -> None:
    """The worker is back sooner than another could be awake."""
    stage = Stage()
    stage.take().found()
    stage.take()
    assert stage.due_in() == BACK_SECONDS


def widened(width: int, slots: int = 8) -> Stage:
    """A pack that has found work in so many takes that this many go out at once."""
    stage = Stage(slots=slots)
    for _ in range(width - 1):
        turn = stage.slowly()
        turn.found()
        turn.ended()
    return stage


@pytest.mark.parametrize("width", [1, 2, 5])
def test_the_width_grows_by_one_with_each_find(width: int) -> None:
    assert len(under_way(widened(width))) == width


def test_no_more_takes_go_out_than_there_are_slots() -> None:
    assert len(under_way(widened(20, slots=3))) == 3


def test_an_empty_take_narrows_the_width() -> None:
    stage = widened(4)
    for each in under_way(stage)[:2]:
        each.empty()
    stage.schedule.wake("p", {})
    assert under_way(stage) == []  # two are under way, and no more than two may be
    assert stage.schedule.view("p").running == 2


def test_an_empty_take_does_not_put_off_what_another_found() -> None:
    stage = widened(3)
    first, second, _ = under_way(stage)
    first.found()
    second.empty()
    assert stage.due_in() == 0


def test_takes_that_collide_keep_a_distance_from_then_on() -> None:
    stage = widened(4)
    takes = under_way(stage)
    stage.hand.seconds += SLOW
    for each in takes[:2]:
        each.contended("500")
    assert len(under_way(stage)) == 1
    assert stage.due_in() == round(FIRST_SPACING * SLOW, 6)


def test_collision_of_one_pack_is_none_of_another() -> None:
    stage = Stage("a", "b")
    stage.slowly().contended("500")
    turn = stage.slowly()
    assert turn.pack_key == "b"
    turn.found()
    turn.ended()
    assert [each.pack_key for each in under_way(stage)].count("b") == 2


def test_a_lost_race_is_followed_by_another_take_at_once() -> None:
    stage = Stage()
    stage.slowly().contended("500")
    assert stage.due_in() == 0
    assert stage.schedule.view("p").problem == ""


def test_endless_lost_races_back_off_and_are_a_problem() -> None:
    stage, pauses = Stage(), []
    for _ in range(CONTENTION_LIMIT + 9):
        stage.slowly().contended("500")
        pauses.append(stage.due_in())
        stage.hand.seconds += pauses[-1] + 1e-6
    assert max(pauses[:CONTENTION_LIMIT]) < CONTENTION_SECONDS * CONTENTION_LIMIT / 2
    assert pauses[CONTENTION_LIMIT:] == [0.75, 1.5, 3, 6, 12, 24, 45, 45, 45]
    assert stage.schedule.view("p").problem == f"500, {CONTENTION_LIMIT} times in a row"
    stage.take().empty()
    assert stage.schedule.view("p").problem == ""
    stage.hand.seconds += INTERVAL
    stage.slowly().contended("500")
    assert stage.due_in() < SLOW


def test_a_failure_narrows_and_pauses_as_long_as_it_says() -> None:
    stage = widened(3)
    takes = under_way(stage)
    takes[0].failed("no", 7.5)
    for each in takes[1:]:
        each.failed("no", 7.5)
    assert stage.due_in() == 7.5
    stage.hand.seconds += 7.5
    assert len(under_way(stage)) == 1


def test_failures_without_a_pause_back_off_until_one_succeeds() -> None:
    stage, pauses = Stage(), []
    for _ in range(10):
        stage.take().failed("no")
        pauses.append(stage.due_in())
        stage.hand.seconds += 60
    assert pauses == [0.75, 1.5, 3, 6, 12, 24, 45, 45, 45, 45]
    turn = stage.take()
    turn.found()
    turn.ended()
    stage.take().failed("no")
    assert stage.due_in() == 0.75


def test_takes_that_fail_side_by_side_back_off_once() -> None:
    stage = widened(3)
    for each in under_way(stage):
        each.failed("no")
    assert stage.due_in() == 0.75
    stage.hand.seconds += 0.75
    stage.take().failed("no")
    assert stage.due_in() == 1.5


# Slots -------------------------------------------------------------------------------------------


def test_a_pack_without_a_slot_is_due_when_it_has_one() -> None:
    stage = Stage(slots=1)
    turn = stage.take()
    turn.found()
    stage.schedule.wake("p", {})
    stage.schedule.hints.give("p")
    assert stage.due_in() == math.inf
    turn.ended()
    assert stage.due_in() == 0


def test_a_slot_comes_back_once() -> None:
    stage = Stage()
    turn = stage.take()
    turn.found()
    assert stage.schedule.view("p").running == 1
    for _ in range(3):
        turn.ended()
    assert stage.schedule.view("p").running == 0


def test_a_handler_past_its_timeout_gives_its_slot_back_and_is_stuck() -> None:
    stage = Stage(slots=2)
    turn = stage.take()
    turn.found()
    place = partial(str, "echo (at line 7)")
    assert turn.timed_out(place) == 0
    view = stage.schedule.view("p")
    assert (view.running, view.stuck, view.quarantined) == (0, 1, False)
    assert stage.schedule.stuck_places("p") == ["echo (at line 7)"]
    assert turn.unstuck(place) == 0
    assert stage.schedule.view("p").stuck == 0


def test_a_pack_with_a_stuck_handler_in_each_slot_is_quarantined() -> None:
    stage = Stage(slots=2)
    turns, stuck = [], []
    for _ in range(2):
        turns.append(stage.take())
        turns[-1].found()
        stuck.append(turns[-1].timed_out(str))
    assert stuck == [0, 2]
    assert stage.schedule.view("p").quarantined
    assert stage.schedule.view("p").full
    assert stage.due_in() == math.inf
    assert turns[0].unstuck(str) == 1
    assert stage.due_in() == 0


def opened(number: int, pack_key: str = "p") -> OpenAction:
    at = datetime(2030, 1, 1, tzinfo=UTC)
    return OpenAction(number, pack_key, "Demo", taken(number), at, 1)


def test_what_a_restart_cut_off_goes_before_takes_and_needs_a_slot() -> None:
    stage = Stage(slots=1)
    stage.schedule.add_cut_off([opened(1), opened(2)])
    first = stage.turn()
    assert first.cut_off == opened(1)
    assert stage.look() is None
    assert first.may_begin()
    first.ended()
    second = stage.turn()
    assert second.cut_off == opened(2)
    assert second.may_begin()
    second.ended()
    assert stage.turn().cut_off is None


def test_what_was_cut_off_and_cannot_begin_keeps_its_place() -> None:
    stage = Stage(slots=1)
    stage.schedule.add_cut_off([opened(1), opened(2)])
    stage.turn().rest(2)
    assert stage.schedule.view("p").cut_off == 2
    assert stage.look() is None
    stage.hand.seconds += 2
    stage.turn().failed("no journal", 3)
    stage.hand.seconds += 3
    assert stage.turn().cut_off == opened(1)


def test_a_paused_pack_runs_what_was_cut_off() -> None:
    stage = Stage()
    stage.schedule.add_cut_off([opened(1)])
    stage.schedule.pause("p")
    turn = stage.turn()
    assert turn.cut_off == opened(1)
    assert turn.may_begin()


# Rest, pauses, the end ---------------------------------------------------------------------------


def test_a_pack_without_commands_is_only_kept_registered() -> None:
    stage = Stage(commands=())
    turn = stage.turn()
    assert turn.keeps
    turn.kept()
    assert stage.due_in() == 240
    assert stage.schedule.view("p").running == 0


def test_a_paused_pack_is_due_once_then_only_as_it_is_kept() -> None:
    stage = idle()
    stage.schedule.pause("p")
    assert stage.due_in() == 0  # to renew its registration
    turn = stage.turn()
    assert turn.keeps
    assert stage.look() is None
    turn.kept()
    assert stage.due_in() == 240
    stage.schedule.hints.give("p")
    stage.schedule.wake("p", {})
    assert stage.due_in() == 240
    stage.schedule.resume("p")
    assert stage.due_in() == 0
    assert not stage.turn().keeps


def test_a_turn_of_a_pack_that_was_paused_meanwhile_takes_nothing() -> None:
    stage = Stage()
    turn = stage.turn()
    stage.schedule.pause("p")
    assert not turn.may_begin()
    assert stage.schedule.view("p").running == 0
    assert stage.turn().keeps


def test_a_pack_that_was_resumed_while_it_was_kept_is_due() -> None:
    stage = idle()
    stage.schedule.pause("p")
    turn = stage.turn()
    stage.schedule.resume("p")
    turn.kept()
    assert stage.due_in() == 0


def test_a_paused_pack_that_cannot_be_registered_is_tried_again() -> None:
    stage = Stage()
    stage.schedule.pause("p")
    stage.turn().failed("no")
    assert stage.due_in() == 0.75
    stage.hand.seconds += 1
    stage.turn().failed("no", 7)
    assert stage.due_in() == 7


def test_a_turn_takes_nothing_after_the_stop() -> None:
    stage = Stage("a", "b")
    turn = stage.turn()
    stage.schedule.stop()
    assert not turn.may_begin()
    assert stage.look() is None
    assert stage.schedule.drain(0) == 0


def test_a_drain_counts_takes_and_handlers() -> None:
    stage = Stage("a", "b", "c")
    stage.take()
    stage.take().found()
    stage.turn()  # has not begun: it will not
    stage.schedule.stop()
    assert stage.schedule.takes_under_way == 1
    assert stage.schedule.drain(0) == 2


def test_what_has_ended_is_finished_before_anything_is_taken_even_after_the_stop() -> None:
    stage, done = Stage(), []
    stage.schedule.turns.add_job(lambda: done.append(1))
    stage.schedule.stop()
    work = stage.schedule.turns.next(waits=False)
    assert callable(work)
    work()
    assert done == [1]


def test_not_all_packs_talk_to_flyte_at_once() -> None:
    stage = Stage(*[f"p{number}" for number in range(ASKING + 5)])
    turns = [turn for _ in range(ASKING + 5) if (turn := stage.look()) is not None]
    assert len(turns) == ASKING
    turns[0].empty()
    assert stage.look() is not None


# Wake-ups and hints ------------------------------------------------------------------------------


def test_a_woken_pack_is_due_at_once() -> None:
    stage = idle()
    stage.hand.seconds += 1
    stage.schedule.wake("p", {})
    assert stage.due_in() == 0


def test_a_pack_woken_while_a_take_is_under_way_is_polled_right_after_it() -> None:
    """The take may have been answered before the work was queued; it costs no extra poll."""
    stage = Stage()
    turn = stage.take()
    stage.schedule.wake("p", {})
    assert stage.look() is None
    turn.empty()
    assert stage.due_in() == 0
    stage.take().empty()
    assert stage.due_in() == IDLE


def test_wake_ups_send_one_take_of_a_pack_that_has_collided() -> None:
    stage = Stage()
    stage.slowly().contended("500")
    stage.slowly().empty()
    stage.hand.seconds += 1
    for _ in range(2):
        stage.schedule.wake("p", {})
    turn = stage.take()
    for _ in range(2):
        stage.schedule.wake("p", {})
        stage.hand.seconds += SLOW
        assert stage.look() is None
    turn.empty()
    assert len(under_way(stage)) == 1


def test_a_hint_polls_on_a_growing_ladder() -> None:
    stage, pauses = idle(), []
    stage.schedule.hints.give("p")
    for _ in range(len(LADDER_SECONDS) + 1):
        pauses.append(stage.due_in())
        stage.hand.seconds += pauses[-1] + 1e-9
        stage.take().empty()
    assert pauses == [*LADDER_SECONDS, IDLE]
    assert stage.schedule.extra_polls == len(LADDER_SECONDS)


def test_no_step_of_the_ladder_is_longer_than_the_interval() -> None:
    stage = Stage(interval_seconds=0.01)
    stage.take().empty()
    stage.schedule.hints.give("p")
    assert stage.due_in() <= 0.01


def test_a_hint_is_kept_for_a_take_under_way() -> None:
    stage = Stage()
    turn = stage.take()
    stage.schedule.hints.give("p")
    assert stage.look() is None
    turn.empty()
    assert stage.due_in() == LADDER_SECONDS[0]


def test_a_hint_does_not_shorten_a_backoff() -> None:
    stage = Stage()
    stage.take().failed("no")
    stage.schedule.hints.give("p")
    assert stage.due_in() == 0.75


@pytest.mark.parametrize("seconds", [0.0, 1.0, 10.0])
def test_extra_polls_have_a_budget_for_the_whole_host(seconds: float) -> None:
    """However many hints there are, every poll before its interval costs a token."""
    names = [f"p{number:03}" for number in range(50)]
    stage, polls = idle(*names), 0
    for number in range(1001):
        stage.schedule.hints.give(names[number % len(names)])
        while (turn := stage.look()) is not None:
            assert turn.may_begin()
            turn.empty()
            polls += 1
        stage.hand.seconds += seconds / 1000
    usual = len(names) * math.ceil(seconds / (0.9 * INTERVAL))
    assert polls <= EXTRA_POLLS_BURST + EXTRA_POLLS_PER_SECOND * seconds + usual
    if seconds == 10:
        assert polls > usual


# Properties --------------------------------------------------------------------------------------


def simulate(
    stage: Stage,
    rng: random.Random,
    *,
    workers: int,
    seconds: float,
    finds: Callable[[str], bool],
    take_seconds: float,
) -> Mapping[str, list[float]]:
    """Workers that follow the schedule; when the takes of each pack began."""
    began: dict[str, list[float]] = {}
    takes: list[tuple[float, int, Turn]] = []
    order, end = itertools.count(), stage.hand.seconds + seconds
    while stage.hand.seconds < end:
        if len(takes) < workers and (turn := stage.look()) is not None:
            assert turn.may_begin()
            began.setdefault(turn.pack_key, []).append(stage.hand.seconds)
            ends = stage.hand.seconds + rng.uniform(0, take_seconds)
            heapq.heappush(takes, (ends, next(order), turn))
            continue
        next_end = takes[0][0] if takes else math.inf
        stage.hand.seconds = min(next_end, stage.hand.seconds + 0.01)
        if takes and takes[0][0] <= stage.hand.seconds:
            turn = heapq.heappop(takes)[2]
            turn.found() if finds(turn.pack_key) else turn.empty()
            turn.ended()
    return began


def gaps(times: list[float]) -> list[float]:
    return [later - earlier for earlier, later in itertools.pairwise(times)]


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), packs=st.integers(1, 8))
def test_an_idle_pack_is_polled_every_interval_and_not_more_often(seed: int, packs: int) -> None:
    rng = random.Random(seed)
    stage = Stage(*[f"p{number}" for number in range(packs)], rng=rng)
    began = simulate(stage, rng, workers=packs, seconds=30, finds=lambda _: False, take_seconds=0.1)
    assert len(began) == packs
    for times in began.values():
        assert max(gaps(times)) <= INTERVAL + 0.2
        assert min(gaps(times)) >= 0.9 * INTERVAL


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    hot=st.integers(1, 4),
    cold=st.integers(1, 8),
    workers=st.integers(1, 8),
)
def test_no_pack_starves_beside_busy_ones(seed: int, hot: int, cold: int, workers: int) -> None:
    rng = random.Random(seed)
    names = [f"a-hot{number}" for number in range(hot)] + [f"cold{n}" for n in range(cold)]
    stage = Stage(*names, rng=rng)
    began = simulate(
        stage, rng, workers=workers, seconds=20, finds=lambda name: "hot" in name, take_seconds=0.1
    )
    # Each waits at most for one round of all takes that the others may have at once.
    patience = INTERVAL + 0.2 * (1 + (8 * hot + cold) / workers)
    longest = {name: max(gaps(began[name])) for name in names}
    assert {name: gap for name, gap in longest.items() if gap > patience} == {}


class ScheduleRules(RuleBasedStateMachine):
    """Whatever happens in whatever order, the bounds hold and nobody is forgotten."""

    names = st.sampled_from(["a", "b", "c"])

    def __init__(self) -> None:
        super().__init__()
        self.stage = Stage("a", "b", "c", slots=3, rng=random.Random(1))
        self.asking: list[Turn] = []
        self.running: list[Turn] = []
        self.stuck: list[Turn] = []
        self.paused: set[str] = set()

    @rule(seconds=st.sampled_from([0.001, 0.01, 0.3, 2.0, 70.0]))
    def wait(self, seconds: float) -> None:
        self.stage.hand.seconds += seconds

    @rule()
    def begin(self) -> None:
        turn = self.stage.look()
        if turn is None:
            return
        if turn.keeps:
            assert turn.pack_key in self.paused
            turn.kept()
        elif turn.may_begin():
            assert turn.pack_key not in self.paused
            self.asking.append(turn)

    @precondition(lambda self: self.asking)
    @rule(data=st.data(), how=st.sampled_from(["found", "empty", "contended", "failed", "rest"]))
    def answer(self, data: st.DataObject, how: str) -> None:
        turn = self.asking.pop(data.draw(st.integers(0, len(self.asking) - 1)))
        if how == "found":
            turn.found()
            self.running.append(turn)
        elif how == "rest":
            turn.rest(1)
        else:
            getattr(turn, how)(*([] if how == "empty" else ["no"]))

    @precondition(lambda self: self.running)
    @rule(timed_out=st.booleans())
    def end(self, timed_out: bool) -> None:
        turn = self.running.pop()
        if timed_out:
            turn.timed_out(str)
            self.stuck.append(turn)
        else:
            turn.ended()

    @precondition(lambda self: self.stuck)
    @rule()
    def come_unstuck(self) -> None:
        self.stuck.pop().unstuck(str)

    @rule(name=names)
    def wake(self, name: str) -> None:
        self.stage.schedule.wake(name, {})

    @rule()
    def hint(self) -> None:
        self.stage.schedule.hints.give("p")

    @rule(name=names)
    def pause(self, name: str) -> None:
        self.stage.schedule.pause(name)
        self.paused.add(name)

    @rule(name=names)
    def resume(self, name: str) -> None:
        self.stage.schedule.resume(name)
        self.paused.discard(name)

    @invariant()
    def nobody_is_forgotten(self) -> None:
        for name in "abc":
            view = self.stage.schedule.view(name)
            busy = [each for each in [*self.asking, *self.running] if each.pack_key == name]
            assert view.running == len(busy) <= view.slots
            assert view.stuck == sum(each.pack_key == name for each in self.stuck)
            if not busy and not view.quarantined:
                assert view.due_at <= self.stage.hand.seconds + 240


TestScheduleRules = ScheduleRules.TestCase
TestScheduleRules.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_many_threads_share_one_schedule() -> None:
    """Each turn is had by one worker, and no slot is lost."""
    stage = Stage("a", "b", slots=3)
    ended = threading.Semaphore(0)

    def work() -> None:
        for _ in range(200):
            turn = stage.look()
            if turn is not None and turn.may_begin():
                turn.found()
                assert stage.schedule.view(turn.pack_key).running <= 3
                turn.ended()
        ended.release()

    for _ in range(4):
        threading.Thread(target=work, daemon=True).start()
    for _ in range(4):
        assert ended.acquire(timeout=60)
    assert [stage.schedule.view(each).running for each in "ab"] == [0, 0]


def test_a_flyte_that_tells_is_hardly_polled() -> None:
    """flyte in this process wakes packs, so a poll is only there to be safe."""
    stage = Stage(is_told=True)
    stage.take().empty()
    assert stage.due_in() == pytest.approx(TOLD_INTERVAL_SECONDS * 0.95)
    stage.schedule.hints.give("p")
    assert stage.due_in() == pytest.approx(TOLD_INTERVAL_SECONDS * 0.95)
    stage.schedule.wake("p", {})
    assert stage.due_in() == 0
    assert Schedule(300, Clock(), is_told=True).poll_interval_seconds == 300


def test_idle_packs_take_turns_at_a_flyte_elsewhere_that_tells() -> None:
    """However many there are, the host polls once a minute."""
    stage = Stage("a", "b", "c")
    stage.schedule.set_told(is_told=True, takes_turns=True)
    for _ in "abc":
        stage.take().empty()
    polled = []
    for _ in range(6):
        due_in = stage.schedule.next_due_at() - stage.hand.seconds
        assert due_in == pytest.approx(TOLD_INTERVAL_SECONDS)
        stage.hand.advance(TOLD_INTERVAL_SECONDS)
        turn = stage.take()
        polled.append(turn.pack_key)
        turn.empty()
    assert polled[:3] == polled[3:]
    assert sorted(polled[:3]) == ["a", "b", "c"]


def test_a_pack_that_finds_work_keeps_its_turn() -> None:
    stage = Stage("a", "b")
    stage.schedule.set_told(is_told=True, takes_turns=True)
    for _ in "ab":
        stage.take().empty()
    first = stage.schedule.view("a").due_at, stage.schedule.view("b").due_at
    for _ in range(5):
        stage.hand.advance(1)
        for name in "ab":
            stage.schedule.wake(name, {})
            stage.take().empty()
    assert (stage.schedule.view("a").due_at, stage.schedule.view("b").due_at) == first


def test_packs_without_a_problem_are_seen_with_all_others() -> None:
    stage = Stage("idle", "ill", "paused", "new")
    for _ in range(3):
        turn = stage.take()
        if turn.pack_key == "ill":
            turn.failed("refused")
        else:
            turn.empty()
    stage.schedule.pause("paused")
    before = stage.hand.seconds
    stage.hand.advance(7)
    stage.schedule.see_idle()
    seen = {name: stage.schedule.view(name).polled_at for name in ("idle", "ill", "paused", "new")}
    assert seen == {"idle": before + 7, "ill": None, "paused": before, "new": None}
