"""The tests of the client run on every engine that it can use."""

from dataclasses import replace

import pytest

from flyte_host.client.engine import URLLIB3, Engine, find_engine
from flyte_host.client.network import Network
from tests.support.host_parts import ChosenEngine

DRIVEN = "libcurl, many requests in one thread"


@pytest.fixture(params=["urllib3", "libcurl", DRIVEN])
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Its name; the clients of the test use it."""
    name = str(request.param)
    found = URLLIB3 if name == "urllib3" else find_engine()
    if found is URLLIB3 and name != "urllib3":
        pytest.skip("no pycurl: pip install flyte-host[curl]")
    monkeypatch.setattr(ChosenEngine, "engine", driven(found) if name == DRIVEN else found)
    monkeypatch.setattr(ChosenEngine, "opens_network", name == DRIVEN)
    return name.partition(",")[0]


def driven(engine: Engine) -> Engine:
    from tests.support.driven_network import DrivenNetwork  # noqa: PLC0415 - needs the extra

    def make_network(largest_bytes: int) -> Network:
        return DrivenNetwork(largest_bytes=largest_bytes, connections_kept=32)

    return replace(engine, make_network=make_network)
