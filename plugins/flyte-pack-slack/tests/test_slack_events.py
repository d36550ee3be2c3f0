"""Events of Slack: payloads, senders, and that none is lost or doubled."""

import base64
import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from flyte_pack_slack.bounded_websocket import MOST_MESSAGE_BYTES

from flyte_host.testing.waiting import wait_until
from tests.support.bad_servers import HTTP, Treatment, bad_server

from .conftest import Listening, listening
from .slack_stand_in import APP_TOKEN, SlackStandIn

Listen = Callable[..., Listening]

ANN = {
    "id": "UANN", "name": "ann", "email": "ann@example.com", "title": "Ops", "firstName": "Ann",
    "lastName": "Lee",
}  # fmt: skip
NOBODY = dict.fromkeys(ANN, "")
MESSAGE = {
    "type": "message", "channel": "C1", "user": "UANN", "text": "hi", "ts": "1.2",
}  # fmt: skip
RECEIVED = {
    "channelId": "C1", "user": ANN, "message": "hi", "timestamp": "1.2", "threadTimestamp": "1.2",
    "replyCount": 0, "replies": None,
}  # fmt: skip
REACTION = {
    "type": "reaction_added", "user": "UANN", "item_user": "UBOT", "reaction": "eyes",
    "item": {"type": "message", "channel": "C1", "ts": "1.2"}, "event_ts": "1.3",
}  # fmt: skip


def told(slack: SlackStandIn, listener: Listening, *events: dict[str, Any]) -> list[Any]:
    """What the pack raises for these events, once all are acknowledged."""
    before = len(listener.events)
    for each in events:
        slack.tell_event(each)
    wait_until(lambda: slack.waiting == 0, "all are acknowledged")
    return listener.events[before:]


# Payloads --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "payload"),
    [
        ({}, RECEIVED),
        ({"thread_ts": "1.1"}, RECEIVED | {"threadTimestamp": "1.1"}),
        (
            {"reply_count": 1, "replies": [{"user": "UANN", "ts": "1.3"}]},
            RECEIVED | {"replyCount": 1, "replies": [{"user": "UANN", "ts": "1.3"}]},
        ),
        ({"subtype": "channel_join"}, RECEIVED),
        ({"subtype": "file_share", "files": []}, RECEIVED),
        ({"text": None, "replies": [], "reply_count": "x"}, RECEIVED | {"message": ""}),
    ],
)
def test_a_message(
    slack: SlackStandIn, listen: Listen, change: dict[str, Any], payload: dict[str, Any]
) -> None:
    assert told(slack, listen(), MESSAGE | change) == [("ReceivedMessage", payload)]


@pytest.mark.parametrize(
    "event",
    [
        {"type": "message", "subtype": "message_changed", "message": MESSAGE},
        {"type": "message", "subtype": "message_deleted", "previous_message": MESSAGE},
        {"type": "message", "subtype": "bot_message", "bot_id": "B9", "text": "hi"},
        {"type": "app_mention", "user": "UANN"},
        {"type": "message", "user": 5},
        {},
    ],
)
def test_the_go_packs_gaps_are_kept(
    slack: SlackStandIn, listen: Listen, event: dict[str, Any]
) -> None:
    assert told(slack, listen(), event) == []


def test_without_compatibility_bots_are_heard(slack: SlackStandIn, listen: Listen) -> None:
    event = {
        "type": "message", "subtype": "bot_message", "bot_id": "B9", "username": "ci",
        "text": "done", "channel": "C1", "ts": "1.2",
    }  # fmt: skip
    user = NOBODY | {"id": "B9", "name": "ci"}
    expected = ("ReceivedMessage", RECEIVED | {"user": user, "message": "done"})
    assert told(slack, listen(go_compatible=False), event) == [expected]


def test_a_reaction(slack: SlackStandIn, listen: Listen) -> None:
    expected = {
        "type": "reaction_added", "user": ANN, "itemUser": NOBODY | {"id": "UBOT"},
        "item": {"type": "message", "timestamp": "1.2", "channel": "C1"}, "reaction": "eyes",
        "eventTimestamp": "1.3",
    }  # fmt: skip
    assert told(slack, listen(), REACTION) == [("ReactionAdded", expected)]


@pytest.mark.parametrize("go_compatible", [True, False])
def test_a_reaction_to_a_file(slack: SlackStandIn, listen: Listen, go_compatible: bool) -> None:
    """differs: without an author of the item the Go pack tells nothing."""
    event = {key: value for key, value in REACTION.items() if key != "item_user"}
    event["item"] = {"type": "file", "file": "F1"}
    [(name, payload)] = told(slack, listen(go_compatible=go_compatible), event)
    expected = {"type": "file", "timestamp": "", "channel": ""}
    assert name == "ReactionAdded"
    assert payload["itemUser"] == NOBODY
    assert payload["item"] == expected | ({} if go_compatible else {"file": "F1"})


def test_a_slash_command(slack: SlackStandIn, listen: Listen) -> None:
    listener = listen()
    payload = {
        "command": "/deploy", "text": "web", "channel_id": "C1", "channel_name": "general",
        "user_id": "UANN", "token": "t", "response_url": "https://x", "trigger_id": "1.2",
    }  # fmt: skip
    envelope = slack.tell("slash_commands", payload)
    wait_until(lambda: slack.acknowledged == [envelope], "it is acknowledged")
    expected = {
        "command": "/deploy", "text": "web", "channelId": "C1", "channelName": "general",
        "user": ANN,
    }  # fmt: skip
    assert listener.events == [("SlashCommand", expected)]


def test_buttons_and_menus(slack: SlackStandIn, listen: Listen) -> None:
    listener = listen()
    payload = {
        "type": "block_actions", "user": {"id": "UANN"}, "channel": {"id": "C1"},
        "message": {"ts": "1.2", "thread_ts": "1.1"}, "response_url": "https://x",
        "actions": [
            {"action_id": "ok", "block_id": "b", "value": "7", "type": "button"},
            {"action_id": "menu", "block_id": "b", "selected_option": {"value": "8"}},
        ],
    }  # fmt: skip
    slack.tell("interactive", payload)
    slack.tell("interactive", {"type": "view_submission", "user": {"id": "UANN"}})
    wait_until(lambda: len(slack.acknowledged) == 2, "both are acknowledged")
    expected = {
        "blockId": "b", "channelId": "C1", "user": ANN, "messageTimestamp": "1.2",
        "threadTimestamp": "1.1",
    }  # fmt: skip
    assert listener.events == [
        ("ButtonPressed", expected | {"actionId": "ok", "value": "7"}),
        ("ButtonPressed", expected | {"actionId": "menu", "value": "8"}),
    ]


def test_an_action_that_is_not_an_object_is_acknowledged(
    slack: SlackStandIn, listen: Listen
) -> None:
    listener = listen()
    slack.tell("interactive", {"type": "block_actions", "actions": ["x"], "user": "UANN"})
    wait_until(lambda: len(slack.acknowledged) == 1, "it is acknowledged")
    [(name, payload)] = listener.events
    assert (name, payload["actionId"], payload["user"]["id"]) == ("ButtonPressed", "", "")


def test_a_user_is_looked_up_once(slack: SlackStandIn, listen: Listen) -> None:
    listener = listen()
    assert len(told(slack, listener, MESSAGE, MESSAGE, MESSAGE)) == 3
    assert len([each for each in slack.calls if each.method == "users.info"]) == 1


def test_an_unknown_user_has_only_an_id(slack: SlackStandIn, listen: Listen) -> None:
    """differs: the Go pack drops the message."""
    listener = listen()
    [(_, payload)] = told(slack, listener, MESSAGE | {"user": "UX"})
    assert payload == RECEIVED | {"user": NOBODY | {"id": "UX"}}
    slack.refused["users.info"] = 1
    slack.retry_after = "60"  # too long to wait for: Slack would send the event again
    [(_, payload)] = told(slack, listener, MESSAGE)
    assert payload["user"] == NOBODY | {"id": "UANN"}


@pytest.mark.parametrize("own", [False, True])
def test_own_messages_come_back_if_the_setting_says_so(
    slack: SlackStandIn, listen: Listen, own: bool
) -> None:
    events = [
        MESSAGE | {"user": "UBOT"},
        MESSAGE | {"bot_id": "BBOT"},
        REACTION | {"user": "UBOT"},
        MESSAGE,
    ]
    found = told(slack, listen(own_messages=own), *events)
    assert len(found) == (4 if own else 1)


# Nothing lost, nothing twice -------------------------------------------------------------------


def texts(listener: Listening) -> list[str]:
    return [payload["message"] for _, payload in listener.events]


def test_a_burst_arrives_once_and_in_order(slack: SlackStandIn, listen: Listen) -> None:
    listener = listen()
    for number in range(1000):
        slack.tell_event(MESSAGE | {"text": f"{number}"})
    wait_until(lambda: slack.waiting == 0, "all are acknowledged")
    assert texts(listener) == [f"{number}" for number in range(1000)]


def test_an_envelope_is_acknowledged_when_the_journal_has_it(
    slack: SlackStandIn, listen: Listen
) -> None:
    listener = listen()
    listener.may_emit.clear()
    slack.tell_event(MESSAGE)
    slack.tell_event(MESSAGE)
    assert slack.acknowledged == []
    listener.may_emit.set()
    wait_until(lambda: slack.waiting == 0, "both are acknowledged")
    assert len(listener.events) == 2


def test_an_event_that_the_journal_refused_is_sent_again(
    slack: SlackStandIn, listen: Listen, caplog: pytest.LogCaptureFixture
) -> None:
    listener = listen()
    listener.fails = OSError("disk full")
    slack.tell_event(MESSAGE)
    wait_until(lambda: "not in the journal" in caplog.text, "it is refused")
    assert slack.acknowledged == []
    listener.fails = None
    slack.tell_again()
    wait_until(lambda: slack.waiting == 0, "it is acknowledged")
    assert len(listener.events) == 1


def test_an_event_that_can_never_be_raised_is_not_sent_again(
    slack: SlackStandIn, listen: Listen, caplog: pytest.LogCaptureFixture
) -> None:
    listener = listen()
    listener.fails = ValueError("a payload of more than 15 MB")
    assert told(slack, listener, MESSAGE) == []
    assert "cannot raise an event of Slack: a payload of more than 15 MB" in caplog.text


def test_a_second_try_of_an_event_raises_nothing(slack: SlackStandIn, listen: Listen) -> None:
    listener = listen()
    for _ in range(3):
        slack.tell_event(MESSAGE, "Ev1")
    wait_until(lambda: len(slack.acknowledged) == 3, "each is acknowledged")
    assert len(listener.events) == 1


@pytest.mark.parametrize("end", ["drop", "ask_to_renew", "close_politely"])
def test_connections_end_in_a_burst(slack: SlackStandIn, listen: Listen, end: str) -> None:
    """Slack resends what was on its way: each arrives once, in spite of five endings."""
    listener = listen()
    for number in range(250):
        slack.tell_event(MESSAGE | {"text": f"{number}"})
        if number % 50 == 25:
            connections = slack.connections
            getattr(slack, end)()
            wait_until(lambda: slack.connections > connections, "it is connected again")  # noqa: B023
    wait_until(lambda: slack.waiting == 0 or slack.tell_again(), "all are acknowledged")
    assert sorted(map(int, texts(listener))) == list(range(250))
    assert slack.connections == 6


def test_a_renewal_reads_the_old_connection_to_its_end(slack: SlackStandIn, listen: Listen) -> None:
    listener = listen()
    listener.may_emit.clear()
    slack.tell_event(MESSAGE | {"text": "before"})
    slack.ask_to_renew()
    slack.tell_event(MESSAGE | {"text": "after"})
    listener.may_emit.set()
    wait_until(lambda: slack.waiting == 0 and slack.connections == 2, "both are acknowledged")
    assert texts(listener) == ["before", "after"]


def test_a_silent_connection_is_replaced(slack: SlackStandIn) -> None:
    with listening(slack, silence_seconds=0.2) as listener:
        wait_until(lambda: slack.connections >= 3, "it has connected several times")
        assert "silent for 0.2 s" in listener.pack._observer.problem or slack.connected


def test_a_connection_with_pings_is_kept(slack: SlackStandIn, listen: Listen) -> None:
    listener = listen()
    answered = [each.ping() for each in slack._sockets]
    assert all(each.wait(60) for each in answered)
    assert told(slack, listener, MESSAGE) == [("ReceivedMessage", RECEIVED)]


@pytest.mark.parametrize("text", ["", "{", "[]", "5", '{"type": "odd"}', "[" * 10_000])
def test_nonsense_is_ignored(slack: SlackStandIn, listen: Listen, text: str) -> None:
    listener = listen()
    slack.say(text)
    assert told(slack, listener, MESSAGE) == [("ReceivedMessage", RECEIVED)]
    assert slack.connections == 1


def test_half_a_surrogate_pair_is_replaced(slack: SlackStandIn, listen: Listen) -> None:
    name = ANN["name"] + "\ud83d"
    slack.users["UANN"] = slack.users["UANN"] | {"name": name}
    [(_, payload)] = told(slack, listen(), MESSAGE | {"text": "cut \ud83d"})
    assert (payload["message"], payload["user"]["name"]) == ("cut \ufffd", "ann\ufffd")


# Connecting ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "method", "problem"),
    [
        ({"app_token": "xapp-other"}, "", "invalid_auth"),
        ({"token": "xoxb-other"}, "", "invalid_auth"),
        ({}, "apps.connections.open", "internal_error"),
    ],
)
def test_connecting_is_tried_again(
    slack: SlackStandIn, settings: dict[str, str], method: str, problem: str
) -> None:
    slack.errors[method] = "internal_error"
    with listening(slack, **settings) as listener:
        wait_until(lambda: listener.pack._observer.problem == problem, "it says why")
        wait_until(lambda: len(slack.calls) >= 4, "it is tried again")
        assert not listener.health()[0]
        if method:
            del slack.errors[method]
            wait_until(lambda: slack.connected, "it is connected")
            wait_until(lambda: listener.health()[0], "it is healthy")
            assert listener.health() == (True, "Example knows flyte and sends events")


@pytest.mark.parametrize("url", ["", "ws://127.0.0.1:1/", "nonsense", "http://127.0.0.1:1/"])
def test_an_invalid_address_is_tried_again(
    slack: SlackStandIn, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slack, "ticket", lambda: url)
    with listening(slack) as listener:
        wait_until(lambda: len(slack.calls) >= 4, "it is tried again")
        monkeypatch.undo()
        wait_until(lambda: slack.connected, "it is connected")
        assert told(slack, listener, MESSAGE) == [("ReceivedMessage", RECEIVED)]


def test_no_secret_is_logged(
    slack: SlackStandIn, listen: Listen, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)
    listener = listen()
    slack.drop()
    wait_until(lambda: slack.connections == 2, "it is connected again")
    told(slack, listener, MESSAGE)
    ours = [each for each in caplog.records if not each.name.startswith("websockets")]
    logged = "\n".join(each.getMessage() for each in ours)
    assert "no events from Slack" in logged
    for secret in (APP_TOKEN, "t0ken", "ticket"):
        assert secret not in logged


def frame(length: int, content: bytes) -> bytes:
    return b"\x81\x7f" + length.to_bytes(8, "big") + content


HUGE = MOST_MESSAGE_BYTES + 1
BAD_FRAMES: dict[str, tuple[bytes, bytes, str]] = {
    "drips a message": (frame(1_000_000, b""), b"x", "no end after 0.2 s"),
    "a huge message": (frame(HUGE, b"x" * HUGE), b"", "more than 10000000 bytes"),
    "a message in endless parts": (b"\x01\x01x", b"\x89\x00\x00\x01x", "no end after 0.2 s"),
}


def upgrade(connection: Any) -> None:
    """Accept a websocket."""
    head = connection.recv(65536)
    key = head.partition(b"Sec-WebSocket-Key: ")[2].split()[0]
    digest = hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
    told = [b"HTTP/1.1 101 Switching Protocols", b"Upgrade: websocket", b"Connection: Upgrade"]
    told += [b"Sec-WebSocket-Accept: " + base64.b64encode(digest), b"", b""]
    connection.sendall(b"\r\n".join(told))


@contextmanager
def listening_to(
    slack: SlackStandIn, monkeypatch: pytest.MonkeyPatch, treat: Treatment
) -> Iterator[Listening]:
    """A pack whose websocket leads to a bad server."""
    with bad_server(treat) as port:
        monkeypatch.setattr(slack, "ticket", lambda: f"ws://127.0.0.1:{port}/")
        with listening(slack, timeout_seconds=0.2) as listener:
            yield listener


@pytest.mark.parametrize("kind", BAD_FRAMES)
def test_a_message_without_an_end(
    slack: SlackStandIn, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    start, more, problem = BAD_FRAMES[kind]

    def treat(connection: Any, over: threading.Event) -> None:
        upgrade(connection)
        connection.sendall(start)
        while not over.wait(0.02):
            connection.sendall(more)

    with listening_to(slack, monkeypatch, treat) as listener:
        wait_until(lambda: problem in listener.pack._observer.problem, "it says why")
        monkeypatch.undo()
        wait_until(lambda: slack.connected, "it is connected")
        assert told(slack, listener, MESSAGE) == [("ReceivedMessage", RECEIVED)]


@pytest.mark.parametrize("kind", HTTP)
def test_an_upgrade_that_fails(
    slack: SlackStandIn, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    with listening_to(slack, monkeypatch, HTTP[kind]) as listener:
        calls = len(slack.calls)
        wait_until(lambda: len(slack.calls) >= calls + 4, "it is tried again")
        monkeypatch.undo()
        wait_until(lambda: slack.connected, "it is connected")
        assert told(slack, listener, MESSAGE) == [("ReceivedMessage", RECEIVED)]
