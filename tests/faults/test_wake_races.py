"""One host alone loses no races: its wake-ups do not send two takes of one pack at once."""

from collections.abc import Iterator

import pytest

from flyte_host.client.engine import find_engine
from flyte_host.client.network import Network
from tests.support.flow_race import FlowRace

PACKS, FLOWS = 5, 60


@pytest.fixture(params=[False, True], ids=["a thread each", "one network"])
def network(request: pytest.FixtureRequest) -> Iterator[Network | None]:
    if not request.param:
        yield None
        return
    pytest.importorskip("pycurl", reason="no pycurl: pip install flyte-host[curl]")
    make = find_engine().make_network
    if make is None:
        pytest.skip("this libcurl cannot look names up aside")
    found = make(1000)
    yield found
    found.close()


@pytest.mark.parametrize("tells", [False, True], ids=["a flyte to poll", "a flyte that tells"])
@pytest.mark.parametrize("every_seconds", [0.5, 0.05, 0.02], ids=str)
def test_300_actions_of_five_packs_collide_never(
    network: Network | None, tells: bool, every_seconds: float
) -> None:
    race = FlowRace(PACKS, tells=tells, network=network).run_flows(FLOWS, every_seconds)
    assert (race.done, race.collided) == (PACKS * FLOWS, 0)


@pytest.mark.parametrize("tells", [False, True], ids=["a flyte to poll", "a flyte that tells"])
@pytest.mark.parametrize("seed", range(5), ids=str)
def test_packs_that_have_collided_do_not_collide_by_wake_ups(
    network: Network | None, tells: bool, seed: int
) -> None:
    race = FlowRace(PACKS, seed, tells=tells, network=network).run_flows(20, 0.0005)
    assert race.collided > 0, "so many flows at once"
    before = race.collided
    race.run_flows(FLOWS, 0.02)
    assert race.done == PACKS * (20 + FLOWS)
    assert race.collided == before
