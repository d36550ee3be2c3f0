"""What the Go pack did, against a stand-in for Consul, and where this one differs on purpose."""

import base64
from collections.abc import Callable
from typing import Any

import pytest
from flyte_pack_consul import ConsulPack

from flyte_host.testing import Example, check_contract
from tests.support.rest_stand_in import RestReply, RestStandIn

from .consul_stand_in import ConsulAgent

Call = Callable[..., tuple[str, Any]]
MakePack = Callable[..., ConsulPack]


def operation(verb: str, key: str, value: Any = None, **added: Any) -> dict[str, Any]:
    return {"verb": verb, "key": key, "value": value} | added


def stored(agent: ConsulAgent, key: str) -> bytes:
    return base64.b64decode(agent.keys[key]["Value"])


def test_the_definition_is_the_go_packs(make_pack: MakePack) -> None:
    definition = make_pack("http://consul").flyte_pack()
    assert (definition.name, dict(definition.labels)) == ("Consul", {})
    help_url = "https://github.com/ExpediaGroup/flyte-consul/blob/master/README.md"
    assert definition.help_url == help_url
    assert list(definition.event_defs) == []
    [command] = definition.commands
    events = [each.name for each in command.output_events]
    expected = ("TransactKV", ["TransactionSucceeded", "TransactionRolledBack"])
    assert (command.name, events) == expected
    assert not command.idempotent


def test_it_keeps_the_contract_of_packs(served: RestStandIn) -> None:
    examples = [
        Example("TransactKV", {"operations": [operation("set", "a")]}, "TransactionSucceeded"),
        Example("TransactKV", {"operations": [operation("get", "b")]}, "TransactionRolledBack"),
    ]
    check_contract(ConsulPack, {"url": served.url}, examples=examples)


@pytest.mark.parametrize(
    ("value", "kept", "mended"),
    [
        ("foo", b'"foo"', b"foo"),
        ("é\n", '"é\\n"'.encode(), "é\n".encode()),
        ({"b": 1, "a": [True, None]}, b'{"b":1,"a":[true,null]}', b'{"b":1,"a":[true,null]}'),
        (5, b"5", b"5"),
    ],
)
def test_a_value_is_stored_as_json(
    agent: ConsulAgent, served: RestStandIn, make_pack: MakePack, call: Call,
    *, value: Any, kept: bytes, mended: bytes,
) -> None:  # fmt: skip
    document = {"operations": [operation("set", "k", value)]}
    name, payload = call(make_pack(served.url), document)
    expected = {
        "input": {"dc": ""} | document,
        "results": [{"index": 0, "key": "k", "value": None}],
    }
    assert (name, payload) == ("TransactionSucceeded", expected)
    assert stored(agent, "k") == kept
    call(make_pack(served.url, go_compatible=False), document)
    assert stored(agent, "k") == mended


def test_what_consul_gets(served: RestStandIn, make_pack: MakePack, call: Call) -> None:
    pack = make_pack(served.url, namespace="team")
    document = {
        "DC": "eu&x",
        "operations": [
            {"verb": "set", "key": "a", "value": 1, "flags": 7},
            {"verb": "check-session", "KEY": "a", "session": ""},
            {"verb": "delete", "key": "a"},
        ],
    }
    assert call(pack, document)[0] == "TransactionSucceeded"
    [request] = served.requests
    assert (request.method, request.raw_path) == ("PUT", "/v1/txn")
    assert request.query == {"dc": "eu&x", "ns": "team"}
    first, second, third = (each["KV"] for each in request.body)
    usual = {"Index": 0, "Session": "", "Flags": 0, "Value": None, "Key": "a"}
    assert first == usual | {"Verb": "set", "Value": "MQ==", "Flags": 7}
    assert second == usual | {"Verb": "check-session"}
    assert third == usual | {"Verb": "delete"}


@pytest.mark.parametrize(
    ("content", "value"),
    [
        (b'{"a": 1}', {"a": 1}),
        (b"5", 5),
        (b"just text", "just text"),
        (b"\xff", "\ufffd"),
        (b"[" * 99_999, "[" * 99_999),
        (b"", ""),
    ],
    ids=["JSON", "number", "text", "bytes", "deep", "empty"],
)
def test_reading(
    agent: ConsulAgent, served: RestStandIn, make_pack: MakePack, call: Call,
    *, content: bytes, value: Any,
) -> None:  # fmt: skip
    """The Go pack never answered for a value that is not valid JSON."""
    agent.keys["k"] = {"Key": "k", "Value": base64.b64encode(content).decode()}
    name, payload = call(make_pack(served.url), {"operations": [operation("get", "k")]})
    assert name == "TransactionSucceeded"
    assert payload["results"] == [{"index": 0, "key": "k", "value": value}]


def test_an_index_is_that_of_the_result(
    served: RestStandIn, make_pack: MakePack, call: Call
) -> None:
    wanted = [operation("delete", "x"), operation("set", "a", 1), operation("get-tree", "a")]
    payload = call(make_pack(served.url), {"operations": wanted})[1]
    expected = [{"index": 0, "key": "a", "value": None}, {"index": 1, "key": "a", "value": 1}]
    assert payload["results"] == expected
    payload = call(make_pack(served.url), {"operations": wanted[:1]})[1]
    assert payload["results"] is None


def test_a_transaction_is_rolled_back(
    agent: ConsulAgent, served: RestStandIn, make_pack: MakePack, call: Call
) -> None:
    wanted = [operation("set", "a", 1), operation("get", "none"), operation("cas", "a", 2, index=1)]
    name, payload = call(make_pack(served.url), {"dc": "eu", "operations": wanted})
    errors = [
        {"index": 1, "error": 'key "none" doesn\'t exist'},
        {"index": 2, "error": 'failed to set key "a", index is stale'},
    ]
    expected = {"input": {"dc": "eu", "operations": wanted}, "errors": errors}
    assert (name, payload) == ("TransactionRolledBack", expected)
    assert agent.keys == {}


def test_cas_works_with_an_index(
    agent: ConsulAgent, served: RestStandIn, make_pack: MakePack, call: Call
) -> None:
    pack = make_pack(served.url)
    assert call(pack, {"operations": [operation("cas", "a", 1)]})[0] == "TransactionSucceeded"
    again = operation("cas", "a", 2, index=agent.keys["a"]["ModifyIndex"])
    assert call(pack, {"operations": [again]})[0] == "TransactionSucceeded"
    assert stored(agent, "a") == b"2"


def test_operations_that_are_not_valid(
    served: RestStandIn, make_pack: MakePack, call: Call
) -> None:
    wanted = [operation("set", "a"), operation("Set", ""), operation("", "b")]
    name, payload = call(make_pack(served.url), {"operations": wanted})
    assert name == "TransactionRolledBack"
    assert payload["errors"] == [
        {"index": 1, "error": "key is missing"},
        {"index": 1, "error": "Set verb is not valid"},
        {"index": 2, "error": " verb is not valid"},
    ]
    assert served.requests == []


@pytest.mark.parametrize(
    ("document", "told"),
    [
        (None, "missing operations"),
        ({"operations": []}, "missing operations"),
        ("x", "input is not valid: json: cannot unmarshal string into Go value of type object"),
        (
            {"operations": [{"key": 1}]},
            (
                "input is not valid: json: cannot unmarshal number into field operations.key of"
                " type string"
            ),
        ),
    ],
)
def test_bad_input(make_pack: MakePack, call: Call, document: Any, told: str) -> None:
    assert call(make_pack("http://x"), document) == ("FATAL", told)
    name, payload = call(make_pack("http://x", go_compatible=False), document)
    assert (name, payload["errors"]) == (
        "TransactionRolledBack",
        [{"index": None, "error": told}],
    )


def test_what_consul_refuses_as_a_whole(
    served: RestStandIn, make_pack: MakePack, call: Call
) -> None:
    many = {"operations": [operation("delete", "a")] * 65}
    told = "status code 413: Transaction contains too many operations (65 > 64)"
    request = "failed to make transaction request: "
    assert call(make_pack(served.url), many) == ("FATAL", f"{request}{request}{told}")
    strict = make_pack(served.url, go_compatible=False)
    assert call(strict, many) == ("FATAL", f"{request}{told}")


def test_a_value_that_is_not_base64(served: RestStandIn, make_pack: MakePack, call: Call) -> None:
    reply = {"Results": [{"KV": {"Key": "k", "Value": "?"}}], "Errors": None}
    served.next_replies.append(RestReply(200, reply))
    payload = call(make_pack(served.url), {"operations": [operation("get", "k")]})[1]
    assert payload["results"] == [{"index": 0, "key": "k", "value": "?"}]
