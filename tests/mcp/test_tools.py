"""Tools as a client of the SDK meets them: in this process, over stdio and over HTTP."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import TYPE_CHECKING, Any

import pytest
import requests

from flyte_host.clock import Clock
from flyte_host.pipeline.journal import Editor, State
from flyte_host.testing.waiting import PATIENCE_SECONDS, wait_until
from tests.support.serving import Serving
from tests.support.tool_client import server_of, use_client
from tests.support.tool_pack import SECRET, tool_host

if TYPE_CHECKING:
    from mcp.types import CallToolResult

pytestmark = pytest.mark.xdist_group("tools")  # the SDK is imported once

Run = Callable[..., CompletedProcess[str]]
Install = Callable[..., Path]

ECHO = """
from flyte_host import Command, EventDef, PackDef, hookimpl

print("printed at the import")

class plugin:
    @hookimpl
    def flyte_pack(self):
        return PackDef("Echo", commands=[Command("say", self.say, [EventDef("Said")])])

    def say(self, input: str):
        print("printed by the handler", input)
        import sys
        return EventDef("Said")([input, sys.stdin.read()])
"""


HELLO = (
    b'{"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": '
    b'"2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}}\n'
)
ALLOW = '[mcp]\nallow = ["Echo.say"]\n'


def call(folder: Path, tool: str, arguments: dict[str, Any] | None = None) -> "CallToolResult":
    with tool_host(folder, ["Tools.*"]) as (_, server):
        answer: CallToolResult = use_client(
            server.server, lambda client: client.call_tool(tool, arguments)
        )
        assert answer.result_type == "complete"
        return answer


def said(answer: "CallToolResult") -> str:
    [content] = answer.content
    assert content.type == "text"
    return content.text


def test_only_what_is_allowed_is_listed(tmp_path: Path) -> None:
    with tool_host(tmp_path, ["Tools.Deploy", "Tools.Look"]) as (_, server):
        listed = use_client(server.server, lambda client: client.list_tools())
    deploy, look = listed.tools
    assert (deploy.name, look.name) == ("Tools_Deploy", "Tools_Look")
    assert deploy.annotations.read_only_hint is False
    assert deploy.annotations.destructive_hint is True
    assert (look.annotations.read_only_hint, look.annotations.idempotent_hint) == (True, True)
    assert "the password is ***." in deploy.description
    assert deploy.input_schema["required"] == ["service"]


def test_a_call_runs_through_the_journal(tmp_path: Path) -> None:
    answer = call(tmp_path, "Tools_Deploy", {"service": "web"})
    expected = {"event": "Done", "payload": {"service": "web", "count": 1}}
    assert (answer.structured_content, answer.is_error) == (expected, False)
    assert json.loads(said(answer)) == expected
    with Editor(tmp_path / "mcp.db", Clock()) as journal:
        [entry] = journal.entries([State.DELIVERED])
        assert (entry.command, entry.pack_key, entry.state) == ("Deploy", "tools", State.DELIVERED)


@pytest.mark.parametrize(
    ("tool", "arguments", "payload"),
    [
        ("Tools_Deploy", {}, "command 'Deploy': input: object missing required field `service`"),
        ("Tools_Deploy", None, "command 'Deploy': input: object missing required field `service`"),
        ("Tools_Fail", {}, "command 'Fail' raised RuntimeError: cannot log in with ***"),
        ("Tools_Hang", {}, "command 'Hang' raised TimeoutError"),
    ],
)
def test_a_fatal_is_an_error(
    tmp_path: Path, tool: str, arguments: dict[str, Any] | None, payload: str
) -> None:
    answer = call(tmp_path, tool, arguments)
    assert answer.is_error
    assert answer.structured_content["event"] == "FATAL"
    assert answer.structured_content["payload"].replace("`", "") == payload.replace("`", "")


def test_an_input_under_another_name_runs_nothing(tmp_path: Path) -> None:
    answer = call(tmp_path, "Tools_Look", {"name": ["a"]})
    assert answer.is_error
    assert said(answer) == "Tools: Look: expected the argument 'input' alone, found 'name'"
    with Editor(tmp_path / "mcp.db", Clock()) as journal:
        assert list(journal.entries([State.DELIVERED])) == []


def test_a_payload_has_no_secrets(tmp_path: Path) -> None:
    answer = call(tmp_path, "Tools_Leak")
    payload = {"***": ["x***"], "number": "***", "yes": True, "none": None}
    assert answer.structured_content == {"event": "Done", "payload": payload}
    assert SECRET not in said(answer)


def test_an_event_that_is_not_declared_arrives(tmp_path: Path) -> None:
    assert call(tmp_path, "Tools_Odd_one").structured_content == {"event": "Odd", "payload": 1}


def test_a_tool_that_is_not_allowed_cannot_be_called(tmp_path: Path) -> None:
    with tool_host(tmp_path, ["Tools.Look"]) as (_, server):
        answer = use_client(server.server, lambda client: client.call_tool("Tools_Deploy", {}))
    assert answer.is_error
    assert said(answer) == "no tool 'Tools_Deploy' is allowed (did you mean \"Tools_Look\"?)"


def test_a_call_while_the_host_stops_is_told_so(tmp_path: Path) -> None:
    with tool_host(tmp_path, ["Tools.Look"]) as (host, server):
        host.stop()
        answer = use_client(
            server.server, lambda client: client.call_tool("Tools_Look", {"input": []})
        )
    assert answer.is_error
    assert said(answer) == "Tools: Look has no answer yet: flyte-host is stopping"


def test_over_stdio_nothing_but_messages_is_on_stdout(
    installed: Install, flyte_host_environ: dict[str, str], tmp_path: Path
) -> None:
    installed("echo", ECHO)
    (tmp_path / "flyte-host.toml").write_text(ALLOW)
    ours = ["-m", "flyte_host", "mcp"]
    server = server_of(sys.executable, ours, tmp_path, flyte_host_environ)
    answer = use_client(server, lambda client: client.call_tool("Echo_say", {"input": "hi"}))
    assert answer.structured_content == {"event": "Said", "payload": ["hi", ""]}


def test_it_ends_with_its_input(installed: Install, flyte_host: Run, tmp_path: Path) -> None:
    installed("echo", ECHO)
    (tmp_path / "flyte-host.toml").write_text(ALLOW)
    done = flyte_host("mcp", "--state", "other.db")
    assert (done.stdout, done.returncode) == ("", 0)
    assert "offering 1 tool" in done.stderr
    assert "printed at the import" in done.stderr
    assert (tmp_path / "other.db").exists()


def test_a_client_that_crashes_is_told_in_one_line(
    installed: Install, flyte_host_environ: dict[str, str], tmp_path: Path
) -> None:
    """Some clients connect stdin and stdout by sockets: what they had not read resets those."""
    installed("echo", ECHO)
    (tmp_path / "flyte-host.toml").write_text(ALLOW)
    client, server = socket.socketpair()
    server.setblocking(False)  # some leave that too
    ours = [sys.executable, "-m", "flyte_host", "mcp"]
    with server, subprocess.Popen(
        ours, cwd=tmp_path, env=flyte_host_environ, stdin=server.fileno(), stdout=server.fileno(),
        stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        with client:
            client.settimeout(PATIENCE_SECONDS)
            wait_until(lambda: os.get_blocking(server.fileno()), "it waits for messages")
            client.sendall(HELLO)
            assert client.recv(1) == b"{"
        _, errors = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0
    assert "the client disconnected: ConnectionResetError: " in errors
    assert "Traceback" not in errors


PROBLEMS = {
    "": (
        "mcp.allow: found nothing, expected the commands that may be called, such as "
        '"Jira.IssueInfo" or "Jira.*"'
    ),
    '[mcp]\nallow = ["Echo.sai"]': (
        "mcp.allow: found 'Echo.sai', which no pack here has (did you mean \"Echo.say\"?)"
    ),
    f'{ALLOW}listen = "0.0.0.0:0"': (
        "mcp.listen: found '0.0.0.0:0' without mcp.token, expected a loopback address or a token"
    ),
    f'{ALLOW}token = {{ env = "NO_SUCH" }}': (
        "mcp.token: the environment variable NO_SUCH is not set"
    ),
    f'{ALLOW}token = {{ file = "flyte-host.toml" }}': (
        "mcp.token holds no token, expected one line of visible ASCII"
    ),
}


@pytest.mark.parametrize("config", PROBLEMS)
def test_what_is_wrong_with_the_configuration_is_told(
    installed: Install, flyte_host: Run, tmp_path: Path, config: str
) -> None:
    installed("echo", ECHO)
    (tmp_path / "flyte-host.toml").write_text(config)
    done = flyte_host("mcp", "--http")
    assert f"flyte-host: {PROBLEMS[config]}" in done.stderr
    assert done.returncode == 2


@pytest.fixture
def url(
    installed: Install,
    flyte_host_environ: dict[str, str],
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> Any:
    """Where the tools are served, with a token if the test wants one."""
    installed("echo", ECHO)
    token = 'token = { env = "TOOLS_TOKEN" }\n' if getattr(request, "param", "") else ""
    (tmp_path / "flyte-host.toml").write_text(f'{ALLOW}listen = "127.0.0.1:0"\n{token}')
    environ = flyte_host_environ | {"TOOLS_TOKEN": "opensesame"}
    with Serving(tmp_path, environ, command=("mcp", "--http")) as serving:
        wait_until(lambda: serving.messages("tools at "), "the tools are served")
        yield serving.messages("tools at ")[0].removeprefix("tools at ")
        serving.signal(signal.SIGTERM)
        assert serving.ended() == -signal.SIGTERM
        assert serving.messages("session ID") == []  # an id is all that a client needs


def test_over_http_tools_are_called(url: str) -> None:
    answer = use_client(url, lambda client: client.call_tool("Echo_say", {"input": "hi"}))
    assert answer.structured_content["payload"][0] == "hi"
    listed = use_client(url, lambda client: client.list_tools(), mode="legacy")
    assert [each.name for each in listed.tools] == ["Echo_say"]
    base = url.removesuffix("/mcp")
    assert requests.get(f"{base}/", timeout=PATIENCE_SECONDS).status_code == 404


FOREIGN = {
    ("Host", "evil.example.com"): 421,
    ("Origin", "https://evil.example.com"): 403,
    ("Sec-Fetch-Site", "cross-site"): 403,
}


def status_of(url: str, headers: dict[str, str], body: bytes = b"{}") -> int:
    with requests.post(
        url, headers=headers, data=body, timeout=PATIENCE_SECONDS, stream=True
    ) as answer:
        return answer.status_code


def test_over_http_pages_of_other_sites_and_large_bodies_are_refuse_client(url: str) -> None:
    found = {header: status_of(url, dict([header])) for header in FOREIGN}
    assert found == FOREIGN
    assert status_of(url, {}, b" " * 4_000_001) == 413


def test_over_http_sessions_that_nobody_ends_are_bounded(url: str) -> None:
    from flyte_host.mcp.tool_app import MOST_SESSIONS  # noqa: PLC0415  a second, for the SDK

    hello: dict[str, Any] = {"protocolVersion": "2025-03-26", "capabilities": {}}
    hello["clientInfo"] = {"name": "test", "version": "1"}
    asked: dict[str, Any] = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}
    accept = {"Accept": "application/json, text/event-stream"}
    with requests.Session() as client:

        def begun() -> int:
            answer = client.post(url, json=asked, headers=accept, timeout=PATIENCE_SECONDS)
            return answer.status_code

        assert [begun() for _ in range(MOST_SESSIONS + 1)] == [200] * MOST_SESSIONS + [503]


@pytest.mark.parametrize("url", ["token"], indirect=True)
def test_over_http_a_token_is_asked_for(url: str) -> None:
    for sent in ("Bearer open", "Basic opensesame", "opensesame", ""):
        assert status_of(url, {"Authorization": sent}) == 401
    assert status_of(url, {}) == 401
    assert status_of(url, {"Authorization": "Bearer opensesame"}) not in {401, 403}
