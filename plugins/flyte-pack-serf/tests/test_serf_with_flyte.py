"""The pack in a real host at a real flyte."""

from collections.abc import Callable
from typing import Any

from flyte_pack_serf import SerfPack

from flyte_host.testing.waiting import wait_until

from .serf_agent import AUTH_KEY, SerfAgent


def test_a_command_and_an_event(
    flyte_server: Any, flyte_run_host: Callable[..., Any], agent: SerfAgent
) -> None:
    settings = {"rpc_address": agent.rpc_address, "rpc_auth_key": AUTH_KEY}
    other = {"plugin": "serf", "labels": {"at": "eu"}, "settings": settings}
    flyte_run_host({"serf": SerfPack}, packs={"serf": {"settings": settings}, "eu": other})
    assert flyte_server.packs() == ["Serf", "Serf.at.eu"]
    finished = flyte_server.run("Serf", "SendEvent", {"name": "go", "payload": "now"})
    assert (finished.state, finished.event) == ("SUCCESS", "EventSent")

    # The observers may have begun to listen after that.
    def raised() -> bool:
        agent.send("go", "now")
        return any(name == "UserEvent" for _, name, _ in flyte_server.events("Serf"))

    wait_until(raised, "the event arrives")
    payload = flyte_server.wait_for_event("Serf", "UserEvent")
    assert payload == {"name": "go", "payload": "now"}
