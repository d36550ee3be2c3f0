"""Each kind of sender: its signature by published vectors, its event, and forgeries."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import requests
from flyte_pack_http.settings import WebhookEntry
from flyte_pack_http.webhook_request import WebhookRefused, WebhookRequest
from flyte_pack_http.webhook_signature import SignedTime, verify

from flyte_host.testing.waiting import PATIENCE_SECONDS

from .conftest import Receiver
from .webhook_sender import HOOKS, KEY, SECRET, github, mac, signed_headers, slack, standard

Receive = Callable[..., Receiver]
SLACK_BODY = (
    b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow"
    b"&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner"
    b"&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands"
    b"%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
    b"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
)
# From the documentation of GitHub, Atlassian and Slack, and from the tests of Standard Webhooks.
VECTORS: list[tuple[WebhookEntry, dict[str, str], bytes, float]] = [
    (
        WebhookEntry("/", "github", SECRET),
        {
            "X-Hub-Signature-256": "sha256="
            "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
        },
        b"Hello, World!",
        0,
    ),
    (
        WebhookEntry("/", "jira", SECRET),
        {
            "X-Hub-Signature": "sha256="
            "a4771c39fbe90f317c7824e83ddef3caae9cb3d976c214ace1f2937e133263c9"
        },
        b"Hello World!",
        0,
    ),
    (
        WebhookEntry("/", "slack", "8f742231b10e8888abcd99yyyzzz85a5"),
        {
            "X-Slack-Request-Timestamp": "1531420618",
            "X-Slack-Signature": "v0="
            "a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
        },
        SLACK_BODY,
        1531420618,
    ),
    (
        WebhookEntry("/", "standard", KEY),
        {
            "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
            "webhook-timestamp": "1614265330",
            "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        },
        b'{"test": 2432232314}',
        1614265330,
    ),
]


def request_with(headers: dict[str, str], body: bytes) -> WebhookRequest:
    return WebhookRequest([(n.lower().encode(), v.encode()) for n, v in headers.items()], body)


@pytest.mark.parametrize(
    ("entry", "headers", "body", "at"), VECTORS, ids=["github", "jira", "slack", "standard"]
)
def test_a_published_vector(
    entry: WebhookEntry, headers: dict[str, str], body: bytes, at: float
) -> None:
    time = SignedTime(lambda: at, 300)
    assert len(verify(entry, request_with(headers, body), time)) == 32
    with pytest.raises(WebhookRefused, match="not made with our secret"):
        verify(entry, request_with(headers, body + b" "), time)
    other = replace(entry, secret="c2VjcmV0")
    with pytest.raises(WebhookRefused, match="not made with our secret"):
        verify(other, request_with(headers, body), time)
    rotated = replace(entry, secret="c2VjcmV0", previous_secret=entry.secret)
    assert len(verify(rotated, request_with(headers, body), time)) == 32


@pytest.mark.parametrize(("entry", "headers", "body", "at"), VECTORS[2:], ids=["slack", "standard"])
@pytest.mark.parametrize("late", [-301, 301])
def test_a_signature_of_another_time(
    entry: WebhookEntry, headers: dict[str, str], body: bytes, at: float, late: float
) -> None:
    with pytest.raises(WebhookRefused, match="more than 300 s from now"):
        verify(entry, request_with(headers, body), SignedTime(lambda: at + late, 300))


def post(receiver: Receiver, path: str, headers: dict[str, str], body: bytes) -> requests.Response:
    return requests.post(
        f"{receiver.url}{path}", data=body, headers=headers, timeout=PATIENCE_SECONDS
    )


@pytest.mark.parametrize("hook", HOOKS)
def test_each_kind_raises_its_event(receive: Receive, hook: str) -> None:
    receiver = receive()
    body = b'{"a": "Gr\xc3\xbc\xc3\x9fe"}'
    answer = post(receiver, HOOKS[hook]["path"], signed_headers(hook, body), body)
    assert answer.status_code == 200
    [(name, payload)] = receiver.events
    names = {
        "github": "GitHubWebhook", "gitlab": "GitLabWebhook", "jira": "JiraWebhook",
        "slack": "SlackWebhook", "alerts": "AlertmanagerWebhook", "builds": "BuildDone",
    }  # fmt: skip
    assert (name, payload["hook"]) == (names.get(hook, "Webhook"), hook)
    assert payload.get("body", {"a": "Grüße"}) == {"a": "Grüße"}
    declared = {each.name for each in receiver.pack.flyte_pack().event_defs}
    assert declared == {*names.values(), "Webhook"}


@pytest.mark.parametrize("hook", [each for each in HOOKS if each != "open"])
@pytest.mark.parametrize("how", ["none", "empty", "other", "cut", "twice", "prefix", "unicode"])
def test_a_forgery_is_refused(receive: Receive, hook: str, how: str) -> None:
    receiver = receive()
    good = signed_headers(hook, b"{}")
    if hook == "standard":  # it may bring several signatures, of which one has to fit
        good["webhook-signature"] = good["webhook-signature"].removeprefix("v1a,other ")
    [name] = [
        each for each in good
        if each in {"X-Hub-Signature-256", "X-Gitlab-Token", "X-Hub-Signature", "Authorization",
                    "X-Slack-Signature", "webhook-signature", "X-Build-Signature", "X-Token"}
    ]  # fmt: skip
    changed = {
        "none": None,
        "empty": "",
        "other": signed_headers(hook, b"{} ")[name].replace(SECRET, "x"),
        "cut": good[name][:-1],
        "twice": f"{good[name]},{good[name]}",
        "prefix": f"x{good[name]}",
        "unicode": good[name].encode().decode("latin-1") + "\xff",
    }[how]
    headers = {key: value for key, value in good.items() if key != name}
    if changed is not None:
        headers[name] = changed
    encoded = {key: value.encode("latin-1") for key, value in headers.items()}
    answer = post(receiver, HOOKS[hook]["path"], encoded, b"{}")  # type: ignore[arg-type]
    assert answer.status_code in {401, 403}
    assert receiver.events == []
    assert SECRET not in answer.text
    assert "1 refused" in receiver.pack.flyte_health_checks()[0].check().status


GITHUB_ISSUE = {
    "action": "opened",
    "issue": {"number": 7, "title": "It breaks", "html_url": "https://github.com/o/r/issues/7"},
    "repository": {"full_name": "o/r"},
    "sender": {"login": "ann"},
}
GITLAB_MERGE = {
    "object_kind": "merge_request",
    "user": {"username": "ann"},
    "project": {"path_with_namespace": "o/r"},
    "object_attributes": {"iid": 7, "title": "T", "action": "open", "url": "https://gitlab/7"},
}
JIRA_ISSUE = {
    "webhookEvent": "jira:issue_created",
    "user": {"displayName": "Ann"},
    "issue": {
        "key": "FOO-1",
        "fields": {"summary": "S", "status": {"name": "Open"}, "project": {"key": "FOO"}},
    },
}
ALERTS = {
    "version": "4", "status": "firing", "receiver": "flyte", "groupKey": "{}:{a=1}",
    "truncatedAlerts": 0, "groupLabels": {"a": "1"}, "commonLabels": {"a": "1"},
    "commonAnnotations": {"summary": "S"}, "externalURL": "http://alerts",
    "alerts": [{"status": "firing", "labels": {"a": "1"}, "annotations": {}, "startsAt": "T1",
                "endsAt": "T2", "generatorURL": "http://p", "fingerprint": "f00"}, None],
}  # fmt: skip
SLACK_EVENT = {
    "token": "t", "type": "event_callback", "team_id": "T1", "event_id": "Ev1",
    "event": {"type": "message", "channel": "C1", "user": "U1", "text": "hi"},
}  # fmt: skip
SLACK_CLICK = {
    "token": "t", "response_url": "https://x", "type": "block_actions", "team": {"id": "T1"},
    "channel": {"id": "C1"}, "user": {"id": "U1"}, "actions": [{"action_id": "ok", "value": "7"}],
}  # fmt: skip
PAYLOADS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    (
        "github",
        GITHUB_ISSUE,
        {
            "hook": "github", "delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958",
            "event": "issues", "action": "opened", "repository": "o/r", "ref": "",
            "sender": "ann", "number": 7, "title": "It breaks",
            "url": "https://github.com/o/r/issues/7", "body": GITHUB_ISSUE,
        },
    ),
    (
        "gitlab",
        GITLAB_MERGE,
        {
            "hook": "gitlab", "delivery": "", "event": "merge_request", "action": "open",
            "project": "o/r", "ref": "", "user": "ann", "number": 7, "title": "T",
            "url": "https://gitlab/7", "body": GITLAB_MERGE,
        },
    ),
    (
        "jira",
        JIRA_ISSUE,
        {
            "hook": "jira", "delivery": "", "event": "jira:issue_created", "issue": "FOO-1",
            "project": "FOO", "summary": "S", "status": "Open", "user": "Ann", "body": JIRA_ISSUE,
        },
    ),
    (
        "alerts",
        ALERTS,
        {
            "hook": "alerts", "status": "firing", "receiver": "flyte", "groupKey": "{}:{a=1}",
            "labels": {"a": "1"}, "annotations": {"summary": "S"}, "url": "http://alerts",
            "truncatedAlerts": 0,
            "alerts": [
                {"status": "firing", "labels": {"a": "1"}, "annotations": {}, "startsAt": "T1",
                 "endsAt": "T2", "fingerprint": "f00", "url": "http://p"},
                {"status": "", "labels": {}, "annotations": {}, "startsAt": "", "endsAt": "",
                 "fingerprint": "", "url": ""},
            ],
        },
    ),
    (
        "slack",
        SLACK_EVENT,
        {
            "hook": "slack", "kind": "event_callback", "event": "message", "team": "T1",
            "channel": "C1", "user": "U1", "text": "hi",
            "body": {key: SLACK_EVENT[key] for key in ("type", "team_id", "event_id", "event")},
        },
    ),
]  # fmt: skip


@pytest.mark.parametrize(("hook", "document", "payload"), PAYLOADS, ids=[p[0] for p in PAYLOADS])
def test_typed_payloads(
    receive: Receive, hook: str, document: dict[str, Any], payload: dict[str, Any]
) -> None:
    receiver = receive()
    body = json.dumps(document).encode()
    assert post(receiver, f"/{hook}", signed_headers(hook, body), body).status_code == 200
    assert receiver.events[0][1] == payload


@pytest.mark.parametrize("hook", ["github", "gitlab", "jira", "alerts", "slack"])
@pytest.mark.parametrize("odd", [None, 5, [], "text", {"a": []}])
def test_documents_of_an_odd_shape_are_events(receive: Receive, hook: str, odd: Any) -> None:
    """Senders change what they send; a flow then finds it empty, and the whole in the body."""
    receiver = receive()
    keys = {*GITHUB_ISSUE, *GITLAB_MERGE, *JIRA_ISSUE, *ALERTS, *SLACK_EVENT, *SLACK_CLICK}
    body = json.dumps(dict.fromkeys(keys, odd)).encode()
    assert post(receiver, f"/{hook}", signed_headers(hook, body), body).status_code == 200
    assert len(receiver.events) == 1


def test_a_slash_command_of_slack(receive: Receive) -> None:
    receiver = receive()
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = post(receiver, "/slack", slack(SLACK_BODY) | form, SLACK_BODY)
    assert (answer.status_code, answer.content) == (200, b"")
    payload = receiver.events[0][1]
    assert (payload["kind"], payload["event"]) == ("slash_command", "/webhook-collect")
    assert (payload["channel"], payload["user"]) == ("G8PSS9T3V", "U2CERLKJA")
    assert not {"token", "response_url"} & payload["body"].keys()


def test_a_click_in_slack(receive: Receive) -> None:
    receiver = receive()
    body = ("payload=" + requests.utils.quote(json.dumps(SLACK_CLICK))).encode()
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert post(receiver, "/slack", slack(body) | form, body).status_code == 200
    payload = receiver.events[0][1]
    assert (payload["kind"], payload["event"], payload["text"]) == ("block_actions", "ok", "7")
    assert not {"token", "response_url"} & payload["body"].keys()


def test_slack_is_told_its_challenge(receive: Receive) -> None:
    receiver = receive()
    body = b'{"type": "url_verification", "challenge": "3eZbrw1aB"}'
    answer = post(receiver, "/slack", slack(body), body)
    assert (answer.status_code, answer.text, receiver.events) == (200, "3eZbrw1aB", [])
    assert post(receiver, "/slack", slack(body, secret="x"), body).status_code == 403


def test_github_may_send_a_form(receive: Receive) -> None:
    receiver = receive()
    body = ("payload=" + requests.utils.quote(json.dumps(GITHUB_ISSUE))).encode()
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert post(receiver, "/github", github(body) | form, body).status_code == 200
    assert receiver.events[0][1]["body"] == GITHUB_ISSUE


@pytest.mark.parametrize(
    ("kind", "body", "text", "document"),
    [
        ("text/plain", b"hi", "hi", None),
        ("application/json", b"[1]", "[1]", [1]),
        ("application/vnd.x+json; charset=utf-8", b"{}", "{}", {}),
        ("application/json", b"{", "{", None),
        ("application/json", b"[" * 50_000, "[" * 50_000, None),
        ("application/x-www-form-urlencoded", b"a=1&b=", "a=1&b=", {"a": "1", "b": ""}),
        ("application/octet-stream", b"\xff", "\ufffd", None),
    ],
)
def test_a_sender_that_nobody_knows(
    receive: Receive, kind: str, body: bytes, text: str, document: Any
) -> None:
    receiver = receive()
    headers = {"X-Token": f"key {SECRET}", "Content-Type": kind}
    assert post(receiver, "/plain?a=b", headers, body).status_code == 200
    expected = {"hook": "plain", "contentType": kind.split(";", maxsplit=1)[0], "query": "a=b"}
    assert receiver.events == [("Webhook", expected | {"text": text, "body": document})]


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({}, b""),
        ({}, b"{"),
        ({}, b"[]"),
        ({}, b'"\xff"'),
        ({}, b"[" * 100_000),
        ({"Content-Type": "application/x-www-form-urlencoded"}, b"payload={"),
        ({"Content-Type": "application/x-www-form-urlencoded"}, b"x=1"),
        ({"Content-Type": "application/x-www-form-urlencoded"}, b"payload=\xff"),
        ({"Content-Type": "application/x-www-form-urlencoded"}, b"a&" * 2000),
    ],
)
def test_a_body_that_is_not_a_document(
    receive: Receive, headers: dict[str, str], body: bytes
) -> None:
    receiver = receive()
    answer = post(receiver, "/github", github(body) | headers, body)
    assert (answer.status_code, receiver.events) == (400, [])


def test_the_time_of_slack_is_a_number(receive: Receive) -> None:
    receiver = receive()
    for text in ("soon", "-5", "1" * 13, "1e9", "\u0661"):
        at = text.encode().decode("latin-1")
        signature = mac(b"v0:" + text.encode() + b":{}")
        headers = {"X-Slack-Request-Timestamp": at, "X-Slack-Signature": f"v0={signature}"}
        encoded = {key: value.encode("latin-1") for key, value in headers.items()}
        assert post(receiver, "/slack", encoded, b"{}").status_code == 400  # type: ignore[arg-type]
    assert receiver.events == []


def test_each_try_of_a_standard_webhook_is_the_same(receive: Receive) -> None:
    receiver = receive()
    now = 1_700_000_000.0
    receiver = receive(now=lambda: now)
    for moment in (now, now - 200, now + 200):
        answer = post(receiver, "/standard", standard(b"{}", "msg_1", moment), b"{}")
        assert answer.status_code == 200
    assert len(receiver.events) == 1
    assert post(receiver, "/standard", standard(b"{}", "msg_2", now), b"{}").status_code == 200
    assert len(receiver.events) == 2


@pytest.mark.parametrize("hook", ["github", "jira", "alerts", "plain"])
@pytest.mark.parametrize("text", [rb"a\ud83d", b"a\xe9"], ids=["half a pair", "Latin-1"])
def test_text_that_is_not_unicode_is_an_event(receive: Receive, hook: str, text: bytes) -> None:
    """Senders cut text in the middle of an emoji, and would send it repeatedly."""
    receiver = receive()
    body = b'{"a": "%s"}' % text
    assert post(receiver, HOOKS[hook]["path"], signed_headers(hook, body), body).status_code == 200
    [(_, payload)] = receiver.events
    assert payload.get("body", payload.get("json", {"a": "a\ufffd"})) == {"a": "a\ufffd"}
