"""The pack in a real host at a real flyte."""

from collections.abc import Callable
from typing import Any

import pytest
from flyte_pack_graphite import GraphitePack

from .graphite_web import GraphiteWeb

pytestmark = pytest.mark.xdist_group("graphite")  # one graphite-web for all


def test_two_graphites_side_by_side(
    flyte_server: Any, flyte_run_host: Callable[..., Any], graphite_web: GraphiteWeb
) -> None:
    settings = {"url": graphite_web.url}
    other = {"plugin": "graphite", "labels": {"at": "eu"}, "settings": settings}
    flyte_run_host(
        {"graphite": GraphitePack}, packs={"graphite": {"settings": settings}, "eu": other}
    )
    assert flyte_server.packs() == ["Graphite", "Graphite.at.eu"]
    finished = flyte_server.run("Graphite", "AddEvents", {"what": "from a flow"})
    assert (finished.state, finished.event) == ("SUCCESS", "AddEventsSuccess")
    assert graphite_web.events()[0]["what"] == "from a flow"
