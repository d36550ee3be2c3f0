"""Section 1 and 2: events, takes, results."""

from collections.abc import Callable
from typing import Any

import pytest

Step = Callable[..., dict[str, Any]]


@pytest.fixture
def pack(flyte: Any, step: Step) -> str:
    """A pack whose event Go makes an action ``echo``, and Two an action ``two``."""
    pack = str(flyte.pack())
    flyte.flow(
        step(f"{pack}/Go", f"{pack}/echo", input="{{ Event.Payload }}"),
        step(f"{pack}/Two", f"{pack}/two"),
    )
    return pack


def result_path(flyte: Any, action: dict[str, Any]) -> str:
    return str(action["links"][0]["href"]).removeprefix(flyte.url)


def test_event(flyte: Any, pack: str) -> None:
    """POST /v1/packs/{packId}/events"""
    body = '{"event": "Go", "payload": "p", "createdAt": "2026-11-23T21:00:00.123456789Z", "x": 1}'
    answer = flyte.call("POST", f"/v1/packs/{pack}/events", data=body)
    assert (answer.status_code, answer.content) == (202, b"")
    assert flyte.take(pack)["input"] == "p"


BAD_EVENTS = [
    "",
    '{"event"',
    "[1]",
    '{"event": 5}',
    '{"event": "Go", "createdAt": "yesterday"}',
    '{"event": "Go", "createdAt": "2026-11-23T21:00:00"}',
    '{"event": "Go", "createdAt": "2026-11-23 21:00:00Z"}',
    '{"event": "Go", "createdAt": 5}',
]


@pytest.mark.parametrize("body", BAD_EVENTS)
def test_event_bad_body(flyte: Any, pack: str, body: str) -> None:
    """POST /v1/packs/{packId}/events: 400 bad JSON, createdAt without zone"""
    assert flyte.status("POST", f"/v1/packs/{pack}/events", data=body) == 400
    flyte.quiet(pack)


@pytest.mark.parametrize(
    "body",
    [
        "null",
        "{}",
        '{"event": ""}',
        '{"event": "X"} junk',
        '{"event": null, "createdAt": null}',
        '{"event": "X", "createdAt": "2026-11-23T21:00:00.123456+00:00"}',
        '{"event": "X", "createdAt": "2026-11-23T21:00:00-07:30"}',
        '{"event": "X", "createdAt": "0001-01-01T00:00:00Z"}',
    ],
)
def test_event_lenient_body(flyte: Any, pack: str, body: str) -> None:
    """POST /v1/packs/{packId}/events: what may be left out"""
    assert flyte.status("POST", f"/v1/packs/{pack}/events", data=body) == 202


def test_event_of_an_unknown_pack(flyte: Any) -> None:
    """POST /v1/packs/{packId}/events: 404 unknown pack, before the body is read"""
    assert flyte.status("POST", "/v1/packs/Nobody/events", data="{bad") == 404


def test_keys_match_whatever_their_case(flyte: Any, pack: str) -> None:
    """POST /v1/packs/{packId}/events: Go's decoding of keys"""
    flyte.call("POST", f"/v1/packs/{pack}/events", data='{"EVENT": "Go", "Payload": "p"}')
    assert flyte.take(pack)["input"] == "p"


def test_a_pack_key_in_the_body(flyte: Any, pack: str) -> None:
    """A `pack` object in the body overrides the sender (Go)"""
    other = flyte.pack()
    body = {"event": "Go", "payload": "spoofed", "pack": {"name": pack, "id": pack}}
    assert flyte.status("POST", f"/v1/packs/{other}/events", json=body) == 202
    if flyte.differs(here=True, go=False, why="no pack may speak for another"):
        flyte.quiet(pack)
    else:
        assert flyte.take(pack)["input"] == "spoofed"


def test_a_path_parameter_in_the_query(flyte: Any, pack: str) -> None:
    """`?:packId=Other` overrides the path (Go)"""
    status = flyte.status("POST", f"/v1/packs/Nobody/actions/take?:packId={pack}")
    assert status == flyte.differs(here=404, go=204, why="it is a way round rules about paths")


@pytest.mark.parametrize("body", [None, "null", '{"bad', "{}"])
def test_take(flyte: Any, pack: str, body: str | None) -> None:
    """POST /v1/packs/{packId}/actions/take: the body does not matter"""
    flyte.quiet(pack)
    flyte.event(pack, "Go", "hi")
    take = f"/v1/packs/{pack}/actions/take"
    answer = flyte.until(
        lambda: (it := flyte.call("POST", take, data=body)).status_code == 200 and it
    )
    document = answer.json()
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
    assert list(document) == ["command", "input", "links"]
    assert (document["command"], document["input"]) == ("echo", "hi")
    [link] = document["links"]
    assert link["rel"] == f"{flyte.url}/swagger#/actionResult"
    prefix, _, rest = link["href"].partition("/actions/")
    assert prefix == f"{flyte.url}/v1/packs/{pack}"
    action_id, _, tail = rest.partition("/")
    assert len(bytes.fromhex(action_id)) == 12
    assert tail == "result"
    flyte.quiet(pack)


def test_take_without_input(flyte: Any, pack: str) -> None:
    """Action body: `input` is null when the flow gave none"""
    flyte.event(pack, "Two")
    assert flyte.take(pack)["input"] is None


def test_take_unknown_pack(flyte: Any) -> None:
    """POST /v1/packs/{packId}/actions/take: 404 unknown pack"""
    assert flyte.status("POST", "/v1/packs/Nobody/actions/take") == 404


def test_take_by_action_name(flyte: Any, pack: str) -> None:
    """POST /v1/packs/{packId}/actions/take?actionName"""
    flyte.event(pack, "Go", 1)
    flyte.event(pack, "Two")
    assert flyte.take(pack, "?actionName=two")["command"] == "two"
    assert flyte.status("POST", f"/v1/packs/{pack}/actions/take?actionName=two") == 204
    assert flyte.take(pack, "?actionName=")["command"] == "echo"


def test_take_by_action_name_in_a_form(flyte: Any, pack: str) -> None:
    """POST /v1/packs/{packId}/actions/take, form body"""
    flyte.event(pack, "Go", 1)
    take = f"/v1/packs/{pack}/actions/take"
    assert flyte.status("POST", take, data={"actionName": "nope"}) == 204


def test_take_by_command_name(flyte: Any, pack: str) -> None:
    """The per-command take link says commandName"""
    flyte.event(pack, "Two")
    flyte.take(pack)
    flyte.event(pack, "Two")
    status = flyte.status("POST", f"/v1/packs/{pack}/actions/take?commandName=echo")
    assert status == flyte.differs(
        here=204, go=200, why="the server's own link has this parameter, so it has to work"
    )


def test_the_link_of_a_command_leads_to_it(flyte: Any, step: Any) -> None:
    """POST /v1/packs/{packId}/actions/take: a command with an odd name"""
    command = "a b&c=d#e+f%20/é"
    pack = flyte.pack(commands=[{"name": command, "events": []}], events=[{"name": "Odd"}])
    flyte.flow(step(f"{pack}/Odd", f"{pack}/{command}"))
    flyte.event(pack, "Odd")
    [known] = flyte.call("GET", f"/v1/packs/{pack}").json()["commands"]
    _, mark, query = known["links"][0]["href"].partition("?")
    assert flyte.take(pack, mark + query)["command"] == command


def test_takes_are_in_order(flyte: Any, pack: str) -> None:
    """2. Take: oldest first"""
    for number in range(3):
        flyte.event(pack, "Go", number)
    inputs = [flyte.take(pack)["input"] for _ in range(3)]
    inputs = flyte.differs(
        here=inputs, go=sorted(inputs), why="Go's goroutines may store events out of order"
    )
    assert inputs == ["0.000000", "1.000000", "2.000000"]


def test_result(flyte: Any, pack: str) -> None:
    """POST /v1/packs/{packId}/actions/{actionId}/result"""
    flyte.event(pack, "Go", 1)
    path = result_path(flyte, flyte.take(pack))
    answer = flyte.call("POST", path, data='{"event": "Echoed", "payload": {"n": 1}}')
    assert (answer.status_code, answer.content) == (202, b"")
    # Clients take this 500 for "done already".
    assert flyte.status("POST", path, data='{"event": "Echoed"}') == 500


@pytest.mark.parametrize(
    "body", ["null", '{"payload": 1}', '{"event": "E"} junk', '{"event": "FATAL", "payload": "x"}']
)
def test_result_lenient_body(flyte: Any, pack: str, body: str) -> None:
    """POST /v1/packs/{packId}/actions/{actionId}/result: what may be left out"""
    flyte.event(pack, "Go", 1)
    assert flyte.status("POST", result_path(flyte, flyte.take(pack)), data=body) == 202


def test_result_in_yaml(flyte: Any, pack: str) -> None:
    """POST /v1/packs/{packId}/actions/{actionId}/result: YAML"""
    flyte.event(pack, "Go", 1)
    path = result_path(flyte, flyte.take(pack))
    body = "event: Echoed\npayload:\n  a: 1"
    inexact = {"Content-Type": "application/x-yaml; charset=utf-8"}
    assert flyte.status("POST", path, data=body, headers=inexact) == 400
    exact = {"Content-Type": "application/x-yaml"}
    assert flyte.status("POST", path, data=body, headers=exact) == 202


@pytest.mark.parametrize("body", BAD_EVENTS)
def test_result_bad_body_loses_nothing(flyte: Any, pack: str, body: str) -> None:
    """POST /v1/packs/{packId}/actions/{actionId}/result: 400, and the action still waits"""
    flyte.event(pack, "Go", 1)
    path = result_path(flyte, flyte.take(pack))
    assert flyte.status("POST", path, data=body) == 400
    assert flyte.status("POST", path, data='{"event": "Echoed"}') == 202


def test_result_order_of_checks(flyte: Any, pack: str) -> None:
    """Result: unknown pack 404, then body 400, then unknown action 404, then state 500"""
    unknown = "0" * 24
    assert flyte.status("POST", f"/v1/packs/Nobody/actions/{unknown}/result", data="{bad") == 404
    assert flyte.status("POST", f"/v1/packs/{pack}/actions/{unknown}/result", data="{bad") == 400
    assert flyte.status("POST", f"/v1/packs/{pack}/actions/{unknown}/result", data="{}") == 404
    assert flyte.status("POST", f"/v1/packs/{pack}/actions/xyz/result", data="{}") == 404


def test_result_of_an_action_not_taken(flyte: Any, pack: str) -> None:
    """Result requires PENDING: 500"""
    flow = flyte.flow(_step(pack))
    flyte.event(pack, "Untaken")
    found = flyte.until(lambda: flyte.executions(flow))
    action_id = found[0]["actions"]["s"]["id"]
    path = f"/v1/packs/{pack}/actions/{action_id}/result"
    assert flyte.status("POST", path, data='{"event": "E"}') == 500


def _step(pack: str) -> dict[str, Any]:
    return {
        "id": "s",
        "event": {"name": "Untaken", "packName": pack},
        "command": {"name": "c", "packName": pack},
    }


def test_result_of_another_packs_action(flyte: Any, pack: str) -> None:
    """Result by a pack whose name or labels do not fit"""
    other = flyte.pack()
    flyte.event(pack, "Go", 1)
    path = result_path(flyte, flyte.take(pack))
    wrong = path.replace(f"/packs/{pack}/", f"/packs/{other}/")
    assert flyte.status("POST", wrong, data='{"event": "E"}') == flyte.differs(
        here=404, go="the connection was dropped", why="Go's handler panics; the action is not its"
    )
    assert flyte.status("POST", path, data='{"event": "E"}') == 202


def test_any_instance_that_fits_may_finish(flyte: Any, step: Step) -> None:
    """2. Any instance with the same name and fitting labels may post the result"""
    name = flyte.name("Inst")
    one, two = (flyte.pack(name, labels={"n": n, "env": "dev"}) for n in "12")
    command = step(f"{name}/Go", f"{name}/c")
    command["command"]["packLabels"] = {"env": "dev"}
    flyte.flow(command)
    flyte.event(one, "Go")
    path = result_path(flyte, flyte.take(one)).replace(f"/{one}/", f"/{two}/")
    assert flyte.status("POST", path, data='{"event": "E"}') == 202


def test_labels_of_an_action_are_a_subset(flyte: Any, step: Step) -> None:
    """2. Take: packLabels are a subset of the pack's labels"""
    name = flyte.name("Lab")
    staging = flyte.pack(name, labels={"env": "staging", "zone": "a"})
    dev = flyte.pack(name, labels={"env": "dev"})
    command = step(f"{name}/Go", f"{name}/c", input="{{ Event.Payload }}")
    command["command"]["packLabels"] = {"env": "{{ Event.Payload }}"}
    flyte.flow(command, step(f"{name}/Any", f"{name}/any"))
    flyte.event(dev, "Go", "staging")
    flyte.event(dev, "Go", "nowhere")
    assert flyte.take(staging)["input"] == "staging"
    flyte.quiet(dev)
    flyte.event(dev, "Any")
    assert flyte.take(staging)["command"] == "any"


def test_an_action_waits_for_its_pack(flyte: Any, step: Step) -> None:
    """2. An action for a pack that does not exist is delivered when such a pack appears"""
    sender, late = flyte.pack(), flyte.name("Late")
    flyte.flow(step(f"{sender}/Go", f"{late}/c"))
    flyte.event(sender, "Go")
    flyte.pack(late)
    assert flyte.take(late)["command"] == "c"


def test_numbers(flyte: Any, step: Step) -> None:
    """Payload numbers become float64"""
    pack = flyte.pack()
    given = {"big": 12345678901234567890, "i": 10000000, "neg": -3, "f": 0.1, "one": 1.0}
    flyte.flow(step(f"{pack}/Go", f"{pack}/c", input=given | {"t": "{{ Event.Payload.n }}"}))
    flyte.event(pack, "Go", {"n": 3})
    big = flyte.differs(
        here=12345678901234567890,
        go=12345678901234567000,
        why="rounding an id that is a long number loses it",
    )
    expected = given | {"big": big, "t": "3.000000"}
    answer = flyte.take(pack)["input"]
    assert answer == expected
    assert isinstance(answer["one"], int)


def test_json_as_go_writes_it(flyte: Any, step: Step) -> None:
    """Keys of objects come sorted; <, >, & are escaped; non-ASCII is raw UTF-8"""
    pack = flyte.pack()
    flyte.flow(step(f"{pack}/Go", f"{pack}/c", input={"b": "<a&é>", "a": 1}))
    flyte.event(pack, "Go")
    answer = flyte.taken(pack)
    assert '"input":{"a":1,"b":"\\u003ca\\u0026é\\u003e"}'.encode() in answer.content
