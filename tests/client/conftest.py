"""The tests of the client run on every engine that it can use."""

import pytest

from flyte_host.client.engine import URLLIB3, find_engine
from tests.support.host_parts import ChosenEngine


@pytest.fixture(params=["urllib3", "libcurl"])
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Its name; the clients of the test use it."""
    name = str(request.param)
    found = find_engine() if name == "libcurl" else URLLIB3
    if not found.name.startswith(name):
        pytest.skip("no pycurl: pip install flyte-host[curl]")
    monkeypatch.setattr(ChosenEngine, "engine", found)
    return name
