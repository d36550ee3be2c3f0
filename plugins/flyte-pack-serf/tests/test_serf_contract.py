"""Against a real Serf agent: what the Go pack did, and where this pack differs on purpose."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from flyte_pack_serf import SerfPack

from flyte_host.testing import Example, check_contract
from flyte_host.testing.waiting import wait_until

from .serf_agent import AUTH_KEY, SerfAgent

Call = Callable[..., tuple[str, Any]]
MakePack = Callable[..., SerfPack]
Hearing = Callable[[SerfPack], AbstractContextManager[list[Any]]]


def test_the_definition_is_the_go_packs(make_pack: MakePack) -> None:
    definition = make_pack("serf:7373").flyte_pack()
    assert (definition.name, dict(definition.labels)) == ("Serf", {})
    assert definition.help_url == "https://github.com/ExpediaGroup/flyte-serf/blob/master/README.md"
    assert [each.name for each in definition.event_defs] == ["UserEvent"]
    [command] = definition.commands
    events = [each.name for each in command.output_events]
    # The Go pack did not declare the second.
    assert (command.name, events) == ("SendEvent", ["EventSent", "SendEventFailed"])
    assert not command.idempotent


def test_it_keeps_the_contract_of_packs(agent: SerfAgent) -> None:
    settings = {"rpc_address": agent.rpc_address, "rpc_auth_key": AUTH_KEY}
    examples = [
        Example("SendEvent", {"name": "x", "payload": "y"}, "EventSent"),
        Example("SendEvent", {}, "SendEventFailed"),
    ]
    check_contract(SerfPack, settings, examples=examples)


def heard_again(pack: SerfPack, call: Call, heard: list[Any]) -> None:
    """Wait until the pack hears what it sends."""

    def probe() -> bool:
        assert call(pack, {"name": "probe"})[0] == "EventSent"
        return {"name": "probe", "payload": ""} in heard

    wait_until(probe, "an event is heard")


@pytest.mark.parametrize("payload", ["", "short", "é" * 100, "x" * 200, "line\nbreak \x00"])
def test_the_pack_hears_its_own_event(
    agent: SerfAgent, make_pack: MakePack, call: Call, hearing: Hearing, payload: str
) -> None:
    pack = make_pack(agent.rpc_address)
    with hearing(pack) as heard:
        heard_again(pack, call, heard)
        sent = {"name": "deploy", "payload": payload, "coalesce": False}
        document = {key.title(): value for key, value in sent.items()} | {"other": 1}
        assert call(pack, document) == ("EventSent", sent)
        wait_until(lambda: {"name": "deploy", "payload": payload} in heard, "the event is heard")


def test_an_event_of_another_member_is_heard(
    agent: SerfAgent, make_pack: MakePack, call: Call, hearing: Hearing, tmp_path: Path
) -> None:
    pack = make_pack(agent.rpc_address)
    other = SerfAgent(tmp_path, "other")
    with hearing(pack) as heard:
        heard_again(pack, call, heard)
        try:
            other.start(join=agent.gossip_address)
            other.send("from-afar", "hello")
            wait_until(lambda: {"name": "from-afar", "payload": "hello"} in heard, "it is heard")
        finally:
            other.stop()


@pytest.mark.parametrize(
    ("document", "told"),
    [
        (None, "Can't send user event: Event name is not provided"),
        ({"payload": "x"}, "Can't send user event: Event name is not provided"),
        ({"name": 5}, "json: cannot unmarshal number into field name of type string"),
        ({"name": "x", "coalesce": "yes"}, "json: cannot unmarshal string into field coalesce of"),
        ("deploy", "json: cannot unmarshal string into Go value of type object"),
        ({"name": "x", "payload": "y" * 600}, "Can't send user event: user event exceeds"),
    ],
    ids=["nothing", "no name", "name", "coalesce", "text", "large"],
)
def test_an_event_that_cannot_be_sent_fails(
    agent: SerfAgent, make_pack: MakePack, call: Call, document: Any, told: str
) -> None:
    name, payload = call(make_pack(agent.rpc_address), document)
    assert (name, payload[: len(told)]) == ("SendEventFailed", told)
    strict = make_pack(agent.rpc_address, go_compatible=False)
    name, payload = call(strict, document)
    assert name == "SendEventFailed"
    assert payload.keys() == {"name", "payload", "coalesce", "error"}
    assert payload["error"].startswith(told)


def test_an_agent_that_comes_back_is_heard_again(
    make_pack: MakePack, call: Call, hearing: Hearing, tmp_path: Path, agent: SerfAgent
) -> None:
    own = SerfAgent(tmp_path, "own", AUTH_KEY)
    pack = make_pack(own.rpc_address)
    with own, hearing(pack) as heard:
        heard_again(pack, call, heard)
        own.stop()
        name, payload = call(pack, {"name": "x"})
        assert (name, payload[:22]) == ("SendEventFailed", "Can't send user event:")
        [check] = pack.flyte_health_checks()
        wait_until(lambda: not check.check().healthy, "the pack notices")
        heard.clear()
        own.start()
        heard_again(pack, call, heard)
        assert check.check().healthy
