"""The words of the domain: small, frozen, and called as the contract says."""

import dataclasses
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flyte_host.model import (
    FATAL,
    Action,
    Command,
    Event,
    EventDef,
    Health,
    HealthCheck,
    PackDef,
    Registration,
    Taken,
    fatal_event,
    pack_id,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
WORDS: list[Any] = [
    EventDef("Done"),
    Event(EventDef("Done")),
    Action("id", "run", "Demo", NOW),
    Command("run", EventDef("Done"), []),
    PackDef("Demo"),
    Health(True),
    HealthCheck("Disk", lambda: Health(True)),
    Registration("Demo", "http://take", "http://events"),
    Taken("id", "run", b"null", "http://result"),
]


def test_calling_a_definition_makes_its_event() -> None:
    done = EventDef("Done", "http://help")
    assert done({"a": 1}) == Event(done, {"a": 1})
    assert done() == Event(done, None)


def test_a_fatal_event_is_known_by_its_name() -> None:
    assert fatal_event("no route") == Event(EventDef("FATAL"), "no route")
    assert FATAL == "FATAL"


def test_defaults_are_those_of_the_contract() -> None:
    command = Command("run", EventDef("Done"), [])
    assert (command.help_url, command.timeout_seconds, command.idempotent) == (None, None, False)
    pack = PackDef("Demo")
    assert (pack.help_url, pack.labels, pack.event_defs, pack.commands) == (None, {}, (), ())
    action = Action("id", "run", "Demo", NOW)
    assert (action.attempt, action.deadline) == (1, None)
    assert HealthCheck("Disk", lambda: Health(True)).critical
    assert Health(False).status is None
    assert EventDef("Done").help_url is None


def test_the_output_events_of_a_command_are_mandatory() -> None:
    with pytest.raises(TypeError, match="output_events"):
        Command("run", EventDef("Done"))  # type: ignore[call-arg]  # it is the point


@pytest.mark.parametrize("word", WORDS, ids=lambda word: type(word).__name__)
def test_no_word_can_be_changed(word: Any) -> None:
    for field in dataclasses.fields(word):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(word, field.name, "changed")
    assert not hasattr(word, "__dict__")


@pytest.mark.parametrize(
    ("name", "labels", "expected"),
    [
        ("Jira", {}, "Jira"),
        ("Jira", {"env": "staging"}, "Jira.env.staging"),
        ("Jira", {"b": "2", "a": "1"}, "Jira.a.1.b.2"),
        ("Jira", {"a": ""}, "Jira.a."),
    ],
)
def test_the_id_of_a_pack(name: str, labels: dict[str, str], expected: str) -> None:
    assert pack_id(name, labels) == expected


@given(st.text(), st.dictionaries(st.text(), st.text()))
def test_the_id_does_not_depend_on_the_order_of_labels(name: str, labels: dict[str, str]) -> None:
    backwards = dict(reversed(labels.items()))
    assert pack_id(name, labels) == pack_id(name, backwards)
