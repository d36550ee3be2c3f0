"""Extra polls after a hint: how soon they come, and when they end."""

from flyte_host.pipeline.schedule.ladder import LADDER_SECONDS, Ladder
from flyte_host.pipeline.schedule.poll_rules import EXTRA_POLLS_BURST, HintBudget

IDLE = 5.0


def poll(ladder: Ladder, idle_seconds: float = IDLE) -> float:
    """The pause before the next poll, which begins then."""
    pause = ladder.climb(0.0, idle_seconds)
    ladder.is_next = False
    return pause


def hinted(steps: int = len(LADDER_SECONDS)) -> Ladder:
    ladder = Ladder(HintBudget(0.0))
    ladder.hint(steps)
    return ladder


def test_without_a_hint_there_is_not_an_extra_poll() -> None:
    ladder = Ladder(HintBudget(0.0))
    assert ladder.climb(0.0, IDLE) == IDLE
    assert not ladder.is_next


def test_a_hint_is_worth_so_many_steps() -> None:
    ladder = hinted(2)
    assert [poll(ladder) for _ in range(4)] == [*LADDER_SECONDS[:2], IDLE, IDLE]


def test_a_step_that_is_not_sooner_than_the_usual_poll_is_left_out() -> None:
    budget = HintBudget(0.0)
    ladder = Ladder(budget)
    ladder.hint(len(LADDER_SECONDS))
    usual = LADDER_SECONDS[2]
    assert [poll(ladder, usual) for _ in range(4)] == [*LADDER_SECONDS[:2], usual, usual]
    for _ in range(int(EXTRA_POLLS_BURST) - 2):
        assert budget.wait_seconds(0.0) == 0
        budget.spend()
    assert budget.wait_seconds(0.0) > 0


def test_a_find_ends_the_ladder() -> None:
    ladder = hinted()
    poll(ladder)
    ladder.find()
    assert poll(ladder) == IDLE


def test_a_hint_during_a_poll_outlasts_what_that_finds() -> None:
    ladder = hinted()
    poll(ladder)
    ladder.hint(len(LADDER_SECONDS))
    ladder.find()
    assert poll(ladder) == LADDER_SECONDS[0]


def test_the_last_poll_after_a_hint_is_known() -> None:
    ladder = hinted(2)
    lasts = []
    for _ in range(4):
        ladder.is_next = False
        ladder.climb(0.0, IDLE)
        lasts.append(ladder.miss())
    assert lasts == [False, False, True, False]


def test_a_find_leaves_no_last_poll() -> None:
    ladder = hinted()
    poll(ladder)
    ladder.find()
    poll(ladder)
    assert not ladder.miss()


def test_a_spent_budget_delays_a_step() -> None:
    budget = HintBudget(0.0, per_second=1.0)
    for _ in range(int(EXTRA_POLLS_BURST)):
        budget.spend()
    ladder = Ladder(budget)
    ladder.hint(1)
    assert not ladder.may_hurry(0.0)
    assert ladder.climb(0.0, IDLE) == 1.0
    assert ladder.may_hurry(2.0)
