"""Embedded flyte as configured: its flows come from files, its address may be taken."""

import json
import os
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
import requests

from flyte_host import Command, EventDef, PackDef, hookimpl
from flyte_host.config import AuthConfig, EmbeddedConfig
from flyte_host.errors import ConfigError, FlyteHostError
from flyte_host.host.embedded_server import EmbeddedServer, check_embedded
from flyte_host.host.host import Host
from flyte_host.secrets import Scrubber, SecretRef, Secrets
from flyte_host.testing.flyte_server import FlyteServer
from flyte_host.testing.running_host import RunningHost
from flyte_host.testing.serving import host_config, install
from flyte_host.testing.waiting import PATIENCE_SECONDS, wait_until
from tests.support.ended_thread import end_thread, find_thread
from tests.support.issuer import key_set, rsa_key
from tests.support.postgres import PostgresServer
from tests.support.script import run_script

DONE = EventDef("Done")
NOBODY = 65534
NO_SECRETS = Secrets({}, Scrubber())

Serve = Callable[..., EmbeddedServer]


def write_flow(folder: Path, file: str, name: str) -> None:
    (folder / file).write_text(f"name: {name}\nsteps: []\n", encoding="utf-8")


@pytest.fixture
def config(tmp_path: Path) -> EmbeddedConfig:
    """A store on disk, and all flows of a folder."""
    return EmbeddedConfig("127.0.0.1:0", tmp_path / "flyte.db", (f"{tmp_path}/*.yaml",))


@pytest.fixture
def serve() -> Iterator[Serve]:
    servers: list[EmbeddedServer] = []

    def serve(config: EmbeddedConfig) -> EmbeddedServer:
        servers.append(EmbeddedServer(config))
        servers[-1].start()
        return servers[-1]

    yield serve
    for each in servers:
        each.stop()


def flows(server: EmbeddedServer) -> list[str]:
    found = requests.get(f"{server.url}/v1/flows", timeout=20).json()["flows"]
    return [each["name"] for each in found]


def test_a_flow_that_is_renamed_in_its_file_does_not_stay(
    config: EmbeddedConfig, serve: Serve, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It fired twice: under its old name and under its new one."""
    write_flow(tmp_path, "a.yaml", "old")
    write_flow(tmp_path, "b.yaml", "kept")
    before = serve(config)
    posted = {"name": "posted", "steps": []}
    assert requests.post(f"{before.url}/v1/flows", json=posted, timeout=20).status_code == 201
    before.stop()
    write_flow(tmp_path, "a.yaml", "new")
    assert check_embedded(config, NO_SECRETS) == ["old"]
    after = serve(config)
    assert flows(after) == ["kept", "new", "posted"]
    assert "flow old is no longer in any file: deleting it" in caplog.messages
    assert check_embedded(config, NO_SECRETS) == []


def test_a_flow_of_a_file_is_owned_although_it_was_posted_first(
    config: EmbeddedConfig, serve: Serve, tmp_path: Path
) -> None:
    write_flow(tmp_path, "a.yaml", "other")
    before = serve(config)
    for name in ("same", "mine"):
        body: dict[str, Any] = {"name": name, "steps": []}
        assert requests.post(f"{before.url}/v1/flows", json=body, timeout=20).status_code == 201
    before.stop()
    write_flow(tmp_path, "b.yaml", "same")
    serve(config).stop()
    (tmp_path / "b.yaml").unlink()
    assert flows(serve(config)) == ["mine", "other"]


def test_a_bad_file_changes_nothing_in_the_store(
    config: EmbeddedConfig, serve: Serve, tmp_path: Path
) -> None:
    write_flow(tmp_path, "a.yaml", "first")
    serve(config).stop()
    write_flow(tmp_path, "a.yaml", "second")
    (tmp_path / "b.yaml").write_text("{", encoding="utf-8")
    with pytest.raises(ConfigError):
        EmbeddedServer(config)
    (tmp_path / "b.yaml").unlink()
    write_flow(tmp_path, "a.yaml", "first")
    assert flows(serve(config)) == ["first"]


def test_every_bad_flow_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("name: a\nsteps: 7\n", encoding="utf-8")
    (tmp_path / "b.yaml").write_text("{", encoding="utf-8")
    (tmp_path / "c.yaml").mkdir()
    write_flow(tmp_path, "d.yaml", "same")
    write_flow(tmp_path, "e.yaml", "same")
    config = EmbeddedConfig("127.0.0.1:0", None, (f"{tmp_path}/*.yaml", f"{tmp_path}/*.yml"))
    with pytest.raises(ConfigError) as caught:
        EmbeddedServer(config)
    problems = caught.value.problems
    named = ("a.yaml", "b.yaml", "c.yaml", "*.yml", "e.yaml")
    assert sorted(each for each in named if each in str(problems)) == sorted(named)
    assert problems[-1] == (
        f'flyte.embedded.flows: {tmp_path}/e.yaml: found flow "same", which is also in '
        f"{tmp_path}/d.yaml; expected each name once"
    )


CHECK_AS = """
import os, sys
from flyte_host.config import EmbeddedConfig
from flyte_host.embedded import flow_file
from flyte_host.errors import ConfigError
from flyte_host.host.embedded_server import EmbeddedServer
user, *patterns = sys.argv[1:]
try:
    EmbeddedServer(EmbeddedConfig("127.0.0.1:0", None, ("/nowhere/*", *patterns)))
except ConfigError:
    pass  # everything is imported now
if int(user):
    os.setuid(int(user))
for pattern in patterns:
    try:
        EmbeddedServer(EmbeddedConfig("127.0.0.1:0", None, (pattern,)))
        print()
    except ConfigError as error:
        print(*error.problems)
"""


def test_a_folder_that_cannot_be_read_is_named() -> None:
    """The flows in it are not gone: their executions go on."""
    user = NOBODY if os.geteuid() == 0 else 0  # root may read everything
    with tempfile.TemporaryDirectory() as top:  # pytest's own are closed to others
        Path(top).chmod(0o755)
        for name in ("closed", "open"):
            folder = Path(top) / name
            folder.mkdir()
            write_flow(folder, "a.yaml", name)
        Path(top, "open", "dangling").symlink_to("nowhere")
        Path(top, "closed").chmod(0o000)

        unread = f"flyte.embedded.flows: {top}/closed: cannot be read: Permission denied"
        missing = f"flyte.embedded.flows: no file matches {top}/open/b.yaml"
        problems = {
            "*/*.yaml": unread,
            "clos[e]d/*.yaml": unread,
            "*/a.yaml": unread,
            "closed/a.yaml": unread,
            "open/*.yaml": "",
            "op*/a.yaml": "",
            "open/b.yaml": missing,
        }
        patterns = [f"{top}/{each}" for each in problems]
        done = run_script(CHECK_AS, user, *patterns)
        assert not done.stderr
        assert dict(zip(problems, done.stdout.splitlines(), strict=True)) == problems
        Path(top, "closed").chmod(0o755)


def test_a_file_may_match_two_patterns(serve: Serve, tmp_path: Path) -> None:
    write_flow(tmp_path, "a.yaml", "a")
    patterns = (f"{tmp_path}/*.yaml", f"{tmp_path}/a.*")
    assert flows(serve(EmbeddedConfig("127.0.0.1:0", None, patterns))) == ["a"]


@pytest.mark.parametrize("content", [b"", b"this is not a database"])
def test_a_check_reads_a_store_that_it_cannot_use(
    config: EmbeddedConfig, tmp_path: Path, content: bytes
) -> None:
    write_flow(tmp_path, "a.yaml", "a")
    assert isinstance(config.store, Path)
    config.store.write_bytes(content)
    assert check_embedded(config, NO_SECRETS) == []
    assert config.store.read_bytes() == content


def test_a_store_in_postgres(
    serve: Serve, tmp_path: Path, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORE_PASSWORD", "nobody asks for it")
    write_flow(tmp_path, "a.yaml", "a")
    with postgres.database() as url:
        config = EmbeddedConfig(
            "127.0.0.1:0",
            url,
            (f"{tmp_path}/*.yaml",),
            store_password=SecretRef(env="STORE_PASSWORD"),
        )
        secrets = Secrets(os.environ, Scrubber())
        before = serve(config)
        assert flows(before) == ["a"]
        assert before.store_bytes() > 0
        write_flow(tmp_path, "b.yaml", "b")
        (tmp_path / "a.yaml").unlink()
        assert check_embedded(config, secrets) == ["a"]
        before.stop()
        with pytest.raises(FlyteHostError, match="variable STORE_PASSWORD is not set"):
            check_embedded(config, NO_SECRETS)
        postgres.stop()
        with pytest.raises(FlyteHostError, match="the store postgresql://flyte@/store_"):
            check_embedded(config, secrets)
        postgres.start()


def test_a_store_in_postgres_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "flyte_host.embedded.postgres_database", None)
    config = EmbeddedConfig("127.0.0.1:0", "postgresql://h/d")
    with pytest.raises(FlyteHostError, match=r"pip install 'flyte-host\[embedded,postgres\]'"):
        EmbeddedServer(config)


def test_executions_are_kept_for_ttl_days(serve: Serve) -> None:
    server = serve(EmbeddedConfig("127.0.0.1:0", None, ttl_days=1e-9))

    def call(method: str, path: str, body: Any = None) -> requests.Response:
        return requests.request(method, f"{server.url}{path}", json=body, timeout=20)

    step = {"event": {"name": "E", "packName": "P"}, "command": {"name": "c", "packName": "P"}}
    call("POST", "/v1/packs", {"name": "P"})
    call("POST", "/v1/flows", {"name": "f", "steps": [step]})
    before = server.store_bytes()
    assert call("POST", "/v1/packs/P/events", {"event": "E", "payload": "x" * 100_000}).ok
    assert server.store_bytes() > before + 80_000
    wait_until(lambda: not call("GET", "/v1/audit/flows").json()["flows"], "it is forgotten")


def test_a_port_in_use_is_named() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as held:
        port = held.getsockname()[1]
        config = EmbeddedConfig(listen=f"127.0.0.1:{port}", store=None)
        with pytest.raises(FlyteHostError, match="embedded flyte: cannot listen on"):
            EmbeddedServer(config).start()


def test_answers_in_this_process_are_those_of_the_port(
    config: EmbeddedConfig, serve: Serve, tmp_path: Path
) -> None:
    write_flow(tmp_path, "a.yaml", "one")
    server = serve(config)
    status, headers, body = server.answer("GET", "/v1/flows/one", {}, b"")
    wired = requests.get(f"{server.url}/v1/flows/one", timeout=20)
    assert (status, body) == (wired.status_code, wired.content)
    assert headers["content-type"] == wired.headers["Content-Type"]
    server.stop()
    with pytest.raises(ConnectionRefusedError):
        server.answer("GET", "/v1", {}, b"")


def test_a_host_asks_its_own_flyte_for_a_token_too(
    config: EmbeddedConfig, serve: Serve, tmp_path: Path
) -> None:
    write_flow(tmp_path, "a.yaml", "one")
    policy, keys = tmp_path / "policy", tmp_path / "keys.json"
    policy.write_text("- path: /v1/*\n  claims: {role: [admin]}\n", encoding="utf-8-sig")
    keys.write_text(json.dumps(key_set(rsa_key())), encoding="utf-8")
    config = replace(config, auth=AuthConfig(policy, "flyte", jwks_file=keys))
    status, headers, _ = serve(config).answer("POST", "/v1/packs", {}, b"{}")
    assert status == 401
    assert headers["www-authenticate"] == 'Bearer realm="token"'


class EchoPack:
    @hookimpl
    def flyte_pack(self) -> PackDef:
        return PackDef("Echo", commands=[Command("echo", DONE, [DONE])])


def test_a_host_calls_its_own_flyte_without_a_socket(
    config: EmbeddedConfig, tmp_path: Path
) -> None:
    (tmp_path / "flow.yaml").write_text(
        "name: flow\n"
        "steps:\n"
        "- event: {name: Go, packName: Driver}\n"
        "  command: {name: echo, packName: Echo, input: '{{ Event.Payload }}'}\n",
        encoding="utf-8",
    )
    made = host_config("", tmp_path / "journal.db", {}, {})
    host = Host(replace(made, embedded=config), install({"echo": EchoPack()}), {}, Scrubber())
    before = set(threading.enumerate())
    host.start()
    try:
        RunningHost(host).wait_ready()
        answering = {each.name for each in set(threading.enumerate()) - before}
        assert not [each for each in answering if each.startswith("embedded flyte answer")]
        url = f"{host.flyte_url}/v1"
        requests.post(f"{url}/packs", json={"name": "Driver"}, timeout=20)
        event = {"event": "Go", "payload": "hello"}
        assert requests.post(f"{url}/packs/Driver/events", json=event, timeout=20).ok

        def results() -> list[Any]:
            found = requests.get(f"{url}/audit/flows", timeout=20).json()["flows"]
            return [each["actions"][""]["result"].get("payload") for each in found]

        wait_until(lambda: results() == ["hello"], "the flow has run")
    finally:
        host.stop()


class KeptWakes:
    def __init__(self) -> None:
        self.wakes: list[tuple[str, dict[str, str]]] = []

    def wake(self, pack_name: str, labels: Mapping[str, str]) -> None:
        self.wakes.append((pack_name, dict(labels)))


@pytest.mark.parametrize("was_ended", [False, True])
def test_actions_that_another_process_queued_wake_their_packs(
    config: EmbeddedConfig, tmp_path: Path, caplog: pytest.LogCaptureFixture, was_ended: bool
) -> None:
    """Without it they would wait for a poll, of which there is one a minute."""
    (tmp_path / "a.yaml").write_text(
        "name: flow\n"
        "steps:\n"
        "- event: {name: Go, packName: Driver}\n"
        "  command: {name: echo, packName: Echo, packLabels: {a: b}}\n",
        encoding="utf-8",
    )
    kept = KeptWakes()
    here = EmbeddedServer(config, kept, look_seconds=0.01)
    there = EmbeddedServer(config)
    here.start()
    if was_ended:
        end_thread(find_thread("store watch"))
        wait_until(lambda: "restarting it" in caplog.text, "it looks again")
    try:
        there.answer("POST", "/v1/packs", {}, b'{"name": "Driver"}')
        assert there.answer("POST", "/v1/packs/Driver/events", {}, b'{"event": "Go"}')[0] == 202
        wait_until(lambda: ("Echo", {"a": "b"}) in kept.wakes, "the action was announced")
    finally:
        here.stop()
        there.stop()


def test_an_empty_take_keeps_the_connection(flyte_server: FlyteServer) -> None:
    connection = HTTPConnection(flyte_server.url.removeprefix("http://"), timeout=PATIENCE_SECONDS)
    with closing(connection):
        connection.request("POST", "/v1/packs", b'{"name": "P"}')
        assert connection.getresponse().read()
        kept = connection.sock
        for _ in range(3):
            connection.request("POST", "/v1/packs/P/actions/take", b"null")
            answer = connection.getresponse()
            assert (answer.status, answer.read(), answer.will_close) == (204, b"", False)
            assert connection.sock is kept
