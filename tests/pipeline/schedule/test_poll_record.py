"""What is known of a pack's polls, and the pauses after what went wrong."""

from flyte_host.pipeline.schedule.poll_record import (
    CONTENTION_LIMIT,
    CONTENTION_SECONDS,
    PollRecord,
)
from tests.support.host_parts import Middle


def test_a_problem_is_told_once_and_so_is_its_end() -> None:
    polls = PollRecord(Middle())
    assert polls.note_problem("no")
    assert not polls.note_problem("no")
    assert polls.succeed(7.0)
    assert (polls.problem, polls.polled_at) == ("", 7.0)
    assert not polls.succeed(8.0)


def test_the_end_of_a_problem_that_others_told_is_not_told() -> None:
    polls = PollRecord(Middle())
    assert not polls.note_problem("flyte is away", tell=False)
    assert polls.problem == "flyte is away"
    assert not polls.succeed(7.0)


def test_pauses_grow_with_failures_in_a_row() -> None:
    polls = PollRecord(Middle())
    pauses = [polls.back_off(now, now) - now for now in range(9)]
    assert pauses == [0.75, 1.5, 3, 6, 12, 24, 45, 45, 45]
    polls.succeed(9.0)
    assert polls.back_off(10.0, 10.0) == 10.75


def test_failures_of_turns_side_by_side_are_one() -> None:
    polls = PollRecord(Middle())
    assert [polls.back_off(now, began_at=0.0) for now in (1.0, 1.1, 1.2)] == [1.75, 1.75, 1.75]
    assert polls.back_off(3.0, began_at=2.0) == 4.5
    polls.succeed(5.0)
    assert polls.back_off(5.1, began_at=2.0) == 5.85


def test_lost_races_are_contention_once_they_repeat() -> None:
    polls = PollRecord(Middle())
    pauses = []
    for _ in range(CONTENTION_LIMIT):
        polls.collide()
        pauses.append(polls.race_seconds())
        assert not polls.is_contended
    assert pauses[0] == 0
    assert pauses[-1] == CONTENTION_SECONDS * (CONTENTION_LIMIT - 1) / 2
    polls.collide()
    assert polls.is_contended
    polls.succeed(7.0)
    assert not polls.is_contended


def test_a_pack_that_was_polled_is_no_longer_forgotten() -> None:
    polls = PollRecord(Middle())
    assert [polls.forget(), polls.forget()] == [False, True]
    polls.succeed(7.0)
    assert not polls.forget()
