"""The documents that go to flyte and come from it."""

import dataclasses
import decimal
import enum
import json
import uuid
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flyte_host.client import wire
from flyte_host.model import Command, EventDef, PackDef, StepRun, Taken, fatal_event, pack_id
from flyte_host.text import printable
from tests.support.scripted_server import action, links, registered

NOON = datetime(2026, 11, 23, 12, 0, 0, 123456, tzinfo=UTC)
DONE = EventDef("Done")
URL = "http://127.0.0.1:8080"


def encoded(payload: Any) -> Any:
    return json.loads(wire.encode_event(DONE(payload), NOON))["payload"]


def test_an_event_has_three_keys() -> None:
    assert wire.encode_event(DONE({"n": 1}), NOON) == (
        b'{"event":"Done","payload":{"n":1},"createdAt":"2026-11-23T12:00:00.123456Z"}'
    )


def test_a_payload_is_there_even_if_it_is_none() -> None:
    assert b'"payload":null' in wire.encode_event(DONE(), NOON)


def test_created_at_goes_out_in_utc() -> None:
    there = NOON.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert wire.encode_event(DONE(), there) == wire.encode_event(DONE(), NOON)


def test_created_at_needs_a_zone() -> None:
    with pytest.raises(ValueError, match=r"^createdAt needs a zone, found 2026-11-23T12:00:00"):
        wire.encode_event(DONE(), NOON.replace(tzinfo=None))


@dataclasses.dataclass
class Point:
    x: int
    y: float | None = None


class WireColor(enum.Enum):
    RED = "red"


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ("text <b>&", "text <b>&"),
        (Point(1), {"x": 1, "y": None}),
        ([WireColor.RED, (1, 2)], ["red", [1, 2]]),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (NOON, "2026-11-23T12:00:00.123456Z"),
        ({"d": decimal.Decimal("1.5"), 2: None}, {"d": "1.5", "2": None}),
        (msgspec.Raw(b'{"a": null}'), {"a": None}),
        ([msgspec.Raw(b"null"), None], [None, None]),
        (2**64, 2**64),
        (-(2**70), -(2**70)),
        ("null", "null"),
        ("\u00e9\0\U0001f600", "\u00e9\0\U0001f600"),
    ],
)
def test_payloads(payload: Any, expected: Any) -> None:
    assert encoded(payload) == expected


class Stubborn:
    """As foreign as a payload can be: what msgspec asks it for, it refuses."""

    @property
    def __dataclass_fields__(self) -> Any:
        raise LookupError


CYCLE: list[Any] = []
CYCLE.append(CYCLE)


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (object(), "it is an object, which JSON cannot hold; expected a dict, list, str, number"),
        ({"a": [float("nan")]}, r"payload\.a\[0\] is a number that is not finite \(nan or inf\)$"),
        (float("inf"), "it is a number that is not finite"),
        (
            [{"a": (1, Point(1, float("-inf")))}],
            r"payload\[0\]\.a\[1\]\.y is a number that is not finite",
        ),
        ("a\ud800b", r"it has text that is not Unicode: '\\ud800'"),
        ({"\udcff": 1}, r"it has text that is not Unicode: '\\udcff'"),
        (CYCLE, "it is nested too deeply, or holds itself"),
        (msgspec.UNSET, "it is a UnsetType, which JSON cannot hold"),
        (Stubborn(), "it cannot be encoded: (LookupError|Encoding objects of type Stubborn is)"),
    ],
)
def test_payloads_that_are_not_json(payload: Any, why: str) -> None:
    with pytest.raises(ValueError, match=f"^payload of Done is not valid JSON: ({why})"):
        wire.encode_event(DONE(payload), NOON)


def test_an_event_name_that_is_not_unicode() -> None:
    with pytest.raises(
        ValueError, match=r"^event \\udc80x is not valid JSON: event.event has text"
    ):
        wire.encode_event(EventDef("\udc80x")(), NOON)


@given(st.text(st.characters(categories=["Cs", "L", "Cc", "So"])))
def test_any_text_makes_a_fatal(text: str) -> None:
    document = json.loads(wire.encode_fatal(text, NOON))
    assert document["event"] == "FATAL"
    assert document["payload"] == printable(text)
    assert document["createdAt"] == "2026-11-23T12:00:00.123456Z"


def test_lone_surrogates_of_a_fatal_stay_readable() -> None:
    assert json.loads(wire.encode_fatal("a\udcffb", NOON))["payload"] == "a\\udcffb"


def command(name: str, *events: EventDef, help_url: str | None = None) -> Command:
    return Command(name, EventDef("Done"), events, help_url)


def test_a_bare_pack_has_empty_lists_and_no_labels() -> None:
    assert wire.encode_pack(PackDef("M")) == b'{"name":"M","events":[],"links":[]}'


def test_a_full_pack() -> None:
    echoed = EventDef("Echoed", "http://h/help#Echoed")
    ticked = EventDef("Ticked")
    pack = PackDef(
        "M",
        "http://h/help",
        {"zone": "b", "env": "a.b"},
        [ticked, EventDef("Echoed"), EventDef("Own")],
        [
            command("echo", echoed, fatal_event("x").event_def, help_url="http://h/help#echo"),
            command("none"),
            command("both", ticked, EventDef("Echoed", "http://other"), ticked),
        ],
    )
    assert json.loads(wire.encode_pack(pack)) == {
        "name": "M",
        "labels": {"zone": "b", "env": "a.b"},
        "events": [
            {"name": "Echoed", "links": [{"href": "http://h/help#Echoed", "rel": "help"}]},
            {"name": "Ticked"},
            {"name": "Own"},
        ],
        "commands": [
            {
                "name": "echo",
                "events": ["Echoed"],
                "links": [{"href": "http://h/help#echo", "rel": "help"}],
            },
            {"name": "none", "events": []},
            {"name": "both", "events": ["Ticked", "Echoed"]},
        ],
        "links": [{"href": "http://h/help", "rel": "help"}],
    }


def test_a_pack_that_is_not_json() -> None:
    with pytest.raises(ValueError, match=r"^pack \\ud800 is not valid JSON: pack.name has text"):
        wire.encode_pack(PackDef("\ud800"))


def test_links_are_found_by_the_end_of_their_rel() -> None:
    found = wire.decode_links(links(URL))
    assert wire.find_link(found, "pack/listPacks") == f"{URL}/v1/packs"
    assert wire.find_link(found, "info/health") == f"{URL}/health"
    assert wire.find_link(found, "flowAudit/findFlows") == f"{URL}/v1/audit/flows"
    assert wire.find_link(found, "takeAction") is None


def test_the_last_link_wins_and_an_empty_one_is_none() -> None:
    found = (("myevent", "http://x/mine"), ("y/event", "http://y"), ("z/event", ""))
    assert wire.find_link(found, "event") == "http://y"


@pytest.mark.parametrize("document", [b"{}", b'{"links":null}', b'{"links":[]}', b'{"a":1}'])
def test_no_links(document: bytes) -> None:
    assert wire.decode_links(document) == ()


@pytest.mark.parametrize(
    ("document", "found"),
    [
        (b"", "0 bytes: Input data was truncated"),
        (b"<html>secret</html>", "19 bytes: a web page"),
        (b"\n <!doctype html>", "17 bytes: a web page"),
        (b"[]", "2 bytes: Expected `object`, got `array`"),
        (b'{"links":5}', r"Expected `array \| null`, got `int` - at `\$.links`"),
        (b'{"links":[{"rel":1}]}', r"Expected `str`, got `int` - at `\$.links\[0\].rel`"),
        (b"{} x", "JSON is malformed: trailing characters"),
        (b'{"links":[{"rel":"\xff"}]}', "it has text that is not UTF-8"),
        (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "it is nested too deeply"),
    ],
)
def test_a_document_that_is_not_links(document: bytes, found: str) -> None:
    with pytest.raises(ValueError, match=rf"^expected links as JSON, found .*{found}") as caught:
        wire.decode_links(document)
    assert "secret" not in str(caught.value)


def test_a_registration() -> None:
    own = {"href": "http://x/mine", "rel": "myevent"}
    registration = wire.decode_registration(registered(URL, "Ev", own))
    assert registration.pack_id == "Ev"
    assert registration.take_href == f"{URL}/v1/packs/Ev/actions/take"
    assert registration.events_href == f"{URL}/v1/packs/Ev/events"


@pytest.mark.parametrize(
    ("name", "escaped"),
    [
        ("My Pack", "My%20Pack"),
        ("na\u00efve", "na%C3%AFve"),
        ("50%off", "50%25off"),
        ("50%25off", "50%2525off"),
        ("q?#", "q%3F%23"),
        ("a/b", "a%2Fb"),
        ("a:b@c+d&e=f;g", "a%3Ab%40c%2Bd%26e%3Df%3Bg"),
        ("", ""),
        ("packs", "packs"),
        ("a/packs/a", "a%2Fpacks%2Fa"),
    ],
)
def test_ids_are_escaped_by_who_knows_them(name: str, escaped: str) -> None:
    registration = wire.decode_registration(registered(URL, name))
    assert registration.take_href == f"{URL}/v1/packs/{escaped}/actions/take"
    assert registration.events_href == f"{URL}/v1/packs/{escaped}/events"


def test_labels_are_part_of_the_id() -> None:
    id_ = pack_id("Wire", {"zone": "eu=1", "env": "dev"})
    href = wire.decode_registration(registered(URL, id_)).events_href
    assert href == f"{URL}/v1/packs/Wire.env.dev.zone.eu%3D1/events"


def test_an_href_without_the_raw_id_is_left_alone() -> None:
    assert wire.escape_pack_id(f"{URL}/v1/packs/My%20Pack/events", "My Pack") == (
        f"{URL}/v1/packs/My%20Pack/events"
    )


@pytest.mark.parametrize(
    ("document", "found"),
    [
        (b"{}", "expected a registered pack as JSON, found .* missing required field `id`"),
        (b'{"id":"M","links":[]}', "expected a link whose rel ends with takeAction, found none"),
        (
            b'{"id":"M","links":[{"href":"http://h","rel":"x/takeAction"}]}',
            "expected a link whose rel ends with /event, found none",
        ),
    ],
)
def test_a_document_that_is_not_a_registration(document: bytes, found: str) -> None:
    with pytest.raises(ValueError, match=f"^{found}"):
        wire.decode_registration(document)


def test_a_taken_action_keeps_its_input_as_it_came() -> None:
    big = b'{"n": 12345678901234567000, "text":"\\u003cb\\u003e"}'
    document = action(URL, "M", "6b04", input="X").replace(b'"X"', big)
    assert wire.decode_taken(document) == Taken(
        "6b04", "echo", big, f"{URL}/v1/packs/M/actions/6b04/result"
    )


def test_an_action_without_input_has_null() -> None:
    without = json.loads(action(URL, "M", "1"))
    del without["input"]
    assert wire.decode_taken(json.dumps(without).encode()).input == b"null"
    assert wire.decode_taken(action(URL, "M", "1")).input == b"null"


@pytest.mark.parametrize(
    ("document", "found"),
    [
        (b"{}", "expected an action as JSON, found .* missing required field `command`"),
        (b"null", "expected an action as JSON, found .* got `null`"),
        (b'{"command":"c"}', "expected a link whose rel ends with actionResult, found none"),
        (
            b'{"command":"c","links":[{"href":"http://h/x","rel":"x/actionResult"}]}',
            "expected a link …/actions/<id>/result, found 'http://h/x'",
        ),
    ],
)
def test_a_document_that_is_not_an_action(document: bytes, found: str) -> None:
    with pytest.raises(ValueError, match=f"^{found}"):
        wire.decode_taken(document)


@pytest.mark.parametrize(
    ("href", "expected"),
    [
        (f"{URL}/v1/packs/M/actions/6b04/result", "6b04"),
        (f"{URL}/v1/packs/q?#/actions/6b04/result", "6b04"),
        (f"{URL}/v1/packs//actions/x/result/actions/6b04/result", "6b04"),
        ("/v1/packs/a\nb/actions/6b%2004/result", "6b 04"),
    ],
)
def test_action_ids(href: str, expected: str) -> None:
    assert wire.action_id(href) == expected


@pytest.mark.parametrize("href", ["", "/actions//result", "/actions/1", "/actions/1/result/x"])
def test_hrefs_without_an_action_id(href: str) -> None:
    with pytest.raises(ValueError, match=r"^expected a link …/actions/<id>/result, found '"):
        wire.action_id(href)


def test_states_of_audited_actions() -> None:
    flows = [
        {"actions": {"kick": {"id": "1", "state": {"value": "SUCCESS"}}}},
        {"actions": {"a": {"id": "2", "state": {"value": "PENDING"}, "input": 1}}, "name": "f"},
        {"actions": None},
        {},
    ]
    found = wire.decode_action_states(json.dumps({"flows": flows, "links": []}).encode())
    assert found == {"1": "SUCCESS", "2": "PENDING"}


def test_an_empty_page_of_the_audit() -> None:
    assert wire.decode_action_states(b'{"flows":[],"links":[]}') == {}
    assert wire.decode_action_states(b'{"flows":null}') == {}


def test_a_document_that_is_not_an_audit() -> None:
    with pytest.raises(
        ValueError, match=r"^expected audited flows as JSON, found 2 bytes: .*flows"
    ):
        wire.decode_action_states(b"{}")


@pytest.mark.parametrize(
    ("header", "step"),
    [
        ("f/s/6b04", StepRun("f", "s", "6b04")),
        ("a%2Fb/na%C3%AFve%25//", None),
        ("a%2Fb/na%C3%AFve%25/6b04", StepRun("a/b", "naïve%", "6b04")),
        ("f//6b04", StepRun("f", "", "6b04")),
        ("", None),
        ("f/s", None),
    ],
)
def test_the_step_that_asked_for_an_action(header: str, step: StepRun | None) -> None:
    assert wire.decode_step(header) == step


def test_the_name_of_an_event_that_waits() -> None:
    document = wire.encode_event(EventDef("Done")({"a": 1}), datetime(2026, 1, 2, tzinfo=UTC))
    assert wire.event_name(document) == "Done"


@pytest.mark.parametrize(
    "document", [b"[1]", b"{", b'{"event":"\xff"}', b'{"payload":' + b"[" * 100_000]
)
def test_what_has_no_name_of_an_event(document: bytes) -> None:
    assert wire.event_name(document) == ""
