"""The pack in a real host at a real flyte."""

from collections.abc import Callable
from typing import Any

from flyte_pack_consul import ConsulPack

from tests.support.rest_stand_in import RestStandIn

from .consul_stand_in import ConsulAgent


def test_two_agents_side_by_side(
    flyte_server: Any, flyte_run_host: Callable[..., Any], agent: ConsulAgent, served: RestStandIn
) -> None:
    settings = {"url": served.url}
    other = {"plugin": "consul", "labels": {"at": "eu"}, "settings": settings}
    packs = {"consul": {"settings": settings}, "eu": other}
    flyte_run_host({"consul": ConsulPack}, packs=packs)
    assert flyte_server.packs() == ["Consul", "Consul.at.eu"]
    wanted = {"operations": [{"verb": "set", "key": "k", "value": "v"}]}
    finished = flyte_server.run("Consul", "TransactKV", wanted)
    assert (finished.state, finished.event) == ("SUCCESS", "TransactionSucceeded")
    assert "k" in agent.keys
