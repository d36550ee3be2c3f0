"""A caller in this process gets the answers of the wire."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from flyte_host.config import AuthConfig
from flyte_host.embedded.auth import AuthMiddleware, read_access
from flyte_host.embedded.direct_app import DirectApp
from flyte_host.embedded.router import MAX_BODY_BYTES
from tests.support.asgi import ask_app
from tests.support.issuer import key_set, rsa_key

JSON = {"content-type": "application/json", "accept": "application/json"}
REQUESTS: list[tuple[str, str, dict[str, str], bytes]] = [
    ("GET", "/", {}, b""),
    ("GET", "/health", {}, b""),
    ("GET", "/v1", {"accept": "application/x-yaml"}, b""),
    ("GET", "/v1/packs/P", {}, b""),
    ("GET", "/v1/packs/none%20such", {}, b""),
    ("POST", "/v1/packs", JSON, b'{"name": "a%b", "labels": {"x": "y"}}'),
    ("POST", "/v1/packs", JSON, b"nonsense"),
    ("POST", "/v1/packs", {"content-type": "application/x-yaml"}, b"name: Q"),
    ("POST", "/v1/packs/P/events", JSON, b'{"event": "E", "payload": {"a": 1}}'),
    ("POST", "/v1/packs/P/actions/take?actionName=c", JSON, b"null"),
    ("POST", "/v1/packs/P/actions/6b04/result", JSON, b'{"event": "E"}'),
    ("GET", "/v1/audit/flows?limit=0", {}, b""),
    ("GET", "/v1/audit/flows?" + "a=1&" * 1001, {}, b""),
    ("GET", "/nowhere", {}, b""),
    ("PUT", "/v1/packs", {}, b""),
    ("OPTIONS", "/v1/packs", {}, b""),
    ("POST", "/v1/packs", JSON, b" " * (MAX_BODY_BYTES + 1)),
]


def titled(headers: Any) -> dict[str, str]:
    found = {name.title(): value for name, value in headers.items()}
    found.pop("Content-Length", None)
    found.pop("Connection", None)
    return found


@pytest.mark.parametrize("number", range(len(REQUESTS)))
def test_answers_are_those_of_the_wire(call: Any, number: int) -> None:
    method, target, headers, body = REQUESTS[number]
    direct = DirectApp(call.flyte.router).answer("http://localhost", *REQUESTS[number])
    wired = ask_app(call.flyte.asgi, unquote(target), method, headers=headers, body=body)
    assert (direct.status, direct.body) == (wired.status, wired.body)
    assert titled(direct.headers) == titled(wired.headers)


@pytest.mark.parametrize("path", ["/health", "/v1/packs", "/v1/packs/%ff", "/elsewhere"])
def test_access_is_decided_as_on_the_wire(call: Any, tmp_path: Path, path: str) -> None:
    policy, keys = tmp_path / "policy.yaml", tmp_path / "keys.json"
    policy.write_text(
        "- path: /health\n- path: /v1/packs\n  claims: {role: [admin]}\n", encoding="utf-8"
    )
    keys.write_text(json.dumps(key_set(rsa_key())), encoding="utf-8")
    access = read_access(AuthConfig(policy, "flyte", jwks_file=keys), at="auth")
    direct = DirectApp(call.flyte.router, access.denial).answer(
        "http://localhost", "GET", path, {"authorization": "Bearer x"}, b""
    )
    wire = AuthMiddleware(call.flyte.asgi, access)
    wired = ask_app(wire, path, headers={"Authorization": "Bearer x"})
    assert direct.status == wired.status == (200 if path == "/health" else 401)
    assert direct.body == wired.body or path.endswith("%ff")
    assert titled(direct.headers) == titled(wired.headers) or path.endswith("%ff")


def test_a_caller_in_this_process_hears_which_step_asked(
    call: Any, step: Callable[..., dict[str, Any]]
) -> None:
    call.pack("P", commands=[{"name": "c"}])
    call.flow(step("Go", "c", id="a/b"), name="naïve")
    call.event("Go")
    [execution] = call.executions()
    take = ("http://localhost", "POST", "/v1/packs/P/actions/take", JSON, b"null")
    answer = DirectApp(call.flyte.router).answer(*take)
    assert answer.status == 200
    assert answer.headers["flyte-step"] == f"na%C3%AFve/a%2Fb/{execution['correlationId']}"


def test_flows_run_without_a_server(call: Any, step: Callable[..., dict[str, Any]]) -> None:
    call.flow(step("Go", "c"))
    app = DirectApp(call.flyte.router)
    assert app.answer("x://y", "POST", "/v1/packs/P/events", JSON, b'{"event":"Go"}').status == 202
    taken = app.answer("x://y", "POST", "/v1/packs/P/actions/take", JSON, b"null")
    href = json.loads(taken.body)["links"][0]["href"]
    assert href.startswith("x://y/v1/packs/P/actions/")
    done = app.answer("x://y", "POST", href.removeprefix("x://y"), JSON, b'{"event":"Done"}')
    assert done.status == 202
    (execution,) = call.executions()
    assert execution["actions"][""]["state"]["value"] == "SUCCESS"
