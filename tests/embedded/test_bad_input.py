"""Bad input: a clear 4xx with JSON that says what is wrong, and nothing lost."""

import asyncio
import json
import socket
from typing import Any

import pytest
import requests

from flyte_host.embedded.asgi_app import MANY_PARTS
from flyte_host.testing.waiting import PATIENCE_SECONDS
from tests.support.asgi import ask_app
from tests.support.postgres import SQLITE

MEBIBYTE = 1024 * 1024
HUGE = 20 * MEBIBYTE


def error(answer: Any) -> str:
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
    return str(json.loads(answer.text)["error"])


LONG = f"Content-Length: {HUGE}\r\n\r\n"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/packs"),
        ("POST", "/v1/flows"),
        ("POST", "/v1/packs/P/events"),
        ("POST", "/v1/packs/P/actions/000000000000000000000000/result"),
        ("POST", "/v1/packs/P/actions/take"),
        ("PUT", "/v1/datastore/k"),
    ],
)
def test_a_body_of_20_mb_is_refused_before_it_is_sent(
    session: requests.Session, url: str, method: str, path: str
) -> None:
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=PATIENCE_SECONDS) as connection:
        connection.sendall(f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n{LONG}".encode())
        assert connection.recv(12) == b"HTTP/1.1 413"
    assert session.get(f"{url}/health").status_code == 200


def test_a_body_of_20_mb_is_refused_by_the_app_too(call: Any) -> None:
    """Whatever web server is around it."""
    answer = call("POST", "/v1/packs", data=b'"' + b"x" * HUGE + b'"')
    assert answer.status_code == 413
    assert error(answer) == "the request's body is too large, expected at most 16,777,216 bytes"


def test_15_mb_are_fine(call: Any, step: Any) -> None:
    call.flow(step("Go", "c"))
    call.event("Go", "x" * 15 * MEBIBYTE)
    [execution] = call.executions()
    assert len(execution["actions"][""]["trigger"]["payload"]) == 15 * MEBIBYTE


def test_a_body_in_crumbs_is_read_whole(call: Any) -> None:
    body = json.dumps({"name": "Crumbs", "links": [], "x": "y" * MANY_PARTS}).encode()
    crumbs = [bytes([each]) for each in body]

    async def receive() -> Any:
        return {"type": "http.request", "body": crumbs.pop(0), "more_body": bool(crumbs)}

    async def ask() -> int:
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        headers = [(b"host", b"localhost"), (b"content-length", str(len(body)).encode())]
        scope = {
            "type": "http", "http_version": "1.1", "scheme": "http", "method": "POST",
            "path": "/v1/packs", "query_string": b"", "headers": headers,
        }  # fmt: skip
        await call.flyte.asgi(scope, receive, send)
        return int(sent[0]["status"])

    assert asyncio.run(ask()) == 201
    assert call("GET", "/v1/packs/Crumbs").status_code == 200


BODIES: list[tuple[bytes, dict[str, str], str]] = [
    (b"", {}, "the body is empty, expected JSON"),
    (b'{"a"', {}, "the body is not valid JSON"),
    (b"[" * 90_000, {}, "nested more than 100 levels deep"),
    (b'{"payload":' * 200 + b"1" + b"}" * 200, {}, "nested more than 100 levels deep"),
    (b"a: [", {"Content-Type": "application/x-yaml"}, "found invalid YAML"),
    (b"- " * 1000, {"Content-Type": "application/x-yaml"}, "nested more than 100 levels deep"),
    (b"&a [*a]", {"Content-Type": "application/x-yaml"}, "the anchor &a contains itself"),
    (b"a: !!bool foo", {"Content-Type": "application/x-yaml"}, "found 'foo' as a !!bool"),
    (b"[1]", {}, "expected an object with"),
]


@pytest.mark.parametrize("path", ["/v1/packs", "/v1/packs/P/events", "/v1/flows"])
@pytest.mark.parametrize(("body", "headers", "problem"), BODIES)
def test_bodies(call: Any, path: str, body: bytes, headers: dict[str, str], problem: str) -> None:
    answer = call("POST", path, data=body, headers=headers)
    assert answer.status_code == 400
    assert problem in error(answer)


@pytest.mark.parametrize(
    ("path", "document", "problem"),
    [
        ("/v1/packs", {"name": 5}, "Expected `str | null`, got `int` - at `$.name`"),
        ("/v1/packs", {"links": [{"rel": 1}]}, "at `$.links[0].rel`"),
        ("/v1/packs", {"name": "N", "commands": [1]}, "at `$.commands[0]`"),
        ("/v1/packs", {"name": "N", "lastSeen": 5}, "at `$.lastSeen`"),
        ("/v1/packs", {"name": "N", "lastSeen": "soon"}, "'soon' is not an RFC 3339 time"),
        (
            "/v1/packs",
            {"name": "a/b"},
            "the pack's id 'a/b' has a \"/\", so no URL could address it",
        ),
        ("/v1/packs", {"name": "N", "labels": {"k": "a/b"}}, "the pack's id 'N.k.a/b' has a \"/\""),
        ("/v1/packs", {"name": ".."}, "the pack's id '..' means another path"),
        ("/v1/packs", {}, "the pack's id '' is empty"),
        ("/v1/packs", {"name": "x" * 4097}, "has more than 4,096 characters, percent-encoded"),
        ("/v1/packs", {"name": "é" * 683}, "has more than 4,096 characters, percent-encoded"),
        ("/v1/packs/P/events", {"receivedAt": 1}, "at `$.receivedAt`"),
        ("/v1/packs/P/events", {"receivedAt": "soon"}, "'soon' is not an RFC 3339 time"),
        ("/v1/packs/P/events", {"pack": "P"}, "at `$.pack`"),
        ("/v1/packs/P/events", {"PACK": {"Labels": [1]}}, "at `$.pack.labels`"),
        ("/v1/flows", {"name": "a/b", "steps": []}, 'the flow: name has a "/", so no URL'),
        ("/v1/flows", {"name": "", "steps": []}, "the flow: name is empty, so no URL"),
        ("/v1/flows", {"name": ".", "steps": []}, "the flow: name means another path, so no URL"),
        ("/v1/flows", {"name": "é" * 683, "steps": []}, "the flow: name has more than 4,096"),
        ("/v1/flows", {"name": "f", "STEPS": []}, "the flow: steps is missing, expected a list"),
        (
            "/v1/packs",
            {"links": [{"rel": "support"}]},
            "the link rel 'support' is reserved for flyte",
        ),
        ("/v1/packs/P/events", {"event": 5}, "at `$.event`"),
        ("/v1/packs/P/events", {"createdAt": "soon"}, "'soon' is not an RFC 3339 time with a zone"),
        ("/v1/flows", {"name": "f"}, "the flow: steps is missing, expected a list"),
    ],
)
def test_wrong_types(call: Any, path: str, document: Any, problem: str) -> None:
    answer = call("POST", path, document)
    assert answer.status_code == 400
    assert problem in error(answer)


@pytest.mark.parametrize(
    ("method", "path", "status", "problem"),
    [
        ("GET", "/v1/packs/Nobody", 404, "no pack 'Nobody'"),
        ("POST", "/v1/packs/Nobody/events", 404, "no pack 'Nobody' is registered"),
        ("GET", "/v1/flows/none", 404, "no flow 'none'"),
        ("DELETE", "/v1/flows/none", 404, "no flow 'none'"),
        ("GET", "/v1/datastore/none", 404, "no datastore item 'none'"),
        ("GET", "/v1/audit/flows/none", 404, "no execution 'none'"),
        (
            "GET",
            f"/v1/audit/flows?actionPackLabels={'a:b,' * 100}",
            400,
            "found more than 100 labels, expected fewer",
        ),
        ("GET", "/v1/audit/flows?limit=0", 400, "limit is '0', expected a number, 1 or more"),
        ("GET", "/v1/audit/flows?start=-1", 400, "start is '-1', expected a number, 0 or more"),
        ("GET", "/v1/audit/flows?start=99999999999999999999", 400, "start is"),
        ("PUT", "/v1/datastore/k", 400, "expected multipart/form-data with a file part 'value'"),
        ("GET", "/nope", 404, "not found"),
        ("GET", "/v1/packs//actions/take", 404, "not found"),
        ("GET", "/v1//packs", 404, "not found"),
        ("GET", "/v1/packs/a/b", 404, "not found"),
        ("PATCH", "/v1/packs", 405, "not allowed"),
        ("POST", "/v1/audit/flows", 405, "not allowed"),
    ],
)
def test_paths(call: Any, method: str, path: str, status: int, problem: str) -> None:
    answer = call(method, path)
    assert answer.status_code == status
    assert problem in error(answer)
    assert status != 405 or answer.headers["Allow"]


@pytest.mark.parametrize("key", [".", ".."])
def test_an_item_is_not_stored_where_no_client_looks(call: Any, key: str) -> None:
    """Clients take both for another path, so only raw requests can ask for it."""
    body = b'--B\r\nContent-Disposition: form-data; name="value"; filename="f"\r\n\r\nx\r\n--B--'
    headers = {"content-type": "multipart/form-data; boundary=B"}
    answer = ask_app(call.flyte.asgi, f"/v1/datastore/{key}", "PUT", headers=headers, body=body)
    assert answer.status == 400
    assert f"the key '{key}' means another path" in answer.body.decode()


def test_the_longest_name_is_reachable(call: Any) -> None:
    name = "é" * 682 + "1234"
    assert call("POST", "/v1/flows", json={"name": name, "steps": []}).status_code == 201
    assert call("GET", f"/v1/flows/{name}").json["name"] == name
    refused = call("PUT", f"/v1/datastore/{name}x")
    assert "has more than 4,096 characters, percent-encoded" in error(refused)


@pytest.mark.parametrize("path", ["events", "actions/x/result"])
def test_a_pack_that_is_not_registered_is_told_that_whatever_it_sends(call: Any, path: str) -> None:
    answer = call("POST", f"/v1/packs/Nobody/{path}", [1])
    assert answer.status_code == 404
    assert error(answer) == "no pack 'Nobody' is registered"


def test_refused_results(call: Any, step: Any) -> None:
    call.pack("Q")
    call.flow(step("Go", "c", id="a"))
    call.event("Go")
    [execution] = call.executions()
    action = execution["actions"]["a"]["id"]

    def refused(pack: str, action: str, status: int) -> str:
        answer = call("POST", f"/v1/packs/{pack}/actions/{action}/result", {"event": "E"})
        assert answer.status_code == status
        states.append(answer.headers.get("Flyte-Action-State"))
        return error(answer)

    states: list[str | None] = []
    assert refused("P", "x", 404) == "no action 'x'"
    assert refused("Q", action, 404) == f"action '{action}' does not belong to pack 'Q'"
    assert refused("P", action, 500) == f"action {action} is NEW, a result needs PENDING"
    assert call.finish(call.take(), "E") == 202
    assert refused("P", action, 500) == f"action {action} is SUCCESS, a result needs PENDING"
    assert states == [None, None, "NEW", "SUCCESS"]


HOSTILE = {
    "endless": "{% for a in Event.Payload %}{% for b in Event.Payload %}"
    "{% for c in Event.Payload %}{% for d in Event.Payload %}x"
    "{% endfor %}{% endfor %}{% endfor %}{% endfor %}",
    "deep": "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
    "unclosed": "{% if 1 %}" * 5000,
    "file": "{% include '/etc/passwd' %}",
    "python": "{{ ''.__class__.__mro__ }}",
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_templates(call: Any, step: Any, kind: str) -> None:
    call.flow(step("Go", "bad", id="bad", input=HOSTILE[kind]), step("Go", "fine", id="fine"))
    call.event("Go", list(range(200)))
    taken = {action["command"]: action["input"] for action in iter(call.take, None)}
    assert "fine" in taken
    assert taken.get("bad", "") == ""
    [execution] = call.executions()
    assert "bad" in taken or execution["skipped"][0]["reason"]


def test_odd_texts_come_back_as_they_went(call: Any, step: Any, store_kind: str) -> None:
    # PostgreSQL has no NUL in text.
    text = ("\x00" if store_kind == SQLITE else "\ufffd") + " \u2028 \U0001f600 </script> \\ \" '"
    call.flow(step("Go", "c", id=text, input=text, context={text: text}))
    call.event("Go", {text: text})
    action = call.take()
    assert action["input"] == text
    [execution] = call.executions()
    assert execution["actions"][text]["context"] == {text: text}
    assert execution["actions"][text]["trigger"]["payload"] == {text: text}
    yaml = call("GET", "/v1/audit/flows", headers={"Accept": "application/x-yaml"})
    assert yaml.status_code == 200


def test_names_that_sql_and_json_use(call: Any, step: Any) -> None:
    name = "x'; DROP TABLE pack; --\"%"
    labels = {"$.\"k'": "v\"'"}
    pack = call.pack(name, labels=labels)
    command = step("Go", "c", id="s")
    command["command"] |= {"packName": name, "packLabels": labels}
    call.flow(command)
    call.event("Go")
    query = {"actionPackLabels": "$.\"k':v\"'", "actionPackName": name}
    found = call("GET", "/v1/audit/flows", query_string=query).get_json()["flows"]
    assert len(found) == 1
    path = f"/v1/packs/{pack.replace('%', '%25')}/actions/take"
    assert call("POST", path).get_json()["command"] == "c"


def test_a_location_stays_one_line(session: requests.Session, url: str) -> None:
    answer = session.post(f"{url}/v1/packs", json={"name": "a\r\nX-Evil: 1"})
    assert answer.status_code == 201
    assert answer.headers["Location"] == f"{url}/v1/packs/a  X-Evil: 1"
    assert "X-Evil" not in answer.headers


def test_a_label_value_with_a_colon_can_be_asked_for(call: Any, step: Any) -> None:
    command = step("Go", "c", id="s")
    command["command"]["packLabels"] = {"url": "http://x"}
    call.flow(command)
    call.event("Go")
    assert len(call.executions("?actionPackLabels=url:http://x")) == 1
    assert len(call.executions("?actionPackLabels=url:http://y")) == 0


def test_without_a_host_header(call: Any) -> None:
    environ = {"HTTP_HOST": "", "SERVER_NAME": "me", "SERVER_PORT": "81"}
    answer = call("GET", "/v1", environ_overrides=environ)
    assert answer.get_json()["links"][0]["href"] == "http://me:81/v1"
