"""One host alone loses no races: its wake-ups do not send two takes of one pack at once."""

import pytest

from tests.support.flow_race import FlowRace

PACKS, FLOWS = 5, 60


@pytest.mark.parametrize("tells", [False, True], ids=["a flyte to poll", "a flyte that tells"])
@pytest.mark.parametrize("every_seconds", [0.5, 0.05, 0.02], ids=str)
def test_300_actions_of_five_packs_collide_never(tells: bool, every_seconds: float) -> None:
    race = FlowRace(PACKS, tells=tells).run_flows(FLOWS, every_seconds)
    assert (race.done, race.collided) == (PACKS * FLOWS, 0)


@pytest.mark.parametrize("tells", [False, True], ids=["a flyte to poll", "a flyte that tells"])
@pytest.mark.parametrize("seed", range(5), ids=str)
def test_packs_that_have_collided_do_not_collide_by_wake_ups(tells: bool, seed: int) -> None:
    race = FlowRace(PACKS, seed, tells=tells).run_flows(20, 0.0005)
    assert race.collided > 0, "so many flows at once"
    before = race.collided
    race.run_flows(FLOWS, 0.02)
    assert race.done == PACKS * (20 + FLOWS)
    assert race.collided == before
