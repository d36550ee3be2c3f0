"""How closely takes follow each other, by figures and in simulated races against flyte."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flyte_host.pipeline.schedule.pace import (
    FIRST_SPACING,
    HASTE_FINDS,
    LEAST_SPACING_SECONDS,
    LONGEST_SPACING,
    NARROWER,
    QUEUED,
    WIDER,
    Pace,
)
from flyte_host.pipeline.schedule.timetable import ASKING
from tests.support.take_race import FlyteTraits, TakeRace, add_fixed_takers, add_schedule

SLOTS = 32
TOOK = 0.02
SWEEP = (1, 2, 4, 8, 16)


def collided(*, times: int = 1, now: float = 100.0) -> Pace:
    pace = Pace(SLOTS)
    for number in range(times):
        assert pace.collide(now + number, TOOK)
    return pace


def test_first_collision_sets_a_spacing() -> None:
    assert collided().spacing_seconds == TOOK * FIRST_SPACING


def test_takes_that_had_started_before_a_collision_do_not_widen_again() -> None:
    pace = collided(now=100.0)
    assert not pace.collide(100.001, TOOK)
    assert pace.spacing_seconds == TOOK * FIRST_SPACING


def test_collisions_that_come_soon_widen_further_each_time() -> None:
    spacing = TOOK * FIRST_SPACING * WIDER**2 * WIDER**3
    assert collided(times=3).spacing_seconds == pytest.approx(spacing)


def test_spacing_is_not_much_longer_than_a_take() -> None:
    assert collided(times=30).spacing_seconds == TOOK * LONGEST_SPACING


def test_finds_narrow_and_hasten_when_none_collides() -> None:
    pace = collided()
    for _ in range(HASTE_FINDS):
        pace.find(TOOK)
    narrower = NARROWER ** (HASTE_FINDS + 1)
    assert pace.spacing_seconds == pytest.approx(TOOK * FIRST_SPACING * narrower)


def test_spacing_ends_when_nothing_collides_any_longer() -> None:
    pace = collided()
    for _ in range(200):
        pace.find(TOOK)
    assert pace.spacing_seconds == 0


def test_take_waits_for_its_spacing() -> None:
    pace = collided(now=100.0)
    pace.begin(200.0)
    assert pace.not_before(200.0) == 200.0 + pace.spacing_seconds
    assert pace.not_before(300.0) == 300.0


def test_takes_that_wait_in_flyte_do_not_get_company() -> None:
    pace = Pace(SLOTS)
    pace.find(TOOK)
    width = pace.width
    pace.find(TOOK * QUEUED * 1.1)
    assert pace.width == width


def test_restart_leaves_one_take_at_a_time() -> None:
    pace = Pace(SLOTS)
    for _ in range(5):
        pace.find(TOOK)
    pace.begin(1.0)
    pace.restart()
    assert (pace.width, pace.beside_at) == (1, math.inf)


@settings(deadline=None)
@given(
    slots=st.integers(1, 64),
    steps=st.lists(
        st.tuples(
            st.sampled_from(["find", "miss", "collide", "begin", "restart"]),
            st.floats(1e-6, 60.0),
        ),
        max_size=200,
    ),
)
def test_pace_stays_within_its_bounds(slots: int, steps: list[tuple[str, float]]) -> None:
    pace, now = Pace(slots), 100.0
    for name, seconds in steps:
        now += seconds
        spacing = pace.spacing_seconds
        if name == "collide":
            if not pace.collide(now, seconds):
                assert pace.spacing_seconds == spacing
            assert pace.spacing_seconds <= max(
                LONGEST_SPACING * seconds, spacing, LEAST_SPACING_SECONDS
            )
        elif name == "restart":
            pace.restart()
        else:
            getattr(pace, name)(now if name == "begin" else seconds)
        assert 1 <= pace.width <= slots
        assert pace.spacing_seconds == 0 or pace.spacing_seconds >= LEAST_SPACING_SECONDS
        assert pace.not_before(now) >= now


def race(traits: FlyteTraits, takers: int | None, seed: int = 1) -> TakeRace:
    """After a second and a half in which takers find their pace; ten seconds of it."""
    made = TakeRace(traits, seed)
    if takers is None:
        add_schedule(made, SLOTS)
    else:
        add_fixed_takers(made, takers)
    made.run(1.5)
    return made.run(10.0)


@pytest.mark.parametrize("latency_seconds", [0.0, 0.005, 0.025], ids=str)
def test_takes_are_as_many_as_of_the_best_fixed_number_and_collide_less(
    latency_seconds: float,
) -> None:
    traits = FlyteTraits(latency_seconds=latency_seconds, window_seconds=0.008)
    best = max(race(traits, each).found for each in SWEEP)
    ours = race(traits, None)
    assert ours.found >= 0.9 * best
    assert ours.collided <= 0.3 * ours.found


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**6), window=st.floats(0.004, 0.05), latency=st.floats(0, 0.03))
def test_collisions_are_few_whatever_flyte_needs(seed: int, window: float, latency: float) -> None:
    traits = FlyteTraits(latency_seconds=latency, window_seconds=window)
    made = race(traits, None, seed)
    assert made.collided <= 0.5 * made.found
    assert made.found >= 0.75 * 10.0 / (window + traits.jitter_seconds)


def test_without_collisions_a_distant_flyte_gets_many_takes() -> None:
    traits = FlyteTraits(latency_seconds=0.025)
    assert race(traits, None).found >= 22 * race(traits, 1).found


def test_flyte_that_does_one_take_after_the_other_gets_no_more_than_it_can_do() -> None:
    traits = FlyteTraits(latency_seconds=0.002, service_seconds=0.01)
    made = race(traits, None)
    assert made.found >= 0.95 * race(traits, SLOTS).found
    assert made.most_under_way < ASKING
