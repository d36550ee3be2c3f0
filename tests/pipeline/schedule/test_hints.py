"""Which packs are polled sooner after flyte accepted something."""

from flyte_host.pipeline.schedule.hints import GUESSED_PACKS, HINT_SECONDS
from flyte_host.pipeline.schedule.ladder import LADDER_SECONDS
from tests.support.stage import INTERVAL, Stage, idle, under_way


def test_a_hint_polls_those_that_last_found_work() -> None:
    names = [f"p{number:02}" for number in range(20)]
    stage = Stage(*names)
    busy = set(names[5 : 5 + GUESSED_PACKS])
    for _ in names:
        stage.hand.seconds += 1
        turn = stage.take()
        if turn.pack_key in busy:
            turn.found()
            turn.ended()
    for _ in busy:
        stage.take().empty()
    stage.hand.seconds += 1
    stage.schedule.hints.give("p")
    assert {name for name in names if stage.due_in(name) == LADDER_SECONDS[0]} == busy


def test_hint_polls_who_found_work_after_it_before() -> None:
    stage = idle("a", "b", "c", "d")
    stage.schedule.hints.give("a")
    stage.schedule.wake("c", {})
    turn = stage.take()
    assert turn.pack_key == "c"
    turn.found()
    turn.ended()
    for _ in range(10):
        stage.hand.seconds += INTERVAL
        for each in under_way(stage):
            each.empty()
    stage.schedule.hints.give("a")
    assert [name for name in "abcd" if stage.due_in(name) < 1] == ["c"]


def test_hints_that_come_together_are_one() -> None:
    stage = idle()
    stage.schedule.hints.give("p")
    stage.hand.seconds += LADDER_SECONDS[0] + 1e-9
    stage.take().empty()
    ladder = stage.due_in()
    assert ladder == LADDER_SECONDS[1]
    stage.schedule.hints.give("p")
    assert stage.due_in() == LADDER_SECONDS[0]  # the ladder begins again
    stage.hand.seconds += HINT_SECONDS / 2
    stage.schedule.hints.give("p")
    assert stage.due_in() == round(LADDER_SECONDS[0] - HINT_SECONDS / 2, 6)
