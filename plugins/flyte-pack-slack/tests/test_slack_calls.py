"""Slack away, slow, busy or answering nonsense; and how long lists are kept."""

import json
import threading
from base64 import b64encode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flyte_pack_slack import SlackPack, SlackSettings, slack_api

from tests.support.bad_servers import closed_port

from .conftest import SlackTime
from .slack_stand_in import GENERAL, TOKEN, SlackStandIn, _ApiHandler

Call = Callable[..., tuple[str, Any]]
MakePack = Callable[..., SlackPack]

HI = {"message": "hi", "channelId": "C1"}
COMMANDS: dict[str, tuple[dict[str, Any], str, str]] = {
    "SendMessage": (HI, "chat.postMessage", "SendMessageFailed"),
    "SendRichMessage": (
        {"channel": "C1", "text": "hi"},
        "chat.postMessage",
        "SendRichMessageFailed",
    ),
    "GetChannelInfo": ({"channelName": "general"}, "conversations.list", "GetChannelInfoFail"),
    "SendEphemeralMessage": (
        {"channelId": "C1", "userId": "UANN", "message": "hi"},
        "chat.postEphemeral",
        "SendEphemeralMessageFailed",
    ),
    "SendReaction": (
        {"channelId": "C1", "timestamp": "1.2", "reaction": "x"},
        "reactions.add",
        "SendReactionFailed",
    ),
    "SendFile": (
        {"channelId": "C1", "name": "a", "content": "x"},
        "files.getUploadURLExternal",
        "SendFileFailed",
    ),
}


def html(handler: _ApiHandler) -> None:
    handler.say(200, b"<html><h1>Sign in</h1>" + b"x" * 1000, "text/html")


def server_error(handler: _ApiHandler) -> None:
    handler.say(503, b"<html>Service Unavailable</html>", "text/html")


def not_an_object(handler: _ApiHandler) -> None:
    handler.say(200, b"[1]", "application/json")


def empty(handler: _ApiHandler) -> None:
    handler.say(200, b"", "application/json")


def hang_up(handler: _ApiHandler) -> None:
    handler.close_connection = True


def garbage(handler: _ApiHandler) -> None:
    handler.wfile.write(b"\0\1 this is not HTTP\r\n\r\n")
    handler.close_connection = True


def silence(handler: _ApiHandler) -> None:
    handler.slack.stopping.wait()
    handler.close_connection = True


def drip(handler: _ApiHandler, start: bytes) -> None:
    """Never finishes, but is never silent for long either."""
    handler.wfile.write(start)
    while not handler.slack.stopping.wait(0.02):
        handler.wfile.write(b"x")
    handler.close_connection = True


def dripping_head(handler: _ApiHandler) -> None:
    drip(handler, b"HTTP/1.1 200 OK\r\nX-A: ")


def dripping_body(handler: _ApiHandler) -> None:
    drip(handler, b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")


def dripping_error(handler: _ApiHandler) -> None:
    drip(handler, b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 100000\r\n\r\n")


def huge(handler: _ApiHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
    handler.close_connection = True
    while not handler.slack.stopping.is_set():
        handler.wfile.write(b"x" * 1_000_000)


def cut_off(handler: _ApiHandler) -> None:
    handler.wfile.write(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"ok": true}')
    handler.close_connection = True


def deep(handler: _ApiHandler) -> None:
    handler.say(200, b"[" * 100_000, "application/json")


def unknown_charset(handler: _ApiHandler) -> None:
    handler.say(200, b"\xff", "application/json; charset=klingon")


TROUBLE = [
    html, server_error, not_an_object, empty, hang_up, garbage, silence, dripping_head,
    dripping_body, dripping_error, huge, cut_off, deep, unknown_charset,
]  # fmt: skip
TROUBLE_OF_UPLOADS = [
    server_error, hang_up, garbage, silence, dripping_head, dripping_body, dripping_error, huge,
    cut_off,
]  # fmt: skip
"""Of a good status nobody reads the words."""


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("trouble", TROUBLE, ids=lambda each: each.__name__)
def test_a_failed_call_is_the_commands_failure(
    slack: SlackStandIn,
    make_pack: MakePack,
    call: Call,
    command: str,
    trouble: Callable[[_ApiHandler], None],
) -> None:
    document, method, failure = COMMANDS[command]
    slack.raw[method] = trouble
    name, payload = call(make_pack(timeout_seconds=0.3), command, document)
    error = payload.get("error") or payload.get("reason")
    assert name == failure
    assert 5 < len(error) < 700
    assert TOKEN not in str(payload)
    assert len(slack.calls) <= 1  # no call is repeated: it might be done twice


@pytest.mark.parametrize("command", COMMANDS)
def test_a_wrong_token_and_an_absent_slack_are_failures(
    slack: SlackStandIn, make_pack: MakePack, call: Call, command: str
) -> None:
    document, _, failure = COMMANDS[command]
    name, payload = call(make_pack(token="xoxb-other"), command, document)
    assert (name, "invalid_auth" in str(payload)) == (failure, True)
    url = f"http://127.0.0.1:{closed_port()}/api/"
    name, payload = call(make_pack(api_url=url), command, document)
    assert (name, "ConnectionRefusedError" in str(payload)) == (failure, True)


def test_a_failed_upload_is_a_failure(slack: SlackStandIn, make_pack: MakePack, call: Call) -> None:
    slack.errors["files.completeUploadExternal"] = "channel_not_found"
    document, _, _ = COMMANDS["SendFile"]
    name, payload = call(make_pack(), "SendFile", document)
    assert (name, payload["error"]) == ("SendFileFailed", "channel_not_found")


@pytest.mark.parametrize("trouble", TROUBLE_OF_UPLOADS, ids=lambda each: each.__name__)
def test_an_upload_in_trouble_is_a_failure(
    slack: SlackStandIn, make_pack: MakePack, call: Call, trouble: Callable[[_ApiHandler], None]
) -> None:
    slack.upload = trouble
    document, _, _ = COMMANDS["SendFile"]
    name, payload = call(make_pack(timeout_seconds=0.3), "SendFile", document)
    assert (name, 5 < len(payload["error"]) < 700) == ("SendFileFailed", True)
    assert slack.posted == []


@pytest.mark.parametrize("address", ["file:///etc/hostname", "ftp://127.0.0.1/", "", "nonsense"])
def test_a_file_goes_to_addresses_of_http_only(
    slack: SlackStandIn, make_pack: MakePack, call: Call, address: str
) -> None:
    answer = json.dumps({"ok": True, "upload_url": address, "file_id": "F1"}).encode()
    method = "files.getUploadURLExternal"
    slack.raw[method] = lambda handler: handler.say(200, answer, "application/json")
    document, _, _ = COMMANDS["SendFile"]
    name, payload = call(make_pack(), "SendFile", document)
    told = "ValueError: the address for the file is not one of HTTP"
    assert (name, payload["error"]) == ("SendFileFailed", told)


def test_a_file_does_not_follow_a_redirect(
    slack: SlackStandIn, make_pack: MakePack, call: Call
) -> None:
    document, _, _ = COMMANDS["SendFile"]
    with SlackStandIn() as other:
        to = {"Location": f"{other.url}upload/F1"}
        slack.upload = lambda handler: handler.say(302, b"moved", "text/plain", to)
        name, _ = call(make_pack(), "SendFile", document)
        assert (name, other.uploads) == ("SendFileFailed", 0)


@pytest.mark.parametrize("files", [{}, [], ["x"], [{"id": 5}]])
def test_a_file_that_slack_does_not_name_is_sent(
    slack: SlackStandIn, make_pack: MakePack, call: Call, files: Any
) -> None:
    answer = json.dumps({"ok": True, "files": files}).encode()
    method = "files.completeUploadExternal"
    slack.raw[method] = lambda handler: handler.say(200, answer, "application/json")
    document, _, _ = COMMANDS["SendFile"]
    name, payload = call(make_pack(), "SendFile", document)
    assert (name, payload["fileId"]) == ("FileSent", "")


def test_a_missing_scope_is_named(slack: SlackStandIn, make_pack: MakePack, call: Call) -> None:
    answer = b'{"ok": false, "error": "missing_scope", "needed": "chat:write"}'
    slack.raw["chat.postMessage"] = lambda handler: handler.say(200, answer, "application/json")
    _, payload = call(make_pack(), "SendMessage", HI)
    assert payload["error"] == "missing_scope: needs chat:write"


@pytest.mark.parametrize("said", [TOKEN, b64encode(TOKEN.encode()).decode(), f"no: {TOKEN}"])
def test_slack_repeats_the_token(
    slack: SlackStandIn, make_pack: MakePack, call: Call, said: str
) -> None:
    answer = json.dumps({"ok": False, "error": said}).encode()
    slack.raw["chat.postMessage"] = lambda handler: handler.say(200, answer, "application/json")
    _, payload = call(make_pack(), "SendMessage", HI)
    assert said not in str(payload)
    assert "***" in payload["error"]


# Too many calls --------------------------------------------------------------------------------


def test_a_call_waits_as_long_as_slack_says(
    slack: SlackStandIn, make_pack: MakePack, call: Call, slack_time: SlackTime
) -> None:
    slack.refused["chat.postMessage"] = 2
    slack.retry_after = "7"
    assert call(make_pack(), "SendMessage", HI)[0] == "MessageSent"
    assert (slack_time.slept, len(slack.posted)) == ([7, 7], 1)


@pytest.mark.parametrize(("after", "slept"), [(None, [30]), ("soon", [30]), ("", [30]), ("0", [])])
def test_a_call_waits_even_if_slack_does_not_say_how_long(
    slack: SlackStandIn, call: Call, slack_time: SlackTime, after: str | None, slept: list[float]
) -> None:
    slack.refused["chat.postMessage"] = 1
    slack.retry_after = after
    pack = SlackPack(SlackSettings(TOKEN, api_url=slack.url), {}, slack_time.timing())
    assert call(pack, "SendMessage", HI)[0] == "MessageSent"
    assert slack_time.slept == slept


def test_a_call_does_not_wait_for_hours(
    slack: SlackStandIn, make_pack: MakePack, call: Call, slack_time: SlackTime
) -> None:
    slack.refused["chat.postMessage"] = 1
    slack.retry_after = "3600"
    name, payload = call(make_pack(), "SendMessage", HI)
    assert (name, payload["error"]) == (
        "SendMessageFailed",
        "ratelimited: Slack asks to wait 3600 s",
    )
    assert slack_time.slept == []


def test_no_channel_is_given_up_for_longer_than_an_hour(
    slack: SlackStandIn, make_pack: MakePack, call: Call, slack_time: SlackTime
) -> None:
    slack.refused["chat.postMessage"] = 1
    slack.retry_after = "9" * 400
    pack = make_pack()
    assert call(pack, "SendMessage", HI)[0] == "SendMessageFailed"
    slack_time.sleep(3601)
    assert call(pack, "SendMessage", HI)[0] == "MessageSent"


def test_a_channel_that_is_full_does_not_hold_another(
    slack: SlackStandIn, make_pack: MakePack, call: Call, slack_time: SlackTime
) -> None:
    slack.channels.append(GENERAL | {"id": "C2", "name": "other"})
    slack.refused["chat.postMessage"] = 1
    slack.retry_after = "3600"
    pack = make_pack()
    assert call(pack, "SendMessage", HI)[0] == "SendMessageFailed"
    assert call(pack, "SendMessage", HI | {"channelId": "C2"})[0] == "MessageSent"
    assert call(pack, "SendMessage", HI)[0] == "SendMessageFailed"
    assert len(slack.calls) == 2  # Slack is not asked again before its time


def test_invented_channels_are_forgotten_and_busy_ones_are_not(
    slack: SlackStandIn, make_pack: MakePack, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slack_api, "_MOST_TURNS", 10)
    slack.refused["chat.postMessage"] = 1
    slack.retry_after = "3600"
    pack = make_pack()
    assert "ratelimited" in call(pack, "SendMessage", HI)[1]["error"]
    for each in range(30):
        _, payload = call(pack, "SendMessage", HI | {"channelId": f"made up {each}"})
        assert payload["error"] == "channel_not_found"
    assert "ratelimited" in call(pack, "SendMessage", HI)[1]["error"]
    assert len(pack._api._pace._turns) < 15


def test_a_burst_of_messages(
    slack: SlackStandIn, make_pack: MakePack, call: Call, slack_time: SlackTime
) -> None:
    """Slack refuses one in ten; each message is there once, and none failed."""
    lock = threading.Lock()
    seen = [0]
    answer = slack.is_refused

    def refuse_some(asked: Any) -> bool:
        with lock:
            seen[0] += 1
            return seen[0] % 10 == 0 or answer(asked)

    slack.is_refused = refuse_some  # type: ignore[method-assign]
    pack = make_pack(rate_limit_seconds=100_000)
    with ThreadPoolExecutor(16) as pool:
        documents = [{"message": f"{each}", "channelId": "C1"} for each in range(200)]
        names = list(pool.map(lambda each: call(pack, "SendMessage", each)[0], documents))
    assert names == ["MessageSent"] * 200
    assert sorted(int(each["text"]) for each in slack.posted) == list(range(200))
    assert len(slack.calls) - 200 == len(slack_time.slept)


# Lists that are kept ---------------------------------------------------------------------------


def test_channels_come_in_pages(slack: SlackStandIn, make_pack: MakePack, call: Call) -> None:
    slack.channels = [GENERAL | {"id": f"C{n}", "name": f"c{n}"} for n in range(25)]
    slack.page_size = 10
    _, payload = call(make_pack(), "GetChannelInfo", {"channelName": "c24"})
    assert (payload["conversation"]["id"], len(slack.calls)) == ("C24", 3)


def test_pages_that_go_round_in_a_circle_end(
    slack: SlackStandIn, make_pack: MakePack, call: Call
) -> None:
    following = {"": "a", "a": "b", "b": "a"}

    def page(arguments: dict[str, Any]) -> dict[str, Any]:
        cursor = following[arguments.get("cursor", "")]
        return {"channels": [GENERAL], "response_metadata": {"next_cursor": cursor}}

    slack.on_conversations_list = page  # type: ignore[method-assign]
    name, _ = call(make_pack(), "GetChannelInfo", {"channelName": "general"})
    assert (name, len(slack.calls)) == ("GetChannelInfoSuccess", 3)


@pytest.mark.parametrize("odd", [5, "x", {"a": 1}, [5, "x", None, []], [{"name": 5}]])
def test_a_list_of_another_shape_has_no_channels(
    slack: SlackStandIn, make_pack: MakePack, call: Call, odd: Any
) -> None:
    slack.on_conversations_list = lambda _: {"channels": odd}  # type: ignore[method-assign]
    name, _ = call(make_pack(), "GetChannelInfo", {"channelName": "general"})
    assert name == "GetChannelInfoFail"


def test_the_list_of_channels_is_kept(
    slack: SlackStandIn, make_pack: MakePack, call: Call, slack_time: SlackTime
) -> None:
    pack = make_pack(channel_cache_hours=2)

    def find(name: str) -> str:
        return call(pack, "GetChannelInfo", {"channelName": name})[0]

    assert [find("general"), find("general")] == ["GetChannelInfoSuccess"] * 2
    assert (find("new"), len(slack.calls)) == ("GetChannelInfoFail", 1)
    slack.channels.append(GENERAL | {"id": "C2", "name": "new"})
    slack_time.sleep(61)
    assert (find("new"), len(slack.calls)) == ("GetChannelInfoSuccess", 2)
    slack.errors["conversations.list"] = "internal_error"
    slack_time.sleep(7201)
    assert (find("new"), len(slack.calls)) == ("GetChannelInfoSuccess", 3)
    assert (find("new"), len(slack.calls)) == ("GetChannelInfoSuccess", 3)


@pytest.mark.parametrize("private", [False, True])
def test_private_channels_are_a_setting(
    slack: SlackStandIn, make_pack: MakePack, call: Call, private: bool
) -> None:
    slack.channels.append(GENERAL | {"id": "G1", "name": "secret", "type": "private_channel"})
    pack = make_pack(private_channels=private)
    name, _ = call(pack, "GetChannelInfo", {"channelName": "secret"})
    assert name == ("GetChannelInfoSuccess" if private else "GetChannelInfoFail")


# Health ----------------------------------------------------------------------------------------


def test_health_tells_the_truth(slack: SlackStandIn, make_pack: MakePack) -> None:
    def check(**settings: Any) -> tuple[bool, Any]:
        [found] = make_pack(**settings).flyte_health_checks()
        health = found.check()
        assert not found.critical
        return health.healthy, health.status

    who = "Example knows flyte"
    assert check() == (True, f"{who}; without app_token it raises no events")
    assert check(app_token="xapp-x") == (False, f"{who}, but sends no events: not connected yet")
    assert check(token="xoxb-x") == (False, "Slack refuses the token: invalid_auth")
    slack.raw["auth.test"] = silence
    healthy, status = check(timeout_seconds=0.2)
    assert (healthy, status.startswith("Slack does not answer: TimeoutError")) == (False, True)
    slack.raw["auth.test"] = server_error
    assert not check()[0]


def test_secrets_are_not_shown() -> None:
    settings = SlackSettings("xoxb-t0ken", "xapp-t0ken")
    assert "t0ken" not in repr(settings)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_token_does_not_follow_a_redirect(
    slack: SlackStandIn, make_pack: MakePack, call: Call, command: str, status: int
) -> None:
    document, method, failed = COMMANDS[command]
    with SlackStandIn() as other:
        to = {"Location": f"{other.url}{method}"}
        slack.raw[method] = lambda handler: handler.say(status, b"moved", "text/plain", to)
        name, payload = call(make_pack(), command, document)
        assert (name, other.calls) == (failed, [])
        assert f"status {status}" in str(payload)
