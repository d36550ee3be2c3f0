"""Against a real graphite-web: what the Go pack did, and where this pack differs on purpose."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flyte_pack_graphite import GraphitePack, GraphiteSettings

from flyte_host import Health
from flyte_host.testing import Example, check_contract
from tests.support.bad_servers import HTTP, NEEDING_PATIENCE, bad_server, closed_port
from tests.support.rest_stand_in import RestReply, RestStandIn, basic

from .graphite_web import GraphiteWeb

pytestmark = pytest.mark.xdist_group("graphite")  # one graphite-web for all

Call = Callable[..., tuple[str, Any]]
MakePack = Callable[..., GraphitePack]

EVENT = {"tags": "deploy eu", "what": "v7 ☂", "data": "by <ann>"}


def test_the_definition_is_the_go_packs(make_pack: MakePack) -> None:
    definition = make_pack("http://graphite").flyte_pack()
    assert (definition.name, dict(definition.labels)) == ("Graphite", {})
    assert definition.help_url == "http://github.com/HotelsDotCom/flyte-graphite/README.md"
    assert list(definition.event_defs) == []
    [command] = definition.commands
    events = [each.name for each in command.output_events]
    assert (command.name, events) == ("AddEvents", ["AddEventsSuccess", "AddEventsFailure"])
    assert not command.idempotent


def test_it_keeps_the_contract_of_packs(graphite_web: GraphiteWeb) -> None:
    examples = [
        Example("AddEvents", EVENT, "AddEventsSuccess"),
        Example("AddEvents", {}, "AddEventsFailure"),
    ]
    check_contract(GraphitePack, {"url": graphite_web.url}, examples=examples)


@pytest.mark.parametrize("go_compatible", [True, False])
def test_an_event(
    graphite_web: GraphiteWeb, make_pack: MakePack, call: Call, go_compatible: bool
) -> None:
    pack = make_pack(graphite_web.url, go_compatible=go_compatible)
    document = {key.upper(): value for key, value in EVENT.items()} | {"when": 5}
    assert call(pack, document) == ("AddEventsSuccess", EVENT)
    expected = {"what": "v7 ☂", "data": "by <ann>", "tags": ["deploy", "eu"]}
    assert expected.items() <= graphite_web.events()[0].items()
    assert health(pack) == Health(True, f"{graphite_web.url} answers")


def test_an_event_with_a_name_only(
    graphite_web: GraphiteWeb, make_pack: MakePack, call: Call
) -> None:
    expected = {"what": "x", "tags": "", "data": ""}
    document = {"what": "x", "tags": None}
    assert call(make_pack(f"{graphite_web.url}/"), document) == ("AddEventsSuccess", expected)


def test_a_path_that_graphite_does_not_know(
    graphite_web: GraphiteWeb, make_pack: MakePack, call: Call
) -> None:
    error = "Fail: could not apply event: status code 404 (a page of HTML)"
    expected = {"tags": error, "what": EVENT["what"], "data": EVENT["data"], "error": "deploy eu"}
    assert call(make_pack(f"{graphite_web.url}/none"), EVENT) == ("AddEventsFailure", expected)
    strict = make_pack(f"{graphite_web.url}/none", go_compatible=False)
    assert call(strict, EVENT) == ("AddEventsFailure", EVENT | {"error": error})


@pytest.mark.parametrize(
    "document", [{"tags": "t", "data": "d"}, {"what": "", "TAGS": "t", "data": "d"}]
)
def test_an_event_needs_a_name(make_pack: MakePack, call: Call, document: Any) -> None:
    error = {"error": "What must not be null"}
    expected = {"tags": "", "what": "d", "data": "t"} | error
    assert call(make_pack("http://x"), document) == ("AddEventsFailure", expected)
    expected = {"tags": "t", "what": "", "data": "d"} | error
    strict = make_pack("http://x", go_compatible=False)
    assert call(strict, document) == ("AddEventsFailure", expected)


def test_no_input_is_an_ordinary_error(make_pack: MakePack, call: Call) -> None:
    """The Go pack answered with the FATAL of a nil pointer."""
    expected = {"tags": "", "what": "", "data": "", "error": "What must not be null"}
    assert call(make_pack("http://x"), None) == ("AddEventsFailure", expected)


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ({"what": "w", "tags": ["a"]}, "array into field tags of type string"),
        ({"what": "w", "data": 5}, "number into field data of type string"),
    ],
)
def test_bad_input(make_pack: MakePack, call: Call, document: Any, told: str) -> None:
    error = f"Fail: Could not marshal Tags,What and Data into json: json: cannot unmarshal {told}"
    unknown = {"what": "unknown", "data": "unknown", "error": "unknown"}
    expected = ("AddEventsFailure", {"tags": f"{error}\n"} | unknown)
    assert call(make_pack("http://x"), document) == expected
    expected = ("AddEventsFailure", {"tags": "", "what": "w", "data": "", "error": error})
    assert call(make_pack("http://x", go_compatible=False), document) == expected


@pytest.mark.parametrize("kind", HTTP)
def test_a_misbehaving_server_is_a_failure(make_pack: MakePack, call: Call, kind: str) -> None:
    limit = 0.2 if kind in NEEDING_PATIENCE else 10
    with bad_server(HTTP[kind]) as port:
        url = f"http://127.0.0.1:{port}"
        pack = make_pack(url, timeout_seconds=limit, go_compatible=False)
        name, payload = call(pack, EVENT)
        assert (name, payload | {"error": ""}) == ("AddEventsFailure", EVENT | {"error": ""})
        assert payload["error"].startswith("Fail: could not apply event: ")
        assert not health(pack).healthy


def test_nobody_listens(make_pack: MakePack, call: Call) -> None:
    pack = make_pack(f"http://127.0.0.1:{closed_port()}", go_compatible=False)
    assert "refused" in call(pack, EVENT)[1]["error"]
    assert not health(pack).healthy


@pytest.fixture
def guarded() -> Iterator[RestStandIn]:
    """A graphite-web behind basic authentication."""

    def answer(request: Any) -> RestReply:
        known = request.headers.get("authorization") == basic("bot", "secret")
        return (
            RestReply(200, b"[]" if request.method == "GET" else b"") if known else RestReply(401)
        )

    with RestStandIn(answer) as running:
        yield running


def test_credentials(guarded: RestStandIn, make_pack: MakePack, call: Call) -> None:
    pack = make_pack(guarded.url, user="bot", password="secret")
    assert call(pack, EVENT)[0] == "AddEventsSuccess"
    assert guarded.requests[0].raw_path == "/events/"
    assert health(pack) == Health(True, f"{guarded.url} knows bot")
    wrong = make_pack(guarded.url, user="bot", password="wrong-secret", go_compatible=False)
    name, payload = call(wrong, EVENT)
    error = "Fail: could not apply event: status code 401"
    assert (name, payload) == ("AddEventsFailure", EVENT | {"error": error})
    refused = f"{guarded.url} refuses bot with 401: check user and password"
    assert health(wrong) == Health(False, refused)


def health(pack: GraphitePack) -> Health:
    [check] = pack.flyte_health_checks()
    assert (check.name, check.critical) == ("graphite", False)
    return check.check()


def test_the_environment_steps_in(monkeypatch: pytest.MonkeyPatch) -> None:
    environ = {"GRAPHITE_HOST": "https://env"}
    assert GraphiteSettings().completed(environ).url == "https://env"
    assert GraphiteSettings("https://own").completed(environ).url == "https://own"
    monkeypatch.setenv("GRAPHITE_HOST", "https://env")
    assert GraphitePack(GraphiteSettings()).flyte_pack().name == "Graphite"


def test_settings_reach_the_connection() -> None:
    settings = GraphiteSettings("https://x", "me", "hidden", 3, verify=False, ca_file="ca.pem")
    target = settings.target()
    assert (target.user, target.password, target.timeout_seconds) == ("me", "hidden", 3)
    assert (target.verify, target.ca_file) == (False, "ca.pem")
    assert "hidden" not in repr(settings)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({}, "url: missing; set it in the pack's settings or as GRAPHITE_HOST"),
        ({"url": "x"}, "url: found 'x', expected one like 'https://graphite.example.com'"),
        ({"timeout_seconds": 0}, "timeout_seconds: found 0, expected more than 0"),
        ({"user": "x"}, "user, password: found one without the other, expected both or none"),
    ],
)
def test_settings_that_make_no_sense(settings: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError) as raised:
        GraphitePack(GraphiteSettings(**settings), {})
    assert str(raised.value) == text
