"""Flows such as flyte's own documentation teaches, unchanged, with real packs around them.

The host is real, so is the Shell pack. Slack, Bamboo and Ticker stand in for the packs of those
names: they take what those take, answer what those answer, and note what they were asked.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from flyte_pack_shell import ShellPack

from flyte_host import Command, Event, EventDef, PackDef, hookimpl
from flyte_host.testing.waiting import PATIENCE_SECONDS, wait_until

FLOWS = Path(__file__).parent / "flows"
Input = dict[str, Any]

MESSAGE_SENT, SEND_FAILED = EventDef("MessageSent"), EventDef("SendMessageFailed")
ADDED, NOT_ADDED = EventDef("AddedLabel"), EventDef("FailedToAddLabel")
COMMENTED, NOT_COMMENTED = EventDef("CommentAdded"), EventDef("FailedToAddComment")


class Slack:
    def __init__(self) -> None:
        self.sent: list[tuple[str, str, str]] = []

    @hookimpl
    def flyte_pack(self) -> PackDef:
        events = (EventDef("ReceivedMessage"), EventDef("ReactionAdded"))
        send = Command("SendMessage", self.send, (MESSAGE_SENT, SEND_FAILED))
        return PackDef("Slack", event_defs=events, commands=(send,))

    def send(self, input: Input) -> Event:
        channel, message = input.get("channelId", ""), input.get("message", "")
        self.sent.append((channel, input.get("threadTimestamp", ""), message))
        answer = {"message": message, "threadTimestamp": "", "channelId": channel}
        if not channel:
            return SEND_FAILED(answer | {"error": "missing channel id field"})
        return MESSAGE_SENT(answer)

    def wait_sent(self, number: int) -> list[tuple[str, str, str]]:
        wait_until(lambda: len(self.sent) >= number, f"{number} messages in {self.sent}")
        return self.sent


class Bamboo:
    def __init__(self) -> None:
        self.asked: list[Input] = []

    @hookimpl
    def flyte_pack(self) -> PackDef:
        label = Command("AddLabel", self.label, (ADDED, NOT_ADDED))
        comment = Command("AddComment", self.comment, (COMMENTED, NOT_COMMENTED))
        return PackDef("Bamboo", commands=(label, comment))

    def label(self, input: Input) -> Event:
        self.asked.append(input)
        if input["build"] == "BROKEN-1":
            raise RuntimeError("out of agents")
        if input["label"] == "forbidden":
            path = f"/rest/api/latest/result/{input['build']}/label"
            why = f"Fail: Could not apply label: POST failed: path={path} : statusCode=403"
            return NOT_ADDED(input | {"error": why})
        return ADDED(input)

    def comment(self, input: Input) -> Event:
        self.asked.append(input)
        return COMMENTED(input)


class Ticker:
    @hookimpl
    def flyte_pack(self) -> PackDef:
        return PackDef("Ticker", event_defs=(EventDef("Tick"),))


@pytest.fixture
def slack() -> Slack:
    return Slack()


@pytest.fixture
def bamboo() -> Bamboo:
    return Bamboo()


@pytest.fixture
def packs(
    flyte_server: Any, flyte_run_host: Callable[..., Any], slack: Slack, bamboo: Bamboo
) -> None:
    """All flows and all packs at once: each flow hears only what is meant for it."""
    for path in sorted(FLOWS.glob("*.yaml")):
        flyte_server.put_flow(path.read_text(encoding="utf-8"))
    plugins = {"shell": ShellPack, "slack": slack, "bamboo": bamboo, "ticker": Ticker()}
    flyte_run_host(plugins, {"slack": {"labels": {"workspace": "engineering"}}})


@pytest.fixture
def hear(flyte_server: Any, packs: None) -> Callable[..., None]:
    """Somebody writes in Slack."""

    def hear(message: str, *, user: str = "ada") -> None:
        person = {"id": "U1", "name": user, "email": "ada@example.com", "title": ""}
        payload = {
            "channelId": "C-room",
            "user": person | {"firstName": user.capitalize(), "lastName": "L"},
            "message": message,
            "timestamp": "1543341234.000200",
            "threadTimestamp": "1543341234.000100",
            "replyCount": 0,
            "replies": None,
        }
        flyte_server.send_event("Slack.workspace.engineering", "ReceivedMessage", payload)

    return hear


def executions(server: Any) -> list[Any]:
    answer = requests.get(f"{server.url}/v1/audit/flows", timeout=PATIENCE_SECONDS)
    assert answer.status_code == 200
    return list(answer.json()["flows"])


def actions(server: Any) -> dict[str, str]:
    """Step → state, of the only execution, once none of its steps is under way."""

    def look() -> dict[str, str] | None:
        [execution] = executions(server)
        found = {step: it["state"]["value"] for step, it in execution["actions"].items()}
        assert "skipped" not in execution
        return found if {"NEW", "PENDING"}.isdisjoint(found.values()) else None

    return wait_until(look, "the execution ends")


def test_bank_holidays(flyte_server: Any, hear: Callable[..., None], slack: Slack) -> None:
    hear("bank holidays in scotland")
    days = "1. New Year's Day (2027-01-01), 2. 2nd January (2027-01-04)"
    message = f"Bank holidays in Scotland: {days}; the first is on 2027-01-01"
    more = f"Bank holidays in Scotland were {len(message)} characters. More?"
    assert slack.wait_sent(2) == [
        ("C-room", "1543341234.000100", message),
        ("C-room", "", more),
    ]
    assert actions(flyte_server) == dict.fromkeys(["look_up", "tell", "offer"], "SUCCESS")


def test_bank_holidays_of_nowhere(
    flyte_server: Any, hear: Callable[..., None], slack: Slack
) -> None:
    hear("bank holiday in atlantis")
    assert slack.wait_sent(1) == [("C-room", "", "Sorry: no such place (3)")]
    assert actions(flyte_server) == dict.fromkeys(["look_up", "apologize"], "SUCCESS")


@pytest.mark.parametrize(
    ("message", "user"),
    [
        ("bank holidays", "ada"),
        ("no bank holidays in scotland", "ada"),
        ("bank holidays in $(reboot)", "ada"),
        ("bank holidays in scotland", "flyte"),
        ("label A-1", "ada"),
    ],
)
def test_other_talk_starts_nothing(
    flyte_server: Any, hear: Callable[..., None], message: str, user: str
) -> None:
    hear(message, user=user)
    assert executions(flyte_server) == []


@pytest.mark.parametrize("message", ["label API-7 as stable", "label\u00a0 API-7  as\u00a0stable"])
def test_a_build_is_labelled(
    flyte_server: Any, hear: Callable[..., None], slack: Slack, bamboo: Bamboo, message: str
) -> None:
    hear(message)
    assert slack.wait_sent(1) == [("C-room", "", "Ada: API-7 is now stable")]
    assert actions(flyte_server) == dict.fromkeys(["label", "tell_success", "note"], "SUCCESS")
    assert bamboo.asked == [
        {"build": "API-7", "label": "stable"},
        {"build": "API-7", "comment": "Ada was told: Ada: API-7 is now stable"},
    ]


def test_a_build_that_cannot_be_labelled(
    flyte_server: Any, hear: Callable[..., None], slack: Slack, bamboo: Bamboo
) -> None:
    hear("label API-7 as forbidden")
    [(_, _, message)] = slack.wait_sent(1)
    assert message.startswith("Ada: Fail: Could not apply label: POST failed: path=/rest/api/")
    assert actions(flyte_server) == dict.fromkeys(["label", "tell_failure", "note"], "SUCCESS")
    assert bamboo.asked[1]["build"] == "API-7"


def test_a_label_that_ends_fatally(
    flyte_server: Any, hear: Callable[..., None], slack: Slack
) -> None:
    hear("label BROKEN-1 as stable")
    [(channel, _, message)] = slack.wait_sent(1)
    assert channel == "C-room"
    assert message.startswith("Bamboo gave up: ")
    assert "out of agents" in message
    assert actions(flyte_server) == {"label": "FATAL", "mourn": "SUCCESS"}


def test_labels_of_another_workspace_start_nothing(
    flyte_server: Any, hear: Callable[..., None]
) -> None:
    requests.post(f"{flyte_server.url}/v1/packs", json={"name": "Slack"}, timeout=PATIENCE_SECONDS)
    payload = {"message": "label API-7 as stable", "user": {}}
    flyte_server.send_event("Slack", "ReceivedMessage", payload)
    assert executions(flyte_server) == []


TEAMS = b"""{"payments": {"channel": "C-payments", "people": [{"name": "Grace"}]},
             "search": {"channel": "C-search", "people": []}}"""
ITEMS = {
    "channels": (b'{"C-room": "search", "C-shop": "payments"}', "application/json"),
    "teams": (TEAMS, "application/json; charset=utf-8"),
    "alarm": (b"{{ By }} calls {{ Team }}; {{ First }} is on call", "text/plain"),
}


@pytest.fixture
def react(flyte_server: Any, packs: None) -> Callable[..., None]:
    """Somebody reacts to a message in Slack."""

    def react(reaction: str, channel: str) -> None:
        payload = {
            "type": "reaction_added",
            "user": {"id": "U1", "name": "ada"},
            "itemUser": {"id": "U2", "name": "bob"},
            "item": {"type": "message", "timestamp": "1543341234.000200", "channel": channel},
            "reaction": reaction,
            "eventTimestamp": "1543341239.000100",
        }
        flyte_server.send_event("Slack.workspace.engineering", "ReactionAdded", payload)

    return react


@pytest.fixture
def items(flyte_server: Any) -> None:
    for key, (value, content_type) in ITEMS.items():
        files = {"value": (key, value, content_type)}
        url = f"{flyte_server.url}/v1/datastore/{key}"
        assert requests.put(url, files=files, timeout=PATIENCE_SECONDS).status_code == 201


@pytest.mark.usefixtures("items")
@pytest.mark.parametrize(
    ("channel", "called", "team"),
    [("C-shop", "C-payments", "payments"), ("C-room", "C-search", "search")],
)
def test_the_team_of_a_channel_is_called(
    react: Callable[..., None], slack: Slack, channel: str, called: str, team: str
) -> None:
    react("tada", channel)
    react("ambulance", channel)
    message = f"ada calls {team}; Grace is on call"
    assert slack.wait_sent(1) == [(called, "", message)]


def test_without_the_datastore_the_step_is_skipped_visibly(
    flyte_server: Any, react: Callable[..., None], slack: Slack
) -> None:
    """A context that fails hits events too that the criteria would have turned down"""
    react("tada", "C-shop")
    [execution] = executions(flyte_server)
    assert execution["skipped"][0]["stepId"] == "call"
    assert "datastore" in execution["skipped"][0]["reason"]
    assert (execution["actions"], slack.sent) == ({}, [])


@pytest.mark.usefixtures("packs")
@pytest.mark.parametrize(
    ("time", "message"),
    [
        ("2026-11-23T09:30:41.123456789Z", "Stand-up (2026-11-23T09:30)"),
        ("2026-11-23T09:30:00+01:00", "Stand-up (2026-11-23T09:30)"),
        ("2026-11-22T12:00:59Z", "Rest"),
        ("2026-12-01T12:00:00Z", "Rest"),
        ("2026-11-23T09:31:00Z", None),
        ("2026-11-22T09:30:00Z", None),
        ("2026-11-23T12:00:00Z", None),
    ],
)
def test_a_tick_at_the_right_time(
    flyte_server: Any, slack: Slack, time: str, message: str | None
) -> None:
    flyte_server.send_event("Ticker", "Tick", {"time": time})
    if message:
        assert slack.wait_sent(1) == [("C-team", "", message)]
    else:
        assert executions(flyte_server) == []
